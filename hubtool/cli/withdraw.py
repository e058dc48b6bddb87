"""`hubtool withdraw`."""

from __future__ import annotations

from typing import Any

import click

from hubtool.cli import complete, status


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@status.options
def command(uid: str, **options: Any) -> None:  # noqa: ANN401 - the options that two commands share
    """Say of a published card that it is not to be used any more.

    It does not load any more, but where a lock pins it, and is neither listed nor found without --all. The card is
    changed in its registry's git checkout, on a branch and in a commit of its own; nothing of the card but its status
    changes.
    """
    status.change(uid, "withdrawn", **options)
