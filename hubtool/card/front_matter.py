"""Front matter: the YAML of a card, read safely, with the place of every node.

libyaml's loader is used for its nodes only, and resolves no types. A scalar stays text until the schema asks for
another type (:mod:`hubtool.card.values`), so that the version ``1.10`` stays ``1.10``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import yaml
from yaml._yaml import CParser

from hubtool.card.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.nodes import Node

MAX_CHARACTERS = 256 << 10
MAX_DEPTH = 32
MAX_NODES = 20_000

# libyaml composes nodes recursively in C: text nested some ten thousand deep overflows the stack and kills the process;
# from 0.2.6 on it refuses what is nested more than 1,000 deep, as bad syntax. Text with fewer openings than this cannot
# nest so deeply (mappings nested by indentation alone reach 724 in MAX_CHARACTERS); other text is measured first.
_SAFE_OPENINGS = 250
_OPENINGS = re.compile(r"[\[{]|[-?](?=[ \t\r\n])")
_OPENING_SIGNS = "[{-?"
_ENTRY = re.compile(r"^(?=[^\s#])", re.MULTILINE)
# Entries are read one by one only if there are no more than this; a card has about twenty.
_MAX_SEPARATE_ENTRIES = 500
_KEY = re.compile(r"(?P<key>[^\s:：#][^:：#\n]{0,98})[ \t]*[:：]")
_OPEN_EVENTS = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSE_EVENTS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a mapping: a key and a value as YAML nodes; ``offset`` is where its text starts in the document."""

    key: str
    key_node: Node
    value: Node
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A single value: its text, its style (empty for plain, else ``'``, ``"``, ``|`` or ``>``), and its place."""

    text: str
    style: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenEntry:
    """The text of a top-level entry that is not YAML, its offset in the document, and what is wrong with it."""

    text: str
    offset: int
    faults: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The front matter of one card as nodes.

    Attributes:
        entries: The top-level entries in the order written; of duplicate keys the first.
        faults: What is wrong with the YAML. Entries that could not be read are here and not in ``entries``.
        text: The YAML text.
        offset: Where it starts in the document, in characters.
        unread: The keys of the entries that are there but could not be read.
        broken: The entries that are not YAML, where they could be told apart.
    """

    entries: tuple[Entry, ...]
    faults: tuple[Finding, ...]
    text: str
    offset: int
    unread: frozenset[str] = frozenset()
    broken: tuple[BrokenEntry, ...] = ()
    _by_key: dict[str, Entry] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether every entry could be read."""
        return not self.faults

    def entry(self, key: str) -> Entry | None:
        """Return the top-level entry with a key, or None."""
        return self._by_key.get(key)

    def locate(self, pointer: str, *, key: bool = False) -> int:
        """Return the offset in the document of the node at a JSON pointer, of its key if asked.

        A pointer that leads nowhere gives the deepest node on its way; the empty pointer gives the start.
        """
        return self.span(pointer, key=key)[0]

    def span(self, pointer: str, *, key: bool = False) -> tuple[int, int]:
        """Return start and end of the node at a JSON pointer in the document; see :meth:`locate`."""
        parts = _parts(pointer)
        entry = self.entry(parts[0]) if parts else None
        if entry is None:
            return self.offset, self.offset
        node, key_node = entry.value, entry.key_node
        for part in parts[1:]:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    break
                key_node, node = pair
            elif isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
                key_node = node = node.value[int(part)]
            else:
                break
        chosen = key_node if key or _is_empty(node) else node
        start, end = chosen.start_mark.index, chosen.end_mark.index
        return entry.offset + start, entry.offset + end

    def scalar(self, pointer: str) -> Scalar | None:
        """Return the scalar at a JSON pointer, or None if there is none."""
        parts = _parts(pointer)
        entry = self.entry(parts[0]) if parts else None
        node = entry.value if entry else None
        for part in parts[1:]:
            if isinstance(node, yaml.MappingNode):
                node = next((value for name, value in node.value if name.value == part), None)
            elif isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
                node = node.value[int(part)]
            else:
                return None
        if entry is None or not isinstance(node, yaml.ScalarNode):
            return None
        return Scalar(
            text=node.value,
            style=node.style or "",
            start=entry.offset + node.start_mark.index,
            end=entry.offset + node.end_mark.index,
        )


def _parts(pointer: str) -> list[str]:
    parts = pointer.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts] if "~" in pointer else parts


def _is_empty(node: Node) -> bool:
    # An absent value has no place of its own: libyaml puts it after the blank lines that follow its key.
    return isinstance(node, yaml.ScalarNode) and node.start_mark.index == node.end_mark.index


def read(text: str, offset: int) -> FrontMatter:
    """Read the front matter of a card; this returns for any text, and problems are in ``faults``.

    Args:
        text: The YAML between the two ``---`` lines.
        offset: Where it starts in the document, in characters.
    """
    if len(text) > MAX_CHARACTERS:
        fault = Finding(
            code="HT204",
            offset=offset + MAX_CHARACTERS,
            message=f"the front matter has {len(text):,} characters; the most is {MAX_CHARACTERS:,}",
            hint="move long text to the body",
        )
        return FrontMatter(entries=(), faults=(fault,), text=text, offset=offset)
    unread: set[str] = set()
    broken: list[BrokenEntry] = []
    entries, faults = _read_entries(text, offset, unread)
    if any(fault.code == "HT201" for fault in faults) and len(_ENTRY.findall(text)) <= _MAX_SEPARATE_ENTRIES:
        from hubtool.card import vocabulary  # noqa: PLC0415 - most cards do not need it, and it takes 6 ms

        # One bad entry hides all others from a YAML parser. Entries start in the first column, so they can be read
        # one by one: the good ones are kept, and each bad one is reported at its own place.
        entries, faults = [], []
        for start, chunk in _chunks(text):
            found, wrong = _read_entries(chunk, offset + start, unread)
            entries.extend(found)
            if any(fault.code == "HT201" for fault in wrong):
                broken.append(BrokenEntry(text=chunk, offset=offset + start, faults=tuple(wrong)))
            faults.extend(wrong)
            if not found and (match := _KEY.match(chunk)):
                # The public hub's translated cards have translated keys, and a full-width colon.
                unread.add(vocabulary.key(match["key"]) or match["key"])
        if not faults:
            entries, faults = _read_entries(text, offset, unread)
    unique: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in unique:
            faults.append(
                _duplicate(entry.key, entry.offset + entry.key_node.start_mark.index, f"/{_escape(entry.key)}")
            )
        else:
            unique[entry.key] = entry
    faults.sort(key=lambda fault: fault.offset)
    return FrontMatter(
        entries=tuple(unique.values()),
        faults=tuple(faults),
        text=text,
        offset=offset,
        unread=frozenset(unread),
        broken=tuple(broken),
        _by_key=unique,
    )


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield (start, text) of each top-level entry; lines ``- ...`` in the first column belong to the entry above."""
    starts = [
        match.start() for match in _ENTRY.finditer(text) if not re.match(r"-([ \t\r\n]|\Z)", text[match.start() :])
    ]
    if not starts:
        yield 0, text
        return
    if text[: starts[0]].strip():
        yield 0, text[: starts[0]]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield start, text[start:end]


class _Loader(CParser):
    """libyaml without types: PyYAML's own resolver would guess the type of each scalar."""

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)

    def resolve(self, kind: type, value: str, implicit: object) -> str:  # noqa: ARG002 - called by the parser
        """Return the tag of a node: always the same."""
        return ""

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        """Do nothing on the way down."""

    def ascend_resolver(self) -> None:
        """Do nothing on the way up."""


def _compose(text: str) -> Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def is_readable(text: str) -> bool:
    """Whether front matter with this text can be read without a fault."""
    entries, faults = _read_entries(text, 0, set())
    return bool(entries or not text.strip()) and not faults


def _read_entries(text: str, offset: int, unread: set[str]) -> tuple[list[Entry], list[Finding]]:
    """Return the entries of a mapping that can be read, and what is wrong; add the keys of the others to ``unread``."""
    try:
        if _may_nest(text) and (deep := _too_deep(text)) is not None:
            return [], [_nesting(offset + deep)]
        root = _compose(text)
    except yaml.YAMLError as error:
        return [], [_syntax_fault(error, text, offset)]
    except RecursionError:
        return [], [_nesting(offset)]
    if root is None:
        return [], []
    if not isinstance(root, yaml.MappingNode):
        fault = Finding(
            code="HT201",
            offset=offset + root.start_mark.index,
            message="this is not a 'key: value' entry",
            hint="write 'key: value', with an ASCII colon and a space after it",
        )
        return [], [fault]
    faults: list[Finding] = []
    entries: list[Entry] = []
    budget = [MAX_NODES]
    for key_node, value in root.value:
        if not isinstance(key_node, yaml.ScalarNode):
            faults.append(_bad_key(offset + key_node.start_mark.index, ""))
            continue
        wrong: list[Finding] = []
        if not isinstance(value, yaml.ScalarNode):
            if budget[0] < 0:
                unread.add(key_node.value)  # one fault for this is enough
                continue
            wrong = _check(value, 2, budget, offset, f"/{_escape(key_node.value)}")
            faults.extend(wrong)
        if wrong and any(fault.code in _UNREADABLE for fault in wrong):
            unread.add(key_node.value)
        else:
            entries.append(Entry(key=key_node.value, key_node=key_node, value=value, offset=offset))
    return entries, faults


_UNREADABLE = frozenset({"HT201", "HT203", "HT204"})


def _may_nest(text: str) -> bool:
    """Whether a text has so many openings that it may nest deeply."""
    if len(text) <= _SAFE_OPENINGS:
        return False
    # Signs are counted ten times as fast as places where a sign means something; a card has few of either.
    return sum(map(text.count, _OPENING_SIGNS)) > _SAFE_OPENINGS < len(_OPENINGS.findall(text))


def _too_deep(text: str) -> int | None:
    """Return where a text gets too deep, or None; raise libyaml's error if it cannot be read that far."""
    try:
        return _deeper_than_allowed(text)
    except yaml.MarkedYAMLError as error:
        # The scanner is ahead of its events, so that it can meet its own limit of depth before we have seen ours.
        if error.problem_mark is None:
            raise
        with suppress(yaml.YAMLError):
            if (deep := _deeper_than_allowed(text[: error.problem_mark.index])) is not None:
                return deep
        raise


def _deeper_than_allowed(text: str) -> int | None:
    depth = 0
    # The stubs of PyYAML leave the event stream untyped.
    for event in cast("Iterator[Any]", yaml.parse(text, yaml.CSafeLoader)):
        if isinstance(event, _OPEN_EVENTS):
            depth += 1
            if depth > MAX_DEPTH:
                return event.start_mark.index if event.start_mark else 0
        elif isinstance(event, _CLOSE_EVENTS):
            depth -= 1
    return None


def _check(node: Node, depth: int, budget: list[int], offset: int, pointer: str) -> list[Finding]:
    """Check nesting, size after aliases are followed, and keys, of a node and all below it."""
    budget[0] -= 1
    if budget[0] < 0:
        fault = Finding(
            code="HT204",
            offset=offset + node.start_mark.index,
            pointer=pointer,
            message=f"the front matter has more than {MAX_NODES:,} values once its aliases are followed",
            hint="write the values out instead of using YAML aliases",
        )
        return [fault]
    if isinstance(node, yaml.ScalarNode):
        return []
    if depth > MAX_DEPTH:
        return [_nesting(offset + node.start_mark.index, pointer)]
    faults: list[Finding] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                faults.append(_bad_key(offset + key.start_mark.index, pointer))
                continue
            below = f"{pointer}/{_escape(key.value)}"
            if key.value in seen:
                faults.append(_duplicate(key.value, offset + key.start_mark.index, below))
            seen.add(key.value)
            faults.extend(_check(value, depth + 1, budget, offset, below))
            if budget[0] < 0:
                break
    else:
        for index, item in enumerate(node.value):
            faults.extend(_check(item, depth + 1, budget, offset, f"{pointer}/{index}"))
            if budget[0] < 0:
                break
    return faults


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _nesting(offset: int, pointer: str = "") -> Finding:
    return Finding(
        code="HT203",
        offset=offset,
        pointer=pointer,
        message=f"the front matter is nested more than {MAX_DEPTH} deep, or an alias contains itself",
        hint="a card needs no more than a list of mappings",
    )


def _bad_key(offset: int, pointer: str) -> Finding:
    return Finding(
        code="HT201", offset=offset, pointer=pointer, message="a key must be plain text", hint="write 'key: value'"
    )


def _duplicate(key: str, offset: int, pointer: str) -> Finding:
    return Finding(
        code="HT202",
        offset=offset,
        pointer=pointer,
        message=f"the key {key!r} occurs here a second time",
        hint="keep one of the two; the first is used until then",
    )


def _syntax_fault(error: yaml.YAMLError, text: str, offset: int) -> Finding:
    mark = getattr(error, "problem_mark", None)
    index = mark.index if mark is not None else getattr(error, "position", 0)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    hint = "put the value in quotes if it holds ': ', '#', or starts with one of - ? : , [ ] { } # & * ! | > ' \" % @ `"
    if text[index : index + 1] == "\t" or "'\\t'" in problem:
        hint = "use spaces instead of the tab"
    elif "block sequence entries" in problem:
        hint = "a lone '-' is not a value: write the value, or remove the entry"
    elif "undefined alias" in problem or "alias" in problem or "anchor" in problem:
        hint = "put a value that starts with '*' or '&' in quotes"
    return Finding(
        code="HT201",
        offset=offset + min(int(index), len(text)),
        message=f"the front matter is not YAML: {problem}",
        hint=hint,
    )
