"""The facts of a card about using its network, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The keys whose values are told here.
KEYS = ("task", "architecture", "inputs", "preprocessing", "outputs", "labels", "evaluation")


def lines(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the keys and the texts of the facts that a card states.

    Args:
        values: The front matter.
    """
    return [(key, line(values[key])) for key in KEYS if key in values]


def line(value: object) -> str:
    """Return a value in words.

    >>> line([{"resize": {"shorter": 256}}, {"crop": {"size": [224, 224]}}, {"layout": "CHW"}])
    'resize (shorter 256), crop (size 224 224), layout CHW'
    """
    if isinstance(value, dict):
        return ", ".join(f"{key} {_within(one)}" for key, one in value.items())
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return "; ".join(map(line, value)) if any(_is_long(one) for one in value) else ", ".join(map(line, value))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _within(value: object) -> str:
    return f"({line(value)})" if isinstance(value, dict) else line(value)


def _is_long(value: object) -> bool:
    return isinstance(value, dict) and len(value) > 1
