"""Explain why a file does not match its card: a Git LFS pointer, converted line ends, or another size.

Git checks out such files in place of the right ones, and a wrong digest alone does not say why.
"""

from __future__ import annotations

import hashlib
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from hubtool import regular

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.digest import Digest

# A pointer has about 130 bytes; git-lfs itself accepts no longer ones.
_MAX_POINTER_BYTES = 1024
_POINTER = re.compile(rb"version https?://(?:git-lfs|hawser)\.github\.com/spec/v[0-9]+\r?\n")
_POINTER_DIGEST = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
# In practice, git does not convert larger files.
_MAX_TEXT_BYTES = 32 << 20


class WrongFile(NamedTuple):
    """What a wrong file is, to follow "FILE is", and what to do about it."""

    what: str
    hint: str


def pointer(start: bytes, digest: Digest | None = None) -> WrongFile | None:
    """Return the explanation if the bytes are a Git LFS pointer, else None."""
    if not _POINTER.match(start[:_MAX_POINTER_BYTES]):
        return None
    found = _POINTER_DIGEST.search(start[:_MAX_POINTER_BYTES])
    named = found[1].decode() if found else ""
    if digest is not None and named and not digest.matches(named):
        return WrongFile(
            f"a Git LFS pointer, and to another file than the card names: to that with the SHA-256 {named}",
            "put the right file there, or correct the card's digest; `git lfs pull` downloads the file of the pointer",
        )
    return WrongFile(
        "a Git LFS pointer and not the file itself",
        "run `git lfs pull` in the repository it is in; hubtool itself fetches no files from LFS",
    )


def pointer_file(path: Path) -> WrongFile | None:
    """Return the explanation if a file is a Git LFS pointer, else None; its digest and size do not matter.

    Raises:
        OSError: If it cannot be read.
    """
    return pointer(regular.read_bytes(path, _MAX_POINTER_BYTES)) if path.stat().st_size <= _MAX_POINTER_BYTES else None


def explain(path: Path, digest: Digest | None, size: int | None) -> WrongFile | None:
    """Return the explanation for a file that does not match its card, or None if there is none.

    Args:
        path: The file; None is returned if it cannot be read.
        digest: The digest on the card, or None.
        size: The size on the card, or None.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        actual = status.st_size
        if actual <= _MAX_POINTER_BYTES and (found := pointer(path.read_bytes(), digest)) is not None:
            return found
        if digest is not None and 0 < actual <= _MAX_TEXT_BYTES and (found := _converted(path.read_bytes(), digest)):
            return found
    except OSError:
        return None
    if not actual:
        return WrongFile("empty", "put the right file there")
    if size is not None and actual != size:
        return WrongFile(
            f"a file of {actual:,} bytes, and the card says {size:,} bytes",
            "put the right file there, or correct the card",
        )
    return None


def _converted(data: bytes, digest: Digest) -> WrongFile | None:
    """Return the explanation if only the line ends differ from the right bytes, else None."""
    if b"\n" not in data:
        return None
    unix = data.replace(b"\r\n", b"\n")
    for other, has, wanted in ((unix, "CRLF", "LF"), (unix.replace(b"\n", b"\r\n"), "LF", "CRLF")):
        if other != data and digest.matches(hashlib.sha256(other).hexdigest()):
            return WrongFile(
                f"the right file, but with {has} in place of {wanted} at the ends of its lines: git converted it",
                "write 'FILE -text' into .gitattributes (or set core.autocrlf to false), and check the file out again",
            )
    return None
