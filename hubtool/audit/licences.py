"""Recognise the licence of a text by phrases that only that licence has."""

from __future__ import annotations

import re

#: Names that licence files have, best first, without case.
FILES = ("license", "license.txt", "license.md", "licence", "licence.txt", "licence.md", "copying", "copying.txt")

# SPDX identifier -> phrases that must all be there, and phrases that must not; in order, the first that fits.
_MARKS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Apache-2.0", ("apache license", "version 2.0"), ()),
    ("MulanPSL-2.0", ("mulan permissive software license", "v2"), ()),
    ("AGPL-3.0-only", ("gnu affero general public license", "version 3"), ()),
    ("LGPL-3.0-only", ("gnu lesser general public license", "version 3"), ()),
    ("LGPL-2.1-only", ("gnu lesser general public license", "version 2.1"), ()),
    ("GPL-3.0-only", ("gnu general public license", "version 3"), ()),
    ("GPL-2.0-only", ("gnu general public license", "version 2"), ("version 3",)),
    ("MPL-2.0", ("mozilla public license", "2.0"), ()),
    ("CC-BY-NC-SA-4.0", ("attribution-noncommercial-sharealike 4.0",), ()),
    ("CC-BY-NC-4.0", ("attribution-noncommercial 4.0",), ()),
    ("CC-BY-SA-4.0", ("attribution-sharealike 4.0",), ()),
    ("CC-BY-4.0", ("attribution 4.0 international",), ()),
    ("CC0-1.0", ("cc0 1.0 universal",), ()),
    ("LicenseRef-Tongyi-Qianwen", ("tongyi qianwen license agreement",), ()),
    ("MIT", ("permission is hereby granted, free of charge", "the software is provided"), ()),
    ("ISC", ("permission to use, copy, modify, and/or distribute this software for any purpose",), ()),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name"), ()),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",), ("neither the name",)),
)


def recognise(text: str) -> str | None:
    """Return the SPDX identifier of the licence that a text is, or None."""
    plain = re.sub(r"\s+", " ", text[: 1 << 18]).lower()
    for name, there, absent in _MARKS:
        if all(phrase in plain for phrase in there) and not any(phrase in plain for phrase in absent):
            return name
    return None


def agree(stated: str, found: str) -> bool:
    """Return whether a card's licence is the one that was recognised, or cannot be compared with it.

    Licences of its own (``LicenseRef-...``) and expressions of several are not compared; whether a later version of a
    licence is allowed too (``-or-later``) is written in each source file and not in the licence.
    """
    if not stated or " " in stated or stated.startswith("LicenseRef-"):
        return True
    return _family(stated) == _family(found)


def _family(name: str) -> str:
    return re.sub(r"(-only|-or-later|\+)\Z", "", name).lower()
