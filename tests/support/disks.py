"""Small, full and read-only disks, and the loss of permission, as the system has them."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from unittest import mock

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# linux/capability.h
_VERSION_3 = 0x20080522
_OVERRIDES = 1 << 1 | 1 << 2 | 1 << 3  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Have a file system of so many bytes in a folder, in memory; skip the test where none may be mounted."""
    folder.mkdir()
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("file systems in memory are mounted on Linux only")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"a small file system may not be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    """Let a small disk be written no more (``ro``), or again (``rw``)."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Let permissions bind root, too: in this thread, and in those that it starts.

    Elsewhere than on Linux, and for any other user, nothing need be done.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        yield
        return
    library = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _VERSION_3, 0)
    before = ctypes.create_string_buffer(24)  # two times what is effective, permitted and inheritable

    def call(name: str, data: object) -> None:
        if getattr(library, name)(header, data) != 0:
            raise OSError(ctypes.get_errno(), name)

    call("capget", before)
    effective, *rest = struct.unpack("6I", before.raw)
    call("capset", struct.pack("6I", effective & ~_OVERRIDES, *rest))
    try:
        yield
    finally:
        call("capset", before)


def fill(path: Path) -> None:
    """Fill a small disk with a file."""
    block = bytes(1 << 12)
    with suppress(OSError), path.open("wb", buffering=0) as stream:
        while stream.write(block):
            pass


def _any(*_: object, **__: object) -> bool:
    return True


@contextmanager
def failing(calls: Sequence[str], number: int, which: Callable[..., bool] = _any) -> Iterator[None]:
    """Let calls of the system fail, those with certain arguments: no disk here can be had to do it.

    Args:
        calls: Their names, in ``os``.
        number: What they fail of.
        which: Told of each call's arguments; whether it fails.
    """
    with ExitStack() as stack:
        for name in calls:
            real = getattr(os, name)

            def call(*arguments: object, real: Callable[..., object] = real, **named: object) -> object:
                if which(*arguments, **named):
                    raise OSError(number, os.strerror(number))
                return real(*arguments, **named)

            stack.enter_context(mock.patch.object(os, name, call))
        yield
