"""The values of the front matter: YAML nodes become plain Python values.

Scalars are text. Only where the schema asks for a boolean, a number or null is a scalar read as one, so that the
version ``1.10`` stays ``1.10``.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from math import isfinite
from typing import TYPE_CHECKING

import yaml

from hubtool.card.schema import Schema, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    root = _root()
    return {entry.key: _convert(entry.value, root.child(entry.key)) for entry in front_matter.entries}


class _Shape:
    """What one or several schemas ask of a value: the types that its scalars may have, and the shapes below it."""

    def __init__(self, schemas: Iterable[Schema]) -> None:
        self._schemas = tuple(found for schema in schemas for found in _follow(schema))
        self._children: dict[str, _Shape] = {}
        kinds = (schema.get("type", ()) for schema in self._schemas)
        self.types = frozenset(one for kind in kinds for one in ((kind,) if isinstance(kind, str) else kind))

    def child(self, key: str) -> _Shape:
        """Return the shape of the value of a key."""
        found = self._children.get(key)
        if found is not None:
            return found
        if not any(key in schema.get("properties", ()) for schema in self._schemas):
            return self._other
        return self._children.setdefault(key, _Shape(self._values_of(key)))

    @cached_property
    def items(self) -> _Shape:
        """The shape of a list's items."""
        return _Shape(schema["items"] for schema in self._schemas if "items" in schema)

    @cached_property
    def _other(self) -> _Shape:
        """The shape of the values of all keys that no schema names."""
        return _Shape(self._values_of(None))

    def _values_of(self, key: str | None) -> Iterator[Schema]:
        for schema in self._schemas:
            if key in schema.get("properties", {}):
                yield schema["properties"][key]
            elif isinstance(schema.get("additionalProperties"), dict):
                yield schema["additionalProperties"]


@cache
def _root() -> _Shape:
    return _Shape([load()])


def _follow(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and all schemas that it refers to at the same place."""
    yield schema
    if "$ref" in schema:
        yield from _follow(load()["$defs"][schema["$ref"].rpartition("/")[2]])
    for part in schema.get("anyOf", ()):
        yield from _follow(part)


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
        number = float(text)
        return number if isfinite(number) else text  # so many digits that no number holds them
    return text
