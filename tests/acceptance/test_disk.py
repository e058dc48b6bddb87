"""Disks that are full, disks that cannot be written, and processes that are killed while they write."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool.checkpoint.conversion import to_safetensors
from hubtool.checkpoint.reading import read_header
from hubtool.digest import Digest
from hubtool.errors import FetchError, StoreError
from hubtool.store import cleanup
from hubtool.store.store import Store
from hubtool.transfer.fetcher import RetryPolicy, fetch
from tests.support import disks, wait_until
from tests.support.checkpoints import ckpt, filled
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SMALL_DISK = 1 << 20
CONTENT = bytes(range(256)) * 8192  # two MiB: twice the disk
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB, in memory."""
    with disks.small_disk(tmp_path / "disk", SMALL_DISK) as folder:
        yield folder


def parts(store: Store) -> list[Path]:
    return list(store.root.glob("temporary/*"))


@pytest.mark.parametrize("fault", ["", "no-length"])
def test_a_full_disk(small_disk: Path, fault: str) -> None:
    store = Store(small_disk / "home")
    with serving() as server:
        link = server.put("/a.ckpt", CONTENT, fault)
        with pytest.raises(StoreError, match=r"disk is full.* \d+ bytes are free") as caught:
            fetch(link, digest=DIGEST, store=store)
        if not fault:
            assert f"{len(CONTENT)} bytes are needed" in str(caught.value)
        assert "HUBTOOL_HOME" in str(caught.value)
        assert store.path(DIGEST) is None
        assert parts(store) == []
        assert not (store.root / "blobs").exists()
        small = CONTENT[:1000]
        link = server.put("/b.ckpt", small)
        assert fetch(link, digest=Digest(hashlib.sha256(small).hexdigest()), store=store).size == 1000


@pytest.mark.parametrize("tenth", range(10))
def test_a_disk_that_gets_full_at_every_tenth(small_disk: Path, tenth: int) -> None:
    room = CONTENT[: SMALL_DISK * 9 // 10]
    (small_disk / "other").write_bytes(bytes(SMALL_DISK - len(room) * tenth // 10 - 40_000))
    store = Store(small_disk / "home")
    with serving() as server:
        link = server.put("/a.ckpt", room, "no-length")
        digest = Digest(hashlib.sha256(room).hexdigest())
        with pytest.raises(StoreError, match="disk is full"):
            fetch(link, digest=digest, store=store)
        assert parts(store) == []
        (small_disk / "other").unlink()
        assert fetch(link, digest=digest, store=store).path.read_bytes() == room


@pytest.mark.parametrize("tenth", range(6, 10))
def test_a_disk_that_gets_full_while_a_part_is_gone_on_with(small_disk: Path, tenth: int) -> None:
    room = CONTENT[: SMALL_DISK * 8 // 10]
    digest = Digest(hashlib.sha256(room).hexdigest())
    store = Store(small_disk / "home")
    with serving(room) as server:
        link = f"{server.url}/a"
        server.default.fault = "truncate"
        with pytest.raises(FetchError):
            fetch(link, digest=digest, store=store, retries=RetryPolicy(attempts=1))
        (part,) = store.root.glob("temporary/*.part")
        assert part.stat().st_size == len(room) // 2
        (small_disk / "other").write_bytes(bytes(SMALL_DISK - len(room) * tenth // 10 - 60_000))
        server.default.fault = ""
        with pytest.raises(StoreError, match="disk is full"):
            fetch(link, digest=digest, store=store)
        assert store.path(digest) is None
        (small_disk / "other").unlink()
        assert fetch(link, digest=digest, store=store).path.read_bytes() == room
        assert server.requests[-1].start >= len(room) // 2
        assert parts(store) == []


def test_a_conversion_on_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.ckpt"
    source.write_bytes(ckpt([filled("w", (1024, 600))]))
    store = Store(small_disk / "home")
    header = read_header(source)
    digest = "ab" * 32
    with pytest.raises(StoreError, match="disk is full"):
        store.derive(digest, "safetensors", lambda path: to_safetensors(header, source, path))
    assert parts(store) == []
    assert store.derived(digest, "safetensors") is None
    with pytest.raises(StoreError, match="disk is full"):
        to_safetensors(header, source, small_disk / "twin")
    assert sorted(path.name for path in small_disk.iterdir()) == ["home"]


def test_a_store_that_can_only_be_read(small_disk: Path) -> None:
    content = CONTENT[:1000]
    digest = Digest(hashlib.sha256(content).hexdigest())
    store = Store(small_disk / "home")
    with store.writer(digest) as writer:
        writer.write(content)
        path = writer.commit().path
    shutil.rmtree(store.root / "records")
    wrong = "0" * 64
    wrong_path = store.root / "blobs" / "sha256" / "00" / wrong
    wrong_path.parent.mkdir()
    wrong_path.write_bytes(b"wrong")
    disks.remount(small_disk, "ro")
    store = Store(small_disk / "home", patience=2)
    assert store.path(digest) == path
    assert store.path(Digest(wrong)) is None
    assert wrong_path.read_bytes() == b"wrong"
    (found,) = [one for one in cleanup.verify(store) if not one.right]
    assert (found.digest, found.moved) == (wrong, False)
    assert "is wrong, and still there: " in found.fate
    assert wrong_path.read_bytes() == b"wrong"
    assert store.verify_in_place(path, digest).digest == digest.hex
    with serving() as server:
        assert fetch(server.url + "/a", digest=digest, store=store).path == path
        with pytest.raises(StoreError, match=r"Read-only file system|may not be written"):
            fetch(server.put("/b", b"b"), digest=Digest("1" * 64), store=store)


# The disk is made slow, and stands still after so many writes, so that the process can be killed while it writes.
CONVERT = """
import sys, time
from pathlib import Path
from hubtool import files as disk
from hubtool.store import cleanup as upkeep
from hubtool.checkpoint.conversion import to_safetensors
from hubtool.checkpoint.reading import read_header
from hubtool.store.store import Store
real = disk.write_all
writes = []
def slow(stream, data):
    real(stream, data)
    writes.append(len(data))
    time.sleep(600 if len(writes) == int(sys.argv[4]) else 0.05)
disk.write_all = slow
source = Path(sys.argv[2])
header = read_header(source)
Store(Path(sys.argv[1])).derive(sys.argv[3], "safetensors", lambda path: to_safetensors(header, source, path))
"""


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_kill_during_the_conversion(tmp_path: Path, share: float) -> None:
    source = tmp_path / "a.ckpt"
    source.write_bytes(ckpt([filled(f"w{number}", (256, 256)) for number in range(32)]))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    store = Store(tmp_path / "home", patience=20)
    process = subprocess.Popen([sys.executable, "-c", CONVERT, str(store.root), str(source), digest, "24"], cwd=ROOT)
    size = source.stat().st_size
    wait_until(lambda: parts(store) and sum(path.stat().st_size for path in parts(store)) >= share * size)
    process.kill()
    process.wait()
    assert store.derived(digest, "safetensors") is None
    assert list(store.root.glob("derived/*/*/*")) == []
    header = read_header(source)
    twin = store.derive(digest, "safetensors", lambda path: to_safetensors(header, source, path))
    assert read_header(twin).shapes() == header.shapes()
    assert parts(store) == []


def test_two_processes_convert_once(tmp_path: Path) -> None:
    source = tmp_path / "a.ckpt"
    source.write_bytes(ckpt([filled(f"w{number}", (64, 64)) for number in range(16)]))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    command = [sys.executable, "-c", CONVERT, str(tmp_path / "home"), str(source), digest, "0"]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    store = Store(tmp_path / "home")
    assert store.derived(digest, "safetensors") is not None
    assert parts(store) == []
