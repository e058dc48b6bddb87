"""Lockfiles: the exact bytes that a set of UIDs stands for.

A lockfile is TOML, for people to review and for programs to follow; ``schemas/hub-lock.schema.json`` describes it.
Everything here is pure except :func:`read` and :func:`write`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hubtool import files, regular, resources, toml
from hubtool.card.repo_link import place_of
from hubtool.errors import ArgumentError, InvalidNameError, LockfileError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jsonschema.protocols import Validator

    from hubtool.card.model import Card
    from hubtool.card.repo_link import RepositoryPlace

LOCK_VERSION = 1
FILE_NAME = "hub.lock"
MAX_BYTES = 16 << 20
# Parts that no path within a repository has.
_UNSAFE_PARTS = frozenset({".", "..", ".git"})
_HEAD = """\
# Made by 'hubtool lock', and held to by 'hubtool sync' and HUBTOOL_LOCK. To change it, run 'hubtool lock' again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedAsset:
    """One file: its link, its whole SHA-256, and its size in bytes."""

    link: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCode:
    """The code of one folder of a repository, by commit and tree digest."""

    repository: str
    commit: str
    folder: str
    tree: str

    def __str__(self) -> str:
        return f"{self.repository} at {self.commit} ({self.folder or 'its top'}, tree {self.tree})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedRecipe:
    """The card that lends its recipe to one that has none: its UID, and the SHA-256 of its bytes without a status."""

    uid: str
    sha256: str

    def __str__(self) -> str:
        return f"that of {self.uid} ({self.sha256})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCard:
    """One card and everything needed to load it.

    Attributes:
        uid: The UID.
        sha256: The SHA-256 of the card's bytes, without a ``deprecated`` or ``withdrawn`` entry.
        registry: The registry that it came from, for readers.
        mindspore: The range of MindSpore versions that the network needs, or None.
        assets: Its assets, in the card's order.
        code: The code of its network, or None if it needs no code from a repository.
        recipe: The card whose recipe it borrows, or None if it has its own, or there is none.
    """

    uid: str
    sha256: str
    registry: str
    mindspore: str | None
    assets: tuple[LockedAsset, ...]
    code: LockedCode | None = None
    recipe: LockedRecipe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockfile:
    """The pinned cards, sorted by UID."""

    cards: tuple[LockedCard, ...]

    def card(self, uid: str) -> LockedCard | None:
        """Return the entry of a UID, or None."""
        return next((card for card in self.cards if card.uid == uid), None)


def parse(text: str, *, path: str = "the lockfile") -> Lockfile:
    """Read a lockfile.

    Args:
        text: TOML.
        path: What messages call the file.

    Raises:
        LockfileError: If it is not TOML, of a newer format, or not a lockfile; every problem is named with its place in
            it.
    """
    try:
        raw = toml.parse(text)
    except ValueError as error:
        raise LockfileError(f"{path} is not TOML: {error}", hint="make it again with 'hubtool lock'") from error
    version = raw.get("lock-version")
    if isinstance(version, int) and version > LOCK_VERSION:
        raise LockfileError(
            f"{path} has the format {version}; this version of hubtool knows up to {LOCK_VERSION}",
            hint="install a newer hubtool",
        )
    problems = [
        f"{'/'.join(str(part) for part in error.absolute_path) or 'top'}: {error.message[:200]}"
        for error in _validator().iter_errors(raw)
    ]
    uids = [] if problems else [card["uid"] for card in raw.get("card", ())]
    problems += [f"card: {uid} is listed twice" for uid in sorted({str(uid) for uid in uids if uids.count(uid) > 1})]
    for uid in uids:
        try:
            Uid.parse(uid)
        except InvalidNameError as error:  # noqa: PERF203 - a lockfile has few cards
            problems.append(f"card: {error.message}")
    if not problems:
        problems = [f"card {card['uid']}: {why}" for card in raw.get("card", ()) for why in _wrong(card)]
    if problems:
        raise LockfileError(
            f"{path} is not a lockfile: " + "; ".join(problems[:5]),
            hint="make it again with 'hubtool lock', or undo the edit",
        )
    return Lockfile(cards=tuple(_card(item) for item in raw.get("card", ())))


def _wrong(card: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a card of a lockfile, beyond what the schema checks."""
    folder = card.get("code", {}).get("folder", "")
    if folder.startswith("/") or not _UNSAFE_PARTS.isdisjoint(folder.split("/")) or "\\" in folder or "\0" in folder:
        yield f"the folder {folder!a} leads out of the repository"
    if "recipe" in card:
        try:
            Uid.parse(card["recipe"]["uid"])
        except InvalidNameError as error:
            yield error.message
    try:
        SpecifierSet(card.get("mindspore", ""))
    except InvalidSpecifier:
        yield f"mindspore is {card['mindspore']!a}, which is not a range of versions"


def read(path: Path) -> Lockfile:
    """Read a lockfile; a file that did not change since it was last read is not read again.

    Raises:
        LockfileError: If the file does not exist, cannot be read, or is not a lockfile.
    """
    try:
        found = path.stat()
        return _read(path, (found.st_size, found.st_mtime_ns, found.st_ino))
    except FileNotFoundError:
        raise LockfileError(f"there is no lockfile at {path}", hint="make one with 'hubtool lock UID'") from None
    except OSError as error:
        raise LockfileError(
            f"{path} cannot be read: {error.strerror or type(error).__name__}",
            hint="check the path and its permissions",
        ) from error


@lru_cache(maxsize=8)
def _read(path: Path, stamp: tuple[int, ...]) -> Lockfile:  # noqa: ARG001 - identifies one state of the file
    data = regular.read_bytes(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise LockfileError(f"{path} has more than {MAX_BYTES >> 20} MiB: it is not a lockfile", hint="check the path")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LockfileError(
            f"{path} is not a lockfile: it is not UTF-8 at byte {error.start}", hint="check the path"
        ) from error
    return parse(text, path=str(path))


def write(path: Path, lock: Lockfile) -> bool:
    """Write a lockfile atomically; return whether the file changed.

    Raises:
        LockfileError: If it cannot be written.
    """
    data = format_lockfile(lock).encode("utf-8")
    with suppress(OSError):
        if regular.read_bytes(path) == data:
            return False
    try:
        files.write_atomically(path, data)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise LockfileError(
            f"{path} cannot be written: {why}", hint="check that the folder exists and is writable; nothing was changed"
        ) from error
    return True


def format_lockfile(lock: Lockfile) -> str:
    """Return the text of a lockfile; it is deterministic, and :func:`parse` reverses it."""
    lines = [_HEAD, f"lock-version = {LOCK_VERSION}"]
    for card in sorted(lock.cards, key=lambda card: _order(card.uid)):
        lines += ["", "[[card]]", *_entries(uid=card.uid, sha256=card.sha256, registry=card.registry)]
        if card.mindspore is not None:
            lines += _entries(mindspore=card.mindspore)
        for asset in card.assets:
            lines += ["", "[[card.asset]]", *_entries(link=asset.link, sha256=asset.sha256), f"size = {asset.size}"]
        if card.recipe is not None:
            lines += ["", "[card.recipe]", *_entries(uid=card.recipe.uid, sha256=card.recipe.sha256)]
        if card.code is not None:
            code = card.code
            lines += ["", "[card.code]", *_entries(repository=code.repository, commit=code.commit, folder=code.folder)]
            lines += [f"tree-sha256 = {_quote(code.tree)}"]
    return "\n".join(lines) + "\n"


def _entries(**values: str) -> Iterator[str]:
    for name, value in values.items():
        yield f"{name} = {_quote(value)}"


def _quote(text: str) -> str:
    # A basic string of TOML is a JSON string in which DEL is escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@cache
def _validator() -> Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - takes 70 ms to import

    return Draft202012Validator(json.loads(resources.schema_file("hub-lock").read_text(encoding="utf-8")))


def _card(raw: dict[str, Any]) -> LockedCard:
    code = raw.get("code")
    return LockedCard(
        uid=raw["uid"],
        sha256=raw["sha256"],
        registry=raw["registry"],
        mindspore=raw.get("mindspore"),
        assets=tuple(LockedAsset(**asset) for asset in raw.get("asset", ())),
        code=None
        if code is None
        else LockedCode(
            repository=code["repository"], commit=code["commit"], folder=code["folder"], tree=code["tree-sha256"]
        ),
        recipe=LockedRecipe(**raw["recipe"]) if "recipe" in raw else None,
    )


def differences(locked: LockedCard, now: LockedCard) -> tuple[str, ...]:
    """Return every difference between a pinned card and the card now, except its registry."""
    found = []
    if locked.sha256 != now.sha256:
        found.append(_changed("the card has the SHA-256", locked.sha256, now.sha256))
    before = {asset.link: asset for asset in locked.assets}
    after = {asset.link: asset for asset in now.assets}
    found += [f"the asset {link} is new" for link in after if link not in before]
    found += [f"the asset {link} is gone" for link in before if link not in after]
    for link, asset in before.items():
        if link in after and asset.sha256 != after[link].sha256:
            found.append(_changed(f"the asset {link} has the SHA-256", asset.sha256, after[link].sha256))
        elif link in after and asset.size != after[link].size:
            found.append(_changed(f"the asset {link} has the bytes", f"{asset.size:,}", f"{after[link].size:,}"))
    if locked.recipe != now.recipe:
        found.append(_changed("its recipe is", str(locked.recipe or "its own"), str(now.recipe or "its own")))
    if locked.code != now.code:
        found.append(_changed("its code is", str(locked.code or "none"), str(now.code or "none")))
    if locked.mindspore != now.mindspore:
        found.append(_changed("it needs MindSpore", locked.mindspore or "any", now.mindspore or "any"))
    return tuple(found)


def _changed(what: str, old: str, new: str) -> str:
    return f"{what} {new}, not {old}"


def misfits(locked: LockedCard, card: Card) -> tuple[str, ...]:
    """Return every contradiction between a lockfile and the card that it pins: it was edited by hand.

    Args:
        locked: The entry in the lockfile.
        card: The card with the pinned digest, with its links as written.
    """
    found = []
    ours = [asset.link for asset in locked.assets]
    theirs = [asset.link for asset in card.assets]
    if ours != theirs:
        found.append(f"the lockfile has the assets {_listed(ours)}, and the card {_listed(theirs)}")
    else:
        for pinned, asset in zip(locked.assets, card.assets, strict=True):
            if asset.digest is None or not asset.digest.matches(pinned.sha256):
                found.append(
                    f"the lockfile has the SHA-256 {pinned.sha256} for {asset.link}, "
                    f"and the card {asset.digest or 'none'}"
                )
            if asset.size is not None and asset.size != pinned.size:
                found.append(f"the lockfile has {pinned.size:,} bytes for {asset.link}, and the card {asset.size:,}")
    code = locked.code
    if locked.recipe is not None and card.recipe is not None:
        found.append(f"the lockfile has the recipe {locked.recipe}, and the card has its own")
    try:
        # Whether a borrowed recipe needs code, the card that lends it says.
        place = code_place(card) if locked.recipe is None else None if code is None else place_of(card)
    except ArgumentError as error:
        return (*found, error.message)
    if (code is None) is not (place is None):
        found.append(
            f"the lockfile has {'no' if code is None else 'the'} code {code or 'for the network'} and the card "
            f"{'none' if place is None else place.url}"
        )
    elif code is not None and place is not None:
        if (code.repository, code.folder) != (place.url, place.folder):
            found.append(
                f"the lockfile has the code of {code.repository} ({code.folder or 'its top'}), "
                f"and the card that of {place.url} ({place.folder or 'its top'})"
            )
        if place.is_pinned and place.revision != code.commit:
            found.append(f"the lockfile has the commit {code.commit}, and the card {place.revision}")
    return tuple(found)


def _listed(links: list[str]) -> str:
    return ", ".join(links) or "none"


def code_place(card: Card) -> RepositoryPlace | None:
    """Return where the code of a card's network is, or None if it needs no code from a repository.

    Raises:
        ArgumentError: If its repo-link does not name a repository.
    """
    if card.recipe is None or card.recipe.provider != "repository":
        return None
    return place_of(card)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockfileChange:
    """What happened to one UID when a lockfile was renewed.

    Attributes:
        uid: The UID.
        kind: ``added``, ``removed``, ``changed`` or ``unchanged``.
        differences: What changed, one sentence each.
    """

    uid: str
    kind: str
    differences: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {"uid": self.uid, "change": self.kind, "differences": list(self.differences)}


def changes(before: Lockfile, after: Lockfile) -> tuple[LockfileChange, ...]:
    """Return what happened to each UID between two lockfiles, in their order."""
    old = {card.uid: card for card in before.cards}
    new = {card.uid: card for card in after.cards}
    return tuple(_change(uid, old.get(uid), new.get(uid)) for uid in in_order({**old, **new}))


def in_order(uids: Iterable[str]) -> list[str]:
    """Return UIDs in the order of lockfiles."""
    return sorted(uids, key=_order)


def _order(uid: str) -> tuple[str, str, str, str]:
    parsed = Uid.parse(uid)
    return parsed.publisher, parsed.version, parsed.name, parsed.backend or ""


def _change(uid: str, old: LockedCard | None, new: LockedCard | None) -> LockfileChange:
    if old is None or new is None:
        return LockfileChange(uid=uid, kind="added" if old is None else "removed")
    found = differences(old, new)
    if not found and old != new:
        found = (_changed("its registry is", old.registry, new.registry),)
    return LockfileChange(uid=uid, kind="changed" if found else "unchanged", differences=found)
