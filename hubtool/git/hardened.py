"""The ``git`` program, run so that a hostile repository can do nothing but be read.

- git reads no configuration of the user, the system or the repository. It runs no hook, asks no question, follows no
  submodule and applies no filter (LFS).
- The only transports are https, files, http on this machine, and ssh to hosts that the user named. Redirects are
  refused.
- Time, disk space and output are limited while git runs. Its children end with it, and it ends with this process, even
  after ``kill -9`` (:mod:`hubtool.git.bounded`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool.errors import ArgumentError, FetchError
from hubtool.git.bounded import MAX_PRINTED_BYTES, ProcessLimits, end, ended_with_us, read_output, wait
from hubtool.git.login import LOGIN_HOSTS, SSH_COMMAND, helper_login, is_local_http, may_log_in
from hubtool.links import is_ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

GIT_SECONDS = 600.0
MAX_FETCH_BYTES = 2 << 30
_KEPT = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_EXEC_PATH")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY")
# Everything that could run a program, ask a question, leave the folder or change bytes is switched off by name. No
# configuration is read, but the defaults of a later git may differ.
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
    """Refuse a URL that git would take for an option or a helper program (``ext::``), and every other transport.

    Raises:
        ArgumentError: If the URL is refused.
    """
    if is_ssh(url) and not may_log_in(url):
        raise ArgumentError(
            f"{url[:200]!a} asks for a login, and its host is not one that you named for that",
            hint=f"name the host in {LOGIN_HOSTS}, as {urlsplit(url).netloc.rpartition('@')[2]}",
        )
    allowed = url.startswith(("https://", "file:///")) or is_local_http(url) or is_ssh(url)
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


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    url: str | None = None,
    seconds: float = GIT_SECONDS,
    max_bytes: int = MAX_FETCH_BYTES,
    max_printed: int = MAX_PRINTED_BYTES,
    stdin: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
    check: Callable[[], None] | None = None,
) -> bytes:
    """Run git, and return what it printed, unless that goes to a file.

    Args:
        arguments: The command and its arguments. Arguments from outside stand behind ``--`` or ``--end-of-options``,
            or were checked not to begin with a dash.
        folder: The working folder, which is also git's home.
        url: The repository that git talks to. With None, every transport is off.
        seconds: The most seconds that it may take.
        max_bytes: The most bytes that the folder may grow to.
        max_printed: The most bytes that it may print. With ``output``, the file counts for the folder instead.
        stdin: A file that it reads.
        output: A file that takes its output.
        check: Called now and then while it runs; an error that it raises ends git.

    Raises:
        FetchError: If git is missing, fails, takes too long, prints too much, or fills the folder beyond the limit. The
            message is git's own last line; the caller adds the repository.
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
    seconds: float = GIT_SECONDS,
    max_bytes: int = MAX_FETCH_BYTES,
    max_printed: int = MAX_PRINTED_BYTES,
) -> Iterator[bytes]:
    """Run a command that prints NUL-terminated records (``-z``), and yield them; git is ended at the limit.

    A few kilobytes of nested trees can stand for billions of names, so the records are counted as they come.

    Args:
        arguments: As for :func:`run`, like ``folder``, ``url``, ``seconds`` and ``max_bytes``.
        folder: The working folder.
        url: The repository that git talks to, or None.
        most: The most records.
        seconds: The most seconds that it may take.
        max_bytes: The most bytes that the folder may grow to.
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
    seconds: float = GIT_SECONDS,
    max_bytes: int = MAX_FETCH_BYTES,
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
    if url is not None and is_local_http(url):
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
            with ended_with_us(process):
                limits = ProcessLimits(
                    folder=folder,
                    seconds=seconds,
                    max_bytes=max_bytes,
                    max_printed=max_printed,
                    messages=said.fileno(),
                    check=check,
                )
                if process.stdout is not None:
                    yield from read_output(process.stdout, limits)
                wait(process, limits)
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


def _environment(folder: Path, url: str | None) -> dict[str, str]:
    """Return the environment: what git needs to find the network, and nothing that configures git."""
    # In the user's home, git reads .netrc only: its configuration is switched off below. Redirects to other hosts are
    # not followed, so the login of a named host goes to that host only.
    named = url is not None and may_log_in(url)
    home = Path.home() if named else folder
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if url is not None and named and url.startswith("ssh://"):
        environment |= {name: os.environ[name] for name in ("SSH_AUTH_SOCK", "USER", "LOGNAME") if name in os.environ}
        environment["GIT_SSH_COMMAND"] = SSH_COMMAND
    elif url is not None and named:
        parts = urlsplit(url)
        login = helper_login(shutil.which("git") or "git", parts.scheme, parts.netloc.lower().rpartition("@")[2])
        if login is not None:  # in the environment: other users can see arguments
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


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    line = re.sub(r"https?://[^\s/@]*@", "https://", lines[-1]) if lines else "git failed"
    return "".join(sign if sign.isprintable() else "?" for sign in line)[:300]


def records(output: bytes) -> Iterator[str]:
    """Yield the NUL-terminated records that git prints with ``-z``."""
    for record in output.split(b"\0"):
        if record:
            yield record.decode("utf-8", "surrogateescape")
