"""`hubtool search`."""

from __future__ import annotations

import click

from hubtool.cli import render


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The most cards to show.")
@click.option("--all", "everything", is_flag=True, help="Withdrawn cards too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(words: tuple[str, ...], limit: int, everything: bool, as_json: bool) -> None:
    """Find cards by words, the best first.

    All WORDS must be found in the card's names, task, data sets, licence or summary: the beginnings of words, any three
    letters within names, and Chinese characters. Cards that were withdrawn are found with --all only. Nothing is
    fetched.
    """
    from hubtool.cli import entries

    with entries.index() as index:
        found = index.search(" ".join(words), limit, withdrawn=everything)
    if as_json:
        render.echo_json([entry.as_json() for entry in found])
        return
    entries.show(found, summaries=True)
