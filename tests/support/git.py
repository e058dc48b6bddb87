"""Git as a person runs it, and git over HTTP by git's own program for that."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Answer, Request, Server


@contextmanager
def serving_git(folder: Path, *, login: str = "") -> Iterator[Server]:
    """Serve the repositories of a folder to everybody, or to ``NAME:PASSWORD``."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    needed = f"Basic {base64.b64encode(login.encode()).decode()}"

    def answer(request: Request) -> Answer:
        if login and request.headers.get("authorization") != needed:
            return 401, {"WWW-Authenticate": 'Basic realm="tests"'}, b""
        parts = urlsplit(request.path)
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": unquote(parts.path),
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, input=request.body, env=environ, capture_output=True, check=False, timeout=60)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        return int(headers.pop("Status", "200 OK").split()[0]), headers, content

    with serving() as server:
        server.answer = answer
        yield server


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
