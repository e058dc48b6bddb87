"""`hubtool sync`."""

from __future__ import annotations

from pathlib import Path

import click

from hubtool.cli import options, progress, render
from hubtool.cli.paths import LocalPath


@click.command()
@click.argument("lock", type=LocalPath(dir_okay=False, path_type=Path), default=Path("hub.lock"))
@options.limit_rate
@options.connections
@options.progress_kind
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def command(*, lock: Path, limit_rate: float | None, connections: int, kind: str, as_json: bool, quiet: bool) -> int:
    """Download exactly what a lockfile pins into the store: cards, assets and code.

    Each line says whether a file was fetched or already stored; a note lists pinned cards that were deprecated or
    withdrawn since. LOCK is hub.lock unless given. A card comes from a registry, or from a mirror (HUBTOOL_MIRRORS),
    whichever has the pinned bytes. Stored files are not fetched again. The exit code is 1 if something is
    missing at the end.
    """
    from hubtool.hub import Hub
    from hubtool.lockfile import lockfile as locks
    from hubtool.pinning import sync

    path = lock.absolute()
    with progress.reporter("none" if quiet else kind) as report:
        done = sync.sync(
            Hub.open(),
            locks.read(path),
            path,
            connections=connections,
            rate=limit_rate,
            watch=report,
            expect=report.expect,
        )
        report.close()
        if as_json:
            render.echo_json({"lock": str(path), "cards": [card.as_json() for card in done]})
        else:
            for card in done:
                for link, stored in card.assets:
                    click.echo(
                        f"{_verb(fetched=link in card.brought)} {card.uid}: {stored.path}  {render.size(stored.size)}  "
                        f"sha256 {stored.digest}"
                    )
                if card.code is not None:
                    click.echo(
                        f"{_verb(fetched=card.code.url in card.brought)} {card.uid}: {card.code.path}  commit "
                        f"{card.code.commit}  tree {card.code.tree}"
                    )
            fetched = sum(len(card.brought.intersection(link for link, _ in card.assets)) for card in done)
            kept = sum(len(card.assets) for card in done) - fetched
            click.echo(f"{render.count(fetched, 'asset')} fetched, {kept:,} already stored")
            whole = sum(not card.errors for card in done)
            click.echo(f"{whole:,} of {render.count(len(done), 'card')} as {lock} pins them")
        for card in done:
            if card.status is not None:
                click.echo(f"note: {render.plain(card.status.describe(card.uid))}", err=True)
        errors = [(card.uid, link, error) for card in done for link, error in card.errors]
        for uid, link, error in errors:
            report.error(uid, error, link=link)
    return 1 if errors else 0


def _verb(*, fetched: bool) -> str:
    return "fetched" if fetched else "stored "
