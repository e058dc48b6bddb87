"""The store: verified files by their digest, shared by all processes of a machine.

Under the root, every path relative, so that the whole folder can be moved::

    blobs/sha256/ab/<digest>                       an asset, under its own SHA-256
    derived/<kind>/ab/<digest>.<kind>              a file made from that asset, such as its safetensors copy
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

import json
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hubtool import files, ownership
from hubtool.digest import FULL_LENGTH, SHORTEST, Digest, digest_file
from hubtool.errors import DigestError, StoreError
from hubtool.store.derived import DerivedFiles
from hubtool.store.digest_locks import PATIENCE_SECONDS
from hubtool.store.partial_file import PartialFile
from hubtool.store.records import (
    HEX,
    MAX_RECORD_BYTES,
    Record,
    Stored,
    is_digest,
    mark_used,
    named,
    touch,
    write_in_place,
)
from hubtool.store.verified import GONE, Verification

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


MAX_BYTES = 64 << 30
"""The largest asset that is taken where nothing states its size: 64 GiB."""


class Store(DerivedFiles):
    """The files under one root folder, by digest.

    Several processes and threads may use one root at the same time, each with a Store of its own or a common one. A
    root that cannot be written can be read.

    Attributes:
        root: The folder; made by the first write.
        patience: Seconds to wait for another process that holds a lock and makes no progress.
        state: The folder of everything but the blobs, in the same file system; the root itself by default.
        shared: Folders with blobs of their own (stores or mirrors), looked in after the root and never written.
        durable: Whether what is stored survives a failing power. Where it need not, because it is on its way to
            another place, nothing is flushed and nothing is recorded: what a later process finds there it hashes.
        locked_by: How many of a digest's first digits name its lock. Fewer digits make fewer locks, each for many
            digests, for a writer that holds one while it writes them all.
    """

    def __init__(
        self,
        root: Path,
        *,
        patience: float = PATIENCE_SECONDS,
        state: Path | None = None,
        shared: Sequence[Path] = (),
        durable: bool = True,
        locked_by: int = SHORTEST,
    ) -> None:
        super().__init__(root, state, patience=patience, locked_by=locked_by, durable=durable)
        self.shared = tuple(folder.absolute() for folder in shared)

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
        raw = ownership.read_own_json(self.link_record_path(digest.hex, link), MAX_RECORD_BYTES)
        if not isinstance(raw, dict) or raw.get("link") != link.strip("<> "):
            return None
        whole = raw.get("digest")
        return whole if is_digest(whole) and digest.matches(whole) else None

    def came_from(self, link: str, digest: str) -> bool:
        """Record that the file of a whole digest came from a link itself; return whether that could be written."""
        data = json.dumps({"link": link.strip("<> "), "digest": digest}).encode()
        return write_in_place(data, self.link_record_path(digest, link))

    def find_unverified(self, digest: str) -> Stored | None:
        """Return the file of a whole digest without verifying it, for a caller that hashes it; None if absent.

        What turns out to be wrong is moved into quarantine by :meth:`check`.
        """
        for folder in (None, *self.shared):
            path = self.blob_path(digest, folder)
            try:
                found = path.stat()
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                return Stored(path=path, digest=digest, size=found.st_size)
        return None

    def list_group(self, group: str) -> frozenset[str]:
        """Return the digests that are there and begin with these two digits; nothing is verified."""
        found: set[str] = set()
        for root in (self.root, *self.shared):
            with suppress(OSError):
                found.update(os.listdir(root / "blobs" / "sha256" / group))  # noqa: PTH208 (names are wanted)
        return frozenset(name for name in found if len(name) == FULL_LENGTH and HEX.issuperset(name))

    def _shared(self, digest: str, folder: Path) -> Iterator[Stored]:
        """Yield the file of this digest in a shared folder; a wrong file, or one that cannot be read, is not there."""
        path = self.blob_path(digest, folder)
        # A share that is away must not stop what does not need it.
        with suppress(DigestError, StoreError, OSError):
            # The other store's records are its owner's word. Ours is written here, so that each user hashes a file
            # once, and not each process.
            if path.is_file():
                stored = self.verify_in_place(path, Digest(digest))
                mark_used(folder, digest)
                yield stored

    def _blob(self, digest: str) -> Stored | None:
        path, record_path = self.blob_path(digest), self.record_path("blobs", digest)
        found = self._verified(path, record_path, digest, key=digest)
        if found is not None:
            touch(record_path)
        return found

    def check(self, digest: str, *, kind: str | None = None, quarantine: bool = True) -> Verification:
        """Hash a stored file again, whatever its record says; return whether it is right, and what became of it if not.

        Its last use stays what it was.

        Args:
            digest: The whole digest of the asset.
            kind: Check the file of this kind that was made from the asset, instead of the asset.
            quarantine: Whether a wrong file is moved into quarantine.

        Raises:
            StoreError: If the file cannot be read.
        """
        source = ""
        if kind is None:
            path, record_path, own = self.blob_path(digest), self.record_path("blobs", digest), digest
        else:
            path, record_path = self.derived_path(digest, kind), self.record_path(kind, digest)
            record = Record.read(record_path)
            if record is None or record.source != digest:
                return Verification(reason="has no record of what it must be, and is made anew when it is needed")
            own, source = record.digest, digest
        if quarantine:
            return self._verify(path, record_path, own, key=digest, trusting=False, source=source)
        try:
            right, size = digest_file(path) == own, path.stat().st_size
        except FileNotFoundError:
            return GONE
        except OSError as error:
            raise files.store_error(error, path) from error
        if not right:
            return Verification(reason="is wrong")
        return Verification(stored=Stored(path=path, digest=own, size=size))

    @contextmanager
    def writer(
        self, digest: Digest, *, source: str = "the file", size: int | None = None, limit: int = MAX_BYTES
    ) -> Iterator[PartialFile]:
        """Write a new file for a digest, under its lock; without :meth:`PartialFile.commit` nothing of it stays.

        Args:
            digest: The digest, whole or short, that the bytes must have.
            source: Where they come from, as errors name it.
            size: How many bytes there must be, where that is known.
            limit: The most bytes that are taken.

        Raises:
            FetchError: If ``size`` is above the limit.
            StoreError: If the store cannot be written, or the disk has no room for ``size`` bytes.
        """
        with self.lock(digest.hex):
            self.clean()
            self.remove_temporary_files(digest.hex[:SHORTEST])
            part = PartialFile(self, digest, source=source, size=size, limit=limit, exclusive=False, resume=False)
            try:
                part.expect(size)
                yield part
            finally:
                part.drop()

    def remove(self, digest: str) -> bool:
        """Remove a file, what was made from it, and their records; return whether there was one.

        A process that has the file open goes on reading it (on Windows, the file then stays, which is an error here).

        Raises:
            StoreError: If another process is writing it, or the store cannot be written.
        """
        path = self.blob_path(digest)
        with self.lock(digest, patience=0):
            try:
                there = False
                for kind in self.kinds():
                    with suppress(FileNotFoundError):
                        self.derived_path(digest, kind).unlink()
                        there = True
                    self.record_path(kind, digest).unlink(missing_ok=True)
                there = there or path.exists()
                path.unlink(missing_ok=True)
                # The record goes last: a kill in between leaves a record without a file, which means nothing.
                self.record_path("blobs", digest).unlink(missing_ok=True)
            except OSError as error:
                raise files.store_error(error, path) from error
            self._known.pop(path, None)
        return there

    def blobs(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the digest of every file in the root's blobs, and what the system says of it, in order of digests.

        Nothing is verified, and the shared folders are not listed.

        Raises:
            StoreError: If the store cannot be read.
        """
        yield from named(self.root / "blobs" / "sha256", "")

    def used(self, digest: str) -> float | None:
        """Return when this user used a file, or what was made from it, last; None where that is not known.

        In seconds since 1970, to the hour.
        """
        times = []
        for kind in ("blobs", *self.kinds()):
            with suppress(OSError):
                times.append(self.record_path(kind, digest).stat().st_mtime)
        return max(times, default=None)

    def used_by_others(self) -> dict[str, float]:
        """Return when users who share this store used each file last, by digest, as far as they could note it."""
        found: dict[str, float] = {}
        with suppress(OSError), os.scandir(self.root / "used") as listed:
            for entry in listed:
                digest = entry.name.partition(".")[0]
                if is_digest(digest):
                    with suppress(OSError):
                        # A time in the future would keep a file for ever.
                        when = min(entry.stat(follow_symlinks=False).st_mtime, time.time())
                        found[digest] = max(when, found.get(digest, 0.0))
        return found
