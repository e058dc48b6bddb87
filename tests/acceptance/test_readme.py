"""The READMEs and first pages cannot rot: every command of their tours is run, and what it prints is compared.

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

PAGES = ("README.md", "README.zh-CN.md", "docs/index.md", "docs/start.zh-CN.md", "docs/run.md")
BLOCK = re.compile(r"^```(?P<kind>console|python|text)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(match["kind"], match["text"]) for match in BLOCK.finditer(text)]


def consoles() -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}  # what two pages show alike is run once
    for kind, text in (block for page in PAGES for block in blocks(page)):
        if kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                found[command, output] = None
    return list(found)


def pythons() -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    for page in PAGES:
        all_blocks = blocks(page)
        for (kind, text), (next_kind, next_text) in zip(all_blocks, [*all_blocks[1:], ("", "")], strict=True):
            if kind == "python":
                found[text, next_text if next_kind == "text" else "..."] = None
    return list(found)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one store for the whole tour, as a reader has: the index of the registry is made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def toured(cli: Cli, home: Path) -> Cli:
    """Return a command line with the packaged registry, beside the picture that the pages show."""
    del cli.environ["HUBTOOL_REGISTRY"]
    cli.environ["HUBTOOL_HOME"] = str(home)
    picture = cli.folder / "docs" / "images" / "digit.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes((ROOT / "docs" / "images" / "digit.png").read_bytes())
    return cli


def test_the_readme_shows_a_tour() -> None:
    assert {command.split()[1] for command, _ in consoles()} >= {"validate", "resolve", "load", "run"}
    assert any("hubtool.pipeline" in text for text, _ in pythons())


def test_both_languages_say_the_same_first_commands() -> None:
    """The lines that CI takes out of the README are those of the Chinese one too."""
    english, chinese = ((ROOT / page).read_text(encoding="utf-8") for page in PAGES[:2])
    lines = re.findall(r"^python3 -m venv .*$", english, re.MULTILINE)
    assert len(lines) == 2
    assert re.findall(r"^python3 -m venv .*$", chinese, re.MULTILINE) == lines


def commands() -> list[object]:
    """Return the commands of the pages; those that take long, and that other tests run on less, are slow."""
    marks = {"validate": [pytest.mark.slow], "verify": [pytest.mark.slow]}
    return [
        pytest.param(command, output, id=command, marks=marks.get(command.split()[1], []))
        for command, output in consoles()
    ]


@pytest.mark.mindspore
@pytest.mark.parametrize(("command", "output"), commands())
def test_a_command_prints_what_the_readme_says(toured: Cli, command: str, output: str) -> None:
    words = shlex.split(command)
    assert words[0] == "hubtool"
    done = toured(*words[1:])
    assert pattern(output).match(done.out + done.err), done.out + done.err


@pytest.mark.mindspore
@pytest.mark.parametrize(
    ("code", "output"),
    [
        pytest.param(*block, id=f"block {number}", marks=[pytest.mark.slow] if number else [])
        for number, block in enumerate(pythons())
    ],
)
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
