"""The index: lists, searches and completes the UIDs of all registries, from the file of :mod:`.index_file`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Any

from hubtool import wording
from hubtool.card import architectures, vocabulary
from hubtool.errors import StoreError
from hubtool.registry import index_file, reading, words
from hubtool.registry.choosing import Choice, choose
from hubtool.registry.found import Found, FoundModel
from hubtool.registry.index_file import read_entry
from hubtool.registry.reading import Term

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hubtool.card.likeness import Likeness
    from hubtool.registry import Registry
    from hubtool.registry.entry import CardEntry

_GRAMS_ONLY = ", ".join("1.0" if column == "grams" else "0.0" for column in words.Columns._fields)
_MAX_NEAR = 100
_LIKE = 0.7
_FEW = 3
_ALL = 1 << 31
_NOT_WITHDRAWN = "card.status != 'withdrawn'"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFilter:
    """Which cards a list has; None means any.

    Attributes:
        task: A task of ``module-type`` or a pipeline task, in any spelling; a field (``cv``) means all tasks in it.
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
    """One UID with different bytes in two registries; the card of the earlier registry is used."""

    uid: str
    used: str
    used_digest: str
    other: str
    other_digest: str


class SearchIndex:
    """The entries of some registries, in the order in which they are asked; a context manager."""

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
            refresh: Whether to look for changes; if not, an existing index is used as it is.

        Raises:
            StoreError: If SQLite here cannot search texts.
        """
        return cls(index_file.open_current(home, registries, refresh=refresh), registries)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> SearchIndex:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entries(self, wanted: CardFilter | None = None) -> Iterator[CardEntry]:
        """Yield the cards that a filter lets through: the versions of a model together, the newest first."""
        condition, values = _condition(wanted or CardFilter())
        rows = self._select("SELECT model, -newness, uid, entry FROM card WHERE", condition, values)
        for *_, text in sorted(rows):
            yield read_entry(text)

    def uids(self, wanted: CardFilter | None = None) -> list[str]:
        """Return the UIDs of the cards that a filter lets through, sorted; 1.10 comes after 1.9."""
        condition, values = _condition(wanted or CardFilter())
        rows = self._select("SELECT publisher, newness, uid FROM card WHERE", condition, values)
        return [uid for *_, uid in sorted(rows)]

    def search(
        self,
        text: str,
        limit: int = 50,
        *,
        withdrawn: bool = True,
        versions: bool = False,
        choice: Choice | None = None,
    ) -> Found:
        """Find cards by words, the best first; `docs/search.md` says how they are ranked.

        Where no card has all words, the least important ones are left out, one at a time, until some card is found.

        Args:
            text: The words.
            limit: The most models, or cards with ``versions``.
            withdrawn: Whether cards that were withdrawn are among them.
            versions: Whether each version of a model is found for itself; otherwise a model is found once.
            choice: Which of the models found are kept, and an order other than the best first.

        Raises:
            ArgumentError: If the choice is none.
        """
        if choice is None or choice == Choice():
            return self._search(text, limit, withdrawn=withdrawn, versions=versions)
        found = self._search(text, _ALL, withdrawn=withdrawn, versions=versions)
        models, remarks = choose(found.models, choice)
        if found and not models:
            remarks.append(f"{wording.count(found.count, 'model')} found, and none is as the options ask")
        return replace(found, models=tuple(models[:limit]), count=len(models), remarks=tuple(remarks))

    def _search(self, text: str, limit: int, *, withdrawn: bool, versions: bool) -> Found:
        read = reading.read(text, self)
        optional = list(read.optional)
        wanted = list(read.terms)
        if not wanted:  # 'small' alone
            wanted, optional = [Term(term.text) for term in optional], []
        dropped = [term for term in wanted if not any(self.has(query) for _, query in term.queries())]
        wanted = [term for term in wanted if term not in dropped]
        ranked = partial(self._ranked, limit=limit, withdrawn=withdrawn, versions=versions)
        models, count = ranked(wanted, optional)
        while wanted and not models:
            # Of terms that count the same, the last that was typed goes first.
            by_importance = sorted(enumerate(wanted), key=lambda pair: (pair[1].importance, -pair[0]))
            for _, least in by_importance:
                left = [term for term in wanted if term is not least]
                models, count = ranked(left, [*optional, *reading.parts(least)])
                if models:
                    break
            else:
                least = by_importance[0][1]
                left = [term for term in wanted if term is not least]
            dropped.append(least)
            optional += reading.parts(least)
            wanted = left
        return Found(
            models=tuple(models),
            count=count,
            dropped=tuple(term.text for term in dropped),
            corrected=read.corrected,
            near=() if models else self._near_names(text),
        )

    def _near_names(self, text: str) -> tuple[str, ...]:
        """Return UIDs whose names are like a text, the most like first."""
        folded = vocabulary.fold(text[:_MAX_NEAR])
        like = [
            (SequenceMatcher(None, folded, vocabulary.fold(uid.rpartition("/")[2].partition("_")[0])).ratio(), uid)
            for uid in self.near(text[:_MAX_NEAR])
        ]
        return tuple(uid for ratio, uid in sorted(like, reverse=True) if ratio >= _LIKE)[:_FEW]

    def has(self, query: str) -> bool:
        """Return whether any card matches an FTS5 query."""
        return bool(self._run("SELECT 1 FROM word WHERE word MATCH ? LIMIT 1", [query]))

    def names(self, first: str) -> list[str]:
        """Return the names of cards and models that begin with a letter, as single words."""
        self._connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.term USING fts5vocab('main', 'word', 'col')")
        after = chr(ord(first) + 1)
        found = self._run("SELECT term FROM temp.term WHERE term >= ? AND term < ? AND col = 'exact'", [first, after])
        return [term for (term,) in found]

    def _ranked(
        self, terms: list[Term], optional: Sequence[Term], limit: int, *, withdrawn: bool, versions: bool
    ) -> tuple[list[FoundModel], int]:
        """Return the best models with all terms, and how many there are."""
        if not terms:
            return [], 0
        values: list[object] = []
        optional = [term for term in optional if any(term.queries())]

        def matches(term: Term) -> str:
            parts = []
            for points, query in term.queries():
                parts.append(f"SELECT rowid AS id, {points} AS points FROM word WHERE word MATCH ?")  # noqa: S608 - a number
                values.append(query)
            return f"(SELECT id, max(points) AS points FROM ({' UNION ALL '.join(parts)}) GROUP BY id)"  # noqa: S608 - as above

        tables = " ".join(
            f"{'FROM' if at == 0 else 'JOIN'} {matches(term)} AS t{at}{'' if at == 0 else ' USING (id)'}"
            for at, term in enumerate(terms)
        )
        tables += "".join(f" LEFT JOIN {matches(term)} AS o{at} USING (id)" for at, term in enumerate(optional))
        points = "+".join(
            [f"t{at}.points" for at in range(len(terms))] + [f"ifnull(o{at}.points, 0)" for at in range(len(optional))]
        )
        status = "1" if withdrawn else _NOT_WITHDRAWN
        # SQLite takes the other columns of a group from the row with the maximum: the best version, then the newest.
        statement = f"""
            SELECT uid, entry, max(score), words, count(*) OVER () FROM (
                SELECT card.uid, card.entry, card.words, {"card.uid" if versions else "card.model"} AS model,
                    ((status = '') * 1000 + {points}) * 2000000000 + newness AS score
                {tables} JOIN card USING (id) WHERE {status} AND {self._visible()}
            ) GROUP BY model ORDER BY 3 DESC, words, uid LIMIT ?"""  # noqa: S608 - numbers and our names
        rows = self._run(statement, [*values, limit])
        found = [
            FoundModel(
                entry=(entry := read_entry(text)),
                versions=(str(entry.uid),) if versions else self._versions(entry, withdrawn=withdrawn),
            )
            for _, text, *_ in rows
        ]
        return found, rows[0][-1] if rows else 0

    def _versions(self, entry: CardEntry, *, withdrawn: bool) -> tuple[str, ...]:
        """Return the UIDs of the versions of a model, the newest first."""
        status = "1" if withdrawn else _NOT_WITHDRAWN
        rows = self._run(
            f"SELECT uid FROM card WHERE model = ? AND {status} AND {self._visible()} ORDER BY newness DESC, uid",  # noqa: S608 - numbers
            [words.model_key(entry.uid)],
        )
        return tuple(uid for (uid,) in rows)

    def _visible(self) -> str:
        """Return the condition that a card is of one of the registries, and in none before it."""
        parts = []
        for at, registry in enumerate(self._order):
            earlier = ",".join(str(one) for one in self._order[:at])
            hidden = f"EXISTS (SELECT 1 FROM card AS e WHERE e.uid = card.uid AND e.registry IN ({earlier}))"  # noqa: S608 - numbers
            parts.append(f"card.registry = {registry}" + (f" AND NOT {hidden}" if earlier else ""))
        return f"({' OR '.join(parts) or '0'})"

    def beginning(self, text: str, limit: int = 3000) -> list[str]:
        """Return the UIDs that begin with a text, or whose names do, sorted."""
        after = text + "\U0010ffff"
        rows = self._select("SELECT uid FROM card WHERE", "uid >= ? AND uid < ?", [text, after])
        found = sorted(row[0] for row in rows)
        if not found and text and "/" not in text:
            # GLOB would interpret wildcards in the text.
            rows = self._select("SELECT uid FROM card WHERE", "instr(uid, ?) > 0", [f"/{text}"])
            found = sorted(row[0] for row in rows if row[0].rpartition("/")[2].startswith(text))
        return found[:limit]

    def near(self, name: str, limit: int = 60) -> list[str]:
        """Return UIDs that share letters with a UID that does not exist, best first."""
        query = words.near(name)
        if query is None:
            return []
        rows = self._select(
            f"SELECT bm25(word, {_GRAMS_ONLY}), uid FROM word CROSS JOIN card ON card.id = word.rowid "  # noqa: S608 - our columns
            "WHERE word MATCH ? AND",
            "1",
            [query],
            first=True,
            tail=f"ORDER BY 1 LIMIT {int(limit)}",
        )
        return [uid for _, uid in sorted(rows)[:limit]]

    def known(self, column: str) -> list[str]:
        """Return the values of a column (``task``, ``version``, ``publisher`` or ``formats``), sorted."""
        if column not in ("task", "version", "publisher", "formats"):
            raise ValueError(column)
        rows = self._run(f"SELECT DISTINCT {column} FROM card", [])  # noqa: S608 - one of four words
        values = {one for row in rows for one in row[0].split("|") if one}
        return sorted(values, key=lambda value: (words.newness(value) if column == "version" else 0, value))

    def conflicts(self) -> list[Conflict]:
        """Return every UID with other bytes in a later registry than in the one whose card is used."""
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

    def lenders(self, known_by: Likeness, limit: int) -> list[tuple[str, str]]:
        """Return the cards with a recipe that are known by the same, as pairs of registry key and UID.

        They are in order of registries and UIDs. Cards that an earlier registry has under another form are among them,
        because that may be the one without a recipe; a UID that an earlier registry has withdrawn is not.

        Args:
            known_by: What the cards have in common.
            limit: The most of each registry.
        """
        rows: list[tuple[str, str]] = []
        for at, registry in enumerate(self._order):
            marks = ",".join("?" * at)
            withdrawn = f"e.uid = card.uid AND e.status = 'withdrawn' AND e.registry IN ({marks})"
            found = self._run(
                "SELECT registry.key, card.uid FROM lender JOIN card ON card.id = lender.card JOIN registry ON "  # noqa: S608 - marks only
                "registry.id = card.registry WHERE lender.kind = ? AND lender.text = ? AND card.registry = ? AND "
                f"NOT EXISTS (SELECT 1 FROM card AS e WHERE {withdrawn}) ORDER BY card.uid LIMIT ?",
                [*known_by, registry, *self._order[:at], limit],
            )
            rows += [(key, uid) for key, uid in found]
        return rows

    def count(self, registry: Registry) -> int:
        """Return how many cards a registry has."""
        ids = [number for number, name in self._names.items() if name == registry.name]
        return sum(row[0] for one in ids for row in self._run("SELECT count(*) FROM card WHERE registry = ?", [one]))

    def _select(
        self, head: str, condition: str, values: list[object], *, first: bool = False, tail: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of each registry, except UIDs of an earlier registry."""
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


def _condition(wanted: CardFilter) -> tuple[str, list[object]]:
    parts = ["1"]
    values: list[object] = []
    if wanted.task is not None:
        task = vocabulary.task(wanted.task) or wanted.task
        pipeline = architectures.find_tasks(wanted.task)
        also = " OR instr(card.tasks, ?) > 0" * len(pipeline)
        parts.append(f"(card.task = ? OR substr(card.task, 1, ?) = ?{also})")
        values += [task, len(task) + 1, f"{task}-", *(f"|{one}|" for one in pipeline)]
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
