"""What discovery found out about one card, and a recipe as plain values and back. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hubtool.card.model import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(kw_only=True, slots=True)
class DiscoveryOutcome:
    """What came of one card.

    Attributes:
        recipe: The recipe that builds it, or None.
        network: The class of the network.
        parameters: How many parameters it has.
        elements: How many elements these have.
        digest: The digest of the parameter list.
        forward: ``ran``, or why it did not run; empty if that was not tried.
        outputs: Shapes of the forward pass's results.
        reason: Why nothing could be built; empty if something was.
        notes: What was noticed on the way.
        seconds: How long it took.
    """

    recipe: Recipe | None = None
    network: str = ""
    parameters: int = 0
    elements: int = 0
    digest: str = ""
    forward: str = ""
    outputs: list[list[int]] = field(default_factory=list)
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        values = asdict(self)
        values["recipe"] = recipe_as_json(self.recipe) if self.recipe else None
        return values


def recipe_as_json(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as the plain values that a card's ``network:`` holds; defaults are left out."""
    values: dict[str, Any] = {"provider": recipe.provider, "entry": recipe.entry}
    if recipe.arguments:
        values["arguments"] = dict(recipe.arguments)
    for name in ("argv", "skip", "requires", "ignore"):
        if getattr(recipe, name):
            values[name] = list(getattr(recipe, name))
    if recipe.rename:
        values["rename"] = dict(recipe.rename)
    if recipe.capture != 1:
        values["capture"] = recipe.capture
    if recipe.initialise:
        values["initialise"] = True
    if recipe.training_mode:
        values["training-mode"] = True
    if recipe.inputs:
        values["inputs"] = [
            {"name": name, "shape": list(shape), "dtype": dtype} for name, shape, dtype in recipe.inputs
        ]
    return values


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe of plain values; the inverse of :func:`recipe_as_json`."""
    return Recipe(
        provider=values["provider"],
        entry=values["entry"],
        arguments=values.get("arguments", {}),
        argv=tuple(values.get("argv", ())),
        skip=tuple(values.get("skip", ())),
        requires=tuple(values.get("requires", ())),
        ignore=tuple(values.get("ignore", ())),
        rename=tuple(values.get("rename", {}).items()),
        capture=values.get("capture", 1),
        initialise=values.get("initialise", False),
        training_mode=values.get("training-mode", False),
        inputs=tuple((item["name"], tuple(item["shape"]), item["dtype"]) for item in values.get("inputs", ())),
    )
