"""Metrics: what ``evaluation`` says, such as ``top1acc76.97 | top5acc93.44``, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?"
# The name comes first and ends with a sign that no number ends with; it may hold digits (top1acc, set5psnr).
_NAME_FIRST = re.compile(
    rf"(?P<name>(?:[^|:=]{{0,78}}?|[^|]{{0,78}}?@[^|]{{0,40}}?)[^\W\d_]|[^|]{{1,79}}?[%@)\]])"
    rf"[ \t]*[:=]?[ \t]*(?P<value>{_NUMBER})[ \t]*(?P<unit>%?)\Z"
)
# '3.2mos', '3.44d': the value comes first, and what follows is one word.
_VALUE_FIRST = re.compile(rf"(?P<value>{_NUMBER})[ \t]*(?P<name>[^\W\d_]+)\Z")
# Of metrics that end so, less is better.
_LESS = re.compile(
    r"(loss|error|\berr|\bwer|\bcer|\bler|pathler|searchler|mae|mape|mse|distance|perplexity|\bppl|\bfid"
    r"|frechet|(?<!100%-)\beer|sad|time|robustness|\A(fm|fn|fp|ids|ml|mr))\Z",
    re.IGNORECASE,
)
_PUBLISHER = "publisher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: Its name as written, such as ``top1acc``.
        value: Its value as written, such as ``76.00``: trailing zeros say how exact it is.
        unit: ``%`` if that was written, else empty.
    """

    name: str
    value: str
    unit: str = ""

    @property
    def number(self) -> float:
        """The value as a number."""
        return float(self.value)

    def __str__(self) -> str:
        short = f"{self.name}{self.value}{self.unit}"
        return short if _one(short) == self else f"{self.name}: {self.value}{self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a value of ``evaluation`` says.

    Attributes:
        metrics: The metrics in the order written.
        unread: The parts that are not metrics, as written.
    """

    metrics: tuple[Metric, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedResult:
    """One result of an evaluation, as a card states it.

    Attributes:
        metric: What was measured, with its value.
        data_set: What it was measured on; empty if the card does not state it.
        split: Which part of that; empty if the card does not state it.
        source: Who says so: ``publisher``, or a link.
    """

    metric: Metric
    data_set: str = ""
    split: str = ""
    source: str = _PUBLISHER


def parse(text: str) -> Evaluation:
    """Take the value of ``evaluation`` apart; parts are separated by ``|``.

    >>> [str(metric) for metric in parse("F1score86.87 | exactmatch79.52").metrics]
    ['F1score86.87', 'exactmatch79.52']
    """
    metrics: list[Metric] = []
    unread: list[str] = []
    for part in text.split("|"):
        metric = _one(part.strip())
        if metric is None:
            unread.append(part.strip())
        else:
            metrics.append(metric)
    return Evaluation(metrics=tuple(metrics), unread=tuple(unread))


def of_values(values: Mapping[str, object]) -> Evaluation:
    """Return what the ``evaluation`` of a card says, whether it is a text or a list of results.

    Args:
        values: The front matter.

    >>> of_values({"evaluation": [{"metric": "top1acc", "value": 76.9, "unit": "%", "source": "publisher"}]}).metrics
    (Metric(name='top1acc', value='76.9', unit='%'),)
    """
    value = values.get("evaluation")
    if isinstance(value, str):
        return parse(value) if not vocabulary.says_nothing(value) else Evaluation(metrics=(), unread=())
    return Evaluation(metrics=tuple(result.metric for result in results(values)), unread=())


def results(values: Mapping[str, object]) -> tuple[StatedResult, ...]:
    """Return the results that the ``evaluation`` of a card states.

    Args:
        values: The front matter.
    """
    value = values.get("evaluation")
    if isinstance(value, str):
        return tuple(StatedResult(metric=metric) for metric in of_values(values).metrics)
    return tuple(
        StatedResult(
            metric=Metric(name=str(one["metric"]), value=str(one["value"]), unit=str(one.get("unit", ""))),
            data_set=str(one.get("data-set", "")),
            split=str(one.get("split", "")),
            source=str(one.get("source", _PUBLISHER)),
        )
        for one in (value if isinstance(value, list) else ())
        if isinstance(one, dict) and isinstance(one.get("metric"), str) and type(one.get("value")) in {int, float}
    )


def is_less_better(name: str) -> bool:
    """Return whether less of a metric is better, as of errors and losses.

    >>> is_less_better("RMSE"), is_less_better("top1acc")
    (True, False)
    """
    return _LESS.search(name) is not None


def spelled(metric: Metric) -> str:
    """Return a metric as people read it, ``top1acc 76.97``, if it parses to the same metric again."""
    text = f"{metric.name} {metric.value}{metric.unit}"
    return text if parse(text).metrics == (metric,) else str(metric)


def _one(text: str) -> Metric | None:
    if len(text) > 120:
        return None
    match = _NAME_FIRST.match(text)
    if match:
        return Metric(name=match["name"].strip(), value=match["value"], unit=match["unit"])
    match = _VALUE_FIRST.match(text)
    return Metric(name=match["name"], value=match["value"]) if match else None
