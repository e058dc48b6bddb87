"""Arguments that only the caller of ``load`` can give: tensors that the network computes with and no checkpoint has.

A recipe says of such an argument ``{from-caller: WHAT, shape: [...], dtype: ..., low: ..., high: ...}``: what it is,
and the bounds of the values that a known answer gives it (docs/known-answers.md).
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubtool.card.known_answer import InputSpec, input_problem, parse_input
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = "from-caller"
#: What ``hubtool.load`` and ``mshub.load`` call their own options: no network can be given an argument of such a name.
OPTIONS_OF_LOAD = frozenset(
    ("name", "source", "pretrained", "force_reload", "strict", "trust", "lock", "checkout", "progress")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerArgument:
    """A tensor that the caller gives.

    Attributes:
        spec: Its name, shape and type, and the bounds of its values in a known answer.
        what: What it is, for people.
    """

    spec: InputSpec
    what: str

    @property
    def name(self) -> str:
        """The argument's name."""
        return self.spec.name

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.spec.shape)) or 'one'} {self.spec.dtype}: {self.what}"


def caller_arguments(arguments: Mapping[str, object]) -> tuple[CallerArgument, ...]:
    """Return those of a recipe's arguments that the caller gives.

    Raises:
        RecipeError: If the recipe does not say what shape and type one has, or asks for a part of an argument.
    """
    found = []
    for name, value in arguments.items():
        if isinstance(value, dict) and _KEY in value:
            found.append(_parsed(name, value))
        elif _asks_within(value):
            raise RecipeError(
                f"the recipe asks the caller for a part of {name!a}", hint="ask for a whole argument of the entry point"
            )
    return tuple(found)


def _asks_within(value: object) -> bool:
    if isinstance(value, dict):
        return _KEY in value or any(map(_asks_within, value.values()))
    return isinstance(value, list) and any(map(_asks_within, value))


def _parsed(name: str, value: Mapping[str, Any]) -> CallerArgument:
    try:
        spec = parse_input({**value, "name": name})
    except (KeyError, TypeError, ValueError):
        spec = None
    is_name = name.isidentifier() and not keyword.iskeyword(name) and name not in OPTIONS_OF_LOAD
    if spec is None or not is_name or input_problem(spec) or 0 in spec.shape:
        raise RecipeError(
            f"the recipe does not say which tensor the caller gives for {name!a}",
            hint=f"write NAME: {{{_KEY}: WHAT IT IS, shape: [SIDES], dtype: float32}} at the top of 'arguments'; "
            "NAME is none of the options of hubtool.load",
        )
    return CallerArgument(spec=spec, what=str(value[_KEY]))
