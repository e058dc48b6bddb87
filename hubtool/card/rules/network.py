"""HT6xx: what the recipe says of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.card import known_answer
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
            known_answer.parse(answer)
        except RecipeError as error:
            yield context.at(pointer, error.message, hint="measure it again: hubtool verify CARD --record")
