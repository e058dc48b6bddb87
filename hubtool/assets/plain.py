"""The plainest answer that a server can give: 200, a length, and a small file.

The HTTP libraries understand every answer, and take longer over one than a small file takes to come: where thousands
are fetched, that is most of the time. Here only what RFC 9112 leaves no doubt about is understood. Whatever else comes
is handed over to the libraries as it came.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from hubtool.assets import disk

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

MOST = 2 << 20
"""The most bytes of a file that is read in this way."""

_HEAD = 16 << 10
_MAX_HEADS = 8  # of one answer: interim ones and the final one

# What need not be encoded (RFC 3986, 3.3 and 3.4), or is encoded in the one way that the libraries leave as it is.
_TARGET = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*\Z")
_HEAD_200 = re.compile(rb"HTTP/1\.1 200 [\t\x20-\x7e]*(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*)*\Z")
# The fields that say how the body comes.
_FIELDS = re.compile(
    rb"\r\n(content-length|content-type|content-encoding|transfer-encoding|connection|upgrade):[ \t]*([^\r]*)",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"[0-9]{1,19}\Z")


class Wire(Protocol):
    """What is read from: a socket, or one with TLS."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Put what has come into a buffer; return how many bytes these are, 0 at the end."""
        ...


def fields(headers: Mapping[str, str]) -> str:
    """Return what is said beside a request, as it is sent."""
    return "".join(f"{name}: {text}\r\n" for name, text in headers.items())


def request(target: str, host: str, said: str) -> bytes | None:
    """Return the bytes that ask for a file; None where that is a matter for the libraries.

    Args:
        target: The path on the server, with its query.
        host: The server's name as the link has it, with its port.
        said: What else is said, of :func:`fields`, in Latin-1.
    """
    if not _TARGET.match(target) or not host.isascii():
        return None
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{said}\r\n".encode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain answer.

    Attributes:
        body: The file, valid until the next answer is read.
        kind: Its media type, as the server states it, perhaps empty.
        stays: Whether the connection can be used again.
    """

    body: memoryview
    kind: str
    stays: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """Any other answer, or one that broke off.

    Attributes:
        data: What came of it.
        failure: What the connection failed of after that, if it did.
    """

    data: bytes
    failure: OSError | None = None


class Reader:
    """Reads answers, one after the other, into one piece of memory. Used by one thread."""

    def __init__(self) -> None:
        self._buffer = disk.memory(_HEAD + MOST)
        self._view = memoryview(self._buffer)

    def read(self, wire: Wire) -> Answer | Begun:
        """Read a plain answer.

        Returns:
            The answer; or, if it is another kind of answer, or too large, or ends too early, what came of it so far,
            for :func:`hand_over`.

        Raises:
            OSError: If the connection fails before the answer's head is there.
        """
        got, head = 0, -1
        while head < 0:
            count = wire.recv_into(self._view[got:_HEAD])
            head = self._buffer.find(b"\r\n\r\n", max(0, got - 3), got + count)
            got += count
            if not count or (head < 0 and got >= _HEAD):
                return Begun(bytes(self._view[:got]))
        found = understand(bytes(self._view[:head]))
        if found is None or found[0] > MOST:
            return Begun(bytes(self._view[:got]))
        length, kind, stays = found
        start = head + 4
        if got - start < length:
            # A file that is still coming begins with a page, from which it can go to the disk without a copy.
            came = got - start
            self._view[_HEAD : _HEAD + came] = self._view[start:got]
            start, got = _HEAD, _HEAD + came
        end = start + length
        failure: OSError | None = None
        try:
            while got < end and (count := wire.recv_into(self._view[got:end])):
                got += count
        except OSError as error:
            failure = error
        # What comes after an answer belongs to none that was asked for.
        if got == end:
            return Answer(self._view[start:end], kind, stays)
        return Begun(bytes(self._view[: head + 4]) + bytes(self._view[start:got]), failure)


def understand(head: bytes) -> tuple[int, str, bool] | None:
    """Read the head of an answer, without the empty line that ends it.

    Returns:
        The bytes that follow, their media type, and whether the connection stays open after them; None unless it is a
        plain answer.
    """
    if _HEAD_200.match(head) is None:
        return None
    length: int | None = None
    kind: bytes | None = None
    stays = True
    for name, rest in _FIELDS.findall(head):
        field, text = name.lower(), rest.rstrip(b" \t")
        if field == b"content-length":
            if length is not None or not _LENGTH.match(text):
                return None
            length = int(text)
        elif field == b"content-type":
            if kind is not None:
                return None
            kind = text
        elif field == b"connection":
            if text.lower() not in (b"keep-alive", b"close"):
                return None
            stays = stays and text.lower() == b"keep-alive"
        else:  # encoded in some way, or not HTTP any more
            return None
    return None if length is None else (length, (kind or b"").decode("latin-1"), stays)


def hand_over(begun: Begun, wire: Wire, end: Callable[[], None]) -> http.client.HTTPResponse:
    """Have Python's own client read an answer, the beginning of which came already.

    Args:
        begun: What came.
        wire: Where the rest comes from.
        end: Called when the answer is closed.

    Raises:
        http.client.HTTPException: If it is not HTTP.
        OSError: If the connection fails.
    """
    rest = _Rest(begun, wire, end)
    try:
        response = bounded()(rest, method="GET")  # type: ignore[arg-type]  # it asks for a file, no more
        response.begin()
    except BaseException:
        rest.close()
        raise
    return response


@cache
def bounded() -> type[http.client.HTTPResponse]:
    """Derive from Python's answer one that ends the wait for the final answer after a few interim ones.

    Python skips any number of answers "100 Continue": a server that sends them without end would never be left.
    """
    from http.client import BadStatusLine, HTTPResponse  # noqa: PLC0415 (heavy, and not needed for what is stored)

    class Bounded(HTTPResponse):
        hubtool_heads = 0

        def _read_status(self) -> tuple[str, int, str]:
            self.hubtool_heads += 1
            if self.hubtool_heads > _MAX_HEADS:
                raise BadStatusLine("too many interim answers")
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not part of the stubs
            return status

    return Bounded


class _Rest(io.RawIOBase):
    """What came of an answer, and then what comes."""

    def __init__(self, begun: Begun, wire: Wire, end: Callable[[], None]) -> None:
        super().__init__()
        self._begun = memoryview(begun.data)
        self._failure = begun.failure
        self._wire = wire
        self._end = end

    def makefile(self, mode: str) -> io.BufferedReader:
        """Be to an HTTPResponse what a socket would be."""
        del mode  # "rb"
        return io.BufferedReader(self, max(io.DEFAULT_BUFFER_SIZE, len(self._begun)))

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read what is there."""
        view = memoryview(buffer)
        if not self._begun:
            if self._failure is not None:
                raise self._failure
            return self._wire.recv_into(view)
        piece, self._begun = self._begun[: len(view)], self._begun[len(view) :]
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close the connection."""
        if not self.closed:
            super().close()
            self._end()
