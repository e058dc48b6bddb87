"""Compare two checkpoints: names, shapes and types from their headers, and values if asked for.

MindSpore is not needed. Numbers are compared block by block, so that checkpoints of any size need little memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubtool.checkpoint.header import ITEM_BITS, Header, TensorInfo
from hubtool.checkpoint.reading import read_header
from hubtool.checkpoint.values import BLOCK_ELEMENTS, TensorBytes, is_numeric, need_numpy, numbers
from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorChange:
    """A tensor that both checkpoints have, with another shape or type.

    Attributes:
        name: Its name.
        old: Its data type and shape before.
        new: The same after.
    """

    name: str
    old: tuple[str, tuple[int, ...]]
    new: tuple[str, tuple[int, ...]]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "name": self.name,
            "old": {"dtype": self.old[0], "shape": list(self.old[1])},
            "new": {"dtype": self.new[0], "shape": list(self.new[1])},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A tensor with other numbers.

    Attributes:
        name: Its name.
        differing: The number of elements that differ; two NaNs in one place are equal.
        elements: The number of elements.
        largest: The largest absolute difference; NaN if a number is compared with NaN, None for four- and eight-bit
            floats, which are compared as bytes.
    """

    name: str
    differing: int
    elements: int
    largest: float | None

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members; JSON has neither NaN nor infinity, so these are text."""
        largest = self.largest
        return {
            "name": self.name,
            "differing": self.differing,
            "elements": self.elements,
            "largest": largest if largest is None or math.isfinite(largest) else str(largest),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDiff:
    """What differs between two checkpoints.

    Attributes:
        added: Data type and shape of each new tensor, by name.
        removed: The same of each tensor that is gone.
        reshaped: The tensors with another shape (perhaps another type as well).
        retyped: The tensors with only another type.
        values: The tensors with other numbers; None if the numbers were not compared.
        same: The number of tensors with the same name, shape and type.
    """

    added: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    removed: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    reshaped: tuple[TensorChange, ...] = ()
    retyped: tuple[TensorChange, ...] = ()
    values: tuple[ValueChange, ...] | None = None
    same: int = 0

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "added": [{"name": name, "dtype": dtype, "shape": list(shape)} for name, dtype, shape in self.added],
            "removed": [{"name": name, "dtype": dtype, "shape": list(shape)} for name, dtype, shape in self.removed],
            "reshaped": [one.as_json() for one in self.reshaped],
            "retyped": [one.as_json() for one in self.retyped],
            "values": None if self.values is None else [one.as_json() for one in self.values],
            "same": self.same,
        }


def diff(old: Path, new: Path, *, values: bool = False) -> TensorDiff:
    """Compare two checkpoints.

    Args:
        old: A ``.ckpt`` or ``.safetensors`` file.
        new: Another one, of either format.
        values: Whether numbers are compared, of tensors of the same shape; those of another type are compared as
            numbers too.

    Raises:
        CheckpointError: If one cannot be read.
        RequirementError: If numbers are to be compared and NumPy is not installed.
    """
    before, after = read_header(old), read_header(new)
    ours, theirs = _named(before), _named(after)
    both = [(ours[name], theirs[name]) for name in ours if name in theirs]
    reshaped = [_change(one, other) for one, other in both if one.shape != other.shape]
    retyped = [_change(one, other) for one, other in both if one.shape == other.shape and one.dtype != other.dtype]
    comparable = [(one, other) for one, other in both if one.shape == other.shape]
    return TensorDiff(
        added=tuple((one.name, one.dtype, one.shape) for name, one in theirs.items() if name not in ours),
        removed=tuple((one.name, one.dtype, one.shape) for name, one in ours.items() if name not in theirs),
        reshaped=tuple(reshaped),
        retyped=tuple(retyped),
        values=_values(old, new, comparable) if values else None,
        same=len(both) - len(reshaped) - len(retyped),
    )


def _named(header: Header) -> dict[str, TensorInfo]:
    return {tensor.name: tensor for tensor in header.tensors}


def _change(one: TensorInfo, other: TensorInfo) -> TensorChange:
    return TensorChange(name=one.name, old=(one.dtype, one.shape), new=(other.dtype, other.shape))


def _values(old: Path, new: Path, pairs: list[tuple[TensorInfo, TensorInfo]]) -> tuple[ValueChange, ...]:
    need_numpy()
    try:
        with old.open("rb") as before, new.open("rb") as after:
            found = [
                _compare(one, other, TensorBytes(before, one, old), TensorBytes(after, other, new))
                for one, other in pairs
            ]
    except OSError as error:
        raise CheckpointError(f"{old} or {new} cannot be read: {error.strerror or type(error).__name__}") from error
    return tuple(change for change in found if change is not None)


def _compare(one: TensorInfo, other: TensorInfo, before: TensorBytes, after: TensorBytes) -> ValueChange | None:
    import numpy as np  # noqa: PLC0415 - heavy, and only this needs it

    numeric = is_numeric(one.dtype) and is_numeric(other.dtype)
    elements = one.elements
    differing, largest = 0, 0.0
    left = elements
    while left:
        count = min(left, BLOCK_ELEMENTS)
        left -= count
        data, more = before.read(count * ITEM_BITS[one.dtype] // 8), after.read(count * ITEM_BITS[other.dtype] // 8)
        if one.dtype == other.dtype and data == more:
            continue
        if not numeric:
            if one.dtype == other.dtype:
                differing += int(np.count_nonzero(np.frombuffer(data, np.uint8) != np.frombuffer(more, np.uint8)))
            else:
                differing += count
            continue
        wrong, most = _distance(numbers(data, one.dtype), numbers(more, other.dtype))
        differing += wrong
        # Once it is NaN it stays NaN: nothing is larger.
        largest = most if math.isnan(most) or most > largest else largest
    if not differing:
        return None
    return ValueChange(name=one.name, differing=differing, elements=elements, largest=largest if numeric else None)


def _distance(one: Any, other: Any) -> tuple[int, float]:  # noqa: ANN401 - NumPy arrays
    """Return how many elements differ, and the largest absolute difference."""
    import numpy as np  # noqa: PLC0415 - as above

    nan_one, nan_other = one != one, other != other  # noqa: PLR0124 - of NumPy arrays: where they are NaN
    differs = (one != other) & ~(nan_one & nan_other)
    count = int(np.count_nonzero(differs))
    if not count:
        return 0, 0.0
    one, other = one[differs], other[differs]
    if bool(np.any(nan_one[differs] | nan_other[differs])):
        return count, math.nan
    wide = np.complex128 if "c" in one.dtype.kind + other.dtype.kind else np.float64
    if one.dtype.kind in "iub" and other.dtype.kind in "iub":
        wide = np.longdouble  # 64-bit integers do not fit into a double
    with np.errstate(all="ignore"):
        return count, float(np.max(np.abs(one.astype(wide) - other.astype(wide))))
