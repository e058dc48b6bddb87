"""What a card says about its model at a glance: the facts by which people choose between models."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import wording
from hubtool.card import architectures, facts_in_words, known_answer, metrics, vocabulary
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from hubtool.card.known_answer import KnownAnswer
    from hubtool.card.model import Card, Recipe

_WIDTH = 120
#: The names of the facts for people, in order.
NAMES = (
    *("status", "what it does", "task", "architecture", "data set", "results", "parameters", "size", "inputs"),
    *("verified", "made with", "equal on", "facts", "licence", "updated"),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Overview:
    """The facts of one card; what the card does not state is empty or None.

    Attributes:
        uid: Its UID, or the path of a card outside a registry.
        summary: The model in one sentence.
        task: What it does: a pipeline task, or the card's own ``module-type``.
        architecture: The architecture, as its paper writes it.
        datasets: The data sets it was trained on.
        results: The results of evaluations, such as ``top1acc 76.97``.
        elements: How many numbers all parameters have together.
        size: The size of all assets in bytes; None if not all state theirs.
        inputs: The inputs of the network, such as ``x 1x3x224x224 float32``.
        verified: What stands behind the known answer that the network was found equal to, in a few words; empty if
            there is none.
        source: The same as the card names it, such as ``mindspore-2.0.0``.
        mindspore: The version of MindSpore that the model was made with.
        equal_on: The versions of MindSpore on which the network was found equal to its known answer.
        missing: The facts about using the network that the card does not state, such as ``labels``.
        licence: The licence.
        updated: The date of the last update.
        status: What the publisher says of a card that is deprecated or withdrawn; empty for cards in use.
    """

    uid: str
    summary: str = ""
    task: str = ""
    architecture: str = ""
    datasets: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    elements: int | None = None
    size: int | None = None
    inputs: tuple[str, ...] = ()
    verified: str = ""
    source: str = ""
    mindspore: str = ""
    equal_on: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    licence: str = ""
    updated: str = ""
    status: str = ""

    def rows(self) -> list[tuple[str, str]]:
        """Return the names and values of the facts for people; a fact that the card does not state is left out."""
        elements = "" if self.elements is None else f"{wording.short_number(self.elements)} ({self.elements:,})"
        told = (
            *(self.status, self.summary, self.task, self.architecture, ", ".join(self.datasets)),
            *(", ".join(self.results), elements, "" if self.size is None else wording.size(self.size)),
            *(", ".join(self.inputs), self.verified or "no", f"MindSpore {self.mindspore}" if self.mindspore else ""),
            f"MindSpore {', '.join(self.equal_on)}" if self.equal_on else "",
            *(facts_in_words.completeness(self.missing), self.licence, self.updated),
        )
        return [(name, value) for name, value in zip(NAMES, told, strict=True) if value]

    def as_json(self) -> dict[str, object]:
        """Return the facts as the members that JSON outputs have."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name in self.__dataclass_fields__
            for value in (getattr(self, name),)
        }

    def __repr__(self) -> str:
        rows = [("uid", self.uid), *self.rows()]
        width = max(len(name) for name, _ in rows)
        lines = (f"{name.ljust(width)}  {wording.printable(value)}" for name, value in rows)
        return "\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..." for line in lines)

    def _repr_html_(self) -> str:
        """Return the facts as a table, as notebooks show them."""
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(wording.printable(value))}</td></tr>"
            for name, value in self.rows()
        )
        return f"<table><caption>{html.escape(self.uid)}</caption>{cells}</table>"


def of_card(card: Card) -> Overview:
    """Return the facts of a card."""
    recipe, network = card.recipe, card.values.get("network")
    elements = network.get("elements") if isinstance(network, dict) else None
    answer = _usable_answer(recipe)
    equal_on = answer.equal_on if answer is not None else ()
    architecture = architectures.of_card(
        card.text("model-name") or "", card.text("backbone-name") or "", card.text("architecture") or ""
    )
    datasets = card.text("train-dataset") or ""
    tasks = architectures.tasks_of(architecture, card.text("module-type") or "", datasets, card.text("task") or "")
    sizes = [asset.size for asset in card.assets]
    status = card.status
    return Overview(
        uid=str(card.uid or card.path or card.title),
        summary=card.text("summary") or "",
        task=tasks[0] if tasks else card.text("module-type") or "",
        architecture=architecture.name if architecture is not None else "",
        datasets=tuple(known or written for written, known in vocabulary.datasets(datasets) if written),
        results=tuple(map(metrics.spelled, metrics.of_values(card.values).metrics)),
        elements=elements if type(elements) is int else None,
        size=None if not sizes or None in sizes else sum(size for size in sizes if size is not None),
        inputs=tuple(
            f"{name} {'x'.join(map(str, shape)) or 'one'} {dtype}"
            for name, shape, dtype in (recipe.inputs if recipe is not None else ())
        ),
        verified=answer.told.partition("; equal on")[0] if answer is not None and equal_on else "",
        source=answer.source if answer is not None and equal_on else "",
        mindspore=card.mindspore_version or "",
        equal_on=equal_on,
        missing=facts_in_words.missing(card.values),
        licence=card.text("license") or "",
        updated=card.text("update-time") or "",
        status="" if status is None else status.describe(str(card.uid or card.path or card.title)),
    )


def _usable_answer(recipe: Recipe | None) -> KnownAnswer | None:
    """Return a recipe's known answer; None if there is none, or if it cannot be used: then nothing was equal to it."""
    if recipe is None or recipe.known_answer is None:
        return None
    try:
        return known_answer.parse(recipe.known_answer, provider=recipe.provider)
    except RecipeError:
        return None
