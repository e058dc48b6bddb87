"""Checking and fixing many cards: on all cores, in bounded memory, and only the cards that changed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import parallel
from hubtool.card.files import find_cards, read_card_file, shown_path, uid_of_path
from hubtool.card.finding import Place
from hubtool.card.rules import cross_card
from hubtool.card.validate import cache as caches
from hubtool.card.validate.cache import Row, Stamp
from hubtool.card.validate.result import CardResult, decode, encode
from hubtool.card.validate.selection import Selection
from hubtool.diagnostics import Diagnostic, Severity
from hubtool.errors import ArgumentError
from hubtool.settings import DEFAULT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hubtool.card.files import CardFile
    from hubtool.card.finding import CardSummary
    from hubtool.card.validate.autofix import FixedCard
    from hubtool.card.validate.cache import Cache

_BATCH_CARDS = 4096
# With fewer cards to check, starting worker processes takes longer than it saves.
_MIN_CARDS_FOR_WORKERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateReport:
    """What a check found.

    Attributes:
        cards: Number of cards that were checked.
        diagnostics: All problems: those of single cards by path and place, then those of several cards together.
    """

    cards: int
    diagnostics: tuple[Diagnostic, ...]

    def count(self, severity: Severity) -> int:
        """Return the number of problems of one severity."""
        return sum(diagnostic.severity is severity for diagnostic in self.diagnostics)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool validate --format json`` prints."""
        return {
            "cards": self.cards,
            "diagnostics": [diagnostic.as_json() for diagnostic in self.diagnostics],
            "summary": {"errors": self.count(Severity.ERROR), "warnings": self.count(Severity.WARNING)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOptions:
    """How cards are checked.

    Attributes:
        selection: Which findings are wanted.
        hosts: The hosts that assets may come from.
        jobs: The most worker processes.
        cache: The file of the cache, or None for none.
    """

    selection: Selection = field(default_factory=Selection)
    hosts: frozenset[str] = frozenset(DEFAULT_HOSTS)
    jobs: int = 1
    cache: Path | None = None


class ValidateCounts:
    """What a run has seen so far; filled while its iterator is drained."""

    __slots__ = ("cards", "errors", "warnings")

    def __init__(self) -> None:
        self.cards = 0
        self.errors = 0
        self.warnings = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Count a problem."""
        if diagnostic.severity is Severity.ERROR:
            self.errors += 1
        else:
            self.warnings += 1


def check_present(paths: Iterable[Path]) -> None:
    """Raise an error unless each path names a card: a check of nothing, such as of a wrong path, must not pass.

    Raises:
        ArgumentError: If a path does not exist, or is a folder without a card.
    """
    from hubtool.card import empty_folder  # noqa: PLC0415 - hardly ever needed

    for path in paths:
        if next(find_cards([path]), None) is None:
            why, hint = empty_folder.explain(path)
            raise ArgumentError(why, hint=hint)


def check_paths(paths: Iterable[Path], options: ValidateOptions = ValidateOptions()) -> ValidateReport:
    """Check all cards that paths name.

    Raises:
        ArgumentError: If a path does not exist.
    """
    counts = ValidateCounts()
    diagnostics = tuple(stream(paths, options, counts))
    return ValidateReport(cards=counts.cards, diagnostics=diagnostics)


def stream(paths: Iterable[Path], options: ValidateOptions, counts: ValidateCounts) -> Iterator[Diagnostic]:
    """Check all cards that paths name; yield each problem as soon as its turn comes.

    Problems of single cards come first, by path and place; problems of several cards, or of the files beside a card,
    come last. Only the results of one batch are kept in memory, and of each card its summary.

    Raises:
        ArgumentError: If a path does not exist.
    """
    summaries: list[CardSummary] = []
    for path, encoded in _results(paths, options):
        counts.cards += 1
        wanted = options.selection.codes(os.path.dirname(path))
        result = decode(encoded, path=path, shown=shown_path(path))
        if result.summary is not None:
            summaries.append(result.summary)
        for found in result.diagnostics:
            if wanted is None or found.code in wanted:
                counts.add(found)
                yield found
    for found in cross_card.check_all(summaries):
        wanted = options.selection.codes(os.path.dirname(found.path))
        if wanted is None or found.code in wanted:
            counts.add(found)
            yield _with_source(found)


def _with_source(diagnostic: Diagnostic) -> Diagnostic:
    """Add the text of the line, and make the path printable, of a problem that was found from summaries alone."""
    source = ""
    try:
        with open(diagnostic.path, encoding="utf-8-sig", errors="replace", newline="\n") as stream:
            source = next(islice(stream, diagnostic.line - 1, None), "").rstrip("\r\n")[:200]
    except OSError:
        pass  # it was removed after it was checked; the problem is reported all the same
    return dataclasses.replace(diagnostic, source=source, path=shown_path(diagnostic.path))


def _results(paths: Iterable[Path], options: ValidateOptions) -> Iterator[tuple[str, bytes]]:
    """Yield the path of each card with its encoded result, in order."""
    files = find_cards(paths)
    with contextlib.ExitStack() as stack:
        cache = None
        if options.cache is not None:
            key = f"{caches.rules_key()} {' '.join(sorted(options.hosts))}"
            cache = stack.enter_context(caches.Cache(options.cache, key))
        while batch := [file.path for file in islice(files, _BATCH_CARDS)]:
            known = {} if cache is None else _unchanged(batch, cache)
            answers = _check_files([path for path in batch if path not in known], options)
            rows: list[tuple[bytes, Row]] = []
            try:
                for path in batch:
                    encoded = known.get(path)
                    if encoded is None:
                        row, encoded = next(answers)
                        if row is not None:
                            rows.append((_key(path), row))
                    yield path, encoded
            finally:
                if cache is not None:
                    cache.put(rows)


def _key(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))


def _unchanged(paths: Sequence[str], cache: Cache) -> dict[str, bytes]:
    """Return the encoded results of the cards that have not changed since they were checked."""
    keys = {path: _key(path) for path in paths}
    rows = cache.get(list(keys.values()))
    known: dict[str, bytes] = {}
    touched: list[tuple[bytes, Row]] = []
    for path, key in keys.items():
        row = rows.get(key)
        stamp = _stamp(path) if row is not None else None
        if row is None or stamp is None:
            continue
        if row.is_certain(stamp):
            known[path] = row.result
        elif row.stamp.size == stamp.size and (data := _read(path)) is not None:
            moment = caches.now()
            if caches.digest(data) == row.digest:
                known[path] = row.result
                touched.append((key, Row(stamp, row.digest, moment, row.result)))
    cache.put(touched)
    return known


def _stamp(path: str) -> Stamp | None:
    try:
        return Stamp.of(os.stat(path))
    except OSError:
        return None


def _read(path: str) -> bytes | None:
    try:
        return read_card_file(path)[1]
    except OSError:
        return None


def _check_files(paths: Sequence[str], options: ValidateOptions) -> Iterator[tuple[Row | None, bytes]]:
    """Check cards on several cores; yield the row for the cache, if there is one, and the encoded result of each."""
    if paths:
        from hubtool.card.validate import check  # noqa: F401, PLC0415 - once, before the workers are forked
    jobs = options.jobs if len(paths) >= _MIN_CARDS_FOR_WORKERS else 1
    return parallel.run(functools.partial(_check_file, options.hosts), paths, jobs=jobs)


def _check_file(hosts: frozenset[str], path: str) -> tuple[Row | None, bytes]:
    from hubtool.card.validate import check as checks  # noqa: PLC0415 - runs over unchanged cards do without a parser

    moment = caches.now()
    try:
        status, data = read_card_file(path)
    except OSError as error:
        problem = Diagnostic(
            **Place()._asdict(),
            severity=Severity.ERROR,
            path="",
            message=f"the file cannot be read: {error.strerror or error}",
            hint="check where it leads, and its permissions",
            code="HT101",
        )
        return None, encode(CardResult(diagnostics=(problem,), summary=None))
    encoded = encode(checks.check(data, path="", uid=uid_of_path(path), hosts=hosts))
    return Row(Stamp.of(status), caches.digest(data), moment, encoded), encoded


def fix_paths(
    paths: Iterable[Path], options: ValidateOptions, *, write: bool, show: bool = False
) -> Iterator[FixedCard]:
    """Fix all cards that paths name; yield what became of each card that has something to fix.

    Args:
        paths: Cards, and folders of cards.
        options: Which findings are to be fixed, and how they are found.
        write: Whether to write the cards; otherwise nothing is changed.
        show: Whether the results hold diffs.

    Raises:
        ArgumentError: If a path does not exist.
    """
    from hubtool.card.validate import autofix  # noqa: F401, PLC0415 - once, before the workers are forked

    files = find_cards(paths)
    fix = functools.partial(_fix_file, options, write, show)
    while batch := list(islice(files, _BATCH_CARDS)):
        jobs = options.jobs if len(batch) >= _MIN_CARDS_FOR_WORKERS else 1
        yield from (outcome for outcome in parallel.run(fix, batch, jobs=jobs) if outcome is not None)


def _fix_file(options: ValidateOptions, write: bool, show: bool, file: CardFile) -> FixedCard | None:  # noqa: FBT001 - bound by partial
    from hubtool.card.validate import autofix  # noqa: PLC0415 - runs that only check do without

    return autofix.fix_file(
        Path(file.path),
        root=Path(file.root) if file.root else None,
        uid=uid_of_path(file.path),
        hosts=options.hosts,
        wanted=options.selection.codes(os.path.dirname(file.path)),
        write=write,
        show=show,
    )
