"""Read TOML in bounded time: settings, lists of registries and lockfiles can come from anywhere."""

from __future__ import annotations

import re
import sys
from typing import Any

_MOST_DOTS = 64
"""The most dots in a line outside quotes: reading a key takes time by the square of its parts."""

_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#.*')


def parse(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: If it is not TOML, or nested more deeply than any file of hubtool; the message says where.
    """
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - few commands need it
    else:
        import tomli as tomllib  # noqa: PLC0415 - the same module under its older name
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and _QUOTED.sub("", line).count(".") > _MOST_DOTS:
            raise ValueError(f"a key has more than {_MOST_DOTS} parts (line {number})")
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return values
