"""HT2xx: the front matter."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from hubtool.card import schema
from hubtool.card.rules.base import Context, Finding, faults, rule
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.schema import Violation


@rule("HT201", Severity.ERROR)
def not_yaml(context: Context) -> Iterator[Finding]:
    """The front matter is YAML.

    An entry that a YAML parser cannot read is lost to every tool. The usual causes are a tab, a value that is a lone
    `-`, and a value with `: ` in it: use spaces, leave the entry out, or put the value in quotes.
    """
    yield from faults(context, "HT201")


@rule("HT202", Severity.ERROR)
def duplicate_key(context: Context) -> Iterator[Finding]:
    """A key stands once.

    YAML parsers disagree on which of two values counts. Keep one.
    """
    yield from faults(context, "HT202")


@rule("HT203", Severity.ERROR)
def too_deep(context: Context) -> Iterator[Finding]:
    """Front matter is nested at most 32 deep.

    Deeper text is a mistake or an attack on the parser; the same goes for an alias that contains itself.
    """
    yield from faults(context, "HT203")


@rule("HT204", Severity.ERROR)
def too_large(context: Context) -> Iterator[Finding]:
    """Front matter has at most 256 KiB, and at most 20,000 values with its aliases followed.

    More is a mistake or an attack ("YAML bomb"). Write values out instead of using aliases, and move long text to the
    body.
    """
    yield from faults(context, "HT204")


@rule("HT205", Severity.ERROR)
def missing_key(context: Context) -> Iterator[Finding]:
    """Every required key is there.

    The schema (`model-card.schema.json`) lists the required keys with what they mean. A missing digest of an asset is
    HT301.
    """
    unread = context.front_matter.unread if context.front_matter else frozenset()
    for violation in context.violations:
        if violation.keyword != "required" or violation.key == "asset-sha256":
            continue
        if violation.pointer == "" and violation.key in unread:
            continue
        yield Finding(
            offset=context.locate(violation.pointer),
            pointer=violation.pointer,
            message=f"the key '{violation.key}' is missing{_within(violation.pointer)}",
            hint=f"add a line '{violation.key}: ...'",
        )


@rule("HT206", Severity.ERROR)
def unknown_key(context: Context) -> Iterator[Finding]:
    """Every key is one that the schema knows.

    A misspelt key is a fact that no tool finds. The message names the nearest known key.
    """
    for violation in context.violations:
        if violation.keyword != "additionalProperties" or violation.key is None:
            continue
        definition = "recipe" if violation.pointer == "/network" else "asset" if violation.pointer else None
        near = difflib.get_close_matches(violation.key, schema.known_keys(definition), n=1)
        pointer = f"{violation.pointer}/{violation.key.replace('~', '~0').replace('/', '~1')}"
        yield Finding(
            offset=context.locate(pointer, key=True),
            pointer=pointer,
            message=f"the key {violation.key!r} is not known{_within(violation.pointer)}",
            hint=f"did you mean '{near[0]}'?" if near else "the known keys are in the schema, with what they mean",
        )


@rule("HT207", Severity.ERROR)
def wrong_value(context: Context) -> Iterator[Finding]:
    """Every value has the type and the form that the schema asks for.

    A version is numbers with dots, a date is year-month-day, a flag is `true` or `false`, and no value is left empty.
    The digest of an asset is HT302, its link HT303.
    """
    for violation in context.violations:
        if violation.keyword in ("required", "additionalProperties") or violation.pointer.endswith(
            ("/asset-sha256", "/asset-link")
        ):
            continue
        name = violation.pointer.rpartition("/")[2] or "the front matter"
        yield Finding(
            offset=context.locate(violation.pointer),
            pointer=violation.pointer,
            message=f"'{name}' {_wrong(violation)}",
            hint=_hint(violation),
        )


def _within(pointer: str) -> str:
    if pointer.startswith("/asset/"):
        return f" in asset {int(pointer.split('/')[2]) + 1}"
    return f" in '{pointer[1:]}'" if pointer else ""


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


_TYPES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys to values",
}


def _wrong(violation: Violation) -> str:
    value = _show(violation.value)
    if violation.value in ("", None):
        return "has no value"
    if violation.keyword == "type":
        kinds = [violation.expected] if isinstance(violation.expected, str) else violation.expected
        wanted = (
            " or ".join(_TYPES.get(str(kind), str(kind)) for kind in kinds) if isinstance(kinds, list) else str(kinds)
        )
        return f"is {value}, but must be {wanted}"
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        return f"is {value}, but must be one of {', '.join(map(str, violation.expected))}"
    if violation.keyword == "minimum":
        return f"is {value}, but must be at least {violation.expected}"
    if violation.keyword in ("minItems", "minLength"):
        return "has no value"
    if violation.keyword == "maxLength":
        return f"is longer than {violation.expected} characters"
    return f"is {value}, which has not the form that is asked for"


def _hint(violation: Violation) -> str | None:
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        near = difflib.get_close_matches(
            str(violation.value).lower(), [str(choice) for choice in violation.expected], n=1
        )
        return f"did you mean '{near[0]}'?" if near else None
    if violation.value in ("", None):
        return "write the value, or leave the entry out if it is not required"
    name = violation.pointer.rpartition("/")[2]
    description = schema.description(name) or violation.description
    return f"expected: {description}" if description else None
