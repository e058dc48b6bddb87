"""The hook that refuses in words what a usage block has no reason to do; it is all there is without namespaces."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from hubtool.publish.check_rows import ending
from hubtool.sandbox.limits import ProgramLimits
from hubtool.sandbox.run import ProgramResult, environment, run_isolated
from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def ran(folder: Path, code: str) -> ProgramResult:
    """Run code as a usage block, without namespaces."""
    scratch = folder / "scratch"
    spec = folder / "usage.json"
    spec.write_text(json.dumps({"code": code, "name": "card.md", "writable": [str(scratch)]}), encoding="utf-8")
    return run_isolated(
        [sys.executable, "-m", "hubtool.sandbox.usage_main", str(spec)],
        scratch=scratch,
        environ=environment(scratch, {"PYTHONPATH": str(ROOT)}),
        limits=ProgramLimits(seconds=60),
        use_namespaces=False,
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("open({outside!r}, 'a')", "it writes outside its folder"),
        ("import os; os.open({outside!r}, os.O_RDWR)", "it writes outside its folder"),
        ("import pathlib; pathlib.Path({outside!r}).write_text('x')", "it writes outside its folder"),
        ("import os; os.remove({outside!r})", "it writes outside its folder"),
        ("import os; os.rename({outside!r}, 'x')", "it writes outside its folder"),
        ("import os; os.symlink('/', 'up'); open('up' + {outside!r}, 'w')", "it writes outside its folder"),
        ("import shutil; shutil.rmtree({folder!r})", "it writes outside its folder"),
        ("import os; os.chmod({outside!r}, 0)", "it writes outside its folder"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "a usage block has no network"),
        ("import urllib.request as r; r.urlopen('http://example.org')", "a usage block has no network"),
        ("input()", "it asks for input"),
        ("import sys; sys.stdin.read() or sys.exit(4)", "it ended with 4"),
        ("1 / 0", "it ended with 1: ZeroDivisionError: division by zero"),
        ("raise ValueError('a\\nb: c')", "it ended with 1: ValueError: a"),
        ("def (", "it ended with 1: SyntaxError"),
    ],
)
def test_what_is_refused_is_named(tmp_path: Path, code: str, reason: str) -> None:
    (tmp_path / "kept").mkdir()
    outside = tmp_path / "kept" / "outside.txt"
    outside.write_text("mine", encoding="utf-8")
    outside.chmod(0o644)
    # Only the two names are filled in; other braces are the code's own.
    code = code.replace("{outside!r}", repr(str(outside))).replace("{folder!r}", repr(str(outside.parent)))
    ended = ran(tmp_path, code)
    assert reason in ending(ended), ended.output
    assert outside.read_text(encoding="utf-8") == "mine"
    assert outside.stat().st_mode & 0o777 == 0o644


def test_what_a_program_may_do_it_can(tmp_path: Path) -> None:
    code = (
        "import json, os, sys, tempfile\n"
        "from pathlib import Path\n"
        "assert __name__ == '__main__' and sys.argv == ['card.md']\n"
        "Path('a').mkdir(); Path('a/b').write_text('x'); os.rename('a/b', 'c'); os.remove('c'); os.rmdir('a')\n"
        "Path.home().joinpath('d').write_text('x')\n"
        "with tempfile.TemporaryDirectory() as folder: Path(folder, 'e').write_text('x')\n"
        "open('/dev/null', 'w').write('x')\n"
        "assert 'HUBTOOL_ANSWER' not in os.environ\n"
        "class A:\n    value: int = 1\n"
        "print(json.dumps([A().value, [x for x in range(3)]]))\n"
        "sys.exit()\n"
    )
    ended = ran(tmp_path, code)
    assert (ended.code, ended.output) == (0, "[1, [0, 1, 2]]\n")
