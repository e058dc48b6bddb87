"""Processes that share out work, where Python's threads would wait for one another.

They are forked: they have all that their parent had when they began, and nothing is sent to them but what to do next.
What they make is sent back over a pipe; nothing here has a thread in the parent.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_WIDTH = 1 << 20
"""So many bytes a pipe is to hold: the most that Linux lets any user have."""

_LENGTH = 8
"""So many bytes before each message say how long it is."""

_MOST_TOGETHER = 256
"""So many items at most are worth being told of together."""

_DONE, _RAISED, _SAID = 0, 1, 2


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
        work: What is to be done. Not sent, but there when the processes are forked; only its results are sent.
        items: What it is done on.
        least: With fewer items, no processes are started.
        count: How many processes, at most; as many as there are processors, unless given.
        begin: Called by each process as it begins, with how many there are.
        finish: Whether this process does what another one had begun when it was killed; if not, that is missing from
            what is yielded.

    Yields:
        The number of an item, and what came of it, as they are done.
    """
    count = min(count or cores(), len(items))
    left = dict(enumerate(items))
    if count > 1 and len(items) >= least and can_fork():

        def start(_: Callable[[object], None]) -> None:
            if begin is not None:
                begin(count)

        def work_on(number: int) -> _Out:
            return work(items[number])

        with crew(count, work_on, start) as workers:
            for number, result in workers.do([*left]):
                del left[number]
                yield number, result
        if not finish:
            return
    for number, item in left.items():
        yield number, work(item)


def spread(
    work: Callable[[_In], _Out], items: Sequence[_In], *, sizes: Sequence[int], together: int, count: int
) -> Iterator[tuple[int, _Out]]:
    """Do some work on each of many items side by side: what Python lets go on beside other work, such as hashing.

    By processes where they can be forked, for of small items there is more in Python than beside it; else by threads.
    Large items come first, so that none is begun last, and small ones together.

    Args:
        work: What is to be done.
        items: What it is done on.
        sizes: How much there is to do for each.
        together: The least that is worth being told of.
        count: How many processes or threads.

    Yields:
        The number of an item, and what came of it, as they are done.
    """
    groups: list[list[int]] = []
    room = 0
    for number in sorted(range(len(items)), key=lambda one: -sizes[one]):
        if room <= 0:
            groups.append([])
            room = together
        groups[-1].append(number)
        room -= max(sizes[number], together // _MOST_TOGETHER)

    def work_all(group: Sequence[int]) -> list[_Out]:
        return [work(items[number]) for number in group]

    if count > 1 and not can_fork():
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (most runs start none)

        pool = ThreadPoolExecutor(count)
        try:
            for group, done in zip(groups, pool.map(work_all, groups), strict=True):
                yield from zip(group, done, strict=True)
        finally:
            pool.shutdown(cancel_futures=True)
        return
    for at, done in share(work_all, groups, count=count):
        yield from zip(groups[at], done, strict=True)


@contextmanager
def crew(
    count: int, work: Callable[[_In], _Out], begin: Callable[[Callable[[object], None]], None]
) -> Iterator[Crew[_In, _Out]]:
    """Fork processes to give work to.

    They leave Ctrl-C to their parent, and end when it does, however that ends. They end with the block, in the midst of
    their work if they are at any.

    Args:
        count: How many; fewer if the system gives no more.
        work: What they do with each item that they are given. Not sent, but there when they are forked.
        begin: Called by each as it begins, with what it can say something by: see :meth:`Crew.do`.
    """
    end_seen, end = os.pipe()
    workers: Crew[_In, _Out] = Crew()
    try:
        # A Ctrl-C is kept back until they leave it to us: one that has just begun would die of it with a traceback.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(count):
                workers.add(work, begin, end_seen, end)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        yield workers
    finally:
        os.close(end_seen)
        os.close(end)
        workers.end()


@dataclass(slots=True)
class _Worker:
    """A process that was forked, as its parent knows it: the pipes by which it is told, and by which it answers."""

    pid: int
    told: int
    coming: int

    def end(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)  # it is still there, if only as what remains until it is waited for
        os.waitpid(self.pid, 0)
        os.close(self.coming)
        if self.told >= 0:
            os.close(self.told)


class Crew(Generic[_In, _Out]):
    """Forked processes, each at one item at a time. Made by :func:`crew`."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}
        self._free: deque[_Worker] = deque()
        self._poll = select.poll()

    def add(
        self, work: Callable[[_In], _Out], begin: Callable[[Callable[[object], None]], None], end_seen: int, end: int
    ) -> None:
        """Fork one more, if the system gives it; see :func:`crew`."""
        (items, told), (coming, going) = os.pipe(), os.pipe()
        _widen(going)
        try:
            pid = os.fork()
            if pid == 0:
                others = [pipe for one in self._workers.values() for pipe in (one.told, one.coming)]
                _be_a_worker(work, begin, items, going, end_seen, not_ours=[told, coming, end, *others])
        except OSError:
            os.close(told)
            os.close(coming)
            return
        finally:
            os.close(items)
            os.close(going)
        self._workers[coming] = worker = _Worker(pid, told, coming)
        self._free.append(worker)
        self._poll.register(coming, select.POLLIN)

    def do(self, items: Iterable[_In], hear: Callable[[Any], None] | None = None) -> Iterator[tuple[_In, _Out]]:
        """Have items worked on, each taken when somebody is free for it.

        Args:
            items: What is to be worked on; it is sent.
            hear: Called with what the processes say meanwhile.

        Yields:
            An item and what came of it, as they are done. What a process that was killed had begun is missing; the
            others go on. If all were killed, so is what is left.

        Raises:
            BaseException: What was raised in one of the processes.
        """
        coming = iter(items)
        taken: list[_In] = []  # and not yet given: at most one
        busy: dict[int, _In] = {}
        while True:
            while self._free and (taken := taken or [*islice(coming, 1)]):
                worker = self._give(taken[0])
                if worker is not None:
                    busy[worker.coming] = taken.pop()
            if not busy:
                return
            for number, _ in self._poll.poll():
                try:
                    kind, content = _receive(number)
                except EOFError:  # it was killed
                    self._lose(self._workers[number])
                    busy.pop(number, None)
                    continue
                if kind == _RAISED:
                    raise content
                if kind == _DONE:
                    self._free.append(self._workers[number])
                    yield busy.pop(number), content
                elif hear is not None:
                    hear(content)

    def _give(self, item: _In) -> _Worker | None:
        """Give an item to somebody who is free; None if all who were had been killed."""
        while self._free:
            worker = self._free.popleft()
            try:
                _send(worker.told, item)
            except OSError:
                self._lose(worker)
            else:
                return worker
        return None

    def leave(self, seconds: float) -> None:
        """Let them end what they are at, for so long; nothing is heard of it."""
        deadline = time.monotonic() + seconds
        for worker in self._workers.values():
            os.close(worker.told)
            worker.told = -1
        left = {*self._workers}
        while left and (found := self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)):
            for number, _ in found:
                if not os.read(number, _WIDTH):
                    self._poll.unregister(number)
                    left.remove(number)

    def _lose(self, worker: _Worker) -> None:
        """Be without somebody who was killed."""
        self._poll.unregister(worker.coming)
        del self._workers[worker.coming]
        with suppress(ValueError):
            self._free.remove(worker)
        worker.end()

    def end(self) -> None:
        """End them all."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()


def _be_a_worker(
    work: Callable[[_In], _Out],
    begin: Callable[[Callable[[object], None]], None],
    items: int,
    going: int,
    end_seen: int,
    *,
    not_ours: Sequence[int],
) -> NoReturn:
    """Be one of a crew."""
    try:
        _be_a_child()
        for pipe in not_ours:
            os.close(pipe)
        threading.Thread(target=_follow, args=(end_seen,), name="hubtool-parent", daemon=True).start()
        saying = threading.Lock()

        def say(kind: int, content: object) -> None:
            with saying:
                _send(going, (kind, content))

        begin(partial(say, _SAID))
        while True:
            item: _In = _receive(items)
            try:
                say(_DONE, work(item))
            except BaseException as error:  # noqa: BLE001 (raised again, in the parent)
                try:
                    say(_RAISED, error)
                except Exception:  # noqa: BLE001 (it cannot be sent)
                    say(_RAISED, RuntimeError(f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)  # whatever happened: what its parent would do at its end is not for this process to do


def _follow(end_seen: int) -> None:
    """End with the parent."""
    os.read(end_seen, 1)
    os._exit(1)


def _be_a_child() -> None:
    """Leave Ctrl-C to the parent, and what the parent had where it is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # To look through what the parent had for cycles would make a copy of all of it.
    gc.freeze()
    gc.set_threshold(100_000)


# -- one process ahead ---------------------------------------------------------------------------------------------


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
        os._exit(0)  # as above


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


# -- messages ------------------------------------------------------------------------------------------------------


def _widen(pipe: int) -> None:
    """Let a pipe hold so much that who writes to it need not wait for who reads, as far as the system lets us."""
    import fcntl  # noqa: PLC0415 (not on every system; only those that fork get here)

    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _WIDTH)


def _send(pipe: int, message: object) -> None:
    """Send a message.

    Raises:
        OSError: If nobody is there to take it.
        Exception: If it cannot be sent; then nothing of it is.
    """
    import pickle  # noqa: PLC0415 (most runs send nothing)

    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    view = memoryview(len(data).to_bytes(_LENGTH, "little") + data)
    while view:
        view = view[os.write(pipe, view) :]


def _receive(pipe: int) -> Any:  # noqa: ANN401 (whatever was sent)
    """Wait for a message.

    Raises:
        EOFError: If there will be none.
    """
    import pickle  # noqa: PLC0415 (as above)

    return pickle.loads(_read(pipe, int.from_bytes(_read(pipe, _LENGTH), "little")))  # noqa: S301 (of our own process)


def _read(pipe: int, count: int) -> bytes:
    pieces = []
    while count:
        piece = os.read(pipe, count)
        if not piece:
            raise EOFError
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
