"""The folder of a catalogue: known by its marker, and replaced as a whole by one that is made beside it."""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import stat
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hubtool.catalogue import facts
from hubtool.errors import ArgumentError
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The file by which a folder is known as a catalogue.
MARKER = "catalogue.json"
_OURS = frozenset({MARKER, "index.html", "zh", "list", "models", "tasks", "architectures", "assets"})
_PART = ".catalogue-part"
_OLD = f"{_PART}-old"
_MADE_BY = "hubtool catalogue build"
_LEFT_BEHIND_SECONDS = 3600
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux
_CURRENT_FOLDER = -100  # AT_FDCWD


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``folder`` at the end; after an error the old one stays.

    Args:
        folder: A new folder, an empty one, or one with a catalogue.

    Raises:
        ArgumentError: If the folder holds anything else, cannot be replaced, or cannot be made.
        OSError: If it cannot be written.
    """
    shown = folder
    try:
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        _restore(folder)
        _check(folder)
        _remove_left(folder)
        part = folder.with_name(f"{_beginning(folder)}{secrets.token_hex(4)}{_PART}")
        part.mkdir(0o700 if folder.exists() else 0o777)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise ArgumentError(
            f"the catalogue cannot be built in {shown}: {getattr(error, 'strerror', None) or error}",
            hint="give a folder in a folder that you can write; the new catalogue is built beside it",
        ) from error
    try:
        yield part
        _check(folder)
        if folder.exists():
            part.chmod(stat.S_IMODE(folder.stat().st_mode))
        _swap(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def mark(part: Path) -> list[str]:
    """Write the marker of a catalogue, which lists its files; return their names.

    Args:
        part: The folder, complete but for the marker.
    """
    names = sorted([MARKER, *(path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file())])
    marker = {"made-by": _MADE_BY, "hubtool": __version__, "files": names}
    (part / MARKER).write_text(json.dumps(marker, indent=0) + "\n", encoding="utf-8")
    return names


def _check(folder: Path) -> None:
    """Raise an error unless a folder may be replaced."""
    if not os.path.lexists(folder):
        return
    hint = "give a new or an empty folder, or one that 'hubtool catalogue build' made"
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder", hint="give the folder that the catalogue goes into")
    if _is_mount(folder):
        raise ArgumentError(
            f"{folder} is a mount point, which cannot be replaced as a whole",
            hint="give a folder in it, such as DIR/site",
        )
    if Path.cwd().is_relative_to(folder):
        raise ArgumentError(
            f"{folder} holds the working folder, and is replaced as a whole", hint="change to another folder first"
        )
    files = _files_of(folder)
    if files is None and any(folder.iterdir()):
        raise ArgumentError(f"{folder} is not empty, and holds no catalogue", hint=hint)
    ours = {name for file in files or () for name in (file, *map(str, PurePosixPath(file).parents))}
    inside = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    if others := sorted(name for name, path in inside.items() if name not in ours or path.is_symlink()):
        raise ArgumentError(
            f"{folder} holds what hubtool did not make: {', '.join(others[:5])}", hint=f"move that elsewhere, or {hint}"
        )


def _is_mount(folder: Path) -> bool:
    if os.path.ismount(folder):
        return True
    escaped = re.sub(r"[\\ \t\n]", lambda sign: f"\\{ord(sign[0]):03o}", str(folder))
    try:  # a folder that is mounted within its own file system, as containers do, is listed here only
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    return any(line.split(" ")[4] == escaped for line in lines)


def _files_of(folder: Path) -> list[str] | None:
    """Return the files that a catalogue was built with; None if the folder is no catalogue."""
    try:
        value = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("made-by") != _MADE_BY or not isinstance(value.get("files"), list):
        return None
    return [str(name) for name in value["files"]]


def _beginning(folder: Path) -> str:
    """Return what the names of a folder's parts begin with; a long name would leave no room for the rest."""
    return f".{facts.file_part(folder.name)}."


def _left(folder: Path, ending: str) -> Iterator[Path]:
    """Yield the parts that builds left beside a folder: known by their names, and by holding nothing else."""
    name = re.compile(f"{re.escape(_beginning(folder))}[0-9a-f]{{8}}{re.escape(ending)}")
    for path in sorted(folder.parent.iterdir()):
        if name.fullmatch(path.name) and not path.is_symlink() and path.is_dir():
            with suppress(OSError):
                if {one.name for one in path.iterdir()} <= _OURS:
                    yield path


def _restore(folder: Path) -> None:
    """Put the old catalogue back if a build was killed between its two renames."""
    for old in _left(folder, _OLD):
        if not os.path.lexists(folder):
            old.rename(folder)


def _remove_left(folder: Path) -> None:
    """Remove what killed builds left beside the folder."""
    for path in _left(folder, _PART):
        with suppress(OSError):  # it may be the part of a build that runs now
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                shutil.rmtree(path)
    if folder.exists():  # then the build has made its second rename
        for path in _left(folder, _OLD):
            shutil.rmtree(path, ignore_errors=True)


def _swap(part: Path, folder: Path) -> None:
    """Put a folder in the place of another; in one step where the system can."""
    if not folder.exists() or not any(folder.iterdir()):
        if os.name == "nt" and folder.exists():
            folder.rmdir()
        part.rename(folder)
        return
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            rename = ctypes.CDLL(None, use_errno=True).renameat2
            if rename(_CURRENT_FOLDER, os.fsencode(part), _CURRENT_FOLDER, os.fsencode(folder), _EXCHANGE) == 0:
                return  # the old one is now where the new one was, and goes from there
    old = part.with_name(f"{part.name}-old")
    folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
