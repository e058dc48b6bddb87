"""Derived files of a store, such as the safetensors copy of a checkpoint."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hubtool import files, ownership
from hubtool.digest import SHORTEST, digest_file
from hubtool.store.records import Record, named, touch
from hubtool.store.verified import VerifiedFiles

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path


class DerivedFiles(VerifiedFiles):
    """Files that were made from assets."""

    def derived(self, digest: str, kind: str) -> Path | None:
        """Return the file of this kind that was made from an asset, or None where there is none.

        Args:
            digest: The whole digest of the asset.
            kind: What was made of it, such as ``safetensors``.

        Raises:
            StoreError: If the store cannot be read.
        """
        path = self.derived_path(digest, kind)
        # Its name is the asset's digest, so its own bytes prove nothing: only our record says what it was made from.
        record = self._record_of_derived(path, digest, kind)
        if record is None:
            return None
        record_path = self.record_path(kind, digest)
        touch(record_path)
        return path

    def _record_of_derived(self, path: Path, digest: str, kind: str) -> Record | None:
        """Return the record of a derived file that is unchanged since this user made it from that asset."""
        for record in (self._known.get(path), Record.read(self.record_path(kind, digest))):
            with suppress(OSError):
                found = path.lstat()
                if (
                    record is not None
                    and record == Record.of(record.digest, found, source=digest)
                    and ownership.is_own(found)
                ):
                    return record
        return None

    def derive(self, digest: str, kind: str, make: Callable[[Path], None]) -> Path:
        """Return the file of a kind that is made from an asset, and make it where there is none yet.

        Args:
            digest: The whole digest of the asset.
            kind: What is made, such as ``safetensors``.
            make: Writes the file to the path that it is given, and other files only if their names begin with that
                path's; it is called by one process at a time, or not at all.

        Raises:
            StoreError: If the store cannot be written.
        """
        found = self.derived(digest, kind)
        if found is not None:
            return found
        path = self.derived_path(digest, kind)
        with self.lock(digest):
            found = self.derived(digest, kind)
            if found is not None:
                return found
            self.clean()
            self.remove_temporary_files(digest[:SHORTEST])
            temporary = self.temporary_path(digest, kind)
            try:
                for folder in (path.parent, temporary.parent):
                    folder.mkdir(parents=True, exist_ok=True)
                make(temporary)
                own = digest_file(temporary)
                with temporary.open("rb+", buffering=0) as stream:
                    files.settle(stream, temporary, path, read_only=True)
                self.remember(Record.of(own, path.stat(), source=digest), path, self.record_path(kind, digest))
            except OSError as error:
                raise files.store_error(error, path) from error
            finally:
                self.remove_temporary_files(digest[:SHORTEST])
        return path

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of derived files that there are, such as ``safetensors``."""
        try:
            return tuple(sorted(path.name for path in (self.state / "derived").iterdir() if path.name.isidentifier()))
        except OSError:
            return ()

    def derived_files(self, kind: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the same of the derived files of a kind, with the digests of the assets they were made from."""
        yield from named(self.state / "derived" / kind, f".{kind}")
