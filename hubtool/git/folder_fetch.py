"""Fetch one folder of a repository at one commit.

The commit must be on a branch or tag: servers also hand out commits that anyone put into a pull request.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from hubtool.errors import FetchError
from hubtool.git import hardened
from hubtool.git.code_files import MAX_CODE_BYTES, MAX_FILES, list_files, remove_tree
from hubtool.links import shown

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.repo_link import RepositoryPlace

# Folders count too: nested trees without a single file can stand for billions of folders.
_MAX_ENTRIES = 4 * MAX_FILES
_MAX_LISTING_BYTES = 16 << 20
_MAX_REFS_BYTES = 32 << 20
_LISTING_SECONDS = 60.0
COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
# Attributes of the repository could rewrite files (line ends, encodings, filters); these override them.
_NO_ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding\n"


class FolderFetch:
    """One fetch of one folder of a repository.

    Args:
        place: The repository, revision and folder.
        work: An empty folder; the files of the place's folder end up in it.
        history: Another empty folder, for the commits of all branches and tags, without their files.
    """

    def __init__(self, place: RepositoryPlace, work: Path, history: Path) -> None:
        self._place = place
        self._work = work
        self._history = history
        self._listed: list[bytes] = []

    def bring(self, *, known: bool) -> str:
        """Fetch the commit of the place without its files, and return it; it must be on a branch or tag.

        Args:
            known: Whether the commit was found on a branch or tag before.
        """
        self._start(self._work)
        (self._work / ".git" / "info").mkdir(exist_ok=True)
        (self._work / ".git" / "info" / "attributes").write_text(_NO_ATTRIBUTES, encoding="ascii")
        refs = self._refs()
        place = self._place
        if not place.is_pinned:
            # By its full name, so that "pull/7/head" or an invented name of the server cannot match.
            self._fetch(self._work, "--filter=blob:none", "--depth=1", "origin", self._named(refs))
            commit = self._run("rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")
            if place.revision is None and commit not in refs.values():
                self._check_reachable(commit)
            return commit
        commit = str(place.revision)
        tip = next((name for name, one in refs.items() if one == commit), None)
        if tip is None and not known:
            self._check_reachable(commit)
        try:
            self._fetch(self._work, "--filter=blob:none", "--depth=1", "origin", commit)
        except FetchError:
            # Some servers give a commit only as part of a branch: all branches are fetched, without their files.
            self._fetch(
                self._work,
                "--filter=blob:none",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
                "+refs/tags/*:refs/tags/*",
            )
        got = self._run("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        if got != commit:
            raise FetchError(f"{shown(place.url)} gave the commit {got} for {commit}")
        return commit

    def write_files(self, commit: str) -> tuple[str, ...]:
        """Write the files of the folder; return the left out paths of links and submodules."""
        place = self._place
        tree = f"{commit}:{place.folder}" if place.folder else f"{commit}^{{tree}}"
        try:
            kind = self._run("cat-file", "-t", tree)
        except FetchError:
            kind = ""
        if kind != "tree":
            raise FetchError(
                f"{shown(place.url)} has no folder {place.folder!r} at {commit[:12]}",
                hint="the repo-link of the card names it; it may have moved",
            )
        listed = hardened.listing(
            ("ls-tree", "-r", "-t", "-z", tree),
            folder=self._work,
            most=_MAX_ENTRIES,
            max_printed=_MAX_LISTING_BYTES,
            seconds=_LISTING_SECONDS,
        )
        modes = {}
        try:
            for record in listed:
                head, _, name = record.decode("utf-8", "surrogateescape").partition("\t")
                mode, kind = head.split(" ")[:2]
                if kind != "tree":
                    modes[name] = mode
        except FetchError as error:
            raise self._failed("ls-tree", error) from error
        if len(modes) > MAX_FILES:
            raise FetchError(
                f"{shown(place.url)} has {len(modes):,} files there; a model's code has at most {MAX_FILES:,}"
            )
        # Only the tree of the folder goes into the index: the rest of the repository is not expanded.
        self._run("read-tree", "--reset", "-u", tree, url=place.url)
        remove_tree(self._work / ".git")
        left_out = sorted(name for name, mode in modes.items() if mode not in ("100644", "100755", "100664"))
        for name in left_out:
            target = self._work / name
            if target.is_dir() and not target.is_symlink():
                remove_tree(target)
            else:
                target.unlink(missing_ok=True)
        for path in list_files(self._work):
            if stat.S_ISLNK(path.lstat().st_mode):
                path.unlink()
        return tuple(left_out)

    def _refs(self) -> dict[str, str]:
        """Return the commits of all branches and tags, by their full names."""
        try:
            printed = self._listing("ls-remote", "--quiet", "--heads", "--tags", "origin")
        except FetchError as error:
            raise self._failed("fetch", error) from error
        refs = {}
        for line in printed.decode("utf-8", "surrogateescape").splitlines():
            commit, _, name = line.partition("\t")
            # An annotated tag is listed twice: as itself, and with ^{} as its commit.
            if COMMIT.match(commit) and name.startswith(("refs/heads/", "refs/tags/")):
                refs[name.removesuffix("^{}")] = commit
        return refs

    def _listing(self, *arguments: str) -> bytes:
        return hardened.run(arguments, folder=self._work, url=self._place.url, max_printed=_MAX_REFS_BYTES)

    def _named(self, refs: dict[str, str]) -> str:
        """Return the full name of the place's branch or tag; like git, a tag comes before a branch."""
        revision = self._place.revision
        if revision is None:
            return "HEAD"
        for name in (f"refs/tags/{revision}", f"refs/heads/{revision}"):
            if name in refs:
                return name
        raise FetchError(
            f"{shown(self._place.url)}: git fetch failed: it has no branch and no tag {revision!r}",
            hint="check 'repo-revision', or the revision in the repo-link",
        )

    def _check_reachable(self, commit: str) -> None:
        """Refuse a commit that is on no branch or tag; their commits are fetched without trees or files."""
        self._start(self._history)
        self._fetch(
            self._history, "--filter=tree:0", "origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"
        )
        try:
            on = self._run("for-each-ref", "--count=1", "--format=x", f"--contains={commit}", folder=self._history)
        except FetchError:  # it is not among what was fetched
            on = ""
        if not on:
            raise FetchError(
                f"{shown(self._place.url)}: git finds the commit {commit} on no branch and no tag of it",
                hint="it can be from a pull request, which anyone can open; name a commit that was merged",
            )

    def _start(self, folder: Path) -> None:
        self._run("init", "--quiet", "--template=", folder=folder)
        self._run("config", "remote.origin.url", self._place.url, folder=folder)
        self._run("config", "remote.origin.promisor", "true", folder=folder)

    def _fetch(self, folder: Path, *arguments: str) -> None:
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-commit-graph")
        self._run("fetch", *options, *arguments, folder=folder, url=self._place.url)

    def _run(self, *arguments: str, folder: Path | None = None, url: str | None = None) -> str:
        try:
            output = hardened.run(arguments, folder=folder or self._work, url=url, max_bytes=MAX_CODE_BYTES * 2)
        except FetchError as error:
            raise self._failed(arguments[0], error) from error
        return output.decode("utf-8", "surrogateescape").strip()

    def _failed(self, command: str, error: FetchError) -> FetchError:
        return FetchError(
            f"{shown(self._place.url)}: git {command} failed: {error.message}",
            hint=error.hint or "check the repository, the revision and the network",
        )
