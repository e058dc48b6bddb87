"""The names of the files in a mirror."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.digest import FULL_LENGTH
from hubtool.errors import InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from hubtool.mirror.destination import Destination

INDEX = "index.json"
INDEX_SHARDS = "index"
CARDS = "cards"
BLOBS = "blobs/sha256"
SHARD_DIGITS = 2
"""Number of first digits of a digest that name its shard: the folder of its blob, and what a worker does in one go."""

_BLOB = re.compile(rf"{BLOBS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{{FULL_LENGTH - 2}}})\Z")
_INDEX_SHARD = re.compile(rf"{INDEX_SHARDS}/(?:all|[0-9a-f]{{1,6}})-[0-9a-f]{{16}}\.json\Z")


def blob_name(digest: str) -> str:
    """Return a blob's name in a mirror."""
    return f"{BLOBS}/{digest[:SHARD_DIGITS]}/{digest}"


def card_name(uid: str) -> str:
    """Return a card's name in a mirror."""
    return f"{CARDS}/{uid}.md"


def parse_blob(name: str) -> str | None:
    """Return the digest in a blob's name, or None if it is not the name of a blob."""
    match = _BLOB.match(name)
    return match[2] if match else None


def parse_card(name: str) -> str | None:
    """Return the UID in a card's name, or None if it is not the name of a card."""
    if not name.startswith(f"{CARDS}/") or not name.endswith(".md"):
        return None
    try:
        return str(Uid.parse(name[len(CARDS) + 1 : -3]))
    except InvalidNameError:
        return None


def is_index_shard(name: str) -> bool:
    """Whether a name is that of a shard of the index."""
    return _INDEX_SHARD.match(name) is not None


def blobs(place: Destination, shard: str = "") -> dict[str, int]:
    """Return the size in bytes of each blob by digest, of the whole mirror or of one shard.

    Raises:
        MirrorError: If the mirror cannot be read.
    """
    found = place.files(f"{BLOBS}/{shard}" if shard else BLOBS)
    return {digest: file.size for name, file in found.items() if (digest := parse_blob(name))}


def cards(place: Destination) -> set[str]:
    """Return the UIDs of all card files.

    Raises:
        MirrorError: If the mirror cannot be read.
    """
    return {uid for name in place.files(CARDS) if (uid := parse_card(name))}
