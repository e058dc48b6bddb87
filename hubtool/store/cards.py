"""Cards kept in the store by their digest, so that what a lock pins stays loadable although its registry moves on.

Below the store's root: ``cards/sha256/ab/<digest>.md``. They are small, and no pruning of blobs touches them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hubtool import files, regular
from hubtool.card import document as documents

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.store.store import Store


def keep(store: Store, data: bytes) -> Path:
    """Keep the bytes of a card, and return where.

    Raises:
        StoreError: If the store cannot be written.
    """
    digest = hashlib.sha256(data).hexdigest()
    path = _path(store.root, digest)
    if _read(path, digest) is not None:
        return path
    try:
        files.write_atomically(path, data, read_only=True, parents=True)
    except OSError as error:
        raise files.store_error(error, path) from error
    return path


def find(store: Store, digest: str) -> tuple[Path, bytes] | None:
    """Return a card that is kept, in the store or in a shared one, and where; None if it is not, or was changed."""
    for root in (store.root, *store.shared):
        path = _path(root, digest)
        data = _read(path, digest)
        if data is not None:
            return path, data
    return None


def _read(path: Path, digest: str) -> bytes | None:
    try:
        data = regular.read_bytes(path, documents.MAX_BYTES + 1)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def _path(root: Path, digest: str) -> Path:
    return root / "cards" / "sha256" / digest[:2] / f"{digest}.md"
