"""The store: verified files by their digest, shared by all processes of a machine.

Under the root, every path relative, so that the whole folder can be moved::

    blobs/sha256/ab/<digest>                       an asset, under its own SHA-256
    derived/<kind>/ab/<digest>.<kind>              a file made from that asset, such as its safetensors twin
    records/blobs/ab/<digest>.json                 what the file was when it was hashed last; one tree for each kind
    records/links/ab/<digest of the link>.json     the digest of what came from a link itself, not from a mirror
    temporary/<digest or its beginning>.<...>.part what is being written
    locks/<first digits, eight as a rule>.lock     empty files that processes lock; `cache prune` removes the free ones
    quarantine/<digest>.<time>                     files that had changed and were wrong
    used/<digest>.<number of a user>               written by users who have this store among their shared ones, when
                                                   they use a file; make it with mode 1777 where it is not theirs

A stored file is hashed again only if its size, its inode, or the time at which it or its data changed last is not the
recorded one. Records are believed only in the root, and only if this user wrote them. No program can set the time of
the last change, so a record that came with a copy of a store fits no file. A record's own modification time says when
the file was used last, to the hour. Whatever is written for a digest is written under
that digest's lock, which the operating system frees when its holder dies: a temporary file whose lock is free is an
orphan, and the next writer removes it.

Everything but the blobs may stand in another folder of the same file system (``state``): so a mirror in a folder is
written with a store's care, and shows its blobs alone. Other stores, and mirrors, may be looked in as well
(``shared``); they are only read, and no record of theirs is believed: a file there is hashed when it is first used, and
what it was is recorded under the root.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import files, mismatch, ownership
from hubtool.digest import FULL_LENGTH, SHORTEST, Digest, digest_file
from hubtool.errors import ArgumentError, DigestError, StoreError
from hubtool.locking import Lock
from hubtool.store.expected import Expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any, BinaryIO, TypeGuard


MAX_BYTES = 64 << 30
"""The largest asset that is taken where nothing states its size: 64 GiB."""

KEEP = 7 * 86400.0
"""Seconds for which the part of a fetch that was broken off is kept, for a later run to go on with: a week."""

PATIENCE = 600.0
"""Seconds that a process waits for another's lock while nothing moves."""

USE_STEP = 3600.0
"""Seconds within which a second use of a file is not recorded: reading stays cheap."""

_MAX_RECORD_BYTES = 64 << 10
_HEX = frozenset("0123456789abcdef")
_held = threading.local()


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
class Judgement:
    """What came of hashing a stored file again.

    Attributes:
        stored: The file, if it is right.
        moved: Whether it was wrong, and was moved away.
        reason: If it is not right and was not moved: what is the matter with it, as in "it ...".
    """

    stored: Stored | None = None
    moved: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """What there is of a fetch that was not finished.

    Attributes:
        name: The name of its part in the temporary folder.
        size: Its bytes, with those of the note beside it.
        written: When it was written last, in seconds since 1970.
    """

    name: str
    size: int
    written: float

    @property
    def digest(self) -> str:
        """The digest of the asset, or the beginning of it that a card states."""
        return self.name.partition(".")[0]


_GONE = Judgement(reason="is not there any more")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
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
    def of(cls, digest: str, found: os.stat_result, *, source: str = "") -> _Record:
        return cls(
            digest=digest,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            ctime_ns=found.st_ctime_ns,
            inode=found.st_ino,
            source=source,
        )

    @classmethod
    def read(cls, path: Path) -> _Record | None:
        """Read a record; None if it is missing, damaged or another user's: then the file is hashed again."""
        raw = ownership.read_own_json(path, _MAX_RECORD_BYTES)
        if not isinstance(raw, dict):
            return None
        digest, source = raw.get("digest"), raw.get("source", "")
        numbers: dict[str, Any] = {key: raw.get(key) for key in ("size", "mtime_ns", "ctime_ns", "inode")}
        if not _is_digest(digest) or not (source == "" or _is_digest(source)):
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
        return _write_anew(data, path)


def _is_digest(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and len(text) == FULL_LENGTH and _HEX.issuperset(text)


def _write_anew(data: bytes, path: Path) -> bool:
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


def _named(folder: Path, suffix: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files ``<folder>/ab/<digest><suffix>``."""
    try:
        with os.scandir(folder) as listed:
            groups = sorted(entry.name for entry in listed if len(entry.name) == 2 and _HEX.issuperset(entry.name))
        for group in groups:
            found = []
            with os.scandir(folder / group) as listed:
                for entry in listed:
                    digest = entry.name.removesuffix(suffix)
                    if len(digest) == FULL_LENGTH and _HEX.issuperset(digest) and digest.startswith(group):
                        with suppress(FileNotFoundError):  # removed while we look
                            if entry.is_file(follow_symlinks=False):
                                found.append((digest, entry.stat(follow_symlinks=False)))
            yield from sorted(found, key=lambda pair: pair[0])
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise files.store_error(error, folder) from error


def _use(record_path: Path) -> None:
    """Note that a file was used, unless that was noted within the hour, or cannot be written."""
    with suppress(OSError):
        now = time.time()
        if not 0 <= now - record_path.stat().st_mtime < USE_STEP:
            os.utime(record_path, (now, now))


def _mark_used(folder: Path, digest: str) -> None:
    """Note in a shared store that this user used a file, to the hour, so that pruning can count it.

    In ``used`` each user has files of their own; where that folder cannot be written, nothing is noted.
    """
    if not hasattr(os, "geteuid"):
        return
    path = folder / "used" / f"{digest}.{os.geteuid()}"
    with suppress(OSError):
        with suppress(FileNotFoundError):
            if 0 <= time.time() - path.lstat().st_mtime < USE_STEP:
                return
        if not path.parent.is_dir():
            if not (folder / "records").is_dir():
                return  # a mirror, which nobody prunes by use
            path.parent.mkdir()
        # Others may write to this folder: a link that they put there is not followed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)


_PART = ".blob.part"
"""How the name of a fetch's part ends; beside it stand its note, and for a moment a new note."""


def _is_kept(path: Path) -> bool:
    """Whether a temporary file is a part, or the note beside one, that a later run may go on with."""
    name = path.name.removesuffix(".json")
    if not name.endswith(_PART):
        return False
    part = path.with_name(name)
    try:
        young = time.time() - part.lstat().st_mtime < KEEP
        return young and part.with_name(f"{name}.json").is_file()
    except OSError:
        return False


class Store:
    """The files under one root folder, by digest.

    Several processes and threads may use one root at the same time, each with a Store of its own or a common one. A
    root that cannot be written can be read.

    Attributes:
        root: The folder; made by the first write.
        patience: Seconds to wait for another process that holds a lock and does not get on.
        state: The folder of everything but the blobs, in the same file system; the root itself by default.
        shared: Folders with blobs of their own (stores or mirrors), looked in after the root and never written.
        durable: Whether what is stored survives a failing power. Where it need not, because it is on its way to
            another place, nothing is flushed and nothing is recorded: what a later process finds there it hashes.
        locked_by: How many of a digest's first digits name its lock. Few make few locks, which stand for many digests
            each, for those who hold one while they write them all.
    """

    def __init__(
        self,
        root: Path,
        *,
        patience: float = PATIENCE,
        state: Path | None = None,
        shared: Sequence[Path] = (),
        durable: bool = True,
        locked_by: int = SHORTEST,
    ) -> None:
        self.root = root.absolute()
        self.patience = patience
        self.durable = durable
        self.locked_by = locked_by
        self.state = self.root if state is None else state.absolute()
        self.shared = tuple(folder.absolute() for folder in shared)
        # Where records cannot be written, one process at least need not hash a file twice.
        self._known: dict[Path, _Record] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def path(self, digest: Digest, *, link: str | None = None) -> Path | None:
        """Return where the verified file of this digest is, or None where it is not stored; see :meth:`find`.

        Raises:
            StoreError: If the store cannot be read.
        """
        found = self.find(digest, link=link)
        return None if found is None else found.path

    def find(self, digest: Digest, *, link: str | None = None) -> Stored | None:
        """Return the verified file of this digest, or None where it is not stored.

        A file that changed since it was hashed and no longer has its digest is moved into quarantine. What the root
        does not have is looked for in the shared folders.

        Args:
            digest: The digest. Of a short one, only the file that was fetched from ``link`` is returned: anyone can
                make another file whose digest begins like that.
            link: The link of the card that states the digest.

        Raises:
            StoreError: If the store cannot be read.
        """
        name = digest.hex
        if digest.is_short:
            completed = None if link is None else self.completed(digest, link)
            if completed is None:
                return None
            name = completed
        found = self._blob(name)
        if found is not None or not self.shared:
            return found
        return next((stored for folder in self.shared for stored in self._shared(name, folder)), None)

    def completed(self, digest: Digest, link: str) -> str | None:
        """Return the whole digest of what this user fetched from a link for a short digest; None if that is unknown."""
        raw = ownership.read_own_json(self._link_record(digest.hex, link), _MAX_RECORD_BYTES)
        if not isinstance(raw, dict) or raw.get("link") != link.strip("<> "):
            return None
        whole = raw.get("digest")
        return whole if _is_digest(whole) and digest.matches(whole) else None

    def came_from(self, link: str, digest: str) -> bool:
        """Record that the file of a whole digest came from a link itself; return whether that could be written."""
        data = json.dumps({"link": link.strip("<> "), "digest": digest}).encode()
        return _write_anew(data, self._link_record(digest, link))

    def _link_record(self, digest: str, link: str) -> Path:
        about = f"{digest[:SHORTEST]} {link.strip('<> ')}"
        return self._record_path("links", hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest())

    def peek(self, digest: str) -> Stored | None:
        """Return the file of a whole digest without verifying it, for those who hash it themselves; None if absent.

        What turns out to be wrong is moved away by :meth:`check`.
        """
        for folder in (None, *self.shared):
            path = self._blob_path(digest, folder)
            try:
                found = path.stat()
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                return Stored(path=path, digest=digest, size=found.st_size)
        return None

    def present(self, group: str) -> frozenset[str]:
        """Return the digests of one group (their first two digits) that are there, unverified: see :meth:`peek`."""
        found: set[str] = set()
        for root in (self.root, *self.shared):
            with suppress(OSError):
                found.update(os.listdir(root / "blobs" / "sha256" / group))  # noqa: PTH208 (names are wanted)
        return frozenset(name for name in found if len(name) == FULL_LENGTH and _HEX.issuperset(name))

    def _shared(self, digest: str, folder: Path) -> Iterator[Stored]:
        """Yield the file of this digest in a shared folder; a wrong file, or one that cannot be read, is not there."""
        path = self._blob_path(digest, folder)
        # A share that is away must not stop what does not need it.
        with suppress(DigestError, StoreError, OSError):
            # The other store's records are its owner's word. Ours is written here, so that each user hashes a file
            # once, and not each process.
            if path.is_file():
                stored = self.adopt(path, Digest(digest))
                _mark_used(folder, digest)
                yield stored

    def _blob(self, digest: str) -> Stored | None:
        path, record_path = self._blob_path(digest), self._record_path("blobs", digest)
        found = self._verified(path, record_path, digest, key=digest)
        if found is not None:
            _use(record_path)
        return found

    def derived(self, digest: str, kind: str) -> Path | None:
        """Return the file of this kind that was made from an asset, or None where there is none.

        Args:
            digest: The whole digest of the asset.
            kind: What was made of it, such as ``safetensors``.

        Raises:
            StoreError: If the store cannot be read.
        """
        path = self._derived_path(digest, kind)
        # Its name is the asset's digest, so its own bytes prove nothing: only our record says what it was made from.
        record = self._record_of_derived(path, digest, kind)
        if record is None:
            return None
        record_path = self._record_path(kind, digest)
        _use(record_path)
        return path

    def _record_of_derived(self, path: Path, digest: str, kind: str) -> _Record | None:
        """Return the record of a derived file that is unchanged since this user made it from that asset."""
        for record in (self._known.get(path), _Record.read(self._record_path(kind, digest))):
            with suppress(OSError):
                found = path.lstat()
                if (
                    record is not None
                    and record == _Record.of(record.digest, found, source=digest)
                    and ownership.is_own(found)
                ):
                    return record
        return None

    def check(self, digest: str, *, kind: str | None = None, quarantine: bool = True) -> Judgement:
        """Hash a stored file again, whatever its record says; return whether it is right, and what became of it if not.

        Its last use stays what it was.

        Args:
            digest: The whole digest of the asset.
            kind: Check the file of this kind that was made from the asset, instead of the asset.
            quarantine: Whether a wrong file is moved away.

        Raises:
            StoreError: If the file cannot be read.
        """
        source = ""
        if kind is None:
            path, record_path, own = self._blob_path(digest), self._record_path("blobs", digest), digest
        else:
            path, record_path = self._derived_path(digest, kind), self._record_path(kind, digest)
            record = _Record.read(record_path)
            if record is None or record.source != digest:
                return Judgement(reason="has no record of what it must be, and is made anew when it is needed")
            own, source = record.digest, digest
        if quarantine:
            return self._judge(path, record_path, own, key=digest, trusting=False, source=source)
        try:
            right, size = digest_file(path) == own, path.stat().st_size
        except FileNotFoundError:
            return _GONE
        except OSError as error:
            raise files.store_error(error, path) from error
        if not right:
            return Judgement(reason="is wrong")
        return Judgement(stored=Stored(path=path, digest=own, size=size))

    def _verified(self, path: Path, record_path: Path, digest: str, *, key: str) -> Stored | None:
        """Return a file if it has its digest, hashing it if it may have changed; else move it away."""
        return self._judge(path, record_path, digest, key=key, trusting=True).stored

    def _judge(
        self, path: Path, record_path: Path, digest: str, *, key: str, trusting: bool, source: str = ""
    ) -> Judgement:
        """Say whether a file has its digest, by its record or by hashing it; move it away if it has not."""
        for _ in range(3):
            try:
                if trusting and self._unchanged(path, record_path, digest):
                    return Judgement(stored=Stored(path=path, digest=digest, size=path.stat().st_size))
                before = path.stat()
                actual = digest_file(path)
                after = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return _GONE
            except OSError as error:
                raise files.store_error(error, path) from error
            record = _Record.of(actual, after, source=source)
            if record != _Record.of(actual, before, source=source):
                continue  # written to, or replaced, while we read
            if actual == digest:
                # Of a derived file the record is all that is known, so it is written by who made the file alone.
                if not source and _Record.read(record_path) != record:
                    self._remember(record, path, record_path)
                return Judgement(stored=Stored(path=path, digest=digest, size=after.st_size))
            judgement = self._quarantine(path, record_path, record, key)
            if judgement is not None:
                return judgement
        return Judgement(reason="was written to whenever it was read")

    def _unchanged(self, path: Path, record_path: Path, digest: str) -> bool:
        now = _Record.of(digest, path.stat())
        return now in (self._known.get(path), _Record.read(record_path))

    def _remember(self, record: _Record, path: Path, record_path: Path) -> None:
        if not self.durable or not record.write(record_path):
            self._known[path] = record

    def _quarantine(self, path: Path, record_path: Path, wrong: _Record, key: str) -> Judgement | None:
        """Move a wrong file away, and say whether that could be done; None if there is another file by now."""
        aside = self.state / "quarantine"
        try:
            # In a store that we may not write, the file is as good as absent and must stay where it is; and whoever
            # holds the lock is about to put the right one there, which is nothing to wait for.
            with self.lock(key, patience=0):
                # Between the hashing and the lock, another process may have put the right file there.
                if _Record.of(wrong.digest, path.stat(), source=wrong.source) != wrong:
                    return None
                if self.durable:
                    aside.mkdir(parents=True, exist_ok=True)
                    path.replace(aside / f"{path.name}.{time.time_ns()}")
                else:  # half of what was on its way
                    path.unlink()
                with suppress(OSError):  # a record without its file means nothing
                    record_path.unlink(missing_ok=True)
                self._known.pop(path, None)
        except FileNotFoundError:
            return _GONE
        except StoreError as error:
            return Judgement(reason=f"is wrong, and still there: {error.message}")
        except OSError as error:
            return Judgement(reason=f"is wrong, and still there: {files.store_error(error, aside).message}")
        return Judgement(moved=True)

    def quarantined(self) -> tuple[Path, ...]:
        """Return the files that were moved away because they no longer had their digest."""
        try:
            return tuple(sorted((self.state / "quarantine").iterdir()))
        except OSError:
            return ()

    def remove_quarantined(self, path: Path) -> None:
        """Remove a file that was moved away.

        Raises:
            StoreError: If the store cannot be written.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise files.store_error(error, path) from error

    def adopt(self, path: Path, digest: Digest, *, size: int | None = None) -> Stored:
        """Verify a file that stays where it is, outside the store: an asset beside its card.

        It is hashed again only if its size, modification time or inode changed.

        Args:
            path: The file. That it may be read at all (that it is inside its registry) is for the caller to check.
            digest: The digest that the card states.
            size: The size that the card states, for the message of an error.

        Raises:
            DigestError: If the file has another digest.
            StoreError: If the file cannot be read.
        """
        path = path.absolute()
        record_path = self._record_path("local", hashlib.sha256(os.fsencode(path)).hexdigest())
        try:
            for record in (self._known.get(path), _Record.read(record_path)):
                if record is not None and _Record.of(record.digest, path.stat()) == record:
                    actual, bytes_ = record.digest, record.size
                    break
            else:
                before = path.stat()
                actual, bytes_ = digest_file(path), before.st_size
                record = _Record.of(actual, before)
                if _Record.of(actual, path.stat()) == record:
                    self._remember(record, path, record_path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error.strerror or type(error).__name__}",
                hint="the card's asset-link names this file; check that it is there and may be read",
            ) from error
        if not digest.matches(actual):
            why = mismatch.explain(path, digest, size)
            also = f" is {why.what}" if why is not None else " is not the file that its card means"
            raise DigestError(
                f"{path}{also}; its SHA-256 is {actual}, and the card says {digest}",
                expected=str(digest),
                actual=actual,
                hint="put the right file there, or correct the card" if why is None else why.hint,
            )
        return Stored(path=path, digest=actual, size=bytes_)

    # -- writing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, key: str, *, patience: float | None = None) -> Iterator[Lock]:
        """Hold the lock of a digest (or of its beginning): one process and thread at a time.

        The same thread may take it again while it holds it. A holder that dies, however it dies, frees it.

        Args:
            key: The digest; its first digits count, so that a short digest and its whole one are one key.
            patience: Seconds to wait for a holder that does not get on; the store's own by default.

        Raises:
            StoreError: If the lock cannot be made, or its holder has not got on for that long.
        """
        name = key[: self.locked_by]
        path = self._lock_path(key)
        held: dict[Path, Lock] = _held.__dict__.setdefault("locks", {})
        if path in held:
            yield held[path]
            return
        lock = Lock(path)
        try:
            try:
                self._wait(lock, name, self.patience if patience is None else patience)
            except FileNotFoundError:
                lock.path.parent.mkdir(parents=True, exist_ok=True)
                self._wait(lock, name, self.patience if patience is None else patience)
        except OSError as error:
            raise files.store_error(error, lock.path) from error
        held[path] = lock
        try:
            yield lock
        finally:
            del held[path]
            lock.release()

    def holds(self, key: str) -> bool:
        """Whether this thread holds the lock of a digest (or of its beginning)."""
        return self._lock_path(key) in _held.__dict__.get("locks", ())

    def _lock_path(self, key: str) -> Path:
        return self.state / "locks" / f"{key[: self.locked_by]}.lock"

    def _wait(self, lock: Lock, name: str, patience: float) -> None:
        """Wait for a lock as long as its holder gets on."""
        if lock.acquire(0):
            return
        parts, since = self._parts(name), time.monotonic()
        while not lock.acquire(min(1.0, patience)):
            now = self._parts(name)
            if now != parts:
                parts, since = now, time.monotonic()
            if time.monotonic() - since >= patience:
                idle = f", and has not got on for {patience:g} seconds" if patience else ": it is writing this file"
                raise StoreError(
                    f"another process holds {lock.path}{idle}",
                    hint="end that process (it is fetching or converting the same asset), and try again",
                )

    def _parts(self, name: str) -> list[tuple[str, int, int]]:
        """What the holder of a lock has written so far."""
        parts = []
        with suppress(OSError):
            for path in (self.state / "temporary").glob(f"{name}*"):
                found = path.stat()
                parts.append((path.name, found.st_size, found.st_mtime_ns))
        return sorted(parts)

    def clean(self) -> None:
        """Remove the temporary files of processes that died; those of living ones stay, and young parts of fetches do.

        Raises:
            StoreError: If the store cannot be read.
        """
        folder = self.state / "temporary"
        try:
            keys = {path.name[:SHORTEST] for path in folder.iterdir() if not _is_kept(path)}
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise files.store_error(error, folder) from error
        for key in sorted(keys):
            self._clean(key)

    def _clean(self, key: str) -> None:
        if self.holds(key):
            return
        lock = Lock(self._lock_path(key))
        with suppress(OSError):
            if lock.acquire(0):
                try:
                    self._remove_parts(key)
                finally:
                    lock.release()

    def unfinished(self) -> tuple[Unfinished, ...]:
        """Return what there is of fetches that were not finished, in order of names; some may be under way.

        Raises:
            StoreError: If the store cannot be read.
        """
        folder = self.state / "temporary"
        found: dict[str, Unfinished] = {}
        try:
            for name in sorted(self._temporary_names()):
                digest, part = name.partition(".")[0], name[: name.find(_PART) + len(_PART)]
                if _PART not in name or len(digest) < SHORTEST or not _HEX.issuperset(digest):
                    continue
                with suppress(FileNotFoundError):  # finished while we look
                    there = (folder / name).lstat()
                    before = found.get(part, Unfinished(name=part, size=0, written=0.0))
                    found[part] = Unfinished(
                        name=part, size=before.size + there.st_size, written=max(before.written, there.st_mtime)
                    )
        except OSError as error:
            raise files.store_error(error, folder) from error
        return tuple(found.values())

    def remove_unfinished(self, one: Unfinished) -> bool:
        """Remove what there is of a fetch that was not finished; return whether there was anything.

        Raises:
            StoreError: If another process is writing it, or has written it since, or the store cannot be written.
        """
        with self.lock(one.digest, patience=0):
            now = {there.name: there for there in self.unfinished()}.get(one.name)
            if now is None:
                return False
            if now.written > one.written:
                raise StoreError("it is in use", hint="try again when its fetch has ended")
            part = self.state / "temporary" / one.name
            try:
                for name in (one.name, f"{one.name}.json", f"{one.name}.json.new"):
                    part.with_name(name).unlink(missing_ok=True)
            except OSError as error:
                raise files.store_error(error, part) from error
        return True

    def _parts_of(self, key: str) -> list[Path]:
        """Return the temporary files of this digest, or of those that begin as it does; under its lock."""
        return [self.state / "temporary" / name for name in sorted(self._part_names(key))]

    def _part_names(self, key: str) -> list[str]:
        beginning = key[:SHORTEST]
        return [name for name in self._temporary_names() if name.startswith(beginning)]

    def _temporary_names(self) -> Sequence[str]:
        """Return the names of all temporary files."""
        try:
            return os.listdir(self.state / "temporary")  # noqa: PTH208 (names are wanted)
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def _remove_parts(self, key: str) -> None:
        for path in self._parts_of(key):
            if not _is_kept(path):
                with suppress(OSError):
                    path.unlink()

    def _committed(self, digest: str, path: Path) -> Stored:
        """Remember a file that was just put into its place."""
        try:
            found = path.stat()
        except OSError as error:
            raise files.store_error(error, path) from error
        self._remember(_Record.of(digest, found), path, self._record_path("blobs", digest))
        return Stored(path=path, digest=digest, size=found.st_size)

    @contextmanager
    def writer(
        self, digest: Digest, *, source: str = "the file", size: int | None = None, limit: int = MAX_BYTES
    ) -> Iterator[Writer]:
        """Write a new file for a digest, under its lock; without :meth:`Writer.commit` nothing of it stays.

        Args:
            digest: The digest, whole or short, that the bytes must have.
            source: Where they come from, as errors shall name it.
            size: How many bytes there must be, where that is known.
            limit: The most bytes that are taken.

        Raises:
            FetchError: If ``size`` is above the limit.
            StoreError: If the store cannot be written, or the disk has no room for ``size`` bytes.
        """
        with self.lock(digest.hex):
            self.clean()
            self._remove_parts(digest.hex[:SHORTEST])
            writer = Writer(self, digest, source, size, limit)
            try:
                yield writer
            finally:
                writer.discard()

    def derive(self, digest: str, kind: str, make: Callable[[Path], None]) -> Path:
        """Return the file of a kind that is made from an asset, and make it where there is none yet.

        Args:
            digest: The whole digest of the asset.
            kind: What is made, such as ``safetensors``.
            make: Writes the file to the path that it is given, and other files only if their names begin with that
                path's; it is called by one process at a time, or not at all.

        Raises:
            StoreError: If the store cannot be written.
        """
        found = self.derived(digest, kind)
        if found is not None:
            return found
        path = self._derived_path(digest, kind)
        with self.lock(digest):
            found = self.derived(digest, kind)
            if found is not None:
                return found
            self.clean()
            self._remove_parts(digest[:SHORTEST])
            temporary = self._temporary(digest, kind)
            try:
                for folder in (path.parent, temporary.parent):
                    folder.mkdir(parents=True, exist_ok=True)
                make(temporary)
                own = digest_file(temporary)
                with temporary.open("rb+", buffering=0) as stream:
                    files.settle(stream, temporary, path, read_only=True)
                self._remember(_Record.of(own, path.stat(), source=digest), path, self._record_path(kind, digest))
            except OSError as error:
                raise files.store_error(error, path) from error
            finally:
                self._remove_parts(digest[:SHORTEST])
        return path

    def remove(self, digest: str) -> bool:
        """Remove a file, what was made from it, and their records; return whether there was one.

        A process that has the file open goes on reading it (on Windows, the file then stays, which is an error here).

        Raises:
            StoreError: If another process is writing it, or the store cannot be written.
        """
        path = self._blob_path(digest)
        with self.lock(digest, patience=0):
            try:
                there = False
                for kind in self.kinds():
                    with suppress(FileNotFoundError):
                        self._derived_path(digest, kind).unlink()
                        there = True
                    self._record_path(kind, digest).unlink(missing_ok=True)
                there = there or path.exists()
                path.unlink(missing_ok=True)
                # The record goes last: a kill in between leaves a record without a file, which means nothing.
                self._record_path("blobs", digest).unlink(missing_ok=True)
            except OSError as error:
                raise files.store_error(error, path) from error
            self._known.pop(path, None)
        return there

    def remove_locks(self) -> None:
        """Remove the lock files that nobody holds: each digest that was ever written has one."""
        for path in (self.state / "locks").glob("*.lock"):
            lock = Lock(path)
            with suppress(OSError):
                if lock.acquire(0):
                    lock.remove()

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of derived files that there are, such as ``safetensors``."""
        try:
            return tuple(sorted(path.name for path in (self.state / "derived").iterdir() if path.name.isidentifier()))
        except OSError:
            return ()

    def blobs(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the digest of every file in the root's blobs, and what the system says of it, in order of digests.

        Nothing is verified, and the shared folders are not listed.

        Raises:
            StoreError: If the store cannot be read.
        """
        yield from _named(self.root / "blobs" / "sha256", "")

    def made(self, kind: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the same of the derived files of a kind, with the digests of the assets they were made from."""
        yield from _named(self.state / "derived" / kind, f".{kind}")

    def used(self, digest: str) -> float | None:
        """Return when this user used a file, or what was made from it, last; None where that is not known.

        In seconds since 1970, to the hour.
        """
        times = []
        for kind in ("blobs", *self.kinds()):
            with suppress(OSError):
                times.append(self._record_path(kind, digest).stat().st_mtime)
        return max(times, default=None)

    def used_by_others(self) -> dict[str, float]:
        """Return when users who share this store used each file last, by digest, as far as they could note it."""
        found: dict[str, float] = {}
        with suppress(OSError), os.scandir(self.root / "used") as listed:
            for entry in listed:
                digest = entry.name.partition(".")[0]
                if _is_digest(digest):
                    with suppress(OSError):
                        # A time in the future would keep a file for ever.
                        when = min(entry.stat(follow_symlinks=False).st_mtime, time.time())
                        found[digest] = max(when, found.get(digest, 0.0))
        return found

    # -- places ----------------------------------------------------------------------------------------------------

    def _blob_path(self, digest: str, root: Path | None = None) -> Path:
        if not _HEX.issuperset(digest):
            raise ArgumentError(f"{digest!r} is not a SHA-256 digest", hint="parse it with Digest.parse")
        return (root or self.root) / "blobs" / "sha256" / digest[:2] / digest

    def _derived_path(self, digest: str, kind: str, state: Path | None = None) -> Path:
        if len(digest) != FULL_LENGTH or not _HEX.issuperset(digest) or not kind.isidentifier():
            raise ArgumentError(f"{digest!r} and {kind!r} do not name a derived file", hint="give the whole digest")
        return (state or self.state) / "derived" / kind / digest[:2] / f"{digest}.{kind}"

    def _record_path(self, kind: str, digest: str) -> Path:
        return self.state / "records" / kind / digest[:2] / f"{digest}.json"

    def _temporary(self, digest: str, kind: str) -> Path:
        """Make up a temporary path; its name begins with the key of the lock under which it is written."""
        return self.state / "temporary" / f"{digest}.{os.urandom(4).hex()}.{kind}.part"


class Writer:
    """Takes the bytes of one asset, hashing them on their way to the disk. Made by :meth:`Store.writer`."""

    def __init__(self, store: Store, digest: Digest, source: str, size: int | None, limit: int) -> None:
        self._store = store
        self._promise = Expected(digest=digest, source=source, size=size, limit=limit)
        self._hash = hashlib.sha256()
        self._written = 0
        self._stream: BinaryIO | None = None
        self._temporary = store._temporary(digest.hex, "blob")  # noqa: SLF001 (Writer is the store's other half)
        self.expect(size)
        try:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._stream = files.create(self._temporary)
        except OSError as error:
            raise files.store_error(error, store.root, needed=size) from error

    @property
    def written(self) -> int:
        """Bytes written so far."""
        return self._written

    def expect(self, size: int | None) -> None:
        """Say how many bytes will come, as the other side states it (a server's Content-Length).

        Raises:
            FetchError: If these are other than the card's, or more than may come.
            StoreError: If the disk has no room for them.
        """
        if size is None:
            return
        self._promise.check_offered(size)
        free = files.free_bytes(self._store.root)
        if free is not None and size > free:
            raise files.full_error(self._store.root / "blobs", needed=size)

    def write(self, data: bytes) -> None:
        """Take some bytes.

        Raises:
            FetchError: If more come than may.
            StoreError: If the disk is full.
        """
        if self._stream is None:
            raise StoreError("this writer is closed")
        total = self._written + len(data)
        self._promise.check_coming(total)
        self._hash.update(data)
        try:
            files.write_all(self._stream, data)
        except OSError as error:
            raise files.store_error(error, self._temporary, needed=self._promise.size) from error
        self._written = total

    def commit(self) -> Stored:
        """Check size and digest, and make the file visible under its digest.

        Raises:
            DigestError: If the bytes have another digest; they are deleted.
            FetchError: If there are fewer bytes than there must be.
            StoreError: If the disk fails.
        """
        if self._stream is None:
            raise StoreError("this writer is closed")
        actual = self._hash.hexdigest()
        self._promise.check_whole(self._written, actual)
        path = self._store._blob_path(actual)  # noqa: SLF001 (Writer is the store's other half)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.settle(self._stream, self._temporary, path, read_only=True, durable=self._store.durable)
            found = path.stat()
        except OSError as error:
            raise files.store_error(error, path, needed=self._written) from error
        self._stream = None
        record = _Record.of(actual, found)
        self._store._remember(record, path, self._store._record_path("blobs", actual))  # noqa: SLF001 (the same)
        return Stored(path=path, digest=actual, size=self._written)

    def discard(self) -> None:
        """Delete what was written and not committed."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            with suppress(OSError):
                self._temporary.unlink()
