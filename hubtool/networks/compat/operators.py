"""Operators and functions of MindSpore 1.x whose numbers or types are others today, and methods of its tensors.

What they gave is measured with MindSpore 2.0.0, which gave the same: see tests/oracles/bridge.py. Quotients as sides
are the exception: 2.0.0 refuses them, and code of r1.3 to r1.10 relies on them (``num_joints`` in
research/cv/centernet).
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as types

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE = (types.int8, types.int16, types.int32, types.int64, types.uint8, types.uint16, types.uint32, types.uint64)


class _Operator(nn.Cell):
    """An operator that is built from others; what a cluster needs to be told about operators is nothing here."""

    def shard(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - as of a primitive, not as of a cell
        """Do nothing: one process computes all."""
        return self

    def add_prim_attr(self, *_: Any) -> Any:  # noqa: ANN401 - the operator
        """Do nothing: attributes are for the compiler."""
        return self


class Cast(ops.Cast):
    """Conversion to another type, and of None to None: detectors cast the labels that only training gives."""

    def __call__(self, input_x: Any, dtype: Any) -> Any:  # noqa: ANN401 - a tensor, a number or None
        """Convert."""
        return None if input_x is None else super().__call__(input_x, dtype)


class Reshape(ops.Reshape):
    """Another shape, whose sides may be quotients without a remainder."""

    def __call__(self, input: Any, shape: Any) -> Any:  # noqa: A002, ANN401 - a tensor, and its shape
        """Give a tensor another shape."""
        return super().__call__(input, exact(shape))


class Tile(ops.Tile):
    """Copies of a tensor, as often as numbers say that may be quotients without a remainder."""

    def __call__(self, input: Any, multiples: Any) -> Any:  # noqa: A002, ANN401 - a tensor, and numbers
        """Copy it."""
        return super().__call__(input, exact(multiples))


def exact(numbers: Any) -> Any:  # noqa: ANN401 - numbers, or a tensor
    """Return numbers with those that are quotients without a remainder, such as 4.0, as whole numbers."""
    if isinstance(numbers, (list, tuple)) and any(isinstance(number, float) for number in numbers):
        return type(numbers)(
            int(number) if isinstance(number, float) and number.is_integer() else number for number in numbers
        )
    return numbers


def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """Multiply tensors along the last side of the first and the last but one of the second."""
    return ops.dot(x1, x2)


class ScalarToArray(_Operator):
    """A number as a tensor: an int32 or a float32."""

    def construct(self, number: Any) -> Any:  # noqa: ANN401 - a number and a tensor
        """Convert."""
        return Tensor(np.array(number, np.int32 if isinstance(number, int) else np.float32))


def scalar_to_array(number: Any) -> Any:  # noqa: ANN401 - a number and a tensor
    """Return a number as a tensor: an int32 or a float32."""
    return Tensor(np.array(number, np.int32 if isinstance(number, int) else np.float32))


class ScalarCast:
    """Conversion of a number to the values of another type, of any width."""

    def __call__(self, number: Any, dtype: Any) -> Any:  # noqa: ANN401 - numbers and types of MindSpore
        """Convert."""
        return scalar_cast(number, dtype)


def scalar_cast(input_x: Any, input_y: Any) -> Any:  # noqa: ANN401 - numbers and types of MindSpore
    """Return a number as a type holds it: 300 is 44 as an int8, and 0.1 is 0.09997559 as a float16."""
    return np.array(input_x).astype(str(input_y).lower()).item()


class ArgMaxWithValue(_Operator):
    """The largest values along an axis, and their places as int32."""

    def __init__(self, axis: int = 0, keep_dims: bool = False) -> None:  # noqa: FBT001, FBT002 - the old signature
        super().__init__()
        self.operator = ops.ArgMaxWithValue(axis, keep_dims)

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor, and two
        """Find them."""
        index, value = self.operator(x)
        return index.astype(types.int32), value


class ArgMinWithValue(_Operator):
    """The smallest values along an axis, and their places as int32."""

    def __init__(self, axis: int = 0, keep_dims: bool = False) -> None:  # noqa: FBT001, FBT002 - the old signature
        super().__init__()
        self.operator = ops.ArgMinWithValue(axis, keep_dims)

    def construct(self, x: Any) -> Any:  # noqa: ANN401 - a tensor, and two
        """Find them."""
        index, value = self.operator(x)
        return index.astype(types.int32), value


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:  # noqa: A002, ANN401 - the old signature
    """Divide; of whole numbers the fraction is dropped."""
    if rounding_mode is None:
        return ops.RealDiv()(input, other)
    return ops.div(input, other, rounding_mode=rounding_mode)


def operate(sign: str, left: Any, right: Any, in_place: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - of any types
    """Return ``left / right``, ``left *= right`` and so on, as they were where one side is a tensor.

    A list or a tuple of numbers became a tensor of the type of the other side, and the fraction of the quotient of
    whole numbers was dropped.

    Args:
        sign: The operator: ``/``, ``*``, ``%`` or ``**``.
        left: What stands on its left.
        right: What stands on its right.
        in_place: Whether it is ``/=`` and so on.
    """
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        left, right = _like(left, right), _like(right, left)
        if sign == "/" and _is_whole(left) and _is_whole(right):
            return ops.RealDiv()(left, right)
    plain, changing = _OPERATORS[sign]
    return (changing if in_place else plain)(left, right)


_OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "/": (operator.truediv, operator.itruediv),
    "*": (operator.mul, operator.imul),
    "%": (operator.mod, operator.imod),
    "**": (operator.pow, operator.ipow),
}


def _like(value: Any, other: Any) -> Any:  # noqa: ANN401 - any value
    """Return a list or a tuple of numbers as a tensor of the type of another one; other values as they are."""
    if not isinstance(value, (list, tuple)) or not isinstance(other, Tensor) or other.dtype == types.bool_:
        return value
    if any(isinstance(item, Tensor) for item in value):
        return value
    try:
        numbers = np.array(value)
    except ValueError:  # rows of different lengths
        return value
    return Tensor(numbers, other.dtype) if numbers.dtype.kind in "biuf" else value


def _is_whole(value: object) -> bool:
    return value.dtype in _WHOLE if isinstance(value, Tensor) else type(value) is int


def _repeat(tensor: Any, repeats: Any, axis: int | None = None) -> Any:  # noqa: ANN401 - a tensor
    return ops.repeat_interleave(tensor, list(repeats) if isinstance(repeats, tuple) else repeats, axis)


def _sum(tensor: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, initial: Any = None) -> Any:  # noqa: ANN401, FBT001, FBT002 - the old signature
    result = tensor.sum(axis, dtype, keepdims, initial)
    return result.astype(tensor.dtype) if dtype is None and _is_whole(tensor) else result


#: Methods of tensors that old code calls and that are gone or different: name to function of the tensor.
METHODS = {
    "div": div,
    "divide": div,
    "repeat": _repeat,
    "set_parameter_data": Parameter.set_data,
    "sum": _sum,
    "true_divide": div,
}


def method(owner: Any, name: str) -> Any:  # noqa: ANN401 - any object of old code
    """Return ``owner.name``, for tensors as it was in MindSpore 1.x."""
    if not isinstance(owner, Tensor):
        return getattr(owner, name)
    function = METHODS[name]

    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of the method
        return function(owner, *args, **kwargs)

    return call
