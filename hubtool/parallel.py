"""Worker processes for work that keeps a processor busy."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_CHUNKS_PER_WORKER = 16
_MOST_PER_CHUNK = 64
_work: Callable[[Any], Any]  # of this worker process


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def pool(count: int, work: Callable[[Any], Any] | None = None) -> Executor:
    """Return a pool of workers; leave it by ``shutdown(cancel_futures=True)``.

    The workers are forked on Linux: they have all modules and need no pickled state, and start in milliseconds. A fork
    beside another thread can inherit a lock that is never released, so a process with threads uses threads as workers.
    Elsewhere, processes are spawned.

    Args:
        count: The number of workers.
        work: The function that workers call; forked ones find it as ``_work``.
    """
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor  # noqa: PLC0415 (most runs start none)
    from multiprocessing import get_context  # noqa: PLC0415 (the same)

    if sys.platform == "linux" and not _can_fork():
        return ThreadPoolExecutor(count)
    method = "fork" if sys.platform == "linux" else "spawn"
    return ProcessPoolExecutor(count, mp_context=get_context(method), initializer=_begin, initargs=(work,))


def run(work: Callable[[_In], _Out], items: Sequence[_In], *, jobs: int) -> Iterator[_Out]:
    """Yield what ``work`` returns for each item, in order, with several workers.

    Errors of ``work`` are raised here. Items that a killed worker left are done in this process.

    Args:
        work: The function. It need not be picklable, but its results and errors must be.
        items: Its arguments; they are pickled.
        jobs: The most workers.
    """
    count, done = min(jobs, len(items)), 0
    if count > 1:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (most runs start none)
        from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 (the same)

        chunk = max(1, min(_MOST_PER_CHUNK, len(items) // (count * _CHUNKS_PER_WORKER)))
        workers = pool(count, work) if sys.platform == "linux" else ThreadPoolExecutor(count)
        try:
            call = work if isinstance(workers, ThreadPoolExecutor) else _call
            for result in workers.map(call, items, chunksize=chunk):
                yield result
                done += 1
        except BrokenProcessPool:
            pass
        finally:
            workers.shutdown(cancel_futures=True)
    yield from map(work, items[done:])


def _can_fork() -> bool:
    """Return whether this process has no other thread, of Python or of a library."""
    return threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (names are counted)


def _begin(work: Callable[[Any], Any] | None) -> None:
    """Prepare a worker: it ends on Ctrl-C without a traceback, and whenever its parent ends."""
    global _work  # noqa: PLW0603 (one worker, one work)
    from multiprocessing import parent_process  # noqa: PLC0415 (only here)

    if work is not None:
        _work = work
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()
    # The garbage collector would copy the memory of the parent for little gain.
    gc.freeze()
    gc.set_threshold(100_000)


def _end_with(parent: Callable[[], None]) -> None:
    parent()
    os._exit(1)


def _call(item: Any) -> Any:  # noqa: ANN401 (whatever the work takes)
    return _work(item)
