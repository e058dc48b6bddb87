"""The mirror's index: what ``registry publish`` writes of each card, and each asset's whole digest and size."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hubtool.digest import FULL_LENGTH
from hubtool.errors import InvalidNameError, MirrorError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "index.json"
FORMAT = "hubtool-registry-index"
VERSION = 1
MAX_BYTES = 1 << 30
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAsset:
    """One asset of a card in a mirror.

    Attributes:
        link: Its link, as the card writes it.
        digest: Its whole digest; empty where the mirror does not have it.
        size: Its bytes, or None where the mirror does not have it.
    """

    link: str
    digest: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One card in a mirror.

    Attributes:
        uid: Its UID.
        digest: The SHA-256 of its bytes.
        facts: What else the index says of it.
        assets: Its assets.
    """

    uid: str
    digest: str
    facts: Mapping[str, object] = field(default_factory=dict)
    assets: tuple[ListedAsset, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An index: the cards by UID."""

    uids: Mapping[str, Listed] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, int | None]:
        """The bytes of every asset that the mirror has, by digest."""
        return {asset.digest: asset.size for one in self.uids.values() for asset in one.assets if asset.digest}


def render(listing: Listing) -> bytes:
    """Return the bytes of an index; the same cards give the same bytes."""
    cards = []
    for uid in sorted(listing.uids):
        one = listing.uids[uid]
        assets = [
            {"link": asset.link, **({"digest": asset.digest, "size": asset.size} if asset.digest else {})}
            for asset in one.assets
        ]
        cards.append({**one.facts, "uid": uid, "digest": one.digest, "assets": assets})
    head = json.dumps({"format": FORMAT, "version": VERSION}, ensure_ascii=False)[:-1]
    # One card a line: two indexes can be compared, and a line is a change.
    lines = ",\n".join(json.dumps(card, ensure_ascii=False, sort_keys=True) for card in cards)
    return f'{head}, "cards": [\n{lines}\n]}}\n'.encode()


def read(data: bytes, where: str) -> Listing:
    """Read an index.

    Members that are unknown are kept or passed over; cards that cannot be read are passed over.

    Raises:
        MirrorError: If it is not an index, or one of a later version.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raw = None
    cards = raw.get("cards") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(cards, list) or raw.get("format") != FORMAT:
        raise MirrorError(f"{where} is not the index of a mirror", hint="look whether this is the right place")
    if raw.get("version") != VERSION:
        raise MirrorError(
            f"{where} is an index of version {raw.get('version')!r}, and this hubtool reads version {VERSION}",
            hint="install a newer hubtool",
        )
    listed = (_card(card) for card in cards)
    return Listing(uids={one.uid: one for one in listed if one is not None})


def _card(card: object) -> Listed | None:
    if not isinstance(card, dict):
        return None
    uid, digest, assets = card.get("uid"), card.get("digest"), card.get("assets", [])
    if not isinstance(uid, str) or not _is_digest(digest):
        return None
    try:
        Uid.parse(uid)
    except InvalidNameError:
        return None
    return Listed(
        uid=uid,
        digest=str(digest),
        facts={key: value for key, value in card.items() if key not in ("uid", "digest", "assets")},
        assets=tuple(_assets(assets if isinstance(assets, list) else [])),
    )


def _assets(assets: Iterable[object]) -> Iterable[ListedAsset]:
    for asset in assets:
        if isinstance(asset, dict) and isinstance(asset.get("link"), str):
            digest, size = asset.get("digest"), asset.get("size")
            if _is_digest(digest) and isinstance(size, int):
                yield ListedAsset(link=asset["link"], digest=str(digest), size=size)
            else:
                yield ListedAsset(link=asset["link"], digest="", size=None)


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == FULL_LENGTH and _HEX.issuperset(text)
