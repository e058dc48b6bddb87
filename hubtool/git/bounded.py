"""Run a program within limits of time, disk and output, and end it and its children in every case.

The limits are checked while the program runs. A watcher ends it even after ``kill -9`` of this process.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from hubtool.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_PRINTED_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 16
# Waits for a line. Its standard input is a pipe that only this process holds: without a line, this process is gone.
_WATCHER = 'read -r done || kill -9 "-$1"'


@contextlib.contextmanager
def ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End git and its children when this process ends, however that happens.

    A shell in a session of its own waits until a pipe of this process is closed, which the system does even after
    ``kill -9``. Linux's parent-death signal would need code between fork and exec, is tied to the thread and not to
    the process, and does not reach git's children.
    """
    shell = shutil.which("sh") if os.name == "posix" else None
    if shell is None:
        yield
        return
    watcher = subprocess.Popen(  # noqa: S603 - our own words, and a number
        [shell, "-c", _WATCHER, "watcher", str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
    try:
        yield
    finally:
        end(process)
        with suppress(OSError):
            watcher.communicate(b"done\n")


@dataclass(slots=True, kw_only=True)
class ProcessLimits:
    """The limits of one run of git.

    Attributes:
        folder: The folder that git fills.
        seconds: The most seconds that it may take.
        max_bytes: The most bytes that the folder may grow to.
        max_printed: The most bytes that git may print.
        messages: The descriptor of the file with git's messages.
        check: Called now and then; an error that it raises ends git.
    """

    folder: Path
    seconds: float
    max_bytes: int
    max_printed: int
    messages: int
    check: Callable[[], None] | None = None
    _started: float = field(default_factory=time.monotonic)

    def hold(self) -> None:
        """Raise FetchError if a limit is passed."""
        if self.check is not None:
            self.check()
        if time.monotonic() > self._started + self.seconds:
            raise FetchError(f"it took longer than {self.seconds:g} seconds", hint="try again, or use a nearer copy")
        # A server can also send messages without end, which git passes on.
        if os.fstat(self.messages).st_size > MAX_PRINTED_BYTES:
            raise FetchError(f"it says more than {MAX_PRINTED_BYTES:,} bytes", hint="use another copy")
        if _used(self.folder) > self.max_bytes:
            raise FetchError(f"it has more than {self.max_bytes:,} bytes", hint="use a smaller repository")


def read_output(stream: IO[bytes], limits: ProcessLimits) -> Iterator[bytes]:
    """Yield what git prints; a thread reads the pipe, so that the limits hold while git is silent."""
    blocks: queue.Queue[bytes] = queue.Queue(maxsize=16)
    stopped = threading.Event()

    def pump() -> None:
        block = b"?"
        with stream:  # closed by the thread that reads it: a closed descriptor's number can be reused
            while block and not stopped.is_set():
                block = os.read(stream.fileno(), _BLOCK_BYTES)
                while not stopped.is_set():
                    with suppress(queue.Full):
                        blocks.put(block, timeout=0.1)
                        break

    reader = threading.Thread(target=pump, name="hubtool-git", daemon=True)
    reader.start()
    printed, pause, looked = 0, 0.01, time.monotonic()
    try:
        while True:
            try:
                block = blocks.get(timeout=pause)
            except queue.Empty:
                pause = min(pause * 2, 0.25)
                block = None
            if block == b"":
                return
            if block is not None:
                printed += len(block)
                if printed > limits.max_printed:
                    raise FetchError(
                        f"git lists more than {limits.max_printed:,} bytes", hint="use a smaller repository"
                    )
                yield block
            if block is None or time.monotonic() - looked > 0.25:
                limits.hold()
                looked = time.monotonic()
    finally:
        stopped.set()


def wait(process: subprocess.Popen[bytes], limits: ProcessLimits) -> None:
    """Wait for git to end, and check the limits until then."""
    pause = 0.01
    while True:
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            pause = min(pause * 2, 0.25)
        else:
            return
        limits.hold()


def _used(folder: Path) -> int:
    used = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # git has just renamed or removed it
                used += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - of many files, four times a second
    return used


def end(process: subprocess.Popen[bytes]) -> None:
    """End git, and all that it started if it leads a process group of its own."""
    if process.poll() is not None:
        return
    if os.name == "posix" and os.getpgid(process.pid) == process.pid:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
