"""A static scan of code before it runs: what it touches beyond building a network.

This informs a maintainer and protects against nothing: code can hide what it does. The protection is that only code of
a pinned commit and a trusted repository runs.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODULES = {
    "socket": "network", "ssl": "network", "requests": "network", "urllib": "network", "http": "network",
    "ftplib": "network", "smtplib": "network", "paramiko": "network", "httpx": "network", "aiohttp": "network",
    "subprocess": "processes", "multiprocessing": "processes", "pty": "processes",
    "ctypes": "native code", "cffi": "native code",
    "pickle": "unpickling", "dill": "unpickling", "marshal": "unpickling", "shelve": "unpickling",
    "moxing": "object store", "obs": "object store",
}  # fmt: skip
_CALLS = {
    "os.system": "processes", "os.popen": "processes", "os.fork": "processes", "os.kill": "processes",
    "os.execv": "processes", "os.execl": "processes", "os.spawnl": "processes", "os.posix_spawn": "processes",
    "os.remove": "deletion", "os.unlink": "deletion", "os.rmdir": "deletion", "os.removedirs": "deletion",
    "shutil.rmtree": "deletion", "os.rename": "writes", "os.replace": "writes", "shutil.move": "writes",
    "shutil.copy": "writes", "shutil.copyfile": "writes", "shutil.copytree": "writes", "os.makedirs": "writes",
    "os.mkdir": "writes", "os.chmod": "writes", "os.symlink": "writes", "os.putenv": "environment",
    "os.chdir": "environment", "eval": "generated code", "exec": "generated code", "compile": "generated code",
    "__import__": "generated code", "np.save": "writes", "numpy.save": "writes", "np.savetxt": "writes",
}  # fmt: skip
_WRITING = frozenset("wax+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One access: something that code touches.

    Attributes:
        kind: ``network``, ``processes``, ``deletion``, ``writes``, ``generated code`` and the like.
        what: The name that is imported or called.
        path: The file, relative to the code's folder.
        line: The line in it, from 1.
    """

    kind: str
    what: str
    path: str
    line: int


def scan(root: Path, files: tuple[str, ...]) -> tuple[Access, ...]:
    """Return what the Python files of a folder touch, by file and line, without running them.

    A file that is not Python is reported as ``unreadable``.
    """
    found: list[Access] = []
    for name in files:
        if name.endswith(".py"):
            try:
                tree = ast.parse((root / name).read_bytes())
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                found.append(
                    Access(kind="unreadable", what=str(error), path=name, line=getattr(error, "lineno", None) or 1)
                )
                continue
            found += [Access(kind=kind, what=what, path=name, line=line) for kind, what, line in _walk(tree)]
    return tuple(sorted(found, key=lambda one: (one.path, one.line, one.what)))


def imports(root: Path, files: tuple[str, ...]) -> dict[str, tuple[str, str, int]]:
    """Return the modules that Python files import by name, with what each can touch and its first place.

    Relative imports and files that are not Python are left out; :func:`scan` reports the latter.

    Returns:
        For each module: what it can touch (empty if not known), the file, and the line from 1.
    """
    found: dict[str, tuple[str, str, int]] = {}
    for name in sorted(files):
        if not name.endswith(".py"):
            continue
        try:
            tree = ast.parse((root / name).read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = [node.module]
            else:
                continue
            for module in modules:
                top = module.partition(".")[0]
                found.setdefault(top, (_MODULES.get(top, ""), name, node.lineno))
    return found


def _walk(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if kind := _MODULES.get(alias.name.partition(".")[0]):
                    yield kind, f"import {alias.name}", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if kind := _MODULES.get(node.module.partition(".")[0]):
                yield kind, f"from {node.module} import ...", node.lineno
        elif isinstance(node, ast.Call):
            yield from _call(node)


def _call(node: ast.Call) -> Iterator[tuple[str, str, int]]:
    name = _dotted(node.func)
    if name is None:
        return
    if kind := _CALLS.get(name):
        yield kind, f"{name}(...)", node.lineno
    elif name == "open" or name.endswith((".write_text", ".write_bytes")):
        mode = (
            node.args[1]
            if len(node.args) > 1
            else next((item.value for item in node.keywords if item.arg == "mode"), None)
        )
        if name != "open":
            yield "writes", f"{name}(...)", node.lineno
        elif isinstance(mode, ast.Constant) and isinstance(mode.value, str) and _WRITING & set(mode.value):
            yield "writes", f"open(..., {mode.value!r})", node.lineno
    elif name in ("os.environ.update", "os.environ.setdefault"):
        yield "environment", f"{name}(...)", node.lineno


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        below = _dotted(node.value)
        return None if below is None else f"{below}.{node.attr}"
    return None
