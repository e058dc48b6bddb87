"""An audit hook that refuses, in words, what an isolated program has no reason to do.

It makes the errors clear, and it is the only protection where namespaces are not allowed. Code that is not Python goes
past it; what holds such code is :mod:`hubtool.sandbox.namespaces`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NETWORK = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)
# Events that change a file, each with the number of its arguments that are paths.
_CHANGES = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink", "shutil.move"), 2),
    "shutil.rmtree": 1,
}
# Neither devices nor shared memory, nor what /proc has, is a file that stays.
_NO_FILES = ("/dev/", "/proc/")


def install(program: str, writable: Collection[str], *, refused: Collection[str] = ()) -> None:
    """Refuse the network, questions, and writing outside some folders, from now on and in this process.

    Args:
        program: What messages call the program, such as ``a usage block``.
        writable: The folders that it may write.
        refused: Further audit events to refuse, such as ``subprocess.Popen``.
    """
    folders = [os.path.realpath(folder) for folder in writable]
    sys.addaudithook(_hook(program, folders, frozenset(refused)))


def _hook(program: str, folders: list[str], refused: frozenset[str]) -> Callable[[str, tuple[Any, ...]], None]:
    def allowed(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return True  # an open file
        full = os.path.realpath(os.fsdecode(path))
        return full.startswith(_NO_FILES) or any(full == one or full.startswith(one + os.sep) for one in folders)

    def check(event: str, args: tuple[Any, ...]) -> None:
        if event == "builtins.input":
            raise EOFError(f"{program} cannot ask for input: it runs without a user")
        if event in refused:
            raise PermissionError(f"{program} has no use for {event}")
        if event in _NETWORK and not isinstance(args[-1], (str, bytes)) and (event != "socket.getaddrinfo" or args[0]):
            raise PermissionError(f"{program} has no network but the asset, which is stored ({event})")
        if event == "open":
            path, mode, flags = args
            writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITES)
            if writes and not allowed(path):
                raise PermissionError(f"{program} writes in its working folder only, and not {os.fsdecode(path)!r}")
        elif event in _CHANGES and not all(allowed(path) for path in args[: _CHANGES[event]]):
            raise PermissionError(f"{program} changes files in its working folder only ({event} {args[0]!r})")

    return check
