"""The rule of known answers: which values the parameters and inputs of a network get, and what of its outputs is kept.

docs/known-answers.md specifies it, so that others can repeat it in any framework. This file needs NumPy only, and runs
on Python 3.7 too: ``maintain/oracle`` uses it beside MindSpore 2.0.0. A change of any value is a new version.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = 1
SAMPLES = 8
#: How a network is tried until its outputs are finite and depend on its inputs: the gain of its parameters, and the
#: bound of floating-point inputs on both sides, or None for that of the rule.
TRIES = ((1.0, None), (0.7, 30.0), (0.5, 30.0), (0.25, 30.0))
_GOLDEN = 0x9E3779B97F4A7C15
_VARIANCES = ("moving_variance", "running_var", "variance")
_MEANS = ("moving_mean", "running_mean")
_SCALES = ("gamma", "weight", "scale")


def uniform(key: str, count: int) -> Any:  # noqa: ANN401 - a NumPy array
    """Return numbers of [0, 1) that depend on a text and their position only: SplitMix64, the upper 24 bits.

    Args:
        key: The text; the first 8 bytes of its SHA-256, big-endian, are the seed.
        count: How many.

    Returns:
        A float64 array of the shape (count,).
    """
    seed = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")
    state = np.arange(1, count + 1, dtype=np.uint64)
    state *= np.uint64(_GOLDEN)  # modulo 2 to the power of 64, as all that follows
    state += np.uint64(seed)
    state ^= state >> np.uint64(30)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(40)).astype(np.float64) * 2.0**-24


def parameter(name: str, shape: Sequence[int], dtype: str, gain: float = 1.0) -> Any:  # noqa: ANN401 - a NumPy array, or None
    """Return the value of a parameter.

    Args:
        name: Its name in the network.
        shape: Its shape.
        dtype: Its element type, such as ``float32``.
        gain: What the bounds of parameters of two or more dimensions are multiplied by.

    Returns:
        A float32 array of this shape; None for integers and booleans, which keep the values they are built with.
    """
    if "float" not in dtype.lower():
        return None
    low, high = _range_of_parameter(name, shape)
    if len(shape) >= 2:
        low, high = gain * low, gain * high
    numbers = uniform(f"{VERSION}/parameter/{name}", _product(shape))
    return (low + (high - low) * numbers).astype(np.float32).reshape(tuple(shape))


def _range_of_parameter(name: str, shape: Sequence[int]) -> tuple[float, float]:
    last = name.rpartition(".")[2].lower()
    if last.endswith(_VARIANCES):
        return 0.5, 1.5
    if last.endswith(_MEANS):
        return -0.1, 0.1
    if len(shape) >= 2:
        fan = math.sqrt(_product(shape)) if len(shape) == 2 else _product(shape[1:])
        if fan == 1:  # all weights of a recurrent cell in one column
            fan = math.sqrt(shape[0])
        bound = math.sqrt(4.5 / max(fan, 1.0))
        return -bound, bound
    return (0.5, 1.5) if last.endswith(_SCALES) else (-0.1, 0.1)


def example(
    place: int | str,
    shape: Sequence[int],
    dtype: str,
    low: float | None = None,
    high: float | None = None,
) -> Any:  # noqa: ANN401 - a NumPy array
    """Return the value of an input, or of an argument that the caller of the network gives.

    Args:
        place: Its place among the inputs, from 0; the name of an argument.
        shape: Its shape.
        dtype: Its element type, such as ``int32``.
        low: The least value; by default -1 for floating-point numbers, and 0 for integers.
        high: What floating-point numbers stay below, by default 1; the greatest integer, by default 1.

    Returns:
        An array of this shape and type. Booleans are all true.
    """
    if dtype == "bool":
        return np.ones(tuple(shape), np.bool_)
    numbers = uniform(f"{VERSION}/input/{place}", _product(shape))
    if "float" in dtype:
        low, high = -1.0 if low is None else low, 1.0 if high is None else high
        values = (low + (high - low) * numbers).astype(np.float32)
    else:
        first, last = int(0 if low is None else low), int(1 if high is None else high)
        values = np.floor(numbers * (last - first + 1)) + first
    return values.reshape(tuple(shape)).astype(dtype)


def nudged(values: Any, part: float) -> Any:  # noqa: ANN401 - NumPy arrays
    """Return floating-point numbers moved up and down by a part of themselves, in turn.

    If all moved one way, they would be scaled, and layers that normalise would undo that.

    Args:
        values: Numbers of any type; others than floating-point ones stay as they are.
        part: The part.
    """
    if values.dtype.kind != "f" or not part:
        return values
    signs = np.resize(np.array([1.0, -1.0, -1.0, 1.0, -1.0]), values.shape)
    return (values * (1 + part * signs)).astype(values.dtype)


def widened(inputs: Sequence[Mapping[str, Any]], bound: float | None) -> list[dict[str, Any]]:
    """Return descriptions of inputs with a bound for floating-point numbers, where they state none.

    Args:
        inputs: Plain values with ``shape``, ``dtype``, and perhaps ``low`` and ``high``.
        bound: The bound on both sides; None for the inputs as they are.
    """
    return [
        {**one, "low": -bound, "high": bound}
        if bound is not None and "float" in one["dtype"] and one.get("low") is None and one.get("high") is None
        else dict(one)
        for one in inputs
    ]


def positions(count: int) -> list[int]:
    """Return which elements of an output of ``count`` elements are kept: the first, the last, and evenly between."""
    if count <= SAMPLES:
        return list(range(count))
    return [at * (count - 1) // (SAMPLES - 1) for at in range(SAMPLES)]


def summary(values: Any) -> dict[str, Any]:  # noqa: ANN401 - a NumPy array
    """Return what is kept of an output.

    Args:
        values: The output, an array.

    Returns:
        ``dtype``, ``shape``, the ``mean`` of all elements, their standard ``deviation``, and the ``values`` at
        :func:`positions`, with 7 significant digits.

    Raises:
        ValueError: If elements are NaN or infinite.
    """
    flat = np.asarray(values).reshape(-1).astype(np.float64)
    wrong = int(flat.size - np.count_nonzero(np.isfinite(flat)))
    if wrong:
        raise ValueError(f"{wrong:,} of {flat.size:,} elements are NaN or infinite")
    return {
        "dtype": str(values.dtype),
        "shape": [int(side) for side in values.shape],
        "mean": _rounded(flat.mean()) if flat.size else 0.0,
        "deviation": _rounded(flat.std()) if flat.size else 0.0,
        "values": [_rounded(flat[at]) for at in positions(flat.size)],
    }


def _rounded(value: float) -> float:
    return float(f"{float(value):.7g}")


def _product(shape: Sequence[int]) -> int:
    total = 1
    for side in shape:
        total *= int(side)
    return total
