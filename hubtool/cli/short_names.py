"""Short names of cards, for the commands that only read: the model's name alone means its newest version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.cli import render
from hubtool.resolution.finding import newest_named

if TYPE_CHECKING:
    from hubtool.hub import Hub


def whole(hub: Hub, name: str) -> str:
    """Return the UID that a short name means, and say on standard error which it is; any other name as it is.

    Args:
        hub: Settings and registries.
        name: What the user typed.

    Raises:
        InvalidNameError: If several publishers have a model of this name.
    """
    uid, versions = newest_named(name, hub.registries)
    if versions:
        others = f", the newest of {versions}" if versions > 1 else ""
        click.echo(f"{render.plain(name)} is {render.plain(uid)}{others}", err=True)
    return uid
