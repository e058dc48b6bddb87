"""Restore the state of the process after code of a model ran in it.

This is housekeeping, not a security boundary: code that the user agreed to runs with the user's rights. Restored are
all of hubtool (functions, classes and tables); functions and classes of every other module imported before; the
modules themselves; builtins; and the process state that can be read and set. docs/networks.md lists the rest.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib.machinery
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: The beginning of the names of models' modules in ``sys.modules``.
PACKAGE: Final = "_hubtool_code"

_ABSENT: Final = object()
_CODE: Final = ("__code__", "__defaults__", "__kwdefaults__")


@contextmanager
def undisturbed(private: str, is_inside: Callable[[str], bool]) -> Iterator[None]:
    """Restore the state of the process at the end of the block.

    Args:
        private: The private package of the code that runs.
        is_inside: Whether a file is part of that code: modules from such files do not stay in ``sys.modules``.
    """
    undo = [_process(), _python(), _libraries()]
    modules = dict(sys.modules)
    members = [_Members.of(name, module) for name, module in modules.items() if isinstance(module, ModuleType)]
    try:
        yield
    finally:
        for taken in members:
            taken.restore()
        _restore_modules(modules, is_inside)
        for back in undo:
            back()
        _forget_exit_functions(private)


def _process() -> Callable[[], None]:
    """Save the process state of the system; return a function that restores it."""
    directory, environ = Path.cwd(), dict(os.environ)
    umask = os.umask(0o022)
    os.umask(umask)
    streams = {number: (os.dup(number), _identity(number)) for number in (0, 1, 2) if _identity(number) is not None}
    signals: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
    words = locale.setlocale(locale.LC_ALL)
    limits = {}
    with suppress(ImportError):  # Windows has none
        import resource  # noqa: PLC0415 - as said

        kinds = [value for name, value in vars(resource).items() if name.startswith("RLIMIT_")]
        limits = {kind: resource.getrlimit(kind) for kind in kinds}

    def back() -> None:
        os.chdir(directory)
        if dict(os.environ) != environ:
            os.environ.clear()
            os.environ.update(environ)
        os.umask(umask)
        for number, (copy, before) in streams.items():
            if _identity(number) != before:
                os.dup2(copy, number)
            os.close(copy)
        for number, handler in signals.items():
            if handler is not None and signal.getsignal(number) is not handler:
                with suppress(OSError, ValueError):
                    signal.signal(number, handler)
        if locale.setlocale(locale.LC_ALL) != words:
            locale.setlocale(locale.LC_ALL, words)
        for kind, limit in limits.items():
            if resource.getrlimit(kind) != limit:
                with suppress(OSError, ValueError):  # a hard limit that was lowered stays low
                    resource.setrlimit(kind, (limit[0], resource.getrlimit(kind)[1]))

    return back


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Return the identity of an open file, or None if the descriptor is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _python() -> Callable[[], None]:
    """Save the interpreter's settings; return a function that restores them."""
    kept: tuple[list[Any], ...] = (sys.path, sys.meta_path, sys.path_hooks, gc.callbacks)
    lists = [(one, list(one)) for one in kept]
    names = ("argv", "stdin", "stdout", "stderr", "excepthook", "displayhook", "unraisablehook", "dont_write_bytecode")
    attributes = {name: getattr(sys, name) for name in names}
    own_builtins = dict(vars(builtins))
    limit, interval = sys.getrecursionlimit(), sys.getswitchinterval()
    tracing, profiling = sys.gettrace(), sys.getprofile()
    collecting, threshold = gc.isenabled(), gc.get_threshold()
    thread_hook = threading.excepthook
    timeout = socket.getdefaulttimeout()

    def back() -> None:
        for one, before in lists:
            one[:] = before
        for name, value in attributes.items():
            setattr(sys, name, value)
        for name in [name for name in vars(builtins) if name not in own_builtins]:
            delattr(builtins, name)
        vars(builtins).update(own_builtins)
        sys.setrecursionlimit(limit)
        sys.setswitchinterval(interval)
        if sys.gettrace() is not tracing:
            sys.settrace(tracing)
        if sys.getprofile() is not profiling:
            sys.setprofile(profiling)
        (gc.enable if collecting else gc.disable)()
        gc.set_threshold(*threshold)
        threading.excepthook = thread_hook
        socket.setdefaulttimeout(timeout)

    return back


def _libraries() -> Callable[[], None]:
    """Save the settings of logging, random numbers and NumPy; return a function that restores them."""
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, logging.root.manager.disable
    classes = logging.getLoggerClass(), logging.getLogRecordFactory()
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    numbers = None if numpy is None else (numpy.random.get_state(), numpy.get_printoptions(), numpy.geterr())

    def back() -> None:
        root.handlers[:], root.level = handlers, level
        logging.disable(disabled)
        logging.setLoggerClass(classes[0])
        logging.setLogRecordFactory(classes[1])
        random.setstate(state)
        if numpy is not None and numbers is not None:
            numpy.random.set_state(numbers[0])
            numpy.set_printoptions(**numbers[1])
            numpy.seterr(**numbers[2])

    return back


def _restore_modules(before: Mapping[str, ModuleType], is_inside: Callable[[str], bool]) -> None:
    """Remove from ``sys.modules`` what no import of an installed module put there."""
    for name, module in list(sys.modules.items()):
        if name in before or name == PACKAGE or name.startswith(PACKAGE + "."):
            continue
        if not _is_installed(module, is_inside):
            del sys.modules[name]
    for name, module in before.items():
        if sys.modules.get(name) is not module:
            sys.modules[name] = module


def _is_installed(module: object, is_inside: Callable[[str], bool]) -> bool:
    """Return whether a module is built in or came from a file outside the code that ran."""
    spec = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None)
    if not isinstance(module, ModuleType) or not isinstance(spec, importlib.machinery.ModuleSpec):
        return False
    if isinstance(file, str) and is_inside(file):
        return False
    if spec.origin in ("built-in", "frozen") or spec.submodule_search_locations is not None:
        return True
    return isinstance(spec.origin, str) and Path(spec.origin).is_file()


def _forget_exit_functions(private: str) -> None:
    """Remove exit handlers that the code registered: the user agreed to building a network only."""
    for name, module in list(sys.modules.items()):
        if name.startswith(private):
            for value in list(vars(module).values()):
                if callable(value):
                    with suppress(Exception):
                        atexit.unregister(value)


class _Members:
    """The members of a module and of its classes.

    All members of hubtool are restored, including tables and the code of functions. Of other modules, only functions,
    classes and modules are: other values can be state of the module, such as what it imported so far.
    """

    __slots__ = ("_code", "_owners", "_tables", "_whole")

    def __init__(self, owners: list[tuple[Any, dict[str, Any]]], *, whole: bool) -> None:
        self._owners = owners
        self._whole = whole
        self._tables: list[tuple[Any, Any]] = []
        self._code: list[tuple[Any, tuple[Any, ...]]] = []
        if whole:
            for _, members in owners:
                for name, value in members.items():
                    if isinstance(value, (dict, list, set)) and not name.startswith("__"):
                        self._tables.append((value, value.copy()))
                    function = getattr(value, "__func__", value)
                    if isinstance(function, FunctionType):
                        self._code.append((function, tuple(getattr(function, part) for part in _CODE)))

    @classmethod
    def of(cls, name: str, module: ModuleType) -> _Members:
        """Save the members of a module."""
        head = name.partition(".")[0]
        whole = head in ("hubtool", "mindspore_hub")
        members = dict(vars(module))
        owners: list[tuple[Any, dict[str, Any]]] = [(module, members)]
        # MindSpore has thousands of classes; code of models is known to patch only those of networks.
        if whole or head in sys.stdlib_module_names or name in _PATCHED:
            owners += [
                (value, dict(vars(value)))
                for value in members.values()
                if isinstance(value, type) and (value.__module__ == name or name in _PATCHED)
            ]
        return cls(owners, whole=whole)

    def restore(self) -> None:
        """Restore them."""
        for owner, members in self._owners:
            now = vars(owner)
            if len(now) == len(members) and all(now.get(name, _ABSENT) is value for name, value in members.items()):
                continue
            if self._whole or isinstance(owner, type):
                for name in [name for name in now if name not in members]:
                    if not isinstance(now[name], ModuleType):  # the module can have imported more of its package
                        with suppress(AttributeError, TypeError):
                            delattr(owner, name)
            for name, value in members.items():
                if now.get(name, _ABSENT) is not value and (self._whole or _is_code(value) or isinstance(owner, type)):
                    with suppress(AttributeError, TypeError):  # kept by Python itself, such as __abstractmethods__
                        setattr(owner, name, value)
        for table, content in self._tables:
            if table != content:
                table.clear()
                table.extend(content) if isinstance(table, list) else table.update(content)
        for function, parts in self._code:
            for name, value in zip(_CODE, parts, strict=True):
                if getattr(function, name) is not value:
                    setattr(function, name, value)


def _is_code(value: object) -> bool:
    return callable(value) or isinstance(value, ModuleType)


_PATCHED: Final = frozenset({"mindspore", "mindspore.nn", "mindspore.ops", "mindspore.ops.operations"})
