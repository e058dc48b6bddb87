"""Stand-ins that do nothing, or answer for one process: what building a network needs of training's machinery."""

from __future__ import annotations

import random
from typing import Any, NoReturn

from hubtool.errors import NetworkError


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def zero(*_: object, **__: object) -> int:
    """Return 0: the rank of the one process."""
    return 0


def one(*_: object, **__: object) -> int:
    """Return 1: the size of a group of one process."""
    return 1


def same(function: Any = None, *_: object, **__: object) -> Any:  # noqa: ANN401 - a decorator
    """Decorate nothing."""
    return function


def control_depend(*_: object) -> None:
    """Do nothing: the order follows from the program."""


def set_seed(seed: int) -> None:
    """Seed Python's and NumPy's generators, for networks drawn at random; the caller's are put back afterwards."""
    import numpy as np  # noqa: PLC0415

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that old code draws from


class GraphData:
    """Graph data that MindSpore no longer reads."""

    def __init__(self, *_: object, **__: object) -> None:
        _gone("mindspore.dataset.GraphData")


def _gone(name: str) -> NoReturn:
    raise NetworkError(f"{name} is no longer part of MindSpore", hint="only data needs it, not the network")
