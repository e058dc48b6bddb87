"""The files of cards: found below folders, and read."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from hubtool.errors import ArgumentError, InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Texts about a registry that are in it and are not cards.
_NOT_CARDS = frozenset({"readme.md", "contributing.md", "changelog.md"})
_BACKENDS = frozenset({"ascend", "gpu", "cpu"})
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")  # the name of a folder
_MAX_SHOWN_CHARACTERS = 500
MAX_BYTES = 1 << 20
"""The most that is read of a card. The longest real card has 78 KB; a larger file is not a card."""
# Not to wait at a pipe without a writer; and, on Windows, to get the bytes as they are.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class CardFile(NamedTuple):
    """A file to check: its path, and the folder that was given; empty if the file itself was given."""

    path: str
    root: str


def find_cards(paths: Iterable[Path]) -> Iterator[CardFile]:
    """Yield the cards that paths name: a file itself, and of a folder every ``*.md`` below it, in order of their names.

    Hidden files and folders, links to folders, and the texts README.md, CONTRIBUTING.md and CHANGELOG.md are skipped.
    A file that is named twice is yielded once.

    Raises:
        ArgumentError: If a path does not exist.
    """
    given = list(paths)
    seen: set[str] | None = set() if len(given) > 1 else None
    for path in given:
        # os.path, not Path: it reports a folder without permission as absent instead of raising an error.
        if os.path.isdir(path):
            found: Iterator[CardFile] = (CardFile(name, str(path)) for name in _walk(str(path)))
        elif os.path.lexists(path):
            found = iter((CardFile(str(path), ""),))
        else:
            raise ArgumentError(
                f"{shown_path(str(path))} does not exist", hint="give the path of a card, or of a folder of cards"
            )
        for one in found:
            if seen is not None:
                absolute = os.path.abspath(one.path)
                if absolute in seen:
                    continue
                seen.add(absolute)
            yield one


def _walk(root: str) -> Iterator[str]:
    closed: list[str] = []
    for folder, folders, files in os.walk(root, onerror=lambda error: closed.append(str(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".md") and not name.startswith(".") and name.lower() not in _NOT_CARDS:
                yield os.path.join(folder, name)
    # A folder that cannot be opened is reported like a card that cannot be.
    yield from closed


def uid_of_path(path: str | PurePath) -> Uid | None:
    """Return the UID that the last parts of a card's path give, or None."""
    try:
        return _uid_of_path(path)
    except InvalidNameError:
        return None


def why_no_uid(path: str) -> InvalidNameError | None:
    """Return why the path of a card is no UID, if the card stands in the folder of a version; otherwise None."""
    if not _VERSION.fullmatch(os.path.basename(os.path.dirname(os.path.abspath(path)))):
        return None
    try:
        _uid_of_path(path)
    except InvalidNameError as error:
        return error
    return None


def _uid_of_path(path: str | PurePath) -> Uid | None:
    parts = os.path.abspath(path).split(os.sep)
    if len(parts) < 4:
        return None
    length = 4 if len(parts) > 4 and parts[-3].lower() in _BACKENDS else 3
    return Uid.of_path(PurePosixPath("/".join(parts[-length:])))


def shown_path(path: str) -> str:
    """Return a path for printing; control characters, and bytes that are not UTF-8, are escaped."""
    path = path if len(path) <= _MAX_SHOWN_CHARACTERS else f"{path[:_MAX_SHOWN_CHARACTERS]}..."
    if path.isprintable():
        return path
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path)


def read_card_file(path: str) -> tuple[os.stat_result, bytes]:
    """Return the status and the bytes of a card; of a file too large for a card, ``MAX_BYTES`` + 1 bytes.

    The status is taken before the bytes, so a card that is written in between has another status afterwards. This
    takes four system calls for a card, where ``Path`` and ``open`` take a dozen; with thousands of cards that is half
    of the time.

    Raises:
        OSError: If it cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        # One byte more than expected: a shorter answer means that the file ends there.
        wanted = min(status.st_size, MAX_BYTES) + 1
        data = os.read(descriptor, wanted)
        while len(data) >= wanted and len(data) <= MAX_BYTES:
            more = os.read(descriptor, MAX_BYTES + 1 - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(descriptor)
    return status, data
