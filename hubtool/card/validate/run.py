"""Checking many cards: paths in, diagnostics out, in bounded memory, on all cores, and only what has changed."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from hubtool import parallel
from hubtool.card import files as card_files
from hubtool.card.rules import Facts, Place, together
from hubtool.card.validate import cache as caches
from hubtool.card.validate.cache import Row, Stamp
from hubtool.card.validate.selection import Selection
from hubtool.diagnostics import Diagnostic, Severity
from hubtool.errors import ArgumentError, InvalidNameError
from hubtool.settings import DEFAULT_HOSTS
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

    from typing_extensions import Self

    from hubtool.card.validate import autofix
    from hubtool.card.validate.cache import Cache

# Texts about a registry that stand in it and are not cards.
_NOT_CARDS = frozenset({"readme.md", "contributing.md", "changelog.md"})
_BACKENDS = frozenset({"ascend", "gpu", "cpu"})
# How many cards are looked up together, and how many of them go to a process at a time. With fewer than a few hundred
# to check, starting processes takes longer than it saves.
_BATCH = 512
_CHUNK = 64
_WORTH_PROCESSES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        cards: How many cards were checked.
        diagnostics: All problems: those of single cards by path and place, then those of several cards together.
    """

    cards: int
    diagnostics: tuple[Diagnostic, ...]

    def count(self, severity: Severity) -> int:
        """Return how many problems of one severity there are."""
        return sum(diagnostic.severity is severity for diagnostic in self.diagnostics)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool validate --format json`` prints."""
        return {
            "cards": self.cards,
            "diagnostics": [diagnostic.as_json() for diagnostic in self.diagnostics],
            "summary": {"errors": self.count(Severity.ERROR), "warnings": self.count(Severity.WARNING)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How cards are checked.

    Attributes:
        selection: Which findings are wanted.
        hosts: The hosts that assets may come from.
        jobs: How many processes may be used. More than one is for programs that run no threads.
        cache: The file of the cache, or None for none.
    """

    selection: Selection = field(default_factory=Selection)
    hosts: frozenset[str] = frozenset(DEFAULT_HOSTS)
    jobs: int = 1
    cache: Path | None = None


class Found(NamedTuple):
    """A file to check: its path as given and below, and the folder that was given, or empty for a file."""

    path: str
    root: str


class Counts:
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


def find_cards(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield the cards that paths name: a file itself, and of a folder every ``*.md`` below it, in order of their names.

    Hidden files and folders, links to folders, and the texts README.md, CONTRIBUTING.md and CHANGELOG.md are passed
    over. What is named twice is yielded once.

    Raises:
        ArgumentError: If a path does not exist.
    """
    given = list(paths)
    seen: set[str] | None = set() if len(given) > 1 else None
    for path in given:
        # os.path, not Path: what may not be looked at is not there, and no exception.
        if os.path.isdir(path):
            found: Iterator[Found] = (Found(name, str(path)) for name in _walk(str(path)))
        elif os.path.lexists(path):
            found = iter((Found(str(path), ""),))
        else:
            raise ArgumentError(
                f"{shown_path(str(path))} does not exist", hint="give the path of a card, or of a folder of cards"
            )
        for one in found:
            if seen is not None:
                absolute = os.path.abspath(one.path)
                if absolute in seen:
                    continue
                seen.add(absolute)
            yield one


def check_present(paths: Iterable[Path]) -> None:
    """See that each path names a card: a check of nothing, such as of a wrong path, must not pass.

    Raises:
        ArgumentError: If a path does not exist, or is a folder without a card.
    """
    from hubtool.card import empty_folder  # noqa: PLC0415 - hardly ever needed

    for path in paths:
        if next(find_cards([path]), None) is None:
            why, hint = empty_folder.say(path)
            raise ArgumentError(why, hint=hint)


def _walk(root: str) -> Iterator[str]:
    closed: list[str] = []
    for folder, folders, files in os.walk(root, onerror=lambda error: closed.append(str(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".md") and not name.startswith(".") and name.lower() not in _NOT_CARDS:
                yield os.path.join(folder, name)
    # A folder that cannot be opened is reported like a card that cannot be.
    yield from closed


def uid_of_path(path: str | PurePath) -> Uid | None:
    """Return the UID that the last parts of a card's path give, or None."""
    parts = os.path.abspath(path).split(os.sep)
    if len(parts) < 4:
        return None
    length = 4 if len(parts) > 4 and parts[-3].lower() in _BACKENDS else 3
    try:
        return Uid.of_path(PurePosixPath("/".join(parts[-length:])))
    except InvalidNameError:
        return None


_MAX_SHOWN_PATH = 500  # characters


def shown_path(path: str) -> str:
    """Return a path as it can be printed: what no terminal should get, or no UTF-8 has, is escaped."""
    path = path if len(path) <= _MAX_SHOWN_PATH else f"{path[:_MAX_SHOWN_PATH]}..."
    if path.isprintable():
        return path
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path)


def check_paths(paths: Iterable[Path], options: Options = Options()) -> Report:
    """Check all cards that paths name.

    Raises:
        ArgumentError: If a path does not exist.
    """
    counts = Counts()
    diagnostics = tuple(stream(paths, options, counts))
    return Report(cards=counts.cards, diagnostics=diagnostics)


def stream(paths: Iterable[Path], options: Options, counts: Counts) -> Iterator[Diagnostic]:
    """Check all cards that paths name; yield each problem as soon as its turn comes.

    Those of single cards come first, by path and place; those that concern several cards, or the files around a card,
    come last. No more is kept in memory than a few hundred results, and of each card what the rules for all cards need.

    Raises:
        ArgumentError: If a path does not exist.
    """
    facts: list[Facts] = []
    for found, result in _results(paths, options):
        counts.cards += 1
        shown = shown_path(found.path)
        wanted = options.selection.codes(os.path.dirname(found.path))
        diagnostics, kept = _decode(result, found.path, shown)
        if kept is not None:
            facts.append(kept)
        for diagnostic in diagnostics:
            if wanted is None or diagnostic.code in wanted:
                counts.add(diagnostic)
                yield diagnostic
    for diagnostic in together.check_all(facts):
        wanted = options.selection.codes(os.path.dirname(diagnostic.path))
        if wanted is None or diagnostic.code in wanted:
            counts.add(diagnostic)
            yield _with_source(diagnostic)


def _with_source(diagnostic: Diagnostic) -> Diagnostic:
    """Add the text of the line, and make the path printable, of a problem that was found from facts alone."""
    import dataclasses  # noqa: PLC0415 - few runs have such a problem

    source = ""
    try:
        with open(diagnostic.path, encoding="utf-8-sig", errors="replace", newline="\n") as stream:
            source = next(islice(stream, diagnostic.line - 1, None), "").rstrip("\r\n")[:200]
    except OSError:
        pass  # it is gone since it was checked; the problem is named all the same
    return dataclasses.replace(diagnostic, source=source, path=shown_path(diagnostic.path))


def _results(paths: Iterable[Path], options: Options) -> Iterator[tuple[Found, bytes]]:
    """Yield each card with its encoded result, in order."""
    files = find_cards(paths)
    check = _Chunk(options.hosts)
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(_Workers(options.jobs))
        cache = None
        if options.cache is not None:
            key = f"{caches.rules_key()} {' '.join(sorted(options.hosts))}"
            cache = stack.enter_context(caches.Cache(options.cache, key))
        queue: deque[_Batch] = deque()
        for batch in iter(lambda: list(islice(files, _BATCH)), []):
            known, tasks = _look_up(batch, cache)
            queue.append(_Batch(batch, known, workers.start(tasks, check)))
            yield from _collect(queue, 2, cache)
        yield from _collect(queue, 0, cache)


def _look_up(batch: list[Found], cache: Cache | None) -> tuple[dict[int, bytes], list[_Task]]:
    """Return the results that are known, by index, and what is to be checked."""
    if cache is None:
        return {}, [(found.path, None) for found in batch]
    names = [os.fsencode(os.path.abspath(found.path)) for found in batch]
    rows = cache.get(names)
    known: dict[int, bytes] = {}
    touched: list[tuple[bytes, Row]] = []
    for index, (found, name) in enumerate(zip(batch, names, strict=True)):
        row = rows.get(name)
        stamp = _stamp(found.path) if row is not None else None
        if row is None or stamp is None:
            continue
        if row.is_sure(stamp):
            known[index] = row.result
        elif row.stamp.size == stamp.size and (data := _read(found.path)) is not None:
            moment = caches.now()
            if caches.digest(data) == row.digest:
                known[index] = row.result
                touched.append((name, Row(stamp, row.digest, moment, row.result)))
    cache.put(touched)
    return known, [(found.path, names[index]) for index, found in enumerate(batch) if index not in known]


def _stamp(path: str) -> Stamp | None:
    try:
        return _stamp_of(os.stat(path))
    except OSError:
        return None


def _stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def _read(path: str) -> bytes | None:
    try:
        return card_files.read_card_file(path)[1]
    except OSError:
        return None


_Task = tuple[str, "bytes | None"]
_Answer = tuple["bytes | None", "Row | None", bytes]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What a process does with some cards: check each, and encode what it found."""

    hosts: frozenset[str]

    def __call__(self, tasks: list[_Task]) -> list[_Answer]:
        return [self._one(path, name) for path, name in tasks]

    def _one(self, path: str, name: bytes | None) -> _Answer:
        from hubtool.card.validate import check as checks  # noqa: PLC0415 - runs over unchanged cards do without

        moment = caches.now()
        try:
            status, data = card_files.read_card_file(path)
        except OSError as error:
            problem = together.unreadable("", error.strerror or str(error), "check where it leads, and its permissions")
            return name, None, _encode([problem], None)
        uid = uid_of_path(path)
        checked = checks.check(data, path="", uid=uid, hosts=self.hosts)
        result = _encode(checked.diagnostics, checked.facts)
        row = Row(_stamp_of(status), caches.digest(data), moment, result) if name is not None else None
        return name, row, result


_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class _Later(Generic[_In, _Out]):
    """A chunk that another process works on, or that is worked on here when it is asked for."""

    future: Future[list[_Out]] | None
    work: Callable[[list[_In]], list[_Out]]
    chunk: list[_In]

    def result(self) -> list[_Out]:
        if self.future is None:
            return self.work(self.chunk)
        from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 - most runs start no processes

        try:
            return self.future.result()
        except BrokenProcessPool:
            return self.work(self.chunk)  # the process was killed, most likely for want of memory: do it here


class _Workers:
    """The processes of a run; none are started before there is enough to do for them."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: Executor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def start(self, items: list[_In], work: Callable[[list[_In]], list[_Out]]) -> list[_Later[_In, _Out]]:
        """Start work on items, chunk by chunk."""
        chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        if self._jobs < 2 or (self._pool is None and len(items) < _WORTH_PROCESSES):
            return [_Later(None, work, chunk) for chunk in chunks]
        from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 - as above

        if self._pool is None:
            from hubtool.card.validate import autofix, check  # noqa: F401, PLC0415 - imported before the fork

            self._pool = parallel.pool(self._jobs)
        try:
            return [_Later(self._pool.submit(work, chunk), work, chunk) for chunk in chunks]
        except BrokenProcessPool:
            return [_Later(None, work, chunk) for chunk in chunks]


class _Batch(NamedTuple):
    """Some cards on their way: what is known of them, by index, and what of the rest is worked on, in order."""

    cards: list[Found]
    known: dict[int, bytes]
    waiting: list[_Later[_Task, _Answer]]


def _collect(queue: deque[_Batch], keep: int, cache: Cache | None) -> Iterator[tuple[Found, bytes]]:
    """Yield the results of the oldest batches until only some are left."""
    while len(queue) > keep:
        batch = queue.popleft()
        answers = [answer for later in batch.waiting for answer in later.result()]
        if cache is not None:
            cache.put((name, row) for name, row, _ in answers if name is not None and row is not None)
        rest = iter(answers)
        for index, found in enumerate(batch.cards):
            yield found, batch.known[index] if index in batch.known else next(rest)[2]


def _encode(diagnostics: Iterable[Diagnostic], facts: Facts | None) -> bytes:
    found = [
        (
            each.code,
            each.severity is Severity.ERROR,
            each.line,
            each.column,
            each.end_line,
            each.end_column,
            each.message,
            each.pointer,
            each.hint,
            each.source,
            each.fixable,
        )
        for each in diagnostics
    ]
    kept = None
    if facts is not None:
        uid = facts.uid
        kept = [
            None if uid is None else (uid.publisher, uid.version, uid.name, uid.backend),
            [[link, known, size, *_flat(place)] for link, known, size, place in facts.assets],
            [[target, *_flat(place)] for target, place in facts.relative],
            facts.ignored,
            facts.status,
            None if facts.successor is None else [facts.successor[0], *_flat(facts.successor[1])],
        ]
    return json.dumps([found, kept], separators=(",", ":")).encode("ascii")


def _flat(place: Place) -> tuple[int, int, int, int, str]:
    return place.line, place.column, place.end_line, place.end_column, place.pointer


def _place(line: int, column: int, end_line: int, end_column: int, pointer: str) -> Place:
    return Place(line=line, column=column, end_line=end_line, end_column=end_column, pointer=pointer)


def _decode(result: bytes, path: str, shown: str) -> tuple[list[Diagnostic], Facts | None]:
    found, kept = json.loads(result)
    diagnostics = [
        Diagnostic(
            code=code,
            severity=Severity.ERROR if error else Severity.WARNING,
            path=shown,
            line=line,
            column=column,
            end_line=end_line,
            end_column=end_column,
            message=message,
            pointer=pointer,
            hint=hint,
            source=source,
            fixable=fixable,
        )
        for code, error, line, column, end_line, end_column, message, pointer, hint, source, fixable in found
    ]
    if kept is None:
        return diagnostics, None
    uid, assets, relative, ignored, status, successor = kept
    facts = Facts(
        path=path,
        uid=None if uid is None else Uid(*uid),
        assets=tuple((link, known, size, _place(*place)) for link, known, size, *place in assets),
        relative=tuple((target, _place(*place)) for target, *place in relative),
        ignored=tuple(ignored),
        status=status,
        successor=None if successor is None else (successor[0], _place(*successor[1:])),
    )
    return diagnostics, facts


def fix_paths(paths: Iterable[Path], options: Options, *, write: bool, show: bool = False) -> Iterator[autofix.Outcome]:
    """Mend all cards that paths name; yield what became of each card that could be mended.

    Args:
        paths: Cards, and folders of cards.
        options: Which findings are to be mended, and how they are found.
        write: Whether to write the cards; else this only says what would be done.
        show: Whether the outcomes hold diffs.

    Raises:
        ArgumentError: If a path does not exist.
    """
    files = find_cards(paths)
    mend = _Mend(options.selection, options.hosts, write, show)
    with _Workers(options.jobs) as workers:
        waiting: deque[_Later[Found, autofix.Outcome | None]] = deque()
        for batch in iter(lambda: list(islice(files, _BATCH)), []):
            waiting.extend(workers.start(batch, mend))
            while len(waiting) > 2 * _BATCH // _CHUNK:
                yield from (outcome for outcome in waiting.popleft().result() if outcome is not None)
        while waiting:
            yield from (outcome for outcome in waiting.popleft().result() if outcome is not None)


@dataclass(frozen=True, slots=True)
class _Mend:
    """What a process does with some cards: mend each."""

    selection: Selection
    hosts: frozenset[str]
    write: bool
    show: bool

    def __call__(self, found: list[Found]) -> list[autofix.Outcome | None]:
        from hubtool.card.validate import autofix  # noqa: PLC0415 - runs that only check do without

        return [
            autofix.fix_file(
                Path(one.path),
                root=Path(one.root) if one.root else None,
                uid=uid_of_path(one.path),
                hosts=self.hosts,
                wanted=self.selection.codes(os.path.dirname(one.path)),
                write=self.write,
                show=self.show,
            )
            for one in found
        ]
