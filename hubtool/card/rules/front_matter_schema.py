"""HT2xx: the keys and values that the schema asks for."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from hubtool.card import schema, vocabulary
from hubtool.card.finding import Edit, Finding, Fix
from hubtool.card.rules.base import rule, shown
from hubtool.card.rules.front_matter_values import parse_date
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.rules.context import Context
    from hubtool.card.schema import Violation


@rule("HT205", Severity.ERROR)
def missing_key(context: Context) -> Iterator[Finding]:
    """Every required key is present.

    The schema (`model-card.schema.json`) lists the required keys and their meaning. A missing digest of an asset is
    HT301, a missing repository HT504.
    """
    unread = context.front_matter.unread if context.front_matter else frozenset()
    for violation in context.violations:
        if violation.keyword != "required" or violation.key == "asset-sha256":
            continue
        if violation.pointer == "" and violation.key in unread:
            continue
        yield context.at(
            violation.pointer,
            f"the key '{violation.key}' is missing{_within(violation.pointer)}",
            hint=f"add a line '{violation.key}: ...'",
        )


# Comparing is slow, and a card with more unknown keys than this has not misspelt them.
_MAX_COMPARED_KEYS = 100


@rule("HT206", Severity.ERROR, fixes=True)
def unknown_key(context: Context) -> Iterator[Finding]:
    """Every key is one that the schema knows.

    No tool finds a fact under a misspelt key. The message names the nearest known key. `--fix` writes that key if the
    two differ in case and punctuation only (`Model_Name`), or one translates the other, and the card lacks it.
    """
    compared = 0
    for violation in context.violations:
        if violation.keyword != "additionalProperties" or violation.key is None:
            continue
        definition = "recipe" if violation.pointer == "/network" else "asset" if violation.pointer else None
        known = schema.known_keys(definition)
        pointer = f"{violation.pointer}/{schema.escape(violation.key)}"
        same = vocabulary.key(violation.key) if len(violation.key) < 100 else None
        near = [same] if same in known else []
        if not near and compared < _MAX_COMPARED_KEYS:
            compared += 1
            near = _near(violation.key, known)
        fix = None
        if same in known and isinstance(violation.value, dict) and same not in violation.value and same is not None:
            start, end = context.front_matter.span(pointer, key=True) if context.front_matter else (0, 0)
            if context.document.text[start:end] == violation.key:
                fix = Fix(edits=(Edit(start, end, same),), title=f"write '{same}'")
        yield context.at(
            pointer,
            f"the key {shown(violation.key)} is not known{_within(violation.pointer)}",
            hint=f"did you mean '{near[0]}'?" if near else "the schema lists the known keys and their meaning",
            fix=fix,
            key=True,
        )


@rule("HT207", Severity.ERROR, fixes=True)
def wrong_value(context: Context) -> Iterator[Finding]:
    """Every value has the type and the form that the schema asks for.

    A version is numbers with dots, a date is year-month-day, a flag is `true` or `false`, and no value is left empty.
    The digest of an asset is HT302, its link HT303. `--fix` writes `true` for `yes`, `ckpt` for `.CKPT`, `1.9` for
    `v1.9`, and `2022-10-11` for `2022/10/11`.
    """
    for violation in context.violations:
        if violation.keyword in ("required", "additionalProperties") or violation.pointer.endswith(
            ("/asset-sha256", "/asset-link")
        ):
            continue
        name = violation.pointer.rpartition("/")[2] or "the front matter"
        meant = _meant(violation, name)
        yield context.at(
            violation.pointer,
            f"'{name[:80]}' {_wrong(violation)}",
            hint=f"write {shown(meant)}" if meant else _hint(violation),
            fix=context.rewrite(violation.pointer, meant) if meant else None,
        )


_FLAGS = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
_PREFIXED_VERSION = re.compile(r"[vVrR][ ]?(?P<version>[0-9]+(?:\.[0-9]+)*)\Z")
_OTHER_DATE = re.compile(r"(?P<year>[0-9]{4})[/.](?P<month>[0-9]{1,2})[/.](?P<day>[0-9]{1,2})\Z")


def _meant(violation: Violation, name: str) -> str | None:
    """Return what a wrong value must have meant, if nothing else can have been meant."""
    value = violation.value
    if not isinstance(value, str) or len(value) > 80:
        return None
    text = value.strip()
    if violation.keyword == "type" and violation.expected == "boolean":
        return _FLAGS.get(text.lower())
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        folded = text.lower().lstrip(".")
        return folded if folded in violation.expected else None
    if violation.keyword == "pattern" and name.endswith("version"):
        match = _PREFIXED_VERSION.match(text)
        return match["version"] if match else None
    if violation.keyword == "pattern" and name == "update-time":
        match = _OTHER_DATE.match(text)
        iso = f"{match['year']}-{int(match['month']):02}-{int(match['day']):02}" if match else ""
        return iso if iso and parse_date(iso) else None
    return None


def _within(pointer: str) -> str:
    if pointer.startswith("/asset/"):
        return f" in asset {int(pointer.split('/')[2]) + 1}"
    return f" in '{pointer[1:]}'" if pointer else ""


def _near(text: str, known: Sequence[str]) -> list[str]:
    # Comparing takes time that grows with the length, and nothing that long is near.
    return difflib.get_close_matches(text, known, n=1) if len(text) < 100 else []


_TYPES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys to values",
}


def _wrong(violation: Violation) -> str:
    if violation.value in ("", None):
        return "has no value"
    value = shown(violation.value)
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
    return f"is {value}, which does not have the required form"


def _hint(violation: Violation) -> str | None:
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        near = _near(str(violation.value)[:100].lower(), [str(choice) for choice in violation.expected])
        return f"did you mean '{near[0]}'?" if near else None
    if violation.value in ("", None):
        return "write the value, or remove the entry if it is not required"
    name = violation.pointer.rpartition("/")[2]
    description = schema.description(name) or violation.description
    return f"expected: {description}" if description else None
