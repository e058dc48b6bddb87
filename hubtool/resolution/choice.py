"""Choose the asset of a card that is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubtool.card.model import Asset, Card


def choose_weights(card: Card) -> Asset | None:
    """Return the asset that holds the weights: the first checkpoint with a digest, else the first checkpoint."""
    checkpoints = [asset for asset in card.assets if asset.is_weights]
    return next((asset for asset in checkpoints if asset.digest), checkpoints[0] if checkpoints else None)


def choose_graph(card: Card) -> Asset | None:
    """Return the asset that holds a whole network: a MindIR if there is one, else the first other graph.

    None if the card has a checkpoint, which is loaded instead.
    """
    if choose_weights(card) is not None:
        return None
    graphs = [asset for asset in card.assets if asset.runner is not None]
    return next((asset for asset in graphs if asset.is_mindir), graphs[0] if graphs else None)
