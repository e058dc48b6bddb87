"""File locks between processes, also where the file system has none.

The operating system locks where it can: it frees a lock when its holder dies. Some network file systems cannot. There
the lock is a lease (:class:`filelock.SoftFileLease`): its holder renews a marker file every few seconds, and another
process takes the lease over when the marker was not renewed for :data:`LEASE_SECONDS`, by its own clock.

A holder of a lease that was stopped for that long and runs on may share it. A writer under a lock must therefore write
to a file of its own, and rename it.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import BaseFileLock

LEASE_SECONDS = 20.0
"""Seconds without a sign of life after which the holder of a lease counts as dead."""

RENEWAL_SECONDS = 2.0
"""Seconds between two signs of life of the holder of a lease."""

_POLL_SECONDS = 0.01

_UNSUPPORTED = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})


class FileLock:
    """One lock for one thread; threads and processes that want the same lock make one each.

    Attributes:
        exclusive: Whether the operating system holds it: a holder that died was then certainly the only one.
    """

    def __init__(self, path: Path) -> None:
        """Prepare a lock; ``path`` is its file, which is made where it is missing, and stays."""
        self.path = path
        self.exclusive = True
        self._lock: BaseFileLock | None = None

    def acquire(self, seconds: float) -> bool:
        """Try for some seconds to get the lock; return whether it is ours.

        Raises:
            OSError: If the lock file cannot be written.
        """
        import filelock  # noqa: PLC0415 - most commands lock nothing

        if self._lock is None:
            self._lock = filelock.FileLock(self.path, thread_local=False, fallback_to_soft=False)
        try:
            try:
                self._lock.acquire(timeout=seconds, poll_interval=_POLL_SECONDS)
            except OSError as error:
                if error.errno not in _UNSUPPORTED or not self.exclusive:
                    raise
                self.exclusive = False
                self._lock = filelock.SoftFileLease(
                    self.path.with_suffix(".held"),
                    lease_duration=LEASE_SECONDS,
                    heartbeat_interval=RENEWAL_SECONDS,
                    thread_local=False,
                )
                self._lock.acquire(timeout=seconds, poll_interval=_POLL_SECONDS)
        except filelock.Timeout:
            return False
        return True

    def release(self) -> None:
        """Free the lock."""
        if self._lock is not None:
            self._lock.release()

    def remove(self) -> None:
        """Free the lock, and remove its file where the system holds it; a waiting process makes another file."""
        if self.exclusive and self._lock is not None and self._lock.is_locked:
            with suppress(OSError):  # Windows does not remove a file that is open
                self.path.unlink()
        self.release()
