"""Short names of cards, for the commands that only read: the model's name alone means its newest version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.cli import render
from hubtool.errors import InvalidNameError
from hubtool.resolution.finding import newest_of_each

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
    if "/" in name or name.endswith(".md"):
        return name
    named = hub.registries.named(name)
    if not named:
        return name
    newest = newest_of_each(named)
    if len(newest) > 1:
        raise InvalidNameError(
            f"{name!a} is a model of {len(newest)} publishers", hint=f"say which: {', '.join(map(str, newest))}"
        )
    others = f", the newest of {len(named)}" if len(named) > 1 else ""
    click.echo(f"{render.plain(name)} is {render.plain(str(newest[0]))}{others}", err=True)
    return str(newest[0])
