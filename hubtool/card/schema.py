"""The card schema: which values the front matter has, and which of them break the schema.

Two halves. :func:`values` turns YAML nodes into plain Python values, and asks the schema what a scalar is meant to
be: text stays text unless the schema wants a boolean, a number or null. :func:`violations` checks such values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import yaml

from hubtool import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jsonschema_rs import Draft202012Validator, ValidationErrorKind
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
    return cast("Schema", json.loads(resources.schema_file("model-card").read_text(encoding="utf-8")))


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


@cache
def _validator() -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator  # noqa: PLC0415 - takes 50 ms to import

    return Draft202012Validator(load())


def violations(data: dict[str, Any]) -> Iterator[Violation]:
    """Yield every place where values break the schema."""
    try:
        errors = list(_validator().iter_errors(data))
    except UnicodeEncodeError:  # an escape in quoted YAML may be half a character, which UTF-8 does not have
        errors = list(_validator().iter_errors(_without_surrogates(data)))
    for error in errors:
        # The schema that the keyword stands in, and the value, are ours: the library's are copies.
        schema: Any = load()
        for part in error.schema_path[:-1]:
            schema = schema[part]
        value: Any = data
        for part in error.instance_path:
            value = value[part]
        keyword = str(error.schema_path[-1])
        for key in _keys(error.kind):
            yield Violation(
                keyword=keyword,
                pointer="".join(f"/{escape(str(part))}" for part in error.instance_path),
                key=key,
                expected=schema[keyword],
                value=value,
                title=schema.get("title"),
                description=schema.get("description"),
            )


def _keys(kind: ValidationErrorKind) -> Sequence[str | None]:
    """Return the keys that are missing or unknown; of other violations, one None."""
    from jsonschema_rs import ValidationErrorKind  # noqa: PLC0415 - as above

    if isinstance(kind, ValidationErrorKind.AdditionalProperties):
        return kind.unexpected
    return (kind.property,) if isinstance(kind, ValidationErrorKind.Required) else (None,)


_SURROGATES = re.compile(r"[\ud800-\udfff]")


def _without_surrogates(value: Any) -> Any:  # noqa: ANN401 - any value of a card
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


def escape(key: str) -> str:
    """Return a key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def description(key: str) -> str | None:
    """Return what the schema says of a top-level key, or None if it does not know the key."""
    found = load()["properties"].get(key, {}).get("description")
    return found if isinstance(found, str) else None
