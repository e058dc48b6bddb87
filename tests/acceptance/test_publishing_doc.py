"""docs/publishing.md cannot rot: its commands are run in its order, and what they print is compared."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import ROOT

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

PAGE = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
CONSOLE = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    found = []
    for block in CONSOLE.finditer(PAGE):
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.mindspore
def test_the_walk_through_goes_as_it_says(cli: Cli) -> None:
    del cli.environ["HUBTOOL_REGISTRY"]
    (cli.folder / "registry").mkdir()
    embedded = ROOT / "registry" / "hubtool" / "2.10" / "tinybert_bilstmcrf_toyner"
    shutil.copy(embedded / "tinybert_bilstmcrf_toyner.ckpt", cli.folder / "tagger.ckpt")
    assert len(commands()) >= 7
    for command, output in commands():
        words = shlex.split(command)
        if words[0] == "rm":
            (cli.folder / words[1]).unlink()
            continue
        assert words[0] == "hubtool"
        done = cli(*words[1:])
        # The page has the lines of both streams as a terminal shows them; here each stream comes by itself.
        printed = [line.rstrip() for line in (done.out + done.err).splitlines()]
        expected = output.strip("\n").splitlines()
        for line in expected:
            wanted = re.compile(re.escape(line).replace(r"\.\.\.", ".*"))
            assert any(map(wanted.fullmatch, printed)), "\n".join([command, line, "--", *printed])
        assert len(expected) == len(printed), "\n".join([command, "--", *printed])
