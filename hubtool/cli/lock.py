"""`hubtool lock`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, progress, render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from hubtool.lockfile.lockfile import LockfileChange


@click.command()
@click.argument("uids", metavar="[UID|GLOB|LOCK]...", nargs=-1, shell_complete=complete.uids)
@click.option(
    "--output",
    "-o",
    type=LocalPath(dir_okay=False, path_type=Path),
    default=Path("hub.lock"),
    show_default=True,
    help="The lockfile to write.",
)
@click.option("--remove", multiple=True, metavar="UID", help="Take a card out of the lockfile.")
@click.option("--update", is_flag=True, help="Look up the commits of branches and tags again.")
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; the exit code is 1 if the lockfile would change, or a card that it pins was withdrawn.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def command(
    *,
    uids: tuple[str, ...],
    output: Path,
    remove: tuple[str, ...],
    update: bool,
    check: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Pin cards to the byte: record what their UIDs stand for now.

    The lockfile is a TOML file to commit and review. For each card it has the card's digest, the whole digest, size and
    link of each asset, and the commit and tree digest of its code. `hubtool sync` downloads exactly that, and with
    HUBTOOL_LOCK nothing else is loaded.

    `lock UID` adds or renews that card and leaves the others. `lock` alone renews all cards. It prints what changed. An
    asset is fetched if its size or whole digest is not known. A withdrawn card stays in a lockfile that pins it, and is
    not added to another.

    With --check and the paths of lockfiles, each pinned card is compared with the registries now, and nothing is
    fetched. The exit code is 1 if a card was withdrawn or changed, or a lockfile cannot be read. A deprecated card is
    only reported.
    """
    from hubtool.errors import LockfileError
    from hubtool.hub import Hub
    from hubtool.lockfile import lockfile as locks
    from hubtool.pinning import create

    paths = [Path(name) for name in uids if check and (name.endswith(".lock") or Path(name).is_file())]
    if paths:
        if len(paths) < len(uids) or remove or update:
            raise click.UsageError("with --check, give either lockfiles or UIDs, and neither --remove nor --update")
        return _check(paths, as_json=as_json)
    before = locks.read(output) if output.exists() else locks.Lockfile(cards=())
    removed = {*remove}
    hub = Hub.open().with_lock(None)
    names = create.expand(hub.registries, uids) or [card.uid for card in before.cards if card.uid not in removed]
    if not names and not removed:
        raise LockfileError("there is nothing to lock", hint=f"name UIDs; there is no lockfile yet at {output}")
    with progress.reporter("none" if quiet else "auto") as report:
        made = (
            create.lock(hub, names, before=before, update=update, watch=report, expect=report.expect)
            if uids or not removed
            else ()
        )
    after = create.merged(before, made, remove=remove)
    found = locks.changes(before, after)
    statuses = []
    withdrawn = False
    for name in names if uids or not removed else ():
        status = hub.find(name).card.status
        if status is not None:
            statuses.append({"uid": name, **status.as_json()})
            withdrawn = withdrawn or status.is_withdrawn
            click.echo(f"note: {render.plain(status.describe(name))}", err=True)
        for asset in hub.find(name).card.assets:
            if asset.weakness:
                click.echo(f"note: {name}: {render.plain(asset.weakness)}; the lockfile holds the whole one", err=True)
    for card in made:
        if card.recipe is not None:
            click.echo(f"note: {card.uid} borrows the recipe of {card.recipe.uid}; the lockfile pins it", err=True)
    changed = any(one.kind != "unchanged" for one in found)
    if not check:
        locks.write(output, after)
    if as_json:
        render.echo_json(
            {
                "lock": str(output),
                "changed": changed,
                "cards": [one.as_json() for one in found],
                "statuses": statuses,
            }
        )
    else:
        _print(found, output, check=check)
    return 1 if check and (changed or withdrawn) else 0


def _check(paths: list[Path], *, as_json: bool) -> int:
    """Report pinned cards that were withdrawn, deprecated or changed."""
    from hubtool.hub import Hub
    from hubtool.pinning import status

    checked = status.check(Hub.open(), paths)
    good = all(one.is_good for one in checked)
    if as_json:
        render.echo_json({"good": good, "locks": [one.as_json() for one in checked]})
        return 0 if good else 1
    for one in checked:
        if one.error is not None:
            click.echo(f"{one.path}: {one.error.message}", err=True)
        for card in one.affected:
            click.echo(f"{one.path}: {card.state}: {render.plain(card.told)}")
    bad = sum(not one.is_good for one in checked)
    click.echo(f"{render.count(len(checked), 'lockfile')}: {bad:,} to look at, {len(checked) - bad:,} good")
    return 0 if good else 1


def _print(found: tuple[LockfileChange, ...], output: Path, *, check: bool) -> None:
    for one in found:
        if one.kind != "unchanged":
            click.echo(f"{one.kind} {one.uid}")
            for difference in one.differences:
                click.echo(f"    {difference}")
    here = sum(one.kind != "removed" for one in found)
    counts = Counter(one.kind for one in found)
    told = ", ".join(
        f"{counts[kind]:,} {kind}" for kind in ("added", "changed", "unchanged", "removed") if counts[kind]
    )
    verb = "would pin" if check else "pins"
    click.echo(f"{output} {verb} {render.count(here, 'card')}" + (f": {told}" if told else ""))
