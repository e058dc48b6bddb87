"""The command line, run within the test's own process, or in a process of its own where the process is the point."""

from __future__ import annotations

import functools
import gc
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from unittest import mock

from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What Python, the system's libraries or MindSpore read once, when a process starts.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GLOG_", "OMP_", "TZ", "MS_")
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGCHLD", "SIGPIPE") if hasattr(signal, name)
)


@dataclass(frozen=True)
class CompletedRun:
    """What a run left behind.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The standard output read as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """Runs hubtool in a folder, and with a store and a registry of the test's.

    Attributes:
        folder: The working folder.
        environ: All environment variables.
        without_mindspore: Whether MindSpore is hidden from a command that runs in this process; one that runs in its
            own needs a PYTHONPATH for that.
    """

    folder: Path
    environ: dict[str, str]
    without_mindspore: bool = False

    @property
    def registry(self) -> Path:
        """The registry folder that the command sees."""
        return Path(self.environ["HUBTOOL_REGISTRY"])

    @property
    def home(self) -> Path:
        """The store that the command sees."""
        return Path(self.environ["HUBTOOL_HOME"])

    def __call__(self, *arguments: str | Path, timeout: float = 300, **environ: str) -> CompletedRun:
        """Run `hubtool`, within this process where that makes no difference.

        A process is started after all where the test runs it in a thread, beside others, and where a variable
        differs from this process's that is read once, when a process starts.
        """
        return self._run("hubtool", *arguments, timeout=timeout, **environ)

    def process(self, *arguments: str | Path, timeout: float = 300, **environ: str) -> CompletedRun:
        """Run `hubtool` in a process of its own."""
        return self._start("hubtool", *arguments, timeout=timeout, environ={**self.environ, **environ})

    def maintain(self, *arguments: str | Path, timeout: float = 300, **environ: str) -> CompletedRun:
        """Run `python -m maintain`, within this process where that makes no difference."""
        return self._run("maintain", *arguments, timeout=timeout, **environ)

    def _run(self, module: str, *arguments: str | Path, timeout: float, **environ: str) -> CompletedRun:
        changed = {**self.environ, **environ}
        expected = self.environ["PYTHONPATH"] if self.without_mindspore else str(ROOT)
        if _needs_process(changed, expected):
            return self._start(module, *arguments, timeout=timeout, environ=changed)
        with _without_mindspore() if self.without_mindspore else nullcontext():
            return _checked(_in_process(module, [str(one) for one in arguments], self.folder, changed))

    def _start(self, module: str, *arguments: str | Path, timeout: float, environ: dict[str, str]) -> CompletedRun:
        command = [sys.executable, "-W", "error::DeprecationWarning:hubtool", "-m", module, *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        return _checked(CompletedRun(done.returncode, done.stdout, done.stderr))


def _checked(done: CompletedRun) -> CompletedRun:
    assert "Traceback" not in done.err, done.err
    assert "a fault of hubtool" not in done.err, done.err
    return done


def _needs_process(environ: Mapping[str, str], path: str) -> bool:
    if threading.current_thread() is not threading.main_thread():
        return True
    names = {name for name in (*environ, *os.environ) if name.startswith(_READ_AT_START)} - {"PYTHONPATH"}
    if any(environ.get(name) != os.environ.get(name) for name in names):
        return True
    return environ.get("PYTHONPATH", path) != path


@contextmanager
def _without_mindspore() -> Iterator[None]:
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "mindspore"}
    for name in kept:
        del sys.modules[name]
    sys.modules["mindspore"] = None  # type: ignore[assignment]  # an import fails then
    try:
        yield
    finally:
        del sys.modules["mindspore"]
        sys.modules.update(kept)


def _in_process(module: str, arguments: list[str], folder: Path, environ: Mapping[str, str]) -> CompletedRun:
    """Run a command line here, with everything that a process has of its own: it is put back afterwards."""
    with ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        stack.enter_context(_variables(environ))
        stack.enter_context(_working_folder(folder))
        stack.enter_context(_streams(out.fileno(), err.fileno()))
        stack.enter_context(_state())
        # The test's own locks are those of another process.
        stack.enter_context(mock.patch("hubtool.store.digest_locks._held", threading.local()))
        _forget()
        code = _main(module, arguments)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8").replace("\r\n", "\n"))
    return CompletedRun(code, *texts)


def _main(module: str, arguments: list[str]) -> int:
    try:
        if module == "hubtool":
            from hubtool.cli import main

            main(arguments)
        else:
            from maintain.__main__ import main as maintain_main

            sys.argv = ["maintain", *arguments]
            maintain_main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


@contextmanager
def _variables(environ: Mapping[str, str]) -> Iterator[None]:
    """Have the environment be this one; what does not differ stays as it is, for threads that read it meanwhile."""
    before = dict(os.environ)
    _set_variables(environ)
    try:
        yield
    finally:
        _set_variables(before)


def _set_variables(environ: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environ):
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextmanager
def _working_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _streams(out: int, err: int) -> Iterator[None]:
    """Have the three standard streams lead to files, for programs that the command starts too."""
    before = sys.stdin, sys.stdout, sys.stderr
    for stream in before[1:]:
        stream.flush()
    kept = [os.dup(number) for number in range(3)]
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file, number)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        sys.stdout, sys.stderr = _writer(1), _writer(2)
        yield
    finally:
        for number, file in enumerate(kept):
            os.dup2(file, number)
            os.close(file)
        os.close(nothing)
        sys.stdin, sys.stdout, sys.stderr = before


def _writer(number: int) -> TextIO:
    buffer = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding="utf-8", line_buffering=number == 2)


@contextmanager
def _state() -> Iterator[None]:
    """Have arguments, signals, warnings and the collector of garbage be those of a process that has just started."""
    argv, thresholds, frozen = sys.argv, gc.get_threshold(), gc.get_freeze_count()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        warnings.filterwarnings("error", category=DeprecationWarning, module="hubtool")
        warnings.showwarning = _show_warning  # type: ignore[assignment] # called with these by position
        try:
            yield
        finally:
            sys.argv = argv
            gc.set_threshold(*thresholds)
            if not frozen:
                gc.unfreeze()
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


def _show_warning(*warning: Any) -> None:
    sys.stderr.write(warnings.formatwarning(*warning[:4]))


def _forget() -> None:
    """Clear what hubtool keeps for the life of a process, except what it makes of its own packaged files."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("hubtool.", "maintain.")) and not name.startswith("hubtool.card."):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
