"""``python -m maintain facts``."""

from __future__ import annotations

from pathlib import Path

import click

from hubtool.cli import render
from hubtool.cli.paths import LocalPath


@click.command("facts")
@click.option(
    "--registry",
    type=LocalPath(exists=True, file_okay=False, path_type=Path),
    default=Path("registry"),
    show_default=True,
    help="The registry whose cards are filled.",
)
@click.option(
    "--checkout",
    "checkouts",
    multiple=True,
    help="The folder with a repository's tree; {repository} and {revision} in it are those of a card's repo-link. "
    "May be given several times: the first that is there counts. Without it, no code is run.",
)
@click.option("--uids", default="*", show_default=True, help="Only cards whose UID fits this pattern.")
@click.option(
    "--report",
    type=LocalPath(dir_okay=False, path_type=Path),
    default=Path("facts.jsonl"),
    show_default=True,
    help="Where records of the runs are kept; what is there is not run again.",
)
@click.option(
    "--page",
    type=LocalPath(dir_okay=False, path_type=Path),
    default=Path("docs/facts.md"),
    show_default=True,
    help="The page that is written with --write.",
)
@click.option("--jobs", type=click.IntRange(1, 8), default=2, help="How many at a time.")
@click.option("--seconds", type=float, default=30.0, help="Time for one.")
@click.option(
    "--minutes", type=float, default=600.0, help="When no further run is begun; what is missing is run next time."
)
@click.option("--write", is_flag=True, help="Write the facts into the cards, and the page.")
def command(  # noqa: PLR0917 - one for each option
    registry: Path,
    checkouts: tuple[str, ...],
    uids: str,
    report: Path,
    page: Path,
    jobs: int,
    seconds: float,
    minutes: float,
    write: bool,
) -> int:
    """Fill cards with what is known of using their networks: what goes in and out, and how.

    The task and the architecture are those of the vocabularies. How pictures are prepared is recorded from the authors'
    own evaluation code, which runs with stand-ins for MindSpore, without a network and without data. What is not known
    for sure stays unknown; the page counts it, with the reasons.
    """
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.facts import run

    filled = run.fill(
        registry,
        checkouts=checkouts,
        pattern=uids,
        report=report,
        limits=ProgramLimits(seconds=seconds),
        parallel=jobs,
        minutes=minutes,
        write=write,
    )
    if write and uids == "*":
        page.write_text(run.page(filled), encoding="utf-8")
    click.echo(run.table(filled))
    click.echo(f"{render.count(filled.changed, 'card')} {'written' if write else 'would change'}")
    return 0
