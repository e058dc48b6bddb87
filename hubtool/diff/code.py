"""Compare the code behind two cards: its files, the modules it imports, and what it touches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hubtool.diff.model import CodeChange
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, FetchError
from hubtool.git.code import CodeStore
from hubtool.lockfile import lockfile as locks

if TYPE_CHECKING:
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.git.code import Code
    from hubtool.hub import Hub
    from hubtool.resolution.finding import FoundCard


def compare_code(hub: Hub, old: FoundCard, new: FoundCard, notes: list[str], *, fetch: bool) -> CodeChange | None:
    """Return what differs in the code of two cards' networks, or None.

    Args:
        hub: The registries and the store.
        old: The first card.
        new: The second card.
        notes: Takes what could not be compared, one sentence each.
        fetch: Whether code that is not stored is fetched.
    """
    before, after = _place(old, notes), _place(new, notes)
    if before is None and after is None:
        return None
    codes = CodeStore(hub.store, hub.policy, offline=hub.settings.offline)
    if before == after and before is not None and before.is_pinned:
        return None
    ours, theirs = _brought(codes, before, notes, fetch=fetch), _brought(codes, after, notes, fetch=fetch)
    if before == after and (ours is None or theirs is None or ours.tree == theirs.tree):
        return None
    change = CodeChange(old=_place_facts(before, ours, old), new=_place_facts(after, theirs, new))
    if before is not None and after is not None and (ours is None or theirs is None):
        return change
    if (ours is None) is not (before is None) or (theirs is None) is not (after is None):
        return change
    files = {} if ours is None else _digests(ours)
    more = {} if theirs is None else _digests(theirs)
    added = tuple(name for name in more if name not in files)
    changed = tuple(name for name in more if name in files and files[name] != more[name])
    return replace(
        change,
        added=added,
        removed=tuple(name for name in files if name not in more),
        changed=changed,
        modules=_new_modules(ours, theirs),
        touches=_new_touches(ours, theirs, (*added, *changed)),
        compared=True,
    )


def _place(found: FoundCard, notes: list[str]) -> RepositoryPlace | None:
    try:
        place = locks.code_place(found.card)
    except ArgumentError as error:
        notes.append(error.message)
        return None
    return place if place is None or found.pin is None else found.pin.place(place)


def _brought(codes: CodeStore, place: RepositoryPlace | None, notes: list[str], *, fetch: bool) -> Code | None:
    if place is None:
        return None
    code = codes.fetch(place) if fetch else codes.find(place)
    if code is None:
        at = f" at {place.revision}" if place.revision else ""
        notes.append(f"the code of {place.url}{at} is not stored, so it was not compared (--fetch brings it)")
    return code


def _place_facts(place: RepositoryPlace | None, code: Code | None, found: FoundCard) -> dict[str, object] | None:
    if place is None:
        return None
    tree = code.tree if code is not None else found.pin.card.code.tree if found.pin and found.pin.card.code else None
    revision = code.commit if code is not None else place.revision
    return {"repository": place.url, "revision": revision, "folder": place.folder, "tree": tree}


def _digests(code: Code) -> dict[str, str]:
    try:
        return {name: digest_file(code.path / name) for name in code.files}
    except OSError as error:
        raise FetchError(f"{code.path} cannot be read: {error.strerror or type(error).__name__}") from error


def _new_modules(old: Code | None, new: Code | None) -> dict[str, tuple[str, str, int]]:
    from hubtool.networks.static_scan import imports  # noqa: PLC0415 - only code needs it

    if new is None:
        return {}
    known = {} if old is None else imports(old.path, old.files)
    # The folder's own modules are imported by name too.
    own = {name.partition("/")[0].removesuffix(".py") for name in new.files}
    return {
        name: where for name, where in imports(new.path, new.files).items() if name not in known and name not in own
    }


def _new_touches(old: Code | None, new: Code | None, names: tuple[str, ...]) -> tuple[tuple[str, str, str, int], ...]:
    from hubtool.networks.static_scan import scan  # noqa: PLC0415 - as above

    if new is None:
        return ()
    before: Any = scan(old.path, old.files) if old is not None else ()
    known = {(one.kind, one.what, one.path) for one in before}
    return tuple(
        (one.kind, one.what, one.path, one.line)
        for one in scan(new.path, names)
        if (one.kind, one.what, one.path) not in known
    )
