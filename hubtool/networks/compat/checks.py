"""The parameter checks of MindSpore 1.x, on top of today's functions and constants."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

from mindspore import _checkparam


class Rel(Enum):
    """Relations of two values, with MindSpore's numbers."""

    EQ = _checkparam.EQ
    NE = _checkparam.NE
    LT = _checkparam.LT
    LE = _checkparam.LE
    GT = _checkparam.GT
    GE = _checkparam.GE
    INC_NEITHER = _checkparam.INC_NEITHER
    INC_LEFT = _checkparam.INC_LEFT
    INC_RIGHT = _checkparam.INC_RIGHT
    INC_BOTH = _checkparam.INC_BOTH
    IN = _checkparam.IN
    NOT_IN = _checkparam.NOT_IN


class _Functions(type):
    """Gives a class the functions of today's module, which accept relations in both forms."""

    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - any function
        function = getattr(_checkparam, name)

        def check(*args: object, **kwargs: object) -> object:
            return function(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})

        return check


class Validator(metaclass=_Functions):
    """The checks, under their unchanged names, and three that older code calls with the argument's name first."""

    @staticmethod
    def check_integer(arg_name: str, arg_value: object, value: int, rel: Rel, prim_name: str) -> Any:  # noqa: ANN401 - as the others
        """Check that an integer stands in a relation to another."""
        return _checkparam.check_int(arg_value, value, _plain(rel), arg_name, prim_name)

    @staticmethod
    def check_float_positive(arg_name: str, arg_value: object, prim_name: str) -> Any:  # noqa: ANN401 - as the others
        """Check that a float is above zero."""
        return _checkparam.check_positive_float(arg_value, arg_name, prim_name)

    @staticmethod
    def check_float_legal_value(arg_name: str, arg_value: Any, prim_name: str) -> Any:  # noqa: ANN401 - as the others
        """Check that a float is a number, and not infinite."""
        _checkparam.check_value_type(arg_name, arg_value, [float], prim_name)
        if not math.isfinite(arg_value):
            raise ValueError(f"For '{prim_name}', the '{arg_name}' must be a legal float, but got {arg_value}.")
        return arg_value


def _plain(value: object) -> object:
    return value.value if isinstance(value, Rel) else value
