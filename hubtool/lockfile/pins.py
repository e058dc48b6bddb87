"""Pinned cards: a card in a lockfile is found by its digest, and every other card is refused.

Registries change, pinned cards do not. The card with the pinned bytes is used wherever it is: in a registry, or in the
store, where ``hubtool sync`` put it. The :class:`Pin` tells the resolver and the loader what else the lockfile says.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion

from hubtool.card import model
from hubtool.card import status as statuses
from hubtool.digest import Digest
from hubtool.errors import CardError, FetchError, LockfileError
from hubtool.lockfile import lockfile as locks
from hubtool.registry import ShadowedCard
from hubtool.registry.entry import digest_of
from hubtool.store import cards
from hubtool.uid import Uid

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.lockfile.lockfile import LockedCard
    from hubtool.registry import Registries, Registry
    from hubtool.store.store import Store

_RELOCK = "if the change is meant, run 'hubtool lock' again, and review what it says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The entry of a card in the lockfile in force.

    Attributes:
        path: The lockfile.
        card: The entry.
    """

    path: Path
    card: LockedCard

    def place(self, place: RepositoryPlace) -> RepositoryPlace:
        """Return a place of code at the pinned commit.

        Raises:
            LockfileError: If the lockfile has no code for this card.
        """
        if self.card.code is None:
            raise self.error("its network is built with code, and the lockfile has none")
        return place.at(self.card.code.commit)

    def check_tree(self, tree: str) -> None:
        """Refuse code whose tree digest is not the pinned one.

        Raises:
            LockfileError: If the digests differ.
        """
        code = self.card.code
        if code is None or code.tree != tree:
            raise self.error(
                f"the code of {code.repository if code else 'its network'} at {code.commit if code else 'its commit'} "
                f"has the tree digest {tree}, and the lockfile says {code.tree if code else 'none'}",
                hint="the code is not the pinned code: do not use it before you know why",
            )

    def check_machine(self, version: str | None) -> str | None:
        """Return why the lockfile does not allow the MindSpore that is installed; None if it does, or there is none.

        Args:
            version: Its version.
        """
        wanted = self.card.mindspore
        if wanted is None or version is None:
            return None
        try:
            fits = SpecifierSet(wanted).contains(version, prereleases=True)
        except InvalidVersion:  # a private build with no comparable version
            return None
        return None if fits else f"MindSpore {version} is installed, but {self.path} wants {wanted}"

    def error(self, problem: str, *, hint: str | None = None) -> LockfileError:
        """Return an error that names a difference from the lockfile."""
        return LockfileError(f"{self.card.uid} is not what {self.path} pins: {problem}", hint=hint or _RELOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedCard:
    """A card with the pinned bytes, and where it was found.

    Attributes:
        card: The card; its assets have the whole digests and sizes of the lockfile, and absolute links.
        root: The folder that its local assets must be in; None if it has none.
        registry: The registry that has it; None if only the store has it.
        others: The registries that have other bytes under the UID.
    """

    card: Card
    root: Path | None
    registry: str | None
    others: tuple[ShadowedCard, ...]


def pin(uid: Uid, path: Path) -> Pin:
    """Return the entry of a UID in a lockfile.

    Raises:
        LockfileError: If it cannot be read, or does not have the UID.
    """
    lock = locks.read(path)
    locked = lock.card(str(uid))
    if locked is None:
        near = difflib.get_close_matches(str(uid), [card.uid for card in lock.cards], n=1)
        raise LockfileError(
            f"{uid} is not in {path}, and nothing else may be used",
            hint=f"did you mean {near[0]}?" if near else f"to add it: hubtool lock {uid} -o {path}",
        )
    return Pin(path=path, card=locked)


def find(uid: Uid, pin: Pin, registries: Registries, store: Store) -> PinnedCard:
    """Find the card with the pinned bytes; places that need no network come first.

    Args:
        uid: The UID.
        pin: Its entry in the lockfile.
        registries: Where to look for it.
        store: Where ``hubtool sync`` kept it.

    Raises:
        LockfileError: If no place has it, or the lockfile contradicts it.
    """
    wanted = pin.card.sha256
    digests = {member.name: member.digest(uid) for member in registries.members}
    others = tuple(
        ShadowedCard(registry=name, digest=one) for name, one in digests.items() if one not in (None, wanted)
    )
    problems: list[str] = []

    def differs(member: Registry) -> bool:
        return digests[member.name] not in (None, wanted)

    for member in registries.members:
        if digests[member.name] == wanted and (found := _of_registry(uid, pin, member, problems)):
            return replace(found, others=others)
    # The same card with a later status entry is preferred to the stored one, if it is on this machine.
    for member in registries.members:
        if differs(member) and member.root is not None and (found := _of_registry(uid, pin, member, problems)):
            return replace(found, others=tuple(one for one in others if one.registry != member.name))
    kept = cards.find(store, wanted)
    if kept is not None:
        path, data = kept
        card = model.read(data, uid=uid, path=path)
        return PinnedCard(card=_pinned(card, card, pin), root=None, registry=None, others=others)
    for member in registries.members:
        if digests[member.name] is None and (found := _of_registry(uid, pin, member, problems)):
            return replace(found, others=others)
    for member in registries.members:
        if differs(member) and member.root is None and (found := _of_registry(uid, pin, member, problems)):
            return replace(found, others=tuple(one for one in others if one.registry != member.name))
    problems += [f"{one.registry} has a card with the SHA-256 {one.digest}" for one in others]
    raise pin.error(
        f"the lockfile says that the card has the SHA-256 {wanted}; "
        + ("; ".join(dict.fromkeys(problems)) or "no registry here has a card of this UID"),
        hint=f"'hubtool sync {pin.path}' fetches the pinned card from where it still is; {_RELOCK}",
    )


def lender(pin: Pin, registries: Registries, store: Store) -> tuple[Card, bytes] | None:
    """Return the card whose recipe a pinned card borrows, and its bytes; None if it borrows none.

    Args:
        pin: The entry of the card that borrows.
        registries: Where to look for the one that lends.
        store: Where ``hubtool lock`` and ``hubtool sync`` keep it.

    Raises:
        LockfileError: If no place has the pinned bytes, or they have no recipe.
    """
    wanted = pin.card.recipe
    if wanted is None:
        return None
    uid = Uid.parse(wanted.uid)
    kept = cards.find(store, wanted.sha256)
    data = None if kept is None else kept[1]
    for member in registries.members if data is None else ():
        with suppress(CardError, FetchError, OSError):
            card = member.read(uid)
            there = b"" if card is None or card.path is None else card.path.read_bytes()
            if is_locked(there, wanted.sha256):
                data = there
                break
    if data is None:
        raise pin.error(
            f"its recipe is that of {uid} with the SHA-256 {wanted.sha256}, and no place here has that card",
            hint=f"'hubtool sync {pin.path}' fetches it from where it still is; {_RELOCK}",
        )
    found = model.read(data, uid=uid)
    if found.recipe is None:
        raise contradiction(pin, (f"its recipe is that of {uid}, which has none",))
    return found, data


def _of_registry(uid: Uid, pin: Pin, member: Registry, problems: list[str]) -> PinnedCard | None:
    """Return a registry's card if it has the pinned bytes (a later status entry is allowed); else note why not."""
    try:
        card = member.read(uid)
        data = b"" if card is None or card.path is None else card.path.read_bytes()
    except (CardError, FetchError) as error:
        problems.append(error.message)
        return None
    except OSError as error:
        problems.append(f"the card in {member.name} cannot be read: {error.strerror or type(error).__name__}")
        return None
    if card is None:
        return None
    digest = digest_of(data)
    if not is_locked(data, pin.card.sha256):
        problems.append(f"{member.name} has a card with the SHA-256 {digest}")
        return None
    raw = model.read(data, uid=uid, path=card.path)
    return PinnedCard(card=_pinned(raw, card, pin), root=member.root, registry=member.name, others=())


def is_locked(data: bytes, wanted: str) -> bool:
    """Return whether a card has the pinned bytes, apart from status entries.

    Deprecating or withdrawing a card must not break the lockfiles that pin it.

    Args:
        data: The card.
        wanted: The pinned SHA-256.
    """
    return digest_of(data) == wanted or digest_of(statuses.without_status(data)) == wanted


def _pinned(raw: Card, card: Card, pin: Pin) -> Card:
    """Return a card with the digests and sizes of the lockfile.

    Args:
        raw: The card as written, which the lockfile must agree with.
        card: The card as its registry returns it: a published registry makes relative links absolute.
        pin: The entry in the lockfile.
    """
    wrong = locks.misfits(pin.card, raw)
    if wrong:
        raise contradiction(pin, wrong)
    assets = tuple(
        replace(asset, digest=Digest(locked.sha256), size=locked.size)
        for asset, locked in zip(card.assets, pin.card.assets, strict=True)
    )
    return replace(card, assets=assets)


def contradiction(pin: Pin, wrong: tuple[str, ...]) -> LockfileError:
    """Return the error that names the contradictions between a lockfile and the card that it pins."""
    return LockfileError(
        f"{pin.path} contradicts the card of {pin.card.uid} that it pins: {'; '.join(wrong)}",
        hint="it was edited by hand: undo that, or run 'hubtool lock' again",
    )
