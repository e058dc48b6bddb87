"""Reads a search text: which architectures, data sets, tasks, versions and names its words stand for.

Words are put together as far as they mean something: ``resnet 50`` is the model resnet50, ``question answering`` is a
task, and ``目标检测`` needs no spaces. A word that means nothing and that no card has is read as the closest word that
does. `docs/search.md` has the rules.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Protocol

from hubtool.card import architectures, vocabulary
from hubtool.card.architectures import spelled
from hubtool.card.vocabulary import fold
from hubtool.registry import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# How much a match in each column counts. A term counts once, with its best column.
POINTS: Mapping[str, int] = {
    "exact": 8,
    "name": 6,
    "architecture": 5,
    "dataset": 4,
    "task": 4,
    "version": 4,
    "general": 3,
    "other": 1,
    "grams": 1,
}
_MAX_TERMS = 20
_MAX_WORDS_TOGETHER = 10
_MAX_CHARACTERS = 400
_VERSION = re.compile(r"r?[0-9]+(?:\.[0-9]+)+\Z")
_IDEOGRAPH = "[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
_PIECE = re.compile(
    rf"(?<![a-z])r?[0-9]+(?:\.[0-9]+)+(?![a-z])|[0-9]+(?:\.[0-9]+)*|\d+|{_IDEOGRAPH}|"
    rf"[^\W\d_]+?(?=\d|_|\W|{_IDEOGRAPH}|\Z)"
)
_MIN_CORRECTED = 4
_SHORT_WORD = 5


@dataclass(frozen=True, slots=True)
class Term:
    """One or several words of a search that stand for one thing.

    Attributes:
        text: The words as they were read.
        meanings: The tokens that it stands for, by columns.
        whole: Whether only whole words of names match it.
    """

    text: str
    meanings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: bool = False

    @property
    def importance(self) -> int:
        """How much the best match of the term would count."""
        return max((POINTS[column] for column in self.meanings), default=0)

    def queries(self) -> Iterator[tuple[int, str]]:
        """Yield the FTS5 queries for this term, each with the points of its matches."""
        for column, tokens in self.meanings.items():
            yield POINTS[column], f"{column} : ({' OR '.join(f'{chr(34)}{token}{chr(34)}' for token in tokens)})"
        runs = words.tokens(self.text)
        if not runs:
            return
        if not self.meanings or "exact" in self.meanings or "architecture" in self.meanings:
            joined = fold(self.text)
            whole = f'name : ("{" ".join(runs)}"' + (f' OR "{joined}"' if joined.isascii() and joined else "") + ")"
            yield POINTS["name"], whole
            if self.whole:
                return
            yield POINTS["other"], f'{{name other}} : "{" ".join(runs)}" *'
            inner = [f'grams : "{" ".join(words.grams([run]))}"' for run in runs if len(run) >= 3]
            inner += [f'{{name other}} : "{run}" *' for run in runs if len(run) < 3]
            if any(len(run) >= 3 for run in runs):
                yield POINTS["grams"], f"({' AND '.join(inner)})"
        else:
            yield POINTS["other"], f'other : "{" ".join(runs)}"'


@dataclass(frozen=True, slots=True)
class Reading:
    """What a search text was read as.

    Attributes:
        terms: What every card should have.
        optional: Words that need not be there and count where they are.
        corrected: The words that were read as others, and those.
    """

    terms: tuple[Term, ...]
    optional: tuple[Term, ...] = ()
    corrected: tuple[tuple[str, str], ...] = ()


class Index(Protocol):
    """What reading asks the index."""

    def has(self, query: str) -> bool:
        """Whether any card matches an FTS5 query."""

    def names(self, first: str) -> Iterable[str]:
        """Return the names of cards and models that begin with a letter."""


@cache
def lexicon() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return what the vocabularies say: the tokens that each folded phrase stands for, by columns."""
    found: dict[str, dict[str, dict[str, None]]] = {}

    def add(phrase: str, column: str, token: str) -> None:
        if len(phrase) > 1 and not phrase.isdigit():
            found.setdefault(phrase, {}).setdefault(column, {})[fold(token)] = None

    for architecture in architectures.architectures().values():
        for spelling in (architecture.name, *architecture.spellings):
            add(fold(spelled(spelling)), "architecture", spelled(architecture.name))
        add(fold(architecture.family), "general", architecture.family)
    for task in architectures.tasks().values():
        aliases = [alias.partition("-")[2] for alias in task.aliases]
        for word in (task.name, task.english, task.chinese):
            add(fold(word), "task", task.name)
        for word in (task.name, task.english, task.chinese, *aliases, *task.words):
            add(fold(word), "general", task.name)
    for name, texts in architectures.variants().items():
        for text in (name, *texts):
            add(fold(text), "name", name)
    sets = vocabulary.load("datasets")
    for spelling, name in sets.spellings.items():
        add(spelling, "dataset", name)
    for name in sets.names:
        for beginning in _beginnings(name):
            add(beginning, "dataset", name)
        for word in architectures.dataset_words().get(name, ()):
            add(fold(word), "dataset", name)
    return {phrase: {column: tuple(tokens) for column, tokens in columns.items()} for phrase, columns in found.items()}


def _beginnings(name: str) -> Iterator[str]:
    """Yield the beginnings by which people call a data set: imagenet for ImageNet2012, mvtec for MVTec AD bottle."""
    runs = re.findall(r"[^\W_]+", name)
    for count in range(1, len(runs) + 1):
        beginning = "".join(runs[:count])
        # 'Speech' is a word, and no name for Speech Commands; 'MVTec' is one.
        if count == len(runs) or sum(sign.isupper() for sign in beginning) > 1:
            yield fold(beginning)
            if beginning[0].isupper():
                yield fold(beginning).rstrip("0123456789")


def parts(term: Term) -> list[Term]:
    """Return the words of a term that was left out, by which the cards that were found are still ranked."""
    return [Term(piece[0], whole=len(piece[0]) < 3) for piece in _PIECE.finditer(term.text)]


def read(text: str, index: Index) -> Reading:
    """Read a search text.

    Args:
        text: What was typed.
        index: The cards, whose names are words too.
    """
    text = spelled(unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).casefold())
    corrected: list[tuple[str, str]] = []
    for _ in range(4):
        reading, unknown = _read(text, index)
        for word in unknown:
            close = _closest(word, index)
            if close is not None:
                corrected.append((word, close))
                text = text.replace(word, close, 1)
                break
        else:
            break
    return Reading(reading.terms, reading.optional, tuple(corrected))


def _read(text: str, index: Index) -> tuple[Reading, list[str]]:
    pieces = list(_PIECE.finditer(text))
    terms: list[Term] = []
    optional: list[Term] = []
    unknown: list[str] = []
    ignored = architectures.ignored_words()
    at = 0
    while at < len(pieces) and len(terms) < _MAX_TERMS:
        for end in range(min(len(pieces), at + _MAX_WORDS_TOGETHER), at, -1):
            shown = text[pieces[at].start() : pieces[end - 1].end()]
            meanings = _meanings(fold(shown), index)
            if meanings:
                terms.append(Term(shown, meanings))
                at = end
                break
            version = shown if end == at + 1 and _VERSION.match(shown) else None
            if version and index.has(f'version : "{words.version_token(version)}"'):
                terms.append(Term(shown, {"version": (words.version_token(version),)}))
                at = end
                break
        else:
            at = _read_unknown(text, pieces, at, index, (terms, optional, unknown, ignored))
    return Reading(tuple(terms), tuple(optional)), unknown


def _read_unknown(
    text: str,
    pieces: Sequence[re.Match[str]],
    at: int,
    index: Index,
    into: tuple[list[Term], list[Term], list[str], frozenset[str]],
) -> int:
    """Read pieces that mean nothing by themselves; return where to go on."""
    terms, optional, unknown, ignored = into
    first = pieces[at]
    if first[0] in ignored:
        optional.append(Term(first[0], whole=True))
        return at + 1
    # What is written without a space is one word, as far as nothing in it means anything.
    end = at + 1
    while (
        end < len(pieces)
        and pieces[end].start() == pieces[end - 1].end()
        and pieces[end][0] not in ignored
        and not any(
            _meanings(fold(text[pieces[end].start() : pieces[after - 1].end()]), index)
            for after in range(end + 1, min(len(pieces), end + _MAX_WORDS_TOGETHER) + 1)
        )
    ):
        end += 1
    word = text[first.start() : pieces[end - 1].end()]
    # Too much begins with any one letter.
    term = Term(word, whole=len(word) == 1 and word.isascii() and word.isalpha())
    if not any(index.has(query) for _, query in term.queries()):
        folded = fold(word)
        if folded in words_of_tasks():
            term = Term(word, {"general": words_of_tasks()[folded]})
        elif folded not in lexicon_words():
            unknown.append(word)
    terms.append(term)
    return end


def _meanings(folded: str, index: Index) -> dict[str, tuple[str, ...]]:
    if len(folded) < 2 or folded.isdigit():
        return {}
    found = dict(lexicon().get(folded, {}))
    if index.has(f'exact : "{folded}"'):
        found["exact"] = (folded,)
    return found


@cache
def words_of_tasks() -> Mapping[str, tuple[str, ...]]:
    """Return the tasks in whose names a single word stands: voice, of 'voice recognition' and 'voice synthesis'."""
    found: dict[str, dict[str, None]] = {}
    for task in architectures.tasks().values():
        for phrase in (task.english, *task.words):
            for word in words.tokens(phrase):
                if len(word) >= _MIN_CORRECTED and word not in architectures.ignored_words():
                    found.setdefault(word, {})[fold(task.name)] = None
    return {word: tuple(tasks) for word, tasks in found.items()}


@cache
def lexicon_words() -> frozenset[str]:
    """Return the phrases of the vocabularies, the single words in them, and the models of the architectures."""
    models = {fold(model) for one in architectures.architectures().values() for model in one.models}
    return frozenset({*lexicon(), *words_of_tasks(), *models})


def _closest(word: str, index: Index) -> str | None:
    folded = fold(word)
    if len(folded) < _MIN_CORRECTED or not folded.isascii():
        return None
    cutoff = 0.75 if len(folded) <= _SHORT_WORD else 0.8
    candidates = {*lexicon_words(), *index.names(folded[0])}
    near = sorted(one for one in candidates if abs(len(one) - len(folded)) <= 2)
    close = difflib.get_close_matches(folded, near, n=1, cutoff=cutoff)
    return close[0] if close else None
