"""The layout of the front matter: the order of the entries, quotes, and comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from hubtool.card import front_matter as front_matters
from hubtool.card import schema
from hubtool.card.values import plain_values
from hubtool.card.yaml_text import (
    NUMBER,
    ORDER,
    ORDER_AFTER,
    ORDER_END,
    ORDER_LAST,
    ORDER_OF_ASSET,
    ORDER_OF_FACTS,
    WIDTH,
    dump_fact,
    dump_recipe,
    scalar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.nodes import Node

    from hubtool.card.front_matter import Entry, FrontMatter

_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\Z")
_BEHIND_VALUE = re.compile(r"[ \t]*(?P<comment>#[^\n]*)?\n?\s*\Z")
_BETWEEN = re.compile(r"[ \t]*:\s*\Z")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_TEXT = frozenset({"string"})
_FACTS = frozenset(("evaluation", *ORDER_OF_FACTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One entry: the comments above it, its key, and its text."""

    key: str
    comments: tuple[str, ...]
    text: str


def format_front_matter(front_matter: FrontMatter) -> str:
    """Return the entries in order, with a blank line above and below."""
    before = plain_values(front_matter)
    plain = "\n".join(["", *front_matter.text.strip("\n").split("\n"), ""]).rstrip(" \t")
    if not front_matter.text.strip():
        return "\n"
    plain = plain if plain.endswith("\n") else f"{plain}\n"
    if not _is_simple(front_matter):
        return f"{plain}\n"
    header, parts, end = _parts(front_matter)
    ranked = [part for _, part in sorted(enumerate(parts), key=lambda pair: _rank(pair[1].key, pair[0]))]
    lines = [*header, ""] if header else []
    for part in ranked:
        lines += [*part.comments, part.text]
    text = "\n".join([*lines, *end])
    # The values must stay the same. They would not, for example, in block text that keeps its trailing blank lines.
    again = front_matters.read(f"{text}\n", 0)
    if not again.is_whole or plain_values(again) != before:
        return f"{plain}\n"
    return f"\n{text}\n\n"


def _is_simple(front_matter: FrontMatter) -> bool:
    """Whether each entry starts a line and depends on no other entry: there are no anchors and no aliases."""
    for entry in front_matter.entries:
        place = entry.offset - front_matter.offset + entry.key_node.start_mark.index
        if place and front_matter.text[place - 1] != "\n":
            return False
    if not re.search(r"[&*]", front_matter.text):
        return True
    return not any(getattr(event, "anchor", None) for event in _events(front_matter.text))


def _events(text: str) -> Iterator[Any]:
    # The stubs of PyYAML leave the event stream untyped.
    yield from yaml.parse(text, yaml.CSafeLoader)


def _parts(front_matter: FrontMatter) -> tuple[list[str], list[_Part], list[str]]:
    """Return the comments above all entries, the entries, and the comments below them."""
    text = front_matter.text
    base = front_matter.offset
    starts = [entry.offset - base + entry.key_node.start_mark.index for entry in front_matter.entries]
    header, above = _split_header(text[: starts[0]])
    parts: list[_Part] = []
    for entry, start, end in zip(front_matter.entries, starts, [*starts[1:], len(text)], strict=True):
        lines = text[start:end].rstrip("\n").split("\n")
        below: list[str] = []
        while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
            line = lines.pop()
            if line.strip():
                below.insert(0, line.rstrip())
        chunk = "\n".join(lines)
        parts.append(_Part(key=entry.key, comments=tuple(above), text=_entry(entry, chunk, start + base)))
        above = below
    return header, parts, above


def _split_header(text: str) -> tuple[list[str], list[str]]:
    """Split the comments above the first entry: those that a blank line separates from it, and the others."""
    lines = [line.rstrip() for line in text.split("\n")][:-1]
    while lines and not lines[0]:
        lines.pop(0)
    last = max((index for index, line in enumerate(lines) if not line), default=-1)
    return [line for line in lines[: last + 1] if line], lines[last + 1 :]


def _rank(key: str, place: int) -> tuple[int, int, str]:
    for number, order in ((0, ORDER), (2, ORDER_AFTER), (3, ORDER_LAST), (5, ORDER_END)):
        if key in order:
            return number, order.index(key), ""
    return (1, 0, key) if key.endswith("-repo-link") else (4, place, "")


def _entry(entry: Entry, chunk: str, start: int) -> str:
    """Return an entry's text in the standard layout, or unchanged if it has parts that cannot be rewritten safely."""
    node = entry.value
    value_start = entry.offset + node.start_mark.index - start
    value_end = entry.offset + node.end_mark.index - start
    key_end = entry.offset + entry.key_node.end_mark.index - start
    if not _KEY.match(entry.key) or "\t" in chunk.partition(":")[0]:
        return chunk
    written = chunk[value_start:value_end]
    # The parser takes the start of the next entry as the end of a list or mapping in block style.
    behind = _BEHIND_VALUE.match(chunk[value_end:])
    if isinstance(node, yaml.ScalarNode) and value_start >= value_end:
        return chunk.rstrip() if "\n" not in chunk.rstrip() else chunk
    if behind is None or not _BETWEEN.match(chunk[key_end:value_start]) or written.startswith(("!", "&", "*")):
        return chunk
    comment = f"  {behind['comment'].rstrip()}" if behind["comment"] else ""
    if isinstance(node, yaml.ScalarNode):
        return f"{entry.key}: {_scalar(entry.key, node, written)}{comment}" if _is_one_line(node) else chunk
    if _has_comments(chunk, node):
        return chunk
    if entry.key == "asset" and (lines := _assets(node)) is not None:
        return "\n".join(["asset:", *lines])
    if entry.key == "network" and isinstance(node, yaml.MappingNode):
        return dump_recipe(_plain(entry))
    if entry.key in _FACTS:
        return dump_fact(entry.key, _plain(entry))
    if isinstance(node, yaml.SequenceNode) and (flow := _numbers(node)) is not None:
        return f"{entry.key}: {flow}"
    return chunk


def _is_one_line(node: yaml.ScalarNode) -> bool:
    return node.style not in ("|", ">") and "\n" not in node.value


def _scalar(key: str, node: yaml.ScalarNode, written: str) -> str:
    """Return the text of a scalar: in standard quotes where the schema wants text, otherwise as it was written."""
    types, text = _types(key), str(node.value)
    if not types or types - _TEXT or not text.isprintable() or not text:
        return written if "\n" not in written or not text.isprintable() else scalar(text)
    if key == "update-time" and _DATE.match(text):
        return text
    if key.endswith("-link") and text.startswith("<") and scalar(text[1:]) == text[1:]:
        return text
    return scalar(text)


@cache
def _types(key: str) -> frozenset[str]:
    """Return the types that the value of a key may have; none if the schema does not know the key."""
    properties = schema.load()["properties"] | schema.load()["$defs"]["asset"]["properties"]
    found = properties.get(key)
    if found is None:
        return _TEXT if key.endswith("-repo-link") else frozenset()
    if "$ref" in found:
        found = schema.load()["$defs"][found["$ref"].rpartition("/")[2]]
    kind = found.get("type", "string" if "enum" in found else ())
    return frozenset((kind,) if isinstance(kind, str) else kind)


def _has_comments(chunk: str, node: Node) -> bool:
    """Whether a text has more signs ``#``, ``&`` or ``!`` than its scalars have: then there are comments, or tags."""
    return any(chunk.count(sign) != sum(text.count(sign) for text in _scalars(node)) for sign in "#&!")


def _scalars(node: Node) -> Iterator[str]:
    if isinstance(node, yaml.ScalarNode):
        yield node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value)
    else:
        for item in node.value:
            yield from _scalars(item)


def _assets(node: Node) -> list[str] | None:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        return None
    lines: list[str] = []
    for item in node.value:
        if not isinstance(item, yaml.MappingNode) or not item.value:
            return None
        if not all(isinstance(value, yaml.ScalarNode) and _is_one_line(value) for _, value in item.value):
            return None
        found = {key.value: value for key, value in item.value}
        if len(found) != len(item.value) or not all(_KEY.match(key) for key in found):
            return None
        order = [key for key in ORDER_OF_ASSET if key in found]
        mark = "  - "
        for key in [*order, *(key for key in found if key not in order)]:
            value = found[key]
            # The original text is not known here, so quoted values stay quoted.
            written = _scalar(key, value, _as_written(value)) if value.value.isprintable() else None
            if written is None:
                return None
            lines.append(f"{mark}{key}: {written}".rstrip())
            mark = "    "
    return lines


def _as_written(node: yaml.ScalarNode) -> str:
    return scalar(node.value) if node.style else node.value


def _plain(entry: Entry) -> Any:  # noqa: ANN401 - any value of a card
    return plain_values(front_matters.FrontMatter(entries=(entry,), faults=(), text="", offset=0))[entry.key]


def _numbers(node: Node) -> str | None:
    """Return a list of numbers, perhaps nested, on one line; None if it holds anything else, or is too long."""
    if not isinstance(node, yaml.SequenceNode):
        return None
    parts: list[str] = []
    for item in node.value:
        if isinstance(item, yaml.ScalarNode):
            if item.style or not NUMBER.match(item.value):
                return None
            parts.append(item.value)
        else:
            below = _numbers(item)
            if below is None:
                return None
            parts.append(below)
    text = f"[{', '.join(parts)}]"
    return text if len(text) <= WIDTH else None
