"""Options that several commands have."""

from __future__ import annotations

import re
from pathlib import Path

import click

from hubtool.cli import progress
from hubtool.cli.paths import LocalPath

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?(?:/s)?\Z", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def rate(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read bytes per second, such as ``500k`` or ``10M``."""
    if value is None:
        return None
    match = _RATE.match(value.strip())
    rate = 0.0 if match is None else float(match[1]) * _FACTORS[match[2].lower()]
    if rate < 1:
        raise click.BadParameter(
            f"{value!r} is not a rate; write bytes per second, such as 500k or 10M", ctx=ctx, param=param
        )
    return rate


trust = click.option("--trust", is_flag=True, help="Agree, for this run, that the code of a trusted repository runs.")
checkout = click.option(
    "--checkout",
    type=LocalPath(exists=True, file_okay=False, path_type=Path),
    help="A folder with the tree of the card's repository, in place of its repo-link.",
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "CPU", "GPU", "Ascend"], case_sensitive=False),
    default="auto",
    help="The device to use; auto is Ascend if there is one, else CPU.",
)
lock = click.option("--lock", type=LocalPath(dir_okay=False, path_type=Path), help="Load only what this lockfile pins.")
assets = click.option(
    "--asset",
    "assets",
    multiple=True,
    type=LocalPath(exists=True, dir_okay=False, path_type=Path),
    help="A file to be published as an asset of the card; its link need not work yet. May be repeated.",
)
timeout = click.option(
    "--timeout", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Seconds for each program."
)
memory = click.option(
    "--memory", type=click.FloatRange(min=0.1), default=8.0, show_default=True, help="GiB for each program."
)
limit_rate = click.option(
    "--limit-rate", metavar="RATE", callback=rate, help="Maximum bytes per second in total, such as 500k or 10M."
)
connections = click.option(
    "--connections", type=click.IntRange(1, 64), default=8, show_default=True, help="Maximum number of connections."
)
progress_kind = click.option(
    "--progress",
    "kind",
    type=click.Choice(progress.KINDS),
    default="auto",
    help="How to show progress, on standard error: bars, lines, json (one event per line; docs/mirrors.md), or none; "
    "auto is bars at a terminal, and lines elsewhere.",
)
