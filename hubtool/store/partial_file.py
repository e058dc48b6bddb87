"""The partial file of an asset: it grows until it is whole, and a later run resumes it.

A partial file is ``<digest>.<random>.blob.part`` in the store's temporary folder. Beside it, ``....blob.part.json``
says what is needed to resume it: how large the whole file is, and which version of which link the bytes are of. None of
this has to be trusted: the bytes of an earlier run are hashed again, and a file with a wrong digest never becomes
visible.
"""

from __future__ import annotations

import json
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, BinaryIO

from hubtool import files, regular
from hubtool.errors import StoreError
from hubtool.store.expected import ExpectedBytes
from hubtool.store.hasher import Hasher

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.digest import Digest
    from hubtool.store.records import Stored
    from hubtool.store.verified import VerifiedFiles

MIN_RESUMABLE_BYTES = 256 << 10
"""Smaller files are fetched from their beginning rather than resumed."""

_SAVE_BYTES = 32 << 20  # bytes after which the position in a file with gaps is saved,
_SAVE_SECONDS = 0.25  # or seconds: a kill loses what came since, and saving takes 0.2 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialInfo:
    """What the bytes of a partial file belong to.

    Attributes:
        size: The bytes of the whole file, or None where no source said so.
        link: A name of the link that they came from; empty where they came from mirrors, by their digest.
        validator: What names the version of the file at that link, for If-Range.
        prefix: Bytes from the first on without a gap, or None for all of the file: while several connections write,
            it has gaps.
        host: The machine that writes it.
    """

    size: int | None = None
    link: str = ""
    validator: str | None = None
    prefix: int | None = None
    host: str = ""

    @classmethod
    def read(cls, path: Path) -> PartialInfo | None:
        """Read what was saved; None if it is missing or damaged."""
        try:
            raw = json.loads(regular.read_bytes(path))
            if isinstance(raw, dict):
                raw.setdefault("validator", raw.get("proof"))  # the name that versions before 0.1.0 gave it
            values = {field.name: raw[field.name] for field in fields(cls)}
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            return None
        whole = all(
            value is None or (type(value) is int and value >= 0) for value in (values["size"], values["prefix"])
        )
        text = all(isinstance(values[name], str) for name in ("link", "host"))
        if not whole or not text or not (values["validator"] is None or isinstance(values["validator"], str)):
            return None
        return cls(**values)


class PartialFile:
    """The file that an asset is written to. Made and used under the lock of its digest.

    One thread writes, or several with :meth:`write_at`; another one hashes what was written.

    Attributes:
        position: Bytes from the first on without a gap.
        info: What they belong to.
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
        resume: bool = True,
    ) -> None:
        """Resume the partial file of an earlier run, or begin a new one.

        Args:
            store: Where it grows.
            digest: What the bytes must have.
            source: Where they come from, as errors name it.
            size: How many bytes there must be, where the card says it.
            limit: The most bytes that are taken.
            exclusive: Whether no other process can be writing to the partial file of an earlier run (see
                :class:`~hubtool.locking.FileLock`).
            only: The name of the one link whose bytes may be resumed, or None for any: of a short digest, bytes from
                elsewhere may be of another file.
            resume: Whether the partial file of an earlier run is resumed.

        Raises:
            FetchError: If ``size`` is above the limit.
            StoreError: If the store cannot be written.
        """
        self.position = 0
        self.info = PartialInfo()
        self.resumed = False
        self._store = store
        self._expected = ExpectedBytes(digest=digest, source=source, size=size, limit=limit)
        self._only = only
        self._saved: PartialInfo | None = None  # what is saved on the disk
        self._stream: BinaryIO | None = None
        self._path = store.temporary_path(digest.hex, "blob")
        self._hasher = Hasher()
        self._saved_at = 0.0
        self._expected.check_stated()
        try:
            if not (resume and self._take_over(exclusive=exclusive)):
                try:
                    self._stream = files.create(self._path)
                except FileNotFoundError:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._stream = files.create(self._path)
        except OSError as error:
            self._close()
            raise files.store_error(error, store.root, needed=size) from error

    # -- resuming ----------------------------------------------------------------------------------------------------

    def _take_over(self, *, exclusive: bool) -> bool:
        """Resume the largest partial file that fits, and remove the others."""
        found = []
        ours = self._expected.digest.hex
        there = self._store.temporary_files_of(ours)
        for path in there:
            info = PartialInfo.read(_info_path(path)) if path.name.endswith(".blob.part") else None
            named = path.name.partition(".")[0]
            if info is None or not (named.startswith(ours) or ours.startswith(named)):
                continue
            if self._only is not None and info.link != self._only:
                continue
            with suppress(OSError):
                length = path.lstat().st_size
                found.append((min(length, length if info.prefix is None else info.prefix), path, info))
        for length, path, info in sorted(found, key=lambda one: one[0], reverse=True):
            fits = info.size is None or (self._expected.size in (None, info.size) and length <= info.size)
            if self._stream is None and length and fits:
                with suppress(OSError, StoreError):
                    self._resume(path, length, info, exclusive=exclusive)
        for path in there:
            if self._stream is None or path not in (self._path, _info_path(self._path)):
                with suppress(OSError):
                    path.unlink()
        return self._stream is not None

    def _resume(self, path: Path, length: int, info: PartialInfo, *, exclusive: bool) -> None:
        stream = files.reopen(path)
        there: PartialInfo | None = info
        if not (exclusive and info.host == platform.node()):
            # Its writer may be alive behind a lock that does not reach this machine: work on a copy.
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
        self._saved = there
        stream.truncate(length)
        self.position = length
        self.resumed = True
        self._hasher.follow(stream, length)
        self.save_info(PartialInfo(size=info.size, link=info.link, validator=info.validator, host=platform.node()))

    def save_info(self, info: PartialInfo) -> None:
        """Save what the bytes belong to, so that a later run can resume them.

        Raises:
            StoreError: If it cannot be written.
        """
        self.info = info
        self._saved_at = time.monotonic()
        path = _info_path(self._path)
        temporary = path.with_name(f"{path.name}.new")
        try:
            temporary.write_bytes(json.dumps(asdict(info)).encode())
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise files.store_error(error, path) from error
        self._saved = info

    # -- bytes -------------------------------------------------------------------------------------------------------

    def expect(self, size: int | None) -> None:
        """Note how many bytes the whole file will have, as the other side states it.

        Raises:
            FetchError: If these are other than the card's, or more than may come.
            StoreError: If the disk has no room for them.
        """
        if size is None:
            return
        self._expected.check_offered(size)
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
        """Take some bytes; :meth:`reached` says when there is no longer a gap before them.

        Raises:
            FetchError: If they lie behind the end.
            StoreError: If the disk is full.
        """
        end = offset + len(block)
        self._expected.check_coming(end)
        stream = self._open()
        try:
            files.write_at(stream, block, offset)
        except OSError as error:
            raise files.store_error(error, self._path, needed=self.info.size) from error

    def reached(self, position: int) -> None:
        """Note up to where there are no gaps."""
        self.position = position
        self._hasher.follow(self._open(), position)
        prefix = self.info.prefix
        if prefix is None or position <= prefix:
            return
        if position - prefix >= _SAVE_BYTES or time.monotonic() - self._saved_at >= _SAVE_SECONDS:
            self.save_info(replace(self.info, prefix=position))

    def restart(self) -> None:
        """Throw all bytes away.

        Raises:
            StoreError: If the disk does not let us.
        """
        self._hasher.end()
        self._hasher = Hasher()
        self.position = 0
        self.resumed = False
        self.info = PartialInfo()
        try:
            self._open().truncate(0)
            _info_path(self._path).unlink(missing_ok=True)
            self._saved = None
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
            raise StoreError("this partial file is closed", hint="begin a new one")
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
        self._expected.check_whole(self.position, actual)
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
        if self._saved is not None:
            with suppress(OSError):  # the next writer removes what is saved of no file
                _info_path(self._path).unlink(missing_ok=True)
        return store.committed(actual, path)

    def keep(self) -> bool:
        """Close the file, and keep it if a later run can resume it; return whether it can."""
        if self._stream is None:
            return False
        there = self._saved
        keep = there is not None and self.position > 0
        if keep:
            with suppress(OSError):
                self._hasher.end()
            try:
                if not self._stream.closed:  # it is closed where only the rename failed
                    files.same_file(self._stream, self._path)
                    self._stream.truncate(self.position)
            except OSError:
                keep = False
        if keep and there is not None and self.info.prefix is not None:
            try:
                self.save_info(replace(self.info, prefix=None))
            except StoreError:
                # The disk may be too full to save more. What is saved says less, and is still true.
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


def _info_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remove(path: Path) -> None:
    for one in (path, _info_path(path)):
        with suppress(OSError):
            one.unlink()
