"""Certificates that tests make, and TLS before a server that has none."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
