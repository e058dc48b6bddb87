"""What an isolated program may take, and the watch that ends it when it takes more."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    import threading

MAX_PRINTED_BYTES = 64 << 20
_MAX_PROCESSES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """What a program may take.

    Attributes:
        seconds: Wall-clock time.
        memory: Bytes of memory of its own, all its processes together (pages of files do not count).
        disk: Bytes of files that it writes.
        stop: Ends it when it is set, from any thread.
    """

    seconds: float = 300.0
    memory: int = 8 << 30
    disk: int = 2 << 30
    stop: threading.Event | None = None


DEFAULT_LIMITS = ProgramLimits()


class ProcessWatch:
    """Watches the processes of a program, and ends them when they exceed a limit.

    Attributes:
        reason: Why the program was ended; empty until then.
        peak: The most memory of its own that the program was seen to take, in bytes.
        sees_memory: Whether this platform shows the memory and the number of its processes.
    """

    def __init__(self, process: subprocess.Popen[bytes], limits: ProgramLimits, scratch: Path, started: float) -> None:
        self.reason = ""
        self.peak = 0
        self.sees_memory = sys.platform == "linux"
        self._process = process
        self._limits = limits
        self._scratch = scratch
        self._deadline = started + limits.seconds
        self._next_disk = started + 1.0
        self._seen: dict[int, str] = {}  # process id to start time: the system uses ids again

    def has_ended(self, printed: int) -> bool:
        """Return whether a limit is exceeded, now or before.

        Args:
            printed: Bytes that the program has printed.
        """
        if not self.reason:
            self.reason = self._exceeded(printed, time.monotonic())
        return bool(self.reason)

    def _exceeded(self, printed: int, now: float) -> str:
        limits = self._limits
        if limits.stop is not None and limits.stop.is_set():
            return "it was interrupted"
        if now > self._deadline:
            return f"it did not end within {limits.seconds:.0f} seconds"
        if printed > MAX_PRINTED_BYTES:
            return f"it printed more than {size_text(MAX_PRINTED_BYTES)}"
        if self.sees_memory:
            family = _family(self._process.pid)
            self._seen.update(family)
            memory = sum(map(_own_memory, family))
            self.peak = max(self.peak, memory)
            if memory > limits.memory:
                return f"it took more than {size_text(limits.memory)} of memory"
            if len(family) > _MAX_PROCESSES:
                return f"it started more than {_MAX_PROCESSES} processes"
        if now > self._next_disk:
            used = _disk_use(self._scratch)
            # The more files there are, the longer a look takes, and the rarer it is.
            self._next_disk = now + 1.0 + 20 * (time.monotonic() - now)
            if used > limits.disk:
                return f"it wrote more than {size_text(limits.disk)} of files"
        return ""

    def kill(self) -> None:
        """End all its processes."""
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        # Processes that left the session; within a namespace the kernel has ended them.
        for pid, start in self._seen.items():
            if pid != self._process.pid and _stat(pid)[1] == start:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


def size_text(count: int) -> str:
    """Return a number of bytes in a readable unit: ``2 GiB``."""
    return f"{count / (1 << 30):.3g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.3g} MiB"


def _family(root: int) -> dict[int, str]:
    """Return a process and all its descendants, each with its start time."""
    stats = {int(entry.name): _stat(int(entry.name)) for entry in os.scandir("/proc") if entry.name.isdecimal()}
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    found: dict[int, str] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid not in found and stats.get(pid, (0, ""))[1]:
            found[pid] = stats[pid][1]
            waiting += children.get(pid, [])
    return found


def _stat(pid: int) -> tuple[int, str]:
    """Return the parent of a process and its start time (see proc(5)); 0 and nothing if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, ""
    # The name of the program stands in brackets, and may itself hold brackets and spaces.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[1]), fields[19]) if len(fields) > 19 else (0, "")


def _own_memory(pid: int) -> int:
    """Return the bytes of memory of a process that belong to no file."""
    total = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("RssAnon:", "RssShmem:", "VmSwap:")):
                total += int(line.split()[1]) * 1024
    return total


def _disk_use(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118 - there may be very many
    return total
