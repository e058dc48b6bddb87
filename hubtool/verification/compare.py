"""Compare the outputs of a network with its known answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubtool.card.known_answer import KnownAnswer, OutputSummary

#: The least tolerance of a device. Ascend multiplies matrices in float16, with 11 significant bits: steps of 2**-11 add
#: up over some hundred layers. A GPU may round the factors of products to TF32, with as many bits, and adds in float32.
DEVICE_TOLERANCES: Final[Mapping[str, float]] = {"CPU": 0.0, "GPU": 2e-3, "Ascend": 2e-2}
_EXACT: Final = 1e-6  # of the scale: mean and deviation are kept with 7 significant digits
_KINDS: Final = ("bool", "uint", "int", "bfloat", "float", "complex")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDifference:
    """How one output differs from the known answer.

    Attributes:
        output: The number of the output, from 1.
        what: What differs, in a few words.
        size: The greatest difference as a part of the output's scale; None if shapes or types differ.
    """

    output: int
    what: str
    size: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the members that ``hubtool verify --json`` prints."""
        return {"output": self.output, "what": self.what, "size": self.size}


def tolerance_on(device: str, answer: KnownAnswer) -> float:
    """Return the greatest difference that still counts as equal on a device."""
    return max(answer.tolerance, DEVICE_TOLERANCES.get(device, 0.0))


def compare(answer: KnownAnswer, outputs: Sequence[OutputSummary], *, tolerance: float) -> list[OutputDifference]:
    """Return how outputs differ from a known answer by more than a tolerance; empty if they do not.

    The widths of types may differ: an index of 32 bits in one version of MindSpore has 64 in another. Whole numbers and
    booleans are equal or not: they are no rounded sums.

    Args:
        answer: The known answer.
        outputs: What the network computed.
        tolerance: The greatest difference, as a part of the output's scale.
    """
    found = []
    for number, (wanted, actual) in enumerate(zip(answer.outputs, outputs, strict=False), 1):
        if wanted.shape != actual.shape:
            told = f"its shape is {list(actual.shape)} and should be {list(wanted.shape)}"
            found.append(OutputDifference(output=number, what=told))
        elif _kind(wanted.dtype) != _kind(actual.dtype):
            told = f"its type is {actual.dtype} and should be {wanted.dtype}"
            found.append(OutputDifference(output=number, what=told))
        elif _is_exact(wanted):
            if wanted.values != actual.values or difference(wanted, actual) > _EXACT:
                unequal = sum(one != other for one, other in zip(wanted.values, actual.values, strict=True))
                told = f"{unequal} of {len(wanted.values)} kept elements are not equal"
                told = told if unequal else "the mean or the deviation of all elements is not equal"
                found.append(OutputDifference(output=number, what=told, size=difference(wanted, actual)))
        elif not (size := difference(wanted, actual)) <= tolerance:
            told = f"it differs by {size:.2g} of its scale ({wanted.scale:.3g})"
            found.append(OutputDifference(output=number, what=told, size=size))
    if len(outputs) != len(answer.outputs):
        told = f"there are {len(outputs)} outputs and should be {len(answer.outputs)}"
        found.append(OutputDifference(output=min(len(outputs), len(answer.outputs)) + 1, what=told))
    return found


def difference(wanted: OutputSummary, actual: OutputSummary) -> float:
    """Return the greatest difference of two summaries of one shape, as a part of the wanted output's scale.

    An output of zeros has no scale; then it is the difference itself.
    """
    pairs = [(wanted.mean, actual.mean), (wanted.deviation, actual.deviation)]
    pairs += zip(wanted.values, actual.values, strict=True)
    greatest = max(abs(one - other) for one, other in pairs)
    return greatest / wanted.scale if wanted.scale else greatest


def largest(wanted: Sequence[OutputSummary], actual: Sequence[OutputSummary]) -> float | None:
    """Return the greatest difference of all outputs of one shape, as a part of their scales; None if there are none."""
    pairs = [(one, other) for one, other in zip(wanted, actual, strict=False) if one.shape == other.shape]
    return max((difference(one, other) for one, other in pairs), default=None)


def _is_exact(output: OutputSummary) -> bool:
    return _kind(output.dtype) in ("bool", "int")


def _kind(dtype: str) -> str:
    kind = next((kind for kind in _KINDS if dtype.startswith(kind)), dtype)
    return {"uint": "int", "bfloat": "float"}.get(kind, kind)
