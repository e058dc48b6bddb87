"""What the registries want of a mirror: their cards, and the assets that these name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from hubtool import parallel, regular
from hubtool.card import document, model
from hubtool.digest import Digest
from hubtool.errors import CardError, CardNotFoundError, HubError
from hubtool.mirror.plan import Wanted, WantedAsset
from hubtool.registry import FolderRegistry
from hubtool.registry.entry import CardEntry, digest_of
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hubtool.mirror.index import Listed, Listing
    from hubtool.registry import Registries

_WORTH = 256
"""Cards from which reading is worth several processes."""


def wanted(registries: Registries, listing: Listing, asked: Callable[[str], bool]) -> tuple[Wanted, ...]:
    """Return the cards that are asked for, in order of UIDs.

    A card whose bytes are those that the mirror lists, with every asset there, is not read as a card again: that is
    what makes a second sync quick.

    Args:
        registries: The registries.
        listing: The mirror's index.
        asked: Whether a UID is asked for.
    """
    found: dict[Uid, Wanted | None] = {
        uid: _listed(registries, uid, listing.uids.get(str(uid)))
        for uid in sorted(registries.uids(), key=str)
        if asked(str(uid))
    }
    rest = [uid for uid, one in found.items() if one is None]
    found.update(zip(rest, _read_all(registries, rest), strict=True))
    return tuple(one for one in found.values() if one is not None)


def _listed(registries: Registries, uid: Uid, listed: Listed | None) -> Wanted | None:
    """Return a card as the mirror lists it, if it is still that one."""
    if listed is None or listed.lacks or _digest(registries, uid) != listed.digest:
        return None
    known = tuple(WantedAsset(link=asset.link, digest=Digest(asset.digest), size=asset.size) for asset in listed.assets)
    return Wanted(uid=str(uid), entry=listed.entry, assets=known)


def _read_all(registries: Registries, uids: Sequence[Uid]) -> Iterator[Wanted]:
    return parallel.run(partial(_read, registries), uids, jobs=parallel.cores() if len(uids) >= _WORTH else 1)


def _read(registries: Registries, uid: Uid) -> Wanted:
    try:
        data = read_bytes(registries, uid)
        # As it is written, links included: that is what the mirror's clients read.
        card = model.read(data, uid=uid)
    except HubError as error:
        return Wanted(uid=str(uid), entry=None, problem=str(error).replace("\nhint: ", "; "))
    if card.faults and not card.assets:
        return Wanted(uid=str(uid), entry=None, problem=card.blame("the card names no assets"))
    assets = tuple(WantedAsset(link=asset.link, digest=asset.digest, size=asset.size) for asset in card.assets)
    return Wanted(uid=str(uid), entry=CardEntry.of_card(card, uid, digest_of(data)), assets=assets)


def _digest(registries: Registries, uid: Uid) -> str | None:
    return next((digest for member in registries.members if (digest := member.digest(uid)) is not None), None)


def read_bytes(registries: Registries, uid: Uid) -> bytes:
    """Return the bytes of a card.

    Raises:
        CardNotFoundError: If no registry has it.
        CardError: If it cannot be read.
        FetchError: If it has to come from elsewhere, and cannot.
    """
    for member in registries.members:
        if isinstance(member, FolderRegistry):  # no need to read it as a card
            path = member.path(uid)
        else:
            card = member.read(uid)
            path = None if card is None else card.path
        if path is not None:
            try:
                data = regular.read_bytes(path)
            except OSError as error:
                raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
            if len(data) > document.MAX_BYTES:
                raise CardError(f"{path} is too large for a card")
            return data
    raise CardNotFoundError(f"no registry has the card {uid} any more", hint="run the same again")


def read_many(registries: Registries, uids: Sequence[str], jobs: int) -> dict[str, bytes]:
    """Return the bytes of the cards that are there, by UID."""

    def read(uid: str) -> bytes | None:
        try:
            return read_bytes(registries, Uid.parse(uid))
        except (CardError, CardNotFoundError):
            return None

    if all(isinstance(member, FolderRegistry) for member in registries.members):
        found = list(map(read, uids))
    else:  # from elsewhere; on the files of a folder, threads only wait for one another
        with ThreadPoolExecutor(max(jobs, 1)) as pool:
            found = list(pool.map(read, uids))
    return {uid: data for uid, data in zip(uids, found, strict=True) if data is not None}
