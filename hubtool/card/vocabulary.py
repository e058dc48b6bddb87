"""The names of tasks, data sets and licences that cards use, and their other spellings.

The vocabularies are data (``vocabularies/*.json``). Spellings are compared without case, spaces and punctuation, so
that ``ImageNet-2012`` and ``imagenet2012`` are one word; spellings that differ further are listed there as aliases.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from hubtool import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

# Several data sets in one value: 'ICDAR2013 | SCUT-FORU' or 'icdar2013_scutforu'. hubtool writes the second,
# because the public hub's own tools split at '_' only.
_DATASET_SEPARATOR = re.compile(r"[|_]")
_DATASET_JOINT = "_"
_OTHER_SIGNS = re.compile(r"[^0-9a-z]+")
# Values that cards use for "unknown" or "does not apply".
_NOTHING = frozenset({"", "-", "--", "~", "/", "n/a", "na", "no", "none", "null", "nil", "tbd", "todo", "?", "无"})
# No name is nearly this long, and comparing long texts is slow.
_MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Names, and the spellings that are read as them.

    Attributes:
        names: The standard names.
        spellings: The name of each folded spelling, of names and of aliases.
    """

    names: tuple[str, ...]
    spellings: Mapping[str, str]

    def find(self, text: str) -> str | None:
        """Return the name that a spelling stands for, or None if it is not known."""
        return self.spellings.get(fold(text)) if len(text) <= _MAX_CHARACTERS else None

    def nearest(self, text: str, count: int = 1) -> tuple[str, ...]:
        """Return the names whose spellings are closest to a text, best first; none if none is close."""
        if len(text) > _MAX_CHARACTERS:
            return ()
        close = difflib.get_close_matches(fold(text), self.spellings, n=count + 3, cutoff=0.7)
        return tuple(dict.fromkeys(self.spellings[spelling] for spelling in close))[:count]


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return the letters and digits of a text without case, by which spellings are compared."""
    if text.isascii():
        return _OTHER_SIGNS.sub("", text.lower())
    return "".join(sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum())


@cache
def load(name: str) -> Vocabulary:
    """Return one of the vocabularies: ``tasks``, ``datasets``, ``licences`` or ``keys``."""
    entries = json.loads(resources.vocabulary_file(name).read_text(encoding="utf-8"))["entries"]
    spellings = {}
    for entry in entries:
        for spelling in (entry["name"], *entry.get("aliases", ())):
            spellings[fold(spelling)] = entry["name"]
    return Vocabulary(names=tuple(entry["name"] for entry in entries), spellings=spellings)


@lru_cache(maxsize=1024)
def task(text: str) -> str | None:
    """Return the standard name of a task (``module-type``), or None if it is not known.

    >>> task("cv-super-resolution")
    'cv-super_resolution'
    """
    return load("tasks").find(text)


@lru_cache(maxsize=1024)
def dataset(text: str) -> str | None:
    """Return the standard spelling of one or several data sets, or None if one of them is not known.

    >>> dataset("imagenet2012"), dataset("ICDAR2013 | SCUT-FORU")
    ('ImageNet2012', 'ICDAR2013_SCUT-FORU')
    """
    parts = datasets(text)
    known = [name for _, name in parts if name is not None]
    return _DATASET_JOINT.join(known) if parts and len(known) == len(parts) else None


def datasets(text: str) -> tuple[tuple[str, str | None], ...]:
    """Return the data sets in a value: each as written, with its standard name or None."""
    vocabulary = load("datasets")
    whole = vocabulary.find(text)
    if whole is not None:
        return ((text.strip(), whole),)
    # A spelling may hold '_' itself (en_wiki_512), so that no split at '_' comes before the text between two '|'.
    parts: list[tuple[str, str | None]] = []
    for chunk in text.split("|"):
        name = vocabulary.find(chunk)
        if name is not None:
            parts.append((chunk.strip(), name))
            continue
        split = [(part.strip(), vocabulary.find(part)) for part in _DATASET_SEPARATOR.split(chunk)]
        # Where nothing in it is known, '_' is more likely a part of one unknown name than between several.
        parts.extend(split if any(known for _, known in split) else [(chunk.strip(), None)])
    return tuple(parts)


@cache
def _class_counts() -> Mapping[str, int]:
    entries = json.loads(resources.vocabulary_file("datasets").read_text(encoding="utf-8"))["entries"]
    return {entry["name"]: entry["classes"] for entry in entries if "classes" in entry}


@lru_cache(maxsize=1024)
def class_count(text: str) -> int | None:
    """Return how many classes a data set has that networks tell apart, or None: several data sets, or not stated.

    >>> class_count("oxford-iiit pet"), class_count("COCO2017")
    (37, None)
    """
    name = dataset(text)
    return _class_counts().get(name) if name is not None else None


@lru_cache(maxsize=1024)
def licence(text: str) -> str | None:
    """Return the SPDX expression for a licence, or None if it is not known.

    >>> licence("Apache2.0"), licence("mit OR apache-2.0")
    ('Apache-2.0', 'MIT OR Apache-2.0')
    """
    known = load("licences").find(text)
    if known is not None:
        return known
    if len(text) > _MAX_CHARACTERS:
        return None
    from packaging.licenses import (  # noqa: PLC0415 - most cards name a licence of the list above
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


@lru_cache(maxsize=1024)
def key(text: str) -> str | None:
    """Return the key of the front matter that a spelling stands for, or None."""
    return load("keys").find(text)


def says_nothing(text: str) -> bool:
    """Whether a value states nothing, such as ``-`` or ``N/A``."""
    return len(text) < 40 and text.strip().casefold() in _NOTHING
