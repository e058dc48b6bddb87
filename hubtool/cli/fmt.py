"""`hubtool fmt`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hubtool.cli import output
from hubtool.cli.paths import LocalPath


@click.command()
@click.argument("paths", nargs=-1, type=LocalPath(path_type=Path, allow_dash=True), metavar="[PATH ...]")
@click.option("--check", is_flag=True, help="Change nothing; name the cards that are not laid out, and exit with 1.")
@click.option("--diff", is_flag=True, help="Show what would be changed, and change nothing; exit with 1 if anything.")
def command(paths: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Lay cards out in the one canonical form.

    PATH is a card, a folder of cards, or '-' for a card from standard input, which is written to standard output.
    Without one, the registries are laid out. Nothing that a card says is changed: entries are put in order, quoted in
    one way, and blank lines are put where they belong. The exit code is 1 if a card cannot be laid out because its
    front matter cannot be read ('hubtool validate' says more), or with --check or --diff if one is not laid out.
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

    changed = problems = laid_out = 0
    targets = paths or settings.load().registry
    run.check_present(targets)
    for outcome in format_files.format_paths(targets, write=not (check or diff), show=diff):
        shown = shown_path(outcome.path)
        if outcome.problem is not None:
            problems += 1
            click.echo(f"{shown}: not laid out: {outcome.problem}", err=True)
        elif not outcome.changed:
            laid_out += 1
        else:
            changed += 1
            if diff:
                output.write_bytes(outcome.diff)
            else:
                click.echo(f"would lay out {shown}" if check else f"laid out {shown}")
    sys.stdout.flush()
    did = "would be laid out" if check or diff else "laid out"
    said = [f"{render.count(changed, 'card')} {did}", f"{render.count(laid_out, 'card')} as they should be"]
    if problems:
        said.append(f"{render.count(problems, 'card')} not laid out")
    click.echo(", ".join(said), err=True)
    return 1 if problems or (changed and (check or diff)) else 0


def _stream(*, check: bool, diff: bool) -> int:
    from hubtool.card.files import MAX_BYTES
    from hubtool.card.format import format_card
    from hubtool.card.rewrite import unified_diff
    from hubtool.errors import ArgumentError

    if output.waits_for_ever():
        raise ArgumentError(
            "the card is to come from standard input, a terminal that nobody can type into here",
            hint="give the path of the card, or: hubtool fmt - < CARD",
        )
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    done = format_card(data)
    if done.problem is not None:
        click.echo(f"-: not laid out: {done.problem}", err=True)
    changed = done.data != data
    if diff:
        output.write_bytes(unified_diff(data, done.data, "-") if changed else b"")
    elif check:
        click.echo("would lay out -" if changed else "laid out as it should be", err=True)
    else:
        output.write_bytes(done.data)
    return 1 if done.problem is not None or (changed and (check or diff)) else 0
