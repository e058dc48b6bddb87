"""`hubtool compare`."""

from __future__ import annotations

import sys

import click

from hubtool.cli import complete, render, short_names


@click.command()
@click.argument("uids", nargs=-1, required=True, metavar="UID...", shell_complete=complete.uids)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(uids: tuple[str, ...], *, as_json: bool) -> None:
    """Show the facts of several cards side by side: size, results, inputs, verdict, licence.

    UID is publisher/version/name, the name alone for its newest version, the URL of a card on the public hub, or the
    path of a card. What no card states is left out. Nothing is fetched.
    """
    from hubtool.card import overview
    from hubtool.hub import Hub

    hub = Hub.open().with_lock(None)
    facts = [overview.of_card(hub.borrow(hub.find(short_names.whole(hub, uid))).card) for uid in uids]
    if as_json:
        render.echo_json([one.as_json() for one in facts])
        return
    rows = [dict(one.rows()) for one in facts]
    names = list(dict.fromkeys(name for row in rows for name in row))
    order = {name: place for place, name in enumerate(overview.NAMES)}
    table = [("", *(one.uid for one in facts))]
    table += [(name, *(row.get(name, "-") for row in rows)) for name in sorted(names, key=order.__getitem__)]
    if sys.stdout.isatty():
        render.table(table, fold=True)
        return
    for at, one in enumerate(facts, 1):
        if at > 1:
            click.echo()
        click.echo(render.plain(one.uid))
        render.pairs([(row[0], row[at]) for row in table[1:]], indent="  ")
