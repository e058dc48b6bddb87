"""A real HTTP(S) server on this machine that serves files and folders, and misbehaves when told to."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import ssl
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
BLOCK_BYTES = 1 << 15
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")

Answer: TypeAlias = "tuple[int, dict[str, str], bytes | Iterable[bytes]]"
"""Status, headers and body; the connection ends after a body in blocks unless a length was stated."""


@dataclass
class Request:
    """What a client asked for.

    Attributes:
        number: How many requests came before it.
        method: Its method.
        path: What it asks for, with the query.
        headers: Its headers, their names in lower case.
        body: What came with it.
        start: The first byte that it wants; 0 if it wants the whole file.
        status: What it was answered with; 0 where it was not.
    """

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    start: int
    status: int = 0


def always(request: Request) -> bool:
    """Let a fault apply to every request."""
    del request
    return True


def once() -> Callable[[Request], bool]:
    """Let a fault apply to the next request only."""
    left = iter([True])
    return lambda _: next(left, False)


def nothing(what: object) -> None:
    """Do nothing, whatever it is told of."""
    del what


def etag_of(content: bytes) -> str:
    """Return the entity tag of some bytes."""
    return f'"{hashlib.sha256(content).hexdigest()}"'


@dataclass(kw_only=True)
class Resource:
    """A file that the server has, and how it serves it.

    Attributes:
        content: Its bytes.
        fault: What goes wrong. ``STATUS``, which may be followed by where it redirects to or by a Retry-After, and by
            ``endless``; or one or several of these words:

            - nothing that is an answer: ``no-answer``, ``silent``, ``not-http``, ``interim``, ``trickled-head``;
            - other bytes: ``wrong``, ``flip`` (one bit), ``html``, ``gzip``, ``append``, ``twice``, ``endless``;
            - other headers: ``etag-changed``, ``no-ranges``, ``wrong-range``, ``wrong-length``, ``bad-length``,
              ``no-length``, ``chunked``, ``gzip-label``;
            - an end or silence after half of the bytes: ``truncate``, ``reset``, ``stall``; or ``trickle``.
        applies: For which requests it goes wrong.
        etag: Its entity tag; with one, parts of it can be asked for.
        block: How many bytes are sent at once.
        pause: How many seconds pass after each block.
    """

    content: bytes = b""
    fault: str = ""
    applies: Callable[[Request], bool] = always
    etag: str = ""
    block: int = BLOCK_BYTES
    pause: float = 0.0


class Server(ThreadingHTTPServer):
    """What is served, and what was asked for.

    Attributes:
        url: Its address.
        files: What is served at which path.
        folder: Whose files are served at all other paths, with entity tags.
        default: What is served where there is nothing else.
        answer: Asked first for an answer to each request; None leaves it to the files.
        context: What says which certificate new connections are shown, with TLS.
        meanwhile: Told, before each block, how many bytes of files were sent in all answers so far.
        sent: That number.
        requests: What was asked for.
        connections: How many connections there were.
        open_connections: Those that are open.
        most: The most requests that ``answer`` had at once.
        stop: Set when the server ends.
    """

    daemon_threads = False  # so that the end waits for them
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.server_port}"
        self.files: dict[str, Resource] = {}
        self.folder: Path | None = None
        self.default = Resource(fault="404")
        self.answer: Callable[[Request], Answer | None] = nothing
        self.context = context
        self.meanwhile: Callable[[int], object] = nothing
        self.sent = 0
        self.requests: list[Request] = []
        self.connections = self.most = self._running = 0
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self.open_connections: set[socket.socket] = set()
        self._thread: threading.Thread | None = None

    def put(self, path: str, content: bytes, fault: str = "", **more: Any) -> str:
        """Serve a file, and return its link; more are other attributes of ``Resource``."""
        self.files[path] = Resource(content=content, fault=fault, **more)
        return self.url + path

    def paths(self, method: str = "", status: int = 0) -> list[str]:
        """Return the paths that were asked for, all or those of a method or an answer."""
        return [one.path for one in self.requests if method in ("", one.method) and status in (0, one.status)]

    def gets(self, path: str) -> int:
        """Count the GET requests for a path."""
        return self.paths("GET").count(path)

    def headers(self, name: str) -> list[str | None]:
        """Return a header of each request."""
        return [one.headers.get(name) for one in self.requests]

    def found(self, path: str) -> Resource:
        """Return what is served at a path."""
        short = path.partition("?")[0]
        resource = self.files.get(path) or self.files.get(short)
        if resource is None and self.folder is not None:
            with suppress(OSError):
                content = (self.folder / unquote(short).lstrip("/")).read_bytes()
                resource = Resource(content=content, etag=etag_of(content))
        return resource or self.default

    def asked(self, request: Request) -> Answer | None:
        """Note a request, and ask for an answer to it."""
        with self._lock:
            request.number = len(self.requests)
            self.requests.append(request)
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            return self.answer(request)
        finally:
            # Before it is answered: the client may ask for something else as soon as it is.
            with self._lock:
                self._running -= 1

    def listen(self, whether: bool = True) -> None:
        """Listen to new connections, or let nobody listen at this port."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
            self._thread = None
        if not whether:
            self.socket.close()
            return
        if self.socket.fileno() < 0:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def end(self) -> None:
        """End all connections, and wait for the threads."""
        self.stop.set()
        self.listen(False)
        for connection in list(self.open_connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    # -- what the base class calls

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.context is not None:
            # A client that is slow to greet keeps its own thread waiting, and nobody else.
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.connections += 1
        self.open_connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open_connections.discard(request)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that go away, or refuse the certificate, are what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *args: object) -> None:
        """Say nothing: the base class would print."""

    def serve(self) -> None:
        headers = {name.lower(): text for name, text in self.headers.items()}
        match = _RANGE.match(headers.get("range", ""))
        body = self.rfile.read(int(headers.get("content-length", "0")))
        request = Request(0, self.command, self.path, headers, body, int(match[1]) if match else 0)
        try:
            answer = self.server.asked(request)
            if answer is not None:
                self.say(request, *answer)
            else:
                self.give(request, self.server.found(self.path), match)
        except OSError:  # the client went away, as it should from most of these
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_CONNECT = serve  # noqa: N815 (the base class's names)

    def say(
        self, request: Request, status: int, headers: dict[str, str], body: bytes | Iterable[bytes], pause: float = 0.0
    ) -> None:
        request.status = status
        if isinstance(body, bytes):
            body = b"" if status in (204, 304) else body
            headers = {"Content-Length": str(len(body)), **headers}
            body = [body]
        elif "Content-Length" not in headers:
            self.close_connection = True
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        if request.method != "HEAD":
            self.send(body, pause)

    def send(self, blocks: Iterable[bytes], pause: float = 0.0) -> None:
        for block in blocks:
            self.wfile.write(block)
            if self.server.stop.wait(pause):
                break

    def blocks(self, content: bytes, size: int) -> Iterator[bytes]:
        for at in range(0, len(content), size):
            block = content[at : at + size]
            self.server.meanwhile(self.server.sent)
            self.server.sent += len(block)
            yield block

    def give(self, request: Request, resource: Resource, match: re.Match[str] | None) -> None:
        """Serve a file, with its faults."""
        words = resource.fault.split() if resource.applies(request) else []
        if words and words[0].isdigit():
            more = {"Location" if words[0].startswith("3") else "Retry-After": word for word in words[1:2]}
            self.say(request, int(words[0]), more, _ENDLESS if "endless" in words else b"an error page")
            return
        self.close_connection = bool(words)
        if no_answer := _NO_ANSWERS.keys() & words:
            blocks, pause = _NO_ANSWERS[no_answer.pop()]
            self.send(blocks, pause)
            if "silent" in words:
                self.connection.recv(1)  # until the client has had enough
            return
        etag = "" if "html" in words else '"another"' if "etag-changed" in words else resource.etag
        if etag and request.headers.get("if-none-match") == etag:
            self.say(request, 304, {"ETag": etag}, b"")
            return
        content = _spoiled(resource.content, words, _WHOLE)
        headers = {"Content-Type": "text/html; charset=utf-8" if "html" in words else "application/octet-stream"}
        if etag:
            headers.update({"ETag": etag, "Accept-Ranges": "none" if "no-ranges" in words else "bytes"})
        start, end = 0, len(content)
        ranged = match is not None and bool(etag) and not {"no-ranges", "gzip"} & {*words}
        ranged = ranged and request.headers.get("if-range", etag) == etag
        if ranged and match is not None:
            start, end = int(match[1]), min(end, int(match[2]) + 1) if match[2] else end
            if start >= len(content):
                self.say(request, 416, {"Content-Range": f"bytes */{len(content)}"}, b"")
                return
            shift = 512 if "wrong-range" in words else 0
            headers["Content-Range"] = f"bytes {start + shift}-{end - 1}/{len(content)}"
        part = _spoiled(content[start:end], words, _PART)
        if {"gzip", "gzip-label"} & {*words}:
            headers["Content-Encoding"] = "gzip"
        if "chunked" in words:
            headers["Transfer-Encoding"] = "chunked"
        elif not {"no-length", "endless"} & {*words}:
            headers["Content-Length"] = str(
                -5 if "bad-length" in words else len(part) + 1000 * ("wrong-length" in words)
            )
        broken_off = {"truncate", "reset", "stall"} & {*words}
        if broken_off:
            part = part[: len(part) // 2]
        block, pause = (16, 0.05) if "trickle" in words else (resource.block, resource.pause)
        body: Iterable[bytes] = _ENDLESS if "endless" in words else self.blocks(part, block)
        if "chunked" in words:
            body = [b"%x\r\n%s\r\n" % (len(part), part), b"" if broken_off else b"0\r\n\r\n"]
        self.say(request, 206 if ranged else 200, headers, body, pause)
        if "reset" in words:
            # To linger for no time makes the system reset the connection instead of ending it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
        if "stall" in words:
            self.connection.recv(1)  # until the client has had enough


_ENDLESS = repeat(bytes(1 << 16))
_NO_ANSWERS: dict[str, tuple[Iterable[bytes], float]] = {
    "no-answer": ((), 0.0),
    "silent": ((), 0.0),
    "not-http": ((b"220 mail.example ready\r\n",), 0.0),
    "interim": (repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), 0.0),
    "trickled-head": ([bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Filler: abc\r\n" * 1000], 0.05),
}
_WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "wrong": lambda content: bytes(byte ^ 1 for byte in content),
    "flip": lambda content: content[:-1] + bytes([content[-1] ^ 4]),
    "html": lambda _: HTML,
}
_PART: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda part: gzip.compress(part, 1),
    "append": lambda part: part + b"more",
    "twice": lambda part: part * 2,
}


def _spoiled(content: bytes, words: list[str], how: dict[str, Callable[[bytes], bytes]]) -> bytes:
    for word in words:
        content = how[word](content) if word in how else content
    return content


@contextmanager
def serving(
    content: bytes | None = None, *, folder: Path | None = None, certificate: Path | None = None
) -> Iterator[Server]:
    """Run a server.

    Args:
        content: What it serves at every path, with an entity tag.
        folder: Whose files it serves.
        certificate: A file with a certificate and its key; with one, it talks TLS.
    """
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = Server(context)
    server.folder = folder
    if content is not None:
        server.default = Resource(content=content, etag='"one"')
    server.listen()
    try:
        yield server
    finally:
        server.end()


def refusing() -> str:
    """Return the address of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
