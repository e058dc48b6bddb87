"""Kills, interrupts and disks: what they leave, and that the next run goes on with it."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest, digest_file
from hubtool.errors import FetchError, StoreError
from hubtool.store.partial_file import PartialInfo
from hubtool.store.store import Store
from hubtool.store.temporary import KEEP_PARTIAL_SECONDS
from hubtool.transfer import segments
from hubtool.transfer.events import FetchEvent, FetchRequest
from hubtool.transfer.fetcher import Fetcher, fetch
from tests.acceptance.faults.bench import CONTENT, DIGEST, RETRIES, TIMEOUTS
from tests.support import disks, wait_until
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

ROOT = Path(__file__).parents[3]

FETCH = """
import sys
from pathlib import Path
from hubtool.transfer import segments
from hubtool.transfer.fetcher import fetch
from hubtool.store.store import Store
from hubtool.digest import Digest
root, link, digest, pieces = sys.argv[1:]
if pieces == "1":
    segments.WINDOW_SECONDS, segments.MIN_REMAINING_SECONDS = 0.05, 0.0
    segments.MIN_PIECE_BYTES = segments.MAX_PIECE_BYTES = 1 << 17
fetch(link, digest=Digest(digest), store=Store(Path(root)))
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as one:
        yield one


def start(store: Store, server: Server, *, pieces: bool = False) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", FETCH, str(store.root), f"{server.url}/a", DIGEST.hex, str(int(pieces))]
    return subprocess.Popen(command, cwd=ROOT)


def parts(store: Store) -> list[Path]:
    return sorted((store.root / "temporary").glob("*.part"))


def test_what_came_before_an_end_is_kept(tmp_path: Path, server: Server) -> None:
    store = Store(tmp_path / "home")
    server.default.block = 1 << 16
    over = threading.Event()
    server.meanwhile = lambda sent: sent < len(CONTENT) // 2 or over.wait(60)
    events: list[FetchEvent] = []

    def watch(event: FetchEvent) -> None:
        events.append(event)
        if event.received >= 4 << 16:
            run.end()

    with Fetcher(store, watch=watch) as run:
        outcome = run.outcome(FetchRequest(link=f"{server.url}/a", digest=DIGEST))
        assert "the transfer was ended" in str(outcome.error)
    (kept,) = [event.received for event in events if event.kind == "kept"]
    assert kept >= 4 << 16
    over.set()
    asked = len(server.requests)
    with Fetcher(store) as run:
        assert run.fetch(FetchRequest(link=f"{server.url}/a", digest=DIGEST)).size == len(CONTENT)
    assert [request.start for request in server.requests[asked:]] == [kept]
    assert parts(store) == []


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("pieces", [False, True])
def test_a_kill_at_a_random_instant(tmp_path: Path, server: Server, pieces: bool, kills: int) -> None:
    store = Store(tmp_path / "home")
    # A second, by one connection.
    server.default.pause, server.default.block = (0.04 if pieces else 0.01), 1 << 14
    chance = random.Random(11)  # noqa: S311 (instants, not secrets)
    went_on = 0
    for _ in range(kills):
        process = start(store, server, pieces=pieces)
        asked = len(server.requests)
        wait_until(lambda: len(server.requests) > asked or process.poll() is not None)  # noqa: B023 - used at once
        time.sleep(chance.random() * 0.6)
        process.kill()
        process.wait()
        wait_until(lambda: not server.open_connections)  # what it had asked for is no request of the next run
        for path in store.root.glob("blobs/sha256/*/*"):
            assert digest_file(path) == path.name
        went_on += server.requests[asked].start > 0 if len(server.requests) > asked else 0
        if store.path(DIGEST) is not None:
            store.path(DIGEST).unlink()  # type: ignore[union-attr]  # it is there, as the line above says
    server.default.pause = 0.0
    stored = fetch(f"{server.url}/a", digest=DIGEST, store=store)
    assert stored.path.read_bytes() == CONTENT
    assert list((store.root / "temporary").iterdir()) == []
    assert went_on, "no run went on with what the one before it left"


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="asks the system where the first gap is")
def test_a_kill_loses_little_of_several_connections(tmp_path: Path) -> None:
    """What came without a gap is gone on with, although the part has gaps behind it."""
    content = random.Random(13).randbytes(48 << 20)  # noqa: S311 (no secret)
    digest = Digest(hashlib.sha256(content).hexdigest())
    store = Store(tmp_path / "home")
    with serving(content) as server:
        server.default.pause, server.default.block = 0.02, 1 << 15  # 1.6 MB a second by each connection
        command = [sys.executable, "-c", FETCH, str(store.root), f"{server.url}/a", digest.hex, "0"]
        process = subprocess.Popen(command, cwd=ROOT)

        def without_a_gap() -> int:
            for part in parts(store):
                with part.open("rb") as stream, suppress(OSError):  # it is empty
                    return os.lseek(stream.fileno(), 0, os.SEEK_HOLE)
            return 0

        def saved() -> int:
            infos = [PartialInfo.read(part.with_name(f"{part.name}.json")) for part in parts(store)]
            return max((info.prefix or 0 for info in infos if info is not None), default=0)

        def stopped_before_a_gap() -> bool:
            if saved() < seen:
                return False
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            if without_a_gap() < parts(store)[0].stat().st_size:
                return True
            process.send_signal(signal.SIGCONT)
            return False

        wait_until(lambda: without_a_gap() > 4 << 20)
        seen = without_a_gap()
        wait_until(stopped_before_a_gap)
        process.kill()
        process.wait()
        wait_until(lambda: not server.open_connections)  # what it had asked for is no request of the next run
        (part,) = parts(store)
        came = without_a_gap()
        assert len(server.requests) > 2, "there were no several connections"
        assert came < part.stat().st_size, "there are no gaps"
        asked, server.default.pause = len(server.requests), 0.0
        stored = fetch(f"{server.url}/a", digest=digest, store=store)
        assert digest_file(stored.path) == digest.hex
        start = server.requests[asked].start
    # Where it was is saved several times a second: what came after that is lost, and nothing before it.
    assert seen <= start <= came


def test_a_part_of_a_killed_run_is_hashed_and_not_trusted(tmp_path: Path, server: Server) -> None:
    store = Store(tmp_path / "home")
    server.default.fault = "reset"
    with pytest.raises(FetchError):
        fetch(f"{server.url}/a", digest=DIGEST, store=store, retries=RETRIES)
    server.default.fault = ""
    (part,) = parts(store)
    with part.open("rb+") as stream:
        stream.write(b"damaged")
    asked = len(server.requests)
    assert fetch(f"{server.url}/a", digest=DIGEST, store=store).path.read_bytes() == CONTENT
    assert [request.start > 0 for request in server.requests[asked:]] == [True, False]


def broken_off(store: Store, server: Server) -> Path:
    server.default.fault = "reset"
    with pytest.raises(FetchError):
        fetch(f"{server.url}/a", digest=DIGEST, store=store, retries=RETRIES)
    server.default.fault = ""
    (part,) = parts(store)
    return part


def test_stale_parts_are_removed_and_young_ones_stay(tmp_path: Path, server: Server) -> None:
    store = Store(tmp_path / "home")
    part = broken_off(store, server)
    store.clean()
    assert part.exists()
    old = time.time() - KEEP_PARTIAL_SECONDS - 60
    os.utime(part, (old, old))
    store.clean()
    assert list((store.root / "temporary").iterdir()) == []


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_part_that_was_replaced_by_a_link_is_not_written_through(tmp_path: Path, server: Server, link: str) -> None:
    store = Store(tmp_path / "home")
    part = broken_off(store, server)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part.unlink()
    if link == "symbolic":
        part.symlink_to(victim)
    else:
        os.link(victim, part)
    assert fetch(f"{server.url}/a", digest=DIGEST, store=store).path.read_bytes() == CONTENT
    assert victim.read_bytes() == b"precious"


def test_a_part_that_is_replaced_while_it_is_written(tmp_path: Path, server: Server) -> None:
    store = Store(tmp_path / "home")

    def replace(received: int, size: int | None) -> None:
        del size
        if received == len(CONTENT):
            (part,) = parts(store)
            part.unlink()
            part.write_bytes(b"wrong")

    with pytest.raises(StoreError, match="replaced by another one"):
        fetch(f"{server.url}/a", digest=DIGEST, store=store, progress=replace)
    assert store.path(DIGEST) is None
    assert fetch(f"{server.url}/a", digest=DIGEST, store=store).path.read_bytes() == CONTENT


def test_a_folder_that_cannot_take_the_file(tmp_path: Path, server: Server) -> None:
    store = Store(tmp_path / "home")
    (store.root / "blobs").mkdir(parents=True)
    blocked = store.root / "blobs" / "sha256"
    blocked.write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreError):
        fetch(f"{server.url}/a", digest=DIGEST, store=store)
    blocked.unlink()
    asked = len(server.requests)
    assert fetch(f"{server.url}/a", digest=DIGEST, store=store).path.read_bytes() == CONTENT
    assert len(server.requests) == asked, "all bytes were there already"


@pytest.mark.parametrize(("call", "number"), [("fsync", errno.EIO), ("fsync", errno.ENOSPC), ("pwrite", errno.EACCES)])
def test_a_disk_that_fails(tmp_path: Path, server: Server, call: str, number: int) -> None:
    store = Store(tmp_path / "home")
    with disks.failing([call], number), pytest.raises(StoreError) as caught:
        fetch(f"{server.url}/a", digest=DIGEST, store=store)
    assert caught.value.hint
    assert store.path(DIGEST) is None
    assert fetch(f"{server.url}/a", digest=DIGEST, store=store).path.read_bytes() == CONTENT
    assert list((store.root / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("fsync", errno.EIO),
        ("fsync", errno.ENOSPC),
        ("pwrite", errno.EACCES),
        ("pwrite", errno.ENOSPC),
        ("pread", errno.EIO),
        ("replace", errno.EACCES),
        ("replace", errno.EROFS),
    ],
)
def test_a_disk_that_fails_while_a_part_is_gone_on_with(tmp_path: Path, server: Server, call: str, number: int) -> None:
    store = Store(tmp_path / "home")
    broken_off(store, server)
    with disks.failing([call], number), pytest.raises(StoreError) as caught:
        fetch(f"{server.url}/a", digest=DIGEST, store=store)
    assert caught.value.hint
    assert store.path(DIGEST) is None
    assert fetch(f"{server.url}/a", digest=DIGEST, store=store).path.read_bytes() == CONTENT
    assert list((store.root / "temporary").iterdir()) == []


def test_several_connections_bring_one_file(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WINDOW_SECONDS": 0.05,
        "MIN_REMAINING_SECONDS": 0.0,
        "MIN_PIECE_BYTES": 1 << 17,
        "MAX_PIECE_BYTES": 1 << 17,
    }.items():
        monkeypatch.setattr(segments, name, value)
    server.default.pause, server.default.block = 0.01, 1 << 14
    most = 0

    def count(_: int) -> None:
        nonlocal most
        most = max(most, len(server.open_connections))

    server.meanwhile = count
    with Fetcher(Store(tmp_path), timeouts=TIMEOUTS, connections=6) as one:
        assert one.fetch(FetchRequest(link=f"{server.url}/a", digest=DIGEST)).path.read_bytes() == CONTENT
    assert len(server.requests) > 2
    assert all(request.headers["if-range"] == '"one"' for request in server.requests[1:])
    assert most > 2, "they did not come at the same time"
    assert server.sent < 2 * len(CONTENT), "each connection brought the whole"


def test_without_proof_there_are_no_several_connections_and_nothing_is_kept(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WINDOW_SECONDS": 0.05, "MIN_REMAINING_SECONDS": 0.0, "MIN_PIECE_BYTES": 1 << 17}.items():
        monkeypatch.setattr(segments, name, value)
    server.default.pause, server.default.block, server.default.etag = 0.002, 1 << 14, 'W/"weak"'
    assert fetch(f"{server.url}/a", digest=DIGEST, store=Store(tmp_path / "one")).path.read_bytes() == CONTENT
    assert len(server.requests) == 1
    server.default.fault = "reset"
    store = Store(tmp_path / "two")
    with pytest.raises(FetchError):
        fetch(f"{server.url}/a", digest=DIGEST, store=store, retries=RETRIES)
    assert list((store.root / "temporary").iterdir()) == []


def test_an_interrupt_of_the_command_leaves_a_part_and_says_so(tmp_path: Path, server: Server) -> None:
    from tests.support.cards import write_card

    write_card(tmp_path / "registry", "hubtool/1.9/a", link=f"{server.url}/a.ckpt", content=CONTENT)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HUBTOOL_REGISTRY": str(tmp_path / "registry")}
    environ.update(HUBTOOL_HOME=str(tmp_path / "home"), XDG_CONFIG_HOME=str(tmp_path))
    command = [sys.executable, "-m", "hubtool", "fetch", "hubtool/1.9/a"]
    server.default.pause, server.default.block, ended = 0.05, 1 << 14, threading.Event()
    server.meanwhile = lambda sent: sent < len(CONTENT) // 2 or ended.wait(60)
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    store = Store(tmp_path / "home")
    wait_until(lambda: any(part.stat().st_size for part in parts(store)))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    ended.set()
    assert process.returncode == 130
    assert "kept: " in said
    assert "run the same command again to resume" in said
    assert "Traceback" not in said
    server.default.pause = 0.0
    again = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "resumes at" in again.stderr
    assert server.requests[-1].start > 0
