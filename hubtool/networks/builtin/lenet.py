"""LeNet, built in: a small classifier of pictures, all of whose sizes follow from its checkpoint.

After LeCun and others, Gradient-Based Learning Applied to Document Recognition (1998), with rectified units, pooling by
maximum, and one dense layer between the convolutions and the scores.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from hubtool.errors import ArgumentError
from hubtool.networks.builtin.bert import compute_in
from hubtool.networks.builtin.lenet_sizes import SHRUNK, LeNetSizes

__all__ = ["LeNet", "LeNetSizes"]


class LeNet(nn.Cell):
    """Scores of classes for pictures.

    Args:
        sizes: Its sizes.
        compute_type: The type that convolutions and dense layers compute in.

    Inputs:
        - x: float32 of the shape (N, channels, side, side).

    Outputs:
        float32 of the shape (N, classes): a score of each class, the softmax of which is its probability.
    """

    def __init__(self, sizes: LeNetSizes, *, compute_type: str = "float32") -> None:
        super().__init__()
        self.shape = (sizes.channels, sizes.side, sizes.side)
        self.conv1 = nn.Conv2d(sizes.channels, sizes.first, sizes.kernel, pad_mode="same", has_bias=True)
        self.conv2 = nn.Conv2d(sizes.first, sizes.second, sizes.kernel, pad_mode="same", has_bias=True)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.dense = nn.Dense(sizes.second * (sizes.side // SHRUNK) ** 2, sizes.hidden)
        self.scores = nn.Dense(sizes.hidden, sizes.classes)
        for cell in (self.conv1, self.conv2, self.dense, self.scores):
            compute_in(cell, compute_type)

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - a tensor, which is Any to mypy
        """Check the shape of the pictures before MindSpore sees them, and run the network.

        Raises:
            ArgumentError: Pictures of another size, or with other channels.
        """
        if args and isinstance(args[0], ms.Tensor) and tuple(args[0].shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise ArgumentError(f"the network takes pictures (batch, {wanted}); got {tuple(args[0].shape)}")
        return super().__call__(*args, **kwargs)

    def construct(self, x: Tensor) -> Tensor:
        """Return the scores; see the class."""
        x = self.pool(ops.relu(self.conv1(x)))
        x = self.pool(ops.relu(self.conv2(x)))
        x = ops.relu(self.dense(ops.flatten(x)))
        return ops.cast(self.scores(x), ms.float32)
