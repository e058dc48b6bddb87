"""The schedule of requests: per host limited in number and rate, with a pause when the host asks for one."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


@dataclass(slots=True)
class _Host(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    running: int = 0
    due: float = 0.0


class Schedule(Generic[T]):
    """Hands out work to threads.

    Attributes:
        per_host: The most pieces of work for one host at once.
        rate: The most that start per second for one host; 0 for no limit.
    """

    def __init__(
        self,
        work: Iterable[tuple[str, T]],
        *,
        per_host: int,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the schedule.

        Args:
            work: Host and work, in the order in which each host's work is begun.
            per_host: The most pieces of work for one host at once.
            rate: The most that start per second for one host; 0 for no limit.
            clock: Returns the time in seconds.
        """
        self.per_host = per_host
        self.rate = rate
        self._clock = clock
        self._hosts: dict[str, _Host[T]] = {}
        self._changed = threading.Condition()
        self._ended = False
        for host, one in work:
            self._hosts.setdefault(host, _Host()).waiting.append(one)

    def take(self) -> tuple[str, T] | None:
        """Wait for work that is due, and return it with its host; None if there is none left.

        The caller returns it with :meth:`done` or :meth:`again`.
        """
        with self._changed:
            while not self._ended:
                ready = [(one.due, host) for host, one in self._hosts.items() if one.waiting and self._is_free(one)]
                now = self._clock()
                if ready and (first := min(ready))[0] <= now:
                    host = self._hosts[first[1]]
                    host.running += 1
                    host.due = now + (1.0 / self.rate if self.rate else 0.0)
                    return first[1], host.waiting.popleft()
                if not any(one.waiting or one.running for one in self._hosts.values()):
                    self._changed.notify_all()
                    return None
                # A time limit, so that an interrupt is noticed on every system.
                self._changed.wait(min(1.0, min(ready)[0] - now) if ready else 1.0)
        return None

    def _is_free(self, host: _Host[T]) -> bool:
        return host.running < self.per_host

    def done(self, host: str) -> None:
        """Mark a piece of work as finished."""
        with self._changed:
            self._hosts[host].running -= 1
            self._changed.notify_all()

    def again(self, host: str, work: T, wait: float) -> None:
        """Return a piece of work, to be done again after its host was left alone for ``wait`` seconds."""
        with self._changed:
            one = self._hosts[host]
            one.running -= 1
            one.waiting.append(work)
            one.due = max(one.due, self._clock() + wait)
            self._changed.notify_all()

    def end(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
