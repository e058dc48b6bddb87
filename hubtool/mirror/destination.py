"""What a mirror needs of the place that holds it: a folder or an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hubtool.store.records import Stored
    from hubtool.store.store import Store


class MirrorFile(NamedTuple):
    """A file in a mirror.

    Attributes:
        size: Its size in bytes.
        modified: When it was written, in seconds since 1970.
    """

    size: int
    modified: float


class Destination(Protocol):
    """A place that holds a mirror, or will hold one. Threads may share it.

    Names are relative to the mirror, with slashes. Every method raises MirrorError if the place cannot be read or
    written.

    Attributes:
        name: The place, as messages name it.
        is_folder: Whether it is a folder of this machine's file systems.
    """

    name: str
    is_folder: bool

    def files(self, folder: str) -> dict[str, MirrorFile]:
        """Return the files below a folder by name; none if there is no such folder."""
        ...

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if there is none."""
        ...

    def read(self, name: str, limit: int) -> tuple[bytes, str] | None:
        """Return a document and its entity tag, or None if there is none.

        Args:
            name: The document.
            limit: Its largest size in bytes.
        """
        ...

    def blob(self, digest: str) -> AbstractContextManager[Iterator[bytes | memoryview]]:
        """Read a blob, block by block."""
        ...

    def add(self, file: Stored, *, move: bool = False) -> bool:
        """Add a blob in one step if it is not there yet; return whether it was added.

        Args:
            file: The file. If it is not moved, it is hashed while it is copied.
            move: Whether the file may be moved: it was verified, and stays nowhere else.

        Raises:
            MirrorError: If the place cannot be written.
            DigestError: If the file no longer has its digest.
            StoreError: If the file cannot be read.
        """
        ...

    def write(self, documents: Mapping[str, bytes]) -> None:
        """Write documents by name, each in one step; existing ones are replaced."""
        ...

    def replace(self, name: str, data: bytes, etag: str | None) -> bool:
        """Replace a document that has this entity tag; return False if it has another one.

        All that was written before is on the disk first.

        Args:
            name: The document.
            data: What it is to hold.
            etag: The entity tag that it must have; None if there must be none.
        """
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove files; missing ones are skipped."""
        ...

    def staging(self, home: Path) -> Store:
        """Return the store into which assets are fetched on their way; it has one lock for each shard.

        Args:
            home: The folder of the user's own store.
        """
        ...
