"""The README cannot rot: every command of its tour is run, and what it prints is compared.

In an expected output, ``...`` stands for anything within a line, and a line ``...`` for any lines.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support.expected import pattern

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<kind>console|python|text)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    return [(match["kind"], match["text"]) for match in BLOCK.finditer(README)]


def consoles() -> list[tuple[str, str]]:
    found = []
    for kind, text in blocks():
        if kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                found.append((command, output))
    return found


def pythons() -> list[tuple[str, str]]:
    found = []
    all_blocks = blocks()
    for (kind, text), (next_kind, next_text) in zip(all_blocks, [*all_blocks[1:], ("", "")], strict=True):
        if kind == "python":
            found.append((text, next_text if next_kind == "text" else ""))
    return found


@pytest.fixture
def toured(cli: Cli) -> Cli:
    """Return a command line with the packaged registry."""
    del cli.environ["HUBTOOL_REGISTRY"]
    return cli


def test_the_readme_shows_a_tour() -> None:
    assert {command.split()[1] for command, _ in consoles()} >= {"validate", "resolve", "load"}
    assert any("entities" in text for text, _ in pythons())


@pytest.mark.mindspore
@pytest.mark.parametrize(("command", "output"), consoles(), ids=[command for command, _ in consoles()])
def test_a_command_prints_what_the_readme_says(toured: Cli, command: str, output: str) -> None:
    words = shlex.split(command)
    assert words[0] == "hubtool"
    done = toured(*words[1:])
    assert pattern(output).match(done.out + done.err), done.out + done.err


@pytest.mark.mindspore
@pytest.mark.parametrize(("code", "output"), pythons(), ids=[f"block {n}" for n, _ in enumerate(pythons())])
def test_python_prints_what_the_readme_says(toured: Cli, tmp_path: Path, code: str, output: str) -> None:
    script = tmp_path / "readme.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**toured.environ, "HUBTOOL_OFFLINE": "1"},
        cwd=toured.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert pattern(output).match(done.stdout), done.stdout
