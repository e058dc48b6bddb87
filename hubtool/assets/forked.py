"""Fetching many files by several processes.

A small file takes more time in Python than on the wire, and Python's threads wait for one another there. The processes
share the store as any others do, by its locks; what one of them learns about a mirror, all know.
"""

from __future__ import annotations

import threading
from concurrent.futures import as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.queues import SimpleQueue

    from hubtool.assets.events import Event, Outcome, Wanted
    from hubtool.assets.fetch import Fetcher
    from hubtool.assets.store import Stored
    from hubtool.errors import HubError

_CHUNK = 16
"""The most files that a process is given at a time; towards the end, fewer, so that all end together."""

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class _Share:
    """What a process has of its parent."""

    run: Fetcher
    todo: Sequence[Wanted]
    again: bool


_share: _Share | None = None


def fetch_all(run: Fetcher, todo: Sequence[Wanted], count: int, *, again: bool) -> list[Outcome | None]:
    """Fetch assets by so many processes, each one at a time; see :meth:`hubtool.assets.fetch.Fetcher.fetch_all`.

    Returns:
        How it went with each, in their order; None for what is left because a process was killed.
    """
    import multiprocessing  # noqa: PLC0415 (only for many files)

    from hubtool.assets.events import Outcome  # noqa: PLC0415 (which has us do this)

    context = multiprocessing.get_context("fork")
    end_seen, end = context.Pipe(duplex=False)
    events: SimpleQueue[Event | None] | None = context.SimpleQueue() if run.is_watched else None
    run.share(wanted.link for wanted in todo)
    run.at_end(end.close)

    def begin() -> None:
        global _share  # noqa: PLW0603 (of a process that has no other work)
        end.close()
        run.divide(count, watch=None if events is None else events.put)
        _share = _Share(run, todo, again)

        def follow() -> None:
            end_seen.poll(None)  # until the parent closes its side
            run.end()

        threading.Thread(target=follow, name="hubtool-end", daemon=True).start()

    outcomes: list[Outcome | None] = [None] * len(todo)
    teller: _Teller | None = None
    try:
        with suppress(processes.KilledError), processes.crew(count, begin) as pool:
            futures = [pool.submit(_bring, chunk) for chunk in _chunks(len(todo), count)]
            if events is not None:  # not before the processes are there: a fork must find no other thread
                teller = _Teller(run, events)
            try:
                for future in as_completed(futures):
                    for index, stored, error in future.result():
                        outcomes[index] = Outcome(wanted=todo[index], stored=stored, error=error)
            except KeyboardInterrupt:
                run.end()
                # They are given some time to close their parts, for a later run to go on with.
                for future in futures:
                    future.cancel()
                wait(futures, timeout=_PATIENCE)
                raise
    finally:
        end.close()
        end_seen.close()
        if teller is not None:
            teller.end()
    return outcomes


def _chunks(total: int, count: int) -> Iterator[range]:
    start = 0
    while start < total:
        step = max(1, min(_CHUNK, (total - start) // (2 * count)))
        yield range(start, start + step)
        start += step


def _bring(chunk: range) -> list[tuple[int, Stored | None, HubError | None]]:
    done: list[tuple[int, Stored | None, HubError | None]] = []
    if _share is not None:
        for index in chunk:
            if _share.run.is_ended:
                break
            outcome = _share.run.outcome(_share.todo[index], again=_share.again)
            done.append((index, outcome.stored, outcome.error))
    return done


class _Teller:
    """A thread that tells the run's watcher what the processes say."""

    def __init__(self, run: Fetcher, events: SimpleQueue[Event | None]) -> None:
        self._run = run
        self._events = events
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._tell, name="hubtool-events", daemon=True)
        self._thread.start()

    def _tell(self) -> None:
        while (event := self._events.get()) is not None:
            if self._failure is None:
                try:
                    self._run.tell(event)
                except BaseException as error:  # noqa: BLE001 (raised again, in the caller's thread)
                    # What still comes is taken all the same: who has something to say waits until somebody listens.
                    self._failure = error
                    self._run.end()

    def end(self) -> None:
        """Wait until all is told; raise what the watcher raised."""
        self._events.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
