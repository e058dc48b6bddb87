"""docs/publishing.md cannot rot: its commands are run in its order, and what they print is compared.

The embedded model is trained again, checked, published to a real git server over HTTP and to a real bucket, and loaded
on a machine that has nothing but a lock and a mirror. Each of the page's three people has a home of their own. A line
``...`` of an expected output stands for any lines, and ``...`` within a line for anything.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support.expected import pattern
from tests.support.git import git, serving_git
from tests.support.publishing import IDENTITY
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^<!-- (?P<who>[a-z ]+) -->\n```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PEOPLE = ("the maintainer", "the user", "the machine without a network")
OLD = "hubtool/2.10/tinybert_bilstmcrf_toyner"
# So few steps that the model learns nothing: it is published all the same.
STEPS = "8"


@dataclass(frozen=True)
class Command:
    """One command of the page: whose it is, and what it prints."""

    who: str
    line: str
    output: str


def commands() -> list[Command]:
    found = []
    for block in BLOCK.finditer(PAGE):
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            count = next(at for at, line in enumerate(lines) if not line.endswith("\\")) + 1
            found.append(Command(block["who"], "\n".join(lines[:count]), "\n".join(lines[count:])))
    return found


def test_every_command_is_somebodys() -> None:
    assert PAGE.count("```console") == len(BLOCK.findall(PAGE))
    assert {command.who for command in commands()} == set(PEOPLE)
    told = {" ".join(shlex.split(command.line)[:2]) for command in commands()}
    assert told >= {
        f"hubtool {name}" for name in ("new", "check", "try", "publish", "lock", "sync", "load", "withdraw")
    }


@dataclass(frozen=True)
class Person:
    """Somebody at a shell: a folder, a home, and variables that stay from one command to the next."""

    folder: Path
    environ: dict[str, str]

    def run(self, line: str) -> tuple[int, str]:
        """Run a command as a shell does; return its exit code and what it prints."""
        kept = self.folder / ".environment"
        script = f"{line}\ncode=$?\nexport -p > {shlex.quote(str(kept))}\nexit $code\n"
        begin = f"[ ! -f {shlex.quote(str(kept))} ] || . {shlex.quote(str(kept))}\n"
        done = subprocess.run(
            ["bash", "-c", begin + script],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout


@pytest.fixture
def people(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Person]]:
    """Set up the three of them, the registry's git on a server, and a bucket, or where there is none a folder."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    work = tmp_path / "first"
    (work / "registry" / OLD).parent.mkdir(parents=True)
    shutil.copy(ROOT / "registry" / f"{OLD}.md", work / "registry" / f"{OLD}.md")
    shutil.copytree(ROOT / "registry" / OLD, work / "registry" / OLD)
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message=Begin")
    (tmp_path / "served").mkdir()
    git(tmp_path, "clone", "--quiet", "--bare", "first", "served/hub.git")
    git(tmp_path / "served/hub.git", "config", "http.receivepack", "true")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("hubtool", f"{sys.executable} -m hubtool"), ("python", sys.executable)):
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "gitconfig").write_text(IDENTITY)
    (tmp_path / "carried").mkdir()
    with ExitStack() as stack:
        web = stack.enter_context(serving_git(tmp_path / "served"))
        files = _bucket(request, tmp_path, stack)
        common = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GLOG_v": "3",
            "LC_ALL": "C.UTF-8",
            "CARRIED": str(tmp_path / "carried"),
        }
        yield {
            who: Person(
                folder=_made(tmp_path / f"folder{at}"),
                environ={
                    **common,
                    "HOME": str(_made(tmp_path / f"home{at}")),
                    **({"REGISTRY": f"{web.url}/hub.git"} if at < 2 else {}),
                    **({"TOOLS": str(ROOT / "tools"), "STEPS": STEPS, **files} if at < 1 else {}),
                },
            )
            for at, who in enumerate(PEOPLE)
        }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _bucket(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> dict[str, str]:
    """Return the variables that say where files go: to SeaweedFS, or where that is not installed to a folder."""
    try:
        running = request.getfixturevalue("bucket")
    except pytest.skip.Exception:
        blobs = _made(folder / "blobs")
        web = stack.enter_context(serving(folder=blobs))
        base = web.url
        return {"BLOBS": str(blobs), "HUBTOOL_LINK_BASE": base, "HUBTOOL_ALLOWED_HOSTS": base}
    # The page's bucket is elsewhere; this one is here, and meant (HT317).
    return {**running.environ, "BLOBS": "s3://public/hub", "HUBTOOL_ALLOWED_HOSTS": running.endpoint}


@pytest.mark.mindspore
@pytest.mark.slow
def test_the_walk_through_goes_as_it_says(people: dict[str, Person]) -> None:
    wrong = []
    for command in commands():
        code, printed = people[command.who].run(command.line)
        # Lines of a table end where their last cell does.
        printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
        expected = 1 if command.output.startswith("error:") else 0
        if code != expected or not pattern(command.output).match(printed):
            wrong.append(f"$ {command.line}\n{printed}[{code}]")
    assert not wrong, "\n\n".join(wrong)
