"""What the tests of publishing share: a registry's git over HTTP, a clone of it, files, and a card to publish."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.support.cards import write_card
from tests.support.checkpoints import SMALL, ckpt
from tests.support.git import git, serving_git
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli, CompletedRun

UID = "tests/1.9/net"
BRANCH = "publish/tests-1.9-net"
CONTENT = ckpt(SMALL)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
UNPUBLISHED = "https://unpublished.invalid/net.ckpt"
IDENTITY = "[user]\n\tname = A Maintainer\n\temail = maintainer@example.org\n"


@dataclass(frozen=True)
class Maintainer:
    """A maintainer's desk.

    Attributes:
        cli: The command line.
        origin: The bare repository of the registry.
        url: Its URL.
        checkout: The maintainer's clone.
        blobs: The folder that files go to.
        links: What links to files there begin with.
        card: The card that is to be published.
        asset: Its file.
    """

    cli: Cli
    origin: Path
    url: str
    checkout: Path
    blobs: Path
    links: str
    card: Path
    asset: Path

    def publish(self, *more: str | Path, **environ: str) -> CompletedRun:
        """Publish the card; MindSpore is hidden, so that it takes a second."""
        return self.cli("publish", *self.arguments, *more, timeout=300, **environ)

    @property
    def arguments(self) -> tuple[str | Path, ...]:
        """What ``hubtool publish`` is given."""
        return (
            *(self.card, "--asset", self.asset, "--blobs", self.blobs, "--link-base", self.links),
            *("--registry", self.checkout, "--unproven"),
        )

    @property
    def link(self) -> str:
        """The link that the asset gets."""
        return f"{self.links}/blobs/sha256/{DIGEST[:2]}/{DIGEST}#net.ckpt"

    def branches(self, folder: Path | None = None) -> list[str]:
        """Return the branches of the remote, or of another repository."""
        listed = git(folder or self.origin, "for-each-ref", "--format=%(refname:short)", "refs/heads")
        return listed.split()

    def show(self, what: str, folder: Path | None = None) -> str:
        """Return an object of the remote, or of another repository."""
        return git(folder or self.origin, "show", what)

    def merge(self, branch: str = BRANCH) -> None:
        """Let the remote's default branch be a branch, as a merge after the review does."""
        git(self.origin, "update-ref", "refs/heads/main", f"refs/heads/{branch}")

    def clone(self, name: str) -> Path:
        """Make another clone."""
        return clone(self.checkout.parent, self.url, name)

    def stored(self) -> dict[str, bytes]:
        """Return what is visible in the folder of files, by digest."""
        return {path.name: path.read_bytes() for path in (self.blobs / "blobs").rglob("*") if path.is_file()}

    def state(self) -> tuple[str, ...]:
        """Return everything of the checkout that is the user's own."""
        folder = self.checkout
        return (
            git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=all", "--ignored"),
            git(folder, "diff", "HEAD"),
            git(folder, "diff", "--cached"),
            git(folder, "for-each-ref", "refs/heads/main", "refs/heads/mine", "refs/remotes/origin/main", "refs/tags"),
            git(folder, "stash", "list"),
            git(folder, "worktree", "list"),
        )

    def left(self) -> list[str]:
        """Return what a publication left behind that it should not have."""
        found = [path.name for path in (self.checkout / ".git/hubtool").glob("*") if path.name != "publish.lock"]
        found += git(self.checkout, "for-each-ref", "--format=%(refname)", "refs/hubtool").split()
        found += [path.name for path in (self.blobs / ".hubtool/temporary").rglob("*.part")]
        return found + [str(path) for path in (self.checkout / ".git").glob("worktrees/*")]


def draft(root: Path, uid: str, content: bytes, link: str = UNPUBLISHED) -> Path:
    """Write a card whose recipe needs nothing to be looked at."""
    path = write_card(root, uid, link=link, content=content, entry="nothing:net")
    path.write_text(path.read_text().replace("provider: builtin", "provider: package"))
    return path


def clone(folder: Path, url: str, name: str) -> Path:
    """Clone a repository."""
    git(folder, "clone", "--quiet", url, name)
    return folder / name


def hide_mindspore(folder: Path) -> str:
    """Return what to put into PYTHONPATH so that Python does not find MindSpore."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['mindspore'] = None\n")
    return str(folder)


def make_origin(folder: Path) -> Path:
    """Make the bare repository of a registry that has one card, and that takes pushes."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    work = folder / "first"
    work.mkdir(parents=True)
    git(work, "init", "--quiet", "--initial-branch=main")
    write_card(work / "registry", "tests/1.9/other", link="https://gitee.com/a/other.ckpt", content=b"other")
    (work / "README.md").write_text("A registry.\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message=Begin")
    (folder / "served").mkdir()
    git(folder, "clone", "--quiet", "--bare", "first", "served/registry.git")
    git(folder / "served/registry.git", "config", "http.receivepack", "true")
    return folder / "served" / "registry.git"


@contextmanager
def maintainer_at(cli: Cli, folder: Path, *, login: str = "") -> Iterator[Maintainer]:
    """Set a maintainer's desk up, with servers for the registry's git and for the files."""
    (folder / "gitconfig").write_text(IDENTITY)
    kept = {name: text for name, text in cli.environ.items() if not name.startswith("GIT_")}
    environ = {
        **kept,
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONPATH": os.pathsep.join((hide_mindspore(folder / "hidden"), cli.environ["PYTHONPATH"])),
    }
    cli = replace(cli, environ=environ, without_mindspore=True)
    origin = make_origin(folder / "git")
    blobs = folder / "blobs"
    blobs.mkdir()
    with ExitStack() as stack:
        web = stack.enter_context(serving_git(origin.parent))
        files = stack.enter_context(serving(folder=blobs))
        url = f"{web.url}/registry.git".replace("://", f"://{login}")
        card = draft(folder / "drafts", UID, CONTENT)
        asset = folder / "net.ckpt"
        asset.write_bytes(CONTENT)
        yield Maintainer(
            cli=cli,
            origin=origin,
            url=url,
            checkout=clone(folder, url, "checkout"),
            blobs=blobs,
            links=files.url,
            card=card,
            asset=asset,
        )
