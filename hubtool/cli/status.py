"""What `hubtool deprecate` and `hubtool withdraw` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import complete, render
from hubtool.cli.paths import LocalPath
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option("--reason", metavar="TEXT", required=True, help="Why, in one sentence."),
    click.option("--superseded-by", metavar="UID", shell_complete=complete.uids, help="The card to use instead."),
    click.option(
        "--registry",
        type=LocalPath(exists=True, file_okay=False, path_type=Path),
        help="The registry's git checkout; by default that of the settings.",
    ),
    click.option("--remote", metavar="NAME", help="The git remote; by default origin, or the only one."),
    click.option("--push", is_flag=True, help="Push the branch."),
    click.option("--in-place", is_flag=True, help="Change the card's file where it stands, without git."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both commands have."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def change(uid: str, kind: str, **given: Any) -> None:  # noqa: ANN401 - the options above
    """Give a card a status, and say what was done."""
    from hubtool.cli.publish import print_done
    from hubtool.hub import Hub
    from hubtool.publish import change_status
    from hubtool.uid import Uid

    hub = Hub.open().with_lock(None)
    parsed = Uid.parse(uid)
    status = change_status.make_status(parsed, kind, given["reason"], given["superseded_by"])
    if given["in_place"]:
        if given["push"] or given["remote"]:
            raise ArgumentError("--in-place uses no git", hint="leave --push and --remote out")
        path, changed = change_status.change_status_in_place(hub, parsed, status, registry=given["registry"])
        if given["as_json"]:
            render.echo_json({"card": str(path), "changed": changed})
        else:
            click.echo(f"{'changed' if changed else 'already so:'} {path}")
        return
    done = change_status.change_status(
        hub,
        parsed,
        status,
        registry=given["registry"],
        remote=given["remote"],
        push=given["push"],
        say=(lambda text: None) if given["as_json"] else lambda text: click.echo(render.plain(text)),  # noqa: ARG005 - silence
    )
    if given["as_json"]:
        render.echo_json(done.as_json())
    else:
        print_done(done)
