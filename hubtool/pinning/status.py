"""Pinned cards that were deprecated, withdrawn or changed in their registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import HubError
from hubtool.lockfile import lockfile as locks
from hubtool.lockfile import pins

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hubtool.card.status import Status
    from hubtool.hub import Hub
    from hubtool.lockfile.lockfile import LockedCard
    from hubtool.resolution.finding import FoundCard

CHANGED, ABSENT = "changed", "not found"
_WRONG = ("withdrawn", CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedCardNotice:
    """A pinned card with a notice.

    Attributes:
        uid: Its UID.
        state: ``withdrawn``, ``deprecated``, ``changed`` or ``not found``.
        told: The notice in one sentence.
        status: The status of the card now, or None.
    """

    uid: str
    state: str
    told: str
    status: Status | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        more = {} if self.status is None else self.status.as_json()
        return {"uid": self.uid, **more, "state": self.state, "message": self.told}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLock:
    """The result of checking one lockfile.

    Attributes:
        path: The lockfile.
        cards: The number of cards that it pins.
        affected: The cards with a notice.
        error: Why the lockfile cannot be read, or None.
    """

    path: Path
    cards: int = 0
    affected: tuple[PinnedCardNotice, ...] = ()
    error: HubError | None = None

    @property
    def is_good(self) -> bool:
        """Whether none of its cards was withdrawn or changed."""
        return self.error is None and not any(one.state in _WRONG for one in self.affected)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "lock": str(self.path),
            "good": self.is_good,
            "cards": self.cards,
            "affected": [one.as_json() for one in self.affected],
            "error": None if self.error is None else self.error.message,
        }


def check(hub: Hub, paths: Iterable[Path]) -> tuple[CheckedLock, ...]:
    """Compare the cards that lockfiles pin with the registries now, without fetching anything.

    Args:
        hub: The registries; a lockfile in its settings is ignored.
        paths: The lockfiles. The others are checked even if one cannot be read.
    """
    hub = hub.with_lock(None)
    known: dict[str, FoundCard | None] = {}
    return tuple(_check(hub, path, known) for path in paths)


def _check(hub: Hub, path: Path, known: dict[str, FoundCard | None]) -> CheckedLock:
    try:
        cards = locks.read(path).cards
    except HubError as error:
        return CheckedLock(path=path, error=error)
    for card in cards:
        if card.uid not in known:
            known[card.uid] = _find(hub, card.uid)
    affected = tuple(one for card in cards if (one := _affected(card, known[card.uid])) is not None)
    return CheckedLock(path=path, cards=len(cards), affected=affected)


def of(hub: Hub, uid: str) -> Status | None:
    """Return the status of a card in the registries now; None if it has none, or no registry has the card."""
    found = _find(hub.with_lock(None), uid)
    return None if found is None else found.card.status


def _find(hub: Hub, uid: str) -> FoundCard | None:
    try:
        return hub.find(uid)
    except HubError:  # no registry has it, or its registry cannot be reached
        return None


def _affected(locked: LockedCard, found: FoundCard | None) -> PinnedCardNotice | None:
    uid = locked.uid
    if found is None or found.card.path is None:
        return PinnedCardNotice(uid=uid, state=ABSENT, told=f"no registry here has {uid}, so its status is not known")
    status = found.card.status
    if status is not None:
        return PinnedCardNotice(uid=uid, state=status.kind, told=status.describe(uid), status=status)
    try:
        data = found.card.path.read_bytes()
    except OSError:
        return PinnedCardNotice(uid=uid, state=ABSENT, told=f"the card {uid} cannot be read")
    if pins.is_locked(data, locked.sha256):
        return None
    return PinnedCardNotice(
        uid=uid, state=CHANGED, told=f"the registry has another card under {uid} than the pinned one"
    )
