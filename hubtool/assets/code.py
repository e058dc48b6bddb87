"""Code of repositories: fetched at one commit, and stored by what it is.

Below the store's root::

    code/sha256/ab/<tree digest>/            the files of one folder of one commit, read-only
    code/records/<digest of the place>.json  which commit and tree a place was, each time it was asked for by commit
    code/revisions/<digest of the place>.json  which commit a branch or tag was when it was first asked for

The *tree digest* is the SHA-256 over the paths and the SHA-256 of the files. It is computed again whenever code is
taken out of the store: a file that was changed since is seen, and the code is fetched again.
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
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hubtool.assets import disk, git
from hubtool.assets.links import shown
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, FetchError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.assets.links import LinkPolicy
    from hubtool.assets.store import Store
    from hubtool.card.repository import RepositoryPlace

MAX_FILES = 20_000
MAX_CODE_BYTES = 512 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
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
        commit = raw.get("commit") if raw else None
        return commit if isinstance(commit, str) and _COMMIT.match(commit) else None

    def find(self, place: RepositoryPlace) -> Code | None:
        """Return code that is stored, or None; nothing is fetched.

        Code whose files are no longer what they were is removed.
        """
        commit = self.commit(place)
        if commit is None:
            return None
        raw = _read_json(self._record_path(place.at(commit)))
        tree = raw.get("tree") if raw else None
        if not isinstance(tree, str) or not re.fullmatch(r"[0-9a-f]{64}", tree):
            return None
        path = self._tree_path(tree)
        if not path.is_dir():
            return None
        if tree_digest(path) != tree:
            _remove(path)
            return None
        left_out = raw.get("left-out", []) if raw else []
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
                    hint="fetch it where HUBTOOL_OFFLINE is not set",
                )
            self._check(place)
            key = _digest("code", place.url, place.revision or "", place.folder)
            with self.store.lock(key):
                found = self.find(place) or self._bring(place, key)
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
        git.check_url(place.url)
        if not place.url.startswith("file://"):
            self.policy.check(place.url)
        if place.revision is not None and (place.revision.startswith("-") or ".." in place.revision):
            raise ArgumentError(f"{place.revision!a} is not a revision")

    def _bring(self, place: RepositoryPlace, key: str) -> Code:
        temporary = self.store.root / "temporary" / f"{key}.code.part"
        _remove(temporary)
        try:
            (temporary / "work").mkdir(parents=True)
            commit = _checkout(place, temporary / "work")
            source = temporary / "work" / place.folder
            if not source.is_dir():
                raise FetchError(
                    f"{shown(place.url)} has no folder {place.folder!r} at {commit[:12]}",
                    hint="the repo-link of the card names it; it may have moved",
                )
            left_out = _clean(temporary / "work", place.folder, commit)
            digest = tree_digest(source)
            target = self._tree_path(digest)
            if target.is_dir() and tree_digest(target) != digest:
                _remove(target)
            if not target.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
                _protect(target)
        except OSError as error:
            raise disk.store_error(error, temporary) from error
        finally:
            _remove(temporary)
        self._write(self._record_path(place.at(commit)), {"tree": digest, "left-out": list(left_out)})
        if not place.is_pinned:
            self._write(self._revision_path(place), {"commit": commit, "url": place.url, "revision": place.revision})
        return Code(path=target, url=place.url, commit=commit, folder=place.folder, tree=digest, left_out=left_out)

    def _write(self, path: Path, value: dict[str, object]) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with disk.create(temporary) as stream:
                disk.write_all(stream, json.dumps(value).encode())
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise disk.store_error(error, path) from error

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

    Raises:
        OSError: If a file cannot be read.
    """
    digester = hashlib.sha256()
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        digester.update(f"{digest_file(path)} {name}\n".encode("utf-8", "surrogateescape"))
    return digester.hexdigest()


def code_files(folder: Path) -> tuple[str, ...]:
    """Return the paths of all files below a folder, relative to it and with ``/``, sorted."""
    return tuple(path.relative_to(folder).as_posix() for path in _files(folder))


def _files(root: Path) -> list[Path]:
    found = [Path(where, name) for where, _, names in os.walk(root) for name in names]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _checkout(place: RepositoryPlace, work: Path) -> str:
    """Check the folder of a place out into a folder, and return the commit."""

    def run(*arguments: str, url: str | None = None) -> str:
        try:
            output = git.run(arguments, folder=work, url=url, max_bytes=MAX_CODE_BYTES * 2)
        except FetchError as error:
            message = f"{shown(place.url)}: git {arguments[0]} failed: {error.message}"
            raise FetchError(
                message, hint=error.hint or "check the repository, the revision and the network"
            ) from error
        return output.decode("utf-8", "surrogateescape").strip()

    run("init", "--quiet", "--template=")
    run("config", "remote.origin.url", place.url)
    run("config", "remote.origin.promisor", "true")
    run("config", "remote.origin.partialclonefilter", "blob:none")
    (work / ".git" / "info").mkdir(exist_ok=True)
    (work / ".git" / "info" / "attributes").write_text(_NO_ATTRIBUTES, encoding="ascii")
    fetch = (
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-commit-graph",
        "--filter=blob:none",
    )
    revision = place.revision or "HEAD"
    try:
        run(*fetch, "--depth=1", "origin", revision, url=place.url)
        commit = run("rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")
    except FetchError:
        if not place.is_pinned:
            raise
        # Some servers give a commit only as part of a branch: all of them are asked for, without their files.
        run(*fetch, "origin", "+refs/heads/*:refs/remotes/origin/*", url=place.url)
        commit = run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if place.is_pinned and commit != place.revision:
        raise FetchError(f"{shown(place.url)} gave the commit {commit} for {place.revision}")
    if place.folder:
        kind = run("ls-tree", "-d", commit, "--", place.folder)
        if not kind:
            raise FetchError(
                f"{shown(place.url)} has no folder {place.folder!r} at {commit[:12]}",
                hint="the repo-link of the card names it; it may have moved",
            )
    names = git.run(("ls-tree", "-r", "-z", "--name-only", commit, "--", place.folder or "."), folder=work)
    count = len(list(git.records(names)))
    if count > MAX_FILES:
        raise FetchError(f"{shown(place.url)} has {count:,} files there; a model's code has at most {MAX_FILES:,}")
    run("sparse-checkout", "set", "--no-cone", f"/{place.folder}/" if place.folder else "/*")
    run("checkout", "--quiet", "--detach", commit, url=place.url)
    return commit


def _clean(work: Path, folder: str, commit: str) -> tuple[str, ...]:
    """Remove git's own files, and what stands for links and submodules; return the paths of the latter."""
    listing = git.run(("ls-tree", "-r", "-z", commit, "--", folder or "."), folder=work)
    left_out = []
    for record in git.records(listing):
        mode, _, name = record.partition("\t")
        if mode.split(" ")[0] not in ("100644", "100755", "100664"):
            relative = PurePosixPath(name).relative_to(folder) if folder else PurePosixPath(name)
            left_out.append(relative.as_posix())
            target = work / name
            if target.is_dir():
                _remove(target)
            else:
                target.unlink(missing_ok=True)
    _remove(work / ".git")
    for path in _files(work / folder):
        if stat.S_ISLNK(path.lstat().st_mode):
            path.unlink()
    return tuple(sorted(left_out))


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
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None
