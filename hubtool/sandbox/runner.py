"""Runs a usage block as a reader would: as a program of its own, with tracebacks that show the lines of the card.

``python -m hubtool.sandbox.runner SPEC``. An audit hook refuses what a usage block has no reason to do, and says so in
words; it is no wall, since code that is not Python goes past it. What is one is :mod:`hubtool.sandbox.jail`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NETWORK = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)
# What changes a file, each with how many of its arguments are paths.
_CHANGES = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink", "shutil.move"), 2),
    "shutil.rmtree": 1,
}
# Neither devices nor shared memory, nor what /proc has, is a file that stays.
_NO_FILES = ("/dev/", "/proc/")


def main() -> None:
    """Run the code of a specification."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    name = str(spec["name"])
    sys.argv = [name]
    main_module = ModuleType("__main__")
    main_module.__dict__.update({"__file__": name, "__builtins__": __builtins__})
    sys.modules["__main__"] = main_module
    # Where the error is told, apart from what the code prints; the code itself needs no such thing.
    answer = os.environ.pop("HUBTOOL_ANSWER", "")
    _guard([os.path.realpath(folder) for folder in spec["writable"]])
    try:
        exec(compile(spec["code"], name, "exec"), main_module.__dict__)  # noqa: S102 - what this program is for
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - as the interpreter does with any error of a program
        # The first frame is this one, which is nobody's concern.
        shown = error.__traceback__.tb_next if error.__traceback__ else None
        sys.stdout.flush()
        traceback.print_exception(type(error), error, shown)
        sys.stderr.flush()
        if answer:
            first = next(iter(str(error).splitlines()), "")
            told = f"{type(error).__name__}: {first}" if first else type(error).__name__
            os.write(int(answer), json.dumps({"error": told[:1000]}).encode())
        sys.exit(1)


def _guard(writable: list[str]) -> None:
    def allowed(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return True  # an open file
        full = os.path.realpath(os.fsdecode(path))
        return any(full == folder or full.startswith(folder + os.sep) for folder in writable) or full.startswith(
            _NO_FILES
        )

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event == "builtins.input":
            raise EOFError("a usage block asks for no input: nobody is there to answer")
        if event in _NETWORK and not isinstance(args[-1], (str, bytes)) and (event != "socket.getaddrinfo" or args[0]):
            raise PermissionError(f"a usage block has no network but the asset, which is stored ({event})")
        if event == "open":
            path, mode, flags = args
            writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITES)
            if writes and not allowed(path):
                raise PermissionError(f"a usage block writes in its working folder only, and not {os.fsdecode(path)!r}")
        elif event in _CHANGES and not all(allowed(path) for path in args[: _CHANGES[event]]):
            raise PermissionError(f"a usage block changes files in its working folder only ({event} {args[0]!r})")

    sys.addaudithook(look)


if __name__ == "__main__":
    main()
