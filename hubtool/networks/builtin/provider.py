"""The network provider ``builtin``: recipes whose networks are part of hubtool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubtool.card.known_answer import InputSpec
from hubtool.errors import ArgumentTypeError, RecipeError
from hubtool.networks.builtin import build, infer
from hubtool.networks.builtin.arguments import ARGUMENTS
from hubtool.networks.builtin.inference import SIZES
from hubtool.networks.builtin.lenet_sizes import LENET, infer_lenet
from hubtool.networks.provider import BuiltNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.model import Recipe
    from hubtool.checkpoint.coverage import Shape
    from hubtool.networks.builtin import BertConfig
    from hubtool.networks.provider import BuildRequest

_EXAMPLE_LENGTH = 128
_EXAMPLE_MASKED = 20


class BuiltinProvider:
    """Builds the BERT family, and LeNet."""

    def build(
        self,
        recipe: Recipe,
        *,
        shapes: Mapping[str, Shape],
        asked: BuildRequest,
        compute_type: str,
    ) -> BuiltNetwork:
        """Build a network; see :meth:`hubtool.networks.provider.Provider.build`."""
        if asked.positional:
            raise ArgumentTypeError(
                f"the built-in network {recipe.entry} takes its arguments by name, but {len(asked.positional)} were "
                "given without one",
                hint="give them by name, such as num_labels=9",
            )
        if recipe.entry == LENET:
            return _lenet(recipe, shapes, asked, compute_type)
        if not shapes:
            _check_sizes(recipe, asked.arguments)
        overruling = ARGUMENTS if not asked.pretrained else () if asked.strict else ("num_labels",)
        inferred = infer(recipe.entry, recipe.arguments, shapes, overrides=asked.arguments, overruling=overruling)
        network = build(recipe.entry, inferred.config, compute_type=compute_type)
        return BuiltNetwork(
            network=network,
            prefix=inferred.prefix,
            notes=inferred.notes,
            example=lambda: example(recipe.entry, inferred.config),
            inputs=inputs_of(recipe.entry, inferred.config),
            scores=network.bert if inferred.config.use_crf else None,
        )


def _lenet(recipe: Recipe, shapes: Mapping[str, Shape], asked: BuildRequest, compute_type: str) -> BuiltNetwork:
    overruling = not (asked.pretrained and asked.strict)
    sizes, prefix, notes = infer_lenet(recipe.arguments, shapes, overrides=asked.arguments, overruling=overruling)
    spec = InputSpec(name="x", shape=(1, sizes.channels, sizes.side, sizes.side), dtype="float32")
    return BuiltNetwork(
        network=build(recipe.entry, sizes, compute_type=compute_type),
        prefix=prefix,
        notes=notes,
        example=lambda: _picture(spec.shape),
        inputs=(spec,),
    )


def _picture(shape: tuple[int, ...]) -> tuple[Any, ...]:
    import numpy as np  # noqa: PLC0415
    from mindspore import Tensor  # noqa: PLC0415

    return (Tensor(np.random.default_rng(0).random(shape, np.float32)),)


def _check_sizes(recipe: Recipe, arguments: Mapping[str, object]) -> None:
    """Refuse to guess sizes: the network would differ from the card's.

    Raises:
        RecipeError: If neither the recipe nor the caller states a size that the checkpoint would.
    """
    # All networks of the family have two token types.
    known = {*recipe.arguments, *arguments, "type_vocab_size"}
    missing = [name for name in SIZES if name not in known]
    if missing:
        raise RecipeError(
            f"the sizes of this network come from its checkpoint, which is not stored: {', '.join(missing)}",
            hint="fetch the checkpoint first ('hubtool fetch UID'), or give these sizes as arguments",
        )


def example(entry: str, config: BertConfig) -> tuple[Any, ...]:
    """Return tensors that a network can be called with: one sequence of random tokens, always the same."""
    import numpy as np  # noqa: PLC0415
    from mindspore import Tensor  # noqa: PLC0415

    length = _length(config)
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


def inputs_of(entry: str, config: BertConfig) -> tuple[InputSpec, ...]:
    """Return what a known answer calls a network with: one sequence of tokens of the whole vocabulary, none masked."""
    shape = (1, _length(config))
    ids = InputSpec(name="input_ids", shape=shape, dtype="int32", low=0, high=config.vocab_size - 1)
    mask = InputSpec(name="input_mask", shape=shape, dtype="int32", low=1, high=1)
    types = InputSpec(name="token_type_id", shape=shape, dtype="int32", low=0, high=config.type_vocab_size - 1)
    if entry == "bert-pretraining":
        positions = InputSpec(
            name="masked_lm_positions",
            shape=(1, min(_EXAMPLE_MASKED, shape[1])),
            dtype="int32",
            low=0,
            high=shape[1] - 1,
        )
        labels = InputSpec(name="next_sentence_labels", shape=(1, 1), dtype="int32")
        return ids, mask, types, labels, positions
    return (ids, types, mask) if entry == "bert" else (ids, mask, types)


def _length(config: BertConfig) -> int:
    """Return the number of tokens of an example; relative positions have no longest sequence."""
    return _EXAMPLE_LENGTH if config.use_relative_positions else min(_EXAMPLE_LENGTH, config.max_position_embeddings)
