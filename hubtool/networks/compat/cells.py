"""Cells and operators that MindSpore 2.x removed, built from those it has."""

from __future__ import annotations

import math
from typing import Any

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.common import initializer as initializers
from mindspore.nn.layer import image


class ResizeBilinearOp(nn.Cell):
    """Bilinear resizing to a fixed size, as ``ops.ResizeBilinear(size, align_corners, half_pixel_centers)``.

    Input and output are (N, C, H, W) of floats.
    """

    def __init__(self, size: Any, align_corners: bool = False, half_pixel_centers: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 - the old signature
        super().__init__()
        self.size = tuple(int(side) for side in size)
        self.resize = ops.ResizeBilinearV2(align_corners, half_pixel_centers)

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor
        """Resize."""
        return self.resize(x, self.size)


class ResizeBilinear(nn.Cell):
    """Bilinear resizing to a size or by a factor, as ``nn.ResizeBilinear(half_pixel_centers)``.

    Input and output are (N, C, H, W) of floats.
    """

    def __init__(self, half_pixel_centers: bool = False) -> None:  # noqa: FBT001, FBT002 - the old signature
        super().__init__()
        self.plain = ops.ResizeBilinearV2(False, half_pixel_centers)  # noqa: FBT003 - MindSpore's signature
        self.half_pixel_centers = half_pixel_centers
        # Both at once are refused by the operator: with aligned corners there are no half pixels.
        self.aligned = ops.ResizeBilinearV2(True, False)  # noqa: FBT003 - MindSpore's signature

    def construct(self, x: Any, size: Any = None, scale_factor: Any = None, align_corners: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the old signature
        """Resize to ``size`` (height, width) or by ``scale_factor``, a whole number."""
        shape = x.shape
        target = (shape[2] * scale_factor, shape[3] * scale_factor) if size is None else (int(size[0]), int(size[1]))
        if align_corners:
            return self.aligned(x, target)
        return self.plain(x, target)


def resize_nearest_neighbor(size: Any, align_corners: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the old signature
    """Return the operator that resizes to a fixed size, of which the whole part counts."""
    return ops.ResizeNearestNeighbor(tuple(int(side) for side in size), align_corners)


class CellList(nn.CellList):
    """A list of cells; the whole part of an index counts."""

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - an index or a slice
        return super().__getitem__(int(index) if isinstance(index, float) else index)


class MaxPool2d(nn.MaxPool2d):
    """Pooling whose window and stride may be quotients without a remainder, such as 4.0."""

    def __init__(self, kernel_size: Any = 1, stride: Any = 1, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the base
        super().__init__(_whole(kernel_size), _whole(stride), *args, **kwargs)


def _whole(value: Any) -> Any:  # noqa: ANN401 - a number or a tuple of numbers
    if isinstance(value, tuple):
        return tuple(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


class UpsamplingBilinear2d(nn.Cell):
    """Bilinear resizing with aligned corners, to a size or by a factor."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:  # noqa: ANN401 - numbers or pairs
        super().__init__()
        self.size, self.scale_factor = size, scale_factor
        self.resize = ops.ResizeBilinearV2(True, False)  # noqa: FBT003 - MindSpore's signature

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor
        """Resize."""
        size = self.size
        if size is None:
            size = (x.shape[2] * self.scale_factor, x.shape[3] * self.scale_factor)
        return self.resize(x, size)


class Dropout(nn.Dropout):
    """Dropout whose probability may be any number."""

    def __init__(self, keep_prob: Any = 0.5, p: Any = None, dtype: Any = None) -> None:  # noqa: ANN401 - numbers of any type
        more = {} if dtype is None else {"dtype": dtype}
        if p is None:
            super().__init__(keep_prob=float(keep_prob), **more)
        else:
            super().__init__(p=float(p), **more)


class EmbeddingLookup(nn.EmbeddingLookup):
    """A lookup that accepts a cache size; without a parameter server there is no cache."""

    def __init__(self, *args: Any, vocab_cache_size: int = 0, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 - the old signature
        super().__init__(*args, **kwargs)


def _number(kwargs: Any, args: Any) -> tuple[Any, Any]:  # noqa: ANN401 - arguments of a recurrent cell
    """Return the arguments of a recurrent cell with its dropout, the sixth, as a float."""
    if "dropout" in kwargs:
        kwargs = {**kwargs, "dropout": float(kwargs["dropout"])}
    if len(args) > _DROPOUT:
        args = (*args[:_DROPOUT], float(args[_DROPOUT]), *args[_DROPOUT + 1 :])
    return args, kwargs


_DROPOUT = 5


class GRU(nn.GRU):
    """A GRU whose dropout may be any number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the old signature
        args, kwargs = _number(kwargs, args)
        super().__init__(*args, **kwargs)


class LSTM(nn.LSTM):
    """An LSTM whose dropout may be any number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the old signature
        args, kwargs = _number(kwargs, args)
        super().__init__(*args, **kwargs)


class RNN(nn.RNN):
    """A plain recurrent network whose dropout may be any number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the old signature
        args, kwargs = _number(kwargs, args)
        super().__init__(*args, **kwargs)


class SSIM(nn.SSIM):
    """The structural similarity of two batches of images; today's converts a number in a way that is refused."""

    def construct(self, img1: Any, img2: Any) -> Any:  # noqa: ANN401 - tensors
        """Compare."""
        one, other = (x.astype("float32") for x in (img1, img2))
        constants = [float(k * self.max_val) ** 2 for k in (self.k1, self.k2)]
        similar, _ = image._compute_multi_channel_loss(  # noqa: SLF001 - the computation itself is unchanged
            *constants, one, other, self.conv, self.concat, self.reduce_mean
        )
        return self.reduce_mean(similar, -1)


class PSNR(nn.PSNR):
    """The ratio of signal to noise of two batches of images; today's converts a number in a way that is refused."""

    def construct(self, img1: Any, img2: Any) -> Any:  # noqa: ANN401 - tensors
        """Compare."""
        kind = np.dtype(str(img1.dtype).lower())
        largest = float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
        difference = (img1.astype("float32") - img2.astype("float32")) / largest
        error = ops.ReduceMean()(ops.square(difference), (-3, -2, -1))
        return 10 * ops.log((self.max_val / largest) ** 2 / error) / math.log(10)


def ms_function(fn: Any = None, input_signature: Any = None, hash_args: Any = None, jit_config: Any = None) -> Any:  # noqa: ANN401, ARG001 - the old signature
    """Compile a function, as ``mindspore.jit``, whose first argument has another name and whose others are gone."""
    return mindspore.jit if fn is None else mindspore.jit(fn)


def initializer(init: Any, shape: Any = None, dtype: Any = None) -> Any:  # noqa: ANN401 - the old signature
    """Return the tensor of an initialiser, with the old method ``to_tensor``, and which can be reshaped before use."""
    more = {} if dtype is None else {"dtype": dtype}
    tensor = initializers.initializer(init, shape, **more)

    def to_tensor() -> Any:  # noqa: ANN401 - a tensor
        return tensor.init_data() if tensor.has_init else tensor

    def reshape(*shape: Any) -> Any:  # noqa: ANN401 - numbers, or a tuple of them; a tensor
        return mindspore.Tensor.reshape(to_tensor(), *shape)

    tensor.to_tensor = to_tensor
    tensor.reshape = reshape
    return tensor


def random_normal(shape: Any) -> Tensor:  # noqa: ANN401 - a shape
    """Return a tensor of random numbers, normally distributed."""
    return initializers.initializer(initializers.Normal(1.0), shape)


def shape(x: Any) -> tuple[int, ...]:  # noqa: ANN401 - a tensor
    """Return a tensor's shape."""
    return tuple(x.shape)
