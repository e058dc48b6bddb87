"""Locks, where the file system has them and where it has not."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool import locking
from hubtool.locking import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

fcntl = pytest.importorskip("fcntl", reason="the locks of POSIX are tested")


@pytest.fixture(params=["native", "fallback"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a lock file, also on a file system that says that it has no locks."""
    if request.param == "fallback":

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
    return tmp_path / "a.lock"


def test_one_at_a_time(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(0)
    assert not second.acquire(0.1)
    first.release()
    assert second.acquire(0)
    second.release()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("filelock")]
    assert [one.name for one in path.parent.iterdir()] == ["a.lock"]


def test_threads_do_not_meet(path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(5):
            lock = FileLock(path)
            assert lock.acquire(20)
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 30
    assert set(most) == {1}


def test_a_removed_lock_is_free(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(0)
    first.remove()
    assert path.exists() is not first.exclusive
    assert second.acquire(0)
    assert not first.acquire(0)
    second.release()
    assert path.exists()


def test_threads_that_remove_their_locks_do_not_meet(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(100):
            lock = FileLock(tmp_path / "a.lock")
            assert lock.acquire(60)
            inside.append(1)
            most.append(len(inside))
            time.sleep(0)
            inside.pop()
            lock.remove()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 400
    assert set(most) == {1}
    assert not list(tmp_path.iterdir())


@pytest.fixture
def fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(locking, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(locking, "RENEWAL_SECONDS", 0.05)
    return tmp_path / "a.lock"


HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path
def refuse(*_):
    raise OSError(errno.ENOTSUP, "Operation not supported")
fcntl.flock = refuse
from hubtool import locking
locking.LEASE_SECONDS, locking.RENEWAL_SECONDS = 0.5, 0.05
lock = locking.FileLock(Path(sys.argv[1]))
print(lock.acquire(0), flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(fallback: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that holds the lease."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(fallback)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()
        process.wait()


def test_the_lease_of_a_holder_that_lives_is_waited_for(fallback: Path, holder: subprocess.Popen[str]) -> None:
    lock = FileLock(fallback)
    assert not lock.acquire(1.2)  # more than twice the time that counts as death
    assert not lock.exclusive
    assert holder.poll() is None


def test_the_lease_of_a_holder_that_was_killed_is_taken(fallback: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    lock = FileLock(fallback)
    assert lock.acquire(10)
    assert not lock.exclusive
    lock.release()


def test_the_lease_of_a_holder_that_was_stopped_is_taken(fallback: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    lock = FileLock(fallback)
    assert lock.acquire(20)  # such as a machine that lost its network
    marker = fallback.with_suffix(".held")
    ours = marker.read_bytes()
    holder.send_signal(signal.SIGCONT)
    time.sleep(0.3)  # it goes on renewing, and must not take the lock back
    assert marker.read_bytes() == ours
    lock.release()
    assert not marker.exists()
