"""A registry in a folder: ``<publisher>/<version>/<name>.md`` below one root."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hubtool import regular
from hubtool.card.files import MAX_BYTES, why_no_uid
from hubtool.errors import CardError, InvalidNameError
from hubtool.registry import publishers
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.model import Card
    from hubtool.registry.entry import CardEntry

# File systems count time in steps: a file changed twice within one step looks unchanged. A file that changed very
# recently is therefore read again next time.
_STEP_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class FolderRegistry:
    """The cards below one folder.

    Attributes:
        root: The folder.
        label: The name of the registry, or empty.
        identity: Its identity in the index even if its root changes, or empty.
        publishers: The reserved publishers that an added registry is allowed to have; None for a registry of the
            settings, which can have any.
    """

    root: Path
    label: str = ""
    identity: str = ""
    publishers: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The name of the registry; by default its path."""
        return self.label or str(self.root)

    @property
    def key(self) -> str:
        """The registry's identity in the index."""
        own = self.identity or f"folder {self.root.absolute()}"
        return f"{own} of {','.join(self.publishers)}" if self.publishers else own

    def path(self, uid: Uid) -> Path | None:
        """Return the path of a card, or None if the registry does not have it.

        Raises:
            CardError: If the path leads out of the registry by a link.
        """
        path = self.root / uid.path
        if self.objection(uid) is not None or not path.is_file():
            return None
        # Only a symbolic link can lead out; without one, the usual case, nothing needs to be resolved.
        linked = any(place.is_symlink() for place in (path, *path.parents[: len(uid.path.parts) - 1]))
        if linked and not path.resolve().is_relative_to(self.root.resolve()):
            raise CardError(f"{path} is a link that leads out of the registry", hint="copy the card into the registry")
        return path

    def objection(self, uid: Uid) -> str | None:
        """Return why a card of this UID is not used, or None if it can be."""
        return None if self.publishers is None else publishers.objection(uid.publisher, self.publishers)

    def read(self, uid: Uid) -> Card | None:
        """Read a card, or return None if the registry does not have it.

        Raises:
            CardError: If the card is there and cannot be read.
        """
        path = self.path(uid)
        return None if path is None else read_card(path, uid)

    def digest(self, uid: Uid) -> str | None:
        """Return the digest of a card's bytes, or None if the card is missing or cannot be read."""
        from hubtool.registry.entry import digest_of  # noqa: PLC0415 - hashlib, which most commands do without

        try:
            path = self.path(uid)
            return None if path is None else digest_of(_bytes(path))
        except CardError:
            return None

    def uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards, in order of their paths; files that cannot be cards are skipped."""
        return (uid for uid in self.all_uids() if self.objection(uid) is None)

    def all_uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards, including those that are not used because of their publisher."""
        for relative, _ in _walk(str(self.root), ""):
            try:
                yield Uid.of_path(PurePosixPath(relative))
            except InvalidNameError:  # noqa: PERF203 - most files are cards
                continue  # `unnamed` has it, and `hubtool validate` reports it

    def unnamed(self) -> Iterator[tuple[str, str]]:
        """Yield the paths of cards that no UID can name, below the registry, and why: no command finds them."""
        for relative, _ in _walk(str(self.root), ""):
            error = why_no_uid(str(self.root / relative))
            if error is not None:
                yield relative, error.message

    def groups(self) -> Iterator[tuple[str, str]]:
        """Yield the UID of each file that can be a card, and its stamp: size, time and inode of the file."""
        now = time.time_ns()
        for relative, entry in _walk(str(self.root), ""):
            try:
                stat = entry.stat()
            except OSError:
                continue  # removed while the folder was read, or a link that leads nowhere
            late = "?" if now - stat.st_mtime_ns < _STEP_NS else ""
            yield relative[:-3], f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}{late}"

    def entries(self, group: str) -> list[CardEntry]:
        """Return the entry of a card; only UID and digest if the card cannot be read."""
        from hubtool.card import model  # noqa: PLC0415 - as below
        from hubtool.registry.entry import CardEntry, digest_of  # noqa: PLC0415 - as above

        try:
            uid = Uid.parse(group)
            path = self.path(uid)
            data = None if path is None else _bytes(path)
        except (CardError, InvalidNameError):
            return []  # `hubtool validate` says what is wrong with it
        if data is None:
            return []
        try:
            return [CardEntry.of_card(model.read(data, uid=uid, path=path), uid, digest_of(data))]
        except CardError:
            return [CardEntry(uid=uid, digest=digest_of(data))]


def _walk(folder: str, relative: str, depth: int = 0) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the Markdown files that can be cards and their paths below the registry, sorted by these."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        if name.endswith(".md"):
            if depth in (2, 3):
                yield f"{relative}{name}", entry
        elif depth < 3 and entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{relative}{name}/", depth + 1)


def read_card(path: Path, uid: Uid | None) -> Card:
    """Read the card in a file.

    Raises:
        CardError: If the file cannot be read, or is not a card.
    """
    from hubtool.card import model  # noqa: PLC0415 - YAML, which what reads no card does without

    return model.read(_bytes(path), uid=uid, path=path)


def _bytes(path: Path) -> bytes:
    try:
        return regular.read_bytes(path, MAX_BYTES + 1)
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
