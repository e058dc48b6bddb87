"""The parameter checks of MindSpore 1.x: a class and an enumeration over the functions and constants of today."""

from __future__ import annotations

from enum import Enum
from typing import Any

from mindspore import _checkparam


class Rel(Enum):
    """How two values relate; the numbers are MindSpore's own."""

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
    """Gives a class the functions of today's module, with relations taken in either form."""

    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - any function
        function = getattr(_checkparam, name)

        def check(*args: object, **kwargs: object) -> object:
            return function(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})

        return check


class Validator(metaclass=_Functions):
    """The checks, by the names that they have today as well."""


def _plain(value: object) -> object:
    return value.value if isinstance(value, Rel) else value
