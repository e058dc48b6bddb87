"""Compare two cards with their assets and code, or two lockfiles.

A side is a UID, the path of a card, a lockfile, or a UID as a lockfile pins it (``UID@hub.lock``). Files that are not
stored are reported as not compared, unless they are to be fetched.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import settings
from hubtool.diff.assets import compare_assets
from hubtool.diff.code import compare_code
from hubtool.diff.model import CardDiff, Diff, FieldChange
from hubtool.errors import ArgumentError, InvalidNameError, LockfileError
from hubtool.lockfile import lockfile as locks
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hubtool.hub import Hub
    from hubtool.lockfile.lockfile import Lockfile
    from hubtool.resolution.finding import FoundCard

_ASIDE = frozenset({"asset"})


def diff(hub: Hub, old: str, new: str, *, values: bool = False, fetch: bool = False) -> Diff:
    """Compare two sides.

    Args:
        hub: The registries and the store; a lockfile in its settings is ignored.
        old: A UID, the path of a card, a lockfile, or a UID and a lockfile with ``@`` between them.
        new: The same.
        values: Whether the numbers of stored checkpoints are compared.
        fetch: Whether checkpoints and code that are not stored are fetched.

    Raises:
        HubError: If a side cannot be read; for two lockfiles, missing cards become notes.
    """
    hub = hub.with_lock(None)
    before, after = _lock(old), _lock(new)
    if before is None and after is None:
        return Diff(cards=(_compare(hub, _card(hub, old), _card(hub, new), (old, new), values=values, fetch=fetch),))
    if before is not None and after is not None:
        return _locks(hub, (Path(old), before), (Path(new), after), values=values, fetch=fetch)
    # A lockfile against a card: compare the pinned card of that UID.
    other = _card(hub, new if before is not None else old)
    if other.card.uid is None:
        raise ArgumentError("a lockfile is compared with a lockfile or with a UID", hint="a card's path names no UID")
    pinned = f"{other.card.uid}@{old if before is not None else new}"
    pair = (_card(hub, pinned), other) if before is not None else (other, _card(hub, pinned))
    names = (pinned, new) if before is not None else (old, pinned)
    return Diff(cards=(_compare(hub, *pair, names, values=values, fetch=fetch),))


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
        assets=tuple(compare_assets(hub, old, new, notes, values=values, fetch=fetch)),
        code=compare_code(hub, old, new, notes, fetch=fetch),
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
