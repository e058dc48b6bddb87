"""`hubtool check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, output, render

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.publish.check_rows import CheckRow


@click.command()
@click.argument("name", metavar="CARD", shell_complete=complete.uids)
@options.assets
@options.timeout
@options.memory
@options.trust
@options.checkout
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    name: str,
    assets: tuple[Path, ...],
    timeout: float,
    memory: float,
    trust: bool,
    checkout: Path | None,
    as_json: bool,
) -> int:
    """Check everything that publishing a card requires, and print a table.

    CARD is the path of a card, in a registry or not, or a UID. The rows: schema and rules; the links answer; the
    assets' bytes have the digest and size that the card states; the checkpoint can be read; the recipe resolves;
    coverage is total; one forward pass; the known answers are equal; the usage block runs, isolated and offline;
    the metrics can be read. Each row is passed, failed, or not possible here. The exit code is 1 if one failed.
    """
    from hubtool.hub import Hub
    from hubtool.publish.check import check_card
    from hubtool.sandbox.limits import ProgramLimits

    report = check_card(
        Hub.open().with_lock(None),
        name,
        assets=assets,
        limits=ProgramLimits(seconds=timeout, memory=int(memory * (1 << 30))),
        trust=trust,
        checkout=checkout,
        tell=None if as_json else print_row,
    )
    if as_json:
        render.echo_json(report.as_json())
    elif report.complete:
        click.echo("all passed")
    else:
        failed = sum(row.state.value == "failed" for row in report.rows)
        others = sum(row.state.value == "not possible here" for row in report.rows)
        click.echo(f"{len(report.rows) - failed - others} passed, {failed} failed, {others} not possible here")
    return 0 if report.passed else 1


_COLOURS = {"passed": "green", "failed": "red", "not possible here": "yellow"}


def print_row(row: CheckRow) -> None:
    """Print a row of the table."""
    state = output.style(row.state.value.ljust(17), fg=_COLOURS[row.state.value])
    # Of what could not be passed the reason comes first; of all, what was found stands below.
    lines = [*_lines(row.reason), *(line for detail in row.details for line in _lines(detail))]
    click.echo(f"{row.name.ljust(16)}  {state}  {lines[0] if lines else ''}".rstrip())
    for line in lines[1:]:
        click.echo(f"{'':16}  {'':17}  {line}")


def _lines(text: str) -> list[str]:
    return [render.plain(line) for line in text.splitlines()]
