"""`hubtool fetch` with many files: what it prints, where it stops, and what it is bound by."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.store.store import Store
from hubtool.transfer.events import FetchEvent, FetchRequest
from hubtool.transfer.fetcher import Fetcher, RetryPolicy
from tests.support import wait_until
from tests.support.cards import write_card
from tests.support.server import refusing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.server import Request, Server

CONTENTS = {f"hubtool/1.9/m{number}": b"%d" % number * 40_000 for number in range(6)}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def cards(cli: Cli, server: Server) -> list[str]:
    for uid, content in CONTENTS.items():
        link = server.put(f"/{uid.rpartition('/')[2]}.ckpt", content)
        write_card(cli.registry, uid, link=link, content=content)
    return list(CONTENTS)


def test_many_uids_in_one_run(cli: Cli, server: Server) -> None:
    uids = cards(cli, server)
    done = cli("fetch", *uids, uids[0], "--json")
    assert done.code == 0, done.err
    assert [card["uid"] for card in done.json] == uids
    for card in done.json:
        assert card["assets"][0]["digest"] == hashlib.sha256(CONTENTS[card["uid"]]).hexdigest()
    assert "m3.ckpt: 39.1 KiB, verified" in done.err
    assert cli("fetch", *uids, "-q", HUBTOOL_OFFLINE="1").err == ""


def test_one_that_fails_does_not_stop_the_others(cli: Cli, server: Server) -> None:
    uids = cards(cli, server)
    server.put("/m1.ckpt", b"", "404")
    done = cli("fetch", *uids, "hubtool/1.9/nowhere", "--json", "--progress", "none")
    assert done.code == 1
    failed = {card["uid"]: card["failed"][0]["error"] for card in done.json if "failed" in card}
    assert set(failed) == {"hubtool/1.9/m1", "hubtool/1.9/nowhere"}
    assert "answered 404" in failed["hubtool/1.9/m1"]
    assert done.err.count("error: ") == 2
    assert sum(bool(card["assets"]) for card in done.json) == 5


def test_progress_for_programs(cli: Cli, server: Server) -> None:
    uids = cards(cli, server)
    server.put("/m1.ckpt", b"", "404")
    done = cli("fetch", *uids, "--progress", "json")
    assert done.code == 1
    events = [json.loads(line) for line in done.err.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds.count("done") == 5
    assert kinds.count("failed") == 1
    assert kinds[-1] == "error"
    assert {event["name"] for event in events if event["event"] == "started"} == {
        f"m{number}.ckpt" for number in (0, 2, 3, 4, 5)
    }


def test_mirrors_by_variable(cli: Cli, server: Server) -> None:
    uids = cards(cli, server)
    for content in CONTENTS.values():
        digest = hashlib.sha256(content).hexdigest()
        server.put(f"/mirror/blobs/sha256/{digest[:2]}/{digest}", content)
    wrong = hashlib.sha256(CONTENTS[uids[0]]).hexdigest()
    server.put(f"/wrong/blobs/sha256/{wrong[:2]}/{wrong}", b"wrong")
    done = cli("fetch", uids[0], "-q", HUBTOOL_MIRRORS=f"{server.url}/wrong,{server.url}/mirror")
    assert done.code == 0
    assert f"warning: the mirror {server.url}/wrong is asked no more" in done.err
    assert not [path for path in server.paths() if path.endswith(".ckpt")]


@pytest.mark.parametrize("rate", ["0", "fast", "-1", "10X"])
def test_what_is_no_rate(cli: Cli, rate: str) -> None:
    done = cli("fetch", "a/1/b", f"--limit-rate={rate}")
    assert done.code == 2
    assert "is not a rate" in done.err


def wanted(server: Server, count: int, size: int, pause: float) -> list[FetchRequest]:
    files = []
    for number in range(count):
        content = b"%d" % number * size
        link = server.put(f"/{number}", content, block=1 << 14, pause=pause)
        files.append(FetchRequest(link=link, digest=Digest(hashlib.sha256(content).hexdigest())))
    return files


def test_the_rate_bounds_all_files_together(tmp_path: Path, server: Server) -> None:
    files = wanted(server, 4, 100_000, 0.0)
    started = time.monotonic()
    with Fetcher(Store(tmp_path), rate=400_000) as run:
        assert all(outcome.stored for outcome in run.fetch_all(files))
    assert 0.8 < time.monotonic() - started < 30


def test_connections_are_bounded(tmp_path: Path, server: Server) -> None:
    files = wanted(server, 6, 60_000, 0.01)
    events: list[FetchEvent] = []
    with Fetcher(Store(tmp_path), connections=2, watch=events.append) as run:
        assert all(outcome.stored for outcome in run.fetch_all(files))
    under_way: set[str] = set()
    most = 0
    for event in events:
        if event.kind == "started":
            under_way.add(event.name)
        elif event.kind == "done":
            under_way.discard(event.name)
        most = max(most, len(under_way))
    assert most == 2


def test_a_run_can_be_ended_from_another_thread(tmp_path: Path, server: Server) -> None:
    files = wanted(server, 3, 300_000, 0.0)
    over = threading.Event()

    def end(sent: int) -> None:
        if sent > 100_000:
            run.end()
            over.wait(60)  # nothing comes any more: only the end ends it

    with Fetcher(Store(tmp_path)) as run:
        server.meanwhile = end
        started = time.monotonic()
        outcomes = run.fetch_all(files)
        assert time.monotonic() - started < 20, "it waited for a read to time out"
    over.set()
    assert not any(outcome.stored for outcome in outcomes)
    assert not [one for one in threading.enumerate() if one.name in ("hubtool-stall-monitor", "hubtool-hash")]


@pytest.mark.parametrize("count", [50, 200], ids=["few", "many"])
def test_a_host_out_of_reach_is_given_up(server: Server, tmp_path: Path, count: int) -> None:
    gone, events = refusing(), list[FetchEvent]()
    retries = RetryPolicy(attempts=2, first_seconds=0.1, unreached_seconds=0.3)
    content = b"reached"
    digests = [Digest(hashlib.sha256(b"%d" % number).hexdigest()) for number in range(count)]
    wanted = [FetchRequest(link=f"{gone}/m.ckpt?token=SECRET", digest=digest) for digest in digests]
    link = server.put("/there.ckpt", content)
    wanted.append(FetchRequest(link=link, digest=Digest(hashlib.sha256(content).hexdigest())))
    with Fetcher(Store(tmp_path / "home"), retries=retries, connections=4, watch=events.append) as run:
        outcomes = run.fetch_all(wanted)
    assert outcomes[-1].stored is not None
    errors = [str(outcome.error) for outcome in outcomes[:-1]]
    asked = [error for error in errors if "cannot be reached" in error]
    assert 3 <= len(asked) < 40
    given_up = [error for error in errors if "not asked for, because its server could not be reached for" in error]
    assert len(asked) + len(given_up) == count
    assert not any("SECRET" in error for error in errors)
    assert all("run the same again later" in error for error in given_up)
    # A host that is given up meanwhile is not asked a second time for a file that is under way.
    assert len(asked) - 8 <= sum(event.kind == "retried" for event in events) <= len(asked)


# -- dozens of files at once -------------------------------------------------------------------------------------------

DOZENS = 48


def dozens(cli: Cli, server: Server, *, size: int = 9_000, pause: float = 0.0) -> dict[str, str]:
    """Write cards with an asset each; return the digests by UID."""
    found = {}
    for number in range(DOZENS):
        content = f"{number} ".encode() * (size // 4)
        link = server.put(f"/m{number}.ckpt", content, block=1 << 14, pause=pause)
        write_card(cli.registry, f"hubtool/1.9/m{number}", link=link, content=content)
        found[f"hubtool/1.9/m{number}"] = hashlib.sha256(content).hexdigest()
    return found


def is_there(cli: Cli, digest: str) -> bool:
    return (cli.home / "blobs" / "sha256" / digest[:2] / digest).is_file()


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


def wait_for_a_file(cli: Cli, digests: dict[str, str]) -> None:
    wait_until(lambda: any(is_there(cli, digest) for digest in digests.values()))


def test_each_of_dozens_comes_once(cli: Cli, server: Server) -> None:
    digests = dozens(cli, server)
    server.put("/m1.ckpt", b"", "404")
    server.put("/m2.ckpt", b"other bytes")
    done = cli("fetch", *digests, "--json", "--progress", "json")
    assert done.code == 1
    right = {uid: digest for uid, digest in digests.items() if uid not in ("hubtool/1.9/m1", "hubtool/1.9/m2")}
    assert {card["uid"]: card["assets"][0]["digest"] for card in done.json if card["assets"]} == right
    failed = {card["uid"]: card["failed"][0]["error"] for card in done.json if "failed" in card}
    assert "answered 404" in failed["hubtool/1.9/m1"]
    assert "not the bytes that the card promises" in failed["hubtool/1.9/m2"]
    kinds = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert (kinds.count("done"), kinds.count("failed")) == (DOZENS - 2, 2)
    assert all(server.gets(f"/m{number}.ckpt") == 1 for number in range(DOZENS) if number != 2)
    assert not is_there(cli, digests["hubtool/1.9/m2"])
    assert cli("cache", "verify", "--json").code == 0


def test_a_mirror_that_lies_about_dozens_is_given_up(cli: Cli, server: Server) -> None:
    digests = dozens(cli, server)
    for digest in digests.values():
        server.put(f"/mirror/blobs/sha256/{digest[:2]}/{digest}", b"wrong")
    done = cli("fetch", *digests, "-q", HUBTOOL_MIRRORS=f"{server.url}/mirror")
    assert done.code == 0
    assert all(is_there(cli, digest) for digest in digests.values())
    asked = [path for path in server.paths() if path.startswith("/mirror/")]
    # Those that were under way when the first one was found wrong, and no more.
    assert 1 <= len(asked) <= 16
    assert f"warning: the mirror {server.url}/mirror is asked no more" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_dozens_are_completed_after_an_end(cli: Cli, server: Server, number: int) -> None:
    digests = dozens(cli, server, size=300_000)
    ended = threading.Event()

    def answer(request: Request) -> None:
        if request.number >= DOZENS // 2:
            ended.wait(60)

    server.answer = answer
    worker = start(cli, "fetch", *digests, "--progress", "lines")
    wait_for_a_file(cli, digests)
    os.killpg(worker.pid, number)
    _, err = worker.communicate(timeout=60)
    ended.set()
    assert "Traceback" not in err
    assert worker.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    there = sum(is_there(cli, digest) for digest in digests.values())
    assert 0 < there < DOZENS
    done = cli("fetch", *digests, "-q")
    assert (done.code, done.err) == (0, "")
    assert all(is_there(cli, digest) for digest in digests.values())
    assert cli("cache", "verify", "--json").code == 0


def test_nobody_reads_the_events_any_more(cli: Cli, server: Server) -> None:
    digests = dozens(cli, server, pause=0.05)
    with start(cli, "fetch", *digests, "--progress", "json") as worker:
        assert worker.stderr is not None
        worker.stderr.readline()
        worker.stderr.close()
        assert worker.wait(timeout=60) != 0
