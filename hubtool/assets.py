"""The assets of found cards: fetched, or verified where they stand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from hubtool.errors import (
    AssetError,
    CardError,
    CardNotFoundError,
    DigestError,
    ForbiddenLinkError,
    OfflineError,
)
from hubtool.registry import Registries
from hubtool.resolution.stored import check_size, local_copy, local_path

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Asset
    from hubtool.digest import Digest
    from hubtool.hub import Hub
    from hubtool.resolution.finding import FoundCard
    from hubtool.store.records import Stored
    from hubtool.transfer.events import ProgressCallback


def fetch_asset(
    hub: Hub, found: FoundCard, asset: Asset, *, force: bool = False, progress: ProgressCallback | None = None
) -> Stored:
    """Return the verified file of an asset, fetching it if it is not stored.

    Args:
        hub: Settings, registries and store.
        found: The card that names the asset.
        asset: The asset.
        force: Whether to fetch it even if it is stored.
        progress: Called with the bytes received so far and the bytes of the file, or None where that is not known.

    Raises:
        AssetError: If the asset is not available; the subclasses say why.
    """
    digest = _stated(asset)
    if asset.is_local:
        return local_asset(hub, found, asset)
    from hubtool.transfer.fetcher import fetch  # noqa: PLC0415

    try:
        return fetch(
            asset.link,
            digest=digest,
            size=asset.size,
            store=hub.store,
            policy=hub.policy,
            mirrors=hub.mirrors,
            offline=hub.settings.offline,
            force=force,
            progress=progress,
        )
    except DigestError as error:
        if found.pin is None:
            raise
        raise found.pin.error(error.message, hint=error.hint) from error


def local_asset(hub: Hub, found: FoundCard, asset: Asset) -> Stored:
    """Verify an asset beside its card; a pinned asset can also be in the store or in a mirror.

    Raises:
        AssetError: If it is not there, or is another file.
    """
    digest = _stated(asset)
    if found.pin is None:
        return check_size(found, asset, hub.store.verify_in_place(local_path(found, asset), digest, size=asset.size))
    stored = local_copy(found, asset, registries=hub.registries, store=hub.store) or hub.store.find(digest)
    if stored is not None:
        return check_size(found, asset, stored)
    from hubtool.transfer.events import FetchRequest  # noqa: PLC0415 - as in `fetch_asset`

    # Its own link is relative and cannot be fetched: only a mirror can have it.
    with suppress(ForbiddenLinkError, OfflineError), hub.fetcher() as run:
        return run.fetch(FetchRequest(link=asset.link, digest=digest, size=asset.size, name=asset.file_name))
    raise found.pin.error(
        f"the asset {asset.link}, with the SHA-256 {digest}, belongs beside its card, and neither a registry, "
        "the store nor a mirror has it",
        hint="name a mirror that has it (HUBTOOL_MIRRORS), or the registry as it was",
    )


def stored_checkpoint(hub: Hub, name: str) -> Path:
    """Return the stored checkpoint of a card.

    Raises:
        AssetError: If the card names none, or it is not stored.
    """
    resolution = hub.resolve(hub.find(name), loading=True, code=False)
    weights = resolution.weights
    if weights is None:
        raise AssetError(f"the card {resolution.uid} names no checkpoint")
    if not weights.asset.is_weights:
        raise AssetError(
            f"{weights.asset.file_name} of {resolution.uid} is not a checkpoint but a graph in the format "
            f"{weights.asset.format}, run by {weights.asset.runner}",
            hint=f"'hubtool load {resolution.uid}' loads it",
        )
    if weights.stored is None and weights.asset.is_local:
        return fetch_asset(hub, resolution.found, weights.asset).path  # raises the error that says why
    if weights.stored is None:
        raise AssetError(
            f"the checkpoint of {resolution.uid} is not stored",
            hint=f"fetch it with 'hubtool fetch {resolution.uid}'",
        )
    return weights.stored


def references(hub: Hub) -> dict[Digest, tuple[str, ...]]:
    """Return the digests that the cards of the registries state, whole or short, with the cards' UIDs.

    Assets that the lockfile in force pins count too, even if the registries no longer name them. Cards that cannot be
    read are skipped; ``hubtool validate`` reports them.

    Raises:
        LockfileError: If the lockfile in force cannot be read, so that what it needs is not known.
    """
    found: dict[Digest, list[str]] = {}
    if hub.settings.lock is not None:
        from hubtool.digest import Digest  # noqa: PLC0415 - most runs have no lockfile
        from hubtool.lockfile.lockfile import read  # noqa: PLC0415 - as above

        for card in read(hub.settings.lock).cards:
            for locked in card.assets:
                found.setdefault(Digest(locked.sha256), []).append(card.uid)
    # Cards of remote registries that were never fetched have no assets here, so the network is not needed.
    registries = Registries.open(replace(hub.settings, offline=True))
    for uid in registries.uids():
        with suppress(CardError, CardNotFoundError, OfflineError):
            for asset in registries.read(uid)[0].assets:
                if asset.digest is not None:
                    found.setdefault(asset.digest, []).append(str(uid))
    return {digest: tuple(dict.fromkeys(uids)) for digest, uids in found.items()}


def _stated(asset: Asset) -> Digest:
    if asset.digest is None:
        raise AssetError(
            f"{asset.file_name} has no SHA-256 digest on its card, so its bytes cannot be verified",
            hint="add 'asset-sha256' to the card",
        )
    return asset.digest
