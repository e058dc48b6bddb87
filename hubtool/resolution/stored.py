"""Assets of a found card that are on this machine and match their digest; nothing is fetched."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hubtool.errors import AssetError, ForbiddenLinkError

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Asset
    from hubtool.registry import Registries
    from hubtool.resolution.finding import FoundCard
    from hubtool.store.records import Stored
    from hubtool.store.store import Store


def stored_asset(found: FoundCard, asset: Asset, *, registries: Registries, store: Store) -> Stored | None:
    """Return the verified file of an asset, or None if it is not here.

    Args:
        found: The card that names the asset.
        asset: The asset.
        registries: The registries, with the files beside their cards.
        store: The store, which records files that were hashed.

    Raises:
        AssetError: If a file beside the card does not match the digest or the size on the card.
        LockfileError: If its size differs from the lockfile.
        StoreError: If the store cannot be read.
    """
    if asset.digest is None:
        return None
    if not asset.is_local:
        stored = store.find(asset.digest, link=asset.link)
    elif found.pin is not None:
        stored = local_copy(found, asset, registries=registries, store=store) or store.find(asset.digest)
    else:
        stored = store.verify_in_place(local_path(found, asset), asset.digest, size=asset.size)
    return None if stored is None else check_size(found, asset, stored)


def local_copy(found: FoundCard, asset: Asset, *, registries: Registries, store: Store) -> Stored | None:
    """Return an asset beside the card of a pinned UID in any registry, if its digest matches.

    Args:
        found: The pinned card.
        asset: The asset.
        registries: The registries, with the files beside their cards.
        store: The store, which records files that were hashed.
    """
    if asset.digest is None or found.card.uid is None:
        return None
    for member in registries.members:
        if member.root is not None:
            near = replace(found, root=member.root, card=replace(found.card, path=member.root / found.card.uid.path))
            with suppress(AssetError):
                return store.verify_in_place(local_path(near, asset), asset.digest)
    return None


def local_path(found: FoundCard, asset: Asset) -> Path:
    """Return where an asset beside its card is.

    Raises:
        ForbiddenLinkError: If its link leads out of the registry.
    """
    root = found.root
    base = found.card.path.parent if found.card.path else root
    path = None if base is None else base / unquote(asset.link)
    if path is None or root is None or not path.resolve().is_relative_to(root.resolve()):
        raise ForbiddenLinkError(
            f"the asset link {asset.link!a} leads out of the registry", hint="put the file beside the card"
        )
    return path


def check_size(found: FoundCard, asset: Asset, stored: Stored) -> Stored:
    """Return a file if its size is the one on the card or in the lockfile.

    Raises:
        AssetError: If the size on the card differs.
        LockfileError: If the size in the lockfile differs.
    """
    if stored.fits(asset.size):
        return stored
    problem = (
        f"{asset.file_name} is stated to have {asset.size:,} bytes, and the file with its SHA-256 has {stored.size:,}"
    )
    if found.pin is not None:
        raise found.pin.error(problem)
    raise AssetError(found.card.blame(problem), hint="correct 'asset-size' on the card")
