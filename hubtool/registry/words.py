"""Tokens: how the texts of entries and the user's search words are split. Pure.

Letters and digits are compared without case. Chinese, Japanese and Korean have no spaces between words: their texts are
split into characters, so that words of one or two characters are found too. `docs/search.md` says what is searched.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from hubtool.card import architectures, vocabulary
from hubtool.card.vocabulary import fold
from hubtool.registry.phrases import task_words, translations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubtool.registry.entry import CardEntry
    from hubtool.uid import Uid

_GRAM = 3
_RUN = re.compile(r"[^\W_]+")
_IDEOGRAPH = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])")
_LETTERS_OR_DIGITS = re.compile(r"[0-9]+|[^\W\d_]+")
_NUMBER = re.compile(r"[0-9]+")
_MAX_NUMBER = 999


class Columns(NamedTuple):
    """What a card is found by: the columns of the full-text table, each a text of tokens.

    Attributes:
        exact: Its name, and the name of its model, each as one token without separators.
        name: The words of these names, and their letters and digits apart.
        architecture: Its architecture, as one token.
        general: The family of the architecture, its tasks, and the tasks that these are kinds of, one token each.
        dataset: Its data sets, one token each.
        task: Its tasks, one token each.
        version: The version in its UID, as one token.
        other: All other words that it states.
        grams: The three-letter sequences of its words.
    """

    exact: str
    name: str
    architecture: str
    general: str
    dataset: str
    task: str
    version: str
    other: str
    grams: str


def tokens(text: str) -> list[str]:
    """Return the tokens of a text: runs of letters and digits, ideographs one by one."""
    if text.isascii():
        return _RUN.findall(text.lower())
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        found.extend([run] if run.isascii() else _IDEOGRAPH.sub(r" \1 ", run).split())
    return found


def grams(words: Iterable[str]) -> list[str]:
    """Return the three-letter sequences of each word."""
    return [word[at : at + _GRAM] for word in words for at in range(len(word) - _GRAM + 1)]


def version_token(version: str) -> str:
    """Return the token of a version; ``1.10`` and ``11.0`` differ in it.

    >>> version_token("1.10")
    'v1p10'
    """
    return "v" + version.lower().removeprefix("r").replace(".", "p")


def newness(version: str) -> int:
    """Return a number that rises with the version: that of 1.10 is above that of 1.9."""
    parts = [min(int(number), _MAX_NUMBER) for number in _NUMBER.findall(version)[:3]]
    first, second, third = (*parts, 0, 0, 0)[:3]
    return (first * 1000 + second) * 1000 + third


def model_key(uid: Uid) -> str:
    """Return what the versions of one model have in common: all of the UID but the version."""
    return f"{uid.publisher}/{uid.backend or ''}/{fold(uid.name)}"


def tasks(entry: CardEntry) -> list[str]:
    """Return the pipeline tasks of a card, and the more general tasks that they are kinds of."""
    found = entry.find_tasks()
    known = architectures.tasks()
    return list(dict.fromkeys([*found, *(known[task].within for task in found if known[task].within)]))


def columns(entry: CardEntry) -> Columns:
    """Return what an entry is found by."""
    architecture = entry.find_architecture()
    sets = (
        [(written, known or written) for written, known in vocabulary.datasets(entry.datasets)]
        if entry.datasets
        else []
    )
    found = entry.find_tasks()
    within = [task for task in tasks(entry) if task not in found]
    english, chinese = task_words(entry.task)

    # 'resnet50_imagenet2012' is also found as 'resnet50': the name without the data set behind it.
    names = [str(entry.uid), entry.uid.name, entry.model, entry.uid.name.partition("_")[0]]
    runs = tokens(f"{entry.uid.name} {entry.model} {entry.title}")
    parts = [part for run in runs for part in _LETTERS_OR_DIGITS.findall(run)]
    stated = (entry.uid, entry.backbone, entry.task, english, chinese, entry.datasets, *(name for _, name in sets))
    facts = tokens(" ".join(map(str, (*stated, entry.author, entry.mindspore, entry.licence, *entry.formats))))
    return Columns(
        exact=_text(fold(name) for name in names),
        name=_text([*runs, *parts]),
        architecture=fold(architectures.spelled(architecture.name)) if architecture is not None else "",
        general=_text(
            fold(name) for name in (architecture.family if architecture is not None else "", *found, *within)
        ),
        dataset=_text(fold(name) for _, name in sets),
        task=_text(fold(task) for task in found),
        version=version_token(entry.uid.version),
        other=" ".join([*facts, *tokens(f"{entry.summary} {translations(entry.summary)}")]),
        grams=" ".join(grams(dict.fromkeys([*runs, *facts]))),
    )


def near(name: str) -> str | None:
    """Return the FTS5 query for names that share letters with one that does not exist."""
    found = list(dict.fromkeys(grams(tokens(name))))
    return " OR ".join(f'grams : "{gram}"' for gram in found) or None


def _text(words: Iterable[str]) -> str:
    return " ".join(word for word in dict.fromkeys(words) if word)
