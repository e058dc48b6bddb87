"""Isolates one program: enters namespaces, sets limits, then runs it.

``python -I -S namespaces.py SPEC`` uses the standard library only: it starts in milliseconds, and has no threads, which
Linux demands of a process that enters a user namespace. It writes two lines of JSON to the file descriptor ``status``
of the specification: what it could isolate and what not; and, when the program has ended, its exit code.

On Linux, where user namespaces are allowed, the program has no network, sees all files and can write only some folders,
and none of its processes is left when it ends. It has its own ``/dev``, and device files work nowhere else: root, in a
container for instance, could write files outside through a loop device. It has no capabilities, so it cannot undo any
of this.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_MOUNT_SETATTR = 442  # the same number on all architectures, since Linux 5.12
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100
_RDONLY, _NODEV = 1, 4
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_LAST_CAPABILITY = 63
# Devices that every program may use, and the accelerators of Ascend and NVIDIA.
_DEVICES = ("null", "zero", "full", "random", "urandom")
_ACCELERATORS = ("davinci", "devmm_svm", "hisi_hdc", "nvidia")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
# Folders with the sockets of this machine's services, which the program does not need.
_SOCKET_FOLDERS = ("/run", "/var/run")


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def main() -> None:
    """Isolate this process as far as the platform allows, run the program, and end with its exit code."""
    spec = json.loads(sys.argv[1])
    _limit(spec)
    held, why = _enter(spec)
    _end_with_parent()
    if os.getppid() != spec["parent"]:
        _end(1)
    os.chdir(spec["cwd"])  # until now it is the folder as it was mounted before
    _say(spec, {"held": held, "why": why})
    child = os.fork()
    if child == 0:
        if "processes" in held:
            _run_as_init(spec)
        _execute(spec, capable=bool(held))
    _end(_wait(spec, child, report="processes" not in held))


def _say(spec: dict[str, object], told: dict[str, object]) -> None:
    os.write(int(str(spec["status"])), json.dumps(told).encode() + b"\n")


def _wait(spec: dict[str, object], child: int, *, report: bool) -> int:
    """Wait for a child and for the orphans that end before it; return its exit code."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            if report:
                _say(spec, {"code": code})
            return code


def _end(code: int) -> None:
    os._exit(code if code >= 0 else 128 - code)


def _end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends, even by ``kill -9``; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _run_as_init(spec: dict[str, object]) -> None:
    """Run as the first process of the namespace: when it ends, the kernel kills all others in it."""
    _end_with_parent()
    library = ctypes.CDLL(None, use_errno=True)
    # The namespace's own /proc has the process ids that the program knows; not all containers allow it. Read-only:
    # root may write the system's settings in it, whatever the namespace.
    library.mount(b"proc", b"/proc", b"proc", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    child = os.fork()
    if child:
        _end(_wait(spec, child, report=True))


def _execute(spec: dict[str, object], *, capable: bool) -> None:
    """Replace this process by the program."""
    command = [str(word) for word in spec["command"]]  # type: ignore[attr-defined]  # JSON that our own side wrote
    try:
        if capable:
            library = ctypes.CDLL(None, use_errno=True)
            for capability in range(_LAST_CAPABILITY + 1):
                library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
            library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.close(int(str(spec["status"])))
        _end_with_parent()
        os.execv(command[0], command)  # noqa: S606 - what this program is for
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
        os._exit(127)


def _limit(spec: dict[str, object]) -> None:
    try:
        import resource  # noqa: PLC0415 - not on all platforms
    except ImportError:
        return
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: int(str(spec["file_size"])),
        resource.RLIMIT_CPU: int(str(spec["cpu"])),
    }
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = int(str(spec["address_space"]))
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def _enter(spec: dict[str, object]) -> tuple[list[str], str]:
    """Enter new namespaces; return what they isolate, and why not all."""
    if sys.platform != "linux":
        return [], f"{sys.platform} has no namespaces"
    library = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if not spec["use_namespaces"]:
        return [], "namespaces were not asked for"
    if library.unshare(_NEWUSER | _NEWNS | _NEWNET | _NEWPID | _NEWIPC) != 0:
        return [], "this system allows no user namespaces"
    try:
        # Not root, not even inside: the first program that root starts would get all capabilities again.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid or 1000} {uid} 1")
        _write("/proc/self/gid_map", f"{gid or 1000} {gid} 1")
    except OSError as error:
        return ["network", "processes"], f"user namespaces cannot be used fully here: {error.strerror}"
    held = ["network", "processes"]
    folders = [str(folder) for folder in spec["writable"]]  # type: ignore[attr-defined]  # as above
    why = _mount(library, folders, str(spec["devices"]))
    if not why:
        held.append("files")
    return held, why


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _mount(library: ctypes.CDLL, writable: list[str], devices: str) -> str:
    """Make all files read-only outside some folders, and disable all devices but a few; return why not, or nothing."""
    if library.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return f"mounts cannot be changed here: {os.strerror(ctypes.get_errno())}"
    for folder in writable:
        if library.mount(os.fsencode(folder), os.fsencode(folder), None, _MS_BIND | _MS_REC, None) != 0:
            return f"{folder} cannot be mounted: {os.strerror(ctypes.get_errno())}"
    shown = _gather_devices(library, devices)
    if shown is None:
        return f"a /dev of its own cannot be made here: {os.strerror(ctypes.get_errno())}"
    if not _set_attributes(library, "/", on=_RDONLY | _NODEV, recursive=True):
        return f"files cannot be made read-only here: {os.strerror(ctypes.get_errno())}"
    for folder in writable:
        if not _set_attributes(library, folder, off=_RDONLY):
            return f"{folder} cannot be made writable again: {os.strerror(ctypes.get_errno())}"
    for device in shown:
        if not _set_attributes(library, f"{devices}/{device}", off=_NODEV):
            return f"/dev/{device} cannot be used: {os.strerror(ctypes.get_errno())}"
    if library.mount(os.fsencode(devices), b"/dev", None, _MS_BIND | _MS_REC, None) != 0:
        return f"/dev cannot be replaced: {os.strerror(ctypes.get_errno())}"
    library.mount(b"tmpfs", b"/dev/shm", b"tmpfs", _MS_NOSUID | _MS_NODEV, b"size=1g")
    needed = [os.path.realpath(path) for path in (sys.prefix, sys.executable, *writable)]
    for folder in _SOCKET_FOLDERS:
        if os.path.isdir(folder) and not any(path.startswith(folder + "/") for path in needed):
            library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"size=64k,mode=555")
    return ""


def _gather_devices(library: ctypes.CDLL, folder: str) -> list[str] | None:
    """Mount the devices that a program may use into a folder; return their names, or None if that fails."""
    if library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", _MS_NOSUID, b"size=64k,mode=755") != 0:
        return None
    found = [name for name in os.listdir("/dev") if name in _DEVICES or name.startswith(_ACCELERATORS)]
    found = [name for name in found if os.path.exists(f"/dev/{name}") and not os.path.isdir(f"/dev/{name}")]
    for name in found:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
        if library.mount(os.fsencode(f"/dev/{name}"), os.fsencode(f"{folder}/{name}"), None, _MS_BIND, None) != 0:
            return None
    for name, target in _LINKS.items():
        os.symlink(target, f"{folder}/{name}")
    os.mkdir(f"{folder}/shm")
    return found


def _set_attributes(library: ctypes.CDLL, path: str, *, on: int = 0, off: int = 0, recursive: bool = False) -> bool:
    attributes = _MountAttributes(attr_set=on, attr_clr=off)
    done: int = library.syscall(
        _MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(path),
        _AT_RECURSIVE if recursive else 0,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    return done == 0


if __name__ == "__main__":
    main()
