"""Records: what a stored file was when it was hashed last, and when it was used last."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import files, ownership
from hubtool.digest import FULL_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any, TypeGuard


MAX_RECORD_BYTES = 64 << 10
HEX = frozenset("0123456789abcdef")


USE_STEP_SECONDS = 3600.0
"""Seconds within which a second use of a file is not recorded: reading stays cheap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A verified file.

    Attributes:
        path: Where it is.
        digest: Its whole digest.
        size: Its bytes.
    """

    path: Path
    digest: str
    size: int

    def fits(self, size: int | None) -> bool:
        """Whether it has as many bytes as a card or a lock states; True where none does."""
        return size is None or size == self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a file was when it was hashed.

    Attributes:
        digest: Its SHA-256.
        size: Its bytes.
        mtime_ns: When its data changed last, in nanoseconds since 1970.
        ctime_ns: When anything of it changed last. No program can set this time, so a record that was made elsewhere,
            for another file, does not fit.
        inode: Its number in the file system.
        source: Of a derived file, the SHA-256 of the file that it was made from; else empty.
    """

    digest: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    source: str = ""

    @classmethod
    def of(cls, digest: str, found: os.stat_result, *, source: str = "") -> Record:
        """Return the record of a file as the system describes it now."""
        return cls(
            digest=digest,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            ctime_ns=found.st_ctime_ns,
            inode=found.st_ino,
            source=source,
        )

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Read a record; None if it is missing, damaged or another user's: then the file is hashed again."""
        raw = ownership.read_own_json(path, MAX_RECORD_BYTES)
        if not isinstance(raw, dict):
            return None
        digest, source = raw.get("digest"), raw.get("source", "")
        numbers: dict[str, Any] = {key: raw.get(key) for key in ("size", "mtime_ns", "ctime_ns", "inode")}
        if not is_digest(digest) or not (source == "" or is_digest(source)):
            return None
        if not all(type(number) is int for number in numbers.values()):
            return None
        return cls(digest=digest, source=source, **numbers)

    def write(self, path: Path) -> bool:
        """Write the record; return whether that succeeded.

        In place: what a kill, a full disk or another writer leaves of it is no record, or is one of these bytes. Then
        the file is hashed again, and nothing else is lost.
        """
        source = f', "source": "{self.source}"' if self.source else ""
        data = (
            f'{{"digest": "{self.digest}", "size": {self.size}, "mtime_ns": {self.mtime_ns}, '
            f'"ctime_ns": {self.ctime_ns}, "inode": {self.inode}{source}}}'
        ).encode()
        return write_in_place(data, path)


def is_digest(text: object) -> TypeGuard[str]:
    """Whether this is a whole digest."""
    return isinstance(text, str) and len(text) == FULL_LENGTH and HEX.issuperset(text)


def write_in_place(data: bytes, path: Path) -> bool:
    """Write a small file in place; return whether that succeeded."""
    try:
        try:
            descriptor = files.open_anew(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = files.open_anew(path)
        try:
            files.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


def named(folder: Path, suffix: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files ``<folder>/ab/<digest><suffix>``."""
    try:
        with os.scandir(folder) as listed:
            groups = sorted(entry.name for entry in listed if len(entry.name) == 2 and HEX.issuperset(entry.name))
        for group in groups:
            found = []
            with os.scandir(folder / group) as listed:
                for entry in listed:
                    digest = entry.name.removesuffix(suffix)
                    if len(digest) == FULL_LENGTH and HEX.issuperset(digest) and digest.startswith(group):
                        with suppress(FileNotFoundError):  # removed while we look
                            if entry.is_file(follow_symlinks=False):
                                found.append((digest, entry.stat(follow_symlinks=False)))
            yield from sorted(found, key=lambda pair: pair[0])
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise files.store_error(error, folder) from error


def touch(record_path: Path) -> None:
    """Note that a file was used, unless that was noted within the hour, or cannot be written."""
    with suppress(OSError):
        now = time.time()
        if not 0 <= now - record_path.stat().st_mtime < USE_STEP_SECONDS:
            os.utime(record_path, (now, now))


def mark_used(folder: Path, digest: str) -> None:
    """Note in a shared store that this user used a file, to the hour, so that pruning can count it.

    In ``used`` each user has files of their own; where that folder cannot be written, nothing is noted.
    """
    if not hasattr(os, "geteuid"):
        return
    path = folder / "used" / f"{digest}.{os.geteuid()}"
    with suppress(OSError):
        with suppress(FileNotFoundError):
            if 0 <= time.time() - path.lstat().st_mtime < USE_STEP_SECONDS:
                return
        if not path.parent.is_dir():
            if not (folder / "records").is_dir():
                return  # a mirror, which is not pruned by use
            path.parent.mkdir()
        # Others may write to this folder: a link that they put there is not followed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)
