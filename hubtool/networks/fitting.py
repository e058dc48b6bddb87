"""A card without a recipe that borrows none: the network of hubtool itself that its stored checkpoint fits.

MindSpore is not imported: the names and shapes of the tensors are read from the file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hubtool.card.model import Recipe
from hubtool.errors import CheckpointError
from hubtool.resolution import resolver
from hubtool.resolution.finding import Loan

if TYPE_CHECKING:
    from hubtool.resolution.resolver import Resolution


def resolve_fitted(resolution: Resolution) -> Resolution:
    """Return what it takes to load a card, with a network of hubtool itself where nothing else is known of it.

    It is that network if every tensor of the stored checkpoint has its place in it and no parameter is left, of this
    network alone. Where cards know two different recipes, a third is not guessed.

    Args:
        resolution: The resolver's answer for the card.
    """
    found, weights = resolution.found, resolution.weights
    if resolution.recipe is not None or found.unlent is None or found.contested or found.pin is not None:
        return resolution
    if weights is None or weights.stored is None or not weights.asset.is_weights:
        return resolution
    from hubtool.checkpoint.reading import read_header  # noqa: PLC0415 - few cards come here
    from hubtool.networks.builtin.match import match_only  # noqa: PLC0415 - as above

    try:
        fitting = match_only(read_header(weights.stored).shapes())
    except CheckpointError:
        return resolution  # loading says what is wrong with the file
    if fitting is None or isinstance(fitting, str):
        more = fitting or "its checkpoint fits no network of hubtool itself"
        found = replace(found, unlent=f"{found.unlent}; {more}")
    else:
        recipe = Recipe(provider="builtin", entry=fitting.entry, arguments=dict(fitting.arguments))
        why = "; ".join((f"taken from the stored checkpoint, whose tensors fit {fitting.entry} alone", *fitting.notes))
        found = replace(found, card=replace(found.card, recipe=recipe), loan=Loan(kind="tensors", why=why), unlent=None)
    return resolver.resolve(found, resolution.facts, device=resolution.device)
