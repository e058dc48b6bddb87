"""The facts about using a network that are known of a card, each with its source; what is not known, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hubtool.card import architectures, labels, vocabulary
from maintain.importing.text import of_vocabularies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubtool.card.model import Card
    from maintain.facts.preprocessing import Prepared

#: The fields, in their order.
FIELDS = ("task", "architecture", "inputs", "preprocessing", "outputs", "labels", "evaluation")
# The names that networks give to what a tokenizer makes, by what they mean.
_TOKENS = {
    **dict.fromkeys(("input_ids", "input_id"), "token-ids"),
    **dict.fromkeys(("input_mask", "attention_mask"), "attention-mask"),
    **dict.fromkeys(("token_type_id", "token_type_ids", "segment_ids"), "segment-ids"),
}
_ONE_NUMBER_A_CLASS = frozenset(
    {
        *("image-classification", "text-classification", "sentiment-analysis", "video-classification"),
        *("audio-classification", "point-cloud-classification"),
    }
)
_NEAR = 1e-3
_SCRIPT = "the repository's evaluation script"
_PACKAGE = "the package's own transformations"


@dataclass(kw_only=True)
class CardFacts:
    """What is known of one card.

    Attributes:
        values: The facts that go into the card, by their keys.
        sources: Where each fact of the card is from.
        unknown: Why each other field is not known.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, value: object, source: str) -> None:
        """Add a fact."""
        self.values[key] = value
        self.sources[key] = source


def is_classifier(card: Card) -> bool:
    """Whether a card is one of an image classifier, and of nothing else."""
    return of_vocabularies(card.values).get("task", card.text("task")) == "image-classification"


def gather(card: Card, prepared: Prepared | None) -> CardFacts:
    """Return what is known of a card. What is a guess is not among it.

    Args:
        card: The card.
        prepared: How its network wants its pictures, or None if that was not asked. Where the code was not run, what
            the card has of it stays.
    """
    found = CardFacts()
    stated = of_vocabularies(card.values)
    for key in ("task", "architecture"):
        if key in stated:
            found.add(key, stated[key], "the vocabularies")
        else:
            found.unknown[key] = _why(card, key)
    task = stated.get("task", "")
    _add_inputs(found, card, task)
    measured = prepared is not None and prepared.measured
    kept = card.values.get("preprocessing") if is_classifier(card) and not measured else None
    if prepared is not None and prepared.steps:
        found.add("preprocessing", [dict(step) for step in prepared.steps], _kind_of(prepared.source))
    elif isinstance(kept, list) and kept:
        found.add("preprocessing", kept, _PACKAGE if card.recipe and card.recipe.provider == "package" else _SCRIPT)
    else:
        found.unknown["preprocessing"] = (
            prepared.reason if prepared is not None else "only those of image classifiers are read yet"
        )
    if "preprocessing" in found.values and "inputs" in found.values:
        image = found.values["inputs"][0]
        found.values["inputs"] = [{**image, "range": [0, 255]}]
    _add_outputs(found, card, task)
    _add_labels(found, card, task, prepared if measured else None)
    if "evaluation" in card.values:
        found.sources["evaluation"] = "the publisher"
    else:
        found.unknown["evaluation"] = "the publisher states none"
    return found


def _why(card: Card, key: str) -> str:
    if key == "architecture":
        return "no architecture of the table has the name of the model or of its backbone"
    architecture = architectures.of_card(card.text("model-name") or "", card.text("backbone-name") or "")
    tasks = architectures.tasks_of(architecture, card.text("module-type") or "", card.text("train-dataset") or "")
    return f"it may be {' or '.join(tasks)}" if tasks else "nothing that the card states is of a known task"


def _add_inputs(found: CardFacts, card: Card, task: str) -> None:
    inputs = card.recipe.inputs if card.recipe is not None else ()
    if not inputs:
        found.unknown["inputs"] = "the recipe states no inputs" if card.recipe else "the card has no recipe"
        return
    tokens = [_TOKENS.get(name) for name, _, _ in inputs]
    if all(tokens) and len(set(tokens)) == len(tokens) and all(len(shape) == 2 for _, shape, _ in inputs):
        listed = [{"name": name, "kind": kind, "axes": "NT"} for (name, _, _), kind in zip(inputs, tokens, strict=True)]
        found.add("inputs", listed, "the names of the network's inputs")
        return
    known = architectures.tasks().get(task)
    name, shape, dtype = inputs[0]
    takes_image = known is not None and known.input[0].startswith("an image") and "and" not in known.input[0]
    if len(inputs) == 1 and takes_image and len(shape) == 4 and shape[1] in {1, 3} and dtype.startswith("float"):
        found.add("inputs", [{"name": name, "kind": "image", "axes": "NCHW"}], "the task and the shape of the input")
        return
    found.unknown["inputs"] = "neither one picture nor the tokens of a text, by shape and names"


def _add_outputs(found: CardFacts, card: Card, task: str) -> None:
    if task not in _ONE_NUMBER_A_CLASS:
        found.unknown["outputs"] = "the task is not one with one number for each class"
        return
    outputs = _answer_outputs(card)
    if outputs is None:
        found.unknown["outputs"] = "the card has no known answer"
        return
    shape = outputs[0].get("shape") if len(outputs) == 1 else None
    classes = vocabulary.class_count(card.text("train-dataset") or "") or _length(card)
    if not isinstance(shape, list) or len(shape) != 2 or classes is None or shape[1] not in {classes, classes + 1}:
        found.unknown["outputs"] = "the known answer is not one output with a number for each class of the data set"
        return
    kind = kind_of(outputs[0])
    if kind is None:
        found.unknown["outputs"] = "the numbers of the known answer may be scores or probabilities"
        return
    found.add("outputs", [{"kind": kind, "axes": "NK"}], "the numbers of the known answer")


def kind_of(output: Mapping[str, Any]) -> str | None:
    """Return what the numbers of an output with one for each class are, or None if they may be several things.

    Probabilities lie between 0 and 1 and add up to 1, and their logarithms are not above 0; any other numbers are
    scores.

    Args:
        output: The output of a known answer: its shape, its mean, and some of its values.
    """
    values, mean, shape = output.get("values"), output.get("mean"), output.get("shape")
    if not isinstance(values, list) or not values or not isinstance(mean, (int, float)) or not isinstance(shape, list):
        return None
    if any(one > 1 for one in values) or (any(one > 0 for one in values) and any(one < 0 for one in values)):
        return "scores"
    if all(0 <= one <= 1 for one in values) and abs(mean * shape[-1] - 1) < _NEAR:
        return "probabilities"
    return None


def _add_labels(found: CardFacts, card: Card, task: str, prepared: Prepared | None) -> None:
    listed = _list_of(card)
    if listed is None:
        found.unknown["labels"] = "there is no list of labels for the data set"
        return
    count, length = _classes(card, task), len(labels.names(listed) or ())
    if count is None:
        found.unknown["labels"] = "how many classes the network tells apart is not known"
    elif count == length + 1 and (_is_kept(card, count) if prepared is None else prepared.folders):
        found.add("labels", {"vocabulary": listed, "classes": count}, "the folders that the evaluation script numbers")
    elif count != length:
        found.unknown["labels"] = f"the network has {count:,} classes, and {listed} has {length:,}"
    else:
        found.add("labels", listed, "the data set, and the number of classes of the network")


def _is_kept(card: Card, count: int) -> bool:
    """Whether the card says already that it has so many classes, of which the last has no label."""
    stated = card.values.get("labels")
    return isinstance(stated, dict) and stated.get("classes") == count and stated.get("vocabulary") == _list_of(card)


def _list_of(card: Card) -> str | None:
    return labels.OF_DATASETS.get(vocabulary.dataset(card.text("train-dataset") or "") or "")


def _length(card: Card) -> int | None:
    listed = _list_of(card)
    return len(labels.names(listed) or ()) if listed else None


def _classes(card: Card, task: str) -> int | None:
    """Return how many classes a network tells apart, by its known answer or by the arguments of its recipe."""
    recipe = card.recipe
    if task == "image-classification":
        outputs = _answer_outputs(card) or ()
        shape = outputs[0].get("shape") if len(outputs) == 1 else None
        if isinstance(shape, list) and len(shape) == 2:
            return int(shape[1])
    if task in {"image-classification", "object-detection"} and recipe is not None:
        stated = recipe.arguments.get("num_classes")
        return stated if type(stated) is int else None
    return None


def _answer_outputs(card: Card) -> Sequence[Mapping[str, Any]] | None:
    answer = card.recipe.known_answer if card.recipe is not None else None
    outputs = answer.get("outputs") if answer is not None else None
    return outputs if isinstance(outputs, list) and outputs and all(isinstance(one, dict) for one in outputs) else None


def _kind_of(source: str) -> str:
    return _PACKAGE if source.startswith("mindcv") else _SCRIPT
