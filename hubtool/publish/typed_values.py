"""The values of a new card that a user typed, checked and spelled as the vocabularies have them. Pure."""

from __future__ import annotations

import ast
import re
from datetime import date

from hubtool.card import metrics, schema, vocabulary
from hubtool.errors import ArgumentError

TEXTS = {
    "introduction": "what it does, and for whom; how it was trained; what it should not be used for",
    "measured": "on which data it was measured, and how",
}
"""The texts of the body that only the card's writer knows; Markdown."""
_FLAGS = frozenset({"fine-tunable", "mindspore-lite"})


def checked(key: str, text: str) -> object:
    """Return the value of a key for a text that a user typed, spelled as in the vocabularies.

    Raises:
        ArgumentError: If it cannot be the value of the key; the hint says what can be.
    """
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if not text:
        raise ArgumentError(f"{key} is empty")
    if key in _FLAGS:
        if text.lower() not in ("true", "false", "yes", "no", "y", "n"):
            raise ArgumentError(f"{key} is {text!r}", hint="write true or false")
        return text.lower() in ("true", "yes", "y")
    if key == "module-type":
        return _of_vocabulary(key, text, vocabulary.task(text), "tasks")
    if key == "license":
        return _of_vocabulary(key, text, vocabulary.licence(text), "licences")
    if key == "train-dataset":
        return vocabulary.dataset(text) or text
    if key == "evaluation":
        read = metrics.parse(text)
        if read.unread:
            raise ArgumentError(
                f"{read.unread[0]!r} is not a metric",
                hint="write a name and a number, such as 'F1score86.87 | acc79.5'",
            )
        return " | ".join(map(metrics.spelled, read.metrics))
    if key == "input-shape":
        return _shape(text)
    if key == "update-time":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError as error:
            raise ArgumentError(f"{text!r} is not a date", hint="write year-month-day: 2026-11-23") from error
    wrong = [found for found in schema.violations({key: text}) if found.pointer == f"/{key}"]
    if wrong:
        raise ArgumentError(f"{text!r} cannot be {key!r}", hint=wrong[0].description or schema.description(key))
    return text


def checked_text(key: str, text: str) -> str:
    """Return Markdown that a user typed, as it can stand in a body.

    Raises:
        ArgumentError: If nothing is left of it.
    """
    kept = "".join(sign for sign in text.replace("\r\n", "\n") if sign.isprintable() or sign in "\n\t").strip()
    if not kept:
        raise ArgumentError(f"{key} is empty", hint=f"write {TEXTS[key]}")
    return kept


def _of_vocabulary(key: str, text: str, known: str | None, name: str) -> str:
    if known is not None:
        return known
    near = vocabulary.load(name).nearest(text, 3)
    names = near or vocabulary.load(name).names[:8]
    raise ArgumentError(
        f"{text!r} is no {key!r} of the vocabulary",
        hint=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)} and others",
    )


def _shape(text: str) -> list[object]:
    try:
        value = ast.literal_eval(text if text.startswith("[") else f"[{text}]")
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, list) or any(one.pointer for one in schema.violations({"input-shape": value})):
        raise ArgumentError(f"{text!r} is not a shape", hint="write 3,224,224, or [[128],[128]] for several inputs")
    return list(value)


def argument(text: str) -> tuple[str, object]:
    """Read an argument of a recipe, such as ``num_attention_heads=4``.

    Raises:
        ArgumentError: If it is none.
    """
    name, sign, value = text.partition("=")
    if not sign or not re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
        raise ArgumentError(f"{text!r} is not an argument", hint="write NAME=VALUE, such as num_attention_heads=4")
    try:
        read = ast.literal_eval({"true": "True", "false": "False"}.get(value.strip(), value.strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        read = value.strip()
    return name.strip(), read if isinstance(read, (bool, int, float, str, list, dict)) else value.strip()


def network_input(text: str) -> dict[str, object]:
    """Read an input of a network, such as ``ids=1,128:int32``; without a type it is float32.

    Raises:
        ArgumentError: If it is none.
    """
    match = re.fullmatch(r"\s*([A-Za-z_]\w{0,63})\s*=\s*([0-9]+(?:\s*,\s*[0-9]+)*|\(\))\s*(?::\s*(\w+)\s*)?", text)
    made: dict[str, object] = {}
    shape: list[int] = []
    if match:
        shape = [int(number) for number in re.findall("[0-9]{1,18}", match[2])]
        made = {"name": match[1], "shape": shape, "dtype": match[3] or "float32"}
    recipe = {"network": {"provider": "package", "entry": "a.b:c", "inputs": [made]}}
    if not made or 0 in shape or any(found.pointer.startswith("/network") for found in schema.violations(recipe)):
        raise ArgumentError(
            f"{text!r} is not an input",
            hint="write NAME=SHAPE:TYPE, such as x=1,3,224,224:float32 or ids=1,128:int32",
        )
    return made
