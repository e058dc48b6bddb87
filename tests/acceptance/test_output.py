"""Standard output that is full, closed or not read: a short error or none, an exit code, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cards import write_local

if TYPE_CHECKING:
    from tests.support.cli import Cli

UID = "tests/1.9/model"
FULL = "standard output cannot be written: No space left on device"
COMMANDS = [
    "--version",
    "--help",
    "list",
    "list --json",
    "rule",
    "rule --json",
    "settings",
    "doctor",
    "cache ls --json",
    "validate registry",
    "fmt --diff registry",
    f"show {UID}",
    f"resolve {UID}",
    f"fetch {UID}",
    f"fetch {UID} --json --progress bars",
    f"preview registry/{UID}.md",
    "serve registry --port 0",
]

# One of each kind that writes: click, lines, JSON, a card laid out, a bar beside JSON, and what runs until it is ended.
QUICK = {
    *("--version", "validate registry", "list --json", f"show {UID}"),
    *(f"fetch {UID} --json --progress bars", "serve registry --port 0"),
}
CASES = [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in COMMANDS]

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


def run(cli: Cli, command: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """Run hubtool by a shell, with its output led elsewhere."""
    write_local(cli.registry, UID, b"content")
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m hubtool {command} {redirection}; exit "${{PIPESTATUS[0]}}"', sys.executable],
        cwd=cli.registry.parent,
        env=cli.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("command", CASES)
def test_full(cli: Cli, command: str) -> None:
    done = run(cli, command, "> /dev/full")
    assert done.returncode == 1
    assert f"error: {FULL}\nhint: " in done.stderr


@pytest.mark.parametrize("command", CASES)
def test_nobody_reads_it(cli: Cli, command: str) -> None:
    done = run(cli, command, "| true")
    assert "error" not in done.stderr
    # 141 as the shell has it for what a SIGPIPE ended; or all was written before the reader went.
    assert done.returncode in (0, 1, 141) if "serve" not in command else done.returncode == 141


@pytest.mark.parametrize("command", ["--version", "list --json", f"fetch {UID}"])
def test_closed(cli: Cli, command: str) -> None:
    done = run(cli, command, ">&-")
    assert done.returncode == 1
    assert "error: standard output cannot be written: Bad file descriptor" in done.stderr


def test_standard_error_may_be_closed(cli: Cli) -> None:
    done = run(cli, f"fetch {UID} --json", "2>&-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["uid"] == UID


def test_more_than_a_buffer_holds(cli: Cli) -> None:
    for number in range(400):
        write_local(cli.registry, f"tests/1.9/a_model_with_a_longer_name_{number}", b"content")
    assert FULL in run(cli, "list --json", "> /dev/full").stderr
    done = run(cli, "list --json", "| head -c 1")
    assert (done.returncode, done.stdout, done.stderr) == (141, "[", "")


def test_to_programs_it_is_an_event(cli: Cli) -> None:
    done = run(cli, f"fetch {UID} --progress json", "> /dev/full")
    assert done.returncode == 1
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[-1]["event"] == "error"
    assert events[-1]["message"] == FULL
