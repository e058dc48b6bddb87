"""`hubtool validate`."""

from __future__ import annotations

from pathlib import Path

import click

from hubtool.cli import render


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH ...]")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print what was found."
)
def command(paths: tuple[Path, ...], form: str) -> int:
    """Check cards against the schema and the rules.

    PATH is a card or a folder of cards; without one, the registries are checked. Every problem is reported at once,
    with its place and what to do. The exit code is 0 if there is none, 1 if there is, and 2 if a PATH does not exist.
    """
    from hubtool import settings
    from hubtool.card.check import check_paths
    from hubtool.diagnostics import Severity

    report = check_paths(paths or settings.load().registry)
    if form == "json":
        render.echo_json(report.as_json())
        return 1 if report.diagnostics else 0
    for diagnostic in report.diagnostics:
        colour = "red" if diagnostic.severity is Severity.ERROR else "yellow"
        where = f"{diagnostic.path}:{diagnostic.position.line}:{diagnostic.position.column}"
        severity = click.style(str(diagnostic.severity), fg=colour, bold=True)
        click.echo(f"{where}: {severity} {diagnostic.code}: {diagnostic.message}")
        if diagnostic.hint:
            click.echo(f"    {click.style('hint', fg='cyan')}: {diagnostic.hint}")
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    click.echo(f"{_count(report.cards, 'card')}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return 1 if report.diagnostics else 0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
