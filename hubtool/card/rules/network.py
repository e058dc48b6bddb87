"""HT6xx: what the recipe says of the network."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hubtool.card import known_answer, vocabulary
from hubtool.card.model import CLASS_COUNTS
from hubtool.card.rules.base import rule
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
