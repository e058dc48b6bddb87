"""What differs between two cards and all that belongs to them, or between two lockfiles.

A side is a UID, the path of a card, a lockfile, or a UID as a lockfile pins it (``UID@hub.lock``). What is stored is
looked into; what is not is said to be unknown, unless it may be fetched.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import settings
from hubtool.assets import fetch_asset, local_asset
from hubtool.diff import tensors
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, AssetError, CheckpointError, FetchError, InvalidNameError, LockfileError
from hubtool.git.code import CodeStore
from hubtool.lockfile import lockfile as locks
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hubtool.card.model import Asset
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.diff.tensors import TensorDiff
    from hubtool.git.code import Code
    from hubtool.hub import Hub
    from hubtool.lockfile.lockfile import Lockfile
    from hubtool.resolution.finding import FoundCard

_ASIDE = frozenset({"asset"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A front-matter field that differs: its dotted key, and both values; None where one side lacks it."""

    key: str
    old: object
    new: object

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {"key": self.key, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetChange:
    """What became of an asset.

    Attributes:
        kind: ``added``, ``removed``, ``changed`` (other bytes), ``moved`` (the same bytes at another link) or
            ``restated`` (the same link, and another format, size or digest stated that do not tell other bytes).
        old: Link, format, digest and size before; None if it is new.
        new: The same after; None if it is gone.
        tensors: What differs within two checkpoints; None if that was not looked at.
    """

    kind: str
    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    tensors: TensorDiff | None = None

    @property
    def link(self) -> str:
        """The link, that of now if there is one."""
        return str((self.new or self.old or {}).get("link", ""))

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "change": self.kind,
            "old": self.old,
            "new": self.new,
            "tensors": None if self.tensors is None else self.tensors.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """What differs in the code of the networks.

    Attributes:
        old: Repository, commit (or branch), folder and tree digest before; None if there was none.
        new: The same after.
        added: Files that are new.
        removed: Files that are gone.
        changed: Files with other bytes.
        modules: Modules that the new code imports and the old one did not: what each can touch (empty if nothing is
            known of it), the file, the line.
        touches: What the new code touches at places where the old one did not: kind, name, file, line.
        compared: Whether files could be compared.
    """

    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, str, int]] = field(default_factory=dict)
    touches: tuple[tuple[str, str, str, int], ...] = ()
    compared: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "old": self.old,
            "new": self.new,
            "compared": self.compared,
            "files": {"added": list(self.added), "removed": list(self.removed), "changed": list(self.changed)},
            "new_modules": [
                {"module": name, "touches": kind or None, "path": path, "line": line}
                for name, (kind, path, line) in self.modules.items()
            ],
            "new_touches": [
                {"touches": kind, "what": what, "path": path, "line": line} for kind, what, path, line in self.touches
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDiff:
    """What differs between two cards.

    Attributes:
        old: What the one is called.
        new: What the other is called.
        fields: The front-matter fields that differ, but for the assets.
        title: Both titles, if they differ.
        body: How many lines of the text came and went.
        assets: The assets that differ.
        code: What differs in the code, or None.
        pinned: What two lockfiles say differently, one sentence each.
        notes: What could not be looked at, and why.
    """

    old: str
    new: str
    fields: tuple[FieldChange, ...] = ()
    title: tuple[str, str] | None = None
    body: tuple[int, int] = (0, 0)
    assets: tuple[AssetChange, ...] = ()
    code: CodeChange | None = None
    pinned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.fields or self.title or any(self.body) or self.assets or self.code or self.pinned)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "old": self.old,
            "new": self.new,
            "same": self.same,
            "fields": [one.as_json() for one in self.fields],
            "title": None if self.title is None else {"old": self.title[0], "new": self.title[1]},
            "body": {"lines_added": self.body[0], "lines_removed": self.body[1]},
            "assets": [one.as_json() for one in self.assets],
            "code": None if self.code is None else self.code.as_json(),
            "pinned": list(self.pinned),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What differs between two sides.

    Attributes:
        cards: The pairs of cards that differ; of two cards, the one pair.
        added: UIDs that only the second lockfile has.
        removed: UIDs that only the first one has.
    """

    cards: tuple[CardDiff, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.added and not self.removed and all(card.same for card in self.cards)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "same": self.same,
            "added": list(self.added),
            "removed": list(self.removed),
            "cards": [card.as_json() for card in self.cards],
        }


def diff(hub: Hub, old: str, new: str, *, values: bool = False, fetch: bool = False) -> Diff:
    """Compare two sides.

    Args:
        hub: The registries and the store; a lockfile that its settings name is not looked at.
        old: A UID, the path of a card, a lockfile, or a UID and a lockfile with ``@`` between them.
        new: The same.
        values: Whether the numbers of stored checkpoints are compared.
        fetch: Whether checkpoints and code that are not stored are fetched.

    Raises:
        HubError: If a side cannot be read; of two lockfiles, cards that cannot be had are noted.
    """
    hub = hub.with_lock(None)
    before, after = _lock(old), _lock(new)
    if before is None and after is None:
        return Diff(cards=(_compare(hub, _card(hub, old), _card(hub, new), (old, new), values=values, fetch=fetch),))
    if before is not None and after is not None:
        return _locks(hub, (Path(old), before), (Path(new), after), values=values, fetch=fetch)
    # A lockfile against a card: the UID as the lockfile pins it.
    other = _card(hub, new if before is not None else old)
    if other.card.uid is None:
        raise ArgumentError("a lockfile is compared with a lockfile or with a UID", hint="a card's path names no UID")
    pinned = f"{other.card.uid}@{old if before is not None else new}"
    pair = (_card(hub, pinned), other) if before is not None else (other, _card(hub, pinned))
    names = (pinned, new) if before is not None else (old, pinned)
    return Diff(cards=(_compare(hub, *pair, names, values=values, fetch=fetch),))


# -- sides ---------------------------------------------------------------------------------------------------------


def _lock(text: str) -> Lockfile | None:
    """Read a side that is a lockfile; None if it is something else."""
    try:
        is_lock = not text.endswith(".md") and Path(text).is_file()
    except (OSError, ValueError):
        return None
    return locks.read(Path(text)) if is_lock else None


def _card(hub: Hub, text: str) -> FoundCard:
    uid, at, path = text.partition("@")
    if at and "://" not in text:
        try:
            parsed = Uid.parse(uid)
        except InvalidNameError:
            pass
        else:
            return hub.with_lock(settings.expand_user(path).absolute()).find(str(parsed))
    try:
        return hub.find(text)
    except InvalidNameError as error:
        hint = "give a UID, the path of a card (.md), a lockfile, or UID@LOCK"
        raise InvalidNameError(f"{text[:200]!a} is none of these: {error.message}", hint=hint) from error


def _locks(hub: Hub, old: tuple[Path, Lockfile], new: tuple[Path, Lockfile], *, values: bool, fetch: bool) -> Diff:
    found = locks.changes(old[1], new[1])
    cards = []
    for change in found:
        if change.kind != "changed":
            continue
        names = (f"{change.uid}@{old[0]}", f"{change.uid}@{new[0]}")
        try:
            pair = (_card(hub, names[0]), _card(hub, names[1]))
        except LockfileError as error:
            note = f"the cards themselves cannot be compared: {error.message}"
            cards.append(CardDiff(old=names[0], new=names[1], pinned=change.differences, notes=(note,)))
        else:
            card = _compare(hub, *pair, names, values=values, fetch=fetch)
            cards.append(replace(card, pinned=change.differences))
    return Diff(
        cards=tuple(cards),
        added=tuple(one.uid for one in found if one.kind == "added"),
        removed=tuple(one.uid for one in found if one.kind == "removed"),
    )


# -- cards ---------------------------------------------------------------------------------------------------------


def _compare(
    hub: Hub, old: FoundCard, new: FoundCard, names: tuple[str, str], *, values: bool, fetch: bool
) -> CardDiff:
    notes: list[str] = []
    ours, theirs = old.card, new.card
    lines = list(difflib.unified_diff(ours.body.splitlines(), theirs.body.splitlines(), n=0, lineterm=""))[2:]
    return CardDiff(
        old=names[0],
        new=names[1],
        fields=tuple(_fields(ours.values, theirs.values)),
        title=None if ours.title == theirs.title else (ours.title or "", theirs.title or ""),
        body=(sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)),
        assets=tuple(_assets(hub, old, new, notes, values=values, fetch=fetch)),
        code=_code(hub, old, new, notes, fetch=fetch),
        notes=tuple(notes),
    )


def _fields(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[FieldChange]:
    before, after = dict(_flat(old)), dict(_flat(new))
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key) or (key in before) is not (key in after):
            yield FieldChange(key=key, old=before.get(key), new=after.get(key))


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the fields of nested mappings by their dotted keys; a list is one value."""
    for key, value in values.items():
        if not prefix and key in _ASIDE:
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# -- assets --------------------------------------------------------------------------------------------------------


def _assets(
    hub: Hub, old: FoundCard, new: FoundCard, notes: list[str], *, values: bool, fetch: bool
) -> Iterator[AssetChange]:
    for one, other in _pairs(old.card.assets, new.card.assets):
        before, after = _facts(one), _facts(other)
        if one is None or other is None:
            yield AssetChange(kind="added" if one is None else "removed", old=before, new=after)
            continue
        same = _same(one, other)
        if same and one.link == other.link:
            if one.format != other.format or (one.size and other.size and one.size != other.size):
                yield AssetChange(kind="restated", old=before, new=after)
            continue
        if same:
            yield AssetChange(kind="moved", old=before, new=after)
            continue
        if same is None:
            if one.link == other.link and one.digest == other.digest:
                notes.append(f"{one.link}: the cards state no digest, so whether its bytes differ is not known")
                continue
            notes.append(f"{other.link}: a digest is missing, so whether the bytes differ is not known")
        within = None
        if one.is_weights and other.is_weights:
            within = _within(hub, (old, one), (new, other), notes, values=values, fetch=fetch)
        yield AssetChange(kind="changed", old=before, new=after, tensors=within)


def _pairs(old: tuple[Asset, ...], new: tuple[Asset, ...]) -> Iterator[tuple[Asset | None, Asset | None]]:
    """Pair assets: of the same bytes, else of the same link, the same name, or the only checkpoints that are left."""
    left, right = list(old), list(new)
    rules = (
        lambda one, other: one.link == other.link and _same(one, other),
        lambda one, other: one.link == other.link,
        _same,
        lambda one, other: one.file_name == other.file_name,
        lambda one, other: one.is_weights and other.is_weights,
        lambda one, other: one.format == other.format,
    )
    paired = []
    for rule in rules:
        for one in list(left):
            other = next((other for other in right if rule(one, other)), None)
            if other is not None:
                left.remove(one)
                right.remove(other)
                paired.append((one, other))
    yield from sorted(paired, key=lambda pair: old.index(pair[0]))
    yield from ((one, None) for one in left)
    yield from ((None, other) for other in right)


def _same(one: Asset, other: Asset) -> bool | None:
    """Whether two assets are the same bytes; None if a digest is missing. A short digest is taken for the whole one."""
    if one.digest is None or other.digest is None:
        return None
    return one.digest.matches(other.digest.hex) or other.digest.matches(one.digest.hex)


def _facts(asset: Asset | None) -> dict[str, object] | None:
    if asset is None:
        return None
    digest = None if asset.digest is None else asset.digest.hex
    return {"link": asset.link, "format": asset.format, "digest": digest, "size": asset.size}


def _within(
    hub: Hub,
    old: tuple[FoundCard, Asset],
    new: tuple[FoundCard, Asset],
    notes: list[str],
    *,
    values: bool,
    fetch: bool,
) -> TensorDiff | None:
    """Compare two checkpoints as far as they are stored."""
    paths = [_stored(hub, found, asset, notes, fetch=fetch) for found, asset in (old, new)]
    if paths[0] is None or paths[1] is None:
        return None
    try:
        return tensors.diff(paths[0], paths[1], values=values)
    except CheckpointError as error:
        notes.append(error.message)
        return None


def _stored(hub: Hub, found: FoundCard, asset: Asset, notes: list[str], *, fetch: bool) -> Path | None:
    if fetch:
        return fetch_asset(hub, found, asset).path
    try:
        stored = None
        if asset.is_local:
            stored = local_asset(hub, found, asset).path
        elif asset.digest is not None:
            stored = hub.store.path(asset.digest, link=asset.link)
    except (AssetError, LockfileError) as error:
        notes.append(f"{asset.link}: {error.message}")
        return None
    if stored is None:
        notes.append(f"{asset.link} is not stored, so its tensors were not compared (--fetch brings it)")
    return stored


# -- code ----------------------------------------------------------------------------------------------------------


def _code(hub: Hub, old: FoundCard, new: FoundCard, notes: list[str], *, fetch: bool) -> CodeChange | None:
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
    known = {(touch.kind, touch.what, touch.path) for touch in before}
    return tuple(
        (touch.kind, touch.what, touch.path, touch.line)
        for touch in scan(new.path, names)
        if (touch.kind, touch.what, touch.path) not in known
    )
