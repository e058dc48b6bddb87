"""Paths of a store."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from hubtool.digest import FULL_LENGTH, SHORTEST
from hubtool.errors import ArgumentError
from hubtool.store.records import HEX

if TYPE_CHECKING:
    from pathlib import Path


class Layout:
    """Where everything of a store is.

    Attributes:
        root: The folder with the blobs.
        state: The folder of everything but the blobs, in the same file system.
    """

    def __init__(self, root: Path, state: Path | None = None) -> None:
        self.root = root.absolute()
        self.state = self.root if state is None else state.absolute()

    def blob_path(self, digest: str, root: Path | None = None) -> Path:
        """Return where the asset of a digest is, below the root or another store's folder.

        Raises:
            ArgumentError: If this is not a digest.
        """
        if not HEX.issuperset(digest):
            raise ArgumentError(f"{digest!r} is not a SHA-256 digest", hint="parse it with Digest.parse")
        return (root or self.root) / "blobs" / "sha256" / digest[:2] / digest

    def derived_path(self, digest: str, kind: str) -> Path:
        """Return where the file of a kind is that was made from an asset.

        Raises:
            ArgumentError: If the two name none.
        """
        if len(digest) != FULL_LENGTH or not HEX.issuperset(digest) or not kind.isidentifier():
            raise ArgumentError(f"{digest!r} and {kind!r} do not name a derived file", hint="give the whole digest")
        return self.state / "derived" / kind / digest[:2] / f"{digest}.{kind}"

    def record_path(self, kind: str, digest: str) -> Path:
        """Return where the record of a file is; ``kind`` is ``blobs``, ``links``, ``local``, or a derived kind."""
        return self.state / "records" / kind / digest[:2] / f"{digest}.json"

    def link_record_path(self, digest: str, link: str) -> Path:
        """Return where the whole digest of what came from a link is recorded."""
        about = f"{digest[:SHORTEST]} {link.strip('<> ')}"
        return self.record_path("links", hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest())

    def temporary_path(self, digest: str, kind: str) -> Path:
        """Make up a temporary path; its name begins with the key of the lock under which it is written."""
        return self.state / "temporary" / f"{digest}.{os.urandom(4).hex()}.{kind}.part"
