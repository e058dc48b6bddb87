"""A pseudo-terminal on which a command asks, and is answered."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.cli import Cli


def ask(cli: Cli, *arguments: str, answer: str, question: str = "[n] no") -> tuple[int, str]:
    """Run a command at a terminal, answer its question, and return the exit code and what was shown."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX's")
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hubtool", *arguments],
        cwd=cli.folder,
        env={**cli.environ, "COLUMNS": "200"},
        stdin=child,
        stdout=child,
        stderr=child,
    ) as process:
        os.close(child)
        text, deadline, answered = "", time.monotonic() + 120, False
        while time.monotonic() < deadline:
            if select.select([parent], [], [], 0.5)[0]:
                try:
                    chunk = os.read(parent, 4096)
                except OSError:  # the command ended
                    break
                if not chunk:
                    break
                text += chunk.decode("utf-8", "replace")
                if not answered and question in text:
                    answered = True
                    os.write(parent, answer.encode() + b"\n")
        code = process.wait(60)
    os.close(parent)
    assert answered, text
    return code, text
