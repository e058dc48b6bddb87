"""`hubtool deprecate`."""

from __future__ import annotations

from typing import Any

import click

from hubtool.cli import complete, status


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@status.options
def command(uid: str, **options: Any) -> None:  # noqa: ANN401 - the options that two commands share
    """Mark a published card as deprecated.

    The card still loads, with a warning that gives the reason and the card to use instead. The card is changed in its
    registry's git checkout, on a branch and in a commit of its own; nothing of the card but its status changes.
    """
    status.change(uid, "deprecated", **options)
