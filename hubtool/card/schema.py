"""The card schema: which values the front matter has, and which of them break the schema.

Two halves. :func:`values` turns YAML nodes into plain Python values, and asks the schema what a scalar is meant to
be: text stays text unless the schema wants a boolean, a number or null. :func:`violations` checks such values with
jsonschema.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import yaml

from hubtool import packaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator
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


def known_keys(definition: str | None = None) -> tuple[str, ...]:
    """Return the keys that front matter, or one of its definitions such as ``asset``, may have."""
    schema = load() if definition is None else load()["$defs"][definition]
    return tuple(schema["properties"])


def values(front_matter: FrontMatter) -> dict[str, object]:
    """Return the front matter as plain values, scalars read as the schema asks."""
    schema = load()
    return {entry.key: _convert(entry.value, (_child(schema, entry.key),)) for entry in front_matter.entries}


def _follow(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and all schemas that it refers to at the same place."""
    yield schema
    if "$ref" in schema:
        yield from _follow(load()["$defs"][schema["$ref"].rpartition("/")[2]])
    for part in schema.get("anyOf", ()):
        yield from _follow(part)


def _child(schema: Schema, key: str) -> Schema:
    for part in _follow(schema):
        if key in part.get("properties", {}):
            return cast("Schema", part["properties"][key])
        if isinstance(part.get("additionalProperties"), dict):
            return cast("Schema", part["additionalProperties"])
    return {}


def _convert(node: Node, schemas: tuple[Schema, ...]) -> object:
    parts = [part for schema in schemas for part in _follow(schema)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, parts)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(part["items"] for part in parts if "items" in part)
        return [_convert(item, items) for item in node.value]
    result: dict[str, object] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value not in result:
            result[key.value] = _convert(value, tuple(child for part in parts if (child := _child(part, key.value))))
    return result


def _scalar(node: yaml.ScalarNode, schemas: list[Schema]) -> object:
    text = cast("str", node.value)
    if node.style:  # quoted or block text is text
        return text
    types: set[str] = set()
    for schema in schemas:
        kind = schema.get("type", ())
        types.update((kind,) if isinstance(kind, str) else kind)
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
def _validator() -> Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only validation needs it, and it takes 70 ms to import

    return Draft202012Validator(load())


def violations(data: dict[str, Any]) -> Iterator[Violation]:
    """Yield every place where values break the schema."""
    for error in _validator().iter_errors(data):
        yield from _violations_of(error)


def _violations_of(error: ValidationError) -> Iterator[Violation]:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
    schema = cast("Schema", error.schema)
    keyword = str(error.validator)
    title, description = schema.get("title"), schema.get("description")

    def violation(key: str | None) -> Violation:
        return Violation(
            keyword=keyword,
            pointer=pointer,
            key=key,
            expected=error.validator_value,
            value=error.instance,
            title=title,
            description=description,
        )

    if keyword == "required":
        # jsonschema reports each missing key on its own, the key only within the message.
        yield violation(error.message.split("'")[1])
    elif keyword == "additionalProperties":
        patterns = schema.get("patternProperties", {})
        for key in cast("dict[str, object]", error.instance):
            if key not in schema["properties"] and not any(re.search(pattern, key) for pattern in patterns):
                yield violation(key)
    else:
        yield violation(None)


def description(key: str) -> str | None:
    """Return what the schema says of a top-level key, or None if it does not know the key."""
    found = load()["properties"].get(key, {}).get("description")
    return found if isinstance(found, str) else None
