"""What is wrong with a target, from what was seen. Pure: targets and records go in, findings come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.audit import licences
from hubtool.audit.finding import AuditFinding, AuditNote
from hubtool.audit.plan import LinkTarget, RepositoryTarget
from hubtool.links import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hubtool.audit.plan import Target
    from hubtool.audit.state import AuditRecord

_FACTS = ("size", "etag", "modified", "sha256", "place")


def base(
    target: Target, seen: Mapping[str, object], before: AuditRecord | None, *, accept: bool = False
) -> dict[str, object]:
    """Return what a target is compared with in the next audits.

    That is what was seen first. It is replaced when the bytes are found to be those that the cards mean, or when the
    user accepts the change; until then, the change is reported each time.

    Args:
        target: The target.
        seen: What was seen now.
        before: What was seen last, or None.
        accept: Whether the user accepts what is there now.
    """
    facts = {name: seen[name] for name in (*_FACTS, "licences") if name in seen}
    if before is None:
        return facts
    if "fault" in seen:
        return dict(before.base)
    if accept or (isinstance(target, LinkTarget) and _is_right(target, seen)):
        return facts
    if isinstance(target, RepositoryTarget):
        old = before.base.get("licences")
        new = seen.get("licences")
        if isinstance(old, dict) and isinstance(new, dict):
            return {"licences": {**new, **old}}
        return facts
    # Facts from another server do not replace facts that this server did not state.
    return {**facts, **before.base} if facts.get("place") == before.base.get("place") else dict(before.base)


def _is_right(target: LinkTarget, seen: Mapping[str, object]) -> bool:
    digest = seen.get("sha256")
    stated = [use.digest for use in target.uses if use.digest is not None]
    return isinstance(digest, str) and bool(stated) and all(one.matches(digest) for one in stated)


def judge(target: Target, record: AuditRecord) -> Iterator[AuditNote]:
    """Yield what is wrong with a target, and what is worth a note."""
    place = shown(target.link if isinstance(target, LinkTarget) else target.url)
    fault = record.seen.get("fault")
    moved = record.seen.get("moved")
    if moved:
        kind = "link-moved" if isinstance(target, LinkTarget) else "repository-moved"
        message = f"it redirects to {shown(str(moved))}"
        yield AuditFinding(kind=kind, target=place, uids=target.uids, message=message, actual=shown(str(moved)))
    if isinstance(fault, str):
        if fault == "link-unreachable" and isinstance(target, RepositoryTarget):
            fault = "repository-unreachable"
        yield AuditFinding(kind=fault, target=place, uids=target.uids, message=str(record.seen.get("message", "")))
    elif isinstance(target, LinkTarget):
        yield from _link(target, record, place)
    else:
        yield from _repository(target, record, place)


# -- links ---------------------------------------------------------------------------------------------------------


def _link(target: LinkTarget, record: AuditRecord, place: str) -> Iterator[AuditFinding]:
    digests = list(_digests(target, record, place))
    yield from digests
    sizes = list(_sizes(target, record, place, hashed=bool(digests)))
    yield from sizes
    # Tags and times are compared only if the bytes were not hashed and no other change was found.
    if not digests and not sizes and "sha256" not in record.seen:
        yield from _versions(target, record, place)


def _digests(target: LinkTarget, record: AuditRecord, place: str) -> Iterator[AuditFinding]:
    actual = record.seen.get("sha256")
    if not isinstance(actual, str):
        return
    wrong: dict[str, list[str]] = {}
    for use in target.uses:
        if use.digest is not None and not use.digest.matches(actual):
            wrong.setdefault(use.digest.hex, []).append(use.uid)
    for stated, uids in wrong.items():
        message = f"its SHA-256 is {actual}, and the card says {stated}"
        yield AuditFinding(
            kind="digest-drifted", target=place, uids=tuple(uids), message=message, expected=stated, actual=actual
        )
    before = record.base.get("sha256")
    if all(use.digest is None for use in target.uses) and isinstance(before, str) and before != actual:
        message = f"its SHA-256 is {actual}, and was {before}; no card states one"
        yield AuditFinding(
            kind="digest-drifted", target=place, uids=target.uids, message=message, expected=before, actual=actual
        )


def _sizes(target: LinkTarget, record: AuditRecord, place: str, *, hashed: bool) -> Iterator[AuditFinding]:
    actual = record.seen.get("size")
    if not isinstance(actual, int):
        return
    wrong: dict[int, list[str]] = {}
    for use in target.uses:
        if use.size is not None and use.size != actual:
            wrong.setdefault(use.size, []).append(use.uid)
    for size, uids in wrong.items():
        yield _size(place, tuple(uids), size, actual, "the card says")
    before = record.base.get("size")
    if not wrong and not hashed and isinstance(before, int) and before != actual:
        yield _size(place, target.uids, before, actual, "before it had")


def _size(place: str, uids: tuple[str, ...], expected: int, actual: int, source: str) -> AuditFinding:
    return AuditFinding(
        kind="size-drifted",
        target=place,
        uids=uids,
        message=f"it has {actual:,} bytes, and {source} {expected:,}",
        expected=str(expected),
        actual=str(actual),
    )


def _versions(target: LinkTarget, record: AuditRecord, place: str) -> Iterator[AuditFinding]:
    if record.base.get("place") != record.seen.get("place"):
        return  # tags and times of different servers cannot be compared
    for name, what in (("etag", "entity tag"), ("modified", "time of change")):
        before, now = record.base.get(name), record.seen.get(name)
        if isinstance(before, str) and isinstance(now, str):
            if before.removeprefix("W/") != now.removeprefix("W/"):
                yield AuditFinding(
                    kind="bytes-changed",
                    target=place,
                    uids=target.uids,
                    message=f"its {what} is {now}, and was {before}; --deep shows whether its bytes changed",
                    expected=before,
                    actual=now,
                )
            return  # an unchanged tag counts more than a changed time


# -- repositories --------------------------------------------------------------------------------------------------


def _repository(target: RepositoryTarget, record: AuditRecord, place: str) -> Iterator[AuditNote]:
    commits, found = _mapping(record.seen, "commits"), _mapping(record.seen, "licences")
    before = _mapping(record.base, "licences")
    unknown: dict[str, list[str]] = {}
    for revision, cards in target.revisions:
        at = f"{place} at {revision or 'its default branch'}"
        uids = tuple(uid for uid, _ in cards)
        if commits.get(revision) is None:
            yield AuditFinding(
                kind="revision-gone", target=at, uids=uids, message=f"the repository has no {revision or 'HEAD'}"
            )
            continue
        licence = _mapping(found, revision)
        spdx = licence.get("spdx")
        if not isinstance(spdx, str):
            why = (
                "has no licence file in its top folder"
                if not licence
                else f"has a {licence.get('file')} that is not recognised"
            )
            unknown.setdefault(why, []).extend(uids)
        else:
            yield from _licence(at, cards, spdx, str(licence.get("file")))
        old = _mapping(before, revision)
        if old and old.get("sha256") != licence.get("sha256"):
            was, now = (str(one.get("spdx") or "not recognised") if one else "none" for one in (old, licence))
            yield AuditFinding(
                kind="licence-changed",
                target=at,
                uids=uids,
                message=f"its licence file changed: it is {now}, and was {was}",
                expected=was,
                actual=now,
            )
    for why, concerned in unknown.items():
        yield AuditNote(kind="licence-unknown", target=place, uids=tuple(concerned), message=f"the repository {why}")


def _licence(at: str, cards: tuple[tuple[str, str], ...], spdx: str, file: str) -> Iterator[AuditFinding]:
    wrong: dict[str, list[str]] = {}
    for uid, stated in cards:
        if not licences.agree(stated, spdx):
            wrong.setdefault(stated, []).append(uid)
    for stated, uids in wrong.items():
        message = f"its {file} is {spdx}, and the card says {stated}"
        yield AuditFinding(
            kind="licence-differs", target=at, uids=tuple(uids), message=message, expected=stated, actual=spdx
        )


def _mapping(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
