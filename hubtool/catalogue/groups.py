"""Pages for what models have in common: a task or an architecture, with its models by result and size. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubtool.card import metrics, vocabulary
from hubtool.catalogue import facts, plots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: The most models that a page lists; the list of all models has the others.
MOST_MODELS = 500
_FEWEST_DOTS, _MOST_PLOTS = 4, 4
_FOLDERS = {"task": "tasks", "architecture": "architectures"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The models of a task or of an architecture.

    Attributes:
        kind: ``task`` or ``architecture``.
        name: Its name.
        models: Its models, by name; at most :data:`MOST_MODELS`.
        count: How many there are.
        plots: Their results by size, for each result that enough of them state.
    """

    kind: str
    name: str
    models: Sequence[Mapping[str, Any]]
    count: int
    plots: Sequence[plots.Plot]


def page_of(kind: str, name: str) -> str:
    """Return the path of the page of a group.

    Args:
        kind: ``task`` or ``architecture``.
        name: Its name.
    """
    return f"{_FOLDERS[kind]}/{facts.file_part(name)}.html"


def of_models(models: Iterable[Mapping[str, Any]], known: Mapping[str, Iterable[str]]) -> list[Group]:
    """Return the groups of some models.

    Args:
        models: What :func:`hubtool.catalogue.facts.of_model` gives of each.
        known: The names of each kind that have a page.
    """
    named = {kind: frozenset(names) for kind, names in known.items()}
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for model in models:
        for kind in _FOLDERS:
            if model[kind] in named[kind]:
                found[kind, model[kind]].append(model)
    return [
        Group(kind=kind, name=name, models=some[:MOST_MODELS], count=len(some), plots=_plots(some[:MOST_MODELS]))
        for (kind, name), some in sorted(found.items())
    ]


def _plots(models: Sequence[Mapping[str, Any]]) -> list[plots.Plot]:
    """Return a plot of each result that enough models state, the most frequent first: results on other data differ."""
    dots: dict[tuple[str, str], dict[str, plots.Dot]] = defaultdict(dict)
    metric_of: dict[tuple[str, str], str] = {}
    for model in models:
        newest = model["versions"][0]
        if model["parameters"] < 1 or newest["status"] is not None:
            continue
        for row in newest["results"]:
            if not plots.can_show(float(row["value"])):
                continue
            key = (row["on"], vocabulary.fold(row["metric"]))
            metric_of.setdefault(key, row["metric"])
            dot = plots.Dot(
                name=model["name"],
                label=newest["model"] or model["name"],
                href=model["href"],
                elements=model["parameters"],
                value=float(row["value"]),
                shown=f"{row['metric']} {row['value']}{row['unit']}",
            )
            dots[key].setdefault(model["href"], dot)  # of a metric that a card states twice, the first
    enough = [
        (key, list(some.values()))
        for key, some in dots.items()
        if len(some) >= _FEWEST_DOTS and len({dot.value for dot in some.values()}) > 1
    ]
    enough.sort(key=lambda pair: -len(pair[1]))
    return [
        plots.by_size(
            ", ".join(filter(None, (key[0], metric_of[key]))),
            some,
            less_is_better=metrics.is_less_better(metric_of[key]),
        )
        for key, some in enough[:_MOST_PLOTS]
    ]
