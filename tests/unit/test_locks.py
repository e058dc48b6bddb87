"""Locks, where the file system has them and where it has not."""

from __future__ import annotations

import errno
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool import locking
from hubtool.locking import Lock

if TYPE_CHECKING:
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
    first, second = Lock(path), Lock(path)
    assert first.acquire(0)
    assert not second.acquire(0.1)
    first.release()
    assert second.acquire(0)
    second.release()
    assert not [thread for thread in threading.enumerate() if thread.name == "hubtool-heartbeat"]
    assert [one.name for one in path.parent.iterdir()] == ["a.lock"]


def test_threads_do_not_meet(path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(5):
            lock = Lock(path)
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
    first, second = Lock(path), Lock(path)
    assert first.acquire(0)
    first.remove()
    assert path.exists() is not first.sure
    assert second.acquire(0)
    assert not first.acquire(0)
    second.release()
    assert path.exists()


def test_a_lock_that_was_removed_after_it_was_opened_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.lock"
    native = locking._lock
    asked: list[int] = []

    def slow(descriptor: int) -> bool:
        if not asked:
            path.unlink()  # somebody held it, and removed it, while we were about to lock it
        asked.append(descriptor)
        return native(descriptor)

    monkeypatch.setattr(locking, "_lock", slow)
    first, second = Lock(path), Lock(path)
    assert first.acquire(0)
    assert len(asked) == 2
    assert not second.acquire(0)
    first.release()


def test_threads_that_remove_their_locks_do_not_meet(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(100):
            lock = Lock(tmp_path / "a.lock")
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
    monkeypatch.setattr(locking, "SILENCE", 0.5)
    monkeypatch.setattr(locking, "BEAT", 0.05)
    return tmp_path / "a.lock"


def test_a_dead_holder_on_another_machine_hangs_nobody(fallback: Path) -> None:
    fallback.with_suffix(".held").write_bytes(b"elsewhere 1 00")
    lock = Lock(fallback)
    started = time.monotonic()
    assert lock.acquire(10)
    assert 0.4 < time.monotonic() - started < 5
    assert not lock.sure
    lock.release()


def test_a_dead_holder_on_this_machine_is_known_at_once(fallback: Path) -> None:
    import socket
    import subprocess

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    fallback.with_suffix(".held").write_text(f"{socket.gethostname()} {gone.pid} 00")
    lock = Lock(fallback)
    started = time.monotonic()
    assert lock.acquire(10)
    assert time.monotonic() - started < 0.4
    lock.release()


def test_a_holder_that_lives_is_waited_for(fallback: Path) -> None:
    first, second = Lock(fallback), Lock(fallback)
    assert first.acquire(0)
    assert not second.acquire(1.2)  # more than twice the silence that is taken for death
    first.release()


def test_a_lock_that_was_taken_for_dead_is_not_freed_by_its_old_holder(fallback: Path) -> None:
    first, second = Lock(fallback), Lock(fallback)
    assert first.acquire(0)
    held = fallback.with_suffix(".held")
    held.unlink()  # somebody took it for dead
    assert second.acquire(0)
    token = held.read_bytes()
    first.release()
    assert held.read_bytes() == token
    second.release()
    assert not held.exists()
