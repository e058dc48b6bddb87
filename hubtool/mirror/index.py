"""The index of a mirror: that of a published registry, with the whole digest and size of each card's assets."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hubtool.digest import FULL_LENGTH
from hubtool.errors import MirrorError
from hubtool.mirror.layout import INDEX
from hubtool.registry.entry import CardEntry, digest_of
from hubtool.registry.published import index as published_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hubtool.mirror.destination import Destination
    from hubtool.registry.published.index import PublishedIndex, Shard

MAX_BYTES = 64 << 20
_JOBS = 8
_ATTEMPTS = 50
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAsset:
    """One asset of a card in a mirror.

    Attributes:
        link: Its link, as the card writes it.
        digest: Its whole digest; empty if the mirror does not have it.
        size: Its size in bytes, or None if the mirror does not have it.
    """

    link: str
    digest: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCard:
    """One card in a mirror.

    Attributes:
        entry: What every published registry says of it.
        assets: Its assets.
    """

    entry: CardEntry
    assets: tuple[ListedAsset, ...] = ()

    @property
    def uid(self) -> str:
        """The card's UID."""
        return str(self.entry.uid)

    @property
    def digest(self) -> str:
        """The SHA-256 of the card's bytes."""
        return self.entry.digest

    @property
    def is_incomplete(self) -> bool:
        """Whether the mirror lacks one of its assets."""
        return any(not asset.digest for asset in self.assets)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorIndex:
    """The content of an index.

    Attributes:
        uids: The cards by UID.
        etag: The entity tag of the index, or None if there is no index.
        serial: Its serial.
        shards: The names of its shards.
        faults: The names of shards that are missing or wrong, and why; their cards are not listed.
    """

    uids: Mapping[str, ListedCard] = field(default_factory=dict)
    etag: str | None = None
    serial: int = 0
    shards: frozenset[str] = frozenset()
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, int]:
        """The size in bytes of every asset that the mirror has, by digest."""
        return {asset.digest: asset.size or 0 for one in self.uids.values() for asset in one.assets if asset.digest}


def load(place: Destination) -> MirrorIndex:
    """Read a mirror's index; an empty one if there is none.

    Raises:
        MirrorError: If it cannot be read, or is not an index of this version.
    """
    found = place.read(INDEX, MAX_BYTES)
    if found is None:
        return MirrorIndex()
    index = parse(found[0], f"{place.name}/{INDEX}")

    def read(shard: Shard) -> tuple[list[ListedCard], str | None]:
        data = place.read(shard.path, MAX_BYTES)
        if data is None:
            return [], "it is missing"
        return parse_cards(data[0], shard)

    uids: dict[str, ListedCard] = {}
    faults = {}
    with ThreadPoolExecutor(_JOBS) as pool:
        for shard, (cards, fault) in zip(index.shards, pool.map(read, index.shards), strict=True):
            uids.update((one.uid, one) for one in cards)
            if fault is not None:
                faults[shard.path] = fault
    shards = frozenset(shard.path for shard in index.shards)
    return MirrorIndex(uids=uids, etag=found[1], serial=index.serial, shards=shards, faults=faults)


def parse(data: bytes, where: str) -> PublishedIndex:
    """Read the head of an index.

    Raises:
        MirrorError: If it is not an index, or one of another version.
    """
    index = published_index.read_index(data)
    if index is None:
        raise MirrorError(
            f"{where} is not the index of a mirror, or has another version",
            hint="check that this is the right place, or install a newer hubtool; if the index of a mirror was "
            "damaged, remove that file, and `hubtool mirror sync` writes a new one",
        )
    return index


def parse_cards(data: bytes, shard: Shard) -> tuple[list[ListedCard], str | None]:
    """Read the cards of a shard; return them, and what is wrong with the shard, or None."""
    if digest_of(data) != shard.digest:
        return [], "it does not have the digest that the index states"
    try:
        cards = json.loads(data)["cards"]
    except (ValueError, RecursionError, KeyError, TypeError):
        cards = None
    if not isinstance(cards, list):
        return [], "it is not a shard"
    return [one for one in map(_card, cards) if one is not None], None


def render(cards: Mapping[str, ListedCard], serial: int) -> tuple[bytes, list[tuple[Shard, bytes]]]:
    """Return the bytes of an index, and its shards with their bytes; the same cards give the same bytes."""
    width = published_index.width_for(len(cards))
    groups: dict[str, list[dict[str, object]]] = {}
    for uid in sorted(cards):
        one = cards[uid]
        assets = [
            {"link": asset.link, **({"digest": asset.digest, "size": asset.size} if asset.digest else {})}
            for asset in one.assets
        ]
        groups.setdefault(published_index.shard_name(uid, width), []).append(
            {**one.entry.as_published(), "assets": assets}
        )
    shards = [published_index.shard_bytes(name, groups[name]) for name in sorted(groups)]
    return published_index.index_bytes([shard for shard, _ in shards], width, serial), shards


def write(place: Destination, cards: Mapping[str, ListedCard], before: MirrorIndex) -> bool | None:
    """Write an index: shards first, then the index itself in one step.

    Args:
        place: Where the mirror is.
        cards: The cards by UID.
        before: The index as it was read.

    Returns:
        Whether it was written; False if nothing changed, and None if another worker changed it since it was read.

    Raises:
        MirrorError: If it cannot be written.
    """
    whole = before.etag is not None and not before.faults
    if whole and cards == before.uids:
        return False
    data, shards = render(cards, before.serial + 1)
    if whole and {shard.path for shard, _ in shards} == before.shards:
        return False
    there = before.shards - before.faults.keys()
    place.write({shard.path: own for shard, own in shards if shard.path not in there})
    return True if place.replace(INDEX, data, before.etag) else None


def update(place: Destination, ours: Mapping[str, ListedCard], removed: Iterable[str]) -> bool:
    """Put our cards into the index beside those of other workers; return whether it changed.

    Args:
        place: Where the mirror is.
        ours: Our cards by UID.
        removed: The UIDs of the cards that leave the index.

    Raises:
        MirrorError: If the index cannot be read or written, or others change it all the time.
    """
    away = set(removed)
    for _ in range(_ATTEMPTS):
        current = load(place)
        merged = {uid: one for uid, one in current.uids.items() if uid not in away}
        merged.update({uid: _fuller(one, current.uids.get(uid)) for uid, one in ours.items()})
        written = write(place, merged, current)
        if written is not None:
            return written
        time.sleep(random.SystemRandom().uniform(0.01, 0.2))
    raise MirrorError(
        f"{place.name}/{INDEX} was changed by others each time that we tried to write it",
        hint="let the other workers end, and run the command again",
    )


def _fuller(ours: ListedCard, theirs: ListedCard | None) -> ListedCard:
    """Add to what we know of a card the assets that another worker brought and we did not."""
    if theirs is None or theirs.digest != ours.digest or len(theirs.assets) != len(ours.assets):
        return ours
    assets = tuple(one if one.digest else other for one, other in zip(ours.assets, theirs.assets, strict=True))
    return replace(ours, assets=assets)


def _card(card: object) -> ListedCard | None:
    entry = CardEntry.of_json(card)
    if entry is None or not isinstance(card, dict) or not _is_digest(entry.digest):
        return None
    assets = card.get("assets", [])
    return ListedCard(entry=entry, assets=tuple(_assets(assets if isinstance(assets, list) else [])))


def _assets(assets: Iterable[object]) -> Iterator[ListedAsset]:
    for asset in assets:
        if isinstance(asset, dict) and isinstance(asset.get("link"), str):
            digest, size = asset.get("digest"), asset.get("size")
            there = _is_digest(digest) and isinstance(size, int)
            yield ListedAsset(link=asset["link"], digest=str(digest) if there else "", size=size if there else None)


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == FULL_LENGTH and _HEX.issuperset(text)
