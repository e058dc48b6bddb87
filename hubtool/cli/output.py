"""Standard output, which may be full, or closed: an error of its own, and no traceback."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


class OutputError(Exception):
    """Standard output cannot be written.

    No OSError, which a command may take for that of a file, and which click makes an exit of in its own way.

    Attributes:
        message: What is wrong.
        hint: What to do about it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.message = f"standard output cannot be written: {reason}"
        self.hint = "make room where it leads to, or have it lead elsewhere"


class ClosedError(Exception):
    """Nobody reads standard output any more (``hubtool list | head``): no one is left to be told."""


class _Guarded(io.BufferedWriter):
    """A buffer with errors that tell whose they are.

    Not the file below it: a signal that comes when that has written, and before the buffer knows, has all of it written
    once more.
    """

    def write(self, data: Buffer, /) -> int:
        """Write some bytes.

        Raises:
            ClosedError: If nobody reads them.
            OutputError: If they cannot be written.
        """
        with _told():
            return super().write(data)

    def flush(self) -> None:
        """Write what is left; raises what :meth:`write` does."""
        with _told():
            super().flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ClosedError from None
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from None


def guard() -> None:
    """Have what goes wrong with standard output raise an error of its own; to be called before anything is opened."""
    if os.name == "posix":
        _fill()
    out = sys.stdout
    raw = getattr(out, "buffer", None)
    raw = getattr(raw, "raw", raw)
    # Neither a console of Windows nor what a test put there.
    if type(out) is not io.TextIOWrapper or type(raw) is not io.FileIO:
        return
    stream = _Guarded(io.FileIO(raw.fileno(), "w", closefd=False))
    at_once = out.line_buffering or out.write_through
    sys.stdout = io.TextIOWrapper(stream, encoding=out.encoding, errors=out.errors, line_buffering=at_once)


def _fill() -> None:
    """Put something where a standard stream is closed: the next file to be opened would take its number."""
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        if not _is_open(number):
            os.open(os.devnull, flags)  # standard output's cannot be written, as it could not be before
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), line_buffering=True)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def drop() -> None:
    """Let what is still to be written be lost: at its end, Python would try once more."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
