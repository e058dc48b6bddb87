"""SHA-256 digests: parsed, compared and computed.

A *digest* is the lower-case hexadecimal SHA-256 of a file. A *short digest*, 8 to 63 digits, is the beginning of one.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import regular
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

FULL_LENGTH = 64
SHORTEST = 8

_HEX = re.compile(r"[0-9a-f]+\Z")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest, whole or short.

    Attributes:
        hex: 8 to 64 lower-case hexadecimal digits.
    """

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read a digest.

        Raises:
            ArgumentError: If the text is not 8 to 64 hexadecimal digits.
        """
        lowered = text.strip().lower()
        if not SHORTEST <= len(lowered) <= FULL_LENGTH or not _HEX.match(lowered):
            raise ArgumentError(
                f"{text!r} is not a SHA-256 digest",
                hint=f"a digest has {FULL_LENGTH} hexadecimal digits, a short one at least {SHORTEST}",
            )
        return cls(lowered)

    @property
    def is_short(self) -> bool:
        """Whether this is only the beginning of a digest."""
        return len(self.hex) < FULL_LENGTH

    def matches(self, full: str) -> bool:
        """Return whether a whole digest equals this one or begins with it."""
        return full.startswith(self.hex)

    def __str__(self) -> str:
        return self.hex


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hexadecimal digits.

    Raises:
        OSError: If the file cannot be read.
    """
    digester = hashlib.sha256()
    with regular.open_file(path) as stream:
        # Allocating a large buffer takes longer than reading a small file.
        view = memoryview(bytearray(min(_BLOCK_BYTES, os.fstat(stream.fileno()).st_size + 1)))
        while count := stream.readinto(view):
            digester.update(view[:count])
    return digester.hexdigest()
