"""`hubtool fetch` and `hubtool mirror sync` with so many files that several processes fetch them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool import processes
from hubtool.assets.fetch import MANY
from hubtool.digest import digest_file
from tests.acceptance.servers import serving
from tests.cards import write_card

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.acceptance.conftest import Cli
    from tests.acceptance.servers import Server

COUNT = MANY + 16

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or processes.cores() < 2, reason="needs Linux, and more than one processor"
)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def cards(cli: Cli, server: Server, *, size: int = 9_000, pause: float = 0.0) -> dict[str, str]:
    """Write cards with an asset each; return the digests by UID."""
    found = {}
    for number in range(COUNT):
        content = f"{number} ".encode() * (size // 4)
        link = server.put(f"/m{number}.ckpt", content, block=1 << 14, pause=pause)
        write_card(cli.registry, f"hubtool/1.9/m{number}", link=link, content=content)
        found[f"hubtool/1.9/m{number}"] = hashlib.sha256(content).hexdigest()
    return found


def start(cli: Cli, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hubtool", *arguments],
        cwd=cli.folder,
        env=cli.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def children(pid: int) -> list[int]:
    """Return the processes whose parent this one is."""
    text = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in text.read_text(encoding="ascii").split()] if text.exists() else []


def wait(what: str, seconds: float, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_there(cli: Cli, digest: str) -> bool:
    return (cli.home / "blobs" / "sha256" / digest[:2] / digest).is_file()


def test_all_come_once_and_are_told_of(cli: Cli, server: Server) -> None:
    digests = cards(cli, server)
    server.put("/m1.ckpt", b"", "404")
    server.put("/m2.ckpt", b"other bytes")
    done = cli("fetch", *digests, "--json", "--progress", "json")
    assert done.code == 1
    right = {uid: digest for uid, digest in digests.items() if uid not in ("hubtool/1.9/m1", "hubtool/1.9/m2")}
    stored = {card["uid"]: card["assets"][0]["digest"] for card in done.json if card["assets"]}
    assert stored == right
    failed = {card["uid"]: card["failed"][0]["error"] for card in done.json if "failed" in card}
    assert "answered 404" in failed["hubtool/1.9/m1"]
    assert "not the bytes that the card promises" in failed["hubtool/1.9/m2"]
    kinds = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert (kinds.count("done"), kinds.count("failed")) == (COUNT - 2, 2)
    assert all(server.gets(f"/m{number}.ckpt") == 1 for number in range(COUNT))
    assert all(is_there(cli, digest) for digest in right.values())
    assert not is_there(cli, digests["hubtool/1.9/m2"])
    assert cli("cache", "verify", "--json").code == 0


def test_a_mirror_that_lies_is_given_up_by_all(cli: Cli, server: Server) -> None:
    digests = cards(cli, server)
    for digest in digests.values():
        server.put(f"/mirror/blobs/sha256/{digest[:2]}/{digest}", b"wrong")
    done = cli("fetch", *digests, "-q", HUBTOOL_MIRRORS=f"{server.url}/mirror")
    assert done.code == 0
    assert all(is_there(cli, digest) for digest in digests.values())
    asked = [path for _, path in server.requests if path.startswith("/mirror/")]
    # Those that were under way when the first one was found wrong, and no more.
    assert 1 <= len(asked) <= 4
    assert f"warning: the mirror {server.url}/mirror is asked no more" in done.err


def test_interrupted(cli: Cli, server: Server) -> None:
    digests = cards(cli, server, size=600_000, pause=0.02)
    worker = start(cli, "fetch", *digests, "--progress", "lines")
    wait("the first file", 30, lambda: any(is_there(cli, digest) for digest in digests.values()))
    pids = children(worker.pid)
    assert len(pids) > 1
    os.killpg(worker.pid, signal.SIGINT)  # as a terminal does
    _, err = worker.communicate(timeout=10)
    assert worker.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    there = sum(is_there(cli, digest) for digest in digests.values())
    assert 0 < there < COUNT
    assert cli("fetch", *digests, "-q").code == 0
    assert all(is_there(cli, digest) for digest in digests.values())


@pytest.mark.parametrize("whom", ["parent", "child"])
def test_killed(cli: Cli, server: Server, whom: str) -> None:
    digests = cards(cli, server, pause=0.05)
    worker = start(cli, "fetch", *digests, "-q")
    wait("the first file", 30, lambda: any(is_there(cli, digest) for digest in digests.values()))
    pids = children(worker.pid)
    os.kill(worker.pid if whom == "parent" else pids[0], signal.SIGKILL)
    _, err = worker.communicate(timeout=60)
    if whom == "parent":
        wait("the children's end", 10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        done = cli("fetch", *digests, "-q")
        assert (done.code, done.err) == (0, "")
    else:
        assert (worker.returncode, err) == (0, "")
    assert all(is_there(cli, digest) for digest in digests.values())
    assert cli("cache", "verify", "--json").code == 0


def test_nobody_listens_any_more(cli: Cli, server: Server) -> None:
    digests = cards(cli, server, pause=0.05)
    with start(cli, "fetch", *digests, "--progress", "json") as worker:
        assert worker.stderr is not None
        worker.stderr.readline()
        worker.stderr.close()
        assert worker.wait(timeout=30) != 0


# -- mirrors -------------------------------------------------------------------------------------------------------


def mirrored(root: Path) -> set[str]:
    """Return the digests that a mirror has, each of them checked."""
    found = {path.name for path in root.glob("blobs/sha256/*/*")}
    for digest in found:
        assert digest_file(root / "blobs" / "sha256" / digest[:2] / digest) == digest
    return found


def test_all_are_mirrored_and_asked_for_once(cli: Cli, server: Server, tmp_path: Path) -> None:
    digests = cards(cli, server)
    server.put("/m1.ckpt", b"", "404")
    server.put("/m2.ckpt", b"other bytes")
    root = tmp_path / "mirror"
    done = cli("mirror", "sync", root, "--json")
    assert done.code == 1
    failed = {one["uid"]: one["reason"] for one in done.json["failures"]}
    assert set(failed) == {"hubtool/1.9/m1", "hubtool/1.9/m2"}
    assert "answered 404" in failed["hubtool/1.9/m1"]
    assert "not the bytes that the card promises" in failed["hubtool/1.9/m2"]
    right = {digest for uid, digest in digests.items() if uid not in failed}
    assert set(done.json["written"]) == mirrored(root) == right
    assert all(server.gets(f"/m{number}.ckpt") == 1 for number in range(COUNT))
    # What is on its way leaves nothing behind but a lock for each unit.
    staged = [path for path in (root / ".hubtool" / "staging").rglob("*") if path.is_file()]
    assert {path.suffix for path in staged} == {".lock"}
    assert len(staged) <= len({digest[:2] for digest in digests.values()})
    again = cli("mirror", "sync", root, "--json")
    assert (again.code, again.json["written"]) == (1, {})
    assert server.gets("/m3.ckpt") == 1


def test_a_mirror_is_made_of_another_that_lies(cli: Cli, server: Server, tmp_path: Path) -> None:
    digests = cards(cli, server)
    for digest in digests.values():
        server.put(f"/mirror/blobs/sha256/{digest[:2]}/{digest}", b"wrong")
    done = cli("mirror", "sync", tmp_path / "mirror", "--json", HUBTOOL_MIRRORS=f"{server.url}/mirror")
    assert (done.code, mirrored(tmp_path / "mirror")) == (0, set(digests.values()))
    # As many as there are processes, at the most.
    assert 1 <= len([path for _, path in server.requests if path.startswith("/mirror/")]) <= 8


@pytest.mark.parametrize("whom", ["parent", "child", "all"])
def test_a_mirror_whose_makers_die(cli: Cli, server: Server, tmp_path: Path, whom: str) -> None:
    digests = cards(cli, server, size=300_000, pause=0.02)
    root = tmp_path / "mirror"
    worker = start(cli, "mirror", "sync", str(root), "-q")
    wait("the first file", 30, lambda: any(root.glob("blobs/sha256/*/*")) or worker.poll() is not None)
    pids = children(worker.pid)
    assert len(pids) > 1
    if whom == "all":
        os.killpg(worker.pid, signal.SIGINT)  # as a terminal does
    else:
        os.kill(worker.pid if whom == "parent" else pids[0], signal.SIGKILL)
    _, err = worker.communicate(timeout=60)
    assert "Traceback" not in err
    wait("the children's end", 10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    if whom == "child":
        assert worker.returncode == 0
    else:
        assert worker.returncode == (130 if whom == "all" else -signal.SIGKILL)
        assert len(mirrored(root)) < COUNT
        done = cli("mirror", "sync", root, "-q")
        assert (done.code, done.err) == (0, "")
    assert mirrored(root) == set(digests.values())
    assert cli("mirror", "verify", root, "--deep").code == 0
    assert list((root / ".hubtool" / "temporary").iterdir()) == []


NAMING = """
import os, signal, sys, time
from pathlib import Path
from hubtool.assets.events import Wanted
from hubtool.assets.fetch import MANY, Fetcher
from hubtool.assets.store import Store
from hubtool.digest import Digest

store = Store(Path(sys.argv[2]))
files = [line.split() for line in Path(sys.argv[1]).read_text().splitlines()]


def named():
    for number, (link, digest) in enumerate(files):
        if number == MANY + 8:
            # The first ones come while this one waits to be named.
            deadline = time.monotonic() + 60
            while store.peek(files[0][1]) is None:
                assert time.monotonic() < deadline, "nothing comes before all are named"
                time.sleep(0.01)
            if sys.argv[3] == "kill":
                own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
                os.kill(int(own[0]), signal.SIGKILL)
        yield Wanted(link=link, digest=Digest(digest))


with Fetcher(store) as run:
    outcomes = run.fetch_all(named())
assert [one.wanted.link for one in outcomes] == [link for link, _ in files]
assert [one.stored and one.stored.digest for one in outcomes] == [digest for _, digest in files]
"""


@pytest.mark.parametrize("how", ["all live", "kill"])
def test_the_first_come_while_the_others_are_being_named(cli: Cli, server: Server, how: str) -> None:
    lines = []
    for number in range(COUNT):
        content = f"{number} ".encode() * 2000
        link = server.put(f"/m{number}.ckpt", content)
        lines.append(f"{link} {hashlib.sha256(content).hexdigest()}")
    (cli.folder / "files").write_text("\n".join(lines))
    command = [sys.executable, "-c", NAMING, str(cli.folder / "files"), str(cli.home), how]
    done = subprocess.run(command, env=cli.environ, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if how != "kill":
        assert all(server.gets(f"/m{number}.ckpt") == 1 for number in range(COUNT))
