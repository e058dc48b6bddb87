"""Running a program that is not ours: shut in, bounded in time, memory and files, with nobody to ask.

What holds it depends on the platform, and the answer says what did. On Linux with user namespaces: no network, nothing
to write but its own folder, no process left behind (:mod:`hubtool.sandbox.jail`). Everywhere: a time limit, an empty
standard input, a home and a temporary folder of its own, an environment without the user's secrets, and bounded output.
It can read what the user can read; without a network it cannot send that anywhere.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import site
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TICK = 0.1
# MindSpore and its libraries map some gigabytes that they never touch: address space may be that much more.
_MAPPED = 24 << 30
_KEPT_OUTPUT = 256 << 10
_MOST_OUTPUT = 64 << 20
# Variables that a Python with MindSpore needs; others, such as tokens and passwords, stay outside.
_PASSED = re.compile(
    r"(PATH|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|DYLD_\w+|SYSTEMROOT|PYTHON(PATH|HOME|UTF8|WARNINGS|IOENCODING)"
    r"|VIRTUAL_ENV|CONDA_PREFIX|GLOG_\w+|ASCEND_\w+|MS_\w+|OMP_\w+|MKL_\w+|OPENBLAS_\w+|DEVICE_ID|RANK_\w+"
    r"|HUBTOOL_ALLOWED_HOSTS)\Z"
)
_MOST_PROCESSES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a program may take.

    Attributes:
        seconds: Wall-clock time.
        memory: Bytes of memory of its own, all its processes together (pages of files do not count).
        disk: Bytes of files that it writes.
    """

    seconds: float = 300.0
    memory: int = 8 << 30
    disk: int = 2 << 30


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code, or minus the signal that ended it.
        reason: Why it was ended, if it was: ``it did not end within 60 seconds``; else empty.
        output: What it printed, both streams; of very much, the beginning and the end.
        answer: What it wrote to the file descriptor ``HUBTOOL_ANSWER``; of very much, the beginning.
        seconds: How long it ran.
        memory: The most memory of its own that it was seen to take, in bytes; 0 where that is not known.
        held: What the platform held: ``network``, ``files``, ``processes``, ``memory``.
        why: Why not all of them, or empty.
    """

    code: int
    reason: str
    output: str
    answer: bytes
    seconds: float
    memory: int
    held: frozenset[str]
    why: str

    @property
    def described(self) -> str:
        """What held it and what did not, in one sentence."""
        words = {
            "network": "no network",
            "files": "no files written but in its folder",
            "processes": "no process left behind",
            "memory": "bounded memory",
        }
        held = [text for key, text in words.items() if key in self.held]
        free = [text for key, text in words.items() if key not in self.held]
        said = f"held: {', '.join(held) or 'nothing but time'}"
        return f"{said}; not held: {', '.join(free)} ({self.why})" if free else said


def environment(scratch: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: what a Python needs, its own folders, and what is given.

    The folders are made below ``scratch``: ``work``, ``home``, ``tmp``.
    """
    kept = {name: value for name, value in os.environ.items() if _PASSED.match(name)}
    folders = {name: scratch / name for name in ("work", "home", "tmp")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    own = {
        "HOME": str(folders["home"]),
        "USERPROFILE": str(folders["home"]),
        "XDG_CACHE_HOME": str(folders["home"] / ".cache"),
        "TMPDIR": str(folders["tmp"]),
        "TEMP": str(folders["tmp"]),
        "TMP": str(folders["tmp"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # A home of its own must not hide what was installed with 'pip install --user'.
        "PYTHONUSERBASE": site.getuserbase(),
        "NO_COLOR": "1",
    }
    return {**kept, **own, **more}


def run(
    command: Sequence[str],
    *,
    scratch: Path,
    environ: Mapping[str, str],
    limits: Limits,
    show: Callable[[str], None] | None = None,
    shut_in: bool = True,
) -> Ended:
    """Run a program in the folder ``scratch/work``, and wait for its end.

    Args:
        command: The program, by its whole path, and its arguments.
        scratch: The only folder that it may write.
        environ: Its environment, of :func:`environment`.
        limits: What it may take.
        show: Called with what it prints, as it comes.
        shut_in: Whether to use namespaces at all; False is for tests of what holds without them.
    """
    devices = scratch / "dev"
    devices.mkdir(exist_ok=True)
    status_reader, status_writer = os.pipe()
    answer_reader, answer_writer = os.pipe()
    spec = {
        "command": list(command),
        "cwd": str(scratch / "work"),
        "writable": [str(scratch)],
        "devices": str(devices),
        "status": status_writer,
        "file_size": limits.disk,
        "cpu": int(limits.seconds * 4) + 10,
        "address_space": limits.memory + _MAPPED,
        "open": not shut_in,
    }
    jail = Path(__file__).with_name("jail.py")
    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program, which runs the command
            [sys.executable, "-I", "-S", str(jail), json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=scratch / "work",
            env={**environ, "HUBTOOL_ANSWER": str(answer_writer)},
            pass_fds=(status_writer, answer_writer),
            start_new_session=True,
        )
    except BaseException:
        for descriptor in (status_reader, status_writer, answer_reader, answer_writer):
            os.close(descriptor)
        raise
    os.close(status_writer)
    os.close(answer_writer)
    watch = _Watch(process, limits, scratch, started)
    try:
        output, answer, told = _follow(process, status_reader, answer_reader, watch, show)
    finally:
        watch.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        os.close(status_reader)
        os.close(answer_reader)
    said = [json.loads(line) for line in told.split(b"\n") if line]
    ended = next((one["code"] for one in said if "code" in one), process.returncode)
    entered: dict[str, Any] = next((one for one in said if "held" in one), {"held": [], "why": "it did not start"})
    held = frozenset(entered["held"]) | ({"memory"} if watch.sees else set())
    return Ended(
        code=ended,
        reason=watch.reason or _reason(ended, limits),
        output=output,
        answer=answer,
        seconds=time.monotonic() - started,
        memory=watch.peak,
        held=held,
        why=entered["why"],
    )


def _reason(code: int, limits: Limits) -> str:
    """Return why a program ended that nobody here ended."""
    if code == -getattr(signal, "SIGXCPU", 0):
        return "it used more processor time than it may"
    if code == -getattr(signal, "SIGXFSZ", 0):
        return f"it wrote a file of more than {_size(limits.disk)}"
    if code < 0:
        with suppress(ValueError):
            return f"it was ended by the signal {signal.Signals(-code).name}"
        return f"it was ended by the signal {-code}"
    return ""


def _follow(
    process: subprocess.Popen[bytes],
    status: int,
    answer: int,
    watch: _Watch,
    show: Callable[[str], None] | None,
) -> tuple[str, bytes, bytes]:
    """Read what a program writes until it ends or is ended; return its output, its answer, and what the jail said."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    output = _Output(show)
    answers, told = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for descriptor, keep in (
            (process.stdout.fileno(), output.add),
            (status, lambda data: _extend(told, data)),
            (answer, lambda data: _extend(answers, data)),
        ):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ, keep)
        over = 0.0
        while selector.get_map():
            for key, _ in selector.select(_TICK):
                data = os.read(key.fd, 1 << 16)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fd)
            if watch.look(output.size) or process.poll() is not None:
                # A process that it left behind may hold the streams open for ever.
                watch.kill()
                over = over or time.monotonic() + 1.0
                if time.monotonic() > over:
                    break
    return output.text(), bytes(answers), bytes(told)


def _extend(kept: bytearray, data: bytes) -> None:
    if len(kept) < _KEPT_OUTPUT * 16:
        kept.extend(data)


class _Output:
    """What a program printed: shown as it comes, and of very much the beginning and the end kept."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        import codecs  # noqa: PLC0415 - needed by those who run a program only

        self.size = 0
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head = ""
        self._tail = ""

    def add(self, data: bytes) -> None:
        self.size += len(data)
        text = self._decoder.decode(data)
        if self._show is not None and self.size <= _MOST_OUTPUT:
            self._show(text)
        room = _KEPT_OUTPUT - len(self._head)
        self._head += text[:room] if room > 0 else ""
        self._tail = (self._tail + text[max(room, 0) :])[-_KEPT_OUTPUT:]

    def text(self) -> str:
        cut = self.size > 2 * _KEPT_OUTPUT
        return f"{self._head}\n[...]\n{self._tail}" if cut else self._head + self._tail


class _Watch:
    """Watches the processes of a program, and ends them when they take more than they may."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits, scratch: Path, started: float) -> None:
        self.reason = ""
        self.peak = 0
        self.sees = sys.platform == "linux"
        self._process = process
        self._limits = limits
        self._scratch = scratch
        self._deadline = started + limits.seconds
        self._next_disk = started + 1.0
        self._seen: dict[int, str] = {}  # each with when it started: a number may come to mean another process

    def look(self, printed: int) -> bool:
        """Return whether the program was ended, now or before."""
        if self.reason:
            return True
        now = time.monotonic()
        if now > self._deadline:
            self.reason = f"it did not end within {self._limits.seconds:.0f} seconds"
        elif printed > _MOST_OUTPUT:
            self.reason = f"it printed more than {_size(_MOST_OUTPUT)}"
        elif self.sees:
            family = _family(self._process.pid)
            self._seen.update(family)
            memory = sum(map(_own_memory, family))
            self.peak = max(self.peak, memory)
            if memory > self._limits.memory:
                self.reason = f"it took more than {_size(self._limits.memory)} of memory"
            elif len(family) > _MOST_PROCESSES:
                self.reason = f"it started more than {_MOST_PROCESSES} processes"
        if not self.reason and now > self._next_disk:
            used = _used(self._scratch)
            # Looking takes longer the more files there are: then it is done less often.
            self._next_disk = now + 1.0 + 20 * (time.monotonic() - now)
            if used > self._limits.disk:
                self.reason = f"it wrote more than {_size(self._limits.disk)} of files"
        return bool(self.reason)

    def kill(self) -> None:
        """End all its processes."""
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        # Those that left the session; within a namespace the kernel has ended them.
        for pid, start in self._seen.items():
            if pid != self._process.pid and _started(pid) == start:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


def _family(root: int) -> dict[int, str]:
    """Return a process and all that come from it, each with when it started."""
    children: dict[int, list[int]] = {}
    starts: dict[int, str] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            starts[int(entry.name)] = fields[19]
    found: dict[int, str] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in starts and pid not in found:
            found[pid] = starts[pid]
            waiting += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return what /proc says of a process, from its state on (see proc(5)); nothing if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name of the program stands in brackets, and may itself hold brackets and spaces.
    return stat.rpartition(")")[2].split()


def _started(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields else ""


def _own_memory(pid: int) -> int:
    """Return the bytes of a process that are in memory and are no file's."""
    total = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("RssAnon:", "RssShmem:", "VmSwap:")):
                total += int(line.split()[1]) * 1024
    return total


def _used(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118 - there may be very many
    return total


def _size(count: int) -> str:
    return f"{count / (1 << 30):.3g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.3g} MiB"
