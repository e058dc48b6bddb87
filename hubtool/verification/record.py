"""Measure a known answer, and write it into the card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubtool.card import model, rewrite
from hubtool.card.files import read_card_file
from hubtool.card.known_answer import parse_input
from hubtool.errors import ArgumentError, CardError, RecipeError
from hubtool.verification import rule
from hubtool.verification.card_file import card_file
from hubtool.verification.verify import NoAnswerError, measure, recipe_inputs, recorded, small_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hubtool.card.known_answer import InputSpec, KnownAnswer
    from hubtool.hub import Hub


def record(hub: Hub, name: str, *, weights: bool = False, **options: Any) -> tuple[KnownAnswer, Path]:  # noqa: ANN401
    """Measure what the network of a card computes, and write that into the card.

    Such an answer shows on other machines and versions that nothing changed; it does not show that the recipe is right.

    Args:
        hub: Settings, registries and store.
        name: The path of a card, or a UID.
        weights: Whether the network has the weights of its checkpoint.
        **options: Options of :func:`hubtool.verification.verify.measure`.

    Returns:
        The answer, and the card's file.

    Raises:
        RecipeError: If the card has no recipe.
        CardError: If it cannot be read or written.
        HubError: If the network cannot be built or run, or draws random numbers.
    """
    path, local = card_file(hub, name)
    card = hub.find(name, local=local).card
    recipe = card.recipe
    if recipe is None:
        raise RecipeError(f"the card {name} has no recipe", hint="add 'network', which says how its network is built")
    before = recipe.weights_answer if weights else recipe.known_answer
    stated = before.get("arguments", {}) if before is not None and recipe.provider == "builtin" else {}
    arguments = stated if isinstance(stated, dict) else {}
    inputs = small_inputs(recipe_inputs(recipe))
    first: NoAnswerError | None = None
    for gain, bound in rule.TRIES:
        tried = [_widened(each, bound) for each in inputs]
        try:
            measured = measure(
                hub, name, inputs=tried, gain=gain, arguments=arguments, weights=weights, recording=True, **options
            )
            answer = recorded(measured, recipe, arguments=arguments, gain=gain)
        except NoAnswerError as error:
            first = first or error
            if weights:
                break  # no gain changes the values of a checkpoint
        else:
            write(path, {"weights-answer" if weights else "known-answer": answer.as_json()})
            return answer, path
    raise first or AssertionError


def _widened(inputs: Sequence[InputSpec], bound: float | None) -> tuple[InputSpec, ...]:
    return tuple(map(parse_input, rule.widened([one.as_json() for one in inputs], bound)))


def write(path: Path, members: dict[str, Any]) -> None:
    """Write members of the recipe into the file of a card, all or nothing.

    Raises:
        CardError: If it cannot be read or written.
        ArgumentError: If it has no recipe.
    """
    try:
        status, data = read_card_file(str(path))
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    card = model.read(data, path=path)
    network = card.values.get("network")
    if not isinstance(network, dict):
        raise ArgumentError(f"the card {path} has no recipe")
    text = rewrite.with_recipe(data.decode("utf-8"), {**network, **members}, card.text("repo-revision"))
    problem = rewrite.write_back(path, text.encode("utf-8"), status, root=None)
    if problem is not None:
        raise CardError(f"{path}: {problem}")
