"""The partial file of an asset: it grows until it is whole, and a later run resumes it.

A part stands in the store's temporary folder as ``<digest>.<random>.blob.part``. Beside it, in ``....blob.part.json``,
stands what is needed to go on: how large the whole file is, and which version of which link the bytes are of. The bytes
of a part from an earlier run are hashed again, and a whole file whose digest is wrong is never shown, so nothing of
this has to be trusted.
"""

from __future__ import annotations

import hashlib
import json
import platform
import queue
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, BinaryIO

from hubtool import files, regular
from hubtool.errors import StoreError
from hubtool.store.expected import Expected

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.digest import Digest
    from hubtool.store.records import Stored
    from hubtool.store.verified import VerifiedFiles

MIN_RESUMABLE_BYTES = 256 << 10
"""Smaller files are fetched anew rather than resumed."""

_BLOCK = 1 << 20
_NOTED = 32 << 20  # bytes after which a file with gaps is noted anew,
_NOTED_AFTER = 0.25  # or seconds: what came since is lost by a kill, and to note it takes 0.2 ms
_AHEAD = 8 << 20  # bytes that may wait to be hashed, per file
_TOGETHER = 4  # blocks that are handed to the hasher at once
_BREATH = 0.0005  # seconds to wait for the hasher; a bounded queue would take longer for each block


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the bytes of a part are bytes of.

    Attributes:
        size: The bytes of the whole file, or None where nobody said.
        link: A name of the link that they came from; empty where they came from mirrors, by their digest.
        proof: What names the version of the file at that link, for If-Range.
        prefix: How many bytes from the first on are there, or None for all that the file has: while several
            connections write, it has gaps.
        host: The machine that writes it.
    """

    size: int | None = None
    link: str = ""
    proof: str | None = None
    prefix: int | None = None
    host: str = ""

    @classmethod
    def read(cls, path: Path) -> Origin | None:
        """Read what was noted; what is missing or damaged is None."""
        try:
            raw = json.loads(regular.read_bytes(path))
            values = {field.name: raw[field.name] for field in fields(cls)}
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            return None
        whole = all(
            value is None or (type(value) is int and value >= 0) for value in (values["size"], values["prefix"])
        )
        text = all(isinstance(values[name], str) for name in ("link", "host"))
        if not whole or not text or not (values["proof"] is None or isinstance(values["proof"], str)):
            return None
        return cls(**values)


class PartialFile:
    """One asset on its way. Made and used under the lock of its digest.

    One thread writes, or several with :meth:`write_at`; another one hashes what was written.

    Attributes:
        position: How many bytes from the first on are there.
        origin: What they are bytes of.
        resumed: Whether bytes of an earlier run, or of several answers, are among them.
    """

    def __init__(
        self,
        store: VerifiedFiles,
        digest: Digest,
        *,
        source: str,
        size: int | None,
        limit: int,
        exclusive: bool,
        only: str | None = None,
    ) -> None:
        """Take over the part of an earlier run, or begin a new one.

        Args:
            store: Where it grows.
            digest: What the bytes must have.
            source: Where they come from, as errors shall name it.
            size: How many bytes there must be, where the card says it.
            limit: The most bytes that are taken.
            exclusive: Whether nobody else can be writing to the part of an earlier run (see :class:`Lock`).
            only: The name of the one link whose bytes may be resumed, or None for any: of a short digest, bytes from
                elsewhere may be of another file.

        Raises:
            FetchError: If ``size`` is above the limit.
            StoreError: If the store cannot be written.
        """
        self.position = 0
        self.origin = Origin()
        self.resumed = False
        self._store = store
        self._promise = Expected(digest=digest, source=source, size=size, limit=limit)
        self._only = only
        self._there: Origin | None = None  # what the note on the disk says
        self._stream: BinaryIO | None = None
        self._path = store.temporary_path(digest.hex, "blob")
        self._hasher = _Hasher()
        self._noted = 0.0
        self._promise.check_promised()
        try:
            if not self._take_over(exclusive=exclusive):
                try:
                    self._stream = files.create(self._path)
                except FileNotFoundError:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._stream = files.create(self._path)
        except OSError as error:
            self._close()
            raise files.store_error(error, store.root, needed=size) from error

    # -- going on ----------------------------------------------------------------------------------------------------

    def _take_over(self, *, exclusive: bool) -> bool:
        """Go on with the largest part that is there, and remove the others."""
        found = []
        ours = self._promise.digest.hex
        there = self._store.temporary_files_of(ours)
        for path in there:
            origin = Origin.read(_note(path)) if path.name.endswith(".blob.part") else None
            named = path.name.partition(".")[0]
            if origin is None or not (named.startswith(ours) or ours.startswith(named)):
                continue
            if self._only is not None and origin.link != self._only:
                continue
            with suppress(OSError):
                length = path.lstat().st_size
                found.append((min(length, length if origin.prefix is None else origin.prefix), path, origin))
        for length, path, origin in sorted(found, key=lambda one: one[0], reverse=True):
            fits = origin.size is None or (self._promise.size in (None, origin.size) and length <= origin.size)
            if self._stream is None and length and fits:
                with suppress(OSError, StoreError):
                    self._adopt(path, length, origin, exclusive=exclusive)
        for path in there:
            if self._stream is None or path not in (self._path, _note(self._path)):
                with suppress(OSError):
                    path.unlink()
        return self._stream is not None

    def _adopt(self, path: Path, length: int, origin: Origin, *, exclusive: bool) -> None:
        stream = files.reopen(path)
        there: Origin | None = origin
        if not (exclusive and origin.host == platform.node()):
            # Its writer may be alive, behind a lock that does not reach us: its file is not ours to write to.
            own = files.create(self._path)
            try:
                files.copy(stream, own, length)
            except OSError:
                own.close()
                _remove(self._path)
                raise
            finally:
                stream.close()
            stream, path, there = own, self._path, None
        self._path = path
        self._stream = stream
        self._there = there
        stream.truncate(length)
        self.position = length
        self.resumed = True
        self._hasher.follow(stream, length)
        self.note(Origin(size=origin.size, link=origin.link, proof=origin.proof, host=platform.node()))

    def note(self, origin: Origin) -> None:
        """Write down what the bytes are bytes of, so that a later run can go on with them.

        Raises:
            StoreError: If it cannot be written.
        """
        self.origin = origin
        self._noted = time.monotonic()
        path = _note(self._path)
        temporary = path.with_name(f"{path.name}.new")
        try:
            temporary.write_bytes(json.dumps(asdict(origin)).encode())
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise files.store_error(error, path) from error
        self._there = origin

    # -- bytes -------------------------------------------------------------------------------------------------------

    def expect(self, size: int | None) -> None:
        """Say how many bytes the whole file will have, as the other side states it.

        Raises:
            FetchError: If these are other than the card's, or more than may come.
            StoreError: If the disk has no room for them.
        """
        if size is None:
            return
        self._promise.check_offered(size)
        if size >= MIN_RESUMABLE_BYTES:
            free = files.free_bytes(self._store.root)
            if free is not None and size - self.position > free:
                raise files.full_error(self._store.root / "blobs", needed=size - self.position)
            self._hasher.begin()

    def write(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            FetchError: If more come than may.
            StoreError: If the disk is full.
        """
        self.write_at(self.position, block)
        self._hasher.feed(block)
        self.position += len(block)

    def write_at(self, offset: int, block: bytes) -> None:
        """Take some bytes; :meth:`reached` says when there is no gap before them any more.

        Raises:
            FetchError: If they lie behind the end.
            StoreError: If the disk is full.
        """
        end = offset + len(block)
        self._promise.check_coming(end)
        stream = self._open()
        try:
            files.write_at(stream, block, offset)
        except OSError as error:
            raise files.store_error(error, self._path, needed=self.origin.size) from error

    def reached(self, position: int) -> None:
        """Say up to where there are no gaps."""
        self.position = position
        self._hasher.follow(self._open(), position)
        prefix = self.origin.prefix
        if prefix is None or position <= prefix:
            return
        if position - prefix >= _NOTED or time.monotonic() - self._noted >= _NOTED_AFTER:
            self.note(replace(self.origin, prefix=position))

    def restart(self) -> None:
        """Throw all bytes away.

        Raises:
            StoreError: If the disk does not let us.
        """
        self._hasher.end()
        self._hasher = _Hasher()
        self.position = 0
        self.resumed = False
        self.origin = Origin()
        try:
            self._open().truncate(0)
            _note(self._path).unlink(missing_ok=True)
            self._there = None
        except OSError as error:
            raise files.store_error(error, self._path) from error

    def close_gaps(self) -> None:
        """Throw away what lies behind the first gap.

        Raises:
            StoreError: If the disk does not let us.
        """
        try:
            self._open().truncate(self.position)
        except OSError as error:
            raise files.store_error(error, self._path) from error

    def _open(self) -> BinaryIO:
        if self._stream is None:
            raise StoreError("this part is closed", hint="begin a new one")
        return self._stream

    # -- the end -----------------------------------------------------------------------------------------------------

    def commit(self) -> Stored:
        """Check size and digest, and make the file visible under its digest.

        Raises:
            DigestError: If the bytes have another digest. They are still there, for :meth:`restart` or :meth:`drop`.
            FetchError: If there are fewer bytes than there must be.
            StoreError: If the disk fails.
        """
        stream = self._open()
        try:
            actual = self._hasher.end()
        except OSError as error:
            raise files.store_error(error, self._path) from error
        self._promise.check_whole(self.position, actual)
        store = self._store
        path = store.blob_path(actual)
        try:
            files.same_file(stream, self._path)
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            files.settle(stream, self._path, path, read_only=True, durable=store.durable)
        except OSError as error:
            raise files.store_error(error, path, needed=self.position) from error
        self._stream = None
        if self._there is not None:
            with suppress(OSError):  # a note without its part is removed by the next writer
                _note(self._path).unlink(missing_ok=True)
        return store.committed(actual, path)

    def keep(self) -> bool:
        """Close the file, and leave it to a later run if that can go on with it; return whether it can."""
        if self._stream is None:
            return False
        there = self._there
        keep = there is not None and self.position > 0
        if keep:
            with suppress(OSError):
                self._hasher.end()
            try:
                if not self._stream.closed:  # as it is where all was there, and only the rename failed
                    files.same_file(self._stream, self._path)
                    self._stream.truncate(self.position)
            except OSError:
                keep = False
        if keep and there is not None and self.origin.prefix is not None:
            try:
                self.note(replace(self.origin, prefix=None))
            except StoreError:
                # The disk may be too full for another note. The one that is there says less, and that is still true.
                self.position = self.position if there.prefix is None else there.prefix
                keep = self.position > 0
        if not keep:
            self.drop()
        self._close()
        return keep

    def drop(self) -> None:
        """Delete the file."""
        if self._stream is not None:
            self._close()
            _remove(self._path)

    def _close(self) -> None:
        with suppress(OSError):
            self._hasher.end()
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class _Hasher:
    """SHA-256 over bytes in their order: at once, or, of larger files, in a thread of its own."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._fed = 0
        self._handed: list[bytes] = []
        self._queue: queue.SimpleQueue[list[bytes] | tuple[BinaryIO, int] | None] | None = None
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None

    def begin(self) -> None:
        """Use a thread from here on."""
        if self._thread is None:
            self._fed = self._hashed
            self._queue = queue.SimpleQueue()
            self._thread = threading.Thread(target=self._run, args=(self._queue,), name="hubtool-hash", daemon=True)
            self._thread.start()

    def feed(self, block: bytes) -> None:
        """Hash the next bytes."""
        if self._queue is None:
            self._hash.update(block)
            self._hashed += len(block)
        else:
            # Several at once: to hand one over takes both threads some time.
            self._handed.append(block)
            self._fed += len(block)
            if len(self._handed) >= _TOGETHER:
                self._hand()
            while self._fed - self._hashed > _AHEAD and self._failure is None:
                time.sleep(_BREATH)

    def follow(self, stream: BinaryIO, position: int) -> None:
        """Hash what stands in the file up to a position."""
        self.begin()
        if self._queue is not None:
            self._hand()
            self._queue.put((stream, position))
            self._fed = max(self._fed, position)

    def _hand(self) -> None:
        if self._handed and self._queue is not None:
            self._queue.put(self._handed)
            self._handed = []

    def end(self) -> str:
        """Wait for the thread; return the digest.

        Raises:
            OSError: If the file could not be read.
        """
        if self._thread is not None and self._queue is not None:
            self._hand()
            self._queue.put(None)
            self._thread.join()
            self._thread = None
            self._queue = None
        if self._failure is not None:
            raise self._failure
        return self._hash.hexdigest()

    def _run(self, waiting: queue.SimpleQueue[list[bytes] | tuple[BinaryIO, int] | None]) -> None:
        while (item := waiting.get()) is not None:
            if self._failure is not None:
                continue
            if isinstance(item, list):
                for block in item:
                    self._hash.update(block)
                    self._hashed += len(block)
                continue
            stream, position = item
            try:
                self._read(stream, position)
            except OSError as error:
                self._failure = error

    def _read(self, stream: BinaryIO, position: int) -> None:
        while self._hashed < position:
            block = files.read_at(stream, self._hashed, min(_BLOCK, position - self._hashed))
            if not block:
                raise OSError(None, "the part became shorter")
            self._hash.update(block)
            self._hashed += len(block)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remove(path: Path) -> None:
    for one in (path, _note(path)):
        with suppress(OSError):
            one.unlink()
