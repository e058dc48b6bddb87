"""The ``git`` program, run so that a hostile repository can do nothing but be read.

No configuration of the user, the system or the repository is in force, no hook runs, nothing is asked, no submodule is
followed and no filter (LFS) is applied. Only https, files, and http on this machine are spoken, and ssh to hosts that
the user named; no server may send us to another. Time, room and what git prints are bounded while they come, and
nothing that git started outlives it, nor this process: a watcher ends git even after ``kill -9``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool.errors import ArgumentError, FetchError
from hubtool.links import is_loopback, is_ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

SECONDS = 600.0
MAX_BYTES = 2 << 30
# Hosts, with commas between, whose repositories are fetched with the user's own login: that of git's credential
# helpers, of ~/.netrc, or of ssh.
LOGIN_HOSTS = "HUBTOOL_LOGIN_HOSTS"
_CREDENTIAL_SECONDS = 30.0
# No question, no unknown host, no forwarding, and nothing of the user's own that runs a program here.
_SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ClearAllForwardings=yes -o ForwardAgent=no "
    "-o PermitLocalCommand=no -o ConnectTimeout=15"
)
MAX_PRINTED_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 16
# Waits for a line. Its standard input is a pipe that only this process holds: without a line, this process is gone.
_WATCHER = 'read -r done || kill -9 "-$1"'
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
    if is_ssh(url) and not may_log_in(url):
        raise ArgumentError(
            f"{url[:200]!a} asks for a login, and its host is not one that you named for that",
            hint=f"name the host in {LOGIN_HOSTS}, as {urlsplit(url).netloc.rpartition('@')[2]}",
        )
    allowed = url.startswith(("https://", "file:///")) or _is_local_http(url) or is_ssh(url)
    if not allowed or any(sign <= " " or sign in "\x7f\\" for sign in url) or _leads_up(url):
        raise ArgumentError(
            f"{url[:200]!a} is not the URL of a repository that may be fetched",
            hint="repositories are fetched by https:// or file:///, and by ssh://user@host/path",
        )


def _leads_up(url: str) -> bool:
    """Whether a part of the path is ``.`` or ``..``, however often a server decodes it."""
    path = url.partition("://")[2]
    for _ in range(4):
        if any(part in (".", "..") for part in path.split("/")):
            return True
        path = unquote(path)
    return unquote(path) != path


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
    max_printed: int = MAX_PRINTED_BYTES,
    stdin: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
    check: Callable[[], None] | None = None,
) -> bytes:
    """Run git, and return what it printed, unless that goes to a file.

    Args:
        arguments: The command and its arguments. What of them comes from outside stands behind ``--`` or
            ``--end-of-options``, or was checked not to begin with a dash.
        folder: Where it runs; it has a home of its own there.
        url: The repository that it talks to, or None if it talks to none; then every transport is off.
        seconds: How long it may take.
        max_bytes: The most that the folder may grow to.
        max_printed: The most bytes that it may print; a file takes any number, and counts for the folder.
        stdin: A file that it reads.
        output: A file that takes what it prints.
        check: Called now and then while it runs; what it raises ends git.

    Raises:
        FetchError: If git is missing, fails, takes too long, prints too much, or fills the folder beyond the limit. The
            message says why in git's own last words, and not of which repository: the caller knows that.
    """
    return b"".join(
        _blocks(
            arguments,
            folder=folder,
            url=url,
            seconds=seconds,
            max_bytes=max_bytes,
            max_printed=max_printed,
            stdin=stdin,
            output=output,
            check=check,
        )
    )


def listing(
    arguments: Sequence[str],
    *,
    folder: Path,
    url: str | None = None,
    most: int,
    seconds: float = SECONDS,
    max_bytes: int = MAX_BYTES,
    max_printed: int = MAX_PRINTED_BYTES,
) -> Iterator[bytes]:
    """Run a command that prints NUL-terminated records (``-z``), and yield these; git is ended at the limit.

    A few kilobytes of trees that hold each other can stand for billions of names: the records are counted as they come.

    Args:
        arguments: As :func:`run` takes them; so are the others.
        folder: As above.
        url: As above.
        most: The most records.
        seconds: As above.
        max_bytes: As above.
        max_printed: The most bytes of all records.

    Raises:
        FetchError: As :func:`run`, or if there are more records.
    """
    count, rest = 0, b""
    with contextlib.closing(
        _blocks(arguments, folder=folder, url=url, seconds=seconds, max_bytes=max_bytes, max_printed=max_printed)
    ) as blocks:
        for block in blocks:
            *whole, rest = (rest + block).split(b"\0")
            count += len(whole)
            if count > most:
                raise FetchError(f"it has more than {most:,} files and folders", hint="use a smaller repository")
            yield from whole


def _blocks(
    arguments: Sequence[str],
    *,
    folder: Path,
    url: str | None = None,
    seconds: float = SECONDS,
    max_bytes: int = MAX_BYTES,
    max_printed: int = MAX_PRINTED_BYTES,
    stdin: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
    check: Callable[[], None] | None = None,
) -> Generator[bytes, None, None]:
    """Run git, and yield what it prints as it comes; closing the generator ends git."""
    program = shutil.which("git")
    if program is None:
        raise FetchError("the program 'git' is not installed", hint="install git, for example with 'apt install git'")
    options = dict(_OPTIONS)
    if url is None:
        options["protocol.https.allow"] = "never"
    elif url.startswith("file://"):
        options["protocol.file.allow"] = "always"
    elif url.startswith("ssh://"):
        options["protocol.ssh.allow"] = "always"
    if url is not None and _is_local_http(url):
        options["protocol.http.allow"] = "always"
    configured = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - the arguments are ours, or were checked
            [program, *configured, *arguments],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE if output is None else output,
            stderr=said,
            cwd=folder,
            env=_environment(folder, url),
            start_new_session=True,
        )
        try:
            with _watched(process):
                limits = _Limits(folder, seconds, max_bytes, max_printed, check=check, messages=said.fileno())
                if process.stdout is not None:
                    yield from _read(process.stdout, limits)
                _wait(process, limits)
        finally:
            end(process)
        if process.returncode != 0:
            said.seek(0)
            why = _last_line(said.read(1 << 16))
            hint = None
            if url is not None and re.search(r"could not read (Username|Password)|Authentication failed|\b401\b", why):
                hint = (
                    f"it asks for a login: give it to a credential helper of git or to ~/.netrc, and name the host in "
                    f"{LOGIN_HOSTS}"
                    if not may_log_in(url)
                    else "neither git's credential helpers nor ~/.netrc have a login that the server takes"
                )
            elif url is not None and url.startswith("ssh://"):
                hint = "try it with: ssh -o BatchMode=yes HOST; the host must be in ~/.ssh/known_hosts"
            raise FetchError(why, hint=hint)


@contextlib.contextmanager
def _watched(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that git and its children end when this process ends, however that happens.

    A shell waits in a session of its own for a pipe of this process to be closed, which the system does even after
    ``kill -9``. Linux's parent-death signal would need code between fork and exec, is tied to the thread rather than to
    the process, and reaches none of git's children.
    """
    shell = shutil.which("sh") if os.name == "posix" else None
    if shell is None:
        yield
        return
    watcher = subprocess.Popen(  # noqa: S603 - our own words, and a number
        [shell, "-c", _WATCHER, "watcher", str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
    try:
        yield
    finally:
        end(process)
        with suppress(OSError):
            watcher.communicate(b"done\n")


class _Limits:
    """The limits of one run of git."""

    def __init__(
        self,
        folder: Path,
        seconds: float,
        max_bytes: int,
        max_printed: int,
        *,
        check: Callable[[], None] | None,
        messages: int,
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._max_bytes = max_bytes
        self._check = check
        self._messages = messages
        self.max_printed = max_printed

    def hold(self) -> None:
        """Raise if a limit is passed."""
        if self._check is not None:
            self._check()
        if time.monotonic() > self._end:
            raise FetchError(f"it took longer than {self._seconds:g} seconds", hint="try again, or use a nearer copy")
        # A server can send messages without end, too, which git passes on.
        if os.fstat(self._messages).st_size > MAX_PRINTED_BYTES:
            raise FetchError(f"it says more than {MAX_PRINTED_BYTES:,} bytes", hint="use another copy")
        if _used(self._folder) > self._max_bytes:
            raise FetchError(f"it has more than {self._max_bytes:,} bytes", hint="use a smaller repository")


def _read(stream: IO[bytes], limits: _Limits) -> Iterator[bytes]:
    """Yield what comes through a pipe; a thread reads it, so that a silent git keeps the limits too."""
    blocks: queue.Queue[bytes] = queue.Queue(maxsize=16)
    stopped = threading.Event()

    def pump() -> None:
        block = b"?"
        with stream:  # closed where it is read: its number could be another file's by then
            while block and not stopped.is_set():
                block = os.read(stream.fileno(), _BLOCK_BYTES)
                while not stopped.is_set():
                    with suppress(queue.Full):
                        blocks.put(block, timeout=0.1)
                        break

    reader = threading.Thread(target=pump, name="hubtool-git", daemon=True)
    reader.start()
    printed, pause, looked = 0, 0.01, time.monotonic()
    try:
        while True:
            try:
                block = blocks.get(timeout=pause)
            except queue.Empty:
                pause = min(pause * 2, 0.25)
                block = None
            if block == b"":
                return
            if block is not None:
                printed += len(block)
                if printed > limits.max_printed:
                    raise FetchError(
                        f"git lists more than {limits.max_printed:,} bytes", hint="use a smaller repository"
                    )
                yield block
            if block is None or time.monotonic() - looked > 0.25:
                limits.hold()
                looked = time.monotonic()
    finally:
        stopped.set()


def may_log_in(url: str | None) -> bool:
    """Whether the user named the host of a repository as one that gets the user's own login."""
    named = {host.strip().lower() for host in os.environ.get(LOGIN_HOSTS, "").split(",")} - {""}
    secret = url is not None and (url.startswith(("https://", "ssh://")) or _is_local_http(url))
    return secret and urlsplit(url or "").netloc.lower().rpartition("@")[2] in named


@lru_cache(maxsize=16)
def _helped_login(program: str, scheme: str, host: str) -> str | None:
    """Return the header with the login that the user's credential helpers have for a host, or None.

    The helpers are programs of the user's own configuration, so they run as the user's own git runs them; the folder is
    the user's home, since the current folder may be a clone with a hostile configuration.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - no part of it comes from outside but the host, which the user named
            [program, "credential", "fill"],
            input=f"protocol={scheme}\nhost={host}\n\n".encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path.home(),
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GCM_INTERACTIVE": "never"},
            timeout=_CREDENTIAL_SECONDS,
            check=False,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    if not found.get("username") or not found.get("password"):
        return None
    pair = base64.b64encode(f"{found['username']}:{found['password']}".encode()).decode("ascii")
    return f"Authorization: Basic {pair}"


def _environment(folder: Path, url: str | None) -> dict[str, str]:
    """Return what git needs to find the network, and nothing that configures it."""
    # Of the user's own home git reads nothing but .netrc: its configuration is switched off below. A redirect to
    # another host is not followed, so what .netrc says of a named host goes to that host only.
    named = url is not None and may_log_in(url)
    home = Path.home() if named else folder
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if url is not None and named and url.startswith("ssh://"):
        environment |= {name: os.environ[name] for name in ("SSH_AUTH_SOCK", "USER", "LOGNAME") if name in os.environ}
        environment["GIT_SSH_COMMAND"] = _SSH
    elif url is not None and named:
        parts = urlsplit(url)
        login = _helped_login(shutil.which("git") or "git", parts.scheme, parts.netloc.lower().rpartition("@")[2])
        if login is not None:  # in the environment, which other users cannot see as they see arguments
            environment["GIT_CONFIG_COUNT"] = "1"
            environment["GIT_CONFIG_KEY_0"] = f"http.{parts.scheme}://{parts.netloc}/.extraHeader"
            environment["GIT_CONFIG_VALUE_0"] = login
    proxies = [name for proxy in _PROXIES for name in (proxy, proxy.lower()) if name in os.environ]
    return {
        **environment,
        **{name: os.environ[name] for name in proxies},
        "HOME": str(home),
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


def _wait(process: subprocess.Popen[bytes], limits: _Limits) -> None:
    """Wait for git to end, and see to it that it keeps the limits."""
    pause = 0.01
    while True:
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            pause = min(pause * 2, 0.25)
        else:
            return
        limits.hold()


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


def end(process: subprocess.Popen[bytes]) -> None:
    """End git, and all that it started if it leads a process group of its own."""
    if process.poll() is not None:
        return
    if os.name == "posix" and os.getpgid(process.pid) == process.pid:
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
