"""Standard output and standard error: the one place through which every text goes that is printed.

- Texts come from cards, registries, servers and code, and a control character in them could steer the terminal: what is
  not printable is spelled out, at the sink, so that no command can forget it. hubtool's own styles and cursor movements
  are marked with a token that is random in each process, and become terminal codes after the cleaning.
- Standard output may be full, or closed: an error of its own, and no traceback.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from typing_extensions import Buffer


_MARK = f"\x02{os.urandom(12).hex()}:"
_END = "\x03"
# Spaces of other scripts, above all the ideographic one, which Python does not call printable.
_SPACES = frozenset("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
_STYLES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def clean(text: str, *, keep: str = "\n\t") -> str:
    """Return a text in which every character that is not printable is spelled out, as Python spells it.

    Control characters, directions of writing (bidi) and lone surrogates are not printable.

    Args:
        text: The text.
        keep: The characters that stay all the same.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in keep or sign in _SPACES else ascii(sign)[1:-1] for sign in text
    )


def style(text: str, *, fg: str | None = None, bold: bool = False) -> str:
    """Return a cleaned text with a style, which it has at a terminal only.

    Args:
        text: The text.
        fg: The colour: red, green, yellow or cyan.
        bold: Whether it is bold.
    """
    codes = [*(["1"] if bold else []), *([_STYLES[fg]] if fg else [])]
    text = clean(text)
    if not codes or os.environ.get("NO_COLOR"):
        return text
    return control(f"\x1b[{';'.join(codes)}m") + text + control("\x1b[0m")


def control(code: str) -> str:
    """Return a code for the terminal, marked as hubtool's own; elsewhere it is left out."""
    return f"{_MARK}{code}{_END}" if isinstance(sys.stdout, Stream) else ""


def rendered(text: str, *, codes: bool) -> str:
    """Return a text as it is to be written: cleaned, with hubtool's own codes if asked for."""
    if _MARK not in text:
        return clean(text)
    first, *rest = text.split(_MARK)
    pieces = [clean(first)]
    for piece in rest:
        code, _, after = piece.partition(_END)
        pieces += [code if codes else "", clean(after)]
    return "".join(pieces)


def write_bytes(data: bytes) -> None:
    """Write a file's content to standard output: as it is into a file or a pipe, as clean text at a terminal."""
    sys.stdout.flush()
    if sys.stdout.isatty():
        sys.stdout.write(clean(data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")))
    else:
        sys.stdout.buffer.write(data)
    sys.stdout.flush()


class Stream(io.TextIOWrapper):
    """A standard stream that cleans what is written to it."""

    def write(self, text: str, /) -> int:
        """Write a text, cleaned."""
        super().write(rendered(text, codes=self.isatty()))
        return len(text)

    def write_codes(self, text: str) -> int:
        """Write a text as it is: it is made of cleaned texts and of codes that are ours."""
        return super().write(text)


class Raw:
    """A stream for rich, which writes codes of its own around texts that were cleaned before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text as it is."""
        return self._stream.write_codes(text) if isinstance(self._stream, Stream) else self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


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
    """The reader of standard output is gone (``hubtool list | head``)."""


class _Guarded(io.BufferedWriter):
    """A buffer with errors that tell whose they are.

    Not the file below it: a signal that comes when that has written, and before the buffer knows, has all of it written
    once more.
    """

    def write(self, data: Buffer, /) -> int:
        """Write some bytes.

        Raises:
            ClosedError: If their reader is gone.
            OutputError: If they cannot be written.
        """
        with _told():
            return super().write(data)

    def flush(self) -> None:
        """Write what is left; raises what :meth:`write` does."""
        with _told():
            super().flush()


class _Silent(io.BufferedWriter):
    """The buffer of standard error: what cannot be written there cannot be said, and the exit code still says it."""

    def write(self, data: Buffer, /) -> int:
        """Write some bytes, or lose them."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:
            return len(memoryview(data))

    def flush(self) -> None:
        """Write what is left, or lose it."""
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError:
            pass


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ClosedError from None
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from None


def guard() -> None:
    """Have both streams cleaned, and errors of standard output told apart; called before anything is opened."""
    if os.name == "posix":
        _fill()
    sys.stdout = _wrapped(sys.stdout, _Guarded)
    sys.stderr = _wrapped(sys.stderr, _Silent)


def _wrapped(stream: TextIO, buffer: type[io.BufferedWriter]) -> TextIO:
    raw = getattr(stream, "buffer", None)
    raw = getattr(raw, "raw", raw)
    # Neither a console of Windows nor what a test put there.
    if type(stream) is not io.TextIOWrapper or type(raw) is not io.FileIO:
        return stream
    at_once = stream.line_buffering or stream.write_through
    return Stream(
        buffer(io.FileIO(raw.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",  # what the terminal's encoding lacks is spelled out
        line_buffering=at_once,
    )


def _fill() -> None:
    """Put something where a standard stream is closed: the next file to be opened would take its number."""
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        if not _is_open(number):
            os.open(os.devnull, flags)  # standard output's cannot be written, as it could not be before
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), line_buffering=True)


def can_ask() -> bool:
    """Whether there is a person at a terminal who can answer a question.

    In a notebook, `!hubtool ...` runs at a pseudo-terminal without a keyboard; a job in the background may not
    read from its terminal either.
    """
    return sys.stdin.isatty() and sys.stderr.isatty() and not waits_for_ever()


def waits_for_ever() -> bool:
    """Whether to read standard input would wait for ever: it is a terminal without a keyboard."""
    return sys.stdin.isatty() and not _can_type()


def _can_type() -> bool:
    if "JPY_PARENT_PID" in os.environ:
        return False
    if os.name != "posix":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal, and not the one that controls this process: nothing speaks against it
        return True


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
