"""A mirror over HTTP, for a lab's network: read-only, bounded, and nothing outside its folder.

Ranges, entity tags, HEAD and conditional requests are answered as RFC 9110 says. A blob's entity tag is its digest.
"""

from __future__ import annotations

import errno
import io
import os
import re
import socket
import stat
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes

from hubtool.errors import MirrorError
from hubtool.mirror.layout import INDEX, INDEX_SHARDS, parse_blob
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Buffer

CONNECTIONS = 400
"""How many connections are served at once; each has a thread and up to two open files, of which many systems allow
1,024. When all are taken, the slowest is closed for the next client."""
SLOW_AFTER = 0.5
"""Seconds that a client may take to send its request, or to read 64 KiB of an answer, while others wait for a place."""
IDLE = 15.0
"""Seconds that a connection may be silent between requests, and that a client may take to read something."""

_RANGE = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))\Z")
_ROOTS = (INDEX, INDEX_SHARDS, "cards", "blobs")
_KINDS = {".json": "application/json", ".md": "text/markdown; charset=utf-8"}
_BLOCK = 64 << 10


class Server:
    """Serves a folder until it is stopped.

    Attributes:
        root: The folder.
        address: Where it listens: host and port.
        log: Told of each answer: the client, the request line and the status.
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        connections: int = CONNECTIONS,
        idle: float = IDLE,
        log: Callable[[str, str, int], None] | None = None,
    ) -> None:
        """Begin to listen; :meth:`run` serves.

        Args:
            root: The folder of the mirror.
            host: The address to listen at; ``0.0.0.0`` or ``::`` for all.
            port: The port; 0 for any that is free.
            connections: How many connections are served at once.
            idle: Seconds after which a silent connection is closed.
            log: Told of each answer.

        Raises:
            MirrorError: If the folder is not there, or the address cannot be used.
        """
        self.root = root.absolute()
        if not self.root.is_dir():
            raise MirrorError(f"{root} is not a folder", hint="give the folder of a mirror; see `hubtool mirror sync`")
        self.log = log
        self.idle = idle
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._http = _Listener(self, (host, port), family, connections)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            # Only these are said of a port; what else can be wrong is the host.
            code = getattr(error, "errno", None)
            of_port = code in (errno.EADDRINUSE, errno.EACCES) or isinstance(error, OverflowError)
            hint = "choose another --port" if of_port else "give a name or an address of this machine as --host"
            raise MirrorError(f"{host}:{port} cannot be listened at: {reason}", hint=hint) from error
        self.address = (host, int(self._http.server_address[1]))

    @property
    def url(self) -> str:
        """The mirror's link."""
        host, port = self.address
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def run(self) -> None:
        """Serve until :meth:`stop` is called."""
        try:
            self._http.serve_forever(poll_interval=0.1)
        finally:
            self._http.server_close()

    def stop(self) -> None:
        """Stop serving, from another thread than the one that runs; open connections are closed."""
        self._http.shutdown()
        self._http.close_all()

    def find(self, target: str) -> Path | None:
        """Return the file that a request's target means, or None.

        Only what a mirror has is found: its index, its cards and its blobs, each a plain file within the folder.
        """
        path = target.partition("?")[0].partition("#")[0]
        try:
            text = unquote_to_bytes(path).decode("utf-8")
        except UnicodeDecodeError:
            return None
        parts = text.removeprefix("/").split("/")
        if not text.startswith("/") or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            return None
        if parts[0] not in _ROOTS or any(sign in text for sign in "\\\0:"):
            return None
        file = self.root.joinpath(*parts)
        try:
            # A link within the folder may lead out of it.
            if not file.resolve().is_relative_to(self.root.resolve()) or not stat.S_ISREG(file.stat().st_mode):
                return None
        except (OSError, ValueError, RuntimeError):
            return None
        return file


@dataclass(slots=True)
class _Served:
    """One open connection: its thread, and when it began to wait for its client."""

    thread: threading.Thread
    began: float


class _Listener(HTTPServer):
    """Accepts connections, never more at once than there may be, each served by a thread."""

    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, owner: Server, address: tuple[str, int], family: socket.AddressFamily, connections: int) -> None:
        self.owner = owner
        self.address_family = family
        self.connections = connections
        self._free = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Served] = {}
        self._closing = False
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking the name service who we are, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    @property
    def crowded(self) -> bool:
        """Whether connections should not be kept open for a next request."""
        with self._lock:
            return len(self._open) * 2 > self.connections

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override] # always TCP
        """Serve a connection in a thread, as soon as there is room for one."""
        while not self._free.acquire(blocking=False):
            self._close_slowest()
            if self._free.acquire(timeout=0.1):
                break
            if self._closing:
                request.close()
                return
        thread = threading.Thread(target=self._serve, args=(request, client_address), name="hubtool-serve", daemon=True)
        with self._lock:
            self._open[request] = _Served(thread, time.monotonic())
        thread.start()

    def _close_slowest(self) -> None:
        now = time.monotonic()
        with self._lock:
            request, slowest = min(self._open.items(), key=lambda one: one[1].began, default=(None, None))
            if request is None or slowest is None or now - slowest.began < SLOW_AFTER:
                return
            slowest.began = now  # it is on its way out: do not choose it again
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def note(self, request: socket.socket) -> None:
        """Note that a connection begins to wait for its client."""
        with self._lock:
            if (served := self._open.get(request)) is not None:
                served.began = time.monotonic()

    def _serve(self, request: socket.socket, client_address: object) -> None:
        try:
            # What a client does to its own connection is no fault of ours.
            with suppress(OSError):
                self.finish_request(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)
            self.shutdown_request(request)
            self._free.release()

    def shutdown(self) -> None:
        """Stop accepting."""
        self._closing = True
        super().shutdown()

    def close_all(self) -> None:
        """End all connections, and wait for their threads."""
        with self._lock:
            threads = list(self._open.items())
        for request, _ in threads:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        for _, served in threads:
            served.thread.join(5)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the base class prints."""


class _Patient(io.RawIOBase):
    """What a client sends, up to a moment: a socket's own time-out begins anew with every byte that comes."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self.deadline = time.monotonic()

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read what is there.

        Raises:
            TimeoutError: If nothing comes before the deadline.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not come in time")
        usual = self._connection.gettimeout()
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(usual)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version = f"hubtool/{__version__}"
    sys_version = ""
    server: _Listener

    def setup(self) -> None:
        """Bound every wait."""
        super().setup()
        with suppress(OSError):
            self.connection.settimeout(self.server.owner.idle)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = _Patient(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._sent)

    def handle_one_request(self) -> None:
        """Answer one request, whose head must come in the time that a connection may be silent."""
        self.server.note(self.connection)
        self._sent.deadline = time.monotonic() + self.server.owner.idle
        super().handle_one_request()

    def log_message(self, *args: object) -> None:
        """Say nothing: the base class prints."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 (the base class's)
        """Tell the owner."""
        if self.server.owner.log is not None:
            line = self.requestline if self.requestline.isprintable() else ascii(self.requestline)
            self.server.owner.log(str(self.client_address[0]), line[:500], int(code))

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer with what is said of a file."""
        self._answer(body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 (the base class's)
        """Answer with a status and one line of plain text."""
        text = f"{int(code)} {HTTPStatus(code).phrase}\n".encode()
        # After a request that was not understood, nothing tells where the next one begins.
        self.close_connection = True
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        if code in (405, 501):
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _answer(self, *, body: bool) -> None:
        # A body would be taken for the next request.
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        file = self.server.owner.find(self.path)
        if file is None:
            self._plain(HTTPStatus.NOT_FOUND, body=body)
            return
        try:
            stream = file.open("rb", buffering=0)
        except OSError:
            self._plain(HTTPStatus.NOT_FOUND, body=body)
            return
        with stream:
            self._file(file, stream, body=body)

    def _file(self, file: Path, stream: BinaryIO, *, body: bool) -> None:
        found = os.fstat(stream.fileno())
        size = found.st_size
        digest = parse_blob(file.relative_to(self.server.owner.root).as_posix())
        # Files are replaced and never rewritten, so another content is another inode or another time.
        tag = f'"{digest or f"{found.st_ino:x}-{found.st_mtime_ns:x}-{size:x}"}"'
        modified = int(found.st_mtime)
        # In the order of RFC 9110, 13.2.2: first what must hold, then what the client has already, then the range.
        if self._is_refused(tag, modified):
            self._plain(HTTPStatus.PRECONDITION_FAILED, body=body)
            return
        if self._not_modified(tag, modified):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self._facts(tag, modified, immutable=digest is not None)
            self.end_headers()
            return
        start, end = 0, size
        part = self._range(size, tag, modified)
        if part is not None:
            start, end = part
            if start >= end:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self._facts(tag, modified, immutable=False)
                self.end_headers()
                return
        self.send_response(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT)
        if part is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        kind = "application/octet-stream"
        self.send_header("Content-Type", kind if digest else _KINDS.get(file.suffix, kind))
        self.send_header("Content-Length", str(end - start))
        self._facts(tag, modified, immutable=digest is not None)
        self.end_headers()
        if body and end > start:
            self._send(stream, start, end)

    def _send(self, stream: BinaryIO, start: int, end: int) -> None:
        self.wfile.flush()
        sent = 0
        while start + sent < end:
            stream.seek(start + sent)
            self.server.note(self.connection)
            # Without a copy through this process, where the system can; each step within the time of one wait.
            count = self.connection.sendfile(stream, start + sent, min(end - start - sent, _BLOCK))
            if count == 0:  # the file became shorter, which no mirror's file does
                self.close_connection = True
                return
            sent += count

    def _plain(self, status: HTTPStatus, *, body: bool) -> None:
        text = f"{status.value} {status.phrase}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self._connection()
        self.end_headers()
        if body:
            self.wfile.write(text)

    def _facts(self, tag: str, modified: int, *, immutable: bool) -> None:
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", formatdate(modified, usegmt=True))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "public, max-age=31536000, immutable" if immutable else "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self._connection()

    def _connection(self) -> None:
        if self.server.crowded or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")

    def _is_refused(self, tag: str, modified: int) -> bool:
        """Whether the client wants an answer of another version only."""
        asked = self._list("If-Match")
        if asked:
            # A strong comparison: a weak tag is that of no version. Without a tag, the date does not count either.
            return "*" not in asked and tag not in asked
        since = _seconds(self.headers.get("If-Unmodified-Since"))
        return since is not None and modified > since

    def _not_modified(self, tag: str, modified: int) -> bool:
        """Whether the client has this version."""
        asked = self._list("If-None-Match")
        if asked:
            # A weak comparison: the mark of weakness does not count.
            return "*" in asked or tag in {one.removeprefix("W/") for one in asked}
        since = _seconds(self.headers.get("If-Modified-Since"))
        return since is not None and modified <= since

    def _list(self, name: str) -> set[str]:
        """Return the members of a header, which may stand there several times."""
        return {one.strip() for line in self.headers.get_all(name, []) for one in line.split(",")}

    def _range(self, size: int, tag: str, modified: int) -> tuple[int, int] | None:
        """Return the bytes that are asked for, empty if there are none such; None for the whole file."""
        match = _RANGE.match((self.headers.get("Range") or "").replace(" ", ""))
        if match is None:  # none, or several, which a server need not answer in parts
            return None
        only_if = self.headers.get("If-Range")
        if only_if is not None and only_if.strip() != tag and _seconds(only_if) != modified:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            return max(size - int(suffix), 0), size if int(suffix) else 0
        if last and int(last) < int(first):
            return None
        return int(first), min(int(last) + 1, size) if last else size


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def serving(root: Path, **options: object) -> Iterator[Server]:
    """Serve a folder from a thread for as long as the context lasts; see :class:`Server` for the options."""
    server = Server(root, **options)  # type: ignore[arg-type] # passed on
    thread = threading.Thread(target=server.run, name="hubtool-serve")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
