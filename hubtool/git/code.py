"""Code of repositories: fetched at one commit, and stored by its content.

Below the store's root::

    code/sha256/ab/<tree digest>/            the files of one folder of one commit, read-only
    code/records/<digest of the place>.json  which tree the folder of a commit has
    code/revisions/<digest of the place>.json  which commit a branch or tag was when it was first asked for; of a
                                             commit, that it was found on a branch or tag of its repository

The tree digest (:func:`~hubtool.git.code_files.tree_digest`) is computed again whenever code is taken out of the store,
so that a file that was changed since is seen, and the code is fetched again. Records are read from the user's own store
only, never from the others that the settings name, and only if they state what they are about.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import files, ownership
from hubtool.card.repo_link import check_repository_url, check_revision
from hubtool.errors import FetchError, OfflineError
from hubtool.git import hardened
from hubtool.git.code_files import code_files, copy_code, make_read_only, remove_tree, tree_digest
from hubtool.git.folder_fetch import COMMIT, FolderFetch
from hubtool.links import shown

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.links import LinkPolicy
    from hubtool.store.store import Store

_NO_CODE_HINT = "'hubtool load --checkout FOLDER' takes a copy of the repository instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The files of one folder of a repository at one commit.

    Attributes:
        path: The folder in the store.
        url: The repository.
        commit: The commit, 40 hexadecimal digits.
        folder: The folder within the repository.
        tree: The tree digest, 64 hexadecimal digits.
        left_out: Paths of links and submodules, which are left out.
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
        policy: Which hosts are allowed.
        offline: Whether hubtool must not use the network.
    """

    def __init__(self, store: Store, policy: LinkPolicy, *, offline: bool) -> None:
        self.store = store
        self.policy = policy
        self.offline = offline
        self._root = store.root / "code"

    def commit(self, place: RepositoryPlace) -> str | None:
        """Return the commit of a place if it is known without the network.

        A branch or tag keeps the commit of its first fetch.
        """
        if place.is_pinned:
            return place.revision
        raw = _read_json(self._revision_path(place))
        if raw is None or (raw.get("url"), raw.get("revision")) != (place.url, place.revision):
            return None
        commit = raw.get("commit")
        return commit if isinstance(commit, str) and COMMIT.match(commit) else None

    def find(self, place: RepositoryPlace) -> Code | None:
        """Return stored code, or None; nothing is fetched.

        Code whose files changed is removed.
        """
        commit = self.commit(place)
        if commit is None:
            return None
        raw = _read_json(self._record_path(place.at(commit)))
        stated = (place.url, commit, place.folder, True)
        if raw is None or tuple(raw.get(key) for key in ("url", "commit", "folder", "reachable")) != stated:
            return None  # of an older hubtool or another place: fetched and checked again
        tree = raw.get("tree")
        if not isinstance(tree, str) or not re.fullmatch(r"[0-9a-f]{64}", tree):
            return None
        path = self._tree_path(tree)
        if not path.is_dir():
            return None
        if tree_digest(path) != tree:
            remove_tree(path)
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
        """Return code from the store, fetching it first if it is missing.

        Args:
            place: Repository, revision and folder.
            tree: The tree digest that the code must have, or None.

        Raises:
            OfflineError: If it is not stored, and hubtool is offline.
            ForbiddenLinkError: If the repository's host is not allowed.
            FetchError: If it cannot be fetched (the repository, the commit or the folder does not exist, or it is too
                large), or its tree digest is not the one asked for.
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
                hint="the code is not the pinned code: do not use it before you know why",
            )
        return found

    def refresh(self, place: RepositoryPlace) -> Code:
        """Look up the commit of a branch or tag again, keep it, and return its code; a commit stays the same.

        Raises:
            HubError: As :meth:`fetch`; then the branch keeps its old commit.
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
        remove_tree(temporary)
        try:
            (temporary / "work").mkdir(parents=True)
            source = temporary / "work"
            (temporary / "history").mkdir()
            repository = FolderFetch(place, source, temporary / "history")
            commit = repository.bring(known=place.is_pinned and self._is_known(place))
            left_out = repository.write_files(commit)
            digest = tree_digest(source)
            target = self._tree_path(digest)
            if target.is_dir() and tree_digest(target) != digest:
                remove_tree(target)
            if not target.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
                make_read_only(target)
        except OSError as error:
            raise files.store_error(error, temporary) from error
        finally:
            remove_tree(temporary)
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
        """Return whether a commit was found on a branch or tag when another folder of it was fetched."""
        raw = _read_json(self._revision_path(place))
        stated = (place.url, place.revision, place.revision, True)
        return raw is not None and tuple(raw.get(key) for key in ("url", "revision", "commit", "reachable")) == stated

    def put(self, place: RepositoryPlace, folder: Path) -> Code:
        """Store a copy of a folder as the code of a place; only for the temporary store of a trial.

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
        # Without the folder: all folders of a branch have the same commit.
        return self._root / "revisions" / f"{_digest(place.url, place.revision or '')}.json"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _read_json(path: Path) -> dict[str, object] | None:
    """Read a record, unless another user of the machine wrote it."""
    raw = ownership.read_own_json(path)
    return raw if isinstance(raw, dict) else None
