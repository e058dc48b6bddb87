"""The ``git`` program, run so that a hostile repository can do nothing but be read.

No configuration of the user, the system or the repository is in force, no hook runs, nothing is asked, no submodule is
followed and no filter (LFS) is applied. Only https, files, and http on this machine are spoken, and no server may send
us to another. Time and room are bounded, and nothing that git started outlives it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from hubtool.assets.links import is_loopback
from hubtool.errors import ArgumentError, FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SECONDS = 600.0
MAX_BYTES = 2 << 30
_KEPT = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_EXEC_PATH")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY")
# What could be made to run a program, to ask, to leave the folder, or to change bytes is switched off by name, although
# no configuration is read: a later git may get new defaults.
_OPTIONS = {
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.symlinks": "false",
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}


def check_url(url: str) -> None:
    """Refuse what git would take for an option, a helper program (``ext::``) or a transport that is not allowed.

    Raises:
        ArgumentError: If the URL is none that may be fetched from.
    """
    allowed = url.startswith(("https://", "file:///")) or _is_local_http(url)
    if not allowed or any(sign <= " " or sign == "\x7f" for sign in url):
        raise ArgumentError(
            f"{url[:200]!a} is not the URL of a repository that may be fetched",
            hint="repositories are fetched by https:// or file:///",
        )


def _is_local_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and is_loopback(parts.hostname or "")
    except ValueError:
        return False


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    url: str | None = None,
    seconds: float = SECONDS,
    max_bytes: int = MAX_BYTES,
    stdin: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
    check: Callable[[], None] | None = None,
) -> bytes:
    """Run git, and return what it printed, unless that goes to a file.

    Args:
        arguments: The command and its arguments. What of them comes from outside stands behind ``--`` or
            ``--end-of-options``, or was checked not to begin with a dash.
        folder: Where it runs; it has a home of its own there.
        url: The repository that it talks to, or None if it talks to none; then every transport but https is off, too.
        seconds: How long it may take.
        max_bytes: The most that the folder may grow to.
        stdin: A file that it reads.
        output: A file that takes what it prints.
        check: Called now and then while it runs; what it raises ends git.

    Raises:
        FetchError: If git is missing, fails, takes too long, or fills the folder beyond the limit. The message says why
            in git's own last words, and not of which repository: the caller knows that.
    """
    program = shutil.which("git")
    if program is None:
        raise FetchError("the program 'git' is not installed", hint="install git, for example with 'apt install git'")
    options = dict(_OPTIONS)
    if url is not None and url.startswith("file://"):
        options["protocol.file.allow"] = "always"
    if url is not None and _is_local_http(url):
        options["protocol.http.allow"] = "always"
    configured = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - the arguments are ours, or were checked
            [program, *configured, *arguments],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=printed if output is None else output,
            stderr=said,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
        try:
            _wait(process, folder, seconds, max_bytes, check)
        finally:
            _end(process)
        if process.returncode != 0:
            said.seek(0)
            raise FetchError(_last_line(said.read(1 << 16)))
        printed.seek(0)
        return printed.read()


def _environment(folder: Path) -> dict[str, str]:
    """Return what git needs to find the network, and nothing that configures it."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    proxies = [name for proxy in _PROXIES for name in (proxy, proxy.lower()) if name in os.environ]
    return {
        **environment,
        **{name: os.environ[name] for name in proxies},
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "LC_ALL": "C",
        "GIT_ASKPASS": "true",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS": "true",
    }


def _wait(
    process: subprocess.Popen[bytes],
    folder: Path,
    seconds: float,
    max_bytes: int,
    check: Callable[[], None] | None = None,
) -> None:
    """Wait for git to end, and see to it that it keeps the limits."""
    end = time.monotonic() + seconds
    pause = 0.01
    while True:
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            pause = min(pause * 2, 0.25)
        else:
            return
        if check is not None:
            check()
        if time.monotonic() > end:
            raise FetchError(f"it took longer than {seconds:g} seconds", hint="try again, or use a nearer copy")
        if _used(folder) > max_bytes:
            raise FetchError(f"it has more than {max_bytes:,} bytes", hint="use a smaller repository")


def _used(folder: Path) -> int:
    used = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # git has just renamed or removed it
                used += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - of many files, four times a second
    return used


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    line = re.sub(r"https?://[^\s/@]*@", "https://", lines[-1]) if lines else "git failed"
    return "".join(sign if sign.isprintable() else "?" for sign in line)[:300]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and whatever it started, if it is still there."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def records(output: bytes) -> Iterator[str]:
    """Yield the NUL-terminated records that ``-z`` makes git print."""
    for record in output.split(b"\0"):
        if record:
            yield record.decode("utf-8", "surrogateescape")
