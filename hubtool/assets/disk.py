"""Writing files so that nobody ever sees half of one.

Bytes go to a temporary file in the file system of their destination, are flushed to the disk, and are renamed into
place.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import stat
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, cast

from hubtool.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Buffer

# O_BINARY is Windows', O_CLOEXEC and O_NOFOLLOW are POSIX'.
_EXTRA = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
DIRECT = 64 << 10
"""Bytes of a block from which :func:`write_direct` is quicker than to write and flush it."""

_ALIGNED = 4096

_seeking = threading.Lock()  # where a position belongs to the open file, as on Windows
# The name is taken, there is no /proc, or the file system (or what shuts this process in) gives a file no second name.
_NO_NAME = frozenset(
    {errno.EEXIST, errno.ENOENT, errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})


def create(path: Path) -> BinaryIO:
    """Create a new file for writing, unbuffered; never open one that is there, nor follow a link.

    Raises:
        OSError: If it cannot be created, or something has this name.
    """
    # The mode leaves it to the umask who may read: a store may be shared by many users.
    return cast("BinaryIO", os.fdopen(open_new(path, 0o666), "wb", buffering=0))


def open_new(path: Path | str, mode: int) -> int:
    """Create a new file for writing, as :func:`create` does; return its descriptor.

    Raises:
        OSError: If it cannot be created, or something has this name.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _EXTRA, mode)


def open_unnamed(folder: str, mode: int) -> int | None:
    """Create a file for writing that has no name yet, in the file system of a folder; return its descriptor.

    Of a file that nobody names (:func:`give_name`) nothing stays, however its writer ends. And no two writers wait for
    each other, as they do where both make files in one folder.

    Returns:
        The descriptor, or None where the system cannot do this.

    Raises:
        OSError: If it cannot be created, or there is no such folder.
    """
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, mode)
    except OSError as error:
        # The second is what a system says that knows nothing of it: a folder cannot be opened for writing.
        if error.errno in (errno.ENOTSUP, errno.EISDIR, errno.EINVAL):
            return None
        raise


def give_name(descriptor: int, path: str) -> bool:
    """Give a file its name, if it is free and the system can do this; return whether it has it.

    Raises:
        OSError: If the disk fails.
    """
    try:
        # A folder to begin at, which a whole path does not need, has Python ask for the link to be followed.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    except OSError as error:
        if error.errno in _NO_NAME:
            return False
        raise
    return True


def open_anew(path: str) -> int:
    """Open a file for writing what it shall hold from now on, made if need be; return its descriptor.

    Raises:
        OSError: If it cannot be opened, or is a link.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _EXTRA, 0o666)


def reopen(path: Path) -> BinaryIO:
    """Open a file that is there for reading and writing, unbuffered; never follow a link.

    Raises:
        OSError: If it cannot be opened, or is no file.
    """
    descriptor = os.open(path, os.O_RDWR | _EXTRA)
    found = os.fstat(descriptor)
    # A second name of the same file is somebody else's way to it.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "this is not a file of our own", str(path))
    return cast("BinaryIO", os.fdopen(descriptor, "rb+", buffering=0))


def same_file(stream: BinaryIO, path: Path) -> None:
    """Make sure that a path still is the file that we have open.

    Raises:
        OSError: If it is another one, a link, or gone.
    """
    ours, there = os.fstat(stream.fileno()), path.lstat()
    if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
        raise OSError(errno.ESTALE, "somebody put another file in its place", str(path))


def write_at(stream: BinaryIO, data: bytes | memoryview, offset: int) -> None:
    """Write every byte at an offset of an unbuffered stream; several threads may.

    Raises:
        OSError: If the disk does not take them.
    """
    view = memoryview(data)
    if hasattr(os, "pwrite"):
        while view:
            count = os.pwrite(stream.fileno(), view, offset)
            view, offset = view[count:], offset + count
        return
    with _seeking:
        stream.seek(offset)
        write_all(stream, view)


def read_at(stream: BinaryIO, offset: int, count: int) -> bytes:
    """Read at most so many bytes at an offset of an unbuffered stream; several threads may.

    Raises:
        OSError: If the disk fails.
    """
    if hasattr(os, "pread"):
        return os.pread(stream.fileno(), count, offset)
    with _seeking:
        stream.seek(offset)
        return stream.read(count)


def read_into(descriptor: int, buffer: memoryview) -> int:
    """Read what comes next into a buffer; return how many bytes came, 0 at the end.

    Raises:
        OSError: If the disk fails.
    """
    if hasattr(os, "readv"):
        return os.readv(descriptor, (buffer,))
    block = os.read(descriptor, len(buffer))
    buffer[: len(block)] = block
    return len(block)


def copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    """Copy the first bytes of one unbuffered stream to another.

    Raises:
        OSError: If the disk fails, or there are fewer bytes.
    """
    at = 0
    while at < length:
        block = read_at(source, at, min(1 << 20, length - at))
        if not block:
            raise OSError(errno.EIO, "the file became shorter")
        write_at(target, block, at)
        at += len(block)


def write_all(stream: BinaryIO, data: bytes | memoryview) -> None:
    """Write every byte to an unbuffered stream.

    Raises:
        OSError: If the disk does not take them.
    """
    write(stream.fileno(), data)


def write(descriptor: int, data: Buffer) -> None:
    """Write every byte to an open file.

    Raises:
        OSError: If the disk does not take them.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def memory(count: int) -> mmap.mmap:
    """Ask for memory that begins where a page does, and that the system gives as it is used.

    A process that is forked has its own copy, as of all other memory; what is mapped is shared unless one says so.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, count)
    return mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def write_direct(descriptor: int, data: Buffer) -> None:
    """Write every byte to an open file, and past the system's memory where that can be.

    For what is to be flushed, and not to be read soon: the system need not find memory for it, nor write it later. It
    must be flushed all the same, for where it stands on the disk is not yet written.

    Args:
        descriptor: The file, open for writing; nobody else writes to it.
        data: Bytes of :func:`memory`, from the beginning of one of its pages. Of others, and of the last ones that
            fill no block of a disk, the system makes a copy, as ever.

    Raises:
        OSError: If the disk does not take them.
    """
    view = memoryview(data)
    if sys.platform != "linux" or len(view) < DIRECT:
        write(descriptor, view)
        return
    import fcntl  # noqa: PLC0415 (Windows has none)

    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    whole = len(view) // _ALIGNED * _ALIGNED
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
        try:
            while whole:
                count = os.write(descriptor, view[:whole])
                view, whole = view[count:], whole - count
        finally:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
    except OSError as error:
        # A file system that cannot, or would have the bytes lie otherwise.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    write(descriptor, view)
    if len(view) >= DIRECT:
        begin_flush(descriptor)


def settle(
    stream: BinaryIO, temporary: Path, destination: Path, *, read_only: bool = False, durable: bool = True
) -> None:
    """Flush and close the temporary file, and rename it to its destination, for good even if the power fails.

    Args:
        stream: The temporary file, open for writing.
        temporary: Its path.
        destination: The path that it gets, in the same file system; a file of that name is replaced.
        read_only: Whether to take the right to write away from everybody first.
        durable: Whether it must survive a failing power; what need not is not flushed.

    Raises:
        OSError: If the disk is full or the rename fails. The temporary file is then still there.
    """
    stream.flush()
    if durable:
        os.fsync(stream.fileno())
    # On Windows a file that may not be written can be neither replaced nor removed.
    if read_only and os.name != "nt":
        os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & 0o7555)
    stream.close()
    os.replace(temporary, destination)  # noqa: PTH105 (for every file that comes, and quicker)
    if durable:
        sync_folder(destination.parent)


def begin_flush(descriptor: int) -> None:
    """Have the system begin to write to the disk what was written to a file, where it can be told to.

    It goes on by itself; whoever flushes the file later has less to wait for. Errors are that flush's to report.
    """
    if sys.platform == "linux" and (begin := _sync_file_range()) is not None:
        begin(descriptor)


def prepare() -> None:
    """Find out, before processes are forked, what each of them would find out for itself."""
    if sys.platform == "linux":
        _sync_file_range()


@cache
def _sync_file_range() -> Callable[[int], object] | None:
    import ctypes  # noqa: PLC0415 (only for large files)

    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):  # musl on some machines
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    # From 0 to the end, and SYNC_FILE_RANGE_WRITE (linux/fs.h): begin, and wait for nothing.
    return lambda descriptor: call(descriptor, 0, 0, 2)


def sync_folder(folder: Path | str) -> None:
    """Make a rename in this folder survive a power failure, where the system can do that.

    Raises:
        OSError: If the disk fails.
    """
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do this for folders; the rename itself has happened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes are free in the file system of a folder (or of its nearest parent that exists), or None."""
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    try:
        return None if there is None else shutil.disk_usage(there).free
    except OSError:
        return None


def store_error(error: OSError, path: Path, *, needed: int | None = None) -> StoreError:
    """Say in a StoreError what an OSError means for the file that was written or read.

    Args:
        error: What the system said.
        path: The file or folder in question.
        needed: How many bytes were to be written, if known.
    """
    if error.errno in _FULL:
        return full_error(path, needed=needed)
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(
            f"{path} may not be written or read: {reason}",
            hint="give yourself the right to it, or set HUBTOOL_HOME to a folder of your own",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StoreError(
            f"{path} cannot be written or read: where a folder should be, there is a file",
            hint="set HUBTOOL_HOME to a folder",
        )
    return StoreError(f"{path} cannot be written or read: {reason}", hint="check the disk that HUBTOOL_HOME is on")


def full_error(path: Path, *, needed: int | None = None) -> StoreError:
    """Say that there is no room for a file: how much it needs, and how much is free."""
    free = free_bytes(path.parent)
    wanted = "" if needed is None else f"; {needed} bytes are needed"
    left = "" if free is None else f", {free} bytes are free"
    return StoreError(
        f"the disk is full: {path} does not fit{wanted}{left}",
        hint="free some space, or set HUBTOOL_HOME to a folder on a larger disk",
    )
