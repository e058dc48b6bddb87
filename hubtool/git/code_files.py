"""The files of a model's code: list them, copy them, and compute their tree digest.

The *tree digest* is the SHA-256 over the paths and the SHA-256 of the files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.digest import digest_file
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


MAX_FILES = 20_000
MAX_CODE_BYTES = 512 << 20


def tree_digest(root: Path) -> str:
    """Return the SHA-256 over the paths and the SHA-256 of all files below a folder, sorted by path.

    Stored code has no links. A link that was added changes the digest, because Python would import its target.

    Raises:
        OSError: If a file cannot be read.
    """
    digester = hashlib.sha256()
    for path in list_files(root):
        name = path.relative_to(root).as_posix()
        content = f"link to {path.readlink()}" if path.is_symlink() else digest_file(path)
        digester.update(f"{content} {name}\n".encode("utf-8", "surrogateescape"))
    return digester.hexdigest()


def code_files(folder: Path) -> tuple[str, ...]:
    """Return the paths of all files below a folder, relative to it and with ``/``, sorted."""
    return tuple(path.relative_to(folder).as_posix() for path in list_files(folder))


def list_files(root: Path) -> list[Path]:
    """Return all files below a folder, and all links, those to folders included, sorted by path."""
    found = []
    for where, folders, names in os.walk(root):
        found += [Path(where, name) for name in names]
        found += [path for name in folders if (path := Path(where, name)).is_symlink()]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def copy_code(folder: Path, target: Path) -> None:
    """Copy the code in a folder, without links, files of git, and compiled files.

    Raises:
        OSError: If a file cannot be read or written.
        ArgumentError: If there are more than :data:`MAX_FILES`, or more than :data:`MAX_CODE_BYTES`.
    """
    target.mkdir(parents=True)
    left = MAX_CODE_BYTES
    for count, path in enumerate(own_files(folder)):
        left -= path.stat().st_size
        if count >= MAX_FILES or left < 0:
            raise ArgumentError(
                f"{folder} has more than {MAX_FILES:,} files or {MAX_CODE_BYTES:,} bytes",
                hint="remove data and checkpoints from it",
            )
        to = target / path.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def own_files(folder: Path) -> Iterator[Path]:
    """Yield the files of the code in a folder, without links, files of git, and compiled files."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in (".git", "__pycache__"))
        for name in sorted(names):
            path = Path(where, name)
            if name != ".git" and not name.endswith(".pyc") and stat.S_ISREG(path.lstat().st_mode):
                yield path


def links(folder: Path) -> Iterator[Path]:
    """Yield the links in a folder of code; their targets can be imported."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        yield from (path for name in (*folders, *sorted(names)) if (path := Path(where, name)).is_symlink())


def make_read_only(root: Path) -> None:
    """Make all files below a folder read-only."""
    for where, _, names in os.walk(root):
        for name in names:
            Path(where, name).chmod(0o444)


def remove_tree(path: Path) -> None:
    """Remove a folder with read-only files in it; nothing happens if there is none."""

    def writable(function: Callable[..., object], name: str, _: object) -> None:
        with suppress(OSError):
            Path(name).chmod(0o700)
            function(name)

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=writable)
