"""The user's own login for repositories: for hosts that the user named, and for no others."""

from __future__ import annotations

import base64
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from hubtool.links import is_loopback

# Comma-separated hosts whose repositories are fetched with the user's own login: from git's credential helpers, from
# ~/.netrc, or by ssh.
LOGIN_HOSTS = "HUBTOOL_LOGIN_HOSTS"
_CREDENTIAL_SECONDS = 30.0
# No question, no unknown host, no forwarding, and nothing of the user's own that runs a program here.
SSH_COMMAND = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ClearAllForwardings=yes -o ForwardAgent=no "
    "-o PermitLocalCommand=no -o ConnectTimeout=15"
)


def is_local_http(url: str) -> bool:
    """Whether a URL is http on this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and is_loopback(parts.hostname or "")
    except ValueError:
        return False


def may_log_in(url: str | None) -> bool:
    """Whether the user named the host of a repository as one that gets the user's own login."""
    named = {host.strip().lower() for host in os.environ.get(LOGIN_HOSTS, "").split(",")} - {""}
    secret = url is not None and (url.startswith(("https://", "ssh://")) or is_local_http(url))
    return secret and urlsplit(url or "").netloc.lower().rpartition("@")[2] in named


@lru_cache(maxsize=16)
def helper_login(program: str, scheme: str, host: str) -> str | None:
    """Return the header with the login that the user's credential helpers have for a host, or None.

    The helpers belong to the user's configuration, so they run with it; in the user's home, because the current folder
    may be a clone with a hostile configuration.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - only the host comes from outside, and the user named it
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
