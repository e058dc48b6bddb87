"""Arguments that only the caller of ``load`` can give: tensors that the network computes with and no checkpoint has.

A recipe says of such an argument ``{from-caller: WHAT, shape: [...], dtype: ..., low: ..., high: ...}``: what it is,
and the bounds of the values that a known answer gives it (docs/known-answers.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = "from-caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerArgument:
    """A tensor that the caller gives.

    Attributes:
        name: The argument's name.
        what: What it is, for people.
        shape: Its shape.
        dtype: Its element type, such as ``float32``.
        low: The least value in a known answer, or None for the rule's own bound.
        high: What the values in a known answer stay below, or None.
    """

    name: str
    what: str
    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype}: {self.what}"


def caller_arguments(arguments: Mapping[str, object]) -> tuple[CallerArgument, ...]:
    """Return those of a recipe's arguments that the caller gives.

    Raises:
        RecipeError: If the recipe does not say what shape and type one has.
    """
    return tuple(_parsed(name, value) for name, value in arguments.items() if isinstance(value, dict) and _KEY in value)


def _parsed(name: str, value: Mapping[str, Any]) -> CallerArgument:
    shape, dtype, bounds = value.get("shape"), value.get("dtype"), (value.get("low"), value.get("high"))
    if (
        not isinstance(shape, list)
        or not all(type(side) is int and side > 0 for side in shape)
        or not isinstance(dtype, str)
        or not all(bound is None or isinstance(bound, int | float) for bound in bounds)
    ):
        raise RecipeError(
            f"the recipe does not say which tensor the caller gives for {name!r}",
            hint=f"write {_KEY}: WHAT IT IS, shape: [SIDES], dtype: float32",
        )
    low, high = bounds
    return CallerArgument(name=name, what=str(value[_KEY]), shape=tuple(shape), dtype=dtype, low=low, high=high)
