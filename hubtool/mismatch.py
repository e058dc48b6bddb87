"""What a file is that does not match its card: a Git LFS pointer, a text that git converted, or a file of another size.

Git brings such files in place of the right ones, and their digests alone do not say so.
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

# A pointer has some 130 bytes; git-lfs itself takes nothing longer for one.
_MAX_POINTER_BYTES = 1024
_POINTER = re.compile(rb"version https?://(?:git-lfs|hawser)\.github\.com/spec/v[0-9]+\r?\n")
_POINTER_DIGEST = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
# Larger files than these are no texts that git converts in practice.
_MAX_TEXT_BYTES = 32 << 20


class WrongFile(NamedTuple):
    """What a file is in place of the right one, to be read behind "FILE is"; and what to do."""

    what: str
    hint: str


def pointer(start: bytes, digest: Digest | None = None) -> WrongFile | None:
    """Return what to say if a file of these bytes is a Git LFS pointer; None if it is none."""
    if not _POINTER.match(start[:_MAX_POINTER_BYTES]):
        return None
    found = _POINTER_DIGEST.search(start[:_MAX_POINTER_BYTES])
    named = found[1].decode() if found else ""
    if digest is not None and named and not digest.matches(named):
        return WrongFile(
            f"a Git LFS pointer, and to another file than the card names: to that with the SHA-256 {named}",
            "put the right file there, or correct the card's digest; `git lfs pull` brings the file of the pointer",
        )
    return WrongFile(
        "a Git LFS pointer and not the file itself",
        "run `git lfs pull` in the repository it is in; hubtool itself fetches no files from LFS",
    )


def pointer_file(path: Path) -> WrongFile | None:
    """Return what to say if a file is a Git LFS pointer, whatever digest and size its card states; None if it is none.

    Raises:
        OSError: If it cannot be read.
    """
    return pointer(regular.read_bytes(path, _MAX_POINTER_BYTES)) if path.stat().st_size <= _MAX_POINTER_BYTES else None


def explain(path: Path, digest: Digest | None, size: int | None) -> WrongFile | None:
    """Say what a file is whose bytes are not those that its card states; None if there is nothing more to say.

    Args:
        path: The file; if it cannot be read, there is nothing to say.
        digest: The digest that the card states, or None.
        size: The size that the card states, or None.
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
    """Return what to say if the bytes are the right ones but for the ends of their lines."""
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
