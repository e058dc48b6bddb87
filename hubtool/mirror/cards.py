"""What the registries want of a mirror: their cards, and the assets that these name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hubtool.digest import Digest
from hubtool.errors import CardError, HubError
from hubtool.mirror.plan import Wanted, WantedAsset
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.card.model import Card
    from hubtool.mirror.index import Listed, Listing
    from hubtool.registry import Registries


def wanted(registries: Registries, listing: Listing, asked: Callable[[str], bool]) -> tuple[Wanted, ...]:
    """Return the cards that are asked for, in order of UIDs.

    A card whose bytes are those that the mirror lists, with every asset there, is not read as a card again: that is
    what makes a second sync quick.

    Args:
        registries: The registries.
        listing: The mirror's index.
        asked: Whether a UID is asked for.
    """
    return tuple(
        _wanted(registries, uid, listing.uids.get(str(uid))) for uid in sorted(registries.uids()) if asked(str(uid))
    )


def _wanted(registries: Registries, uid: Uid, listed: Listed | None) -> Wanted:
    try:
        data = read_bytes(registries, str(uid))
        own = digest(data or b"")
        if listed is not None and listed.digest == own and all(asset.digest for asset in listed.assets):
            known = tuple(
                WantedAsset(link=asset.link, digest=Digest(asset.digest), size=asset.size) for asset in listed.assets
            )
            return Wanted(uid=str(uid), digest=own, facts=listed.facts, assets=known)
        card, _ = registries.read(uid)
    except HubError as error:
        return Wanted(uid=str(uid), digest="", facts={}, assets=(), problem=str(error).replace("\nhint: ", "; "))
    if card.faults and not card.assets:
        problem = card.blame("the card names no assets")
        return Wanted(uid=str(uid), digest="", facts={}, assets=(), problem=problem)
    assets = tuple(WantedAsset(link=asset.link, digest=asset.digest, size=asset.size) for asset in card.assets)
    return Wanted(uid=str(uid), digest=own, facts=facts(card), assets=assets)


def facts(card: Card) -> dict[str, object]:
    """Return what the index says of a card besides its assets."""
    return {"title": card.title or ""}


def read_bytes(registries: Registries, uid: str) -> bytes | None:
    """Return the bytes of a card, or None if no registry has it.

    Raises:
        HubError: If it cannot be read.
    """
    parsed = Uid.parse(uid)
    for member in registries.members:
        path = member.path(parsed)
        if path is not None:
            try:
                return path.read_bytes()
            except OSError as error:
                raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    return None


def digest(data: bytes) -> str:
    """Return the digest of a card's bytes."""
    return hashlib.sha256(data).hexdigest()
