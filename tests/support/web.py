"""Two real web servers on this machine: one that serves a folder with entity tags, one that serves git repositories."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Web:
    """A running server.

    Attributes:
        url: Its address.
        requests: What was asked of it: method, path and status.
        logins: The logins that came with the requests, as sent; empty texts where none came.
    """

    url: str
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def paths(self, status: int | None = None) -> list[str]:
        """Return the paths that were asked for, all or those that were answered with a status."""
        return [path for _, path, answered in self.requests if status in (None, answered)]


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler], web: Web) -> Iterator[Web]:
    class Quiet(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            """Say nothing: clients that go away are what some tests want."""

    server = Quiet(("127.0.0.1", 0), handler)
    web.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving_folder(folder: Path) -> Iterator[Web]:
    """Serve the files of a folder, with entity tags."""
    web = Web("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Say nothing: the base class would print."""

        def do_GET(self) -> None:
            path = folder / unquote(urlsplit(self.path).path).lstrip("/")
            data = path.read_bytes() if path.is_file() else None
            tag = f'"{hashlib.sha256(data or b"").hexdigest()}"'
            status = 404 if data is None else 304 if self.headers.get("If-None-Match") == tag else 200
            web.requests.append(("GET", self.path, status))
            body = data or b"" if status == 200 else b""
            self.send_response(status)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with _running(Handler, web) as running:
        yield running


@contextmanager
def serving_git(folder: Path, *, login: str = "") -> Iterator[Web]:
    """Serve the repositories of a folder by git's own program for that, to everybody or to ``NAME:PASSWORD``."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    web = Web("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *args: object) -> None:
            """Say nothing: the base class would print."""

        def do_GET(self) -> None:
            self.serve(b"")

        def do_POST(self) -> None:
            self.serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def serve(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            given = self.headers.get("Authorization", "")
            web.logins.append(given)
            if login and given != "Basic " + base64.b64encode(login.encode()).decode():
                web.requests.append((self.command, parts.path, 401))
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="tests"')
                self.end_headers()
                return
            environ = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": unquote(parts.path),
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "REMOTE_ADDR": "127.0.0.1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environ, capture_output=True, check=False, timeout=60
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
            status = int(headers.pop("Status", "200 OK").split()[0])
            web.requests.append((self.command, parts.path, status))
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(content)

    with _running(Handler, web) as running:
        yield running


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder as a person would, with a name and no settings of this machine's."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A Maintainer",
        "GIT_AUTHOR_EMAIL": "maintainer@example.org",
        "GIT_COMMITTER_NAME": "A Maintainer",
        "GIT_COMMITTER_EMAIL": "maintainer@example.org",
    }
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()
