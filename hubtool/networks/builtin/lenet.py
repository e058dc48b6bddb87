"""LeNet, built in: a small classifier of pictures, all of whose sizes follow from its checkpoint.

After LeCun and others, Gradient-Based Learning Applied to Document Recognition (1998), with rectified units, pooling by
maximum, and one dense layer between the convolutions and the scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Final

import mindspore as ms
from mindspore import Tensor, nn, ops

from hubtool.errors import RecipeError
from hubtool.networks.builtin.bert import compute_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.checkpoint.coverage import Shape

_SHRUNK: Final = 4  # how many times smaller a side is behind both poolings


@dataclass(frozen=True, slots=True, kw_only=True)
class LeNetSizes:
    """The sizes of a network.

    Attributes:
        channels: Channels of a picture: 1 for grey, 3 for colours.
        first: Channels behind the first convolution.
        second: Channels behind the second.
        kernel: The side of both kernels; odd.
        side: The side of a picture in pixels, a multiple of 4.
        hidden: Width of the dense layer.
        classes: Number of classes.
    """

    channels: int
    first: int
    second: int
    kernel: int
    side: int
    hidden: int
    classes: int


def sizes_of(shapes: Mapping[str, Shape]) -> LeNetSizes:
    """Return the sizes of the network that a checkpoint is of.

    Args:
        shapes: The shapes of its tensors, by their names.

    Raises:
        RecipeError: If they are not those of such a network.
    """
    if not shapes:
        raise RecipeError(
            "the sizes of this network come from its checkpoint, which is not stored",
            hint="fetch the checkpoint first ('hubtool fetch UID')",
        )
    found = [tuple(shapes.get(f"{name}.weight", ())) for name in ("conv1", "conv2", "dense", "scores")]
    if [len(one) for one in found] == [4, 4, 2, 2]:
        conv1, conv2, dense, scores = found
        side = isqrt(dense[1] // conv2[0]) if conv2[0] else 0
        fits = (
            conv1[2] == conv1[3] == conv2[2] == conv2[3]
            and conv1[2] % 2 == 1
            and conv2[1] == conv1[0]
            and dense[1] == conv2[0] * side * side
            and scores[1] == dense[0]
            and min(*conv1, *conv2, *dense, *scores, side) > 0
        )
        if fits:
            return LeNetSizes(
                channels=conv1[1],
                first=conv1[0],
                second=conv2[0],
                kernel=conv1[2],
                side=_SHRUNK * side,
                hidden=dense[0],
                classes=scores[0],
            )
    raise RecipeError(
        "the checkpoint's tensors are not those of the built-in network lenet",
        hint="it has conv1, conv2, dense and scores, each with weight and bias",
    )


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
        self.conv1 = nn.Conv2d(sizes.channels, sizes.first, sizes.kernel, pad_mode="same", has_bias=True)
        self.conv2 = nn.Conv2d(sizes.first, sizes.second, sizes.kernel, pad_mode="same", has_bias=True)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.dense = nn.Dense(sizes.second * (sizes.side // _SHRUNK) ** 2, sizes.hidden)
        self.scores = nn.Dense(sizes.hidden, sizes.classes)
        for cell in (self.conv1, self.conv2, self.dense, self.scores):
            compute_in(cell, compute_type)

    def construct(self, x: Tensor) -> Tensor:
        """Return the scores; see the class."""
        x = self.pool(ops.relu(self.conv1(x)))
        x = self.pool(ops.relu(self.conv2(x)))
        x = ops.relu(self.dense(ops.flatten(x)))
        return ops.cast(self.scores(x), ms.float32)
