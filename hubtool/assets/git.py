"""The ``git`` program, run so that a hostile repository can do nothing but be read.

No configuration of the user, the system or the repository is in force, no hook runs, nothing is asked, no submodule is
followed and no filter (LFS) is applied; only https, and for tests and local mirrors file and http on this machine, are
spoken; time and size are bounded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.errors import ArgumentError, FetchError, RequirementError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT = 600.0
MAX_BYTES = 2 << 30
# What could be made to run a program, to ask, to leave the folder, or to change bytes is switched off by name, although
# no configuration is read: a later git may get new defaults, and `git clone` writes a configuration of its own.
_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "core.protectNTFS=true",
    "core.protectHFS=true",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "gc.auto=0",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "maintenance.auto=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
)


def environment() -> dict[str, str]:
    """Return the environment that git runs in: what it needs to find the network, and nothing that configures it."""
    kept = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
    proxies = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
    found = {name: os.environ[name] for name in (*kept, *proxies) if name in os.environ}
    return {
        **found,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PROTOCOL_FROM_USER": "0",
        "LC_ALL": "C",
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
    from urllib.parse import urlsplit  # noqa: PLC0415

    from hubtool.assets.links import is_loopback  # noqa: PLC0415

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
    timeout: float = TIMEOUT,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """Run git in a folder, and return what it printed.

    Args:
        arguments: The command and its arguments, each checked by the caller: none of them may come from outside and
            start with a dash.
        folder: Where it runs.
        url: The repository that it talks to, or None if it talks to none; then every transport is off.
        timeout: Seconds in all.
        max_bytes: The most that the folder may grow to.

    Raises:
        FetchError: If git fails, takes too long, or brings too much; the message has git's own last words.
        RequirementError: If there is no git program.
    """
    program = shutil.which("git")
    if program is None:
        raise RequirementError("the git program is not installed", hint="install git, for example 'apt install git'")
    options = list(_SAFE)
    if url is not None and url.startswith("file://"):
        options.append("protocol.file.allow=always")
    if url is not None and url.startswith("http://"):
        options.append("protocol.http.allow=always")
    command = [program]
    for option in options:
        command += ["-c", option]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - the arguments are ours, or checked
            [*command, *arguments],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            _wait(process, arguments[0], folder, timeout, max_bytes)
        finally:
            _end(process)
        errors.seek(0)
        said = errors.read(1 << 16).decode("utf-8", "replace").strip()
        if process.returncode != 0:
            last = "; ".join(said.splitlines()[-3:]) if said else f"exit code {process.returncode}"
            raise FetchError(f"git {arguments[0]} failed: {last if last.isprintable() else ascii(last)}")
        output.seek(0)
        return output.read()


def _wait(process: subprocess.Popen[bytes], name: str, folder: Path, timeout: float, max_bytes: int) -> None:
    end = time.monotonic() + timeout
    pause = 0.01
    while True:
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            pause = min(pause * 2, 0.5)
        else:
            return
        if time.monotonic() > end:
            raise FetchError(f"git {name} took longer than {timeout:g} s", hint="try again, or from a faster mirror")
        if _size(folder) > max_bytes:
            raise FetchError(
                f"the repository has more than {max_bytes >> 20} MiB, which is more than a model's code needs",
                hint="pin a smaller repository in the card",
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and every program that it started."""
    if process.poll() is None or os.name == "posix":
        import signal  # noqa: PLC0415

        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
        process.wait()


def _size(folder: Path) -> int:
    return sum(_file_size(Path(where, name)) for where, _, names in os.walk(folder) for name in names)


def _file_size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # it was a temporary file of git's, and is gone
        return 0


def lines(output: bytes) -> Iterator[str]:
    """Yield the NUL-terminated records that ``-z`` makes git print."""
    for record in output.split(b"\0"):
        if record:
            yield record.decode("utf-8", "surrogateescape")
