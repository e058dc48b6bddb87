"""Whether two versions of a folder build a network with the same code: what its entry point reaches, without documents.

A folder changes with every version of its repository, and a network seldom: training scripts, comments and documents
do. Files are compared by what Python reads in them, so that comments, docstrings and blanks do not count.
"""

from __future__ import annotations

import ast
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIGURATIONS: Final = frozenset({".cfg", ".csv", ".ini", ".json", ".npy", ".toml", ".txt", ".yaml", ".yml"})
_MAX_BYTES: Final = 4 << 20  # a larger file is data
# Where these stand, what is imported, or what is run, is not to be seen in the code.
_DYNAMIC: Final = re.compile(r"importlib|__import__|\bexec\(|\beval\(['\"]|\brunpy\b|\bimp\b|pkgutil|__doc__|import \*")
# What may read a file: then the folder's files count as well.
_READS: Final = re.compile(r"\bopen\(|yaml|json\.load|configparser|loadtxt|np\.load\(|numpy\.load\(|read_csv|toml")


def digest(folder: Path, entry: str) -> str | None:
    """Return the digest of the code that an entry point reaches, and of the files that it may read.

    Args:
        folder: The folder of the model.
        entry: A script's path, or a module and a callable, as in a recipe.

    Returns:
        The digest, or None if what is imported cannot be told without running the code.
    """
    is_script = entry.endswith(".py")
    start = folder / entry if is_script else folder.joinpath(*entry.partition(":")[0].split(".")).with_suffix(".py")
    if not start.is_file():
        return None
    found: dict[Path, str] = {}
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        text, names = _read(file)
        if _DYNAMIC.search(text):
            return None
        found[file] = text
        waiting += [path for name in names for path in _files(folder, file, name)]
    whole = hashlib.sha256()
    for file in sorted(found):
        whole.update(f"{file.relative_to(folder)}\0{found[file]}\0".encode())
    if is_script or any(_READS.search(text) for text in found.values()):
        whole.update(_configurations(folder))
    return whole.hexdigest()


@cache
def _read(file: Path) -> tuple[str, tuple[str, ...]]:
    """Return what Python reads in a file, and the names that it may import; relative ones with their dots."""
    data = file.read_bytes()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return "importlib", ()  # what it imports cannot be told
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            inner = base if base.endswith(".") or not base else f"{base}."
            names += [base, *(inner + alias.name for alias in node.names)]
    return ast.unparse(tree), tuple(dict.fromkeys(names))


def _files(folder: Path, file: Path, name: str) -> Iterator[Path]:
    """Yield the files of a folder that the import of a name in one of them reads, packages above it included."""
    parts = name.lstrip(".").split(".")
    level = len(name) - len(name.lstrip("."))
    roots = [folder, file.parent] if not level else [file.parents[level - 1]]
    if not level and parts[0]:  # shell scripts set PYTHONPATH to folders within
        roots += [place.parent for place in _named(folder).get(parts[0], ())]
    for root in dict.fromkeys(roots):
        for count in range(len(parts) + 1):
            place = root.joinpath(*parts[:count])
            candidates = [place / "__init__.py"] + ([place.with_suffix(".py")] if count else [])
            yield from (one for one in candidates if one.is_file() and folder in one.parents)


@cache
def _named(folder: Path) -> dict[str, list[Path]]:
    """Return the modules and packages anywhere in a folder by their names."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.py")):
        place = file.parent if file.name == "__init__.py" else file
        found.setdefault(place.stem, []).append(place)
    return found


@cache
def _configurations(folder: Path) -> bytes:
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in _CONFIGURATIONS and file.is_file() and file.stat().st_size <= _MAX_BYTES:
            whole.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return whole.digest()
