"""A mirror in a folder.

Beside the mirror's own files, ``.hubtool`` holds partial files, staged files and locks. ``hubtool serve`` does not
serve it, and no web server should.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hubtool import files, regular
from hubtool.errors import MirrorError, StoreError
from hubtool.mirror.checked import read_checked
from hubtool.mirror.destination import MirrorFile
from hubtool.mirror.layout import SHARD_DIGITS, blob_name
from hubtool.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hubtool.locking import FileLock
    from hubtool.store.records import Stored

_BLOCK_BYTES = 1 << 20
_ABANDONED_SECONDS = 3600.0
"""Seconds without a write after which a temporary file counts as left by a killed process."""


class FolderDestination:
    """A folder that holds a mirror; the first write makes it.

    Attributes:
        name: The folder, as messages name it.
        root: The folder.
    """

    is_folder = True

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.name = str(root)
        self._temporary = self.root / ".hubtool" / "temporary"
        self._store = Store(self.root, state=self.root / ".hubtool")  # for its locks; the blobs need no records
        self._staging = Store(self.root / ".hubtool" / "staging", durable=False, locked_by=SHARD_DIGITS)
        self._is_tidy = False

    def files(self, folder: str) -> dict[str, MirrorFile]:
        """Return the regular files below a folder; links are skipped."""
        found: dict[str, MirrorFile] = {}
        waiting = [folder]
        while waiting:
            name = waiting.pop()
            try:
                with os.scandir(self.root / name) as listed:
                    for entry in listed:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(f"{name}/{entry.name}")
                        elif entry.is_file(follow_symlinks=False):
                            with suppress(FileNotFoundError):  # removed in the meantime
                                found[f"{name}/{entry.name}"] = _file(entry.stat(follow_symlinks=False))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise _error(error, self.root / name) from error
        return found

    def size(self, name: str) -> int | None:
        """Return the size of a regular file; a link counts as none."""
        path = self.root / name
        try:
            return path.lstat().st_size if path.is_file() and not path.is_symlink() else None
        except OSError as error:
            raise _error(error, path) from error

    def read(self, name: str, limit: int) -> tuple[bytes, str] | None:
        """Return a document; its entity tag is its SHA-256."""
        path = self.root / name
        try:
            with io.BufferedReader(regular.open_file(path)) as stream:
                # Not up to the limit at once: the memory is allocated before anything is read.
                data = stream.read(min(limit, os.fstat(stream.fileno()).st_size) + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _error(error, path) from error
        if len(data) > limit:
            raise MirrorError(f"{path} has more than {limit} bytes", hint="check that this is the right place")
        return data, hashlib.sha256(data).hexdigest()

    @contextmanager
    def blob(self, digest: str) -> Iterator[Iterator[bytes | memoryview]]:
        """Read a blob; each block takes the place of the one before it."""
        path = self.root / blob_name(digest)
        try:
            with regular.open_file(path) as stream:
                buffer = memoryview(bytearray(min(_BLOCK_BYTES, os.fstat(stream.fileno()).st_size + 1)))
                yield (buffer[:count] for count in iter(lambda: stream.readinto(buffer) or 0, 0))
        except OSError as error:
            raise _error(error, path) from error

    def add(self, file: Stored, *, move: bool = False) -> bool:
        """Add a blob, flushed before it gets its name.

        A worker holds the lock of the shard in the staging store until then. Others, such as a publication, must not
        wait for a worker: they have a lock and a temporary file of their own, and may write the same bytes once more.
        """
        if self._staging.holds(file.digest):
            with self._staging.lock(file.digest) as lock:
                return self._add(file, f"{file.digest}.worker", lock, move=move)
        with self._locked(file.digest) as lock:
            return self._add(file, f"{file.digest}.single", lock, move=move)

    def _add(self, file: Stored, temporary_name: str, lock: FileLock, *, move: bool) -> bool:
        path = self.root / blob_name(file.digest)
        if self.size(blob_name(file.digest)) is not None:
            return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not (move and self._moved(file.path, path)):
                self._tidy()
                # A name of its own: without locks of the system, a holder that was only stopped may run on.
                temporary = self._temporary / f"{temporary_name}.{os.urandom(4).hex()}.part"
                for left in self._temporary.glob(f"{temporary_name}.*.part") if lock.exclusive else ():
                    left.unlink(missing_ok=True)  # of a process that was killed
                with files.replacing(path, temporary=temporary, read_only=True, durable=False) as stream:
                    for block in read_checked(file):
                        files.write_all(stream, block)
                    os.fsync(stream.fileno())
        except OSError as error:
            raise _error(error, path, needed=file.size) from error
        return True

    @staticmethod
    def _moved(source: Path, path: Path) -> bool:
        """Move a file of the staging store into place; return False where that is in another file system."""
        _flush(source)
        try:
            source.replace(path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        return True

    def write(self, documents: Mapping[str, bytes]) -> None:
        """Write documents; :meth:`replace` flushes them, since a flush of each takes ten times as long."""
        for name, data in documents.items():
            self._write(name, data, durable=False)

    def replace(self, name: str, data: bytes, etag: str | None) -> bool:
        """Replace a document, under a lock, after everything else is on the disk."""
        with self._locked("index"):
            found = self.read(name, 1 << 40)
            if (None if found is None else found[1]) != etag:
                return False
            if hasattr(os, "sync"):
                os.sync()
            self._write(name, data, durable=True)
        return True

    def remove(self, names: Sequence[str]) -> None:
        """Remove files."""
        for name in names:
            path = self.root / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _error(error, path) from error

    def staging(self, home: Path) -> Store:  # noqa: ARG002 (what is fetched is moved into place, so it stays here)
        """Return a store in the same file system, so that its files can be moved."""
        return self._staging

    def _write(self, name: str, data: bytes, *, durable: bool) -> None:
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._tidy()
            temporary = self._temporary / f"document.{os.urandom(8).hex()}.part"
            with files.replacing(path, temporary=temporary, durable=durable or os.name == "nt") as stream:
                files.write_all(stream, data)
        except OSError as error:
            raise _error(error, path, needed=len(data)) from error

    def _tidy(self) -> None:
        """Make the folder for temporary files; once, remove those that killed processes left in it."""
        if not self._is_tidy:
            self._temporary.mkdir(parents=True, exist_ok=True)
            for path in self._temporary.iterdir():
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                        path.unlink()
            self._is_tidy = True

    @contextmanager
    def _locked(self, key: str) -> Iterator[FileLock]:
        """Hold the lock of a digest, or of the index."""
        lock = self._store.lock(key)
        try:
            held = lock.__enter__()
        except StoreError as error:
            if isinstance(error.__cause__, OSError):
                raise _error(error.__cause__, self.root) from error
            raise MirrorError(error.message, hint=error.hint) from error
        try:
            yield held
        finally:
            lock.__exit__(None, None, None)


def _file(found: os.stat_result) -> MirrorFile:
    # A blob that was moved here keeps the time at which it was fetched; its inode changed when it came.
    return MirrorFile(found.st_size, found.st_mtime if os.name == "nt" else max(found.st_mtime, found.st_ctime))


def _flush(path: Path) -> None:
    """Flush a file to the disk."""
    # A staged file may not be opened for writing; Windows flushes nothing else.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _error(error: OSError, path: Path, *, needed: int | None = None) -> MirrorError:
    found = files.store_error(error, path, needed=needed)
    hint = "give yourself the right to it" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else None
    full = "free some space there, or choose a folder on a larger disk" if "disk is full" in found.message else None
    return MirrorError(found.message, hint=full or hint or "check the disk that the mirror is on")
