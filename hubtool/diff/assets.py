"""Compare the assets of two cards: which were added, removed, moved or changed, and what differs within checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.assets import fetch_asset, local_asset
from hubtool.diff import tensors
from hubtool.diff.model import AssetChange
from hubtool.errors import AssetError, CheckpointError, LockfileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hubtool.card.model import Asset
    from hubtool.diff.tensors import TensorDiff
    from hubtool.hub import Hub
    from hubtool.resolution.finding import FoundCard


def compare_assets(
    hub: Hub, old: FoundCard, new: FoundCard, notes: list[str], *, values: bool, fetch: bool
) -> Iterator[AssetChange]:
    """Yield the assets that differ between two cards.

    Args:
        hub: The registries and the store.
        old: The first card.
        new: The second card.
        notes: Takes what could not be compared, one sentence each.
        values: Whether the numbers of stored checkpoints are compared.
        fetch: Whether checkpoints that are not stored are fetched.
    """
    for one, other in _pairs(old.card.assets, new.card.assets):
        before, after = _facts(one), _facts(other)
        if one is None or other is None:
            yield AssetChange(kind="added" if one is None else "removed", old=before, new=after)
            continue
        same = _same(one, other)
        if same and one.link == other.link:
            if one.format != other.format or (one.size and other.size and one.size != other.size):
                yield AssetChange(kind="restated", old=before, new=after)
            continue
        if same:
            yield AssetChange(kind="moved", old=before, new=after)
            continue
        if same is None:
            if one.link == other.link and one.digest == other.digest:
                notes.append(f"{one.link}: the cards state no digest, so whether its bytes differ is not known")
                continue
            notes.append(f"{other.link}: a digest is missing, so whether the bytes differ is not known")
        within = None
        if one.is_weights and other.is_weights:
            within = _within(hub, (old, one), (new, other), notes, values=values, fetch=fetch)
        yield AssetChange(kind="changed", old=before, new=after, tensors=within)


def _pairs(old: tuple[Asset, ...], new: tuple[Asset, ...]) -> Iterator[tuple[Asset | None, Asset | None]]:
    """Pair assets: of the same bytes, else of the same link, the same name, or the only checkpoints that are left."""
    left, right = list(old), list(new)
    rules = (
        lambda one, other: one.link == other.link and _same(one, other),
        lambda one, other: one.link == other.link,
        _same,
        lambda one, other: one.file_name == other.file_name,
        lambda one, other: one.is_weights and other.is_weights,
        lambda one, other: one.format == other.format,
    )
    paired = []
    for rule in rules:
        for one in list(left):
            other = next((other for other in right if rule(one, other)), None)
            if other is not None:
                left.remove(one)
                right.remove(other)
                paired.append((one, other))
    yield from sorted(paired, key=lambda pair: old.index(pair[0]))
    yield from ((one, None) for one in left)
    yield from ((None, other) for other in right)


def _same(one: Asset, other: Asset) -> bool | None:
    """Whether two assets are the same bytes; None if a digest is missing. A short digest is taken for the whole one."""
    if one.digest is None or other.digest is None:
        return None
    return one.digest.matches(other.digest.hex) or other.digest.matches(one.digest.hex)


def _facts(asset: Asset | None) -> dict[str, object] | None:
    if asset is None:
        return None
    digest = None if asset.digest is None else asset.digest.hex
    return {"link": asset.link, "format": asset.format, "digest": digest, "size": asset.size}


def _within(
    hub: Hub,
    old: tuple[FoundCard, Asset],
    new: tuple[FoundCard, Asset],
    notes: list[str],
    *,
    values: bool,
    fetch: bool,
) -> TensorDiff | None:
    """Compare two checkpoints as far as they are stored."""
    paths = [_stored(hub, found, asset, notes, fetch=fetch) for found, asset in (old, new)]
    if paths[0] is None or paths[1] is None:
        return None
    try:
        return tensors.diff(paths[0], paths[1], values=values)
    except CheckpointError as error:
        notes.append(error.message)
        return None


def _stored(hub: Hub, found: FoundCard, asset: Asset, notes: list[str], *, fetch: bool) -> Path | None:
    if fetch:
        return fetch_asset(hub, found, asset).path
    try:
        stored = None
        if asset.is_local:
            stored = local_asset(hub, found, asset).path
        elif asset.digest is not None:
            stored = hub.store.path(asset.digest, link=asset.link)
    except (AssetError, LockfileError) as error:
        notes.append(f"{asset.link}: {error.message}")
        return None
    if stored is None:
        notes.append(f"{asset.link} is not stored, so its tensors were not compared (--fetch brings it)")
    return stored
