"""A real HTTP(S) server on this machine that serves files, and misbehaves when told to."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass(kw_only=True)
class Resource:
    """A file that the server has, and how it serves it.

    Attributes:
        content: Its bytes.
        fault: What goes wrong: a status (``404``), ``redirect:TARGET``, or one of the words in ``Handler.serve``.
        block: How many bytes are sent at once, and ``pause`` how many seconds pass after each block.
    """

    content: bytes
    fault: str = ""
    block: int = 1 << 16
    pause: float = 0.0


@dataclass
class Server:
    """What is served, and what was asked for."""

    url: str
    resources: dict[str, Resource] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, content: bytes, fault: str = "", *, block: int = 1 << 16, pause: float = 0.0) -> str:
        """Serve a file, and return its link."""
        self.resources[path] = Resource(content=content, fault=fault, block=block, pause=pause)
        return self.url + path

    def gets(self, path: str) -> int:
        """Count the GET requests for a path."""
        return self.requests.count(("GET", path))


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    """Run a server, with TLS if it is given a file that holds its certificate and key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Say nothing: the base class would print."""

        def do_GET(self) -> None:
            server.requests.append(("GET", self.path))
            server.headers.append(dict(self.headers.items()))
            resource = server.resources.get(self.path.partition("?")[0])
            try:
                if resource is None:
                    self.answer(404, b"not here")
                else:
                    self.serve(resource)
            except OSError:  # the client went away, as it should from most of these
                pass

        def answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name.replace("_", "-"), text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def serve(self, resource: Resource) -> None:
            content, fault = resource.content, resource.fault
            length: int | None = len(content)
            kind = "application/octet-stream"
            self.close_connection = bool(fault)
            if fault.isdigit():
                return self.answer(int(fault), b"an error page")
            if fault.startswith("redirect:"):
                return self.answer(302, b"elsewhere", Location=fault.partition(":")[2])
            if fault.startswith("endless-redirect:"):
                self.send_response(302)
                self.send_header("Location", fault.partition(":")[2])
                self.end_headers()
                while not server.stop.is_set():
                    self.wfile.write(bytes(1 << 16))
            if fault == "silent":
                server.stop.wait()
                return None
            if fault == "reset":
                return None
            if fault == "not-http":
                self.wfile.write(b"220 mail.example ready\r\n")
                return None
            if fault == "interim":
                while not server.stop.is_set():
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
            if fault == "trickled-head":
                for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Filler: abc\r\n" * 1000:
                    self.wfile.write(bytes([byte]))
                    if server.stop.wait(0.05):
                        return None
            if fault == "wrong":
                content = bytes(byte ^ 1 for byte in content)
            if fault == "flipped-bit":
                content = content[:-1] + bytes([content[-1] ^ 0x80])
            if fault == "html":
                content, length, kind = HTML, len(HTML), "text/html; charset=utf-8"
            if fault in ("half", "half-no-length"):
                content = content[: len(content) // 2]
            if fault in ("twice", "twice-no-length"):
                content *= 2
                length = len(content)
            if fault == "bad-length":
                self.send_response(200)
                self.send_header("Content-Length", "-5")
            else:
                self.send_response(200)
                if not fault.endswith("no-length") and fault not in ("endless", "chunked", "half-chunked"):
                    self.send_header("Content-Length", str(length))
            if fault == "gzip-label":
                self.send_header("Content-Encoding", "gzip")
            if fault in ("chunked", "half-chunked"):
                self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Content-Type", kind)
            self.end_headers()
            if fault in ("chunked", "half-chunked"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
                if fault == "chunked":
                    self.wfile.write(b"0\r\n\r\n")
                return None
            if fault == "endless":
                while not server.stop.is_set():
                    self.wfile.write(bytes(1 << 16))
            if fault == "stall":
                self.wfile.write(content[:1000])
                server.stop.wait()
                return None
            step, pause = (1, 0.05) if fault.startswith("trickle") else (resource.block, resource.pause)
            for at in range(0, len(content), step):
                self.wfile.write(content[at : at + step])
                if pause and server.stop.wait(pause):
                    return None
            return None

    class Quiet(ThreadingHTTPServer):
        daemon_threads = False  # so that closing the server waits for its threads
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """Say nothing: a client that refuses the certificate is what some tests want."""

    httpd = Quiet(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        scheme = "https"
    server = Server(f"{scheme}://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def make_certificate(folder: Path, name: str = "IP:127.0.0.1") -> Path:
    """Make a certificate for a name that nobody signed, with its key in one file; skips without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    subject = name.partition(":")[2]
    path = folder / f"{subject}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={subject}"),
            *("-addext", f"subjectAltName={name}", "-keyout", str(folder / "key.pem"), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + (folder / "key.pem").read_bytes())
    return path


def make_authority(folder: Path, *, days: int = 2) -> tuple[Path, Path]:
    """Make a private CA, and a certificate for 127.0.0.1 that it signed, with its key; skips without openssl.

    Args:
        folder: Where they are put.
        days: For how many days the certificate is valid; with 0 it expires at once.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    for command in (
        ("req", "-x509", *new, "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem"),
        ("req", *new, "-subj", "/CN=127.0.0.1", "-keyout", "own.key", "-out", "own.csr"),
        (
            *("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", str(days)),
            *("-extfile", "extensions", "-out", "own.pem"),
        ),
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    certificate = folder / "certificate.pem"
    certificate.write_bytes((folder / "own.pem").read_bytes() + (folder / "own.key").read_bytes())
    return folder / "ca.pem", certificate


@contextmanager
def tls_before(endpoint: str, certificate: Path) -> Iterator[str]:
    """Take TLS connections, and hand on what comes over them to a server without TLS; yields the address."""
    host, port = endpoint.rpartition("/")[2].rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                target.sendall(block)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                socket.create_connection((host, int(port))) as behind,
                context.wrap_socket(self.request, server_side=True) as before,
            ):
                back = threading.Thread(target=pump, args=(behind, before), daemon=True)
                back.start()
                pump(before, behind)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
