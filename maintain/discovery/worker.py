"""The process that discovery runs code in: one child for each job, limited, and without a network.

``python -m maintain.discovery.worker`` imports MindSpore once. It then reads jobs from standard input, one JSON
object a line, forks a child for each, and writes one JSON object a line to the file descriptor that it was given.
A child has limits on memory and time; it is in a network namespace of its own where the platform allows, and in any
case an audit hook refuses sockets, other programs, and whatever deletes or writes outside its scratch folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Final

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED: Final = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
     "os.forkpty", "os.kill", "os.killpg", "pty.spawn", "ftplib.connect", "http.client.connect", "smtplib.connect", "urllib.Request"}
)  # fmt: skip
_CHANGES: Final = frozenset(
    {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "shutil.rmtree", "shutil.move", "os.utime"}
)  # fmt: skip


def main() -> None:
    """Do jobs until standard input ends."""
    answers = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8", buffering=1)
    os.environ.setdefault("GLOG_v", "4")
    import mindspore  # noqa: F401, PLC0415
    from mindspore import dataset, nn, ops, train  # noqa: F401, PLC0415

    from hubtool.networks.compat import cells, checks, noop  # noqa: F401, PLC0415
    from maintain.discovery import search  # noqa: F401, PLC0415

    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(_in_child(json.loads(line))) + "\n")


def _in_child(job: dict[str, Any]) -> dict[str, Any]:
    """Run one job in a child; return its outcome, or what became of it."""
    reader, writer = os.pipe()
    scratch = Path(tempfile.mkdtemp(prefix="hubtool-discovery-"))
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(job, writer, scratch)
    os.close(writer)
    deadline = time.monotonic() + float(job["timeout"])
    pieces: list[bytes] = []
    timed_out = False
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            timed_out = True
            os.kill(child, signal.SIGKILL)
            break
        piece = os.read(reader, 2**16)
        if not piece:
            break
        pieces.append(piece)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    shutil.rmtree(scratch, ignore_errors=True)
    # The child says first what it has built, then how the forward pass went: the last whole line counts.
    lines = [line for line in b"".join(pieces).split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
    outcome: dict[str, Any] = json.loads(lines[-1]) if lines else {"recipe": None, "reason": "", "notes": []}
    code = os.waitstatus_to_exitcode(status)
    if timed_out:
        ending = f"it did not end within {job['timeout']:.0f} seconds"
    elif code == -signal.SIGKILL:
        ending = "it was killed, most likely for lack of memory"
    else:
        ending = f"the process ended with {code}" if code else ""
    if ending and outcome["recipe"] is None:
        outcome["reason"] = ending
    elif ending:
        outcome["forward"] = ending
    return outcome


def _child(job: dict[str, Any], writer: int, scratch: Path) -> None:
    code = 1
    try:
        from maintain.discovery import search  # noqa: PLC0415

        os.setsid()
        _close_streams()
        tempfile.tempdir = str(scratch)
        os.environ.update(HOME=str(scratch), TMPDIR=str(scratch))
        _limit(job)
        _cut_off()
        _guard(scratch)
        search.main(job, lambda outcome: os.write(writer, json.dumps(outcome).encode() + b"\n"))
        code = 0
    except BaseException:  # noqa: BLE001 - a child that fails says so and ends; nothing may return into the parent's loop
        reason = traceback.format_exc(limit=-2).strip().splitlines()[-1][:300]
        os.write(
            writer, json.dumps({"recipe": None, "reason": f"discovery failed: {reason}", "notes": []}).encode() + b"\n"
        )
        code = 0
    finally:
        os._exit(code)


def _close_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _limit(job: dict[str, Any]) -> None:
    memory = int(job["memory"])
    # Address space beyond what is already mapped: MindSpore maps gigabytes that it never touches.
    mapped = (
        int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        if sys.platform == "linux"
        else 0
    )
    resource.setrlimit(resource.RLIMIT_AS, (memory + mapped, memory + mapped))
    seconds = int(job["timeout"] * 4) + 10
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _cut_off() -> None:
    """Enter a network namespace without any interface but a loopback that is down, if the platform lets us."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNET) != 0:
        library.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # refused in a process with threads: the audit hook remains


def _guard(scratch: Path) -> None:
    home = str(scratch)

    def allowed(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return isinstance(path, int)
        full = os.path.realpath(os.fsdecode(path))
        return full.startswith((home + os.sep, "/dev/null", "/dev/shm")) or full == home  # noqa: S108 - shared memory is not a file

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"discovery refuses {event}: code that builds a network needs none of it")
        if event in _CHANGES and not all(
            allowed(path) for path in args[: 2 if event in {"os.rename", "shutil.move"} else 1]
        ):
            raise PermissionError(f"discovery refuses {event} outside the scratch folder: {args[0]!r}")
        if event == "open":
            path, mode, flags = args
            writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITES)
            if writes and not allowed(path):
                raise PermissionError(f"discovery refuses writing outside the scratch folder: {path!r}")

    sys.addaudithook(look)


if __name__ == "__main__":
    main()
