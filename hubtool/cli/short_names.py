"""Short names of cards, for the commands that only read: the model's name alone means its newest version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.cli import render

if TYPE_CHECKING:
    from hubtool.hub import Hub


def whole(hub: Hub, name: str) -> str:
    """Return the UID that a short name means, and say on standard error which it is; any other name as it is.

    Args:
        hub: Settings and registries.
        name: What the user typed.
    """
    if "/" in name or name.endswith(".md"):
        return name
    named = hub.registries.named(name)
    if not named:
        return name
    newest = str(named[0])
    others = f", the newest of {len(named)}" if len(named) > 1 else ""
    click.echo(f"{render.plain(name)} is {render.plain(newest)}{others}", err=True)
    return newest
