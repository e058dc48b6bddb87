"""`hubtool fetch`."""

from __future__ import annotations

import click

from hubtool.cli import complete, render
from hubtool.errors import CardError


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.option("--force", is_flag=True, help="Fetch the assets even if they are stored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def command(uid: str, force: bool, as_json: bool, quiet: bool) -> None:
    """Bring the assets of a card into the store.

    Every byte is hashed on its way to the disk, and nothing is visible before its SHA-256 is the one on the card.
    What is stored already is not fetched again.
    """
    from hubtool.cli.progress import transfer
    from hubtool.hub import Hub

    hub = Hub.open()
    found = hub.find(uid)
    if found.card.faults and not found.card.assets:
        raise CardError(found.card.blame(f"the card {uid} names no assets"), hint="mend the card")
    rows = []
    for asset in found.card.assets:
        with transfer(asset.file_name, shown=not quiet) as progress:
            stored = hub.bring(found, asset, again=force, progress=progress)
        rows.append({"link": asset.link, "digest": stored.digest, "size": stored.size, "stored": str(stored.path)})
    if as_json:
        render.echo_json({"uid": str(found.card.uid or found.card.path), "assets": rows})
        return
    for row in rows:
        click.echo(f"{row['stored']}  {render.size(int(str(row['size'])))}  sha256 {row['digest']}")
    if not rows:
        click.echo("the card names no assets")
