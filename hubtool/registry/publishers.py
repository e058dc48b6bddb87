"""Which publishers' cards an added registry may bring.

The publishers of the packaged registry are reserved for it, and so is every name that looks like one of theirs: else a
registry that anyone runs could bring cards that pass for the public hub's.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from hubtool import packaged

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
# What people write together with Latin letters; Latin with any other script only serves to deceive (UTS #39, 5.2).
_BESIDE_LATIN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "DIGIT"})


@lru_cache(maxsize=1)
def reserved() -> frozenset[str]:
    """Return the publishers of the packaged registry."""
    try:
        return frozenset(one.name for one in packaged.registry_folder().iterdir() if one.is_dir())
    except OSError:
        return frozenset()


@lru_cache(maxsize=1024)
def objection(publisher: str, allowed: Collection[str] = ()) -> str | None:
    """Say why the cards of a publisher are not used from an added registry; None if they are.

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
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in publisher if letter.isalpha()}
    if not publisher.isascii() and "LATIN" in scripts and scripts - _BESIDE_LATIN != {"LATIN"}:
        return f"the publisher {publisher!a} mixes letters of several scripts that look alike"
    return None


def _shape(name: str) -> str:
    """Return what names that look alike have in common."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).translate(_LOOKS).translate(_LOOKS)
