"""Run a program that others wrote: isolated, and limited in time, memory and files.

What isolates it depends on the platform, and the result says what did. On Linux with user namespaces it has no network,
writes only in its own folder, and leaves no process behind (:mod:`hubtool.sandbox.namespaces`). Everywhere it has a
time limit, an empty standard input, its own home and temporary folder, an environment without the user's secrets, and
limited output. It can read what the user can read; without a network it cannot send that anywhere.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import selectors
import signal
import site
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool.sandbox.limits import MAX_PRINTED_BYTES, ProcessWatch, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubtool.sandbox.limits import ProgramLimits

_TICK_SECONDS = 0.1
# MindSpore and its libraries map some gigabytes that they never touch: address space may be that much more.
_MAPPED_BYTES = 24 << 30
_KEPT_CHARACTERS = 256 << 10
_MAX_ANSWER_BYTES = 4 << 20
# Variables that a Python with MindSpore needs; others, such as tokens and passwords, are not passed on.
_PASSED = re.compile(
    r"(PATH|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|DYLD_\w+|SYSTEMROOT|PYTHON(PATH|HOME|UTF8|WARNINGS|IOENCODING)"
    r"|VIRTUAL_ENV|CONDA_PREFIX|GLOG_\w+|DNNL_\w+|ASCEND_\w+|MS_\w+|OMP_\w+|MKL_\w+|OPENBLAS_\w+|DEVICE_ID|RANK_\w+"
    r"|HUBTOOL_ALLOWED_HOSTS)\Z"
)
_HOLDS = {
    "network": "no network",
    "files": "no files written but in its folder",
    "processes": "no process left behind",
    "memory": "bounded memory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramResult:
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
        held = [text for key, text in _HOLDS.items() if key in self.held]
        free = [text for key, text in _HOLDS.items() if key not in self.held]
        told = f"held: {', '.join(held) or 'nothing but time'}"
        return f"{told}; not held: {', '.join(free)} ({self.why})" if free else told


def environment(scratch: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: what a Python needs, its own folders, and what is given.

    The folders ``work``, ``home`` and ``tmp`` are made below ``scratch``.
    """
    kept = {name: value for name, value in os.environ.items() if _PASSED.match(name)}
    folders = {name: scratch / name for name in ("work", "home", "tmp")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    own = {
        **dict.fromkeys(("HOME", "USERPROFILE"), str(folders["home"])),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folders["tmp"])),
        "XDG_CACHE_HOME": str(folders["home"] / ".cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # A home of its own must not hide what was installed with 'pip install --user'.
        "PYTHONUSERBASE": site.getuserbase(),
        "NO_COLOR": "1",
    }
    return {**kept, **own, **more}


def run_isolated(
    command: Sequence[str],
    *,
    scratch: Path,
    environ: Mapping[str, str],
    limits: ProgramLimits,
    show: Callable[[str], None] | None = None,
    use_namespaces: bool = True,
) -> ProgramResult:
    """Run a program in the folder ``scratch/work``, and wait for its end.

    Args:
        command: The program, by its whole path, and its arguments.
        scratch: The only folder that it may write.
        environ: Its environment, of :func:`environment`.
        limits: What it may take.
        show: Called with what it prints, as it comes.
        use_namespaces: Whether to use namespaces at all; False is for tests of what holds without them.
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
        "parent": os.getpid(),
        "file_size": limits.disk,
        "cpu": int(limits.seconds * 4) + 10,
        "address_space": limits.memory + _MAPPED_BYTES,
        "use_namespaces": use_namespaces,
    }
    entry = Path(__file__).with_name("namespaces.py")
    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program, which runs the command
            [sys.executable, "-I", "-S", str(entry), json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=scratch / "work",
            env={**environ, "HUBTOOL_ANSWER": str(answer_writer)},
            pass_fds=(status_writer, answer_writer),
            start_new_session=True,
        )
    except BaseException:
        os.close(status_reader)
        os.close(answer_reader)
        raise
    finally:
        os.close(status_writer)
        os.close(answer_writer)
    watch = ProcessWatch(process, limits, scratch, started)
    output = _Output(show)
    try:
        answer, status = _follow(process, output, answer_reader, status_reader, watch)
    finally:
        watch.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        os.close(status_reader)
        os.close(answer_reader)
    told: dict[str, Any] = {"held": [], "why": "it did not start", "code": process.returncode}
    for line in status.splitlines():
        told |= json.loads(line)
    return ProgramResult(
        code=told["code"],
        reason=watch.reason or _signal_reason(told["code"], limits),
        output=output.text(),
        answer=answer,
        seconds=time.monotonic() - started,
        memory=watch.peak,
        held=frozenset(told["held"]) | ({"memory"} if watch.sees_memory else set()),
        why=told["why"],
    )


def _signal_reason(code: int, limits: ProgramLimits) -> str:
    """Return why a program ended that the watch did not end."""
    if code >= 0:
        return ""
    if code == -getattr(signal, "SIGXCPU", 0):
        return "it used more processor time than it may"
    if code == -getattr(signal, "SIGXFSZ", 0):
        return f"it wrote a file of more than {size_text(limits.disk)}"
    try:
        return f"it was ended by the signal {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by the signal {-code}"


def _follow(
    process: subprocess.Popen[bytes], output: _Output, answer: int, status: int, watch: ProcessWatch
) -> tuple[bytes, bytes]:
    """Read what a program writes until it ends or is ended; return its answer, and what namespaces.py reports.

    Args:
        process: The program.
        output: Takes what it prints.
        answer: The file descriptor of its answer.
        status: The file descriptor of what namespaces.py says.
        watch: Ends it when it exceeds a limit.
    """
    assert process.stdout is not None  # noqa: S101 - it was asked for
    kept = {answer: bytearray(), status: bytearray()}
    with selectors.DefaultSelector() as selector:
        for descriptor in (process.stdout.fileno(), *kept):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        deadline = 0.0
        while selector.get_map():
            for key, _ in selector.select(_TICK_SECONDS):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                elif key.fd not in kept:
                    output.add(data)
                elif len(kept[key.fd]) < _MAX_ANSWER_BYTES:
                    kept[key.fd] += data
            if watch.has_ended(output.size) or process.poll() is not None:
                # A process that it left behind may hold the streams open for ever.
                watch.kill()
                deadline = deadline or time.monotonic() + 1.0
                if time.monotonic() > deadline:
                    break
    return bytes(kept[answer]), bytes(kept[status])


class _Output:
    """What a program printed: shown as it comes, and of very much the beginning and the end kept."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        self.size = 0
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head = ""
        self._tail = ""

    def add(self, data: bytes) -> None:
        self.size += len(data)
        text = self._decoder.decode(data)
        if self._show is not None and self.size <= MAX_PRINTED_BYTES:
            self._show(text)
        room = _KEPT_CHARACTERS - len(self._head)
        self._head += text[:room] if room > 0 else ""
        self._tail = (self._tail + text[max(room, 0) :])[-_KEPT_CHARACTERS:]

    def text(self) -> str:
        cut = self.size > 2 * _KEPT_CHARACTERS
        return f"{self._head}\n[...]\n{self._tail}" if cut else self._head + self._tail
