"""Writing past the system's memory: the same bytes, wherever they come from and go to."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from hubtool.assets import disk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")

BLOCK = 4096
SIZES = [0, 1, disk.DIRECT - 1, disk.DIRECT, disk.DIRECT + 1, disk.DIRECT + BLOCK, (1 << 20) + 123]


def aligned(count: int) -> memoryview:
    view = memoryview(disk.memory(max(1, count)))[:count]
    view[:] = os.urandom(count)
    return view


def places(tmp_path: Path) -> list[Path]:
    """A folder on a disk, and one in memory, if there is one."""
    return [tmp_path, *(one for one in (Path("/dev/shm"),) if os.access(one, os.W_OK))]  # noqa: S108 (that is meant)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("before", [0, 10, BLOCK], ids=["first", "after odd bytes", "after a block"])
@pytest.mark.parametrize("shift", [0, 1], ids=["from a page", "from elsewhere"])
def test_all_bytes_are_written_in_their_order(tmp_path: Path, size: int, before: int, shift: int) -> None:
    for place in places(tmp_path):
        path = place / f"hubtool-{os.urandom(6).hex()}"
        data = aligned(size + shift)[shift:]
        try:
            descriptor = disk.open_new(path, 0o666)
            try:
                flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
                disk.write(descriptor, b"a" * before)
                disk.write_direct(descriptor, data)
                disk.write(descriptor, b"z")
                assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == flags
            finally:
                os.close(descriptor)
            assert path.read_bytes() == b"a" * before + bytes(data) + b"z"
        finally:
            path.unlink()


def in_memory(path: Path) -> bool:
    """Whether the system has the first bytes of a file in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(BLOCK)], 0, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def test_what_is_written_past_the_memory_is_not_in_it(tmp_path: Path) -> None:
    data = aligned(1 << 20)
    path = tmp_path / "plainly"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        os.write(descriptor, data)
        os.close(descriptor)
        cached = in_memory(path)
    except OSError as error:
        pytest.skip(f"this file system cannot: {error}")
    if cached:
        pytest.skip("this file system is in memory")
    descriptor = disk.open_new(tmp_path / "ours", 0o666)
    disk.write_direct(descriptor, data)
    assert not in_memory(tmp_path / "ours")
    disk.write(descriptor, b"z")
    os.close(descriptor)
    assert (tmp_path / "ours").read_bytes() == bytes(data) + b"z"


def test_a_full_disk_is_an_error() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            disk.write_direct(descriptor, aligned(1 << 20))
    finally:
        os.close(descriptor)
