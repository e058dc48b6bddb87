"""Temporary files of a store: removed when their writers died, except for partial files that can be resumed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import files
from hubtool.digest import SHORTEST
from hubtool.errors import StoreError
from hubtool.locking import FileLock
from hubtool.store.digest_locks import DigestLocks
from hubtool.store.records import HEX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


KEEP_PARTIAL_SECONDS = 7 * 86400.0
"""Seconds for which the partial file of an interrupted fetch is kept, for a later run to resume: a week."""


PART_SUFFIX = ".blob.part"
"""How the name of a fetch's part ends; beside it stand its note, and for a moment a new note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedFetch:
    """What there is of a fetch that was not finished.

    Attributes:
        name: The name of its part in the temporary folder.
        size: Its bytes, with those of the note beside it.
        written: When it was written last, in seconds since 1970.
    """

    name: str
    size: int
    written: float

    @property
    def digest(self) -> str:
        """The digest of the asset, or the beginning of it that a card states."""
        return self.name.partition(".")[0]


def _is_kept(path: Path) -> bool:
    """Whether a temporary file is a partial file, or belongs to one, that a later run may resume."""
    name = path.name.removesuffix(".json")
    if not name.endswith(PART_SUFFIX):
        return False
    part = path.with_name(name)
    try:
        young = time.time() - part.lstat().st_mtime < KEEP_PARTIAL_SECONDS
        return young and part.with_name(f"{name}.json").is_file()
    except OSError:
        return False


class TemporaryFiles(DigestLocks):
    """What is being written, what a dead process left, and what a later run may resume."""

    def clean(self) -> None:
        """Remove the temporary files of processes that died; those of living ones stay, and young parts of fetches do.

        Raises:
            StoreError: If the store cannot be read.
        """
        folder = self.state / "temporary"
        try:
            keys = {path.name[:SHORTEST] for path in folder.iterdir() if not _is_kept(path)}
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise files.store_error(error, folder) from error
        for key in sorted(keys):
            self._clean(key)

    def _clean(self, key: str) -> None:
        if self.holds(key):
            return
        lock = FileLock(self.lock_path(key))
        with suppress(OSError):
            if lock.acquire(0):
                try:
                    self.remove_temporary_files(key)
                finally:
                    lock.release()

    def unfinished(self) -> tuple[UnfinishedFetch, ...]:
        """Return what there is of fetches that were not finished, in order of names; some may be under way.

        Raises:
            StoreError: If the store cannot be read.
        """
        folder = self.state / "temporary"
        found: dict[str, UnfinishedFetch] = {}
        try:
            for name in sorted(self._temporary_names()):
                digest, part = name.partition(".")[0], name[: name.find(PART_SUFFIX) + len(PART_SUFFIX)]
                if PART_SUFFIX not in name or len(digest) < SHORTEST or not HEX.issuperset(digest):
                    continue
                with suppress(FileNotFoundError):  # finished while we look
                    there = (folder / name).lstat()
                    before = found.get(part, UnfinishedFetch(name=part, size=0, written=0.0))
                    found[part] = UnfinishedFetch(
                        name=part, size=before.size + there.st_size, written=max(before.written, there.st_mtime)
                    )
        except OSError as error:
            raise files.store_error(error, folder) from error
        return tuple(found.values())

    def remove_unfinished(self, one: UnfinishedFetch) -> bool:
        """Remove what there is of a fetch that was not finished; return whether there was anything.

        Raises:
            StoreError: If another process is writing it, or has written it since, or the store cannot be written.
        """
        with self.lock(one.digest, patience=0):
            now = {there.name: there for there in self.unfinished()}.get(one.name)
            if now is None:
                return False
            if now.written > one.written:
                raise StoreError("it is in use", hint="try again when its fetch has ended")
            part = self.state / "temporary" / one.name
            try:
                for name in (one.name, f"{one.name}.json", f"{one.name}.json.new"):
                    part.with_name(name).unlink(missing_ok=True)
            except OSError as error:
                raise files.store_error(error, part) from error
        return True

    def temporary_files_of(self, key: str) -> list[Path]:
        """Return the temporary files of this digest, or of those that begin as it does; under its lock."""
        return [self.state / "temporary" / name for name in sorted(self._part_names(key))]

    def _part_names(self, key: str) -> list[str]:
        beginning = key[:SHORTEST]
        return [name for name in self._temporary_names() if name.startswith(beginning)]

    def _temporary_names(self) -> Sequence[str]:
        """Return the names of all temporary files."""
        try:
            return os.listdir(self.state / "temporary")  # noqa: PTH208 (names are wanted)
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def remove_temporary_files(self, key: str) -> None:
        """Remove the temporary files of a digest, except for what a later run may resume; under its lock."""
        for path in self.temporary_files_of(key):
            if not _is_kept(path):
                with suppress(OSError):
                    path.unlink()
