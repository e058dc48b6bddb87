"""The values of the front matter: YAML nodes become plain Python values.

Scalars are text. Only where the schema asks for a boolean, a number or null is a scalar read as one, so that the
version ``1.10`` stays ``1.10``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, cast

import yaml

from hubtool.card.schema import Schema, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.nodes import Node

    from hubtool.card.front_matter import FrontMatter

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
# The scalars of YAML 1.2's core schema. An int is bounded, because int() of very long text takes quadratic time.
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}\Z")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")


def plain_values(front_matter: FrontMatter) -> dict[str, object]:
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
