"""The publishers whose cards an added registry can have.

The publishers of the packaged registry are reserved, and so is every name that looks like one of them. Otherwise any
registry could offer cards that pass for those of the public hub.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from hubtool import resources

if TYPE_CHECKING:
    from collections.abc import Collection

# Letters of other scripts, and digits, that look like a Latin letter (from Unicode's confusables.txt, UTS #39).
_LOOKS = str.maketrans(
    {
        **dict(zip("аԁеһіјӏկкԛмопрсѕԝтхуνзьᴦѵցոսհօ", "adehijlkkqmonpcswtxyv3brvgnuho", strict=True)),
        **dict(zip("αβγδεηικλμορτυχωɡɩıƽ", "abydenikljoptuxwgii5", strict=True)),
        **dict(zip("015", "ols", strict=True)),
        **dict.fromkeys("-_.+"),
        "i": "l",
    }
)
# Scripts that are written together with Latin; Latin with any other script is deceptive (UTS #39, 5.2).
_BESIDE_LATIN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "DIGIT"})
# The scripts that names are written in today (UAX #31, table 5), as the names of their letters begin. Whole words of
# other scripts, such as Lisu, Coptic or Cherokee, can look like Latin words.
_USUAL = frozenset(
    {
        *_BESIDE_LATIN,
        *("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "HEBREW", "ARABIC", "THAANA", "DEVANAGARI", "BENGALI", "GURMUKHI"),
        *("GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO", "TIBETAN"),
        *("MYANMAR", "GEORGIAN", "ETHIOPIC", "KHMER", "IDEOGRAPHIC", "KATAKANA-HIRAGANA"),
    }
)
# Invisible letters.
_EMPTY = frozenset("\u115f\u1160\u3164\uffa0")
# Latin letters that Unicode does not take apart are named after the letter that they were made from: LATIN SMALL LETTER
# O WITH STROKE, LATIN LETTER SMALL CAPITAL M.
_LATIN = re.compile(r"LATIN (?:SMALL LETTER |CAPITAL LETTER |LETTER )(?:SMALL CAPITAL |DOTLESS |SCRIPT )?([A-Z])\b")


@lru_cache(maxsize=1)
def reserved() -> frozenset[str]:
    """Return the publishers of the packaged registry."""
    try:
        return frozenset(one.name for one in resources.registry_folder().iterdir() if one.is_dir())
    except OSError:
        return frozenset()


@lru_cache(maxsize=1024)
def objection(publisher: str, allowed: Collection[str] = ()) -> str | None:
    """Return why an added registry's cards of a publisher are not used, or None if they are.

    Args:
        publisher: The publisher in the cards' UIDs.
        allowed: The publishers that the user allowed when the registry was added.
    """
    if publisher in allowed:
        return None
    if publisher in reserved():
        return f"the publisher {publisher} is reserved for the registry that comes with hubtool"
    shape = _shape(publisher)
    for known in sorted(reserved()):
        if _shape(known) == shape:
            return f"the publisher {publisher!a} looks like {known}, which the registry that comes with hubtool has"
    if not _EMPTY.isdisjoint(publisher):
        return f"the publisher {publisher!a} has invisible letters"
    letters = [letter for letter in unicodedata.normalize("NFKC", publisher) if letter.isalpha()]
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in letters}
    if not scripts <= _USUAL:
        return f"the publisher {publisher!a} is written in a script that is not used for names today"
    if not publisher.isascii() and "LATIN" in scripts and scripts - _BESIDE_LATIN != {"LATIN"}:
        return f"the publisher {publisher!a} mixes letters of several scripts that look alike"
    return None


def _shape(name: str) -> str:
    """Return a form that is equal for names that look alike."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    plain = "".join(_base(sign) for sign in plain if not unicodedata.combining(sign))
    return plain.translate(_LOOKS).translate(_LOOKS).replace("rn", "m").replace("vv", "w")


def _base(sign: str) -> str:
    """Return the ASCII letter that a Latin letter was made from."""
    found = None if sign.isascii() else _LATIN.match(unicodedata.name(sign, ""))
    return sign if found is None else found[1].lower()
