"""SHA-256 of a file while it is written."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from typing import BinaryIO

from hubtool import files

_READ_BYTES = 1 << 20
_MAX_UNHASHED_BYTES = 8 << 20  # bytes that may wait to be hashed, per file
_BLOCKS_PER_HANDOVER = 4  # blocks that are handed to the hasher at once
_WAIT_SECONDS = 0.0005  # seconds to wait for the hasher; a bounded queue would take longer for each block


class Hasher:
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
            if len(self._handed) >= _BLOCKS_PER_HANDOVER:
                self._hand()
            while self._fed - self._hashed > _MAX_UNHASHED_BYTES and self._failure is None:
                time.sleep(_WAIT_SECONDS)

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
            block = files.read_at(stream, self._hashed, min(_READ_BYTES, position - self._hashed))
            if not block:
                raise OSError(None, "the partial file became shorter")
            self._hash.update(block)
            self._hashed += len(block)
