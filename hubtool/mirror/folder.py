"""A mirror in a folder.

Beside the mirror's own files, ``.hubtool`` holds what is on its way and what workers lock; a web server need not show
it, and ``hubtool serve`` does not. A worker that dies frees its locks, and the next one on its unit removes what it
left behind.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import files, regular
from hubtool.errors import DigestError, HubError, MirrorError, StoreError
from hubtool.mirror import index
from hubtool.mirror.destination import UNIT, blob_name, parse_blob, parse_card
from hubtool.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hubtool.mirror.destination import Claim
    from hubtool.store.records import Stored

BLOCK = 1 << 20
_PENDING_FILES = 512
_PENDING_BYTES = 64 << 20


class FolderDestination:
    """A folder that holds a mirror; made by the first write.

    Attributes:
        name: The folder, as messages name it.
        root: The folder.
    """

    is_folder = True

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.name = str(root)
        # The store's locks and its listing; its writer is not used: one lock and one record for each of many thousand
        # blobs would be three files for each.
        self._store = Store(self.root, state=self.root / ".hubtool")

    # -- reading ---------------------------------------------------------------------------------------------------

    def blobs(self, unit: str | None = None) -> dict[str, int]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        try:
            if unit is None:
                return {digest: found.st_size for digest, found in self._store.blobs()}
            folder = self.root / "blobs" / "sha256" / unit[:2]
            found = {}
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as listed:
                for entry in listed:
                    if parse_blob(blob_name(entry.name)) and entry.name.startswith(unit) and _is_file(entry):
                        with suppress(FileNotFoundError):
                            found[entry.name] = entry.stat(follow_symlinks=False).st_size
        except StoreError as error:
            raise MirrorError(error.message, hint=error.hint) from error
        except OSError as error:
            raise _error(error, folder) from error
        return found

    def cards(self) -> set[str]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        found: set[str] = set()
        top = self.root / "cards"

        def refuse(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise _error(error, top) from error

        for folder, _, names in os.walk(top, onerror=refuse):
            relative = Path(folder).relative_to(self.root).as_posix()
            found.update(uid for name in names if (uid := parse_card(f"{relative}/{name}")))
        return found

    def shards(self) -> set[str]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        try:
            with os.scandir(self.root / index.FOLDER) as listed:
                names = [f"{index.FOLDER}/{entry.name}" for entry in listed]
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except OSError as error:
            raise _error(error, self.root / index.FOLDER) from error
        return {name for name in names if index.parse_shard(name)}

    def read(self, name: str, limit: int) -> tuple[bytes, str] | None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        path = self.root / name
        try:
            with io.BufferedReader(regular.open_file(path)) as stream:
                # Not up to the limit at once: memory is asked for before anything is read.
                data = stream.read(min(limit, os.fstat(stream.fileno()).st_size) + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _error(error, path) from error
        if len(data) > limit:
            raise MirrorError(f"{path} has more than {limit} bytes", hint="look whether this is the right place")
        return data, hashlib.sha256(data).hexdigest()

    @contextmanager
    def blob(self, digest: str) -> Iterator[Iterator[bytes | memoryview]]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        path = self.root / blob_name(digest)
        try:
            with regular.open_file(path) as stream:

                def blocks() -> Iterator[memoryview]:
                    buffer = bytearray(min(BLOCK, os.fstat(stream.fileno()).st_size + 1))
                    while count := stream.readinto(buffer):
                        yield memoryview(buffer)[:count]

                yield blocks()
        except OSError as error:
            raise _error(error, path) from error

    def ages(self, names: Sequence[str]) -> dict[str, float]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        now, ages = time.time(), {}
        for name in names:
            with suppress(OSError):
                # A blob that was moved in keeps the time at which it was fetched; its inode changed when it came here.
                found = (self.root / name).stat()
                ages[name] = now - (found.st_mtime if os.name == "nt" else max(found.st_mtime, found.st_ctime))
        return ages

    def claims(self) -> list[str]:
        """See :class:`~hubtool.mirror.destination.Destination`; the system does not say who holds a lock."""
        return []

    # -- writing ---------------------------------------------------------------------------------------------------

    def replace(self, name: str, data: bytes, mark: str | None) -> bool:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        with self._lock("replace"):
            now = self.read(name, 1 << 40)
            if (None if now is None else now[1]) != mark:
                return False
            self.write(name, data)
        return True

    def write(self, name: str, data: bytes) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        path = self.root / name
        temporary = self._temporary("document")
        try:
            for folder in (path.parent, temporary.parent):
                folder.mkdir(parents=True, exist_ok=True)
            with files.replacing(path, temporary=temporary) as stream:
                files.write_all(stream, data)
        except OSError as error:
            raise _error(error, path, needed=len(data)) from error

    def write_all(self, documents: Mapping[str, bytes], jobs: int) -> None:  # noqa: ARG002 (the flush is what takes time)
        """See :class:`~hubtool.mirror.destination.Destination`."""
        pending: list[tuple[Path, Path]] = []
        folder = self.root / ".hubtool" / "temporary"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in documents.items():
                temporary = self._temporary("document")
                pending.append((temporary, self.root / name))
                descriptor = files.open_new(temporary, 0o666)
                try:
                    files.write(descriptor, data)
                finally:
                    os.close(descriptor)
            _flush([temporary for temporary, _ in pending])
            folders = [*dict.fromkeys(path.parent for _, path in pending)]
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            for temporary, path in pending:
                temporary.replace(path)
            pending.clear()
            _flush_folders(folders)
        except OSError as error:
            raise _error(error, folder) from error
        finally:
            for temporary, _ in pending:
                _unlink(temporary)

    def remove(self, names: Sequence[str]) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        for name in names:
            path = self.root / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _error(error, path) from error

    def tidy(self) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`; here these are what the dead left in temporary folders.

        The system freed their locks. A unit that is done is claimed by nobody else.
        """
        for folder in sorted((self.root / ".hubtool" / "temporary").glob("unit-*")):
            with suppress(MirrorError), self.claim(folder.name.removeprefix("unit-")):
                pass

    @contextmanager
    def claim(self, unit: str) -> Iterator[Claim | None]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        try:
            lock = self._store.lock(f"unit-{unit}", patience=0)
            lock.__enter__()
        except StoreError as error:
            if isinstance(error.__cause__, OSError):
                raise _error(error.__cause__, self.root) from error
            yield None
            return
        try:
            self._clean(f"unit-{unit}/*")
            claim = FolderClaim(self.root, self.root / ".hubtool" / "temporary" / f"unit-{unit}")
            try:
                yield claim
            finally:
                claim.close()
        finally:
            lock.__exit__(None, None, None)

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        with self._lock("publish"):
            self._clean("document.*")
            yield

    def staging(self, home: Path) -> Store:  # noqa: ARG002 (what is fetched is moved into place, so it stays here)
        """See :class:`~hubtool.mirror.destination.Destination`."""
        return Store(self.root / ".hubtool" / "staging", durable=False, locked_by=UNIT)

    def close(self) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""

    # -- within ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        try:
            lock = self._store.lock(key)
            lock.__enter__()
        except StoreError as error:
            if isinstance(error.__cause__, OSError):
                raise _error(error.__cause__, self.root) from error
            raise MirrorError(error.message, hint=error.hint) from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _temporary(self, kind: str) -> Path:
        return self.root / ".hubtool" / "temporary" / f"{kind}.{os.urandom(6).hex()}.part"

    def _clean(self, kind: str) -> None:
        """Remove what workers left behind; the caller holds the lock under which files of this kind are written."""
        for path in (self.root / ".hubtool" / "temporary").glob(f"{kind}.part"):
            with suppress(OSError):
                path.unlink()


class FolderClaim:
    """A lock on a unit, and the blobs on their way."""

    def __init__(self, root: Path, temporary: Path) -> None:
        self._root = root
        self._blobs = root / "blobs" / "sha256"
        self._temporary = temporary
        self._pending: list[tuple[Path, Path]] = []
        self._bytes = 0
        self._there: dict[str, set[str]] = {}
        self._near: bool | None = None
        self._failure: MirrorError | None = None

    def add(self, file: Stored, *, move: bool = False) -> bool:
        """See :class:`~hubtool.mirror.destination.Claim`."""
        self._raise()
        path = self._blobs / file.digest[:2] / file.digest
        there = self._present(file.digest[:2])
        if file.digest in there:
            return False
        # What may be moved stays where it is until it is made visible: so it is still there if that does not come.
        source = file.path if move and self._can_move(file) else self._temporary / f"{file.digest}.part"
        if source != file.path:
            try:
                self._copy(file, source)
            except OSError as error:
                _unlink(source)
                raise _error(error, path, needed=file.size) from error
            except HubError:
                _unlink(source)
                raise
        there.add(file.digest)
        # Only what is whole and right waits to be made visible.
        self._pending.append((source, path))
        self._bytes += file.size
        # Bounds what a failure before the flush would cost.
        if len(self._pending) >= _PENDING_FILES or self._bytes >= _PENDING_BYTES:
            self.settle()
        return True

    def _present(self, group: str) -> set[str]:
        """Return what is there of a group; nobody else adds any while we hold the unit, so it is listed once."""
        there = self._there.get(group)
        if there is None:
            try:
                with os.scandir(self._blobs / group) as listed:
                    there = {entry.name for entry in listed if _is_file(entry)}
            except OSError:
                there = set()
            self._there[group] = there
        return there

    def _raise(self) -> None:
        """Say again that something that was added did not become visible: who added it must not think so."""
        if self._failure is not None:
            raise self._failure

    def _can_move(self, file: Stored) -> bool:
        """Whether a file of the staging store, hashed when it was fetched, is in the file system of the blobs."""
        if self._near is None:
            try:
                self._near = file.path.stat().st_dev == self._root.stat().st_dev
            except OSError as error:
                raise _error(error, file.path) from error
        return self._near

    def _copy(self, file: Stored, temporary: Path) -> None:
        hasher = hashlib.sha256()
        self._temporary.mkdir(parents=True, exist_ok=True)
        target = files.open_new(temporary, 0o666 if os.name == "nt" else 0o444)
        try:
            try:
                source = os.open(file.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            except OSError as error:
                raise files.store_error(error, file.path) from error
            try:
                while block := os.read(source, BLOCK):
                    hasher.update(block)
                    files.write(target, block)
            finally:
                os.close(source)
        finally:
            os.close(target)
        if hasher.hexdigest() != file.digest:
            raise DigestError(
                f"{file.path} changed after it was verified: its SHA-256 is {hasher.hexdigest()}",
                expected=file.digest,
                actual=hasher.hexdigest(),
                hint="run `hubtool cache verify`",
            )

    def settle(self) -> None:
        """See :class:`~hubtool.mirror.destination.Claim`."""
        try:
            _flush([source for source, _ in self._pending])
            _flush_folders(self._show())
        except OSError as error:
            self._failure = _error(error, self._blobs)
            self.discard()
            raise self._failure from error

    def _show(self) -> list[Path]:
        """Make visible what was flushed; return the folders that are to be flushed in their turn.

        Raises:
            MirrorError: If the disk fails, now or before.
        """
        self._raise()
        if not self._pending:
            return []
        folder = self._pending[0][1].parent
        changed = [folder]
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                changed.append(folder.parent)
            for source, path in self._pending:
                source.replace(path)
            self._pending = []
        except OSError as error:
            self._failure = _error(error, folder)
            raise self._failure from error
        finally:
            self.discard()
        return changed

    def discard(self) -> None:
        """Remove what was not made visible, but for what the staging store has."""
        for source, _ in self._pending:
            if source.parent == self._temporary:
                _unlink(source)
        self._pending = []
        self._bytes = 0

    def close(self) -> None:
        """Leave nothing behind that is not visible, of ours or of somebody who died."""
        self.discard()
        with suppress(OSError):
            self._temporary.rmdir()


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether something is a blob, and not a folder or a link that has the name of one."""
    return entry.is_file(follow_symlinks=False)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _flush(paths: list[Path]) -> None:
    """Flush files to the disk."""
    for path in paths:
        # What comes from the staging store may no longer be opened for writing; Windows flushes nothing else.
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush_folders(folders: Sequence[Path]) -> None:
    """Flush folders in which files got their names."""
    for folder in dict.fromkeys(folders):
        files.sync_folder(folder)


def _error(error: OSError, path: Path, *, needed: int | None = None) -> MirrorError:
    found = files.store_error(error, path, needed=needed)
    hint = "give yourself the right to it" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else None
    full = "free some space there, or choose a folder on a larger disk" if "disk is full" in found.message else None
    return MirrorError(found.message, hint=full or hint or "check the disk that the mirror is on")
