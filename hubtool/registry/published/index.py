"""The index of a registry as static files, which any web server or object store can serve.

::

    index.json                     how many cards there are, and the list of the shards
    index/<shard>-<digest>.json    what lists and searches say of a part of the cards
    cards/<uid>.md                 the cards, and beside them the assets that they name by relative links

The shard of a card follows from the first hexadecimal digits of the SHA-256 of its UID; there are as many shards as it
takes for each to have some hundred cards. The name of a shard has its digest, so shards never change, and a client
fetches those that it does not have. The index comes last and names only what is there.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.registry.entry import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


VERSION = 1
INDEX = "index.json"
# The most cards in a shard, on average: a client that wants the facts of one card fetches no more than these.
_SHARD_CARDS = 512
_MAX_WIDTH = 3
# A reader refuses what is larger before it reads on; the public hub has 3,000 cards.
MAX_INDEX_BYTES = 2 << 20
MAX_SHARD_BYTES = 16 << 20
MAX_ALL_SHARDS_BYTES = 256 << 20
MAX_CARDS = 200_000
MAX_SERIAL = (1 << 63) - 1
SHARD = re.compile(r"(?P<name>all|[0-9a-f]{1,6})-(?P<digest>[0-9a-f]{16})\.json\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One part of a published index: its name, file, digest, and how many bytes and cards it has."""

    name: str
    path: str
    digest: str
    size: int
    cards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedIndex:
    """What an index says: its serial, how many cards there are, how many digits name a shard, and the shards.

    The serial rises with each change. Indexes that were written before there were serials count as 0.
    """

    serial: int = 0
    cards: int = 0
    width: int = 0
    shards: tuple[Shard, ...] = ()


def width_for(cards: int) -> int:
    """Return how many digits name a shard for a number of cards."""
    width = 0
    while cards > _SHARD_CARDS * 16**width and width < _MAX_WIDTH:
        width += 1
    return width


def shard_name(uid: str, width: int) -> str:
    """Return the name of the shard that a card is in."""
    return hashlib.sha256(uid.encode("utf-8")).hexdigest()[:width] or "all"


def shard_bytes(name: str, cards: Sequence[Mapping[str, object]]) -> tuple[Shard, bytes]:
    """Return a shard and its bytes.

    Args:
        name: Its name, as :func:`shard_name` gives it.
        cards: The members of each card, in order of UIDs.
    """
    # One card a line: that reads well, and is written ten times as fast as with an indent.
    lines = ",\n".join(json.dumps(card, ensure_ascii=False, sort_keys=True) for card in cards)
    data = f'{{"version": {VERSION}, "cards": [\n{lines}\n]}}\n'.encode()
    digest = digest_of(data)
    path = f"index/{name}-{digest[:16]}.json"
    return Shard(name=name, path=path, digest=digest, size=len(data), cards=len(cards)), data


def index_bytes(shards: Sequence[Shard], width: int, serial: int) -> bytes:
    """Return the bytes of an index of shards, which are given in order of names."""
    return json_bytes(
        {
            "version": VERSION,
            "serial": serial,
            "cards": sum(shard.cards for shard in shards),
            "width": width,
            "shards": [
                {"name": one.name, "path": one.path, "digest": one.digest, "size": one.size, "cards": one.cards}
                for one in shards
            ],
        }
    )


def read_index(data: bytes | None) -> PublishedIndex | None:
    """Read an index, which may come from anywhere; None if it is not one of this version, or larger than any is."""
    if data is not None and len(data) > MAX_INDEX_BYTES:
        return None
    try:
        value = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return None
    width, cards, listed = value.get("width"), value.get("cards"), value.get("shards")
    serial = value.get("serial", 0)
    if not isinstance(width, int) or not 0 <= width <= _MAX_WIDTH or not isinstance(listed, list):
        return None
    if not isinstance(serial, int) or isinstance(serial, bool) or not 0 <= serial <= MAX_SERIAL:
        return None
    if len(listed) > 16**width:
        return None
    shards = []
    for item in listed:
        if not isinstance(item, dict):
            return None
        name, path, digest, size, count = (item.get(key) for key in ("name", "path", "digest", "size", "cards"))
        if not isinstance(name, str) or not isinstance(path, str) or not isinstance(digest, str):
            return None
        match = SHARD.match(path.removeprefix("index/"))
        if not match or match["name"] != name or not _HEX64.match(digest) or match["digest"] != digest[:16]:
            return None
        if not isinstance(size, int) or not isinstance(count, int):
            return None
        if not 0 <= size <= MAX_SHARD_BYTES or not 0 <= count <= MAX_CARDS:
            return None
        shards.append(Shard(name=name, path=path, digest=digest, size=size, cards=count))
    if len({shard.name for shard in shards}) < len(shards):
        return None
    if sum(shard.size for shard in shards) > MAX_ALL_SHARDS_BYTES or sum(one.cards for one in shards) > MAX_CARDS:
        return None
    return PublishedIndex(
        serial=serial, cards=cards if isinstance(cards, int) else 0, width=width, shards=tuple(shards)
    )


def json_bytes(value: object) -> bytes:
    """Return a value as the compact JSON that registries and records are written in."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")
