"""Code of repositories: fetched at one commit, and stored by what it is.

Below the store's root::

    code/sha256/ab/<tree digest>/            the files of one folder of one commit, read-only
    code/records/<digest of the place>.json  which tree the folder of a commit has
    code/revisions/<digest of the place>.json  which commit a branch or tag was when it was first asked for; of a
                                             commit, that it was found on a branch or tag of its repository

The *tree digest* is the SHA-256 over the paths and the SHA-256 of the files. It is computed again whenever code is
taken out of the store: a file that was changed since is seen, and the code is fetched again. Records are read from the
user's own store only, never from the others that the settings name, and only if they state what they are about.

A repository stands for its branches and tags, and for nothing else that its server hands out: servers also give
commits that anyone put into a pull request.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import files, ownership
from hubtool.card.repo_link import check_repository_url, check_revision
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, FetchError, OfflineError
from hubtool.git import hardened
from hubtool.links import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.links import LinkPolicy
    from hubtool.store.store import Store

MAX_FILES = 20_000
MAX_CODE_BYTES = 512 << 20
# Folders count too: trees without a single file can stand for billions of them.
_MAX_ENTRIES = 4 * MAX_FILES
_MAX_LISTING_BYTES = 16 << 20
_MAX_REFS_BYTES = 32 << 20
_LISTING_SECONDS = 60.0
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_NO_CODE_HINT = "'hubtool load --checkout FOLDER' takes a copy of the repository instead"
# Attributes of the repository could have files rewritten (line endings, encodings, filters); these come before them.
_NO_ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The files of one folder of a repository at one commit.

    Attributes:
        path: Where they are.
        url: The repository.
        commit: The commit, 40 hexadecimal digits.
        folder: The folder within the repository.
        tree: The tree digest, 64 hexadecimal digits.
        left_out: Paths that are links or submodules, and are not there.
    """

    path: Path
    url: str
    commit: str
    folder: str
    tree: str
    left_out: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files, relative to the folder, sorted."""
        return code_files(self.path)


class CodeStore:
    """Fetches and keeps code below a store's root.

    Attributes:
        store: The store; its locks keep processes from fetching the same code twice.
        policy: Where repositories may be fetched from.
        offline: Whether the network may not be used.
    """

    def __init__(self, store: Store, policy: LinkPolicy, *, offline: bool) -> None:
        self.store = store
        self.policy = policy
        self.offline = offline
        self._root = store.root / "code"

    def commit(self, place: RepositoryPlace) -> str | None:
        """Return the commit that a place stands for, as far as that is known without the network.

        A branch or tag stands for the commit that it was when it was first fetched.
        """
        if place.is_pinned:
            return place.revision
        raw = _read_json(self._revision_path(place))
        if raw is None or (raw.get("url"), raw.get("revision")) != (place.url, place.revision):
            return None
        commit = raw.get("commit")
        return commit if isinstance(commit, str) and _COMMIT.match(commit) else None

    def find(self, place: RepositoryPlace) -> Code | None:
        """Return code that is stored, or None; nothing is fetched.

        Code whose files are no longer what they were is removed.
        """
        commit = self.commit(place)
        if commit is None:
            return None
        raw = _read_json(self._record_path(place.at(commit)))
        stated = (place.url, commit, place.folder, True)
        if raw is None or tuple(raw.get(key) for key in ("url", "commit", "folder", "reachable")) != stated:
            return None  # of an older hubtool, or not of this place: it is fetched, and checked, again
        tree = raw.get("tree")
        if not isinstance(tree, str) or not re.fullmatch(r"[0-9a-f]{64}", tree):
            return None
        path = self._tree_path(tree)
        if not path.is_dir():
            return None
        if tree_digest(path) != tree:
            _remove(path)
            return None
        left_out = raw.get("left-out", [])
        return Code(
            path=path,
            url=place.url,
            commit=commit,
            folder=place.folder,
            tree=tree,
            left_out=tuple(str(item) for item in left_out) if isinstance(left_out, list) else (),
        )

    def fetch(self, place: RepositoryPlace, *, tree: str | None = None) -> Code:
        """Return code from the store, and fetch it first if it is not there.

        Args:
            place: Repository, revision and folder.
            tree: The tree digest that it must have, or None.

        Raises:
            OfflineError: If it is not stored, and the network may not be used. ForbiddenLinkError: If the
            repository's host is not allowed. FetchError: If it cannot be fetched: the repository or the commit is
            gone, the folder is not in it, it is too
                large, or it has another tree digest than it must have.
            StoreError: If the store cannot be written.
        """
        found = self.find(place)
        if found is None:
            if self.offline:
                raise OfflineError(
                    f"the code of {shown(place.url)} is not stored, and the network may not be used",
                    hint="'hubtool load' or 'hubtool check' fetches code where HUBTOOL_OFFLINE is not set; "
                    f"{_NO_CODE_HINT}",
                )
            self._check(place)
            key = _digest("code", place.url, place.revision or "", place.folder)
            try:
                with self.store.lock(key):
                    found = self.find(place) or self._bring(place, key)
            except FetchError as error:
                error.hint = f"{error.hint}; or {_NO_CODE_HINT}" if error.hint else _NO_CODE_HINT
                raise
        if tree is not None and found.tree != tree:
            raise FetchError(
                f"the code of {shown(place.url)} at {found.commit[:12]} has the tree digest {found.tree}, not {tree}",
                hint="what was pinned is not what is there: do not use it before you know why",
            )
        return found

    def refresh(self, place: RepositoryPlace) -> Code:
        """Return the code of what a branch or tag is now, and take that for it from here on; a commit stays itself.

        Raises:
            HubError: As :meth:`fetch`; then the branch stays what it was.
        """
        if place.is_pinned:
            return self.fetch(place)
        if self.offline:
            raise OfflineError(
                f"what {shown(place.url)} is now cannot be asked: the network may not be used",
                hint="run it where HUBTOOL_OFFLINE is not set",
            )
        self._check(place)
        key = _digest("code", place.url, place.revision or "", place.folder)
        with self.store.lock(key):
            return self._bring(place, key)

    def _check(self, place: RepositoryPlace) -> None:
        hardened.check_url(place.url)
        check_repository_url(place.url)
        if not place.url.startswith("file://"):
            self.policy.check(place.url)
        if place.revision is not None:
            check_revision(place.revision)

    def _bring(self, place: RepositoryPlace, key: str) -> Code:
        temporary = self.store.root / "temporary" / f"{key}.code.part"
        _remove(temporary)
        try:
            (temporary / "work").mkdir(parents=True)
            source = temporary / "work"
            (temporary / "history").mkdir()
            repository = _FolderFetch(place, source, temporary / "history")
            commit = repository.bring(known=place.is_pinned and self._is_known(place))
            left_out = repository.write_files(commit)
            digest = tree_digest(source)
            target = self._tree_path(digest)
            if target.is_dir() and tree_digest(target) != digest:
                _remove(target)
            if not target.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
                _protect(target)
        except OSError as error:
            raise files.store_error(error, temporary) from error
        finally:
            _remove(temporary)
        self._record(place, commit, digest, left_out)
        return Code(path=target, url=place.url, commit=commit, folder=place.folder, tree=digest, left_out=left_out)

    def _record(self, place: RepositoryPlace, commit: str, tree: str, left_out: tuple[str, ...]) -> None:
        about = {"url": place.url, "commit": commit, "reachable": True}
        self._write(
            self._record_path(place.at(commit)),
            {**about, "folder": place.folder, "tree": tree, "left-out": list(left_out)},
        )
        self._write(self._revision_path(place.at(commit)), {**about, "revision": commit})
        if not place.is_pinned:
            self._write(self._revision_path(place), {**about, "revision": place.revision})

    def _is_known(self, place: RepositoryPlace) -> bool:
        """Whether a commit was found on a branch or tag before, when another folder of it was fetched."""
        raw = _read_json(self._revision_path(place))
        stated = (place.url, place.revision, place.revision, True)
        return raw is not None and tuple(raw.get(key) for key in ("url", "revision", "commit", "reachable")) == stated

    def put(self, place: RepositoryPlace, folder: Path) -> Code:
        """Store a copy of a folder as the code of a place, in the temporary store of a trial and nowhere else.

        Raises:
            ArgumentError: If it is larger than code may be.
            StoreError: If it cannot be copied.
        """
        commit = place.revision if place.revision is not None and place.is_pinned else "0" * 40
        temporary = self._root / "put.part"
        try:
            copy_code(folder, temporary)
            tree = tree_digest(temporary)
            target = self._tree_path(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(target)
        except OSError as error:
            raise files.store_error(error, temporary) from error
        self._record(place, commit, tree, ())
        return Code(path=target, url=place.url, commit=commit, folder=place.folder, tree=tree)

    def _write(self, path: Path, value: dict[str, object]) -> None:
        try:
            files.write_atomically(path, json.dumps(value).encode(), durable=False, parents=True)
        except OSError as error:
            raise files.store_error(error, path) from error

    def _tree_path(self, tree: str) -> Path:
        return self._root / "sha256" / tree[:2] / tree

    def _record_path(self, place: RepositoryPlace) -> Path:
        return self._root / "records" / f"{_digest(place.url, place.revision or '', place.folder)}.json"

    def _revision_path(self, place: RepositoryPlace) -> Path:
        # Whatever the folder: all folders of a branch are of one commit.
        return self._root / "revisions" / f"{_digest(place.url, place.revision or '')}.json"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def tree_digest(root: Path) -> str:
    """Return the SHA-256 over the paths and the SHA-256 of all files below a folder, sorted by path.

    Stored code has no links. One that was put there is counted as a link, so that the digest is another one: Python
    would import what it leads to.

    Raises:
        OSError: If a file cannot be read.
    """
    digester = hashlib.sha256()
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        content = f"link to {path.readlink()}" if path.is_symlink() else digest_file(path)
        digester.update(f"{content} {name}\n".encode("utf-8", "surrogateescape"))
    return digester.hexdigest()


def code_files(folder: Path) -> tuple[str, ...]:
    """Return the paths of all files below a folder, relative to it and with ``/``, sorted."""
    return tuple(path.relative_to(folder).as_posix() for path in _files(folder))


def _files(root: Path) -> list[Path]:
    """Return all files below a folder, and all links, those to folders included, sorted by path."""
    found = []
    for where, folders, names in os.walk(root):
        found += [Path(where, name) for name in names]
        found += [path for name in folders if (path := Path(where, name)).is_symlink()]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def copy_code(folder: Path, target: Path) -> None:
    """Copy what belongs to the code in a folder: no links, nothing of git, and no compiled files.

    Raises:
        OSError: If a file cannot be read or written.
        ArgumentError: If there are more than :data:`MAX_FILES`, or more than :data:`MAX_CODE_BYTES`.
    """
    target.mkdir(parents=True)
    left = MAX_CODE_BYTES
    for count, path in enumerate(own_files(folder)):
        left -= path.stat().st_size
        if count >= MAX_FILES or left < 0:
            raise ArgumentError(
                f"{folder} has more than {MAX_FILES:,} files or {MAX_CODE_BYTES:,} bytes",
                hint="take data and checkpoints out of it",
            )
        to = target / path.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def own_files(folder: Path) -> Iterator[Path]:
    """Yield the files that belong to the code in a folder: no links, nothing of git, and no compiled files."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in (".git", "__pycache__"))
        for name in sorted(names):
            path = Path(where, name)
            if name != ".git" and not name.endswith(".pyc") and stat.S_ISREG(path.lstat().st_mode):
                yield path


def links(folder: Path) -> Iterator[Path]:
    """Yield the links in a folder of code; what they lead to can be imported."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        yield from (path for name in (*folders, *sorted(names)) if (path := Path(where, name)).is_symlink())


class _FolderFetch:
    """One fetch of one folder of a repository.

    Args:
        place: What is fetched.
        work: An empty folder; the files of the place's folder end up in it.
        history: Another empty folder, for the commits of all branches and tags, without their files.
    """

    def __init__(self, place: RepositoryPlace, work: Path, history: Path) -> None:
        self._place = place
        self._work = work
        self._history = history
        self._listed: list[bytes] = []

    def bring(self, *, known: bool) -> str:
        """Fetch the commit of the place without its files, and return it; it is on a branch or tag.

        Args:
            known: Whether the commit was found on a branch or tag before.
        """
        self._start(self._work)
        (self._work / ".git" / "info").mkdir(exist_ok=True)
        (self._work / ".git" / "info" / "attributes").write_text(_NO_ATTRIBUTES, encoding="ascii")
        refs = self._refs()
        place = self._place
        if not place.is_pinned:
            # By its full name: "pull/7/head", or a name that the server makes up, cannot be meant.
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
            # Some servers give a commit only as part of a branch: all of them are asked for, without their files.
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
        """Write the files of the folder; return the paths of links and submodules, which are left out."""
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
        # Only the tree of the folder goes into the index: what else the repository has, however much, is not expanded.
        self._run("read-tree", "--reset", "-u", tree, url=place.url)
        _remove(self._work / ".git")
        left_out = sorted(name for name, mode in modes.items() if mode not in ("100644", "100755", "100664"))
        for name in left_out:
            target = self._work / name
            if target.is_dir() and not target.is_symlink():
                _remove(target)
            else:
                target.unlink(missing_ok=True)
        for path in _files(self._work):
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
            # An annotated tag is listed twice: as itself, and with ^{} as the commit that it is of.
            if _COMMIT.match(commit) and name.startswith(("refs/heads/", "refs/tags/")):
                refs[name.removesuffix("^{}")] = commit
        return refs

    def _listing(self, *arguments: str) -> bytes:
        return hardened.run(arguments, folder=self._work, url=self._place.url, max_printed=_MAX_REFS_BYTES)

    def _named(self, refs: dict[str, str]) -> str:
        """Return the full name of the place's branch or tag, a tag before a branch as git has it."""
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
        """Refuse a commit that is on no branch and no tag; the commits of these are fetched, without trees or files."""
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
                hint="such a commit may be of a pull request, which anyone can make; name one that was merged",
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


def _protect(root: Path) -> None:
    for where, _, names in os.walk(root):
        for name in names:
            Path(where, name).chmod(0o444)


def _remove(path: Path) -> None:
    def writable(function: Callable[..., object], name: str, _: object) -> None:
        with suppress(OSError):
            Path(name).chmod(0o700)
            function(name)

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=writable)


def _read_json(path: Path) -> dict[str, object] | None:
    """Read a record; one that another user of the machine wrote is not believed."""
    raw = ownership.read_own_json(path)
    return raw if isinstance(raw, dict) else None
