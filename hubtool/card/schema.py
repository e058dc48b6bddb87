"""The card schema: which values the front matter has, and which of them break the schema.

Two halves. :func:`values` turns YAML nodes into plain Python values, and asks the schema what a scalar is meant to
be: text stays text unless the schema wants a boolean, a number or null. :func:`violations` checks such values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import yaml

from hubtool import packaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.nodes import Node

    from hubtool.card.front_matter import FrontMatter

Schema = dict[str, Any]

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
# The scalars of YAML 1.2's core schema. An int is bounded, because int() of very long text takes quadratic time.
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}\Z")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One place where values break the schema.

    Attributes:
        keyword: The JSON Schema keyword that is broken, such as ``required`` or ``pattern``.
        pointer: The JSON pointer of the value; for a missing or unknown key, of the mapping it concerns.
        key: The key that is missing or unknown, else None.
        expected: The keyword's value in the schema.
        value: The value that breaks it.
        title: The title of the property in the schema, or None.
        description: The description of the property in the schema, or None.
    """

    keyword: str
    pointer: str
    key: str | None
    expected: object
    value: object
    title: str | None
    description: str | None


@cache
def load() -> Schema:
    """Return the card schema."""
    return cast("Schema", json.loads(packaged.schema_file("model-card").read_text(encoding="utf-8")))


@cache
def known_keys(definition: str | None = None) -> tuple[str, ...]:
    """Return the keys that front matter, or one of its definitions such as ``asset``, may have."""
    schema = load() if definition is None else load()["$defs"][definition]
    return tuple(schema["properties"])


@cache
def required_keys() -> frozenset[str]:
    """Return the keys that front matter must have."""
    return frozenset(load()["required"])


def values(front_matter: FrontMatter) -> dict[str, object]:
    """Return the front matter as plain values, scalars read as the schema asks."""
    root = _shape((_key(load()),))
    return {entry.key: _convert(entry.value, root.child(entry.key)) for entry in front_matter.entries}


class _Shape:
    """What one or several schemas ask of a value: of which types its scalars may be, and the shapes below it."""

    __slots__ = ("_children", "_items", "_parts", "types")

    def __init__(self, parts: tuple[Schema, ...]) -> None:
        self._parts = tuple(found for part in parts for found in _follow(part))
        self._children: dict[str, _Shape] = {}
        self._items: _Shape | None = None
        kinds = (part.get("type", ()) for part in self._parts)
        self.types = frozenset(one for kind in kinds for one in ((kind,) if isinstance(kind, str) else kind))

    def child(self, key: str) -> _Shape:
        """Return the shape of the value of a key."""
        found = self._children.get(key)
        if found is None:
            parts = [child for part in self._parts for child in _children(part, key)]
            found = _shape(tuple(map(_key, parts)))
            # Keys that no schema knows are without number, and all alike.
            if any(key in part.get("properties", ()) for part in self._parts):
                self._children[key] = found
        return found

    @property
    def items(self) -> _Shape:
        """The shape of a list's items."""
        if self._items is None:
            self._items = _shape(tuple(_key(part["items"]) for part in self._parts if "items" in part))
        return self._items


_schemas: dict[int, Schema] = {}


def _key(schema: Schema) -> int:
    # A schema is known by its identity: it is part of the one that load() keeps for ever.
    _schemas[id(schema)] = schema
    return id(schema)


@cache
def _shape(keys: tuple[int, ...]) -> _Shape:
    return _Shape(tuple(_schemas[key] for key in keys))


def _target(reference: str) -> Schema:
    return cast("Schema", load()["$defs"][reference.rpartition("/")[2]])


def _follow(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and all schemas that it refers to at the same place."""
    yield schema
    if "$ref" in schema:
        yield from _follow(_target(schema["$ref"]))
    for part in schema.get("anyOf", ()):
        yield from _follow(part)


def _children(schema: Schema, key: str) -> Iterator[Schema]:
    if key in schema.get("properties", {}):
        yield schema["properties"][key]
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]


def _convert(node: Node, shape: _Shape) -> object:
    if isinstance(node, yaml.ScalarNode):
        # Quoted or block text is text, and so is all other where the schema asks for text.
        return node.value if node.style or not shape.types - _TEXT else _scalar(node.value, shape.types)
    if isinstance(node, yaml.SequenceNode):
        items = shape.items
        return [_convert(item, items) for item in node.value]
    result: dict[str, object] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value not in result:
            result[key.value] = _convert(value, shape.child(key.value))
    return result


_TEXT = frozenset({"string"})


def _scalar(text: str, types: frozenset[str]) -> object:
    if "null" in types and text in _NULL:
        return None
    if "boolean" in types and text in _TRUE | _FALSE:
        return text in _TRUE
    if types & {"integer", "number"} and _INTEGER.match(text):
        return int(text)
    if "number" in types and _NUMBER.match(text):
        return float(text)
    return text


def violations(data: dict[str, Any]) -> Iterator[Violation]:
    """Yield every place where values break the schema.

    The schema is compiled into closures, once: of what JSON Schema has, the keywords that ours uses. It takes a
    fiftieth of jsonschema's time, which a test holds it equal to.
    """
    found: list[Violation] = []
    _checker(_key(load()))(data, "", found)
    yield from found


_Check = Callable[[Any, str, list[Violation]], None]


@cache
def _checker(key: int) -> _Check:
    """Compile one schema."""
    schema = _schemas[key]
    checks: list[_Check] = []
    for keyword, expected in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        build = _KEYWORDS.get(keyword)
        if build is None:
            message = f"the card schema uses the keyword {keyword!r}, which is not compiled"
            raise NotImplementedError(message)
        checks.append(build(schema, expected))
    if len(checks) == 1:
        return checks[0]

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        for one in checks:
            one(value, pointer, found)

    return check


_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "then", "patternProperties"})
# JSON Schema's types; a bool is no number there, and 3.0 is an integer.
_IS_TYPE: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}


def _when(keyword: str, schema: Schema, expected: object, broken: Callable[[Any], bool]) -> _Check:
    """Compile a keyword that looks at one value only."""
    title, about = schema.get("title"), schema.get("description")

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        if broken(value):
            found.append(
                Violation(
                    keyword=keyword,
                    pointer=pointer,
                    key=None,
                    expected=expected,
                    value=value,
                    title=title,
                    description=about,
                )
            )

    return check


_SHORT_TEXT, _MOST_TEXTS = 200, 2000


def _reference(_: Schema, expected: str) -> _Check:
    target = _key(_target(expected))
    # A definition may refer to itself, so that it is compiled when it is first needed.

    # Most texts stand in many cards, and a text that is good once is always good.
    good: set[str] = set()

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        if isinstance(value, str):
            if value in good:
                return
            before = len(found)
            _checker(target)(value, pointer, found)
            if len(found) == before and len(value) < _SHORT_TEXT and len(good) < _MOST_TEXTS:
                good.add(value)
        else:
            _checker(target)(value, pointer, found)

    return check


def _type(schema: Schema, expected: str | list[str]) -> _Check:
    tests = [_IS_TYPE[kind] for kind in ([expected] if isinstance(expected, str) else expected)]
    return _when("type", schema, expected, lambda value: not any(test(value) for test in tests))


def _enum(schema: Schema, expected: list[Any]) -> _Check:
    return _when("enum", schema, expected, lambda value: not any(_same(value, choice) for choice in expected))


def _const(schema: Schema, expected: object) -> _Check:
    return _when("const", schema, expected, lambda value: not _same(value, expected))


def _same(value: object, choice: object) -> bool:
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _pattern(schema: Schema, expected: str) -> _Check:
    search = re.compile(expected).search
    return _when("pattern", schema, expected, lambda value: isinstance(value, str) and not search(value))


def _minimum(schema: Schema, expected: float) -> _Check:
    return _when("minimum", schema, expected, lambda value: _IS_TYPE["number"](value) and value < expected)


def _min_length(schema: Schema, expected: int) -> _Check:
    return _when("minLength", schema, expected, lambda value: isinstance(value, str) and len(value) < expected)


def _max_length(schema: Schema, expected: int) -> _Check:
    return _when("maxLength", schema, expected, lambda value: isinstance(value, str) and len(value) > expected)


def _min_items(schema: Schema, expected: int) -> _Check:
    return _when("minItems", schema, expected, lambda value: isinstance(value, list) and len(value) < expected)


def _items(_: Schema, expected: Schema) -> _Check:
    below = _checker(_key(expected))

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        if isinstance(value, list):
            for index, item in enumerate(value):
                below(item, f"{pointer}/{index}", found)

    return check


def _properties(_: Schema, expected: dict[str, Schema]) -> _Check:
    below = {name: _checker(_key(schema)) for name, schema in expected.items()}

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        if isinstance(value, dict):
            for name, item in value.items():
                one = below.get(name)
                if one is not None:
                    one(item, f"{pointer}/{name}", found)

    return check


def _additional(schema: Schema, expected: bool | Schema) -> _Check:  # noqa: FBT001 - the keyword's own type
    """Compile what is asked of keys that ``properties`` does not name, ``patternProperties`` among it."""
    named = schema.get("properties", {})
    patterns = [
        (re.compile(pattern).search, _checker(_key(below)))
        for pattern, below in schema.get("patternProperties", {}).items()
    ]
    other = _checker(_key(expected)) if isinstance(expected, dict) else None
    title, about = schema.get("title"), schema.get("description")

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        if not isinstance(value, dict):
            return
        for key, item in value.items():
            if key in named:
                continue
            matched = [one for search, one in patterns if search(key)]
            for one in matched:
                one(item, f"{pointer}/{escape(key)}", found)
            if matched:
                continue
            if other is not None:
                other(item, f"{pointer}/{escape(key)}", found)
            elif not expected:
                found.append(
                    Violation(
                        keyword="additionalProperties",
                        pointer=pointer,
                        key=key,
                        expected=expected,
                        value=value,
                        title=title,
                        description=about,
                    )
                )

    return check


def _required(schema: Schema, expected: list[str]) -> _Check:
    title, about = schema.get("title"), schema.get("description")

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        if isinstance(value, dict):
            found.extend(
                Violation(
                    keyword="required",
                    pointer=pointer,
                    key=key,
                    expected=expected,
                    value=value,
                    title=title,
                    description=about,
                )
                for key in expected
                if key not in value
            )

    return check


def _any_of(schema: Schema, expected: list[Schema]) -> _Check:
    branches = [_key(branch) for branch in expected]

    def broken(value: object) -> bool:
        for branch in branches:
            found: list[Violation] = []
            _checker(branch)(value, "", found)
            if not found:
                return False
        return True

    return _when("anyOf", schema, expected, broken)


def _if(schema: Schema, expected: Schema) -> _Check:
    condition, then = _checker(_key(expected)), _checker(_key(schema["then"]))

    def check(value: Any, pointer: str, found: list[Violation]) -> None:  # noqa: ANN401 - any value may be checked
        unmet: list[Violation] = []
        condition(value, pointer, unmet)
        if not unmet:
            then(value, pointer, found)

    return check


_KEYWORDS: dict[str, Callable[[Schema, Any], _Check]] = {
    "$ref": _reference,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "minimum": _minimum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _min_items,
    "items": _items,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "anyOf": _any_of,
    "if": _if,
}


def escape(key: str) -> str:
    """Return a key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def description(key: str) -> str | None:
    """Return what the schema says of a top-level key, or None if it does not know the key."""
    found = load()["properties"].get(key, {}).get("description")
    return found if isinstance(found, str) else None
