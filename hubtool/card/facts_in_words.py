"""The facts of a card about using its network, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.card import labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The keys whose values are told here.
KEYS = ("task", "architecture", "inputs", "preprocessing", "outputs", "labels", "evaluation")


def lines(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the keys and the texts of the facts that a card states.

    Args:
        values: The front matter.
    """
    return [(key, line(values[key])) for key in KEYS if key in values]


def missing(values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the keys of the facts that a card does not state.

    Args:
        values: The front matter.
    """
    return tuple(key for key in KEYS if not values.get(key))


def completeness(keys: Sequence[str]) -> str:
    """Return how many of the facts a card states, and which are missing.

    Args:
        keys: The missing ones.

    >>> completeness(["outputs", "labels"]), completeness([])
    ('5 of 7, without outputs, labels', '7 of 7')
    """
    told = f"{len(KEYS) - len(keys)} of {len(KEYS)}"
    return f"{told}, without {', '.join(keys)}" if keys else told


def line(value: object) -> str:
    """Return a value in words.

    >>> line([{"resize": {"shorter": 256}}, {"crop": {"size": [224, 224]}}, {"layout": "CHW"}])
    'resize (shorter 256), crop (size 224 224), layout CHW'
    >>> line({"vocabulary": "imagenet-1k", "classes": 1001})
    'imagenet-1k, and 1 more class without a label'
    """
    if isinstance(value, dict) and value.keys() == {"vocabulary", "classes"}:
        return _labels(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_within(one)}" for key, one in value.items())
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return "; ".join(map(line, value)) if any(_is_long(one) for one in value) else ", ".join(map(line, value))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _labels(value: Mapping[str, object]) -> str:
    known, count = labels.names(str(value["vocabulary"])), value["classes"]
    if known is None or type(count) is not int or count < len(known):
        return f"{value['vocabulary']}, {count} classes"  # `hubtool validate` says what is wrong
    more = count - len(known)
    return f"{value['vocabulary']}, and {more:,} more class{'' if more == 1 else 'es'} without a label"


def _within(value: object) -> str:
    return f"({line(value)})" if isinstance(value, dict) else line(value)


def _is_long(value: object) -> bool:
    return isinstance(value, dict) and len(value) > 1
