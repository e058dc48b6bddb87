"""Reading files of settings, state and registries, which are regular files and nothing else.

To open a pipe would wait for a writer, perhaps for ever, and a device may have no end.
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
        path: The file. Of a symbolic link, the file that it leads to.

    Raises:
        OSError: If it cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, _FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb", 0)
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_bytes(path: Path, max_bytes: int = -1) -> bytes:
    """Return what a file holds, or at most ``max_bytes`` of it; raises what :func:`open_file` does."""
    with io.BufferedReader(open_file(path)) as stream:
        return stream.read(max_bytes)
