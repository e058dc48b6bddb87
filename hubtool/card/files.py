"""Reading the bytes of a card."""

from __future__ import annotations

import errno
import os
import stat

# The longest real card has 78 KB. A file beyond this is not a card, and is not read into the parser.
MAX_BYTES = 1 << 20
# Not to wait at a pipe that nobody writes to; and, on Windows, to get the bytes as they are.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def read_card_file(path: str) -> tuple[os.stat_result, bytes]:
    """Return the status and the bytes of a card; of a file too large to be one, only so many that this is seen.

    The status is taken before the bytes: if the card is written in between, its status is another one afterwards. There
    are four calls of the operating system for a card, where the usual way has a dozen; with thousands of cards that
    is half of the time.

    Raises:
        OSError: If it cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        # One byte more than there should be: a shorter answer says that this was the end.
        wanted = min(status.st_size, MAX_BYTES) + 1
        data = os.read(descriptor, wanted)
        while len(data) >= wanted and len(data) <= MAX_BYTES:
            more = os.read(descriptor, MAX_BYTES + 1 - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(descriptor)
    return status, data
