"""``python -m maintain import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from maintain.importing import Imported, ImportReport


@click.command("import")
@click.argument("source", type=LocalPath(path_type=Path))
@click.option(
    "--into",
    type=LocalPath(path_type=Path),
    default=Path("registry"),
    show_default=True,
    help="The registry to write.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Print the totals only.")
def command(source: Path, into: Path, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Import the cards of a public hub: facts normalised, text of our own.

    SOURCE is a checkout of the hub, or a folder of its cards. For each card it is said what was normalised and what is
    not known. Cards that were written or changed by hand are kept. The exit code is 1 if a card could not be imported.
    """
    from maintain.importing import import_cards

    report = import_cards(source, into, dry_run=dry_run)
    if as_json:
        render.echo_json(report.as_json())
    else:
        for card in () if quiet else report.cards:
            _print_imported(card)
        _print_totals(report)
    return 1 if report.count("refused") else 0


def _print_imported(card: Imported) -> None:
    normalised = list(dict.fromkeys(note.key for note in card.notes if note.known))
    line = f"{render.plain(card.uid)}: {card.state}"
    if card.reason:
        line += f", because {render.plain(card.reason)}"
    if normalised:
        line += f"; normalised {', '.join(map(render.plain, normalised))}"
    click.echo(line)
    for note in card.notes:
        if not note.known:
            click.echo(f"    not known: {render.plain(note.key)}: {render.plain(note.message)}")


def _print_totals(report: ImportReport) -> None:
    from maintain.importing.run import STATES

    totals = ", ".join(f"{report.count(state):,} {state}" for state in STATES)
    click.echo(f"{render.count(len(report.cards), 'card')}: {totals}")
    unknown = sum(not note.known for card in report.cards for note in card.notes)
    some = sum(any(not note.known for note in card.notes) for card in report.cards)
    be = "is" if unknown == 1 else "are"
    click.echo(f"{render.count(unknown, 'fact')} of {render.count(some, 'card')} {be} not known")
    for uid in report.left:
        click.echo(f"{uid}: the source no longer has it; it is left as it is")
