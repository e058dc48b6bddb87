"""The file of the index: one SQLite database in the home folder, brought up to date from the registries.

The file is never changed in place. A process that finds changed cards writes a new file beside it, starting from a
copy, and renames it: readers need no locks and never see half of an index, and a writer that is killed leaves only a
file that no process opens. Home folders on network file systems, where SQLite's own locks fail, are therefore safe.
Where the home folder cannot be written, the same index is made in memory.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from hubtool import parallel
from hubtool.card import vocabulary
from hubtool.errors import StoreError
from hubtool.locking import FileLock
from hubtool.registry import words
from hubtool.registry.entry import CardEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.likeness import Likeness
    from hubtool.registry import Registry

# Raised whenever the tables or the tokens change: each schema has a file of its own, so that two versions of hubtool
# with one home folder do not rebuild each other's.
SCHEMA = 7
#: Texts come as tokens with blanks between: all else is part of a token, whatever Unicode SQLite knows.
TOKENIZER = "\"unicode61 categories 'L* M* N* P* S* C*'\""
_WAIT_SECONDS = 60.0
_LEFT_BEHIND_SECONDS = 3600.0
# From this number of changed cards on, worker processes are worth their start.
_MANY_CARDS = 500
_COLUMNS = ", ".join(words.Columns._fields)
_MARKS = ", ".join("?" for _ in words.Columns._fields)
_TABLES = """
PRAGMA page_size = 4096;
CREATE TABLE registry (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE part (registry INTEGER, name TEXT, stamp TEXT NOT NULL, PRIMARY KEY (registry, name)) WITHOUT ROWID;
CREATE TABLE card (
    id INTEGER PRIMARY KEY, registry INTEGER NOT NULL, part TEXT NOT NULL, uid TEXT NOT NULL, publisher TEXT NOT NULL,
    version TEXT NOT NULL, task TEXT NOT NULL, datasets TEXT NOT NULL, formats TEXT NOT NULL, loadable INTEGER NOT NULL,
    status TEXT NOT NULL, digest TEXT NOT NULL, model TEXT NOT NULL, newness INTEGER NOT NULL, words INTEGER NOT NULL,
    tasks TEXT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX card_part ON card (registry, part);
CREATE UNIQUE INDEX card_uid ON card (uid, registry);
CREATE INDEX card_model ON card (model);
CREATE TABLE lender (kind TEXT, text TEXT, card INTEGER, PRIMARY KEY (kind, text, card)) WITHOUT ROWID;
CREATE INDEX lender_card ON lender (card);
CREATE VIRTUAL TABLE word USING fts5 ({columns}, content = '', tokenize = {tokenizer});
"""


def file(home: Path) -> Path:
    """Return the path of the index in a home folder."""
    return home / "index" / f"index-{SCHEMA}.sqlite"


def open_current(home: Path, registries: Sequence[Registry], *, refresh: bool = True) -> sqlite3.Connection:
    """Return the database of the index, brought up to date unless ``refresh`` is False.

    Raises:
        StoreError: If SQLite here cannot search texts.
    """
    path = file(home)
    connection = _open(path)
    if connection is not None and not refresh:
        return connection
    if connection is not None:
        try:
            if not _stale(connection, registries):
                return connection
        except sqlite3.DatabaseError:
            pass  # damaged: it is rebuilt
        connection.close()
    try:
        with _locked(path):
            return _renew(path, registries)
    except OSError:
        # The home folder cannot be written. What can be read from it need not be read from the cards again.
        return _in_memory(_open(path), registries)


def read_entry(text: str) -> CardEntry:
    """Return a card's entry from the JSON of the table.

    Raises:
        StoreError: If it is damaged.
    """
    try:
        entry = CardEntry.of_json(json.loads(text))
    except (ValueError, RecursionError):
        entry = None
    if entry is None:
        raise StoreError("the index of cards is damaged", hint="delete the folder 'index' in the home folder")
    return entry


def _open(path: Path) -> sqlite3.Connection | None:
    """Open the file for reading; None if it is not there, or is not an index of this schema."""
    try:
        if not path.is_file():
            return None
    except OSError:  # its folder cannot be read
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
            # '?' marks a file that changed too recently for a second change to show in its time.
            if stamps.pop(name, None) != stamp or stamp.endswith("?"):
                return True
        if stamps:
            return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the writers' lock, so that one of many processes that start at once does the work.

    Without the lock the work is only done twice, so waiting for it is limited.

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
    """Bring a file that only this process has open up to date; return whether anything changed."""
    # No other process sees this file before it is renamed, and it is deleted if anything fails.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -32000")
    if fresh:
        connection.executescript(_TABLES.replace("{columns}", _COLUMNS).replace("{tokenizer}", TOKENIZER))
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
    model: str
    newness: int
    name_words: int
    tasks: str
    entry: str
    words: words.Columns
    lends: tuple[Likeness, ...]


def _row(entry: CardEntry) -> _CardRow:
    columns = words.columns(entry)
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
        model=words.model_key(entry.uid),
        newness=words.newness(entry.uid.version),
        name_words=len(columns.name.split()),
        tasks=f"|{'|'.join(words.tasks(entry))}|",
        entry=json.dumps(entry.as_json(), ensure_ascii=False, separators=(",", ":")),
        words=columns,
        lends=entry.lends,
    )


def _insert(connection: sqlite3.Connection, registry: int, part: str, row: _CardRow) -> None:
    number = connection.execute(
        "INSERT OR REPLACE INTO card (registry, part, uid, publisher, version, task, datasets, formats, loadable, "
        "status, digest, model, newness, words, tasks, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [registry, part, *row[:-2]],
    ).lastrowid
    connection.execute(f"INSERT INTO word (rowid, {_COLUMNS}) VALUES (?, {_MARKS})", [number, *row.words])  # noqa: S608 - our columns
    connection.executemany("INSERT INTO lender VALUES (?, ?, ?)", [[*one, number] for one in row.lends])


def _remove(connection: sqlite3.Connection, registry: int, part: str) -> None:
    rows = connection.execute("SELECT id, entry FROM card WHERE registry = ? AND part = ?", [registry, part])
    for number, text in rows.fetchall():
        # The table of words keeps no texts: to take a row out, it must be told what went in.
        connection.execute(
            f"INSERT INTO word (word, rowid, {_COLUMNS}) VALUES ('delete', ?, {_MARKS})",  # noqa: S608 - our columns
            [number, *words.columns(read_entry(text))],
        )
        connection.execute("DELETE FROM lender WHERE card = ?", [number])
    connection.execute("DELETE FROM card WHERE registry = ? AND part = ?", [registry, part])
