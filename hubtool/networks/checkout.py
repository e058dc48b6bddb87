"""A checkout instead of the code that a card names: where its code is, and how it differs from the card's.

The comparison runs nothing in the checkout and ignores its git configuration: hubtool hashes files, and ``git`` only
reads commits and trees.
"""

from __future__ import annotations

import hashlib
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, FetchError
from hubtool.git import hardened
from hubtool.git.code_files import MAX_FILES, links, own_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.git.code import CodeStore

_GIT_SECONDS = 30.0
_MAX_NAMED = 3
_MAX_FETCH_BYTES = 64 << 20


def root_of(place: RepositoryPlace, checkout: Path) -> Path:
    """Return the folder of a checkout that holds the code of a card.

    Raises:
        ArgumentError: If the checkout has no such folder.
    """
    root = checkout / place.folder
    if not root.is_dir():
        raise ArgumentError(
            f"the checkout {checkout} has no folder {place.folder!r}, which the card's repo-link names",
            hint="give the top folder of the repository's tree, not the folder of the model",
        )
    return root


def compare(store: CodeStore, place: RepositoryPlace, checkout: Path) -> str:
    """Return in one sentence how the code of a checkout differs from the code that the card names.

    Args:
        store: The store, which can have the card's own code.
        place: The repository, revision and folder on the card.
        checkout: The folder with the repository's tree.

    Raises:
        ArgumentError: If the checkout has no folder of that name.
    """
    root = root_of(place, checkout)
    wanted = store.commit(place)
    code = store.find(place)
    if code is not None:
        there = {name: digest_file(code.path / name) for name in code.files if not name.endswith(".pyc")}
        changed = _differing(root, there, digest_file, links_there=code.left_out)
        if not changed:
            return f"the checkout has the files of the card's commit {code.commit}"
        return f"the checkout differs from the card's commit {code.commit}: {_named(changed)}"
    state = _git_state(root)
    if state is None:
        return (
            "the checkout was not compared with the card's commit: the card's code is not stored, and the checkout is "
            "no git working tree"
        )
    head, changed = state
    is_card = "which the card names" if head == wanted else f"and the card names {wanted or place.revision or 'none'}"
    return f"the checkout is at commit {head}, {is_card}; {_named(changed) if changed else 'its files are unchanged'}"


def _named(changed: list[str]) -> str:
    names = ", ".join(ascii(name)[1:-1] for name in changed[:_MAX_NAMED])
    more = f" and {len(changed) - _MAX_NAMED:,} more" if len(changed) > _MAX_NAMED else ""
    return f"{len(changed):,} {'file differs' if len(changed) == 1 else 'files differ'} ({names}{more})"


def _differing(
    root: Path, there: dict[str, str], digest: Callable[[Path], str], *, links_there: Collection[str]
) -> list[str]:
    """Return the files that are changed, missing or added; added ones can be large data and are not hashed.

    An added link counts too, because its target can be imported.
    """
    added = {path.relative_to(root).as_posix() for path in islice(links(root), MAX_FILES)} - {*links_there}
    here = {path.relative_to(root).as_posix(): path for path in islice(own_files(root), 2 * MAX_FILES)}
    changed = {name for name, path in here.items() if name in there and digest(path) != there[name]}
    return sorted(changed | added | (here.keys() ^ there.keys()))


def _git_state(root: Path) -> tuple[str, list[str]] | None:
    """Return the commit that a working tree is at, and the files of a folder that differ from it; None without git."""
    try:
        with tempfile.TemporaryDirectory(prefix="hubtool-git-") as home:
            place = ("-C", str(root.resolve()))

            def run(*arguments: str) -> str:
                output = hardened.run(
                    (*place, *arguments), folder=Path(home), seconds=_GIT_SECONDS, max_bytes=_MAX_FETCH_BYTES
                )
                return output.decode("utf-8", "surrogateescape").strip()

            head = run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
            prefix = run("rev-parse", "--show-prefix")
            there, links_there = {}, []
            for record in hardened.listing(
                (*place, "ls-tree", "-r", "-t", "-z", "--full-tree", f"{head}:{prefix}"),
                folder=Path(home),
                most=4 * MAX_FILES,
                seconds=_GIT_SECONDS,
                max_bytes=_MAX_FETCH_BYTES,
            ):
                kind, _, name = record.decode("utf-8", "surrogateescape").partition("\t")
                mode, _, oid = kind.split(" ")
                if mode in ("100644", "100755", "100664"):
                    there[name] = oid
                elif mode == "120000":
                    links_there.append(name)
        return head, _differing(root, there, lambda path: _blob_id(path, len(head)), links_there=links_there)
    except (FetchError, OSError):
        return None


def _blob_id(path: Path, digits: int) -> str:
    """Return the id that git gives to the bytes of a file."""
    data = path.read_bytes()
    head = b"blob %d\0" % len(data)
    if digits == hashlib.sha256().digest_size * 2:
        return hashlib.sha256(head + data).hexdigest()
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()
