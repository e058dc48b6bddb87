"""Isolation: the code of one model runs under a private name and leaves nothing behind.

A :class:`Namespace` is one model's folder under one private package name, ``_hubtool_code.<name>``. Its modules have
their own builtins, whose ``__import__`` looks in the folder first: ``import src.resnet`` finds that folder's ``src``
whenever it runs, also in another thread long after the network was built. No finder is installed, no path is added and
no module of the interpreter is replaced: the code sees proxies of ``sys``, ``os``, ``importlib``, ``argparse`` and
MindSpore that exist for it alone.

The private modules stay in ``sys.modules`` under their private names, because pickling, dataclasses and MindSpore's
source parser look there. The name is derived from the code's identity, so a pickle can be read in another process once
the same network was loaded there.
"""

from __future__ import annotations

import argparse
import builtins
import hashlib
import importlib
import importlib.machinery
import importlib.util
import io
import logging
import os
import sys
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from hubtool.errors import NetworkError
from hubtool.networks.isolation.argument_parser import ArgumentsRefusedError, ScriptArgumentParser
from hubtool.networks.isolation.module_proxy import ModuleProxy
from hubtool.networks.isolation.restore import PACKAGE, undisturbed
from hubtool.networks.isolation.source import compile_source, find_module
from hubtool.networks.isolation.time_limit import time_limit
from hubtool.networks.stub import Stub

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self


#: Names that a folder cannot supply: the interpreter's modules, and the packages that networks are built on.
PROTECTED: Final = frozenset(
    {
        *sys.builtin_module_names,
        *("__future__", "_frozen_importlib", "abc", "argparse", "codecs", "encodings", "genericpath", "hubtool"),
        *("importlib", "io", "mindspore", "mindspore_hub", "numpy", "ntpath", "os", "posixpath", "site"),
        *("sitecustomize", "stat", "usercustomize", "zipimport"),
    }
)

#: Placeholders in argument vectors: a checkpoint's path, a folder to write to, and the model's folder.
CHECKPOINT: Final = "{checkpoint}"
SCRATCH: Final = "{scratch}"
FOLDER: Final = "{folder}"

# Variables of the platforms that these scripts were written for.
_ENVIRONMENT: Final = {"DEVICE_ID": "0", "DEVICE_NUM": "1", "RANK_ID": "0", "RANK_SIZE": "1", "RANK_TABLE_FILE": ""}
_log = logging.getLogger("hubtool.code")
# One model is built at a time: a process has one working directory, argument vector and environment.
_BUILDING = threading.RLock()


class CodeExitError(NetworkError):
    """Code that ended the program instead of building a network."""


class ModuleProvider:
    """Supplies replacements for real modules. This base class supplies none; the bridge does."""

    def module(self, namespace: Namespace, name: str) -> ModuleType | None:  # noqa: ARG002 - an interface
        """Return the replacement for a module, or None for the real one."""
        return None

    def missing(self, namespace: Namespace, name: str) -> ModuleType | None:  # noqa: ARG002 - an interface
        """Return the stand-in for a package that is not installed, or None."""
        return None

    def builtins(self) -> dict[str, Any]:
        """Return functions that the changed code calls."""
        return {}

    def change(self, tree: ast.Module) -> ast.Module:
        """Return the syntax tree of a module as it shall run."""
        return tree


@dataclass(eq=False, kw_only=True, slots=True)
class Namespace:
    """One model's code under its private name.

    Attributes:
        root: The folder with all code; the namespace imports no code of the model from outside.
        folder: The model's folder, within ``root``.
        name: The private package, ``_hubtool_code.<digest>``.
        provider: Supplies replacements for real modules.
        argv: What the code sees as ``sys.argv``.
        path: What the code sees as ``sys.path``; only entries within ``root`` count.
        meanings: The values of placeholders in argument vectors.
        skip: Statements to leave out, as ``path:line``: they need data, but the network does not.
        only: The top-level names that the folder supplies; empty for all its names.
        stood_in: The packages that are not installed and have a stand-in.
        used: The top-level names of the installed packages that the code imported.
        parsers: The argument parsers that the code made.
        on_parse: Called with the arguments before a parser reads them; discovery fills them in.
    """

    root: Path
    folder: Path
    name: str
    provider: ModuleProvider = field(default_factory=ModuleProvider)
    argv: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    stood_in: dict[str, None] = field(default_factory=dict)
    used: dict[str, None] = field(default_factory=dict)
    views: dict[str, ModuleType] = field(default_factory=dict)
    skip: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    parsers: list[argparse.ArgumentParser] = field(default_factory=list)
    on_parse: Callable[[argparse.ArgumentParser, list[str]], None] | None = None
    _building: bool = False
    _builtins: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _owners: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, folder: Path, *, identity: str, provider: ModuleProvider | None = None) -> Self:
        """Return a new namespace.

        Args:
            root: The folder that all code comes from.
            folder: The model's folder, the same or one within it.
            identity: The text that the private name is derived from: commit or tree, folder, recipe.
            provider: Supplies replacements for real modules.

        Raises:
            NetworkError: If there is no such folder.
        """
        root, folder = root.resolve(), folder.resolve()
        if not folder.is_dir():
            raise NetworkError(f"there is no folder {folder}", hint="check the card's repo-link and its revision")
        if not folder.is_relative_to(root):
            raise NetworkError(f"{folder} is not within {root}")
        base = f"{PACKAGE}.m{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        with _BUILDING:
            name, count = base, 1
            while name in sys.modules:  # the same code again, with modules of its own
                count += 1
                name = f"{base}_{count}"
            self = cls(root=root, folder=folder, name=name, provider=provider or ModuleProvider())
            self.path = [str(folder)]
            if PACKAGE not in sys.modules:
                sys.modules[PACKAGE] = _package(PACKAGE)
            sys.modules[name] = _package(name)
        self._builtins = {
            **vars(builtins),
            "__import__": self._import,
            "exit": _exit,
            "quit": _exit,
            "input": _no_input,
            "print": self._print,
            "open": self._open,
            **self.provider.builtins(),
        }
        return self

    def close(self) -> None:
        """Remove the namespace's modules; objects built from them keep working, except for later imports by name."""
        with _BUILDING:
            for name in [name for name in sys.modules if name == self.name or name.startswith(self.name + ".")]:
                del sys.modules[name]

    def fill(self, argument: str) -> str:
        """Return an argument with its placeholders replaced."""
        for name, value in self.meanings.items():
            argument = argument.replace(name, value)
        return argument

    # -- importing ---------------------------------------------------------------------------------------------------

    def load(self, name: str) -> ModuleType:
        """Import a module of the folder by its dotted name, such as ``src.resnet``.

        Raises:
            ModuleNotFoundError: If the folder has no such module.
        """
        private = f"{self.name}.{name}"
        with self._lock:
            known = sys.modules.get(private)
            if known is not None:
                return known
            parent, _, tail = name.rpartition(".")
            if parent:
                package = self.load(parent)
                places = list(getattr(package, "__path__", ()))
                known = sys.modules.get(private)  # its parent may have imported it
                if known is not None:
                    return known
            else:
                package, places = sys.modules[self.name], self._places()
            found = find_module(places, tail)
            if found is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            module = self._execute(private, *found)
            setattr(package, tail, module)
            return module

    def run(self, script: str) -> ModuleType:
        """Run a script of the folder as the main program.

        Raises:
            NetworkError: If the folder has no such script.
        """
        path = (self.folder / script).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            raise NetworkError(f"there is no script {script!r} in {self.folder}")
        self.path.insert(0, str(path.parent))
        return self._execute(f"{self.name}.__main__", path, None, main=True)

    def owns(self, head: str) -> bool:
        """Return whether a top-level name is a module of the folder."""
        return self._may_own(head) and find_module(self._places(), head) is not None

    def _may_own(self, head: str) -> bool:
        return head in self.only if self.only else head not in PROTECTED

    def is_inside(self, file: str) -> bool:
        """Return whether a file is part of the namespace's code."""
        places = [self.root / head for head in self.only] or [self.root]
        return any(Path(file).is_relative_to(place) for place in places)

    def _places(self) -> list[str]:
        places = []
        for entry in self.path:
            place = Path(os.path.join(self.folder, os.path.expanduser(str(entry)))).resolve()  # noqa: PTH111, PTH118 - odd entries must not raise
            if place.is_relative_to(self.root):
                places.append(str(place))
        return list(dict.fromkeys(places))

    def _execute(self, private: str, path: Path, package: list[str] | None, *, main: bool = False) -> ModuleType:
        """Create a module from a source file (or a folder without one) and run it."""
        module = ModuleType(private)
        is_source = path.is_file()
        if package is not None:
            module.__path__ = package
        module.__package__ = private if package is not None else private.rpartition(".")[0]
        if is_source:
            module.__file__ = str(path)
        module.__spec__ = importlib.machinery.ModuleSpec(
            private, None, origin=str(path) if is_source else None, is_package=package is not None
        )
        vars(module)["__builtins__"] = self._builtins
        sys.modules[private] = module
        if not is_source:
            return module
        try:
            relative = os.path.relpath(path, self.folder).replace(os.sep, "/")
            lines = {int(line) for file, _, line in (item.rpartition(":") for item in self.skip) if file == relative}
            if lines:
                vars(module)["__stub__"] = Stub()
            exec(compile_source(path, main=main, skip=lines, change=self.provider.change), vars(module))  # noqa: S102 - runs the code that the user agreed to
        except BaseException:
            if not main:
                sys.modules.pop(private, None)
            raise
        return sys.modules.get(private, module)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the signature of builtins.__import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002 - likewise
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import like ``builtins.__import__``, from the folder first."""
        if level:
            package = (globals or {}).get("__package__") or self.name
            full = importlib.util.resolve_name("." * level + name, package)
            if full != self.name and not full.startswith(self.name + "."):
                raise ImportError(f"attempted relative import beyond the folder {self.folder.name}")
            module = sys.modules[self.name] if full == self.name else self.load(full[len(self.name) + 1 :])
            return self._from(module, fromlist)
        head = name.partition(".")[0]
        if not head:
            raise ValueError("Empty module name")
        if head == PACKAGE:
            return builtins.__import__(name, globals, locals, fromlist or (), 0)
        if self._is_ours(head, globals):
            module = self.load(name)
            return self._from(module, fromlist) if fromlist else self.load(head)
        module = self._outside(name)
        return self._from(module, fromlist) if fromlist else self._outside(head)

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import like ``importlib.import_module``, from the folder first."""
        level = len(name) - len(name.lstrip("."))
        if level:
            package = package or self.name
            if (
                package != self.name
                and not package.startswith(self.name + ".")
                and self._may_own(package.partition(".")[0])
            ):
                package = f"{self.name}.{package}"
            return self._import(name[level:], {"__package__": package}, None, ("__name__",), level)
        return self._import(name, None, None, ("__name__",), 0)

    def _is_ours(self, head: str, importer: Mapping[str, Any] | None) -> bool:
        if not self._may_own(head):
            return False
        if f"{self.name}.{head}" in sys.modules or self._solid(head):
            return True
        if self.provider.module(self, head) is not None or _installed(head):
            return False
        if (
            find_module(self._places(), head) is not None
        ):  # a folder without __init__.py: any installed package comes first
            return True
        # Shell scripts of these models set PYTHONPATH; the folders that they would add are found near the importer.
        place = self._nearby(head, importer)
        if place is None:
            return False
        self.path.append(place)
        return True

    def _solid(self, head: str) -> bool:
        found = find_module(self._places(), head)
        return found is not None and found[0].is_file()

    def _nearby(self, head: str, importer: Mapping[str, Any] | None) -> str | None:
        origin = str((importer or {}).get("__file__") or "")
        start = Path(origin).parent if origin else self.folder
        for place in (start, *start.parents):
            if not place.is_relative_to(self.folder):
                break
            if find_module([str(place)], head):
                return str(place)
        matches = sorted(
            (path.parent for path in (*self.folder.rglob(f"{head}.py"), *self.folder.rglob(f"{head}/__init__.py"))),
            key=lambda path: (len(path.parts), str(path)),
        )
        for match in matches:
            place = match.parent if match.name == head else match
            if place.resolve().is_relative_to(self.root):
                return str(place)
        return None

    def _outside(self, name: str) -> ModuleType:
        """Return a module from outside the folder: a private proxy, the real module, or a stand-in."""
        if name in self.views:
            return self.views[name]
        view = self._own_view(name) or self.provider.module(self, name)
        if view is not None:
            self.views[name] = view
            return view
        head = name.partition(".")[0]
        if head in self.stood_in:
            stand_in = self.provider.missing(self, name)
            if stand_in is not None:
                return stand_in
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or (error.name != name and not name.startswith(error.name + ".")):
                raise
            stand_in = self.provider.missing(self, name)
            if stand_in is None:
                raise
            self.stood_in[head] = None
            return stand_in
        if head not in sys.stdlib_module_names:
            self.used[head] = None
        return module

    def _from(self, module: ModuleType, fromlist: Sequence[str] | None) -> ModuleType:
        """Import the submodules that a ``from module import ...`` names."""
        for entry in fromlist or ():
            names = list(getattr(module, "__all__", ())) if entry == "*" else [entry]
            for item in names:
                if hasattr(module, item) or not isinstance(item, str):
                    continue
                full = f"{module.__name__}.{item}"
                try:
                    if module.__name__ == self.name:
                        self.load(item)
                    elif module.__name__.startswith(self.name + "."):
                        self.load(full[len(self.name) + 1 :])
                    elif hasattr(module, "__path__"):
                        setattr(module, item, self._outside(full))
                except ModuleNotFoundError as error:
                    # A proxy can have another name than its parent; then the parent's name is missing.
                    if error.name is None or not (
                        full == error.name
                        or full.endswith("." + error.name)
                        or full.startswith(error.name + ".")
                        or error.name.endswith("." + item)
                    ):
                        raise
        return module

    def _own_view(self, name: str) -> ModuleType | None:
        if name == "sys":
            return ModuleProxy(sys, {"path": self.path, "argv": self.argv, "exit": _exit}, None)
        if name == "importlib":
            return ModuleProxy(importlib, {"import_module": self.import_module, "__import__": self._import}, None)
        if name == "argparse":
            parser = type("ArgumentParser", (ScriptArgumentParser,), {"namespace": self})
            return ModuleProxy(argparse, {"ArgumentParser": parser}, None)
        if name == "os":
            made = {"makedirs": self._make(os.makedirs), "mkdir": self._make(os.mkdir)}
            return ModuleProxy(os, {"path": self._outside("os.path"), **made}, None)
        if name == "os.path":
            members = {"exists": _exists(os.path.exists), "isfile": _exists(os.path.isfile)}
            return ModuleProxy(os.path, members, None)
        if name == "builtins":
            return ModuleProxy(builtins, {"__import__": self._import}, None)
        return None

    def _open(self, file: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the builtin
        """Open like the builtin; a relative path that does not exist is looked up in the model's folder.

        Shell scripts of these models run the Python scripts from other folders, two levels down.
        """
        if (
            self._building
            and isinstance(file, (str, os.PathLike))
            and not Path(file).is_absolute()
            and not Path(file).exists()
        ):
            parts = [part for part in Path(file).parts if part != os.pardir]
            if parts and (self.folder / Path(*parts)).is_file():
                file = self.folder / Path(*parts)
        return open(file, *args, **kwargs)  # noqa: PTH123 - the caller closes it

    def _make(self, real: Callable[..., None]) -> Callable[..., None]:
        """Return a function that creates folders; while a network is built, only in the scratch folder."""

        def make(path: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the original
            own = self.meanings.get(SCRATCH)
            if not self._building or (
                own is not None and Path(os.fsdecode(path)).resolve().is_relative_to(Path(own).resolve())
            ):
                real(path, *args, **kwargs)

        return make

    def _print(self, *values: object, **options: Any) -> None:  # noqa: ANN401 - as the builtin
        if self._building and options.get("file") is None:
            _log.debug("%s: %s", self.folder.name, " ".join(map(str, values)))
        else:
            print(*values, **options)  # noqa: T201 - the network's own code prints when the user runs it

    @contextmanager
    def building(self, *, directory: Path | None = None) -> Iterator[None]:
        """Run code of the folder in this block; changes outside the namespace are undone at its end.

        Args:
            directory: The working directory; by default the model's folder.

        Raises:
            CodeExitError: If the code ends the program.
            NetworkError: If the code leaves threads running, or does not end.
        """
        with _BUILDING, undisturbed(self.name, self.is_inside), time_limit(self.folder.name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated uses in old code do not concern the user
            self._building = True
            sys.argv = self.argv
            os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
            sys.stdout = sys.stderr = cast("Any", _LogWriter(self.folder.name))
            os.chdir(directory or self.folder)
            before = set(threading.enumerate())
            try:
                yield
            except ArgumentsRefusedError as error:
                raise CodeExitError(f"the script refused its arguments: {error.message}") from error
            except SystemExit as error:
                raise CodeExitError(f"the code ended the program with {error.code!r}") from error
            finally:
                self._building = False
            started = [thread for thread in threading.enumerate() if thread not in before]
            for thread in started:
                thread.join(0.5)
            running = [thread.name for thread in started if thread.is_alive()]
            if running:
                raise NetworkError(
                    f"the code left threads running: {', '.join(running[:3])}",
                    hint="a network is built without threads; the recipe should name the constructor alone",
                )


class _LogWriter(io.TextIOBase):
    """Writes the output of code to the log while a network is built."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Log a piece of output."""
        if text.strip():
            _log.debug("%s: %s", self._name, text.rstrip())
        return len(text)


def _package(name: str) -> ModuleType:
    package = ModuleType(name, "Code of models, under private names.")
    package.__path__ = []
    return package


def _installed(head: str) -> bool:
    if head in sys.modules:
        return True
    try:
        return importlib.util.find_spec(head) is not None
    except (ValueError, ImportError):
        return False


def _exit(code: object = None) -> None:
    raise SystemExit(code)


def _no_input(prompt: object = "") -> str:
    raise EOFError(f"code of a model asked for input: {prompt}")


def _exists(real: Callable[[Any], bool]) -> Callable[[Any], bool]:
    # The script stops before it reads a checkpoint, so the file need not exist, but many scripts check for it.
    def exists(path: Any) -> bool:  # noqa: ANN401 - as the original
        return real(path) or (isinstance(path, (str, os.PathLike)) and str(path).endswith(".ckpt"))

    return exists
