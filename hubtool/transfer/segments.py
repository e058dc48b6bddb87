"""One large file over several connections, where that is faster.

The file's rest is handed out in pieces, from its front on. The connection that is open already takes what comes next,
as long as no helper has it; helpers, each with a connection of its own, take the pieces after that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import HubError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.store.partial_file import PartialFile
    from hubtool.transfer.limits import ConnectionLimit

MAX_CONNECTIONS = 8
"""The most connections for one file."""

WINDOW_SECONDS = 0.25
"""Seconds over which the speed of the first connection is measured."""

MIN_REMAINING_SECONDS = 1.5
"""Seconds that the rest of a file must take by one connection, for more connections to pay off."""

MAX_BYTES_PER_SECOND = 128 << 20
"""Speed above which the machine is the limit, and not the network."""

MIN_PIECE_BYTES = 4 << 20
"""The fewest bytes that a connection is asked for."""

MAX_PIECE_BYTES = 64 << 20
"""The most bytes that a connection is asked for."""

_REPORT_BYTES = 1 << 20


def pays_off(remaining: int, speed: float) -> bool:
    """Whether more connections may help.

    Args:
        remaining: The bytes that are missing.
        speed: Bytes per second by one connection.
    """
    big_enough = remaining >= 4 * MIN_PIECE_BYTES and remaining > MIN_REMAINING_SECONDS * speed
    return big_enough and speed < MAX_BYTES_PER_SECOND


@dataclass(slots=True, eq=False)
class Piece:
    """A byte range that one connection downloads: from ``at`` up to, not including, ``end``.

    Attributes:
        began: Whether any of its bytes were received.
    """

    at: int
    end: int
    began: bool = False


class Segments:
    """The pieces of one file, and the helpers that bring them.

    Attributes:
        failure: The first disk error of a helper, or None. A server's refusal is not an error here: the piece is put
            back and the caller's connection downloads it.
    """

    def __init__(
        self,
        part: PartialFile,
        *,
        size: int,
        bring: Callable[[Piece, Segments], None],
        connections: ConnectionLimit,
    ) -> None:
        """Begin with one connection, the caller's.

        Args:
            part: What the pieces are written to.
            size: The bytes of the whole file.
            bring: Brings a piece by :meth:`write`, in a helper's thread.
            connections: The connections that may be open at once.
        """
        self.failure: HubError | None = None
        self.received = 0  # bytes that came by pieces
        self._part = part
        self._size = size
        self._bring = bring
        self._connections = connections
        share = (size - part.position) // (2 * MAX_CONNECTIONS)
        self._length = min(MAX_PIECE_BYTES, max(MIN_PIECE_BYTES, share))
        self._changed = threading.Condition()
        self._next = self._told = part.position
        self._back: list[tuple[int, int]] = []
        self._pieces: set[Piece] = set()
        self._helpers: set[threading.Thread] = set()
        self._stopped = False

    # -- pieces ------------------------------------------------------------------------------------------------------

    def take(self) -> Piece | None:
        """Take the next piece, or None if there is none left."""
        with self._changed:
            if self._stopped:
                return None
            if self._back:
                self._back.sort()
                piece = Piece(*self._back.pop(0))
            elif self._next < self._size:
                piece = Piece(self._next, min(self._size, self._next + self._length))
                self._next = piece.end
            else:
                return None
            self._pieces.add(piece)
            return piece

    def write(self, piece: Piece, block: bytes) -> int:
        """Write as much of a block as is the piece's; return how many bytes that were.

        Raises:
            StoreError: If the disk is full.
        """
        if self._stopped:
            return 0
        block = block[: piece.end - piece.at]
        self._part.write_at(piece.at, block)
        with self._changed:
            piece.at += len(block)
            piece.began = True
            self.received += len(block)
            if piece.at >= piece.end:
                self._pieces.discard(piece)
            front = self._front()
            if front - self._told >= _REPORT_BYTES or front == self._size > self._told:
                self._told = front
                self._part.reached(front)
        return len(block)

    def extend(self, piece: Piece) -> bool:
        """Extend a finished piece if no connection brings the bytes after it; return whether it was extended."""
        with self._changed:
            if self._stopped:
                return False
            # A server that turns helpers away may still send all of it by the connection that it gave us first.
            idle = next((other for other in self._pieces if other.at == piece.end and not other.began), None)
            for index, (at, end) in enumerate(self._back):
                if at == piece.end:
                    del self._back[index]
                    piece.end = end
                    break
            else:
                if idle is not None:
                    # Its helper still waits for an answer, which may be a refusal: this connection brings it instead.
                    self._pieces.discard(idle)
                    piece.end, idle.end = idle.end, idle.at
                elif piece.end != self._next or self._next >= self._size:
                    return False
                else:
                    piece.end = self._next = min(self._size, self._next + self._length)
            self._pieces.add(piece)
            return True

    def give_back(self, piece: Piece) -> None:
        """Leave the rest of a piece to others."""
        with self._changed:
            if piece in self._pieces:
                self._pieces.discard(piece)
                self._back.append((piece.at, piece.end))
                self._changed.notify_all()

    def _front(self) -> int:
        return min([self._next, *(piece.at for piece in self._pieces), *(at for at, _ in self._back)])

    # -- helpers -----------------------------------------------------------------------------------------------------

    def start_helpers(self) -> None:
        """Start a helper for each connection that is free and has a piece to bring."""
        with self._changed:
            pieces = -(-(self._size - self._next) // self._length)
            for _ in range(min(MAX_CONNECTIONS - 1, pieces)):
                if not self._connections.take_spare():
                    return
                helper = threading.Thread(target=self._help, name="hubtool-segment", daemon=True)
                self._helpers.add(helper)
                helper.start()

    def _help(self) -> None:
        try:
            while not self._connections.is_wanted and (piece := self.take()) is not None:
                try:
                    self._bring(piece, self)
                finally:
                    self.give_back(piece)
        except StoreError as error:
            self.failure = error
        except HubError:
            pass  # perhaps the server allows fewer connections: others bring the piece
        finally:
            with self._changed:
                self._helpers.discard(threading.current_thread())
                self._changed.notify_all()
            self._connections.give_back()

    def wait(self) -> bool:
        """Wait until there is a piece to take again, or the helpers are done; return whether there may be more to do.

        Raises:
            StoreError: If a helper could not write.
        """
        with self._changed:
            while self._helpers and not self._back and self.failure is None:
                self._changed.wait(0.5)
            if self.failure is not None:
                raise self.failure
            return bool(self._helpers or self._back or self._next < self._size)

    def stop(self, abort: Callable[[set[int]], None]) -> None:
        """End all helpers, wait for them, and tell the part how far there are no gaps."""
        with self._changed:
            self._stopped = True
            helpers = list(self._helpers)
        while any(helper.is_alive() for helper in helpers):
            # Again and again: one that was about to open its connection had none to be shut down yet.
            abort({helper.ident for helper in helpers if helper.ident is not None})
            for helper in helpers:
                helper.join(0.05)
        with self._changed:
            self._told = max(self._told, self._front())
            self._part.reached(self._told)
