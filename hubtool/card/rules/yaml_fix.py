"""The fix of an entry that is not YAML, where its meaning is plain.

These changes are tried, and kept only if the entry can be read afterwards:

- an optional entry with the value ``-`` is removed. It states nothing; the text ``'-'`` would be a metric, or a data
  set, named ``-``;
- a value with ``: `` in it, or one that starts with a reserved sign of YAML, is put in quotes;
- the full-width colon becomes ``: ``, and the translated key before it the key that it translates;
- a known key gets the space behind its colon.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card import schema, vocabulary
from hubtool.card.finding import Edit, Fix
from hubtool.card.front_matter import is_readable

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONE_DASH = re.compile(r"(?P<key>[\w-]+)[ \t]*:[ \t]+-[ \t]*(?:(?P<comment>#[^\n]*)|\r?\n|\Z)")
_LINE = re.compile(
    r"^(?P<indent>[ \t]*(?:-[ \t]+)?)(?P<key>[^\s:：#\"'\[\]{}&*!|>%@`?,-][^:：#\n]{0,98}?)"
    r"(?P<colon>[ \t]*(?:：[ \t]*|:[ \t]+|:(?=[^\s:])|:(?=\r?$)))(?P<value>[^\n]*)$",
    re.MULTILINE,
)
_COLON_IN_VALUE = re.compile(r":(?=[ \t]|\Z)")
_MAX_CHARACTERS = 16 << 10


def propose(chunk: str, offset: int) -> Fix | None:
    """Return the fix of one top-level entry that cannot be read, or None if there is no one right answer.

    Args:
        chunk: The entry's text.
        offset: Where it starts in the document, in characters.
    """
    if len(chunk) > _MAX_CHARACTERS:
        return None
    dash = _LONE_DASH.match(chunk)
    if dash:
        optional = dash["key"] in schema.known_keys() and dash["key"] not in schema.required_keys()
        end = dash.start("comment") if dash["comment"] else dash.end()
        if optional and not re.search(r"^[^\s#]|^[ \t]+[^\s#]", chunk[dash.end() :], re.MULTILINE):
            title = f"remove '{dash['key']}': it states nothing"
            return Fix(edits=(Edit(offset, offset + end, ""),), title=title)
        return None
    edits = list(_edits(chunk))
    if not edits:
        return None
    fixed = chunk
    for edit in reversed(edits):
        fixed = f"{fixed[: edit.start]}{edit.text}{fixed[edit.end :]}"
    if not is_readable(fixed):
        return None
    moved = tuple(Edit(offset + edit.start, offset + edit.end, edit.text) for edit in edits)
    return Fix(edits=moved, title="write it as YAML")


def _edits(chunk: str) -> Iterator[Edit]:
    for match in _LINE.finditer(chunk):
        colon, key, value = match["colon"], match["key"], match["value"].rstrip()
        wide = "：" in colon
        known = vocabulary.key(key)
        if wide and known is not None and known != key:
            yield Edit(match.start("key"), match.end("key"), known)
        if wide and (known is not None or key.isascii()):
            yield Edit(match.start("colon"), match.end("colon"), ": " if value else ":")
        elif colon == ":" and value and key in (*schema.known_keys(), *schema.known_keys("asset")):
            yield Edit(match.start("colon"), match.end("colon"), ": ")
        if _needs_quotes(value) and " #" not in value:
            yield Edit(match.start("value"), match.start("value") + len(value), _quoted(value))


def _needs_quotes(value: str) -> bool:
    """Whether a value that was written plainly is not read as that text."""
    if not value or value[0] in "\"'[{|>&!#":
        return False
    return value[0] in "@`%*" or bool(_COLON_IN_VALUE.search(value))


def _quoted(value: str) -> str:
    """Return a text as YAML in single quotes."""
    return "'" + value.replace("'", "''") + "'"
