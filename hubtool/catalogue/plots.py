"""Plots: where the points, lines and words of a picture go; the templates draw them as SVG. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hubtool import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 640, 360
_SMALL_HEIGHT = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 16, 40
_SIGN_WIDTH, _LINE_HEIGHT = 6.5, 14  # of a letter, about
_STEPS = (1, 2, 2.5, 5, 10, 20)
_LEAST, _MOST = 1e-15, 1e15  # of a value; beyond them floats are too coarse, or overflow
_LEAST_SPAN = 1e-4  # of an axis, of its largest value: the words of its ticks have six digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A model to draw.

    Attributes:
        name: Its name.
        label: What is written beside it where there is room.
        href: Its page.
        elements: How many numbers all its parameters have together; 1 or more.
        value: Its result.
        shown: The result as the card states it.
    """

    name: str
    label: str
    href: str
    elements: int
    value: float
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point of a plot, in units of the picture.

    Attributes:
        x: From the left.
        y: From the top.
        text: What it is, in words.
        label: What is written beside it; may be empty.
        anchor: Where the point is seen from the label: at its ``start``, ``middle`` or ``end``.
        href: The page it leads to; may be empty.
        leads: Whether no smaller model has a better result.
    """

    x: float
    y: float
    text: str
    label: str = ""
    anchor: str = "start"
    href: str = ""
    leads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture.

    Attributes:
        title: What it shows.
        height: Its height; the width is :data:`WIDTH`.
        marks: Its points.
        line: The points that a line joins, as SVG has them.
        across: The places and the words of the axis below.
        upwards: The places and the words of the axis at the left.
    """

    title: str
    height: int
    marks: Sequence[Mark]
    line: str = ""
    across: Sequence[tuple[float, str]] = ()
    upwards: Sequence[tuple[float, str]] = ()
    width: int = field(default=WIDTH)
    left: int = field(default=_LEFT)
    right: int = field(default=WIDTH - _RIGHT)
    floor: int = field(default=0)


def can_show(value: float) -> bool:
    """Return whether a plot can show a value: not infinite, no NaN, and of no extreme size."""
    return value == 0 or _LEAST <= abs(value) <= _MOST


def by_size(title: str, dots: Sequence[Dot], *, less_is_better: bool) -> Plot:
    """Return a plot of results over the number of parameters, on a logarithmic axis.

    A line joins the models that no smaller one surpasses; their names stand beside them where there is room.

    Args:
        title: What the plot shows.
        dots: The models, each with a page of its own.
        less_is_better: Whether a lower result is the better one.
    """
    sizes = [math.log10(dot.elements) for dot in dots]
    low, high = min(sizes) - 0.05, max(sizes) + 0.05
    values = _ticks(min(dot.value for dot in dots), max(dot.value for dot in dots))

    def x(size: float) -> float:
        return round(_LEFT + (size - low) / (high - low) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return _height_of(value, values, HEIGHT)

    leading, best = set(), -math.inf
    for dot in sorted(dots, key=lambda dot: (dot.elements, dot.value if less_is_better else -dot.value)):
        worth = -dot.value if less_is_better else dot.value
        if worth > best:
            best = worth
            leading.add(dot.href)
    taken: list[tuple[float, float, float]] = []  # of the labels: left, right, height
    marks = []
    for dot, size in sorted(zip(dots, sizes, strict=True), key=lambda pair: (pair[0].href not in leading, pair[1])):
        at = (x(size), y(dot.value))
        label, anchor = _label(dot.label, *at, taken) if dot.href in leading else ("", "start")
        text = f"{dot.name}: {dot.shown}, {wording.short_number(dot.elements)}"
        leads = dot.href in leading
        marks.append(Mark(x=at[0], y=at[1], text=text, label=label, anchor=anchor, href=dot.href, leads=leads))
    line = " ".join(f"{mark.x},{mark.y}" for mark in sorted(marks, key=lambda mark: mark.x) if mark.leads)
    across = [(x(math.log10(tick)), wording.short_number(tick)) for tick in _sizes(low, high)]
    upwards = [(y(value), f"{value:g}") for value in values]
    return Plot(
        title=title, height=HEIGHT, marks=marks, line=line, across=across, upwards=upwards, floor=HEIGHT - _BOTTOM
    )


def over_versions(title: str, results: Sequence[tuple[str, float, str]]) -> Plot:
    """Return a plot of one result of a model over its versions.

    Args:
        title: What the plot shows.
        results: The versions in their order, each with the result as a number and as the card states it.
    """
    values = _ticks(min(value for _, value, _ in results), max(value for _, value, _ in results), most=3)
    step = (WIDTH - _LEFT - _RIGHT) / len(results)
    # Where versions stand closer than words are wide, only some have words.
    wide = max(len(word) for version, _, shown in results for word in (version, shown)) * _SIGN_WIDTH + 8
    every = math.ceil(wide / step)
    marks = [
        Mark(
            x=round(_LEFT + (at + 0.5) * step, 1),
            y=_height_of(value, values, _SMALL_HEIGHT),
            text=f"{version}: {shown}",
            label=shown if not at % every and (not at or shown != results[at - every][2]) else "",
            anchor="middle",
        )
        for at, (version, value, shown) in enumerate(results)
    ]
    return Plot(
        title=title,
        height=_SMALL_HEIGHT,
        marks=marks,
        line=" ".join(f"{mark.x},{mark.y}" for mark in marks),
        across=[(mark.x, version) for mark, (version, _, _) in zip(marks[::every], results[::every], strict=True)],
        upwards=[(_height_of(value, values, _SMALL_HEIGHT), f"{value:g}") for value in values],
        floor=_SMALL_HEIGHT - _BOTTOM,
    )


def _height_of(value: float, ticks: Sequence[float], height: int) -> float:
    """Return how far from the top a value is, between the first and the last tick."""
    share = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return round(height - _BOTTOM - share * (height - _TOP - _BOTTOM), 1)


def _ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from at most ``low`` to at least ``high``.

    >>> _ticks(54.05, 83.26)
    [50.0, 60.0, 70.0, 80.0, 90.0]
    """
    largest = max(abs(low), abs(high))
    span = max(high - low, largest * _LEAST_SPAN) or 1.0
    power = 10 ** math.floor(math.log10(span / most))
    step = next(power * one for one in _STEPS if span / (power * one) <= most - 1)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{step * number:.10g}") for number in range(first, max(last, first + 1) + 1)]


def _sizes(low: float, high: float) -> list[int]:
    """Return round counts between two powers of ten; powers only, where there are three of them."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [factor * 10**power for power in powers if power >= 0 for factor in factors]
        found = [one for one in found if low <= math.log10(one) <= high]
        if len(found) >= 3:
            break
    return found


def _label(name: str, x: float, y: float, taken: list[tuple[float, float, float]]) -> tuple[str, str]:
    """Return a label and its side, if it fits beside a point; it is then taken."""
    width = len(name) * _SIGN_WIDTH + 8
    for anchor, left in (("end", x - width), ("start", x)):
        right = left + width
        if left < _LEFT or right > WIDTH:
            continue
        if all(right < one or left > other or abs(y - at) > _LINE_HEIGHT for one, other, at in taken):
            taken.append((left, right, y))
            return name, anchor
    return "", "start"
