"""What bounds a run: connections at once, bytes per second, attempts."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_MIN_FAILED_FILES = 3
"""Number of files that must fail, one after another, before a host is given up: one tells little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a transfer is tried again, and after how many seconds.

    Attributes:
        attempts: Number of attempts in a row that make little progress.
        mirror_attempts: The same for a mirror, after which the next source is asked.
        first_seconds: The seconds before the second attempt; they double each time.
        longest_seconds: The most seconds to wait between two attempts.
        patience_seconds: The most seconds to wait because a server asks for it (``Retry-After``).
        unreached_seconds: For how long a host may be out of reach, while one file after another fails, before this run
            stops asking it.
    """

    attempts: int = 5
    mirror_attempts: int = 2
    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    patience_seconds: float = 120.0
    unreached_seconds: float = 20.0

    def pause(self, tries: int) -> float:
        """Return the seconds to wait after this many attempts: half of them fixed, half by chance.

        By chance, so that many clients that failed together do not come back together.
        """
        full = min(self.longest_seconds, self.first_seconds * 2.0 ** (tries - 1))
        return full * (0.5 + 0.5 * random.random())  # noqa: S311 (no secret hangs on it)


class HostHealth:
    """Unreachable hosts of a run, so that later files need not wait for them again."""

    def __init__(self, patience: float) -> None:
        """Begin; ``patience`` is the seconds for which a host may be out of reach before it is given up."""
        self._patience = patience
        self._lock = threading.Lock()
        self._away: dict[str, tuple[float, int]] = {}

    def given_up(self, host: str) -> float | None:
        """Return for how many seconds a host has been out of reach if it is asked no more, else None."""
        with self._lock:
            since, files = self._away.get(host, (0.0, 0))
        away = time.monotonic() - since
        return away if files >= _MIN_FAILED_FILES and away >= self._patience else None

    def note(self, host: str, *, reached: bool, attempt: bool = False) -> None:
        """Note that a host was reached, or that a file could not be had because it was not.

        Args:
            host: The host.
            reached: Whether it was reached.
            attempt: Whether this was one attempt of a file, and others may follow: the time counts, the file not yet.
        """
        with self._lock:
            if reached:
                self._away.pop(host, None)
            else:
                since, files = self._away.get(host, (time.monotonic(), 0))
                self._away[host] = (since, files if attempt else files + 1)


class RateLimiter:
    """A limit of bytes per second, shared by all threads."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count: int, sleep: Callable[[float], object] = time.sleep) -> None:
        """Count some bytes, and wait until they are due."""
        with self._lock:
            now = time.monotonic()
            # A tenth of a second may be made up for, no more: a pause is not saved up for a burst.
            self._free_at = max(self._free_at, now - 0.1) + count / self.per_second
            wait = self._free_at - now
        if wait > 0:
            sleep(wait)


class ConnectionLimit:
    """The number of connections that may be open at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._waiting = 0
        self._changed = threading.Condition()

    @property
    def is_wanted(self) -> bool:
        """Whether another thread waits for a connection."""
        return self._waiting > 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a connection, and hold it."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> None:
        """Wait for a connection, and take it; :meth:`give_back` returns it."""
        with self._changed:
            self._waiting += 1
            try:
                while self._free == 0:
                    self._changed.wait()
            finally:
                self._waiting -= 1
            self._free -= 1

    def take_spare(self) -> bool:
        """Take a connection if no thread waits for one; return whether there was one."""
        with self._changed:
            if self._free == 0 or self._waiting:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        """Give a connection back."""
        with self._changed:
            self._free += 1
            self._changed.notify()
