"""The cache of results: what earlier runs found in cards that have not changed since.

One SQLite file. Each row belongs to one card: its size, time, inode and the digest of its bytes when it was checked,
and the encoded result. A card with the same size, time and inode is not read again, unless it was written so shortly
before the check that a later change could have the same time. Then its bytes decide, as they do if only time or inode
differ. The cache holds for one version of the rules; another version empties it. It can be deleted at any time, and if
it cannot be used, cards are checked without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import resources
from hubtool.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from typing_extensions import Self

FILE_NAME = "validate.sqlite3"
# A file that changes twice within this time may keep its time of change: FAT counts in steps of two seconds.
_TIME_STEP_NS = 2_000_000_000
_MAX_QUERY_PARAMETERS = 500
_VOCABULARIES = ("tasks", "datasets", "licences", "keys")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file's status says: its size in bytes, the time of its last change in nanoseconds, and its inode."""

    size: int
    mtime: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file with a status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one card: its status and digest when it was checked, when that was, and the result."""

    stamp: Stamp
    digest: bytes
    checked: int
    result: bytes

    def is_certain(self, stamp: Stamp) -> bool:
        """Whether the status alone says that the card is unchanged."""
        return self.stamp == stamp and stamp.mtime < self.checked - _TIME_STEP_NS


def digest(data: bytes) -> bytes:
    """Return the digest by which the bytes of a card are compared."""
    return hashlib.blake2b(data, digest_size=16).digest()


@cache
def rules_key() -> str:
    """Return a digest of the rules: of the code in ``hubtool/card``, the schema and the vocabularies."""
    digester = hashlib.blake2b(__version__.encode(), digest_size=16)
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    files += [resources.schema_file("model-card"), *map(resources.vocabulary_file, _VOCABULARIES)]
    for path in files:
        digester.update(path.name.encode())
        digester.update(path.read_bytes())
    return digester.hexdigest()


class Cache:
    """Results of earlier runs; use it as a context manager."""

    def __init__(self, path: Path, key: str) -> None:
        """Open a cache.

        Args:
            path: Its file; a missing file is made, together with its folder.
            key: The digest of the rules, and of all else that results depend on.
        """
        self._path = path
        self._key = key
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.OperationalError:
            self._close()  # locked, or a place that cannot be written: it may be fine next time
        except sqlite3.DatabaseError:
            self._close()
            with contextlib.suppress(OSError):
                self._path.unlink()  # not a database, or a broken one
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        database = sqlite3.connect(self._path, timeout=0.5, isolation_level=None)
        self._database = database
        # What is lost in a power cut is checked again: waiting for the disk would cost more than it saves.
        database.execute("PRAGMA synchronous=OFF")
        database.execute("CREATE TABLE IF NOT EXISTS state (key TEXT NOT NULL)")
        found = database.execute("SELECT key FROM state").fetchone()
        if found != (self._key,):
            database.execute("BEGIN IMMEDIATE")
            database.execute("DROP TABLE IF EXISTS cards")
            database.execute(
                "CREATE TABLE cards (path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, inode BLOB, "
                "digest BLOB, checked INTEGER, result BLOB) WITHOUT ROWID"
            )
            database.execute("DELETE FROM state")
            database.execute("INSERT INTO state VALUES (?)", (self._key,))
            database.execute("COMMIT")
        database.execute("SELECT path FROM cards LIMIT 1").fetchone()

    def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def get(self, paths: Sequence[bytes]) -> dict[bytes, Row]:
        """Return what is known of some cards, by their absolute paths."""
        found: dict[bytes, Row] = {}
        if self._database is None:
            return found
        try:
            for start in range(0, len(paths), _MAX_QUERY_PARAMETERS):
                some = paths[start : start + _MAX_QUERY_PARAMETERS]
                marks = ",".join("?" * len(some))
                query = f"SELECT path, size, mtime, inode, digest, checked, result FROM cards WHERE path IN ({marks})"  # noqa: S608 - question marks only
                for path, size, mtime, inode, known, checked, result in self._database.execute(query, some):
                    # An inode may have 64 bits, of which SQLite's integers have only 63.
                    stamp = Stamp(size, mtime, int.from_bytes(inode, "big"))
                    found[path] = Row(stamp, known, checked, result)
        except (sqlite3.Error, TypeError, OverflowError):
            self._close()
            return {}
        return found

    def put(self, rows: Iterable[tuple[bytes, Row]]) -> None:
        """Keep what was found in some cards."""
        if self._database is None:
            return
        values = [
            (
                path,
                row.stamp.size,
                row.stamp.mtime,
                row.stamp.inode.to_bytes(16, "big"),
                row.digest,
                row.checked,
                row.result,
            )
            for path, row in rows
        ]
        if not values:
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO cards VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            self._database.execute("COMMIT")
        except (sqlite3.Error, OverflowError):
            self._close()


def now() -> int:
    """Return the time in nanoseconds, as files have it."""
    return time.time_ns()
