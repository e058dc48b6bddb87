"""`hubtool publish`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from hubtool.publish.change import Publication
    from hubtool.publish.plan import PublishPlan


@click.command()
@click.argument("name", metavar="CARD", shell_complete=complete.uids)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    type=LocalPath(exists=True, dir_okay=False, path_type=Path),
    help="A file that is an asset of the card; it goes to --blobs. May be repeated.",
)
@click.option("--blobs", metavar="DEST", help="Where files go: a folder, or s3://bucket/prefix (HUBTOOL_BLOBS).")
@click.option(
    "--link-base",
    metavar="URL",
    help="What links to files there begin with; by default the address of the bucket (HUBTOOL_LINK_BASE).",
)
@click.option(
    "--registry",
    type=LocalPath(exists=True, file_okay=False, path_type=Path),
    help="The registry's git checkout; by default the one that the card is in, else that of the settings.",
)
@click.option("--remote", metavar="NAME", help="The git remote; by default origin, or the only one.")
@click.option("--push", is_flag=True, help="Push the branch.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, without checking or changing anything.")
@options.trust
@options.checkout
@click.option("--unproven", is_flag=True, help="Publish although the network cannot be tried here; the commit says so.")
@options.timeout
@options.memory
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    name: str,
    assets: tuple[Path, ...],
    blobs: str | None,
    link_base: str | None,
    registry: Path | None,
    remote: str | None,
    push: bool,
    dry_run: bool,
    trust: bool,
    checkout: Path | None,
    unproven: bool,
    timeout: float,
    memory: float,
    as_json: bool,
) -> int:
    """Publish a card with its files, as one commit for review.

    CARD is the path of a card, or a UID. It is checked as `hubtool check` does; then its files go to --blobs under
    their own digests, and the card, with their final links, is committed to the registry on a branch of its own. Your
    working tree, index and branch stay as they are. The same command completes a run that was interrupted.
    """
    from hubtool.cli.check import print_row
    from hubtool.hub import Hub
    from hubtool.publish import publish as publishing
    from hubtool.publish.plan import make_plan
    from hubtool.sandbox.limits import ProgramLimits

    hub = Hub.open().with_lock(None)
    plan = make_plan(
        hub, name, files=assets, to=blobs, link_base=link_base, registry=registry, remote=remote, push=push
    )
    if dry_run:
        _print_plan(plan, as_json=as_json)
        return 0
    try:
        done = publishing.publish(
            hub,
            plan,
            push=push,
            trust=trust,
            checkout=checkout,
            unproven=unproven,
            limits=ProgramLimits(seconds=timeout, memory=int(memory * (1 << 30))),
            tell=None if as_json else print_row,
            say=None if as_json else _say,
        )
    except publishing.CheckFailedError as error:
        if not as_json:
            raise
        render.echo_json({"error": error.message, "check": error.report.as_json()})
        return 1
    if as_json:
        render.echo_json(done.as_json())
    else:
        print_done(done)
    return 0


def _say(text: str) -> None:
    click.echo(render.plain(text))


def _print_plan(plan: PublishPlan, *, as_json: bool) -> None:
    if as_json:
        render.echo_json(plan.as_json())
        return
    for step in plan.steps:
        _say(step)
    for note in (*plan.todo.notes, *plan.notes):
        _say(f"note: {note}")


def print_done(done: Publication) -> None:
    """Print what a publication, or another change of a registry, did, and what comes next."""
    for note in done.notes:
        _say(f"note: {note}")
    if done.already:
        _say(f"{done.uid}: the registry has this already ({done.commit[:12]})")
        return
    if not done.made:
        _say(f"{done.path} was committed before, as {done.commit[:12]} on the branch {done.branch}")
    _say(f"next: {done.next_step}")
    if done.review:
        _say(f"      {done.review}")
