"""A loopback server that has one file, gives parts of it, and misbehaves on command."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


@dataclass(frozen=True)
class Request:
    """What a client asked for.

    Attributes:
        number: How many requests came before it.
        start: The first byte that it wants; 0 if it wants the whole file.
        headers: Its headers, their names in lower case.
    """

    number: int
    start: int
    headers: dict[str, str]


def always(request: Request) -> bool:
    """Let a fault apply to every request."""
    del request
    return True


def nothing(what: int) -> None:
    """Do nothing, whatever it is told of."""
    del what


@dataclass
class Server:
    """What is served, and what was asked.

    Attributes:
        url: Its address.
        content: The file, the same at every path.
        fault: What goes wrong, one of the words in ``_Handler.answer``; nothing if empty.
        applies: For which requests it goes wrong.
        pause: Seconds between two blocks.
        etag: The file's ETag; none if empty.
        sent: How many bytes of the file were sent, in all answers.
        meanwhile: Told of that before each block.
        listen: Called with whether anybody is to listen to new connections.
        context: What says which certificate it shows to new connections, with TLS.
    """

    url: str
    content: bytes
    fault: str = ""
    applies: Callable[[Request], bool] = always
    pause: float = 0.0
    etag: str = '"one"'
    block: int = 1 << 15
    sent: int = 0
    meanwhile: Callable[[int], None] = nothing
    listen: Callable[[bool], None] = nothing
    context: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    one: Server

    def log_message(self, *args: object) -> None:
        """Say nothing: the base class would print."""

    def do_GET(self) -> None:
        match = _RANGE.match(self.headers.get("Range", ""))
        headers = {name.lower(): text for name, text in self.headers.items()}
        request = Request(len(self.one.requests), int(match[1]) if match else 0, headers)
        self.one.requests.append(request)
        fault = self.one.fault if self.one.applies(request) else ""
        try:
            self.answer(fault, request, match)
        except OSError:  # the client went away, as it should from most of these
            self.close_connection = True

    def head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()

    def body(self, content: bytes, pause: float, block: int) -> None:
        for at in range(0, len(content), block):
            self.one.meanwhile(self.one.sent)
            self.one.sent += min(block, len(content) - at)
            self.wfile.write(content[at : at + block])
            if pause and self.one.stop.wait(pause):
                break

    def answer(self, fault: str, request: Request, match: re.Match[str] | None) -> None:
        one = self.one
        if fault:
            self.close_connection = True
        status, _, retry_after = fault.partition(" ")
        if status.isdigit():
            more = {"Retry_After": retry_after} if retry_after else {}
            self.head(int(status), Content_Length="5", **more)
            self.wfile.write(b"sorry")
            return
        if fault.startswith("redirect:"):
            self.head(301, Location=fault.partition(":")[2], Content_Length="0")
            return
        content = one.content
        etag = '"another"' if fault == "etag-changed" else one.etag
        if fault == "flip":
            content = content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]
        if fault == "html":
            self.head(200, Content_Type="text/html", Content_Length=str(len(HTML)))
            self.wfile.write(HTML)
            return
        start, end = 0, len(content)
        proof = self.headers.get("If-Range", one.etag)
        ranged = match is not None and fault not in ("no-ranges", "gzip") and proof in (one.etag, etag)
        if fault == "etag-changed" and proof == one.etag and request.headers.get("if-range"):
            ranged = False
        if ranged and match is not None:
            start = int(match[1])
            end = min(end, int(match[2]) + 1) if match[2] else end
            if start >= len(content):
                self.head(416, Content_Range=f"bytes */{len(content)}", Content_Length="0")
                return
        part = content[start:end]
        if fault == "gzip":
            part = gzip.compress(part, 1)
        headers = {"Accept_Ranges": "none" if fault == "no-ranges" else "bytes"}
        if etag:
            headers["ETag"] = etag
        length = len(part)
        if fault == "wrong-length":
            length += 1000
        if fault == "append":
            part += b"more"
            length += 4
        if fault == "gzip":
            headers["Content_Encoding"] = "gzip"
        if fault == "no-length":
            self.close_connection = True
        else:
            headers["Content_Length"] = str(length)
        if ranged:
            shift = 512 if fault == "wrong-range" else 0
            headers["Content_Range"] = f"bytes {start + shift}-{end - 1}/{len(content)}"
        self.head(206 if ranged else 200, **headers)
        half = part[: len(part) // 2]
        if fault == "reset":
            self.body(half, one.pause, one.block)
            # To linger for no time makes the system reset the connection instead of ending it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
            return
        if fault == "truncate":
            self.body(half, one.pause, one.block)
            return
        if fault == "stall":
            self.body(half, one.pause, one.block)
            self.connection.recv(1)  # until the client has had enough
            return
        if fault == "trickle":
            self.body(part, 0.05, 16)
            return
        self.body(part, one.pause, one.block)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for its threads
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that refuses the certificate is what some tests want."""


class _Ears:
    """Listen for connections, in a thread, or let nobody listen at the same port."""

    def __init__(self, httpd: _Quiet, context: ssl.SSLContext | None) -> None:
        self._httpd = httpd
        self._context = context
        self._thread: threading.Thread | None = None

    def listen(self, whether: bool) -> None:
        httpd = self._httpd
        if self._thread is not None:
            httpd.shutdown()
            self._thread.join()
            self._thread = None
            if not whether:
                httpd.socket.close()
        if whether:
            if httpd.socket.fileno() < 0:
                httpd.socket = socket.socket(httpd.address_family, httpd.socket_type)
                httpd.server_bind()
                httpd.server_activate()
            if self._context is not None and not isinstance(httpd.socket, ssl.SSLSocket):
                httpd.socket = self._context.wrap_socket(httpd.socket, server_side=True)
            self._thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
            self._thread.start()


@contextmanager
def serving(content: bytes, certificate: Path | None = None) -> Iterator[Server]:
    """Serve a file, with TLS if it is given a file that holds its certificate and key."""
    handler = type("Handler", (_Handler,), {"timeout": 5.0})
    httpd = _Quiet(("127.0.0.1", 0), handler)
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    scheme = "http" if context is None else "https"
    ears = _Ears(httpd, context)
    url = f"{scheme}://127.0.0.1:{httpd.server_address[1]}"
    server = Server(url, content, listen=ears.listen, context=context)
    handler.one = server  # type: ignore[attr-defined]  # the class was made some lines above
    ears.listen(True)
    try:
        yield server
    finally:
        server.stop.set()
        ears.listen(False)
        httpd.server_close()


def refusing() -> str:
    """Return the address of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
