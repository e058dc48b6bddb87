"""The index: one SQLite file in the home folder that lists, searches and completes UIDs of all registries.

The file is never changed where it stands. A process that finds changed cards makes a new one beside it, from a copy,
and renames it into place: readers need no locks and never see half of an index, a writer that is killed leaves only a
file that nobody opens, and home folders on network file systems, where SQLite's own locks fail, are safe. Where the
home folder cannot be written, the same index is made in memory.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from hubtool import parallel
from hubtool.card import vocabulary
from hubtool.errors import StoreError
from hubtool.locking import FileLock
from hubtool.registry import words
from hubtool.registry.entry import CardEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.registry import Registry
    from hubtool.uid import Uid

# Raised whenever the tables or the tokens change: each schema has a file of its own, so that two versions of hubtool
# with one home folder do not rebuild each other's.
SCHEMA = 3
_WAIT_SECONDS = 60.0
_LEFT_BEHIND_SECONDS = 3600.0
# From this number of changed cards on, worker processes are worth their start.
_MANY_CARDS = 500
_NOT_WITHDRAWN = "card.status != 'withdrawn'"
_TABLES = """
PRAGMA page_size = 4096;
CREATE TABLE registry (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE part (registry INTEGER, name TEXT, stamp TEXT NOT NULL, PRIMARY KEY (registry, name)) WITHOUT ROWID;
CREATE TABLE card (
    id INTEGER PRIMARY KEY, registry INTEGER NOT NULL, part TEXT NOT NULL, uid TEXT NOT NULL, publisher TEXT NOT NULL,
    version TEXT NOT NULL, task TEXT NOT NULL, datasets TEXT NOT NULL, formats TEXT NOT NULL, loadable INTEGER NOT NULL,
    status TEXT NOT NULL, digest TEXT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX card_part ON card (registry, part);
CREATE UNIQUE INDEX card_uid ON card (uid, registry);
CREATE VIRTUAL TABLE word USING fts5 (names, facts, summary, grams, content = '', tokenize = 'unicode61');
"""


def file(home: Path) -> Path:
    """Return where the index stands in a home folder."""
    return home / "index" / f"index-{SCHEMA}.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which cards a list has; what is None does not matter.

    Attributes:
        task: A task, in any spelling; a field (``cv``) stands for all tasks in it.
        dataset: A data set, in any spelling.
        version: The version in the UID, such as ``1.9`` or ``r1.9``.
        publisher: The publisher in the UID.
        format: The format of one of the assets.
        loadable: Whether only cards with a recipe and a verifiable checkpoint.
        withdrawn: Whether cards that were withdrawn are among them.
    """

    task: str | None = None
    dataset: str | None = None
    version: str | None = None
    publisher: str | None = None
    format: str | None = None
    loadable: bool = False
    withdrawn: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One UID that two registries have with different bytes; the earlier registry's card is the one that is used."""

    uid: str
    used: str
    used_digest: str
    other: str
    other_digest: str


class SearchIndex:
    """The entries of some registries, in the order in which they are asked; close it, or use it in ``with``."""

    def __init__(self, connection: sqlite3.Connection, registries: Sequence[Registry]) -> None:
        self._connection = connection
        known: dict[str, int] = dict(connection.execute("SELECT key, id FROM registry"))
        self._names = {known[one.key]: one.name for one in registries if one.key in known}
        self._order = list(self._names)

    @classmethod
    def open(cls, home: Path, registries: Sequence[Registry], *, refresh: bool = True) -> SearchIndex:
        """Open the index; bring it up to date first.

        Args:
            home: The home folder.
            registries: The registries in the order in which they are asked.
            refresh: Whether to look for changes. Without, an index that is there is taken as it is.

        Raises:
            StoreError: If SQLite here cannot search texts.
        """
        path = file(home)
        connection = _open(path)
        if connection is not None and not refresh:
            return cls(connection, registries)
        if connection is not None:
            try:
                if not _stale(connection, registries):
                    return cls(connection, registries)
            except sqlite3.DatabaseError:
                pass  # damaged: it is made anew
            connection.close()
        try:
            with _locked(path):
                return cls(_renew(path, registries), registries)
        except OSError:
            # The home folder cannot be written. What can be read from it need not be read from the cards again.
            return cls(_in_memory(_open(path), registries), registries)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> SearchIndex:  # noqa: PYI034 - nobody derives from it, and Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entries(self, wanted: Filter | None = None) -> Iterator[CardEntry]:
        """Yield the cards that a filter lets through, in order of their UIDs."""
        condition, values = _condition(wanted or Filter())
        rows = self._select("SELECT uid, entry FROM card WHERE", condition, values)
        for _, text in sorted(rows):
            yield _entry(text)

    def uids(self, wanted: Filter | None = None) -> list[str]:
        """Return the UIDs of the cards that a filter lets through, sorted."""
        condition, values = _condition(wanted or Filter())
        return sorted(row[0] for row in self._select("SELECT uid FROM card WHERE", condition, values))

    def search(self, text: str, limit: int = 50, *, withdrawn: bool = True) -> list[CardEntry]:
        """Return the cards that all words of a text are found in, best first; of equals, newer versions first.

        Cards of the model that is named in full come first, then those with most of the words in full in their names;
        those that are deprecated or withdrawn come last.

        Args:
            text: The words.
            limit: The most cards.
            withdrawn: Whether cards that were withdrawn are among them.
        """
        query = words.query(text)
        if query is None:
            return []
        rows = self._select(
            "SELECT bm25(word, 10.0, 6.0, 3.0, 1.0), entry FROM word CROSS JOIN card ON card.id = word.rowid "
            "WHERE word MATCH ? AND",
            "1" if withdrawn else _NOT_WITHDRAWN,
            [query],
            first=True,
            tail="ORDER BY 1 LIMIT 400",
        )
        asked, whole = set(words.tokens(text)), vocabulary.fold(text)

        def rank(found: tuple[float, CardEntry]) -> tuple[object, ...]:
            score, entry = found
            names = set(words.tokens(f"{entry.uid} {entry.model} {entry.backbone}"))
            full = vocabulary.fold(entry.model) == whole
            return (bool(entry.status), not full, -len(asked & names), round(score, 1), *_newest(entry.uid))

        ranked = sorted(((score, _entry(entry)) for score, entry in rows), key=rank)
        return [entry for _, entry in ranked[:limit]]

    def beginning(self, text: str, limit: int = 3000) -> list[str]:
        """Return the UIDs that begin with a text, or whose names do, sorted."""
        after = text + "\U0010ffff"
        rows = self._select("SELECT uid FROM card WHERE", "uid >= ? AND uid < ?", [text, after])
        found = sorted(row[0] for row in rows)
        if not found and text and "/" not in text:
            # GLOB would read wildcards in the text.
            rows = self._select("SELECT uid FROM card WHERE", "instr(uid, ?) > 0", [f"/{text}"])
            found = sorted(row[0] for row in rows if row[0].rpartition("/")[2].startswith(text))
        return found[:limit]

    def near(self, name: str, limit: int = 60) -> list[str]:
        """Return UIDs that share letters with one that does not exist, those that share most first."""
        query = words.near(name)
        if query is None:
            return []
        rows = self._select(
            "SELECT bm25(word, 0.0, 0.0, 0.0, 1.0), uid FROM word CROSS JOIN card ON card.id = word.rowid "
            "WHERE word MATCH ? AND",
            "1",
            [query],
            first=True,
            tail=f"ORDER BY 1 LIMIT {int(limit)}",
        )
        return [uid for _, uid in sorted(rows)[:limit]]

    def known(self, column: str) -> list[str]:
        """Return what the cards have as ``task``, ``version``, ``publisher`` or ``formats``, sorted."""
        if column not in ("task", "version", "publisher", "formats"):
            raise ValueError(column)
        rows = self._run(f"SELECT DISTINCT {column} FROM card", [])  # noqa: S608 - one of four words
        return sorted({one for row in rows for one in row[0].split("|") if one})

    def conflicts(self) -> list[Conflict]:
        """Return every UID that a later registry has with other bytes than the earlier one whose card is used."""
        marks = ",".join("?" * len(self._order))
        several = f"SELECT uid FROM card WHERE registry IN ({marks}) GROUP BY uid HAVING count(DISTINCT digest) > 1"  # noqa: S608 - marks only
        rows = self._run(
            f"SELECT uid, registry, digest FROM card WHERE uid IN ({several}) AND registry IN ({marks})",  # noqa: S608 - as above
            [*self._order, *self._order],
        )
        by_uid: dict[str, list[tuple[int, str]]] = {}
        for uid, registry, digest in rows:
            by_uid.setdefault(uid, []).append((self._order.index(registry), digest))
        names = list(self._names.values())
        found: list[Conflict] = []
        for uid, places in sorted(by_uid.items()):
            (used, used_digest), *others = sorted(places)
            found.extend(
                Conflict(uid=uid, used=names[used], used_digest=used_digest, other=names[other], other_digest=digest)
                for other, digest in others
                if digest != used_digest
            )
        return found

    def count(self, registry: Registry) -> int:
        """Return how many cards a registry has."""
        ids = [number for number, name in self._names.items() if name == registry.name]
        return sum(row[0] for one in ids for row in self._run("SELECT count(*) FROM card WHERE registry = ?", [one]))

    def _select(
        self, head: str, condition: str, values: list[object], *, first: bool = False, tail: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of each registry, but for those whose UID an earlier registry has."""
        for at, registry in enumerate(self._order):
            marks = ",".join("?" * at)
            shadow = (
                f" AND NOT EXISTS (SELECT 1 FROM card AS e WHERE e.uid = card.uid AND e.registry IN ({marks}))"  # noqa: S608 - marks only
                if at
                else ""
            )
            bound = [*values, registry] if first else [registry, *values]
            where = f"{condition} AND card.registry = ?" if first else f"card.registry = ? AND {condition}"
            yield from self._run(f"{head} {where}{shadow} {tail}", [*bound, *self._order[:at]])

    def _run(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the index of cards cannot be read: {error}", hint="delete the folder 'index' in the home folder"
            ) from error


def _newest(uid: Uid) -> tuple[tuple[int, ...], str]:
    numbers = tuple(-int("".join(sign for sign in part if sign.isdigit()) or 0) for part in uid.version.split("."))
    return numbers, str(uid)


def _entry(text: str) -> CardEntry:
    try:
        entry = CardEntry.of_json(json.loads(text))
    except (ValueError, RecursionError):
        entry = None
    if entry is None:
        raise StoreError("the index of cards is damaged", hint="delete the folder 'index' in the home folder")
    return entry


def _condition(wanted: Filter) -> tuple[str, list[object]]:
    parts = ["1"]
    values: list[object] = []
    if wanted.task is not None:
        task = vocabulary.task(wanted.task) or wanted.task
        parts.append("(card.task = ? OR substr(card.task, 1, ?) = ?)")
        values += [task, len(task) + 1, f"{task}-"]
    if wanted.dataset is not None:
        for written, known in vocabulary.datasets(wanted.dataset):
            parts.append("instr(card.datasets, ?) > 0")
            values.append(f"|{vocabulary.fold(known or written)}|")
    if wanted.version is not None:
        parts.append("card.version = ?")
        values.append(wanted.version.removeprefix("r"))
    if wanted.publisher is not None:
        parts.append("card.publisher = ?")
        values.append(wanted.publisher)
    if wanted.format is not None:
        parts.append("instr(card.formats, ?) > 0")
        values.append(f"|{wanted.format.lower().lstrip('.')}|")
    if wanted.loadable:
        parts.append("card.loadable")
    if not wanted.withdrawn:
        parts.append(_NOT_WITHDRAWN)
    return " AND ".join(parts), values


def _open(path: Path) -> sqlite3.Connection | None:
    """Open the file for reading; None if it is not there, or is not an index of this schema."""
    try:
        if not path.is_file():
            return None
    except OSError:  # it is in a folder that may not be read
        return None
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return None
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA:
            connection.execute("SELECT count(*) FROM registry").fetchone()
            return connection
    except sqlite3.DatabaseError:
        pass
    connection.close()
    return None


def _stale(connection: sqlite3.Connection, registries: Sequence[Registry]) -> bool:
    known: dict[str, int] = dict(connection.execute("SELECT key, id FROM registry"))
    for registry in registries:
        if registry.key not in known:
            return True
        stamps: dict[str, str] = dict(
            connection.execute("SELECT name, stamp FROM part WHERE registry = ?", [known[registry.key]])
        )
        for name, stamp in registry.groups():
            # '?' is a file that was changed so lately that another change might not show.
            if stamps.pop(name, None) != stamp or stamp.endswith("?"):
                return True
        if stamps:
            return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of writers, so that of many processes that start at once one does the work.

    Without it, nothing goes wrong but work done twice; so it is not waited for beyond a while.

    Raises:
        OSError: If the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    if not lock.acquire(_WAIT_SECONDS):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _renew(path: Path, registries: Sequence[Registry]) -> sqlite3.Connection:
    """Make a new file beside the old one and rename it into place; return it, open for reading.

    Raises:
        OSError: If it cannot be written.
    """
    current = _open(path)
    if current is not None:
        try:
            if not _stale(current, registries):  # another process was faster
                return current
        except sqlite3.DatabaseError:
            current.close()
            current = None
    _remove_left(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        if current is not None:
            shutil.copyfile(path, temporary)
        try:
            changed = _update_file(temporary, registries, fresh=current is None)
        except sqlite3.OperationalError as error:
            _refuse_without_search(error)
            raise OSError(str(error)) from error
        except (sqlite3.DatabaseError, StoreError):
            if current is None:
                raise
            # The old file is damaged somewhere: nothing of it is used.
            current.close()
            current = None
            temporary.unlink(missing_ok=True)
            changed = _update_file(temporary, registries, fresh=True)
        if current is not None and not changed:
            return current
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if current is not None:
        current.close()
    opened = _open(path)
    if opened is None:
        raise OSError(f"{path} cannot be opened")
    return opened


def _update_file(path: Path, registries: Sequence[Registry], *, fresh: bool) -> bool:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return _update(connection, registries, fresh=fresh)


def _remove_left(folder: Path) -> None:
    """Remove what killed writers left behind."""
    for path in folder.glob("*.part"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                path.unlink()


def _in_memory(current: sqlite3.Connection | None, registries: Sequence[Registry]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        if current is not None:
            with closing(current):
                current.backup(connection)
        _update(connection, registries, fresh=current is None)
    except (sqlite3.DatabaseError, StoreError) as error:
        connection.close()
        if current is None:
            if isinstance(error, sqlite3.OperationalError):
                _refuse_without_search(error)
            raise
        return _in_memory(None, registries)
    return connection


def _refuse_without_search(error: sqlite3.OperationalError) -> None:
    if "fts5" in str(error):
        raise StoreError(
            "the SQLite of this Python cannot search texts (FTS5 is missing)",
            hint="use a Python whose sqlite3 has FTS5; those of python.org and of the Linux distributions have it",
        ) from error


def _update(connection: sqlite3.Connection, registries: Sequence[Registry], *, fresh: bool) -> bool:
    """Bring a file that only we have open up to date; return whether anything changed."""
    # Nobody else sees this file before it is renamed, and it is thrown away if anything fails.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -32000")
    if fresh:
        connection.executescript(_TABLES)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("BEGIN")
    changed = fresh
    for registry in registries:
        changed |= _update_registry(connection, registry)
    if changed:
        _prune(connection, registries)
    connection.execute("COMMIT")
    return changed


def _prune(connection: sqlite3.Connection, registries: Sequence[Registry]) -> None:
    """Drop the registries whose folders are gone."""
    active = {registry.key for registry in registries}
    for number, key in connection.execute("SELECT id, key FROM registry").fetchall():
        if key not in active and not Path(key.partition(" ")[2]).is_dir():
            for (name,) in connection.execute("SELECT name FROM part WHERE registry = ?", [number]).fetchall():
                _remove(connection, number, name)
            connection.execute("DELETE FROM part WHERE registry = ?", [number])
            connection.execute("DELETE FROM registry WHERE id = ?", [number])


def _update_registry(connection: sqlite3.Connection, registry: Registry) -> bool:
    row = connection.execute("SELECT id FROM registry WHERE key = ?", [registry.key]).fetchone()
    changed = row is None
    if row is None:
        row = [connection.execute("INSERT INTO registry (key) VALUES (?)", [registry.key]).lastrowid]
    number = int(row[0])
    stamps: dict[str, str] = dict(connection.execute("SELECT name, stamp FROM part WHERE registry = ?", [number]))
    read = []
    for name, stamp in registry.groups():
        old = stamps.pop(name, None)
        if old != stamp or stamp.endswith("?"):
            read.append((name, stamp, old))
    # Reading cards keeps a processor busy; entries of a registry elsewhere come from the network or from one file.
    jobs = parallel.cores() if len(read) >= _MANY_CARDS and registry.root is not None else 1
    found = parallel.run(
        lambda name: [_row(entry) for entry in registry.entries(name)], [one[0] for one in read], jobs=jobs
    )
    for (name, stamp, old), rows in zip(read, found, strict=True):
        if old is not None:
            known = connection.execute("SELECT uid, digest FROM card WHERE registry = ? AND part = ?", [number, name])
            same = sorted((row.uid, row.digest) for row in rows) == sorted(map(tuple, known.fetchall()))
            if same and stamp == old:
                continue
            changed = True
            connection.execute("UPDATE part SET stamp = ? WHERE registry = ? AND name = ?", [stamp, number, name])
            if same:
                continue
            _remove(connection, number, name)
        else:
            connection.execute("INSERT INTO part VALUES (?, ?, ?)", [number, name, stamp])
        changed = True
        for one in rows:
            _insert(connection, number, name, one)
    for name in stamps:
        changed = True
        _remove(connection, number, name)
        connection.execute("DELETE FROM part WHERE registry = ? AND name = ?", [number, name])
    return changed


class _CardRow(NamedTuple):
    """What the tables have of a card: its columns, and the words that it is found by."""

    uid: str
    publisher: str
    version: str
    task: str
    datasets: str
    formats: str
    loadable: int
    status: str
    digest: str
    entry: str
    words: tuple[str, ...]


def _row(entry: CardEntry) -> _CardRow:
    sets = [vocabulary.fold(one) for pair in vocabulary.datasets(entry.datasets) for one in pair if one]
    return _CardRow(
        uid=str(entry.uid),
        publisher=entry.uid.publisher,
        version=entry.uid.version,
        task=vocabulary.task(entry.task) or entry.task,
        datasets=f"|{'|'.join(sets)}|" if sets else "",
        formats=f"|{'|'.join(entry.formats)}|",
        loadable=int(entry.loadable),
        status=entry.status,
        digest=entry.digest,
        entry=json.dumps(entry.as_json(), ensure_ascii=False, separators=(",", ":")),
        words=tuple(words.columns(entry)),
    )


def _insert(connection: sqlite3.Connection, registry: int, part: str, row: _CardRow) -> None:
    number = connection.execute(
        "INSERT OR REPLACE INTO card (registry, part, uid, publisher, version, task, datasets, formats, loadable, "
        "status, digest, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [registry, part, *row[:-1]],
    ).lastrowid
    connection.execute(
        "INSERT INTO word (rowid, names, facts, summary, grams) VALUES (?, ?, ?, ?, ?)", [number, *row.words]
    )


def _remove(connection: sqlite3.Connection, registry: int, part: str) -> None:
    rows = connection.execute("SELECT id, entry FROM card WHERE registry = ? AND part = ?", [registry, part])
    for number, text in rows.fetchall():
        # The table of words keeps no texts: to take a row out, it must be told what went in.
        connection.execute(
            "INSERT INTO word (word, rowid, names, facts, summary, grams) VALUES ('delete', ?, ?, ?, ?, ?)",
            [number, *words.columns(_entry(text))],
        )
    connection.execute("DELETE FROM card WHERE registry = ? AND part = ?", [registry, part])
