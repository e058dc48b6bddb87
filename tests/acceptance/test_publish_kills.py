"""A publication that is killed, at instants spread over all that it does, and completed by a second run each time."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from hubtool.mirror import layout
from hubtool.publish import blobs
from tests.support.git import git
from tests.support.publishing import Maintainer, draft, maintainer_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.cli import Cli

SIZE = 12 << 20


def begin(desk: Maintainer, arguments: tuple[str | Path, ...]) -> subprocess.Popen[str]:
    """Start a publication, and wait until the check is done: what follows is what changes something."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hubtool", "publish", *map(str, arguments)],
        cwd=desk.cli.folder,
        env=desk.cli.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("metrics"):
            return process
    pytest.fail("the publication ended before its check did")


def kill(process: subprocess.Popen[str], *, all_of_it: bool) -> None:
    """Kill a publication; with or without the git that it has started."""
    if all_of_it:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def stored(place: str) -> dict[str, str]:
    """Return the blobs that are visible, by digest, with the digests that they really have."""
    opened = blobs.open_blobs(place)
    found = {}
    for digest in layout.blobs(opened):
        with opened.blob(digest) as blocks:
            digester = hashlib.sha256()
            for block in blocks:
                digester.update(block)
            found[digest] = digester.hexdigest()
    return found


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX'")
@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("folder", 3),
        pytest.param("folder", 20, marks=pytest.mark.slow),
        pytest.param("bucket", 5, marks=[pytest.mark.s3, pytest.mark.slow]),
    ],
)
def test_a_killed_publication_is_completed(
    cli: Cli, tmp_path: Path, request: pytest.FixtureRequest, kind: str, kills: int
) -> None:
    with ExitStack() as stack:
        if kind == "bucket":
            variables = request.getfixturevalue("bucket").environ
            stack.enter_context(mock.patch.dict(os.environ, variables))
            cli.environ.update(variables)
        desk = stack.enter_context(maintainer_at(cli, tmp_path))
        place = str(desk.blobs) if kind == "folder" else "s3://public/kills"
        where: tuple[str, ...] = ("--blobs", place, *(("--link-base", desk.links) if kind == "folder" else ()))
        (desk.checkout / "README.md").write_text("Being edited.\n")
        before = desk.state()

        def card(name: str) -> tuple[tuple[str | Path, ...], str]:
            """Write a card and its file; return what publishes them, and the file's digest."""
            content = random.Random(name).randbytes(SIZE)  # noqa: S311 - no secret
            asset = tmp_path / f"{name}.ms"
            asset.write_bytes(content)
            path = draft(tmp_path / "drafts", f"tests/1.9/{name}", content, f"https://unpublished.invalid/{name}.ms")
            text = path.read_text().replace("file-format: ckpt", "file-format: mslite")
            path.write_text(text.replace("used-for: inference\n", "used-for: inference\nmindspore-lite: true\n"))
            more = ("--registry", desk.checkout, "--unproven", "--push")
            return (path, "--asset", asset, *where, *more), hashlib.sha256(content).hexdigest()

        arguments, _ = card("whole")
        process = begin(desk, arguments)
        started = time.monotonic()
        process.communicate(timeout=120)
        assert process.returncode == 0
        lasts = time.monotonic() - started
        phases = set()
        cards = 1
        # On a machine that is busy by now a publication takes longer: later kills then meet its end.
        for at in range(kills + 8):
            if at >= kills and "done" in phases:
                break
            arguments, digest = card(f"m{at}")
            cards += 1
            branch = f"publish/tests-1.9-m{at}"
            process = begin(desk, arguments)
            time.sleep(lasts * ((at + 0.5) / kills if at < kills else at - kills + 1.5))
            kill(process, all_of_it=at % 2 == 0)
            phases.add(look(desk, stored(place), branch, digest, lambda: stored(place)))
            # Within .git, a working tree of the killed run may be left: the next run clears it away.
            assert desk.state()[:-1] == before[:-1]
            done = cli_publish(desk, arguments)
            assert done == 0
            assert stored(place)[digest] == digest
            assert digest in desk.show(f"{branch}:registry/tests/1.9/m{at}.md")
            assert git(desk.origin, "rev-list", "--count", f"main..{branch}") == "1"
            assert desk.state() == before
            assert desk.left() == []
        assert len(desk.branches()) == 1 + cards
        git(desk.origin, "fsck", "--strict")
        git(desk.checkout, "fsck", "--strict")
        if kills >= 20:
            assert {"nothing", "file", "done"} <= phases, f"the instants met {phases} only"


def look(desk: Maintainer, found: dict[str, str], branch: str, digest: str, again: Callable[[], dict[str, str]]) -> str:
    """See that nothing half published is visible; return how far the killed run had come."""
    assert all(name == actual for name, actual in found.items())
    if branch in desk.branches():
        # Where the card is visible, so is its file.
        card = desk.show(f"{branch}:registry/{branch.removeprefix('publish/').replace('-', '/')}.md")
        assert digest in card
        assert again()[digest] == digest
        return "done"
    if branch in desk.branches(desk.checkout):
        assert digest in desk.show(
            f"{branch}:registry/{branch.removeprefix('publish/').replace('-', '/')}.md", desk.checkout
        )
        assert digest in found
        return "commit"
    return "file" if digest in found else "nothing"


def cli_publish(desk: Maintainer, arguments: tuple[str | Path, ...]) -> int:
    """Publish, as the second run does, at once after the first one died."""
    done = desk.cli("publish", *arguments)
    assert done.code == 0, done.err
    return done.code
