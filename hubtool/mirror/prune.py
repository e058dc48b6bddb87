"""Removing the blobs of a mirror that no card names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hubtool.errors import MirrorError
from hubtool.mirror import index, layout
from hubtool.mirror.layout import blob_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hubtool.mirror.destination import Destination
    from hubtool.mirror.plan import MirrorPlan

GRACE_SECONDS = 3600.0
"""Seconds for which a blob that no card names stays, because another worker may be about to name it."""


def removable(
    place: Destination, todo: MirrorPlan, *, grace: float = GRACE_SECONDS
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return what a sync that prunes would remove: the UIDs of cards, and the sizes of blobs by digest.

    Raises:
        MirrorError: If the mirror cannot be read.
    """
    return todo.gone, _older(place, todo.unreferenced_after, grace)


def unnamed(place: Destination, *, grace: float = GRACE_SECONDS) -> dict[str, int]:
    """Return the size of each blob that is older than ``grace`` and that no card in the mirror's index names.

    Raises:
        MirrorError: If the mirror cannot be read, has no index, or one that is damaged.
    """
    listing = index.load(place)
    if listing.faults:
        raise MirrorError(
            f"the index of {place.name} is damaged, so it is not known which blobs it names",
            hint="run `hubtool mirror sync` first",
        )
    if listing.etag is None:
        raise MirrorError(
            f"{place.name} has no index, so no card names any blob", hint="run `hubtool mirror sync` first"
        )
    named = listing.digests
    return _older(place, {digest: size for digest, size in layout.blobs(place).items() if digest not in named}, grace)


def _older(place: Destination, blobs: Mapping[str, int], grace: float) -> dict[str, int]:
    """Return those blobs that were written at least ``grace`` seconds ago, by this machine's clock.

    Object stores refuse requests from a machine whose clock is more than some minutes off.
    """
    files, now = place.files(layout.BLOBS) if blobs else {}, time.time()
    return {
        digest: size
        for digest, size in blobs.items()
        if (file := files.get(blob_name(digest))) is not None and now - file.modified >= grace
    }


def remove(place: Destination, digests: Iterable[str], *, grace: float = GRACE_SECONDS) -> None:
    """Remove blobs, and the shards of earlier indexes that are older than ``grace`` seconds.

    Raises:
        MirrorError: If the mirror cannot be read or written.
    """
    place.remove([blob_name(digest) for digest in sorted(digests)])
    # A client may have read the index before this one, and another worker may be about to write the next.
    named, now = index.load(place).shards, time.time()
    place.remove(
        [
            name
            for name, file in sorted(place.files(layout.INDEX_SHARDS).items())
            if layout.is_index_shard(name) and name not in named and now - file.modified >= grace
        ]
    )
