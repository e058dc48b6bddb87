"""The encoder of the BERT family for MindSpore 2.x; with relative positions it is NEZHA.

Written from the mathematics (Devlin et al. 2018, arXiv 1810.04805; Shaw et al. 2018, arXiv 1803.02155, for the
relative positions that Wei et al. 2019, arXiv 1909.00204, use) and the family's parameter names. Shapes in comments
and docstrings: B batch, S sequence length, H hidden size, N heads, D = H / N.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from mindspore import Tensor

    from hubtool.networks.builtin.config import BertConfig

# What a masked position's attention score is lowered by; the family's value, and one that float16 can hold.
_MASKED = -10000.0
# The family's networks normalise with this term, not with the 1e-12 of the first BERT.
EPSILON = 1e-7


def compute_in(cell: nn.Cell, compute_type: str) -> nn.Cell:
    """Let a cell cast its inputs to a type before it computes; float32 needs no cast."""
    return cell if compute_type == "float32" else cell.to_float(getattr(ms, compute_type))


def dense(
    inputs: int, outputs: int, config: BertConfig, compute_type: str, *, activation: str | None = None
) -> nn.Cell:
    """Make a dense layer whose new weights are drawn as the family draws them."""
    layer = nn.Dense(
        inputs,
        outputs,
        weight_init=TruncatedNormal(config.initializer_range),
        bias_init="zeros",
        activation=activation,
    )
    return compute_in(layer, compute_type)


class CheckedCell(nn.Cell):
    """A network that checks the shapes of what it is called with, before MindSpore compiles or runs anything.

    Args:
        max_length: The longest sequence the network can take, or None where there is no such bound.
    """

    def __init__(self, max_length: int | None) -> None:
        super().__init__()
        self.max_length = max_length

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - each network returns something else
        """Check the first three inputs, all (B, S), and run the network.

        Raises:
            ArgumentError: Shapes that are not (B, S), differ, or are longer than the positions of the network.
        """
        shapes = [tuple(value.shape) for value in args[:3] if isinstance(value, ms.Tensor)]
        if shapes:
            self._check(shapes)
        return super().__call__(*args, **kwargs)

    def _check(self, shapes: list[tuple[int, ...]]) -> None:
        for shape in shapes:
            if len(shape) != 2 or shape != shapes[0]:
                shown = ", ".join(str(each) for each in shapes)
                raise ArgumentError(
                    f"the network takes token ids, mask and token types of one shape (batch, length); got {shown}"
                )
        length = shapes[0][1]
        if self.max_length is not None and length > self.max_length:
            raise ArgumentError(
                f"a sequence of {length} tokens is longer than the {self.max_length} positions of the network",
                hint=f"cut the text, or split it into pieces of at most {self.max_length} tokens",
            )


class Embeddings(nn.Cell):
    """Add token types and, unless positions are relative, positions to word vectors; then normalise."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        table = TruncatedNormal(config.initializer_range)
        self.token_type_embedding = nn.Embedding(config.type_vocab_size, config.hidden_size, embedding_table=table)
        # With relative positions it is not used, but the family's checkpoints hold it all the same.
        self.full_position_embedding = nn.Embedding(
            config.max_position_embeddings, config.hidden_size, embedding_table=table
        )
        self.layernorm = nn.LayerNorm((config.hidden_size,), epsilon=EPSILON)
        self.dropout = nn.Dropout(p=config.hidden_dropout_prob)
        self.absolute = not config.use_relative_positions

    def construct(self, token_type_ids: Tensor, words: Tensor) -> Tensor:
        """Turn word vectors (B, S, H) into embeddings (B, S, H)."""
        total = words + self.token_type_embedding(token_type_ids)
        if self.absolute:
            length = ops.shape(words)[1]
            total = total + self.full_position_embedding.embedding_table[:length]
        return self.dropout(self.layernorm(total))


class RelativePositions(nn.Cell):
    """Look up a vector for the distance between every two positions.

    Distances beyond ``max_relative_position``, to either side, share one vector.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.reach = config.max_relative_position
        self.embeddings_table = Parameter(
            initializer(TruncatedNormal(config.initializer_range), [2 * self.reach + 1, config.head_size])
        )

    def construct(self, length: int) -> Tensor:
        """Return (S, S, D): for row i and column j the vector of the distance j - i."""
        places = ops.cast(ops.arange(0, length, 1), ms.int32)
        distance = ops.expand_dims(places, 0) - ops.expand_dims(places, 1)
        return ops.gather(self.embeddings_table, ops.clamp(distance, -self.reach, self.reach) + self.reach, 0)


class Attention(nn.Cell):
    """Multi-head scaled dot-product self-attention, without the dense layer behind it."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.heads = config.num_attention_heads
        self.head_size = config.head_size
        self.hidden_size = hidden
        self.scale = 1.0 / math.sqrt(config.head_size)
        self.query_layer = dense(hidden, hidden, config, compute_type)
        self.key_layer = dense(hidden, hidden, config, compute_type)
        self.value_layer = dense(hidden, hidden, config, compute_type)
        self.dropout = nn.Dropout(p=config.attention_probs_dropout_prob)
        self.product = ops.BatchMatMul()
        self.product_transposed = ops.BatchMatMul(transpose_b=True)
        self.softmax = ops.Softmax(axis=-1)
        self.relative = config.use_relative_positions
        if self.relative:
            # The name is the family's; checkpoints hold it.
            self._generate_relative_positions_embeddings = RelativePositions(config)

    def split(self, vectors: Tensor, length: int) -> Tensor:
        """Turn (B, S, H) into (B, N, S, D)."""
        return ops.transpose(ops.reshape(vectors, (-1, length, self.heads, self.head_size)), (0, 2, 1, 3))

    def per_place(self, left: Tensor, length: int, width: int) -> Tensor:
        """Turn (B, N, S, width) into (S, B * N, width): what belongs to one position becomes one matrix."""
        return ops.reshape(ops.transpose(left, (2, 0, 1, 3)), (length, -1, width))

    def per_head(self, right: Tensor, length: int, width: int) -> Tensor:
        """Undo :meth:`per_place`: (S, B * N, width) into (B, N, S, width)."""
        return ops.transpose(ops.reshape(right, (length, -1, self.heads, width)), (1, 2, 0, 3))

    def construct(self, states: Tensor, lowering: Tensor) -> Tensor:
        """Mix the states (B, S, H); ``lowering`` (B, 1, 1, S) is added to the scores."""
        length = ops.shape(states)[1]
        query = self.split(self.query_layer(states), length)
        key = self.split(self.key_layer(states), length)
        value = self.split(self.value_layer(states), length)
        scores = self.product_transposed(query, key)
        if self.relative:
            between = ops.cast(self._generate_relative_positions_embeddings(length), query.dtype)
            reached = self.product_transposed(self.per_place(query, length, self.head_size), between)
            scores = scores + self.per_head(reached, length, length)
        weights = self.softmax(scores * self.scale + ops.cast(lowering, scores.dtype))
        weights = self.dropout(weights)
        mixed = self.product(weights, value)
        if self.relative:
            carried = self.product(self.per_place(weights, length, length), between)
            mixed = mixed + self.per_head(carried, length, self.head_size)
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, length, self.hidden_size))


class Residual(nn.Cell):
    """A dense layer, the residual connection around what came before it, and the normalisation."""

    def __init__(self, inputs: int, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        self.dense = dense(inputs, config.hidden_size, config, compute_type)
        self.dropout = nn.Dropout(p=config.hidden_dropout_prob)
        self.layernorm = compute_in(nn.LayerNorm((config.hidden_size,), epsilon=EPSILON), compute_type)

    def construct(self, states: Tensor, before: Tensor) -> Tensor:
        """Turn (B, S, inputs) and (B, S, H) into (B, S, H)."""
        return self.layernorm(before + self.dropout(self.dense(states)))


class SelfAttention(nn.Cell):
    """Attention and the residual behind it."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        self.attention = Attention(config, compute_type)
        self.output = Residual(config.hidden_size, config, compute_type)

    def construct(self, states: Tensor, lowering: Tensor) -> Tensor:
        """Turn (B, S, H) into (B, S, H)."""
        return self.output(self.attention(states, lowering), states)


class Layer(nn.Cell):
    """One encoder layer: self-attention, then two dense layers with an activation between them."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        self.attention = SelfAttention(config, compute_type)
        self.intermediate = dense(
            config.hidden_size, config.intermediate_size, config, compute_type, activation=config.hidden_act
        )
        self.output = Residual(config.intermediate_size, config, compute_type)

    def construct(self, states: Tensor, lowering: Tensor) -> Tensor:
        """Turn (B, S, H) into (B, S, H)."""
        attended = self.attention(states, lowering)
        return self.output(self.intermediate(attended), attended)


class Encoder(nn.Cell):
    """All layers, one after the other."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        self.layers = nn.CellList([Layer(config, compute_type) for _ in range(config.num_hidden_layers)])

    def construct(self, states: Tensor, lowering: Tensor) -> Tensor:
        """Turn (B, S, H) into (B, S, H)."""
        for layer in self.layers:
            states = layer(states, lowering)
        return states


class BertModel(CheckedCell):
    """The encoder with its pooler: ``bert``.

    Args:
        config: Sizes and switches.
        compute_type: Type that the encoder computes in; weights and results are float32.
    """

    def __init__(self, config: BertConfig, *, compute_type: str = "float32") -> None:
        super().__init__(None if config.use_relative_positions else config.max_position_embeddings)
        self.compute_type = getattr(ms, compute_type)
        self.bert_embedding_lookup = nn.Embedding(
            config.vocab_size, config.hidden_size, embedding_table=TruncatedNormal(config.initializer_range)
        )
        self.bert_embedding_postprocessor = Embeddings(config)
        self.bert_encoder = Encoder(config, compute_type)
        self.dense = dense(config.hidden_size, config.hidden_size, config, compute_type, activation="tanh")

    def construct(self, input_ids: Tensor, token_type_ids: Tensor, input_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode sequences.

        Args:
            input_ids: Token ids, int32 (B, S).
            token_type_ids: Token types, int32 (B, S).
            input_mask: 1 for a token and 0 for padding, int32 (B, S).

        Returns:
            The token vectors (B, S, H), the pooled vector of the first token (B, H), and the embedding table
            (vocabulary, H); all float32.
        """
        words = self.bert_embedding_lookup(input_ids)
        states = ops.cast(self.bert_embedding_postprocessor(token_type_ids, words), self.compute_type)
        mask = ops.cast(ops.expand_dims(ops.expand_dims(input_mask, 1), 1), ms.float32)
        encoded = ops.cast(self.bert_encoder(states, (1.0 - mask) * _MASKED), ms.float32)
        pooled = ops.cast(self.dense(encoded[:, 0]), ms.float32)
        return encoded, pooled, self.bert_embedding_lookup.embedding_table.value()
