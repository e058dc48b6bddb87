"""Verifying files: a file is hashed again only if it may have changed, and moved into quarantine if it is wrong."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import files, mismatch
from hubtool.digest import SHORTEST, Digest, digest_file
from hubtool.errors import DigestError, StoreError
from hubtool.store.digest_locks import PATIENCE_SECONDS
from hubtool.store.records import Record, Stored
from hubtool.store.temporary import TemporaryFiles

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Result of hashing a stored file again.

    Attributes:
        stored: The file, if it is right.
        moved: Whether it was wrong, and was moved into quarantine.
        reason: If it is not right and was not moved: what is the matter with it, as in "it ...".
    """

    stored: Stored | None = None
    moved: bool = False
    reason: str = ""


GONE = Verification(reason="no longer exists")


class VerifiedFiles(TemporaryFiles):
    """Files that have their digest, by their records or by hashing them.

    Attributes:
        durable: Whether what is stored survives a failing power. Where it need not, because it is on its way to
            another place, nothing is flushed and nothing is recorded: what a later process finds there it hashes.
    """

    def __init__(
        self,
        root: Path,
        state: Path | None = None,
        *,
        patience: float = PATIENCE_SECONDS,
        locked_by: int = SHORTEST,
        durable: bool = True,
    ) -> None:
        super().__init__(root, state, patience=patience, locked_by=locked_by)
        self.durable = durable
        # Where records cannot be written, one process at least need not hash a file twice.
        self._known: dict[Path, Record] = {}

    def _verified(self, path: Path, record_path: Path, digest: str, *, key: str) -> Stored | None:
        """Return a file if it has its digest, hashing it if it may have changed; else move it away."""
        return self._verify(path, record_path, digest, key=key, trusting=True).stored

    def _verify(
        self, path: Path, record_path: Path, digest: str, *, key: str, trusting: bool, source: str = ""
    ) -> Verification:
        """Check a file's digest, by its record or by hashing it; move a wrong file into quarantine."""
        for _ in range(3):
            try:
                if trusting and self._unchanged(path, record_path, digest):
                    return Verification(stored=Stored(path=path, digest=digest, size=path.stat().st_size))
                before = path.stat()
                actual = digest_file(path)
                after = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return GONE
            except OSError as error:
                raise files.store_error(error, path) from error
            record = Record.of(actual, after, source=source)
            if record != Record.of(actual, before, source=source):
                continue  # written to, or replaced, while we read
            if actual == digest:
                # The record is all that is known of a derived file, so only :meth:`derive` writes it.
                if not source and Record.read(record_path) != record:
                    self.remember(record, path, record_path)
                return Verification(stored=Stored(path=path, digest=digest, size=after.st_size))
            judgement = self._quarantine(path, record_path, record, key)
            if judgement is not None:
                return judgement
        return Verification(reason="was written to whenever it was read")

    def _unchanged(self, path: Path, record_path: Path, digest: str) -> bool:
        now = Record.of(digest, path.stat())
        return now in (self._known.get(path), Record.read(record_path))

    def remember(self, record: Record, path: Path, record_path: Path) -> None:
        """Record what a file is, on the disk or else in this process."""
        if not self.durable or not record.write(record_path):
            self._known[path] = record

    def committed(self, digest: str, path: Path) -> Stored:
        """Remember a file that was just put into its place."""
        try:
            found = path.stat()
        except OSError as error:
            raise files.store_error(error, path) from error
        self.remember(Record.of(digest, found), path, self.record_path("blobs", digest))
        return Stored(path=path, digest=digest, size=found.st_size)

    def _quarantine(self, path: Path, record_path: Path, wrong: Record, key: str) -> Verification | None:
        """Move a wrong file away, and say whether that could be done; None if another file has taken its place."""
        aside = self.state / "quarantine"
        try:
            # In a store that we may not write, the file counts as absent and must stay where it is. A process that
            # holds the lock is about to put the right file there: there is no need to wait.
            with self.lock(key, patience=0):
                # Between the hashing and the lock, another process may have put the right file there.
                if Record.of(wrong.digest, path.stat(), source=wrong.source) != wrong:
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
            return GONE
        except StoreError as error:
            return Verification(reason=f"is wrong, and still there: {error.message}")
        except OSError as error:
            return Verification(reason=f"is wrong, and still there: {files.store_error(error, aside).message}")
        return Verification(moved=True)

    def quarantined(self) -> tuple[Path, ...]:
        """Return the files that were moved into quarantine because they no longer had their digest."""
        try:
            return tuple(sorted((self.state / "quarantine").iterdir()))
        except OSError:
            return ()

    def remove_quarantined(self, path: Path) -> None:
        """Remove a file that was moved into quarantine.

        Raises:
            StoreError: If the store cannot be written.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise files.store_error(error, path) from error

    def verify_in_place(self, path: Path, digest: Digest, *, size: int | None = None) -> Stored:
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
        record_path = self.record_path("local", hashlib.sha256(os.fsencode(path)).hexdigest())
        try:
            for record in (self._known.get(path), Record.read(record_path)):
                if record is not None and Record.of(record.digest, path.stat()) == record:
                    actual, bytes_ = record.digest, record.size
                    break
            else:
                before = path.stat()
                actual, bytes_ = digest_file(path), before.st_size
                record = Record.of(actual, before)
                if Record.of(actual, path.stat()) == record:
                    self.remember(record, path, record_path)
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
