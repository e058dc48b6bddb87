"""A registry's git checkout: what is published in it, and one commit on its own branch.

What the user has in the checkout is never touched: not the working tree, not the index, not the branch that is checked
out, not the remote-tracking branches. A commit is made in its own working tree within ``.git``, and the branch appears,
by one change of a ref, when the commit is complete and correct.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.errors import InvalidNameError, PublishError
from hubtool.git.hardened import records
from hubtool.git.remotes import Remote, without_secrets
from hubtool.git.user_git import GIT_SECONDS, GitResult, run
from hubtool.locking import FileLock
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ASKING_SECONDS = 60.0
_PATIENCE_SECONDS = 300.0
_LOCK_AGE_SECONDS = 10.0
_NONE = "0" * 40
_OBJECT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch, and the file at the path in question on it.

    Attributes:
        commit: Its commit.
        data: The bytes of the file, or None if it has none.
    """

    commit: str
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutState:
    """What a checkout and its remote have, of one path.

    Attributes:
        remote: The remote that is asked and pushed to, or None if there is none.
        unreachable: Why the remote could not be asked; empty if it was, or if there is none.
        base: The branch that changes are meant for, by its name.
        head: That branch.
        ours: The branch of the change here, or None.
        theirs: The branch of the change at the remote, or None.
    """

    remote: Remote | None
    unreachable: str
    base: str
    head: Branch
    ours: Branch | None
    theirs: Branch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A git checkout.

    Attributes:
        top: Its top folder.
        common: The folder with its objects and refs.
        given: The folder within it that was given, relative to the top, with slashes; empty for the top.
    """

    top: Path
    common: Path
    given: str

    @classmethod
    def open(cls, folder: Path) -> Checkout:
        """Open the checkout that a folder is in.

        Raises:
            PublishError: If it is in none, or git is missing.
        """
        hint = "give the folder of a git clone of the registry with --registry"
        if not folder.is_dir():
            raise PublishError(f"{folder} is not a folder", hint=hint)
        done = run(folder, "rev-parse", "--show-toplevel", "--git-common-dir")
        lines = done.text.split("\n")
        if done.code != 0 or len(lines) != 2:
            raise PublishError(f"{folder} is not within a git checkout: {done.why}", hint=hint)
        top = Path(lines[0])
        common = (folder / lines[1]).resolve()
        given = folder.resolve().relative_to(top.resolve()).as_posix()
        return cls(top=top, common=common, given="" if given == "." else given)

    def git(self, *arguments: str, seconds: float = GIT_SECONDS, stdin: bytes = b"") -> GitResult:
        """Run git in the checkout; see :func:`run`."""
        return run(self.top, *arguments, seconds=seconds, stdin=stdin)

    # -- looking -------------------------------------------------------------------------------------------------------

    def check_identity(self) -> None:
        """Check that git knows the author of the commits.

        Raises:
            PublishError: If it does not.
        """
        for which in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            # Without this, git makes an address up from the machine's name.
            done = self.git("-c", "user.useConfigOnly=true", "var", which)
            if done.code != 0:
                raise PublishError(
                    f"git does not know who you are in {self.top}",
                    hint="git config --global user.name 'Your Name'; git config --global user.email you@example.org",
                )

    def remote(self, name: str | None) -> Remote | None:
        """Return the remote that is asked and pushed to: the one with a name, else ``origin``, else the only one.

        Raises:
            PublishError: If there is none of this name, or there are several and none is called ``origin``.
        """
        names = self.git("remote").text.split()
        if name is None:
            if not names:
                return None
            name = "origin" if "origin" in names else names[0] if len(names) == 1 else None
            if name is None:
                raise PublishError(f"{self.top} has several remotes: {', '.join(names)}", hint="name one with --remote")
        if name not in names:
            raise PublishError(f"{self.top} has no remote {name!r}", hint="see 'git remote'")
        return Remote(name=name, url=self.git("remote", "get-url", "--push", "--", name).text)

    def look(self, branch: str, path: str, *, remote: Remote | None, offline: bool) -> CheckoutState:
        """Return what the checkout and its remote have of a path; the caller holds :meth:`lock`.

        The remote's default branch, and the branch of the change, are fetched into refs of our own.

        Args:
            branch: The branch of the change.
            path: The path within the checkout.
            remote: The remote, or None.
            offline: Whether the network may not be used.

        Raises:
            PublishError: If there is no branch that a change could be meant for.
        """
        return self._look(branch, lambda head: path, remote=remote, offline=offline)[0]  # noqa: ARG005 - one path for all

    def look_for(self, branch: str, uid: Uid, *, remote: Remote | None, offline: bool) -> tuple[CheckoutState, str]:
        """Return what the checkout and its remote have of a card, and the card's path; see :meth:`look`.

        Args:
            branch: The branch of the change.
            uid: The card.
            remote: The remote, or None.
            offline: Whether the network may not be used.

        Raises:
            PublishError: As :meth:`look`.
        """

        def path(head: str) -> str:
            folder = self.cards_folder(head)
            return f"{folder}/{uid.path}" if folder else str(uid.path)

        return self._look(branch, path, remote=remote, offline=offline)

    def _look(
        self, branch: str, find: Callable[[str], str], *, remote: Remote | None, offline: bool
    ) -> tuple[CheckoutState, str]:
        unreachable = ""
        base, head, theirs = "", "", None
        if remote is not None and offline and not remote.is_local:
            unreachable = "the network may not be used (offline)"
        elif remote is not None:
            unreachable, base, head, theirs = self._fetch(remote, branch)
        if not head:
            base, head = self._known_base(remote)
        path = find(head)
        ours = self.commit(f"refs/heads/{branch}")
        state = CheckoutState(
            remote=remote,
            unreachable=unreachable,
            base=base,
            head=Branch(commit=head, data=self.read(head, path)),
            ours=None if ours is None else Branch(commit=ours, data=self.read(ours, path)),
            theirs=None if theirs is None else Branch(commit=theirs, data=self.read(theirs, path)),
        )
        return state, path

    def _fetch(self, remote: Remote, branch: str) -> tuple[str, str, str, str | None]:
        """Ask a remote; return why it cannot be asked, its default branch, that one's commit, and our branch's."""
        asked = self.git("ls-remote", "--symref", remote.name, "HEAD", f"refs/heads/{branch}", seconds=_ASKING_SECONDS)
        if asked.code != 0:
            return asked.why, "", "", None
        base, found = "", {}
        for line in asked.text.splitlines():
            value, _, ref = line.partition("\t")
            if value.startswith("ref: refs/heads/") and ref == "HEAD":
                base = value.removeprefix("ref: refs/heads/")
            elif _OBJECT.match(value):
                found[ref] = value
        theirs = found.get(f"refs/heads/{branch}")
        wanted = [f"+refs/heads/{branch}:{_own(branch, 'theirs')}"] if theirs else []
        if base and "HEAD" in found:
            wanted.append(f"+refs/heads/{base}:{_own(branch, 'base')}")
        if not wanted:
            return "", "", "", None
        fetched = self.git(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-prune", "--no-recurse-submodules"),
            *("--refmap=", remote.name, *wanted),
        )
        if fetched.code != 0:
            return fetched.why, "", "", None
        head = self.commit(_own(branch, "base")) if base and "HEAD" in found else None
        return "", base if head else "", head or "", self.commit(_own(branch, "theirs")) if theirs else None

    def _known_base(self, remote: Remote | None) -> tuple[str, str]:
        """Return the branch that changes are meant for, and its commit, from what is here."""
        refs: list[tuple[str, str]] = []
        if remote is not None:
            start = f"refs/remotes/{remote.name}/"
            default = self.git("symbolic-ref", "--quiet", f"{start}HEAD").text.removeprefix(start)
            refs += [(name, f"{start}{name}") for name in dict.fromkeys((default, "main", "master")) if name]
        refs += [(name, f"refs/heads/{name}") for name in ("main", "master")]
        current = self.git("symbolic-ref", "--quiet", "--short", "HEAD").text
        refs.append((current or "HEAD", "HEAD"))
        for name, ref in refs:
            commit = self.commit(ref)
            if commit is not None:
                return name, commit
        raise PublishError(
            f"{self.top} has no commit yet, so there is nothing that a change could be made to",
            hint="commit a README first, and push it",
        )

    def commit(self, ref: str) -> str | None:
        """Return the commit that a ref names, or None."""
        found = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").text
        return found if _OBJECT.match(found) else None

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file of a commit, or None if it has none of this path.

        Raises:
            PublishError: If the path is something else than a file there.
        """
        listed = self.git("ls-tree", "-z", "--full-tree", commit, "--", f":(literal,top){path}")
        if not listed.out:
            return None
        mode, kind, oid = listed.out.split(b"\t")[0].decode("ascii").split()
        if kind != "blob" or mode == "120000":
            raise PublishError(
                f"{path} is {_KINDS.get(mode, 'no file')} in the registry", hint="move it away there first"
            )
        return self.git("cat-file", "blob", oid).out

    def names(self, commit: str, folder: str = "") -> list[tuple[str, str]]:
        """Return mode and path of everything below a folder of a commit."""
        where = [f":(literal,top){folder}/"] if folder else []
        listed = self.git("ls-tree", "-r", "-z", "--full-tree", commit, "--", *where)
        return [(record.partition(" ")[0], record.partition("\t")[2]) for record in records(listed.out)]

    def cards_folder(self, commit: str) -> str:
        """Return the folder within the checkout that the cards are in.

        It is the one that was given, if it is not the top; else ``registry`` if there is one; else the top if there
        are cards in it; else ``registry``.
        """
        if self.given:
            return self.given
        every = [path for _, path in self.names(commit)]
        if any(path.startswith("registry/") for path in every):
            return "registry"
        return "" if any(map(_is_card, every)) else "registry"

    # -- changing ------------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other publications out of this checkout, and remove what a killed one left behind.

        Raises:
            PublishError: If another one does not end.
        """
        folder = self.common / "hubtool"
        try:
            folder.mkdir(exist_ok=True)
            lock = FileLock(folder / "publish.lock")
            held = lock.acquire(_PATIENCE_SECONDS)
        except OSError as error:
            raise PublishError(
                f"{folder} cannot be written: {error.strerror or error}", hint="give yourself the right to write there"
            ) from error
        if not held:
            raise PublishError(
                f"another publication has been at work in {self.top} for {_PATIENCE_SECONDS / 60:.0f} minutes",
                hint="let it end, and run the command again",
            )
        try:
            self._clear(folder)
            yield
        finally:
            # What was fetched for a change is no longer needed.
            ours = self.git("for-each-ref", "--format=delete %(refname)", "refs/hubtool").out
            if ours:
                self.git("update-ref", "--stdin", stdin=ours)
            self._clear(folder)
            lock.release()

    def _clear(self, folder: Path) -> None:
        left = list(folder.glob("work-*"))
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        if left:
            self.git("worktree", "prune", "--expire=now")
        # Left by a git that was killed while it wrote a ref; only the holder of our lock writes these refs.
        for path in self.common.glob("refs/heads/*/*.lock"):
            with suppress(OSError):
                if path.parent.name in BRANCHES and time.time() - path.stat().st_mtime > _LOCK_AGE_SECONDS:
                    path.unlink()

    def make_commit(
        self, base: str, branch: str, files: Mapping[str, bytes], message: str, *, expected: str | None = None
    ) -> str:
        """Commit files on top of a commit, and let a branch be that; return the commit.

        The caller holds :meth:`lock`. Nothing is left behind if anything fails.

        Args:
            base: The commit to start from.
            branch: The branch.
            files: The bytes of each file, by its path within the checkout.
            message: The commit's message.
            expected: The commit that the branch has now; None if there must be no such branch.

        Raises:
            PublishError: If git, or a hook, refuses; or if the commit does not hold just these bytes.
        """
        for path in files:
            self._check_place(base, path)
        place = Path(tempfile.mkdtemp(prefix="work-", dir=self.common / "hubtool"))
        tree = place / "tree"
        try:
            self._must("worktree", "add", "--quiet", "--detach", str(tree), base, what="a working tree cannot be made")
            for path, data in files.items():
                target = tree / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            # --force: a .gitignore must not keep the card out; --sparse is not known to older gits.
            self._must("add", "--force", "--", *files, folder=tree, what="the card cannot be added")
            said = self._must(
                *("commit", "--quiet", "--file=-"),
                folder=tree,
                stdin=message.encode("utf-8"),
                what="git refuses the commit, perhaps by a hook",
            )
            made = run(tree, "rev-parse", "--verify", "HEAD").text
            self._check_commit(base, made, files, said)
        except OSError as error:
            raise PublishError(
                f"{tree} cannot be written: {error.strerror or error}",
                hint="free some space, or check the rights there",
            ) from error
        finally:
            run(self.top, "worktree", "remove", "--force", "--force", str(tree))
            shutil.rmtree(place, ignore_errors=True)
        self._must(
            *("update-ref", "-m", "hubtool", f"refs/heads/{branch}", made, expected or _NONE),
            what=f"the branch {branch} cannot be made; perhaps another run made it just now",
        )
        return made

    def _check_place(self, base: str, path: str) -> None:
        """Refuse a path that leads through a link or a file, or that differs from another path in case only."""
        parts = path.split("/")
        for at in range(1, len(parts)):
            above = "/".join(parts[:at])
            listed = self.git("ls-tree", "-z", "--full-tree", base, "--", f":(literal,top){above}").out
            if listed and not listed.startswith(b"040000 "):
                raise PublishError(
                    f"{above} is no folder in the registry, so {path} cannot be put there", hint="move it away first"
                )
        folder = "/".join(parts[:-1])
        for _, other in self.names(base, folder):
            if other != path and other.casefold() == path.casefold():
                raise PublishError(
                    f"the registry has {other}, which differs from {path} in case only",
                    hint="choose another name: on some systems the two would be one file",
                )

    def _check_commit(self, base: str, made: str, files: Mapping[str, bytes], said: str) -> None:
        """Check that a commit holds exactly the given files."""
        why = f"; git said: {said}" if said else ""
        changed = self.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, made).out
        added = set(records(changed)) - set(files)
        if added:
            raise PublishError(
                f"a hook added {', '.join(sorted(added)[:5])} to the commit{why}",
                hint="nothing was published; see .git/hooks and core.hooksPath",
            )
        for path, data in files.items():
            if self.read(made, path) != data:
                raise PublishError(
                    f"git does not keep the bytes of {path}: a hook changes it, or .gitattributes its line ends{why}",
                    hint="write '*.md -text' into the registry's .gitattributes; a card is known by its bytes",
                )

    def push(self, remote: Remote, commit: str, branch: str) -> GitResult:
        """Push a commit as a branch; never in place of another commit."""
        return self.git("push", "--porcelain", "--no-follow-tags", remote.name, f"{commit}:refs/heads/{branch}")

    def _must(self, *arguments: str, what: str, folder: Path | None = None, stdin: bytes = b"") -> str:
        done = run(folder or self.top, *arguments, stdin=stdin)
        if done.code != 0:
            raise PublishError(f"{what}: {done.why}", hint="nothing was published; fix this and run the command again")
        return without_secrets(done.err.strip())[-300:]


BRANCHES = ("publish", "deprecate", "withdraw")
"""What the names of our branches begin with."""


def branch_of(kind: str, uid: Uid) -> str:
    """Return the branch of a change: ``publish/mindspore-1.9-resnet50``.

    A name that git does not take for a branch (``x.lock``, ``a..b``) is written so that it does.
    """
    name = re.sub(r"\.(?=\.)|\.lock\Z", lambda match: match[0].replace(".", "_"), str(uid).replace("/", "-"))
    return f"{kind}/{name}"


def _own(branch: str, kind: str) -> str:
    return f"refs/hubtool/{branch}/{kind}"


def _is_card(path: str) -> bool:
    try:
        Uid.parse(path.removesuffix(".md"))
    except InvalidNameError:
        return False
    return path.endswith(".md")
