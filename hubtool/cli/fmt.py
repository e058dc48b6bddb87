"""`hubtool fmt`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hubtool.cli import output
from hubtool.cli.paths import LocalPath


@click.command()
@click.argument("paths", nargs=-1, type=LocalPath(path_type=Path, allow_dash=True), metavar="[PATH ...]")
@click.option("--check", is_flag=True, help="Change nothing; name the cards that are not formatted, and exit with 1.")
@click.option("--diff", is_flag=True, help="Show the changes without making them; exit with 1 if there are any.")
def command(paths: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Format cards in the standard layout.

    PATH is a card, a folder of cards, or '-' for a card from standard input, which is written to standard output.
    Without one, the registries are formatted. The content of a card never changes: only the order of entries, quotes
    and blank lines do. The exit code is 1 if a card cannot be formatted because its front matter cannot be read
    ('hubtool validate' says more), or with --check or --diff if a card is not formatted.
    """
    if Path("-") in paths:
        if len(paths) > 1:
            raise click.UsageError("'-' stands alone: it is one card, from standard input")
        return _stream(check=check, diff=diff)
    from hubtool import settings
    from hubtool.card.files import shown_path
    from hubtool.card.format import files as format_files
    from hubtool.card.validate import run
    from hubtool.cli import render

    changed = problems = formatted = 0
    targets = paths or settings.load().registry
    run.check_present(targets)
    for outcome in format_files.format_paths(targets, write=not (check or diff), show=diff):
        shown = shown_path(outcome.path)
        if outcome.problem is not None:
            problems += 1
            click.echo(f"{shown}: not formatted: {outcome.problem}", err=True)
        elif not outcome.changed:
            formatted += 1
        else:
            changed += 1
            if diff:
                output.write_bytes(outcome.diff)
            else:
                click.echo(f"would format {shown}" if check else f"formatted {shown}")
    sys.stdout.flush()
    did = "would be formatted" if check or diff else "formatted"
    said = [f"{render.count(changed, 'card')} {did}", f"{render.count(formatted, 'card')} already formatted"]
    if problems:
        said.append(f"{render.count(problems, 'card')} not formatted")
    click.echo(", ".join(said), err=True)
    return 1 if problems or (changed and (check or diff)) else 0


def _stream(*, check: bool, diff: bool) -> int:
    from hubtool.card.files import MAX_BYTES
    from hubtool.card.format import format_card
    from hubtool.card.rewrite import unified_diff
    from hubtool.errors import ArgumentError

    if output.waits_for_ever():
        raise ArgumentError(
            "the card is to come from standard input, a terminal without a keyboard",
            hint="give the path of the card, or: hubtool fmt - < CARD",
        )
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    done = format_card(data)
    if done.problem is not None:
        click.echo(f"-: not formatted: {done.problem}", err=True)
    changed = done.data != data
    if diff:
        output.write_bytes(unified_diff(data, done.data, "-") if changed else b"")
    elif check:
        click.echo("would format -" if changed else "already formatted", err=True)
    else:
        output.write_bytes(done.data)
    return 1 if done.problem is not None or (changed and (check or diff)) else 0
