"""Hashing a file that is going to be an asset, and must not change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.digest import digest_file
from hubtool.errors import AssetError
from hubtool.publish.finishing import Measured

if TYPE_CHECKING:
    from pathlib import Path


def measure(path: Path) -> Measured:
    """Hash a file.

    Raises:
        AssetError: If it cannot be read, changes meanwhile, or is empty.
    """
    try:
        before = path.stat()
        digest = digest_file(path)
        after = path.stat()
    except OSError as error:
        raise AssetError(f"{path} cannot be read: {error.strerror or error}") from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise AssetError(f"{path} was changed while it was read", hint="wait until it is written, and try again")
    if not before.st_size:
        raise AssetError(f"{path} is empty: it has 0 bytes", hint="give the file itself, or write it again")
    return Measured(path=path, digest=digest, size=before.st_size)
