"""Fetching many files by several processes.

A small file takes more time in Python than on the wire, and Python's threads wait for one another there. The processes
share the store as any others do, by its locks; what one of them learns about a mirror, all know.
"""

from __future__ import annotations

import threading
from concurrent.futures import as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from hubtool import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from multiprocessing.queues import SimpleQueue

    from hubtool.assets.events import Event, Outcome, Wanted
    from hubtool.assets.fetch import Fetcher
    from hubtool.assets.store import Stored
    from hubtool.errors import HubError

    _Brought: TypeAlias = list[tuple[int, Stored | None, HubError | None]]

_CHUNK = 12
"""So many files is a process given at a time."""

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class _Share:
    """What a process has of its parent."""

    run: Fetcher
    again: bool


_share: _Share | None = None


def fetch_all(
    run: Fetcher, todo: list[Wanted], coming: Iterator[Wanted], count: int, *, again: bool
) -> list[Outcome | None]:
    """Fetch assets by so many processes, each one at a time; see :meth:`hubtool.assets.fetch.Fetcher.fetch_all`.

    Args:
        run: The run.
        todo: The first assets, enough for all processes to begin with; those that come are put behind them.
        coming: The other assets.
        count: How many processes.
        again: Whether to fetch what is stored.

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
        _share = _Share(run, again)

        def follow() -> None:
            end_seen.poll(None)  # until the parent closes its side
            run.end()

        threading.Thread(target=follow, name="hubtool-end", daemon=True).start()

    done: dict[int, Outcome] = {}
    teller: _Teller | None = None
    try:
        with suppress(processes.KilledError), processes.crew(count, begin) as pool:
            if events is not None:  # not before the processes are there: a fork must find no other thread
                teller = _Teller(run, events)
            futures: list[Future[_Brought]] = []
            try:
                # The first are under way while the others are still being named.
                chunks = _chunks(todo, coming)
                futures.extend(pool.submit(_bring, chunk, [todo[index] for index in chunk]) for chunk in chunks)
                for future in as_completed(futures):
                    for index, stored, error in future.result():
                        done[index] = Outcome(wanted=todo[index], stored=stored, error=error)
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
    todo += coming  # what was not yet named when a process was killed
    return [done.get(index) for index in range(len(todo))]


def _chunks(todo: list[Wanted], coming: Iterator[Wanted]) -> Iterator[range]:
    """Yield pieces of what is to be done, as it grows."""
    start = 0
    while True:
        todo += islice(coming, max(0, start + _CHUNK - len(todo)))
        if start == len(todo):
            return
        chunk = range(start, min(start + _CHUNK, len(todo)))
        yield chunk
        start = chunk.stop


def _bring(chunk: range, wanted: Sequence[Wanted]) -> _Brought:
    done: _Brought = []
    if _share is not None:
        for index, one in zip(chunk, wanted, strict=True):
            if _share.run.is_ended:
                break
            outcome = _share.run.outcome(one, again=_share.again)
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
