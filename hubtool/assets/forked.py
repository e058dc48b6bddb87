"""Fetching many files by several processes.

A small file takes more time in Python than on the wire, and Python's threads wait for one another there. The processes
share the store as any others do, by its locks; what one of them learns about a mirror, all know.
"""

from __future__ import annotations

import os
import threading
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from hubtool import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubtool.assets.events import Outcome, Wanted
    from hubtool.assets.fetch import Fetcher
    from hubtool.assets.store import Stored
    from hubtool.errors import HubError

    _Brought: TypeAlias = list[tuple[Stored | None, HubError | None]]

_CHUNK = 12
"""So many files is a process given at a time."""

_PATIENCE = 10.0


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
    from hubtool.assets.events import Outcome  # noqa: PLC0415 (which has us do this)

    run.share(wanted.link for wanted in todo)
    is_watched = run.is_watched
    end_seen, end = os.pipe()
    ends = os.fdopen(end, "wb", buffering=0)
    run.at_end(ends.close)

    def begin(say: Callable[[object], None]) -> None:
        ends.close()
        run.divide(count, watch=say if is_watched else None)

        def follow() -> None:
            os.read(end_seen, 1)  # until the parent closes its side
            run.end()

        threading.Thread(target=follow, name="hubtool-end", daemon=True).start()

    def bring(chunk: tuple[int, list[Wanted]]) -> _Brought:
        brought: _Brought = []
        for one in chunk[1]:
            if run.is_ended:
                break
            outcome = run.outcome(one, again=again)
            brought.append((outcome.stored, outcome.error))
        return brought

    done: dict[int, Outcome] = {}
    try:
        with processes.crew(count, bring, begin) as workers:
            try:
                # The first are under way while the others are still being named.
                for (start, some), brought in workers.do(_chunks(todo, coming), run.tell):
                    for index, (wanted, (stored, error)) in enumerate(zip(some, brought, strict=False), start):
                        done[index] = Outcome(wanted=wanted, stored=stored, error=error)
            except BaseException:
                run.end()
                # They are given some time to close their parts, for a later run to go on with.
                workers.leave(_PATIENCE)
                raise
    finally:
        ends.close()
        os.close(end_seen)
    todo += coming  # what was not yet named when all processes were killed
    return [done.get(index) for index in range(len(todo))]


def _chunks(todo: list[Wanted], coming: Iterator[Wanted]) -> Iterator[tuple[int, list[Wanted]]]:
    """Yield pieces of what is to be done, as it grows, each with the number of its first file."""
    start = 0
    while True:
        todo += islice(coming, max(0, start + _CHUNK - len(todo)))
        if start == len(todo):
            return
        yield start, todo[start : start + _CHUNK]
        start = min(start + _CHUNK, len(todo))
