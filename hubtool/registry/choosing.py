"""Choosing between models that a list or a search found: filters, and an order by result, size or date. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hubtool import wording
from hubtool.card import metrics
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.registry.found import FoundModel

SORTS: Final = ("score", "size", "date")
_COUNT: Final = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(?P<unit>[kmb]?)\Z", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which models are kept, and in which order.

    Attributes:
        sort: One of :data:`SORTS`, or empty for the order there is.
        most_elements: The most numbers that all parameters may have together, or None.
        verified: Whether only networks that were found equal to a known answer are kept.
    """

    sort: str = ""
    most_elements: int | None = None
    verified: bool = False


def read_count(text: str) -> int:
    """Return a count such as ``10M``.

    >>> read_count("10M"), read_count("1.5 k"), read_count("7")
    (10000000, 1500, 7)

    Raises:
        ArgumentError: If it is none.
    """
    match = _COUNT.match(text.strip())
    if match is None:
        raise ArgumentError(f"{text[:40]!a} is no count", hint="write a number, with k, M or B behind it: 10M")
    return int(float(match["number"]) * _UNITS[match["unit"].lower()])


def choose(models: Sequence[FoundModel], choice: Choice) -> tuple[list[FoundModel], list[str]]:
    """Return the models that are kept, in the order that is asked for, and notes on what was left out or comes last.

    Args:
        models: The models.
        choice: What is asked for.

    Raises:
        ArgumentError: If the order is not one of :data:`SORTS`.
    """
    if choice.sort and choice.sort not in SORTS:
        raise ArgumentError(f"nothing is sorted by {choice.sort[:40]!a}", hint=f"it is one of {', '.join(SORTS)}")
    kept, notes = list(models), []
    if choice.verified:
        kept = [one for one in kept if one.verified]
    if choice.most_elements is not None:
        unknown = [one for one in kept if one.elements is None]
        kept = [one for one in kept if one.elements is not None and one.elements <= choice.most_elements]
        if unknown:
            notes.append(f"left out: {wording.count(len(unknown), 'model')} whose parameters are not known")
    if choice.sort == "size":
        kept.sort(key=lambda one: (one.elements is None, one.elements or 0))
    elif choice.sort == "date":
        kept.sort(key=lambda one: one.entry.updated, reverse=True)
    elif choice.sort == "score":
        kept, more = _by_score(kept)
        notes += more
    return kept, notes


def _by_score(models: list[FoundModel]) -> tuple[list[FoundModel], list[str]]:
    """Sort models by the result that most of them state; results of other metrics cannot be compared with it."""
    results = [metrics.parse(one.result).metrics[:1] for one in models]
    names = Counter(result[0].name.lower() for result in results if result)
    if not names:
        return models, ["no model here states a result"]
    name = names.most_common(1)[0][0]
    sign, first = (1, "least") if metrics.is_less_better(name) else (-1, "greatest")
    ranked = sorted(
        zip(models, results, strict=True),
        key=lambda pair: (0, sign * pair[1][0].number) if pair[1] and pair[1][0].name.lower() == name else (1, 0.0),
    )
    others = len(models) - names[name]
    notes = [f"sorted by {name}, the {first} first"]
    if others:
        notes.append(f"{wording.count(others, 'model')} without that result come last")
    return [model for model, _ in ranked], ["; ".join(notes)]
