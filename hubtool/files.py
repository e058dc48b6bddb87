"""Atomic writes: a file is there as a whole, or not at all.

Bytes go to a temporary file in the file system of their destination, are flushed to the disk, and are renamed into
place.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from hubtool.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Buffer

# O_BINARY is Windows', O_CLOEXEC and O_NOFOLLOW are POSIX'.
_EXTRA = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)

_seeking = threading.Lock()  # where a position belongs to the open file, as on Windows
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})


@contextmanager
def replacing(
    path: Path,
    *,
    temporary: Path | None = None,
    mode: int | None = None,
    read_only: bool = False,
    durable: bool = True,
) -> Iterator[BinaryIO]:
    """Yield a stream to a temporary file that takes the place of ``path`` when the block ends without an error.

    Args:
        path: The file that the bytes are for.
        temporary: Where they are written first, in the same file system; by default beside ``path``.
        mode: The mode of the file; by default what the umask leaves of 0o666.
        read_only: Whether the file becomes read-only.
        durable: Whether the file must survive a power failure; flushing takes time.

    Raises:
        OSError: If it cannot be written. ``path`` is then as it was, and the temporary file is gone.
    """
    if temporary is None:
        temporary = path.with_name(f".{path.name[:100]}.{os.urandom(4).hex()}.part")
    stream = cast("BinaryIO", os.fdopen(open_new(temporary, 0o666 if mode is None else mode), "wb", buffering=0))
    try:
        with stream:
            if mode is not None and os.name != "nt":
                os.fchmod(stream.fileno(), mode)  # whatever the umask is
            yield stream
            settle(stream, temporary, path, read_only=read_only, durable=durable)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_atomically(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    read_only: bool = False,
    durable: bool = True,
    parents: bool = False,
) -> None:
    """Write a file as a whole.

    Args:
        path: The file; one of that name is replaced.
        data: What it holds.
        mode: Its mode; by default what the umask leaves of 0o666.
        read_only: Whether the file becomes read-only.
        durable: Whether it must survive a power failure; flushing takes time.
        parents: Whether folders that are missing are made.

    Raises:
        OSError: If it cannot be written; ``path`` is then as it was.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, mode=mode, read_only=read_only, durable=durable) as stream:
        write_all(stream, data)


def write_new(path: Path, data: bytes) -> None:
    """Write a new file atomically, never replacing one; missing folders are created.

    Raises:
        FileExistsError: If there is one.
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.{os.urandom(4).hex()}.part")
    try:
        with create(temporary) as stream:
            write_all(stream, data)
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)  # fails if the name is taken; a rename would replace the file
        except FileExistsError:
            raise
        except OSError:
            with path.open("xb") as stream:  # a file system without links
                stream.write(data)
            return
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def create(path: Path) -> BinaryIO:
    """Create a new file for writing, unbuffered; never open one that is there, nor follow a link.

    Raises:
        OSError: If it cannot be created, or something has this name.
    """
    # The umask decides about reading: several users can share a store.
    return cast("BinaryIO", os.fdopen(open_new(path, 0o666), "wb", buffering=0))


def open_new(path: Path, mode: int) -> int:
    """Create a new file for writing, as :func:`create` does; return its descriptor.

    Raises:
        OSError: If it cannot be created, or something has this name.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _EXTRA, mode)


def open_anew(path: Path) -> int:
    """Open a file for overwriting, creating it if needed; return its descriptor.

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
    # Through a second hard link, another program could change the file.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "this is not a file of our own", str(path))
    return cast("BinaryIO", os.fdopen(descriptor, "rb+", buffering=0))


def same_file(stream: BinaryIO, path: Path) -> None:
    """Raise an error unless a path is still the file that is open.

    Raises:
        OSError: If it is another one, a link, or gone.
    """
    ours, there = os.fstat(stream.fileno()), path.lstat()
    if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
        raise OSError(errno.ESTALE, "the file was replaced by another one", str(path))


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
    """Read at most ``count`` bytes at an offset of an unbuffered stream; several threads may.

    Raises:
        OSError: If the disk fails.
    """
    if hasattr(os, "pread"):
        return os.pread(stream.fileno(), count, offset)
    with _seeking:
        stream.seek(offset)
        return stream.read(count)


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


def settle(
    stream: BinaryIO, temporary: Path, destination: Path, *, read_only: bool = False, durable: bool = True
) -> None:
    """Flush and close the temporary file, and rename it to its destination, for good even if the power fails.

    Args:
        stream: The temporary file, open for writing.
        temporary: Its path.
        destination: The path that it gets, in the same file system; a file of that name is replaced.
        read_only: Whether to make the file read-only first.
        durable: Whether it must survive a power failure; otherwise it is not flushed.

    Raises:
        OSError: If the disk is full or the rename fails. The temporary file is then still there.
    """
    stream.flush()
    if durable:
        os.fsync(stream.fileno())
    # On Windows a read-only file can be neither replaced nor removed.
    if read_only and os.name != "nt":
        os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & 0o7555)
    stream.close()
    temporary.replace(destination)
    if durable:
        sync_folder(destination.parent)


def sync_folder(folder: Path | str) -> None:
    """Make a rename in this folder survive a power failure, if the system supports that.

    Raises:
        OSError: If the disk fails.
    """
    if os.name == "nt":  # folders cannot be opened there
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that can be written and not read
        return
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
    import shutil  # noqa: PLC0415 - it loads four compressors

    there = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    try:
        return None if there is None else shutil.disk_usage(there).free
    except OSError:
        return None


def store_error(error: OSError, path: Path, *, needed: int | None = None) -> StoreError:
    """Return the StoreError for an OSError on a file.

    Args:
        error: The error of the system.
        path: The file or folder in question.
        needed: The number of bytes to write, if known.
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
    """Return the StoreError for a full disk, with the bytes needed and free."""
    free = free_bytes(path.parent)
    wanted = "" if needed is None else f"; {needed} bytes are needed"
    left = "" if free is None else f", {free} bytes are free"
    return StoreError(
        f"the disk is full: {path} does not fit{wanted}{left}",
        hint="free some space, or set HUBTOOL_HOME to a folder on a larger disk",
    )
