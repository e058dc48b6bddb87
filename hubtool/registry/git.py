"""Cards from a git repository, which may be hostile.

Nothing is checked out. One commit is fetched into a bare repository and its tree is listed; the bytes of cards are read
as objects and written by hubtool, to paths that are UIDs. Links, hooks, filters, attributes, submodules and odd file
names therefore have no effect. git runs as :mod:`hubtool.git.hardened` describes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from hubtool import files as disk
from hubtool import ownership
from hubtool.card import document as documents
from hubtool.card import empty_folder, model
from hubtool.card.files import read_card_file
from hubtool.errors import CardError, FetchError, InvalidNameError, OfflineError
from hubtool.git import hardened
from hubtool.links import shown
from hubtool.registry.changes import Changes
from hubtool.registry.entry import core_of
from hubtool.registry.folder import FolderRegistry
from hubtool.registry.sources import misplaced
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hubtool.links import LinkPolicy
    from hubtool.registry.sources import RegistrySource

_STATE = "state.json"
# What each removed card loaded and ran, by its UID: another card must not come back under that name.
_GONE = "gone.json"
_MAX_LISTING_BYTES = 256 << 20
_OBJECT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """Limits for a repository.

    Attributes:
        seconds: The most seconds that git runs in all.
        bytes: The most bytes on disk.
        file_bytes: The largest file beside a card; cards have the limit of all cards.
        files: The most files in the tree.
    """

    seconds: float = 600.0
    bytes: int = 4 << 30
    file_bytes: int = 16 << 20
    files: int = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySync:
    """The result of a sync.

    Attributes:
        revision: The commit.
        cards: The number of cards.
        passed_over: The number of skipped files: links, submodules, names that are not UIDs, too large files.
        changes: What changed since the last sync.
    """

    revision: str
    cards: int
    passed_over: int
    changes: Changes = field(default_factory=Changes)


def open_registry(source: RegistrySource, folder: Path) -> FolderRegistry:
    """Return the registry with the cards of the last sync; before the first, it is empty."""
    state = _state(folder)
    root = folder / state["tree"] if state else folder / "none"
    return FolderRegistry(root, source.name, f"git {folder}", source.publishers)


def synced(folder: Path) -> RepositorySync | None:
    """Return the result of the last sync, or None before the first."""
    state = _state(folder)
    if state is None:
        return None
    return RepositorySync(revision=state["revision"], cards=int(state["cards"]), passed_over=int(state["passed_over"]))


def _state(folder: Path) -> dict[str, str] | None:
    state = ownership.read_own_json(folder / _STATE)
    keys = ("tree", "revision", "cards", "passed_over")
    if not isinstance(state, dict) or not all(isinstance(state.get(key), str) for key in keys):
        return None
    if not re.fullmatch(r"tree-[0-9a-f]+", state["tree"]):
        return None
    try:
        return state if ownership.is_own((folder / state["tree"]).stat()) else None
    except OSError:
        return None


def sync(
    source: RegistrySource,
    folder: Path,
    *,
    policy: LinkPolicy,
    offline: bool = False,
    accept_changes: bool = False,
    limits: TreeLimits | None = None,
) -> RepositorySync:
    """Fetch the cards of a repository.

    Args:
        source: The repository, revision and subfolder.
        folder: Where its cards are kept; the old cards stay until everything was fetched.
        policy: Which hosts are allowed.
        offline: Whether hubtool must not use the network.
        accept_changes: Whether to accept cards that load or run something else than before under the same UID.
        limits: The limits.

    Raises:
        OfflineError: If the repository is not on this machine, and ``offline`` is set.
        ForbiddenLinkError: If its link is not allowed.
        FetchError: If git fails, or is missing, or exceeds a limit.
        StoreError: If the cards cannot be written.
    """
    limits = limits or TreeLimits()
    link = source.location
    if urlsplit(link).scheme != "file":
        if offline:
            raise OfflineError(
                f"{shown(link)} cannot be fetched: the network may not be used", hint="unset HUBTOOL_OFFLINE"
            )
        if urlsplit(link).scheme == "ssh":
            hardened.check_url(link)
        else:
            link = policy.check(link).url
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left(folder)
        # In the same file system as the cards, so that the limit counts for that disk.
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as place:
            return _CardFetch(Path(place), link, limits).bring(source, folder, accept_changes=accept_changes)
    except OSError as error:
        raise disk.store_error(error, folder) from error


def _remove_left(folder: Path) -> None:
    """Remove what killed syncs left behind: folders that are too old to be in use."""
    for path in (*folder.glob("fetch-*"), *folder.glob("new-*")):
        if time.time() - path.stat().st_mtime > 3600:
            shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _File:
    oid: str
    size: int
    path: PurePosixPath


class _CardFetch:
    """A bare repository in a temporary folder."""

    def __init__(self, place: Path, link: str, limits: TreeLimits) -> None:
        self._place = place
        self._link = link
        self._limits = limits
        self._inner = ""
        self._deadline = time.monotonic() + limits.seconds

    def bring(self, source: RegistrySource, folder: Path, *, accept_changes: bool) -> RepositorySync:
        """Fetch one commit, and write its cards into a new folder beside the old one."""
        self._git("init", "--quiet", "--bare", "--template=", str(self._place / "bare"), inside=False)
        fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance")
        self._git(*fetch, "--", self._link, source.revision or "HEAD")
        commit = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", "FETCH_HEAD^{commit}").strip()
        if not _OBJECT.match(commit):
            raise self._failed("the revision is not a commit")
        cards, beside, passed_over = self._choose(f"{commit}:{source.subfolder}")
        self._check_place(cards, source)
        old = _state(folder)
        new = folder / f"new-{secrets.token_hex(8)}"
        try:
            before = folder / old["tree"] if old else None
            self._write((*cards, *beside), new, before)
            changes, gone = Changes(), _gone(folder)
            if before is not None:
                uids = [Uid.of_path(card.path) for card in cards]
                changes = _compare(uids, new, before, gone, accept=accept_changes)
            count = sum((new / card.path).is_file() for card in cards)  # a refused card can be gone
            tree = f"tree-{secrets.token_hex(8)}"
            new.rename(folder / tree)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        state = {"tree": tree, "revision": commit, "cards": str(count), "passed_over": str(passed_over)}
        _keep(folder / _GONE, gone)
        _keep(folder / _STATE, state)
        # A process that read the old state can still read the old tree, so that stays; earlier ones are removed.
        trees = sorted(folder.glob("tree-*"), key=lambda path: path.stat().st_mtime)
        for path in trees:
            if path.name not in (tree, old["tree"] if old else ""):
                shutil.rmtree(path, ignore_errors=True)
        return RepositorySync(revision=commit, cards=count, passed_over=passed_over, changes=changes)

    def _choose(self, tree: str) -> tuple[list[_File], list[_File], int]:
        """Return the cards, the files beside them, and the number of skipped files."""
        cards: dict[str, _File] = {}
        others: list[_File] = []
        passed_over = 0
        for found in self._files(tree):
            if found is None:
                passed_over += 1
                continue
            try:
                uid = Uid.of_path(found.path)
            except InvalidNameError:
                others.append(found)
                continue
            # Names that differ only in case are one file on some systems.
            if found.size > documents.MAX_BYTES or str(uid).casefold() in cards:
                passed_over += 1
            else:
                cards[str(uid).casefold()] = found
        folders = {card.path.with_suffix("") for card in cards.values()}
        beside = []
        for file in others:
            inside = any(parent in folders for parent in file.path.parents)
            if inside and file.size <= self._limits.file_bytes and all(map(_is_plain, file.path.parts)):
                beside.append(file)
            else:
                passed_over += 1
        if not cards:
            self._inner = empty_folder.subfolder(str(file.path) for file in others)
        return list(cards.values()), beside, passed_over

    def _check_place(self, cards: list[_File], source: RegistrySource) -> None:
        """Refuse a folder without cards, or one level above them.

        Raises:
            FetchError: If it is such a folder; the hint names the one with the cards.
        """
        inner = self._inner or misplaced(Uid.of_path(card.path) for card in cards)
        if cards and not inner:
            return
        place = source.subfolder or "its top folder"
        if inner:
            right = f"{source.subfolder}/{inner}".lstrip("/")
            raise self._failed(f"there is no card in {place}", f"the cards are in {right}: add --subfolder {right}")
        raise self._failed(f"there is no card in {place}", f"{empty_folder.LAYOUT}; name their folder with --subfolder")

    def _files(self, tree: str) -> Iterator[_File | None]:
        """Yield the files of a tree; None for an entry that is not a regular file or whose name is not UTF-8."""
        # -t lists folders too, so that trees without a single file are counted as well.
        listed = ("ls-tree", "-r", "-t", "-z", "-l", "--full-tree", "--end-of-options", tree)
        lines = hardened.listing(
            ("--git-dir", str(self._place / "bare"), *listed),
            folder=self._place,
            most=4 * self._limits.files,
            seconds=max(self._deadline - time.monotonic(), 0),
            max_bytes=self._limits.bytes,
            max_printed=_MAX_LISTING_BYTES,
        )
        try:
            yield from self._regular(lines)
        except FetchError as error:
            raise self._failed(error.message) from error

    def _regular(self, lines: Iterator[bytes]) -> Iterator[_File | None]:
        count = 0
        for line in lines:
            head, _, name = line.partition(b"\t")
            mode, kind, oid, size = head.split()
            if kind == b"tree":
                continue
            count += 1
            if count > self._limits.files:
                raise FetchError(f"it has more than {self._limits.files:,} files")
            try:
                path = PurePosixPath(name.decode("utf-8"))
            except UnicodeDecodeError:
                yield None
                continue
            regular = mode in (b"100644", b"100755", b"100664") and kind == b"blob" and size.isdigit()
            yield _File(oid.decode("ascii"), int(size), path) if regular else None

    def _write(self, files: tuple[_File, ...], new: Path, old: Path | None) -> None:
        if sum(file.size for file in files) > self._limits.bytes:
            raise self._failed(f"its cards have more than {self._limits.bytes:,} bytes")
        new.mkdir()
        with (self._place / "wanted").open("w+b") as wanted:
            wanted.write(b"".join(f"{file.oid}\n".encode("ascii") for file in files))
            wanted.seek(0)
            with (self._place / "objects").open("w+b") as objects:
                self._git("cat-file", "--batch", stdin=wanted, output=objects)
                objects.seek(0)
                for file in files:
                    self._write_one(file, objects, new / file.path, None if old is None else old / file.path)

    def _write_one(self, file: _File, objects: IO[bytes], path: Path, before: Path | None) -> None:
        head = objects.readline().split()
        data = objects.read(file.size + 1)[:-1]
        if head != [file.oid.encode("ascii"), b"blob", str(file.size).encode("ascii")] or len(data) != file.size:
            raise self._failed("git returned a different object than requested")
        path.parent.mkdir(parents=True, exist_ok=True)
        # An unchanged card stays the same file, so that the index sees that it did not change.
        if before is not None and before.is_file() and before.read_bytes() == data:
            try:
                os.link(before, path)
            except OSError:
                pass
            else:
                return
        with disk.create(path) as stream:
            disk.write_all(stream, data)

    def _git(
        self, *arguments: str, inside: bool = True, stdin: IO[bytes] | None = None, output: IO[bytes] | None = None
    ) -> str:
        """Run git; return what it prints, unless that goes to a file.

        Raises:
            FetchError: If it fails, takes too long, or fills the disk beyond the limit.
        """
        place = ["--git-dir", str(self._place / "bare")] if inside else []
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._failed(f"it took longer than {self._limits.seconds:g} seconds")
        try:
            printed = hardened.run(
                (*place, *arguments),
                folder=self._place,
                url=self._link,
                seconds=left,
                max_bytes=self._limits.bytes,
                stdin=stdin,
                output=output,
            )
        except FetchError as error:
            raise self._failed(error.message, error.hint) from error
        return printed[: 1 << 16].decode("utf-8", "replace")

    def _failed(self, why: str, given: str | None = None) -> FetchError:
        hint = given or "check the address, the revision and the subfolder"
        if "redirect" in why or "301" in why or "302" in why:
            hint = "the server redirects: give the address that it redirects to"
        return FetchError(f"{shown(self._link)}: {why}", hint=hint)


def _keep(path: Path, value: dict[str, str]) -> None:
    disk.write_atomically(path, json.dumps(value).encode(), durable=False)


def _gone(folder: Path) -> dict[str, str]:
    value = ownership.read_own_json(folder / _GONE)
    return {str(uid): str(core) for uid, core in value.items()} if isinstance(value, dict) else {}


def _compare(uids: Iterable[Uid], new: Path, old: Path, gone: dict[str, str], *, accept: bool) -> Changes:
    """Return what changed since the last sync; a card that loads or runs something else is replaced by the earlier one.

    Changes of text and withdrawals are always accepted.

    Args:
        uids: The cards of the new tree.
        new: The new tree.
        old: The tree of the last sync, as it is in use.
        gone: What removed cards loaded and ran; updated with the cards that went and came back.
        accept: Whether cards that load or run something else are accepted.
    """
    found: dict[str, list[str]] = {key: [] for key in Changes.__slots__}
    there = set()
    for uid in uids:
        there.add(str(uid))
        now, before = new / uid.path, old / uid.path
        if before.is_file() and before.samefile(now):
            continue  # unchanged files are links to the old ones
        card, earlier = _read(now, uid), _read(before, uid)
        core, known = core_of(card) if card else "", core_of(earlier) if earlier else gone.get(str(uid), "")
        was = earlier.status is not None and earlier.status.is_withdrawn if earlier else False
        withdrawn = card is not None and card.status is not None and card.status.is_withdrawn
        if known not in ("", core) and not withdrawn and not accept:
            found["refused"].append(str(uid))
            _put_back(uid, new, old)
        elif withdrawn != was:
            found["withdrawn" if withdrawn else "back"].append(str(uid))
        elif str(uid) in gone:
            found["back"].append(str(uid))
        elif not before.is_file():
            found["added"].append(str(uid))
        elif now.read_bytes() != before.read_bytes():
            found["accepted" if known not in ("", core) else "texts"].append(str(uid))
        if (new / uid.path).is_file():
            gone.pop(str(uid), None)
    for path in old.rglob("*.md"):
        try:
            uid = Uid.of_path(PurePosixPath(path.relative_to(old).as_posix()))
        except InvalidNameError:
            continue
        if str(uid) not in there:
            earlier = _read(path, uid)
            gone[str(uid)] = core_of(earlier) if earlier else ""
            found["gone"].append(str(uid))
    return Changes(**{key: tuple(sorted(names)) for key, names in found.items()})


def _read(path: Path, uid: Uid) -> model.Card | None:
    try:
        return model.read(read_card_file(str(path))[1], uid=uid)
    except (OSError, CardError):
        return None


def _put_back(uid: Uid, new: Path, old: Path) -> None:
    """Replace a new card and the files beside it by the earlier ones; remove it if there were none."""
    (new / uid.path).unlink()
    beside = PurePosixPath(uid.path).with_suffix("")
    shutil.rmtree(new / beside, ignore_errors=True)
    if (old / uid.path).is_file():
        shutil.copy2(old / uid.path, new / uid.path)
    if (old / beside).is_dir():
        shutil.copytree(old / beside, new / beside)


def _is_plain(name: str) -> bool:
    """Return whether a part of a path is a valid name on every system."""
    try:
        Uid.of_path(PurePosixPath(f"a/1/{name}.md"))
    except InvalidNameError:
        return False
    return True
