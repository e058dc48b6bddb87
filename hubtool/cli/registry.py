"""`hubtool registry`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import catalogue, moved, output, render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.registry.changes import Changes
    from hubtool.registry.index import Conflict
    from hubtool.registry.manage import IgnoredPublisher

# The most UIDs on which registries disagree that are shown: adding the public hub after our own cards makes thousands.
_SHOWN = 5


@click.group()
def command() -> None:
    """Add, sync and publish registries."""


command.add_command(moved.command("registry import", "import"), "import")


@command.command("add")
@click.argument("name")
@click.argument("source")
@click.option("--revision", help="The branch, tag or commit of a git repository; by default its main branch.")
@click.option("--subfolder", default="", help="The folder of the cards in a git repository.")
@click.option(
    "--allow-publisher",
    "allowed",
    multiple=True,
    metavar="PUBLISHER",
    help="Use the cards of this publisher although it is reserved for the packaged registry, or looks like one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add_command(
    *, name: str, source: str, revision: str | None, subfolder: str, allowed: tuple[str, ...], as_json: bool
) -> None:
    """Add a registry; it is asked after the existing ones.

    SOURCE is a folder; the https:// or file:// address of a git repository (the public hub has its cards in the
    subfolder mshub_res/assets); or the https:// or s3:// address of a published registry.

    The publishers of the registry that comes with hubtool are reserved for it: cards of mindspore, noah-cvlab or
    hubtool are not used from SOURCE, unless --allow-publisher names them.
    """
    from dataclasses import replace

    from hubtool import settings
    from hubtool.registry import manage, sources

    parsed = sources.parse(name, source, revision=revision, subfolder=subfolder)
    brought = manage.add(replace(parsed, publishers=tuple(sorted(set(allowed)))), settings.load())
    if as_json:
        render.echo_json(brought.as_json())
        return
    at = f" at {brought.revision}" if brought.revision else ""
    click.echo(f"added {name}: {render.count(brought.cards, 'card')}{at}")
    _print_ignored(name, brought.ignored)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List the registries in the order in which they are asked, and the UIDs for which they have different cards."""
    from hubtool import settings
    from hubtool.registry import manage

    found, conflicts = manage.listing(settings.load())
    if as_json:
        render.echo_json(
            {"registries": [one.as_json() for one in found], "conflicts": [_conflict(one) for one in conflicts]}
        )
        return
    for one in found:
        what = f"{one.kind}, {render.count(one.cards, 'card')}" if one.synced else f"{one.kind}, not synced"
        rows = [("", what), ("", one.location)] if one.location != one.name else [("", what)]
        if one.source is not None and (one.source.revision or one.source.subfolder):
            rows.append(("", " ".join(filter(None, [one.source.revision, one.source.subfolder]))))
        if one.revision:
            rows.append(("", f"commit {one.revision}"))
        rows += [("", f"{render.count(other.cards, 'card')} not used: {other.reason}") for other in one.ignored]
        rows.append(("", f"from: {one.origin}"))
        click.echo(output.style(one.name, bold=True))
        render.pairs(rows)
    _print_conflicts(conflicts)


@command.command("sync")
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--allow-rollback", is_flag=True, help="Accept an index that is older than the last one seen.")
@click.option(
    "--accept-changes", is_flag=True, help="Accept cards that load or run something else than before under their UIDs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sync_command(names: tuple[str, ...], allow_rollback: bool, accept_changes: bool, as_json: bool) -> int:
    """Update added registries: the cards of repositories, the indexes of published registries.

    Without a NAME, fetch all of them. The output lists added, changed, withdrawn and removed cards. A card whose
    assets, recipe or repositories changed under its UID is refused, and the earlier card stays in use, unless
    --accept-changes is given. The exit code is 1 if a registry could not be fetched (it then keeps what it had)
    or a changed card was refused.
    """
    from hubtool import settings
    from hubtool.registry import manage

    brought, conflicts = manage.sync(
        names, settings.load(), allow_rollback=allow_rollback, accept_changes=accept_changes
    )
    failed = any(one.error or (one.changes and one.changes.refused) for one in brought)
    if as_json:
        render.echo_json(
            {"registries": [one.as_json() for one in brought], "conflicts": [_conflict(one) for one in conflicts]}
        )
        return 1 if failed else 0
    for one in brought:
        if one.error:
            click.echo(f"{one.name}: {output.style('error', fg='red', bold=True)}: {one.error}", err=True)
            if one.hint:
                click.echo(f"hint: {one.hint}", err=True)
            continue
        more = f" at {one.revision}" if one.revision else ""
        more += f"; {render.count(one.passed_over, 'other file')} passed over" if one.passed_over else ""
        click.echo(f"{one.name}: {render.count(one.cards, 'card')}{more}")
        if one.changes is not None:
            _print_changes(one.name, one.changes)
        _print_ignored(one.name, one.ignored)
    if not brought:
        click.echo("no registry was added; see 'hubtool registry add --help'")
    _print_conflicts(conflicts)
    return 1 if failed else 0


_CHANGES = {
    "added": "new",
    "texts": "text changed",
    "accepted": "loads or runs something else now, as you accepted",
    "withdrawn": "withdrawn",
    "gone": "no longer there",
    "back": "there again",
}


def _print_changes(name: str, changes: Changes) -> None:
    for key, what in _CHANGES.items():
        uids: tuple[str, ...] = getattr(changes, key)
        for uid in uids[:_SHOWN]:
            click.echo(f"    {uid}: {what}")
        if len(uids) > _SHOWN:
            click.echo(f"    and {len(uids) - _SHOWN:,} more: {what}; --json lists them all")
    for uid in changes.refused:
        click.echo(
            f"{output.style('refused', fg='red', bold=True)}: {uid}: its assets, recipe or repositories changed under "
            "the same UID; the card that was seen before stays in use",
            err=True,
        )
    if changes.refused:
        click.echo(
            f"hint: look at the new cards, and if they are meant: hubtool registry sync {name} --accept-changes",
            err=True,
        )


def _print_ignored(name: str, ignored: Sequence[IgnoredPublisher]) -> None:
    warning = output.style("warning", fg="yellow", bold=True)
    for one in ignored:
        click.echo(f"{warning}: {name}: {render.count(one.cards, 'card')} not used: {one.reason}", err=True)
    if ignored:
        allow = " ".join(f"--allow-publisher {one.publisher}" for one in ignored)
        click.echo(f"hint: to use them, remove {name} and add it again with {allow}", err=True)


@command.command("remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Remove an added registry, and its fetched cards."""
    from hubtool import settings
    from hubtool.registry import manage

    manage.remove(name, settings.load())
    click.echo(f"removed {name}")


@command.command("publish")
@click.argument("folder", type=LocalPath(path_type=Path))
@click.option("--to", "target", required=True, metavar="FOLDER", help="Where the files go.")
@click.option(
    "--serial",
    type=click.IntRange(1, (1 << 63) - 1),
    help="The serial of the index if it changes; it has to rise. By default that of the index in --to, plus 1; a build "
    "that starts from an empty folder has to give one, such as the number of its run.",
)
@click.option("--site", is_flag=True, help="Build the catalogue too, in the folder 'catalogue' of --to.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def publish_command(folder: Path, target: str, serial: int | None, site: bool, as_json: bool) -> int:
    """Write a registry as static files, which any web server or object store can serve.

    The index is written last. Unchanged files are not written again. The exit code is 1 if cards were skipped, because
    they cannot be read, or the assets beside them are not those that they name.
    """
    from hubtool.registry import Registries
    from hubtool.registry.published.site import publish

    if site:
        catalogue.require()
    done = publish(folder, Path(target), serial=serial)
    if site:
        catalogue.build_beside(Registries.of_folders((folder,)), Path(target))
    if as_json:
        render.echo_json(done.as_json())
        return 1 if done.passed_over else 0
    for uid, reason in done.passed_over:
        click.echo(f"{uid}: passed over: {render.plain(reason)}", err=True)
    files = f"{render.count(done.written, 'file')} written, {done.removed:,} removed"
    click.echo(f"{render.count(done.cards, 'card')}; serial {done.serial}; {files}")
    return 1 if done.passed_over else 0


def _conflict(conflict: Conflict) -> dict[str, str]:
    return {
        "uid": conflict.uid,
        "used": conflict.used,
        "used_digest": conflict.used_digest,
        "other": conflict.other,
        "other_digest": conflict.other_digest,
    }


def _print_conflicts(conflicts: Sequence[Conflict]) -> None:
    warning = output.style("warning", fg="yellow", bold=True)
    for one in conflicts[:_SHOWN]:
        click.echo(
            f"{warning}: {one.uid}: {one.other} has another card (sha256 {one.other_digest[:12]}...) than {one.used} "
            f"({one.used_digest[:12]}...), which is used",
            err=True,
        )
    if len(conflicts) > _SHOWN:
        click.echo(f"{warning}: and {len(conflicts) - _SHOWN:,} more UIDs; --json lists them all", err=True)
