"""The card schema: which keys a card may have, and which of its values break the schema."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from hubtool import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jsonschema_rs import Draft202012Validator, ValidationErrorKind

Schema = dict[str, Any]


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
