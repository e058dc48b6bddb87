"""The user's git: with the user's settings, identity, hooks and logins, as if the user had typed the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import PublishError
from hubtool.git.bounded import end
from hubtool.git.remotes import without_secrets

if TYPE_CHECKING:
    from pathlib import Path

GIT_SECONDS = 600.0
# Variables by which another git, from a hook for example, tells its children about its own repository.
_OF_A_REPOSITORY = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitResult:
    """How git ended: its exit code, and what it printed."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it printed, as text."""
        return self.out.decode("utf-8", "replace").strip()

    @property
    def why(self) -> str:
        """Its last words, without secrets and control characters."""
        # Of a push, the lines that begin with '!' say what the server refused.
        refused = [line for line in self.text.splitlines() if line.startswith("!") or not self.err.strip()]
        lines = [line.strip() for line in (*self.err.splitlines(), *refused) if line.strip()]
        # git's own hints explain commands that we do not run.
        lines = [line for line in lines if not line.startswith("hint:")] or lines
        text = "; ".join(lines[-4:]) or f"it ended with {self.code}"
        return "".join(sign if sign.isprintable() else "?" for sign in without_secrets(text))[:600]


def run(folder: Path, *arguments: str, seconds: float = GIT_SECONDS, stdin: bytes = b"") -> GitResult:
    """Run the user's git, with the user's settings.

    Args:
        folder: Where it runs.
        *arguments: The command and its arguments.
        seconds: How long it may take.
        stdin: What it is given to read.

    Raises:
        PublishError: If git is missing, or takes too long.
    """
    program = shutil.which("git")
    if program is None:
        raise PublishError("the program 'git' is not installed", hint="install git, for example with 'apt install git'")
    environ = {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
    environ |= {"LC_ALL": "C", "LANGUAGE": "C", "GIT_EDITOR": "true", "GIT_LFS_SKIP_SMUDGE": "1"}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_MERGE_AUTOEDIT": "no"}
    if not sys.stdin or not sys.stdin.isatty():
        # There is no user to ask for a password.
        environ |= {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
    # What is pushed and fetched is little; to tidy up is left to the user's own commands.
    configured = ("gc.auto=0", "maintenance.auto=false", "advice.detachedHead=false", "core.quotePath=false")
    options = [part for setting in configured for part in ("-c", setting)]
    with subprocess.Popen(  # noqa: S603 - the arguments are ours, or were checked
        [program, *options, *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=not sys.stdin or not sys.stdin.isatty(),
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise PublishError(
                f"git {arguments[0]} took longer than {seconds:g} seconds",
                hint="check the network, and run the command again",
            ) from None
        finally:
            end(process)
    return GitResult(code=process.returncode, out=out, err=err.decode("utf-8", "replace"))
