"""HT6xx: what the recipe says of the network."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hubtool.card import known_answer, labels, vocabulary
from hubtool.card.model import CLASS_COUNTS
from hubtool.card.rules.base import rule, shown
from hubtool.diagnostics import Severity
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.finding import Finding
    from hubtool.card.rules.context import Context

_ANSWERS = ("known-answer", "weights-answer")


@rule("HT601", Severity.ERROR)
def unusable_known_answer(context: Context) -> Iterator[Finding]:
    """A known answer can be repeated.

    `hubtool verify` computes it again and compares: it needs a version of the rule that it knows, as many values of
    each output as the output's shape asks for, and inputs that fit into memory. An answer is measured and never
    written by hand: `hubtool verify CARD --record` writes a new one.
    """
    recipe = context.values.get("network")
    if not isinstance(recipe, dict):
        return
    for key in _ANSWERS:
        answer, pointer = recipe.get(key), f"/network/{key}"
        if not isinstance(answer, dict) or any(place.startswith(pointer) for place in context.violated):
            continue  # the schema reports it
        try:
            known_answer.parse(answer, provider=str(recipe.get("provider")))
        except RecipeError as error:
            yield context.at(pointer, error.message, hint="measure it again: hubtool verify CARD --record")


@rule("HT604", Severity.WARNING)
def other_number_of_classes(context: Context) -> Iterator[Finding]:
    """A recipe that states a number of classes states that of the card's data set.

    `vocabularies/datasets.json` says how many classes a data set has; one more, for the background, is fine. A
    checkpoint that was trained on the data set does not fit a network of another number. Correct the recipe, or the
    data set. If the network is right, suppress this rule in the card and say why.
    """
    recipe = context.values.get("network")
    count = vocabulary.class_count(context.text("train-dataset") or "")
    if not isinstance(recipe, dict) or count is None:
        return
    arguments, argv = recipe.get("arguments"), recipe.get("argv")
    stated = (
        [(name, value, f"/network/arguments/{name}") for name, value in arguments.items()]
        if isinstance(arguments, dict)
        else []
    )
    if isinstance(argv, list):
        stated += [(str(flag).lstrip("-"), value, "/network/argv") for flag, value in itertools.pairwise(argv)]
    for name, value, pointer in stated:
        number = int(value) if isinstance(value, str) and value.isdigit() else value
        if name in CLASS_COUNTS and type(number) is int and number not in {count, count + 1}:
            yield context.at(
                pointer,
                f"{name} is {number:,}, and {context.text('train-dataset')} has {count:,} classes",
                hint="correct the recipe; or suppress HT604 in this card, and say why",
            )


@rule("HT606", Severity.WARNING)
def other_number_of_labels(context: Context) -> Iterator[Finding]:
    """There is one label for each number that the network gives, and no label is there twice.

    The known answer says how many numbers an output of scores has for each input. With another number of labels, some
    class has a wrong name. Name the right list, or leave `labels` out. A network that gives more numbers than there are
    labels, and whose first numbers are those of the list, states how many: `{vocabulary: imagenet-1k, classes: 1001}`.
    """
    listed, recipe = context.values.get("labels"), context.values.get("network")
    yield from _labels_of_their_own(context, listed)
    found = labels.of_value(listed)
    answer = recipe.get("known-answer") if isinstance(recipe, dict) else None
    outputs, meanings = answer.get("outputs") if isinstance(answer, dict) else None, context.values.get("outputs")
    if not found or not isinstance(outputs, list) or not isinstance(meanings, list) or len(meanings) != len(outputs):
        return
    for output, meaning in zip(outputs, meanings, strict=True):
        shape = output.get("shape") if isinstance(output, dict) else None
        scored = isinstance(meaning, dict) and str(meaning.get("axes", "")).endswith("K")
        if scored and isinstance(shape, list) and shape and shape[-1] != len(found):
            yield context.at(
                "/labels",
                f"there are {len(found):,} labels, and the network gives {shape[-1]:,} numbers",
                hint="name the list of labels that the network was trained with, or leave 'labels' out",
            )


def _labels_of_their_own(context: Context, listed: object) -> Iterator[Finding]:
    if isinstance(listed, list):
        first: dict[object, int] = {}
        for number, name in enumerate(listed):
            if isinstance(name, str) and first.setdefault(name, number) != number:
                yield context.at(
                    f"/labels/{number}",
                    f"the label {shown(name)} is there twice, for class {first[name]} and class {number}",
                    hint="write the names of the classes so that they can be told apart",
                )
    elif isinstance(listed, dict):
        known, count = labels.names(str(listed.get("vocabulary", ""))), listed.get("classes")
        if known is not None and type(count) is int and count < len(known):
            yield context.at(
                "/labels/classes",
                f"there are {len(known):,} labels, and {count:,} classes",
                hint="write how many numbers the network gives, or leave 'labels' out",
            )


@rule("HT607", Severity.ERROR)
def means_unlike_deviations(context: Context) -> Iterator[Finding]:
    """A step that normalises has as many means as standard deviations, and none of these is zero.

    Each channel has one of both. With another number, the step cannot be done.
    """
    steps = context.values.get("preprocessing")
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        normalize = step.get("normalize") if isinstance(step, dict) else None
        mean, deviation = (normalize.get("mean"), normalize.get("std")) if isinstance(normalize, dict) else (None, None)
        if not isinstance(mean, list) or not isinstance(deviation, list):
            continue
        pointer = f"/preprocessing/{index}/normalize"
        if len(mean) != len(deviation):
            told = f"there are {len(mean)} means and {len(deviation)} standard deviations"
            yield context.at(pointer, told, hint="write one of each for each channel")
        elif any(one == 0 for one in deviation):
            yield context.at(pointer, "a standard deviation is 0", hint="write the deviation of the channel's values")


@rule("HT608", Severity.ERROR)
def steps_out_of_place(context: Context) -> Iterator[Finding]:
    """The step `color` stands once, before all others, and `layout` once, behind all others.

    All other steps are of a picture in its colours with the channels last, and `hubtool run` refuses another order. To
    normalise each channel before the axes are put in order is the same as to do it afterwards.
    """
    steps = context.values.get("preprocessing")
    names = (
        [next(iter(one), None) if isinstance(one, dict) else None for one in steps] if isinstance(steps, list) else []
    )
    for name, right in (("color", 0), ("layout", len(names) - 1)):
        places = [place for place, one in enumerate(names) if one == name]
        for place in places:
            if place == right:
                continue
            told = "is there twice" if len(places) > 1 else "is not the first" if name == "color" else "is not the last"
            yield context.at(
                f"/preprocessing/{place}",
                f"the step {name} {told}",
                hint=f"write it once, as the {'first' if name == 'color' else 'last'} step",
            )
