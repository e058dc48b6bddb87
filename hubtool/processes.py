"""Processes that share out work, where Python's threads would wait for one another.

They are forked: they have all that their parent had when they began, and nothing is sent to them but what to do next.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures.process import ProcessPoolExecutor
    from multiprocessing.connection import Connection

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_WIDTH = 1 << 20
"""So many bytes a pipe is to hold: the most that Linux lets any user have."""


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def can_fork() -> bool:
    """Whether this process can be forked safely: by this system, and without any other thread, of Python or not.

    What another thread holds at that moment (a lock, half a structure) the new process would hold for ever.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (names are counted)
    except OSError:
        return False


class KilledError(Exception):
    """A process of a crew was killed, by the system for want of memory, say; what it was to do is not done."""


@contextmanager
def crew(count: int, begin: Callable[[], None]) -> Iterator[ProcessPoolExecutor]:
    """Fork processes to give work to.

    They leave Ctrl-C to their parent, and end when it does, however that ends. Where what is done with them fails or is
    interrupted, they are ended at once, in the midst of their work.

    Args:
        count: How many.
        begin: Called by each as it begins.

    Raises:
        KilledError: If one of them was killed, and its work was asked for.
    """
    import multiprocessing  # noqa: PLC0415 (most runs start none)
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor  # noqa: PLC0415 (the same)

    context = multiprocessing.get_context("fork")
    end_seen, end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(begin, end_seen, end))
    # A Ctrl-C is kept back until they can leave it to us: one that has just begun would die of it with a traceback.
    kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        try:
            for _ in range(count):
                pool.submit(os.getpid)  # the first work makes them begin
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        yield pool
    except BrokenProcessPool as error:
        raise KilledError from error
    except BaseException:  # Ctrl-C
        end.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        end.close()
        end_seen.close()


def share(
    work: Callable[[_In], _Out],
    items: Sequence[_In],
    *,
    least: int = 2,
    count: int | None = None,
    begin: Callable[[int], None] | None = None,
    finish: bool = True,
) -> Iterator[tuple[int, _Out]]:
    """Do some work on each of several items, by several processes, or by this one.

    Args:
        work: What is to be done. Not sent, but there when the processes are forked; only its results are sent. If a
            process is killed, the others end, too, and what they had begun is done once more.
        items: What it is done on.
        least: With fewer items, no processes are started.
        count: How many processes, at most; as many as there are processors, unless given.
        begin: Called by each process as it begins, with how many there are.
        finish: Whether this process does what is left where one of the others was killed; if not, that is missing
            from what is yielded.

    Yields:
        The number of an item, and what came of it, as they are done.
    """
    count = min(count or cores(), len(items))
    left = dict(enumerate(items))
    if count > 1 and len(items) >= least and can_fork():
        from concurrent.futures import as_completed  # noqa: PLC0415 (most runs start none)

        def start() -> None:
            global _work  # noqa: PLW0603 (of a process that has no other work)
            _work = partial(_do_one, work, items)
            if begin is not None:
                begin(count)

        with suppress(KilledError), crew(count, start) as pool:
            futures = {pool.submit(_do, number): number for number in left}
            for future in as_completed(futures):
                result = future.result()
                del left[futures[future]]
                yield futures[future], result
        if not finish:
            return
    for number, item in left.items():
        yield number, work(item)


@contextmanager
def ahead(work: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[Iterator[_Out]]:
    """Have another process do some work on each of several items, while this one does something else.

    Where none can be forked, each piece is done here, when it is asked for. The process ends with the block.

    Args:
        work: What is to be done. If it raises anything, that piece and those after it are done here, so that it is
            raised here; the same if the process is killed.
        items: What it is done on.

    Yields:
        What came of each item, in their order; to be taken once, and within the block.
    """
    forked = _fork_ahead(work, items) if cores() > 1 and can_fork() else None
    if forked is None:
        yield map(work, items)
        return
    pid, coming = forked
    try:
        with os.fdopen(coming, "rb") as stream:
            yield _done_ahead(work, items, stream)
    finally:
        os.kill(pid, signal.SIGKILL)  # it is still there, if only as what remains until it is waited for
        os.waitpid(pid, 0)


def _fork_ahead(work: Callable[[_In], _Out], items: Iterable[_In]) -> tuple[int, int] | None:
    """Fork the process that goes ahead; return its number, and where its results come; None if there can be no more."""
    coming, going = os.pipe()
    _widen(going)
    # As in `crew`: a Ctrl-C is this process's alone.
    kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pid = os.fork()
        if pid == 0:
            _go_ahead(work, items, coming, going)
    except OSError:
        os.close(coming)
        return None
    finally:
        os.close(going)
        signal.pthread_sigmask(signal.SIG_SETMASK, kept)
    return pid, coming


def _widen(pipe: int) -> None:
    """Let a pipe hold so much that who writes to it need not wait for who reads, as far as the system lets us."""
    import fcntl  # noqa: PLC0415 (not on every system; only those that fork get here)

    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _WIDTH)


def _go_ahead(work: Callable[[_In], _Out], items: Iterable[_In], coming: int, going: int) -> NoReturn:
    """Be the process that goes ahead."""
    try:
        _be_a_child()
        os.close(coming)
        import pickle  # noqa: PLC0415 (most runs send nothing)

        with os.fdopen(going, "wb") as stream:
            for item in items:
                pickle.dump(work(item), stream, pickle.HIGHEST_PROTOCOL)
                stream.flush()
    finally:
        os._exit(0)  # whatever happened: what its parent would do at its end is not for this process to do


def _done_ahead(work: Callable[[_In], _Out], items: Iterable[_In], stream: BinaryIO) -> Iterator[_Out]:
    """Yield what the process that goes ahead has done, and then what it has not."""
    import pickle  # noqa: PLC0415 (as above)

    left = iter(items)
    for item in left:
        try:
            done: _Out = pickle.load(stream)  # noqa: S301 (of our own process)
        except (EOFError, pickle.UnpicklingError):
            yield work(item)
            break
        yield done
    yield from map(work, left)


_work: Callable[[int], Any] | None = None


def _do_one(work: Callable[[_In], _Out], items: Sequence[_In], number: int) -> _Out:
    return work(items[number])


def _do(number: int) -> Any:  # noqa: ANN401 (whatever the work gives)
    return None if _work is None else _work(number)


def _begin(begin: Callable[[], None], end_seen: Connection, end: Connection) -> None:
    from multiprocessing import connection, parent_process  # noqa: PLC0415 (as above)

    _be_a_child()
    parent = parent_process()
    end.close()

    def follow() -> None:
        connection.wait([end_seen, *([] if parent is None else [parent.sentinel])])
        os._exit(1)

    threading.Thread(target=follow, name="hubtool-parent", daemon=True).start()
    begin()


def _be_a_child() -> None:
    """Leave Ctrl-C to the parent, and what the parent had where it is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # To look through what the parent had for cycles would make a copy of all of it.
    gc.freeze()
    gc.set_threshold(100_000)
