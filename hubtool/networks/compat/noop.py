"""Replacements that do nothing, or answer for a single process: training functions that builders call."""

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


def no(*_: object, **__: object) -> bool:
    """Return False: the one process is no parameter server."""
    return False


def same(function: Any = None, *_: object, **__: object) -> Any:  # noqa: ANN401 - a decorator
    """Decorate nothing."""
    return function


def control_depend(*_: object) -> None:
    """Do nothing: program order is enough."""


def set_seed(seed: int) -> None:
    """Seed the generators of Python and NumPy, for random networks; the caller's state is restored afterwards."""
    import numpy as np  # noqa: PLC0415

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that old code uses


class GraphData:
    """Graph data that MindSpore no longer reads."""

    def __init__(self, *_: object, **__: object) -> None:
        _gone("mindspore.dataset.GraphData")


def _gone(name: str) -> NoReturn:
    raise NetworkError(f"{name} is no longer part of MindSpore", hint="only data needs it, not the network")
