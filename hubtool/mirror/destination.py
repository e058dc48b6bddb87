"""Where mirrors are: one narrow interface, and the way from a text to the destination that it means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from hubtool import settings
from hubtool.digest import FULL_LENGTH
from hubtool.errors import ArgumentError, InvalidNameError, OfflineError
from hubtool.links import scheme_of
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hubtool.store.records import Stored
    from hubtool.store.store import Store

UNIT = 2
"""How many of a digest's first digits name the unit of work that it belongs to: what one worker claims at once."""

TAKEOVER = 60.0
"""Seconds after which the work of a worker that gives no sign of life is taken over."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_BLOB = re.compile(rf"blobs/sha256/([0-9a-f]{{2}})/(\1[0-9a-f]{{{FULL_LENGTH - 2}}})\Z")


class Claim(Protocol):
    """The right to put the blobs of one unit in, for as long as it is held. Used by one thread."""

    def add(self, file: Stored, *, move: bool = False) -> bool:
        """Put a blob in, in one step and once; return whether it was not there.

        The bytes are hashed once more on their way. They may be visible only after :meth:`settle`.

        Args:
            file: The verified file.
            move: Whether the file is no longer needed where it is.

        Raises:
            MirrorError: If the destination cannot be written.
            ClaimLostError: If another worker took the unit over.
            DigestError: If the file changed since it was verified.
            StoreError: If the file cannot be read.
        """
        ...

    def settle(self) -> None:
        """Make sure that everything that was added is visible, and stays so if the power fails.

        Raises:
            MirrorError: If the destination cannot be written; what was added since the last time may be missing.
        """
        ...


class ClaimLostError(Exception):
    """Another worker took a claim over, because this one gave no sign of life for too long."""


class Destination(Protocol):
    """A place that holds a mirror, or is going to.

    Every method raises MirrorError if the place cannot be read or written; the message says why. Threads may share one.

    Attributes:
        name: The place as messages name it.
        is_folder: Whether it is a folder of this machine's file systems.
    """

    name: str
    is_folder: bool

    def blobs(self, unit: str | None = None) -> dict[str, int]:
        """Return the bytes of every blob by digest; only those whose digest begins with ``unit`` where it is given."""
        ...

    def cards(self) -> set[str]:
        """Return the UIDs of all card files."""
        ...

    def shards(self) -> set[str]:
        """Return the names of all shards of indexes, old and new."""
        ...

    def read(self, name: str, limit: int) -> tuple[bytes, str] | None:
        """Return a document and its mark, or None where there is none.

        Args:
            name: Its name, relative to the mirror, with slashes.
            limit: The most bytes that it may have.
        """
        ...

    def replace(self, name: str, data: bytes, mark: str | None) -> bool:
        """Write a document in one step, if it still has this mark (None: if it is not there); return whether it had."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a document in one step, whatever was there."""
        ...

    def write_all(self, documents: Mapping[str, bytes], jobs: int) -> None:
        """Write documents by name, each in one step, whatever was there; ``jobs`` at once where that helps."""
        ...

    def blob(self, digest: str) -> AbstractContextManager[Iterator[bytes | memoryview]]:
        """Read a blob, block by block."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove files; those that are not there are passed over."""
        ...

    def ages(self, names: Sequence[str]) -> dict[str, float]:
        """Return how many seconds ago files were written, by the destination's own clock where it has one."""
        ...

    def claim(self, unit: str) -> AbstractContextManager[Claim | None]:
        """Claim a unit of work; yields None where another worker has it."""
        ...

    def publishing(self) -> AbstractContextManager[None]:
        """Surround the writing of cards and index."""
        ...

    def staging(self, home: Path) -> Store:
        """Return the store into which assets are fetched on their way; it has one lock for each unit.

        Args:
            home: The folder of the user's own store.
        """
        ...

    def claims(self) -> list[str]:
        """Return who is at work, for people to read."""
        ...

    def tidy(self) -> None:
        """Remove what workers that died left behind; whatever stays does no harm."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


def blob_name(digest: str) -> str:
    """Return a blob's name in a mirror."""
    return f"blobs/sha256/{digest[:2]}/{digest}"


def card_name(uid: str) -> str:
    """Return a card's name in a mirror."""
    return f"cards/{uid}.md"


def parse_blob(name: str) -> str | None:
    """Return the digest of a blob's name, or None if it is not one."""
    match = _BLOB.match(name)
    return match[2] if match else None


def parse_card(name: str) -> str | None:
    """Return the UID of a card's name, or None if it is not one."""
    if not name.startswith("cards/") or not name.endswith(".md"):
        return None
    try:
        return str(Uid.parse(name[6:-3]))
    except InvalidNameError:
        return None


def open_destination(text: str, *, takeover: float = TAKEOVER, offline: bool = False) -> Destination:
    """Open the destination that a text means: a folder, or ``s3://bucket/prefix``.

    Args:
        text: The text.
        takeover: Seconds after which a silent worker's claim is taken over; object stores only, since the system
            frees a folder's claims at once.
        offline: Whether the network may not be used; a folder is not the network.

    Raises:
        ArgumentError: If it means neither.
        OfflineError: If it is an object store, and the network may not be used.
        MirrorError: If it cannot be opened.
    """
    if re.match(r"[a-z0-9+.-]+://", text, re.IGNORECASE):
        try:
            parts = urlsplit(text)
        except ValueError:
            raise ArgumentError(f"{text[:200]!a} is not a URL", hint="give a folder, or s3://bucket/prefix") from None
        prefix = parts.path.strip("/")
        if parts.scheme != "s3" or not _BUCKET.match(parts.netloc) or parts.query or parts.fragment:
            raise ArgumentError(f"{text[:200]!a} is not a destination", hint="give a folder, or s3://bucket/prefix")
        if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
            raise ArgumentError(f"{text[:200]!a}: the prefix has empty parts or dots", hint="write s3://bucket/prefix")
        if offline:
            raise OfflineError(
                f"{text} is an object store, and the network may not be used",
                hint="run the same where HUBTOOL_OFFLINE is not set",
            )
        from hubtool.mirror.objects import ObjectDestination  # noqa: PLC0415 (only one of the two is needed)

        return ObjectDestination(parts.netloc, prefix, takeover=takeover)
    from hubtool.mirror.folder import FolderDestination  # noqa: PLC0415 (as above)

    if scheme_of(text):
        raise ArgumentError(f"{text[:200]!a} is not a destination", hint="give a folder, or s3://bucket/prefix")
    if not text or "\0" in text:
        raise ArgumentError(f"{text[:200]!a} is not a folder", hint="give a folder, or s3://bucket/prefix")
    return FolderDestination(settings.expand_user(text))
