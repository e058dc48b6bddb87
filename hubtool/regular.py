"""Read files that must be regular files: settings, state and registries.

Opening a pipe can wait for a writer forever, and a device can have no end.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_file(path: Path) -> FileIO:
    """Open a file for reading, without a buffer.

    Args:
        path: The file, or a symbolic link to it.

    Raises:
        OSError: If it cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, _FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb", 0)
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_bytes(path: Path, max_bytes: int = -1) -> bytes:
    """Return the bytes of a file, or at most ``max_bytes`` of them; raises as :func:`open_file`."""
    with io.BufferedReader(open_file(path)) as stream:
        return stream.read(max_bytes)
