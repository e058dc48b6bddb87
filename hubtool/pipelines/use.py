"""What a card says about using its network, read and checked before anything is fetched or runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hubtool.card import architectures, labels, schema
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.model import Asset, Card

PICTURES: Final = ("image-classification",)
TEXTS: Final = ("text-classification", "token-classification")
_SCORES: Final = ("scores", "probabilities", "log-probabilities")
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "image-classification": _SCORES,
    "text-classification": _SCORES,
    "token-classification": ("class-indices", *_SCORES),
}
_KEYS: Final = ("task", "preprocessing", "outputs", "labels")
_SHOWN: Final = 100  # characters of a card's text in an error
_PICTURE_STEPS: Final = ("color", "resize", "crop", "pad", "rescale", "normalize", "layout")
_MISSING_HINT: Final = "docs/run.md says what a card states for this; the network itself loads with hubtool.load"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedUse:
    """How a network is used.

    Attributes:
        task: Its pipeline task.
        steps: The steps of preprocessing in order: their names and their numbers.
        output: Which output is read, from 0.
        kind: What its numbers are: ``scores``, ``probabilities``, ``log-probabilities`` or ``class-indices``.
        labels: The names of the classes, if the card states them or names a list; None if they are in an asset. A class
            without a label has its number as its name.
        labels_asset: The asset with the names of the classes, one a line, or None.
        vocabulary_asset: The asset with the vocabulary of the texts, or None.
        shape: The shape of a picture as the recipe states it for the network's one input, without the axis of the
            batch; None if it does not.
    """

    task: str
    steps: tuple[tuple[str, Any], ...]
    output: int
    kind: str
    labels: tuple[str, ...] | None = None
    labels_asset: Asset | None = None
    vocabulary_asset: Asset | None = None
    shape: tuple[int, ...] | None = None

    def step(self, name: str) -> Any:
        """Return the numbers of a step, or None if there is no such step."""
        return dict(self.steps).get(name)


def read(card: Card, name: str) -> StatedUse:
    """Return how a card's network is used.

    Args:
        card: The card, with the facts of its schema.
        name: What the user called it, for errors.

    Raises:
        RecipeError: If the card does not say enough, or nothing here does its task.
    """
    _check_schema(card, name)
    task = _task(card, name)
    steps = _steps(card)
    kinds = [item.get("kind") for item in _mappings(card.values.get("outputs"))]
    output = next((place for place, kind in enumerate(kinds) if kind in _KINDS[task]), None)
    stated = card.values.get("labels")
    missing = [key for key, value in (("preprocessing", steps), ("outputs", kinds), ("labels", stated)) if not value]
    if missing:
        raise RecipeError(
            f"the card of {name} does not say how its network is used: it has no {' and no '.join(missing)}",
            hint=_MISSING_HINT,
        )
    if output is None:
        raise RecipeError(
            f"the card of {name} states no output of the kind that {task} needs: {', '.join(_KINDS[task])}",
            hint=_MISSING_HINT,
        )
    vocabulary = _check_steps(task, steps, name)
    listed, asset = _labels(card, stated, name)
    return StatedUse(
        task=task,
        steps=steps,
        output=output,
        kind=str(kinds[output]),
        labels=listed,
        labels_asset=asset,
        vocabulary_asset=None if vocabulary is None else _asset(card, vocabulary, "vocabulary", name),
        shape=_picture_shape(card) if task in PICTURES else None,
    )


def _check_schema(card: Card, name: str) -> None:
    """Check what is used here against the schema: a card need not have been validated.

    Raises:
        RecipeError: If a value breaks it.
    """
    stated = {key: card.values[key] for key in _KEYS if key in card.values}
    for one in schema.violations(stated):
        if one.pointer:  # of the whole, other keys are missing
            raise RecipeError(
                f"the card of {name} does not say how its network is used: {one.pointer[:_SHOWN]!a} breaks the schema",
                hint="'hubtool validate' says how",
            )


def _picture_shape(card: Card) -> tuple[int, ...] | None:
    inputs = () if card.recipe is None else card.recipe.inputs
    if len(inputs) != 1 or len(inputs[0][1]) != 4:  # a batch, and three axes of a picture
        return None
    return inputs[0][1][1:]


def _task(card: Card, name: str) -> str:
    stated = card.text("task") or ""
    tasks = architectures.find_tasks(stated) if stated else ()
    task = tasks[0] if tasks else stated
    if not task:
        raise RecipeError(f"the card of {name} does not say its 'task'", hint=_MISSING_HINT)
    if task not in _KINDS:
        raise RecipeError(
            f"{name} is for {task[:_SHOWN]!a}, and hubtool runs {', '.join(_KINDS)} only",
            hint="load the network with hubtool.load, and give it its inputs",
        )
    return task


def _steps(card: Card) -> tuple[tuple[str, Any], ...]:
    return tuple(pair for item in _mappings(card.values.get("preprocessing")) for pair in list(item.items())[:1])


def _check_steps(task: str, steps: tuple[tuple[str, Any], ...], name: str) -> str | None:
    """Check that the steps make what the task needs; return the file name of the vocabulary, or None."""
    names = [step for step, _ in steps]
    if task in PICTURES:
        if other := [step for step in names if step not in _PICTURE_STEPS]:
            raise RecipeError(f"the card of {name} has the step {other[0]!a}, which no picture can take")
        # All other steps are of a picture in its colours, with the channels last.
        if "color" in names[1:]:
            raise RecipeError(f"the card of {name} has the step 'color' behind others", hint="state it once, and first")
        if "layout" in names[:-1]:
            raise RecipeError(f"the card of {name} has the step 'layout' before others", hint="state it once, and last")
        return None
    if names != ["tokenize"] or not isinstance(steps[0][1], dict):
        raise RecipeError(
            f"the card of {name} has the steps {', '.join(names)}, and a text takes one: tokenize", hint=_MISSING_HINT
        )
    if task == "token-classification" and steps[0][1].get("tokenizer") != "characters":
        raise RecipeError(
            f"the card of {name} splits words into pieces, and hubtool finds entities by characters only",
            hint="load the network with hubtool.load, and give it its inputs",
        )
    return str(steps[0][1].get("vocabulary", ""))


def _labels(card: Card, stated: object, name: str) -> tuple[tuple[str, ...] | None, Asset | None]:
    if isinstance(stated, dict) and "asset" in stated:
        return None, _asset(card, str(stated["asset"]), "labels", name)
    found = labels.of_value(stated)
    if found is not None:
        return found, None
    listed = str(stated.get("vocabulary", "") if isinstance(stated, dict) else stated)
    if (known := labels.names(listed)) is not None and isinstance(stated, dict):
        raise RecipeError(
            f"the card of {name} states {stated.get('classes')} classes, and {listed} has {len(known):,} labels",
            hint="'classes' is how many numbers the network gives",
        )
    raise RecipeError(
        f"the card of {name} names the labels {listed[:_SHOWN]!a}, and there is no such list",
        hint=f"the lists are {', '.join(labels.known())}",
    )


def _asset(card: Card, file_name: str, what: str, name: str) -> Asset:
    found = next((asset for asset in card.assets if asset.file_name == file_name), None)
    if found is None:
        raise RecipeError(f"the card of {name} names {file_name[:_SHOWN]!a} for its {what}, and has no such asset")
    return found


def _mappings(items: object) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
