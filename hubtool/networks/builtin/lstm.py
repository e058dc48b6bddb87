"""A bidirectional LSTM layer under the parameter names of ``mindspore.nn.LSTM``.

``nn.LSTM`` itself draws its weights with NumPy when it is made, which cannot be skipped where a checkpoint follows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import Uniform, initializer

if TYPE_CHECKING:
    from collections.abc import Sequence


@ms.jit
def recur(projected: Tensor, weight: Tensor) -> Tensor:
    """Run an LSTM step by step, with plain operations that every device has.

    Args:
        projected: The inputs' share of the gates, biases included, float32 (S, B, 4 * W); gates in the order
            input, forget, cell, output.
        weight: The recurrent weights, float32 (4 * W, W).

    Returns:
        The states, float32 (S, B, W).
    """
    width = weight.shape[1]
    length = ops.shape(projected)[0]
    states = ops.zeros_like(projected[:, :, :width])
    state = states[0]
    cell = states[0]
    place = Tensor(0, ms.int32)
    while place < length:
        gates = ops.gather(projected, place, 0) + ops.matmul(state, ops.transpose(weight, (1, 0)))
        kept = ops.sigmoid(gates[:, width : 2 * width]) * cell
        cell = kept + ops.sigmoid(gates[:, :width]) * ops.tanh(gates[:, 2 * width : 3 * width])
        state = ops.sigmoid(gates[:, 3 * width :]) * ops.tanh(cell)
        states = ops.tensor_scatter_update(states, ops.reshape(place, (1, 1)), ops.expand_dims(state, 0))
        place = place + 1
    return states


class BiLSTM(nn.Cell):
    """One LSTM in each direction, their states side by side.

    Args:
        inputs: Width of the inputs.
        width: Width of each direction's state, W.
        kernel: Whether to use MindSpore's LSTM kernel; by default where the device is a CPU, on which the kernel
            takes the weights in the order that is used here. Elsewhere the plain recurrence is used.
    """

    def __init__(self, inputs: int, width: int, *, kernel: bool | None = None) -> None:
        super().__init__()
        self.kernel = ms.get_context("device_target") == "CPU" if kernel is None else kernel
        self.width = width
        if self.kernel:
            self.lstm = ops.LSTM(inputs, width, num_layers=1, has_bias=True, bidirectional=False, dropout=0.0)
        bound = Uniform(1.0 / math.sqrt(width))

        def parameter(name: str, shape: Sequence[int]) -> Parameter:
            return Parameter(initializer(bound, list(shape)), name=name)

        self.weight_ih_l0 = parameter("weight_ih_l0", (4 * width, inputs))
        self.weight_ih_l0_reverse = parameter("weight_ih_l0_reverse", (4 * width, inputs))
        self.weight_hh_l0 = parameter("weight_hh_l0", (4 * width, width))
        self.weight_hh_l0_reverse = parameter("weight_hh_l0_reverse", (4 * width, width))
        self.bias_ih_l0 = parameter("bias_ih_l0", (4 * width,))
        self.bias_ih_l0_reverse = parameter("bias_ih_l0_reverse", (4 * width,))
        self.bias_hh_l0 = parameter("bias_hh_l0", (4 * width,))
        self.bias_hh_l0_reverse = parameter("bias_hh_l0_reverse", (4 * width,))

    def run(self, steps: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
        """Run one direction over steps (S, B, inputs); the states are (S, B, W)."""
        if not self.kernel:
            return recur(ops.matmul(steps, ops.transpose(weight, (1, 0))) + bias, recurrent)
        packed = ops.concat(
            (ops.reshape(weight, (-1, 1, 1)), ops.reshape(recurrent, (-1, 1, 1)), ops.reshape(bias, (-1, 1, 1)))
        )
        zeros = ops.zeros_like(steps[:1, :, :1]) + ops.zeros((1, 1, self.width), ms.float32)
        return self.lstm(steps, zeros, zeros, packed)[0]

    def construct(self, vectors: Tensor) -> Tensor:
        """Turn (B, S, inputs) into (B, S, 2 * W)."""
        steps = ops.transpose(vectors, (1, 0, 2))
        forward = self.run(steps, self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0 + self.bias_hh_l0)
        backward = self.run(
            ops.flip(steps, (0,)),
            self.weight_ih_l0_reverse,
            self.weight_hh_l0_reverse,
            self.bias_ih_l0_reverse + self.bias_hh_l0_reverse,
        )
        return ops.transpose(ops.concat((forward, ops.flip(backward, (0,))), 2), (1, 0, 2))
