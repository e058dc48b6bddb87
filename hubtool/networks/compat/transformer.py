"""The transformer of ``mindspore.nn.transformer`` on one device: without a past, without experts.

MindSpore 2.0 made it private, and 2.8 removed it. Parameters have the names that they had, and each step has its
precision: what is multiplied is float16.
"""

from __future__ import annotations

import math
from typing import Any

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer

from hubtool.errors import NetworkError

_FAR = -10000.0  # what is added to the score of a place that is masked


class LayerNorm(nn.Cell):
    """Normalisation over the last axis, as ``mindspore.nn.transformer.layers._LayerNorm``."""

    def __init__(self, normalized_shape: Any, eps: float = 1e-5, param_init_type: Any = mindspore.float32) -> None:  # noqa: ANN401 - the old signature
        super().__init__()
        self.layer_norm = ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=eps)
        self.gamma = Parameter(initializer("ones", normalized_shape, param_init_type), name="gamma")
        self.beta = Parameter(initializer("zeros", normalized_shape, param_init_type), name="beta")

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor
        """Normalise."""
        output, _, _ = self.layer_norm(x, self.gamma, self.beta)
        return output


class AttentionMask(nn.Cell):
    """The mask of a decoder: of each place, those before it that count."""

    def __init__(self, seq_length: int, parallel_config: Any = None) -> None:  # noqa: ANN401, ARG002 - the old signature
        super().__init__()
        self.lower = Tensor(np.tril(np.ones((1, seq_length, seq_length), np.float32)))

    def construct(self, input_mask: Any) -> Any:  # noqa: ANN401 - a tensor
        """Return the mask, of (batch, places, places), for one of (batch, places)."""
        counts = ops.not_equal(input_mask, 0).astype(mindspore.float16)
        both = ops.BatchMatMul()(counts.expand_dims(2), counts.expand_dims(1))
        return both * self.lower


class _Half(nn.Cell):
    """A linear layer whose product is float16."""

    def __init__(self, inner: int, outer: int, kind: Any, activation: Any = None, *, turned: bool = True) -> None:  # noqa: ANN401 - a type, and a cell
        super().__init__()
        self.outer = outer
        self.weight = Parameter(
            initializer("normal", [outer, inner] if turned else [inner, outer], kind), name="weight"
        )
        self.bias = Parameter(initializer("zeros", [outer], kind), name="bias")
        self.product = ops.MatMul(transpose_b=turned)
        self.activation = activation

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor
        shape, kind = x.shape, x.dtype
        x = x.reshape((-1, shape[-1])).astype(mindspore.float16)
        x = self.product(x, self.weight.astype(mindspore.float16)) + self.bias.astype(mindspore.float16)
        if self.activation is not None:
            x = self.activation(x)
        return x.astype(kind).reshape((*shape[:-1], self.outer))


class _Attention(nn.Cell):
    """Attention of a sequence to itself, with several heads."""

    def __init__(self, size: int, heads: int, drops: tuple[float, float], softmax: Any, kind: Any) -> None:  # noqa: ANN401 - types
        super().__init__()
        self.heads, self.head = heads, size // heads
        self.softmax_type = softmax
        self.projection = _Half(size, size, kind, turned=False)
        self.factor = Tensor(math.sqrt(math.sqrt(self.head)), mindspore.float32)
        self.dropout = nn.Dropout(p=drops[0])
        self.prob_dropout = nn.Dropout(p=drops[1])
        self.softmax = nn.Softmax()
        self.dense1 = _Half(size, size, kind)
        self.dense2 = _Half(size, size, kind)
        self.dense3 = _Half(size, size, kind)
        self.product = ops.BatchMatMul()

    def construct(self, x: Any, mask: Any) -> Any:  # noqa: ANN401 - tensors
        batch, length, size = x.shape
        shape = (batch, length, self.heads, self.head)
        query = self.dense1(x).reshape(shape).transpose((0, 2, 1, 3))
        key = self.dense2(x).reshape(shape).transpose((0, 2, 3, 1))
        value = self.dense3(x).reshape(shape).transpose((0, 2, 1, 3))
        factor = self.factor.astype(query.dtype)
        scores = self.product(query / factor, key / factor)
        wide = scores.astype(self.softmax_type)
        if mask is not None:
            mask = mask if mask.ndim == 4 else mask.expand_dims(1)
            wide = (1.0 - mask.astype(self.softmax_type)) * _FAR + wide
        chances = self.prob_dropout(self.softmax(wide).astype(scores.dtype))
        merged = self.product(chances, value).transpose((0, 2, 1, 3)).reshape((batch, length, size))
        return self.dropout(self.projection(merged)), (key, value)


class _Forward(nn.Cell):
    """The two linear layers after attention."""

    def __init__(self, size: int, wide: int, drop: float, activation: Any, kind: Any) -> None:  # noqa: ANN401 - a name or a class, and a type
        super().__init__()
        made = nn.get_activation(activation) if isinstance(activation, str) else activation()
        self.mapping = _Half(size, wide, kind, made, turned=False)
        self.projection = _Half(wide, size, kind, turned=False)
        self.dropout = nn.Dropout(p=drop)

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor
        return self.dropout(self.projection(self.mapping(x)))


class _Block(nn.Cell):
    """One layer of an encoder."""

    def __init__(self, size: int, attention: _Attention, output: _Forward, norm: Any, *, post: bool) -> None:  # noqa: ANN401 - a type
        super().__init__()
        self.layernorm1 = LayerNorm((size,)).to_float(norm)
        self.layernorm2 = LayerNorm((size,)).to_float(norm)
        self.attention = attention
        self.output = output
        self.post = post

    def construct(self, x: Any, mask: Any) -> Any:  # noqa: ANN401 - tensors
        inner = (x if self.post else self.layernorm1(x)).astype(mindspore.float16)
        attention, present = self.attention(inner, mask)
        x = (inner if self.post else x) + attention
        normal = self.layernorm2(x).astype(mindspore.float16)
        output = self.output(normal)
        return (self.layernorm1(normal + output) if self.post else x + output), present


class TransformerEncoder(nn.Cell):
    """Layers of attention of a sequence to itself, as ``mindspore.nn.transformer.TransformerEncoder``.

    Raises:
        NetworkError: If it is to keep a past, or has experts.
    """

    def __init__(  # noqa: PLR0917 - the old signature
        self,
        batch_size: Any,  # noqa: ANN401, ARG002 - only a past needs it
        num_layers: int,
        hidden_size: int,
        ffn_hidden_size: int,
        seq_length: int,  # noqa: ARG002 - only a past needs it
        num_heads: int,
        attention_dropout_rate: float = 0.1,
        hidden_dropout_rate: float = 0.1,
        hidden_act: Any = "gelu",  # noqa: ANN401 - a name or a class
        post_layernorm_residual: bool = False,  # noqa: FBT001, FBT002 - the old signature
        layernorm_compute_type: Any = mindspore.float32,  # noqa: ANN401 - a type
        softmax_compute_type: Any = mindspore.float32,  # noqa: ANN401 - a type
        param_init_type: Any = mindspore.float32,  # noqa: ANN401 - a type
        lambda_func: Any = None,  # noqa: ANN401, ARG002 - places layers on devices
        offset: int = 0,  # noqa: ARG002 - as above
        use_past: bool = False,  # noqa: FBT001, FBT002 - the old signature
        moe_config: Any = None,  # noqa: ANN401 - of experts
        parallel_config: Any = None,  # noqa: ANN401, ARG002 - places layers on devices
    ) -> None:
        super().__init__()
        if use_past or moe_config is not None:
            raise NetworkError(
                "mindspore.nn.transformer is gone, and its stand-in keeps no past and has no experts",
                hint="load the card with an older MindSpore",
            )
        drops = (hidden_dropout_rate, attention_dropout_rate)
        # Layers that join a list which the cell has already are named by their number alone.
        self.blocks = nn.CellList()
        for _ in range(num_layers):
            self.blocks.append(
                _Block(
                    hidden_size,
                    _Attention(hidden_size, num_heads, drops, softmax_compute_type, param_init_type),
                    _Forward(hidden_size, ffn_hidden_size, hidden_dropout_rate, hidden_act, param_init_type),
                    layernorm_compute_type,
                    post=post_layernorm_residual,
                )
            )

    def construct(self, hidden_states: Any, attention_mask: Any) -> Any:  # noqa: ANN401 - tensors
        """Return the states after the last layer, and of each layer its keys and values."""
        presents: tuple[Any, ...] = ()
        for block in self.blocks:
            hidden_states, present = block(hidden_states, attention_mask)
            presents = (*presents, present)
        return hidden_states, presents
