"""The one layout of a card: the order of its entries, how values are quoted, and where blank lines stand. Pure.

It is the layout that an import writes, so that imported cards are in it already. Nothing that a card says is changed:
the values of the front matter, as the schema reads them, and the blocks of the body, as a Markdown parser reads them,
are compared before and after, and what would come out differently stays as it was written. Comments stay with the
entry that they stand above, beside or in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from hubtool.card import document as documents
from hubtool.card import foreign, schema
from hubtool.card import front_matter as front_matters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from yaml.nodes import Node

    from hubtool.card.document import Document
    from hubtool.card.front_matter import Entry, FrontMatter

# The order of the entries is that of the public hub's cards. Links to further repositories stand behind 'repo-link',
# and keys that are not in these lists before the licence.
ORDER = (
    *("model-name", "backbone-name", "module-type", "fine-tunable", "input-shape", "model-version", "train-dataset"),
    *("accuracy", "mAP", "evaluation", "author", "update-time", "repo-link"),
)
ORDER_AFTER = ("user-id", "used-for", "train-backend", "infer-backend", "mindspore-version", "mindspore-lite")
ORDER_LAST = ("asset", "repo-revision", "network")
ORDER_END = ("license", "summary", "status", "superseded-by", "status-reason")
ORDER_OF_ASSET = ("file-format", "asset-link", "asset-sha256", "asset-size")
ORDER_OF_RECIPE = (
    *("provider", "entry", "arguments", "argv", "capture", "skip", "requires", "initialise", "ignore", "inputs"),
    *("parameters", "elements", "parameters-sha256", "verdict"),
)
_WIDTH = 110

_NUMBER = re.compile(r"[-+.0-9_]+([eE][-+]?[0-9]+)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\Z")
_BEHIND_VALUE = re.compile(r"[ \t]*(?P<comment>#[^\n]*)?\n?\s*\Z")
_BETWEEN = re.compile(r"[ \t]*:\s*\Z")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")
_COMMENT = re.compile(r"(<!--.*?(?:-->|\Z))", re.DOTALL)
# What Python takes for white space beyond this, such as U+001F, is text to Markdown.
_WHITE = " \t\n"
_TEXT = frozenset({"string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A card in the one layout.

    Attributes:
        data: The card's bytes; those that were given if it cannot be laid out.
        problem: Why it cannot be laid out, as ``line:column: message``, or None.
    """

    data: bytes
    problem: str | None = None


def format_card(data: bytes) -> Formatted:
    """Lay out a card; whatever the bytes are, this returns, and what it returns needs no laying out."""
    document = documents.parse(data.replace(b"\r\n", b"\n"))
    lone = document.text.find("\r")
    if document.front_matter is None:
        fault = document.faults[0]
    elif lone >= 0:
        # To YAML and Markdown it ends a line, to all else it does not: there is no one right answer.
        message = "there is a carriage return that is no part of a line's end; delete it"
        fault = documents.Fault(code="HT110", offset=lone, message=message)
    else:
        front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
        whose = foreign.whose(front_matter)
        if whose is not None:
            message = f"this is a {whose} model card; {foreign.HINT}"
            fault = documents.Fault(code="HT115", offset=document.front_matter_offset, message=message)
        elif front_matter.is_whole:
            text = _head(document) + _front_matter(front_matter) + "---\n" + _body_with_gap(document.body)
            return Formatted(data=text.encode("utf-8"))
        else:
            fault = front_matter.faults[0]
    line, column = document.line_column(fault.offset)
    return Formatted(data=data, problem=f"{line}:{column}: {fault.message}")


def _head(document: Document) -> str:
    """Return what stands before the front matter: comments, the title, the line that opens the front matter."""
    above = document.head[: document.head.rstrip().rfind("---")].strip("\n")
    if not above.strip():
        return "---\n"
    lines = [line.rstrip(_WHITE) for line in above.split("\n")]
    if document.title is not None and document.title_offset < len(document.head):
        at = document.head[: document.title_offset].count("\n") - _leading_blanks(document.head)
        lines[at] = f"# {document.title}"  # of a title that is empty, too, the space is a part
    text = "\n".join(lines)
    # Within comments, blank lines are their writer's.
    parts = _COMMENT.split(text)
    text = "".join(part if part.startswith("<!--") else re.sub(r"\n{3,}", "\n\n", part) for part in parts)
    return f"{text}\n\n---\n"


def _leading_blanks(text: str) -> int:
    return len(text) - len(text.lstrip("\n"))


# -- front matter ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One entry: the comments above it, its key, and its text."""

    key: str
    comments: tuple[str, ...]
    text: str


def _front_matter(front_matter: FrontMatter) -> str:
    """Return the entries in order, with a blank line above and below."""
    before = schema.values(front_matter)
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
    # What is read must be what was read. That it is not has causes such as a block of text that keeps its blank lines.
    again = front_matters.read(f"{text}\n", 0)
    if not again.is_whole or schema.values(again) != before:
        return f"{plain}\n"
    return f"\n{text}\n\n"


def _is_simple(front_matter: FrontMatter) -> bool:
    """Whether the entries start lines of their own, and depend on no other: there is no anchor and no alias."""
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
    """Split the comments above the first entry into those that a blank line parts from it, and the others."""
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
    """Return an entry's text in the one layout, or as it is if it has parts that only its writer understands."""
    node = entry.value
    value_start = entry.offset + node.start_mark.index - start
    value_end = entry.offset + node.end_mark.index - start
    key_end = entry.offset + entry.key_node.end_mark.index - start
    if not _KEY.match(entry.key) or "\t" in chunk.partition(":")[0]:
        return chunk
    written = chunk[value_start:value_end]
    # Of a list or mapping in lines of its own, the parser gives the start of the next entry as its end.
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
        return _recipe(entry)
    if isinstance(node, yaml.SequenceNode) and (flow := _numbers(node)) is not None:
        return f"{entry.key}: {flow}"
    return chunk


def _is_one_line(node: yaml.ScalarNode) -> bool:
    return node.style not in ("|", ">") and "\n" not in node.value


def _scalar(key: str, node: yaml.ScalarNode, written: str) -> str:
    """Return the text of a scalar: quoted as the layout has it where the schema wants text, else as it was written."""
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
    """Return of which types the value of a key may be; nothing if the schema does not know the key."""
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
            # Without the text that was written, what is quoted stays quoted.
            written = _scalar(key, value, _as_written(value)) if value.value.isprintable() else None
            if written is None:
                return None
            lines.append(f"{mark}{key}: {written}".rstrip())
            mark = "    "
    return lines


def _as_written(node: yaml.ScalarNode) -> str:
    return scalar(node.value) if node.style else node.value


def _recipe(entry: Entry) -> str:
    return dump_recipe(_plain(entry))


def _plain(entry: Entry) -> Mapping[str, object]:
    found = schema.values(front_matters.FrontMatter(entries=(entry,), faults=(), text="", offset=0))[entry.key]
    return found if isinstance(found, dict) else {}


def dump_recipe(recipe: Mapping[str, object]) -> str:
    """Return the entry ``network:`` of a card, without a line feed at its end."""
    keys = [key for key in ORDER_OF_RECIPE if key in recipe]
    ordered = {key: recipe[key] for key in (*keys, *(key for key in recipe if key not in keys))}
    # The dumper writes a mapping without lists and mappings in it on one line; the recipe itself always has lines.
    flow = None if any(isinstance(value, (dict, list)) for value in ordered.values()) else False
    dumped = yaml.dump(
        {"network": ordered},
        Dumper=_dumper(),
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
        default_flow_style=flow,
    )
    return str(dumped).rstrip("\n")


@cache
def _dumper() -> type[yaml.CSafeDumper]:
    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

    return Dumper


def _numbers(node: Node) -> str | None:
    """Return a list of numbers, perhaps nested, on one line; None if it holds anything else, or is too long."""
    if not isinstance(node, yaml.SequenceNode):
        return None
    parts: list[str] = []
    for item in node.value:
        if isinstance(item, yaml.ScalarNode):
            if item.style or not _NUMBER.match(item.value):
                return None
            parts.append(item.value)
        else:
            below = _numbers(item)
            if below is None:
                return None
            parts.append(below)
    text = f"[{', '.join(parts)}]"
    return text if len(text) <= _WIDTH else None


@lru_cache(maxsize=10_000)
def scalar(text: str) -> str:
    """Return a text as a YAML scalar that every reader takes for this text: plain if that can be, else in quotes."""
    plain = text.isprintable() and not _NUMBER.match(text) and not text.startswith(("<", "?", "-"))
    if plain:
        try:
            plain = yaml.load(f"key: {text}", Loader=yaml.CSafeLoader) == {"key": text}
        except yaml.YAMLError:
            plain = False
    return text if plain else "'" + text.replace("'", "''") + "'"


# -- body --------------------------------------------------------------------------------------------------------------


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only a card with a body needs it

    return MarkdownIt("commonmark").enable("table")


def _body_with_gap(body: str) -> str:
    text = format_body(body)
    return f"\n{text}" if text else ""


def format_body(body: str) -> str:
    """Return a body with one blank line between its blocks, and headings as ``## text``; its blocks stay the same.

    What a Markdown parser reads is compared before and after. The text within blocks is never touched.
    """
    if not body.strip(_WHITE):
        return ""
    first = _BLANK_LINES.match(body)
    body = body[first.end() if first else 0 :]
    env: dict[str, Any] = {}
    before = _markdown().parse(body, env)
    spaced = _spaced(body, before)
    # What is not closed, such as a comment, goes on to the end: then not even that may change.
    for candidate in (spaced, body.rstrip(_WHITE) + "\n"):
        other: dict[str, Any] = {}
        if candidate == body or (
            _shape(_markdown().parse(candidate, other)) == _shape(before) and _references(other) == _references(env)
        ):
            return candidate
    return body


def _references(env: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    return {name: (found["href"], found["title"]) for name, found in env.get("references", {}).items()}


def _shape(tokens: Iterable[Token]) -> list[tuple[object, ...]]:
    """Return what tokens say, without the lines that they stand in."""
    return [
        (
            *(token.type, token.tag, token.nesting, token.level, token.markup, token.info, token.hidden, token.attrs),
            token.content,
            _shape(token.children) if token.children else None,
        )
        for token in tokens
    ]


def _spaced(body: str, tokens: Sequence[Token]) -> str:
    lines = body.split("\n")
    out: list[str] = []
    at = 0
    html = False  # whether the block above is HTML, such as a comment, which may belong to the line right below it
    for index, token in enumerate(tokens):
        if token.level or token.nesting < 0 or token.map is None:
            continue
        start, end = token.map
        is_html = token.type == "html_block"
        gap = lines[at:start]
        touching = not any(not line.strip(_WHITE) for line in gap) and at > 0
        block = lines[start:end]
        at = end
        if token.type == "heading_open" and token.markup.startswith("#"):
            block = [f"{token.markup} {tokens[index + 1].content}".rstrip(_WHITE)]
        elif not is_html:
            while block and not block[-1].strip(_WHITE) and token.type not in ("fence", "code_block"):
                block.pop()
        out += _gap(gap, out, touching=touching and html)
        out += block
        html = is_html
    rest = [line for line in lines[at:] if line.strip(_WHITE)]
    if rest:
        out += _gap(lines[at:], out, touching=False)
    while out and not out[-1].strip(_WHITE):
        out.pop()
    return "\n".join(out) + "\n" if out else ""


def _gap(gap: Sequence[str], out: Sequence[str], *, touching: bool) -> list[str]:
    """Return what stands between two blocks: a blank line, and definitions of links with blank lines around them."""
    found: list[str] = [] if touching or not out else [""]
    for line in gap:
        if line.strip(_WHITE):
            found.append(line.rstrip(_WHITE))
        elif found and found[-1]:
            found.append("")
    if any(found) and found[-1] and not touching:
        found.append("")
    return found
