"""``python -m maintain loadability``: the page that says which cards become networks."""

from __future__ import annotations

from pathlib import Path

import click

from hubtool.cli.paths import LocalPath


@click.command()
@click.option("--registry", type=LocalPath(exists=True, file_okay=False, path_type=Path), default=Path("registry"))
@click.option("--check", is_flag=True, help="Write nothing; the exit code is 1 if the page is out of date.")
def command(registry: Path, check: bool) -> int:
    """Write docs/loadability.md from the cards of a registry and the reasons in maintain/."""
    from maintain import loadability
    from maintain.commands.oracle import cards_of

    text = loadability.page(cards_of(registry), loadability.read_reasons(), loadability.read_unverified())
    is_old = not loadability.PAGE.is_file() or loadability.PAGE.read_text(encoding="utf-8") != text
    if is_old and not check:
        loadability.PAGE.write_text(text, encoding="utf-8")
    click.echo(f"{loadability.PAGE}: {'out of date' if is_old and check else 'written' if is_old else 'up to date'}")
    return int(is_old and check)
