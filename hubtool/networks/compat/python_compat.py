"""Replacements for what Python, NumPy and PyYAML removed or changed."""

from __future__ import annotations

import inspect
from typing import Any


def asscalar(array: Any) -> Any:  # noqa: ANN401 - a NumPy array of one element
    """Return the one element of an array as a Python number."""
    return array.item()


def getargspec(function: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any function
    """Return a function's arguments, the names of the two collecting ones, and the defaults."""
    full = inspect.getfullargspec(function)
    return full.args, full.varargs, full.varkw, full.defaults


def yaml_load(stream: Any, Loader: Any = None) -> Any:  # noqa: ANN401, N803 - PyYAML's own signature
    """Load one YAML document; the full loader replaces a missing or unsafe one."""
    import yaml  # noqa: PLC0415

    return yaml.load(stream, Loader=_loader(Loader))  # noqa: S506 - never the unsafe loader


def yaml_load_all(stream: Any, Loader: Any = None) -> Any:  # noqa: ANN401, N803 - PyYAML's own signature
    """Load all YAML documents of a stream; see :func:`yaml_load`."""
    import yaml  # noqa: PLC0415

    return yaml.load_all(stream, Loader=_loader(Loader))


def _loader(asked: Any) -> Any:  # noqa: ANN401 - a loader's class
    import yaml  # noqa: PLC0415

    unsafe = {yaml.UnsafeLoader, getattr(yaml, "CUnsafeLoader", None), yaml.Loader, getattr(yaml, "CLoader", None)}
    return yaml.FullLoader if asked is None or asked in unsafe else asked
