"""The cards that a mirror should have, and the assets that they name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from hubtool import parallel, regular
from hubtool.card import document, model
from hubtool.digest import Digest
from hubtool.errors import CardError, CardNotFoundError, HubError
from hubtool.mirror.plan import WantedAsset, WantedCard
from hubtool.registry import FolderRegistry
from hubtool.registry.entry import CardEntry, digest_of
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hubtool.card.model import Asset
    from hubtool.mirror.index import MirrorIndex
    from hubtool.registry import Registries

_PARALLEL_FROM_CARDS = 256
_JOBS = 8


def wanted(
    registries: Registries, listing: MirrorIndex, patterns: Sequence[str] = (), *, trust_index: bool = False
) -> tuple[WantedCard, ...]:
    """Return the selected cards, in order of UIDs.

    A card with the digest that the mirror's index has for it, all of whose assets are there, is not read again. That
    makes a second sync quick.

    Args:
        registries: The registries.
        listing: The mirror's index.
        patterns: Only cards whose UIDs match one of these.
        trust_index: Whether the index of a published registry is believed about the assets of its cards, so that the
            cards need not be fetched. Good for a report, not for a mirror.
    """
    entries: dict[Uid, CardEntry | None] = {}
    for member in registries.members:
        if isinstance(member, FolderRegistry):
            for uid in member.uids():
                entries.setdefault(uid, None)
        else:  # one pass over its index: to look up each card alone takes minutes
            for group, _ in member.groups():
                for entry in member.entries(group):
                    entries.setdefault(entry.uid, entry)
    found: dict[Uid, WantedCard | None] = {}
    for uid in sorted(entries, key=str):
        if matches(str(uid), patterns):
            facts = entries[uid]
            one = _listed(registries, listing, uid, facts)
            found[uid] = _stated(facts) if one is None and facts is not None and trust_index else one
    rest = [uid for uid, one in found.items() if one is None]
    found.update(zip(rest, _read_all(registries, rest), strict=True))
    return tuple(one for one in found.values() if one is not None)


def matches(uid: str, patterns: Sequence[str]) -> bool:
    """Whether a UID is selected: it matches a pattern, or there are none."""
    return not patterns or any(fnmatchcase(uid, pattern) for pattern in patterns)


def find_asset(assets: Iterable[Asset], digest: Digest, link: str) -> Asset | None:
    """Return the asset of a card with this digest and link, or None if the card no longer names it.

    Args:
        assets: The card's assets. A published registry made the relative links absolute.
        digest: The digest on the card, or the whole digest that it stands for.
        link: The link as the card writes it.
    """
    found = [one for one in assets if one.digest is not None and one.digest.matches(digest.hex)]
    return next(
        (one for one in found if one.link == link or one.link.endswith(f"/{link}")), found[0] if found else None
    )


def _listed(registries: Registries, listing: MirrorIndex, uid: Uid, entry: CardEntry | None) -> WantedCard | None:
    """Return a card as the mirror's index has it, if it has not changed since."""
    listed = listing.uids.get(str(uid))
    if listed is None or listed.is_incomplete:
        return None
    if (_digest(registries, uid) if entry is None else entry.digest) != listed.digest:
        return None
    known = tuple(WantedAsset(link=asset.link, digest=Digest(asset.digest), size=asset.size) for asset in listed.assets)
    return WantedCard(uid=str(uid), entry=listed.entry, assets=known)


def _stated(entry: CardEntry) -> WantedCard | None:
    """Return a card as a published index describes it; None if the index does not name its assets."""
    assets = tuple(WantedAsset(link=one.link, digest=Digest(one.digest), size=one.size) for one in entry.assets)
    return WantedCard(uid=str(entry.uid), entry=entry, assets=assets) if assets else None


def _read_all(registries: Registries, uids: Sequence[Uid]) -> Iterator[WantedCard]:
    jobs = parallel.cores() if len(uids) >= _PARALLEL_FROM_CARDS else 1
    return parallel.run(partial(_read, registries), uids, jobs=jobs)


def _read(registries: Registries, uid: Uid) -> WantedCard:
    try:
        data = read_bytes(registries, uid)
        # As it is written, links included: that is what the mirror's clients read.
        card = model.read(data, uid=uid)
    except HubError as error:
        return WantedCard(uid=str(uid), entry=None, problem=str(error).replace("\nhint: ", "; "))
    if card.faults and not card.assets:
        return WantedCard(uid=str(uid), entry=None, problem=card.blame("the card names no assets"))
    assets = tuple(WantedAsset(link=asset.link, digest=asset.digest, size=asset.size) for asset in card.assets)
    return WantedCard(uid=str(uid), entry=CardEntry.of_card(card, uid, digest_of(data)), assets=assets)


def _digest(registries: Registries, uid: Uid) -> str | None:
    return next((digest for member in registries.members if (digest := member.digest(uid)) is not None), None)


def read_bytes(registries: Registries, uid: Uid) -> bytes:
    """Return the bytes of a card.

    Raises:
        CardNotFoundError: If no registry has it.
        CardError: If it cannot be read.
        FetchError: If it has to be fetched, and cannot.
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
    raise CardNotFoundError(f"the registries no longer have the card {uid}", hint="run the command again")


def read_many(registries: Registries, uids: Sequence[str]) -> dict[str, bytes]:
    """Return the bytes of the cards that exist, by UID."""

    def read(uid: str) -> bytes | None:
        try:
            return read_bytes(registries, Uid.parse(uid))
        except (CardError, CardNotFoundError):
            return None

    if all(isinstance(member, FolderRegistry) for member in registries.members):
        found = list(map(read, uids))
    else:  # fetched; on the files of a folder, threads only wait for one another
        with ThreadPoolExecutor(_JOBS) as pool:
            found = list(pool.map(read, uids))
    return {uid: data for uid, data in zip(uids, found, strict=True) if data is not None}
