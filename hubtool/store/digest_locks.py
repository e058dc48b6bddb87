"""The locks of a store: whatever is written for a digest is written under its lock."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hubtool import files
from hubtool.digest import SHORTEST
from hubtool.errors import StoreError
from hubtool.locking import FileLock
from hubtool.store.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PATIENCE_SECONDS = 600.0
"""Seconds that a process waits for another's lock while nothing moves."""

_held = threading.local()


class DigestLocks(Layout):
    """One lock for each digest, by its first digits: one process and thread at a time writes for it.

    Attributes:
        patience: Seconds to wait for another process that holds a lock and makes no progress.
        locked_by: How many of a digest's first digits name its lock.
    """

    def __init__(
        self, root: Path, state: Path | None = None, *, patience: float = PATIENCE_SECONDS, locked_by: int = SHORTEST
    ) -> None:
        super().__init__(root, state)
        self.patience = patience
        self.locked_by = locked_by

    @contextmanager
    def lock(self, key: str, *, patience: float | None = None) -> Iterator[FileLock]:
        """Hold the lock of a digest (or of its beginning): one process and thread at a time.

        The same thread may take it again while it holds it. A holder that dies, however it dies, frees it.

        Args:
            key: The digest; its first digits count, so that a short digest and its whole one are one key.
            patience: Seconds to wait for a holder that makes no progress; the store's own by default.

        Raises:
            StoreError: If the lock cannot be made, or its holder makes no progress for that long.
        """
        name = key[: self.locked_by]
        path = self.lock_path(key)
        held: dict[Path, FileLock] = _held.__dict__.setdefault("locks", {})
        if path in held:
            yield held[path]
            return
        lock = FileLock(path)
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
        return self.lock_path(key) in _held.__dict__.get("locks", ())

    def lock_path(self, key: str) -> Path:
        """Return where the lock of a digest is."""
        return self.state / "locks" / f"{key[: self.locked_by]}.lock"

    def _wait(self, lock: FileLock, name: str, patience: float) -> None:
        """Wait for a lock while its holder makes progress."""
        if lock.acquire(0):
            return
        parts, since = self._parts(name), time.monotonic()
        while not lock.acquire(min(1.0, patience)):
            now = self._parts(name)
            if now != parts:
                parts, since = now, time.monotonic()
            if time.monotonic() - since >= patience:
                idle = f", and has made no progress for {patience:g} seconds"
                raise StoreError(
                    f"another process holds {lock.path}{idle if patience else ': it is writing this file'}",
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

    def remove_locks(self) -> None:
        """Remove the lock files that no process holds: each digest that was ever written has one."""
        for path in (self.state / "locks").glob("*.lock"):
            lock = FileLock(path)
            with suppress(OSError):
                if lock.acquire(0):
                    lock.remove()
