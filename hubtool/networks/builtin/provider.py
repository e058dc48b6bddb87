"""The network provider ``builtin``: recipes whose networks are part of hubtool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubtool.networks.builtin import build, infer
from hubtool.networks.provider import Built

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.model import Recipe
    from hubtool.coverage import Shape
    from hubtool.networks.builtin import BertConfig

_EXAMPLE_LENGTH = 128
_EXAMPLE_MASKED = 20


class BuiltinProvider:
    """Builds the BERT family."""

    def build(
        self,
        recipe: Recipe,
        *,
        shapes: Mapping[str, Shape],
        overrides: Mapping[str, object],
        compute_type: str,
    ) -> Built:
        """Build a network; see :meth:`hubtool.networks.provider.Provider.build`."""
        inferred = infer(recipe.entry, recipe.arguments, shapes, overrides=overrides)
        return Built(
            network=build(recipe.entry, inferred.config, compute_type=compute_type),
            prefix=inferred.prefix,
            notes=inferred.notes,
            example=lambda: example(recipe.entry, inferred.config),
        )


def example(entry: str, config: BertConfig) -> tuple[Any, ...]:
    """Return tensors that a network can be called with: one sequence of random tokens, always the same."""
    import numpy as np  # noqa: PLC0415
    from mindspore import Tensor  # noqa: PLC0415

    # Relative positions know no longest sequence.
    length = _EXAMPLE_LENGTH if config.use_relative_positions else min(_EXAMPLE_LENGTH, config.max_position_embeddings)
    numbers = np.random.default_rng(0)
    ids = numbers.integers(0, config.vocab_size, (1, length)).astype(np.int32)
    mask = np.ones((1, length), np.int32)
    types = np.zeros((1, length), np.int32)
    inputs = [ids, types, mask] if entry == "bert" else [ids, mask, types]
    tensors = [Tensor(array) for array in inputs]
    if entry == "bert-pretraining":
        # Third from last come the next-sentence labels, which only training needs.
        tensors += [None, Tensor(np.arange(min(_EXAMPLE_MASKED, length), dtype=np.int32)[None])]
    return tuple(tensors)
