"""The Transport interface, which opens a link as a stream, and its implementation for files.

:mod:`hubtool.transfer.http` has the one for HTTP(S).

A transport takes an allowed link and a range of bytes, and gives a stream. It knows no digests and no store.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from hubtool import regular
from hubtool.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager

    from hubtool.links import AllowedLink

BLOCK_BYTES = 256 << 10
"""The most bytes that come at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a server may take, in seconds.

    Attributes:
        connect: To accept a connection.
        read: To send anything at all while we wait for it.
        stall: To send its answer's head, and then to send ``floor`` bytes each time.
        floor: The bytes that must come in each ``stall`` seconds, so that a transfer ends.
    """

    connect: float = 15.0
    read: float = 30.0
    stall: float = 60.0
    floor: int = 64 << 10


class Body(Protocol):
    """The body of an answer.

    Attributes:
        start: The offset in the whole file of the first byte that comes.
        size: The bytes of the whole file, or None where the server does not say.
        content_type: The media type that the server states, perhaps empty.
        validator: Identifier of this version of the file (a strong ETag, or else a Last-Modified), or None.
        accepts_ranges: Whether the server says that it sends parts of the file.
    """

    start: int
    size: int | None
    content_type: str
    validator: str | None
    accepts_ranges: bool

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in blocks, as they come.

        Raises:
            FetchError: If they stop coming before their end.
        """
        ...


class Transport(Protocol):
    """Opens allowed links as byte streams. Threads may share one."""

    def open(
        self, link: AllowedLink, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> AbstractContextManager[Body]:
        """Ask for the bytes of a link from ``start`` up to and without ``end``.

        A server may ignore the range: look at the body's ``start``.

        Args:
            link: The link.
            start: The first byte that is wanted.
            end: The byte before which to stop, or None for the whole rest.
            validator: The ``validator`` of an earlier body of this link; if the file is another one now, it comes
                from its first byte.

        Raises:
            FetchError: If they cannot be had.
        """
        ...

    def abort(self, threads: Collection[int] | None = None) -> None:
        """End what these threads (by their identifiers; all, unless given) are receiving, with a FetchError there."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class FileTransport:
    """``file`` links: the files of a folder that the user named, such as a mirror on a disk."""

    def abort(self, threads: Collection[int] | None = None) -> None:
        """Do nothing: a file does not keep anyone waiting."""

    def close(self) -> None:
        """Do nothing: each body closes its own file."""

    @contextmanager
    def open(
        self, link: AllowedLink, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Body]:
        """Open a file; see :class:`Transport`.

        Raises:
            FetchError: If it cannot be read.
        """
        from pathlib import Path  # noqa: PLC0415 (the other links need none)

        path = Path(unquote(urlsplit(link.url).path, errors="surrogateescape"))
        try:
            with regular.open_file(path) as stream:
                yield _FileBody(stream, link, start, end, validator)
        except FileNotFoundError:
            raise FetchError(f"{link.shown}: there is no such file", hint="check the path", status=404) from None
        except OSError as error:
            raise FetchError(
                f"{link.shown}: the file cannot be read: {error.strerror or type(error).__name__}",
                hint="check that it may be read",
            ) from None


class _FileBody:
    """The bytes of one file."""

    content_type = ""
    accepts_ranges = True

    def __init__(
        self,
        stream: Any,  # noqa: ANN401 (FileIO, which typeshed and Path.open name differently)
        link: AllowedLink,
        start: int,
        end: int | None,
        validator: str | None,
    ) -> None:
        import os  # noqa: PLC0415 (the other links need none)

        found = os.fstat(stream.fileno())
        self.size: int | None = found.st_size
        self.validator: str | None = f'"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"'
        self.start = start if validator in (None, self.validator) and start <= found.st_size else 0
        self._stop = found.st_size if end is None or self.start != start else min(end, found.st_size)
        self._stream = stream
        self._link = link

    def __iter__(self) -> Iterator[bytes]:
        at = self.start
        self._stream.seek(at)
        while at < self._stop:
            block = self._stream.read(min(BLOCK_BYTES, self._stop - at))
            if not block:
                raise FetchError(
                    f"{self._link.shown}: the file ended after {at} of {self._stop} bytes",
                    hint="it was cut off while it was read: try again",
                    passing=True,
                )
            at += len(block)
            yield block
