"""Locks between processes, also where the file system has none.

Where it can, the operating system locks: it frees a lock when its holder dies, so the lock file means nothing by being
there, and its holder may remove it (:meth:`Lock.remove`). Some network file systems cannot. There a second file says by
being there that the lock is held, and its holder writes to it every few seconds; when nothing was written for long
enough, the holder is gone, and the file is taken away. How long that is, is measured by the one who waits, so clocks
need not agree.

A holder that was stopped for that long and runs on may share a lock that was broken. A writer under a lock must
therefore write to a file of its own, and rename it.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BEAT = 2.0
"""Seconds between two signs of life of a holder."""

SILENCE = 20.0
"""Seconds without a sign of life after which a holder is taken for dead."""

_UNSUPPORTED = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})


class Lock:
    """One lock; not for two threads at once, each makes its own.

    Attributes:
        sure: Whether the operating system holds it, so that a holder that died was certainly the only one.
    """

    def __init__(self, path: Path) -> None:
        """Prepare to take a lock; ``path`` is its file, which is made if need be, and stays."""
        self.path = path
        self.sure = True
        self._descriptor: int | None = None
        self._beat: _Heartbeat | None = None
        self._watched: tuple[bytes, int, float] | None = None

    def acquire(self, seconds: float) -> bool:
        """Try for some seconds to get it; return whether we have.

        Raises:
            OSError: If the lock file cannot be written.
        """
        deadline, pause = time.monotonic() + seconds, 0.001
        while not self._try():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 2, 0.05)
        return True

    def release(self) -> None:
        """Free it."""
        if self._beat is not None:
            self._beat.end()
            self._beat = None
        if self._descriptor is not None:
            os.close(self._descriptor)  # which frees the system's lock
            self._descriptor = None

    def remove(self) -> None:
        """Free the lock, and remove its file if the system holds it; a waiting process makes another file."""
        if self.sure and self._descriptor is not None and os.name != "nt":  # where an open file cannot be removed
            with suppress(OSError):
                self.path.unlink()
        self.release()

    def _try(self) -> bool:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                held = not _lock(descriptor)
                # What was removed since it was opened is nobody's lock any more.
                gone = not held and os.fstat(descriptor).st_nlink == 0
            except OSError as error:
                os.close(descriptor)
                if error.errno not in _UNSUPPORTED:
                    raise
                self.sure = False
                return self._try_by_file()
            if not held and not gone:
                self._descriptor = descriptor
                return True
            os.close(descriptor)
            if held:
                return False

    def _try_by_file(self) -> bool:
        held = self.path.with_suffix(".held")
        token = f"{socket.gethostname()} {os.getpid()} {os.urandom(8).hex()}".encode()
        try:
            descriptor = os.open(held, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        except FileExistsError:
            self._break(held)
            return False
        try:
            os.write(descriptor, token)
        finally:
            os.close(descriptor)
        self._beat = _Heartbeat(held, token)
        return True

    def _break(self, held: Path) -> None:
        """Take the file of a dead holder away, so that the next try may succeed."""
        try:
            token, beat = held.read_bytes(), held.stat().st_mtime_ns
        except OSError:
            return  # it was freed just now
        now = time.monotonic()
        if self._watched is None or self._watched[:2] != (token, beat):
            self._watched = (token, beat, now)
        if now - self._watched[2] < SILENCE and not _is_dead(token):
            return
        aside = held.with_name(f"{held.name}.{os.urandom(4).hex()}")
        with suppress(OSError):
            held.rename(aside)
            if aside.read_bytes() != token:
                # Another one was quicker, and what we took away is a new holder's: give it back.
                with suppress(OSError):
                    os.link(aside, held)
            aside.unlink()


class _Heartbeat:
    """The sign of life of a holder."""

    def __init__(self, path: Path, token: bytes) -> None:
        self._path = path
        self._token = token
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hubtool-heartbeat", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):
                if self._path.read_bytes() == self._token:
                    os.utime(self._path)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):
            if self._path.read_bytes() == self._token:
                self._path.unlink()


def _is_dead(token: bytes) -> bool:
    """Whether a holder on this machine is certainly gone; of other machines one cannot tell."""
    parts = token.decode("utf-8", "replace").split(" ")
    if os.name == "nt" or len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    try:
        os.kill(int(parts[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


if os.name == "nt":  # pragma: no cover (only Windows runs this)
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Lock an open file; return whether nobody else has."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]  # Windows only
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True
else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Lock an open file; return whether nobody else has."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK):
                return False
            raise
        return True
