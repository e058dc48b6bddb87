"""Sizes and times as people write them on the command line: callbacks for click's options."""

from __future__ import annotations

import re

import click

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\Z", re.IGNORECASE)
_BINARY = {
    unit: 1024**power for power, units in enumerate(("k kib", "m mib", "g gib", "t tib"), 1) for unit in units.split()
}
_DECIMAL = {unit: 1000**power for power, unit in enumerate(("kb", "mb", "gb", "tb"), 1)}
_BYTES = {"": 1, "b": 1, **_BINARY, **_DECIMAL}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "": 86400, "d": 86400, "w": 7 * 86400}


def size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """Read bytes: ``500``, ``10GiB``, ``1.5GB``; a bare ``G`` is a GiB."""
    return None if value is None else int(_read(value, _BYTES, "a size such as 500MB or 10GiB"))


def age(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Read seconds: ``30d``, ``12h``, ``90m``, ``45s``, ``2w``; a bare number counts days."""
    return None if value is None else _read(value, _SECONDS, "an age such as 30d or 12h")


def _read(value: str, units: dict[str, int], what: str) -> float:
    match = _NUMBER.match(value.strip())
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise click.BadParameter(f"{value!r} is not {what}")
    return float(match[1]) * factor
