"""`hubtool search`."""

from __future__ import annotations

import click

from hubtool.cli import listing, render


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Maximum number of models to show."
)
@listing.choosing
@click.option("--all-versions", is_flag=True, help="Each version of a model on a line of its own.")
@click.option("--all", "everything", is_flag=True, help="Withdrawn cards too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    words: tuple[str, ...],
    *,
    limit: int,
    sort: str | None,
    max_parameters: str | None,
    verified: bool,
    all_versions: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Find models by words, the best first.

    WORDS name a model, an architecture, a data set, a task, a version, or anything else that a card says, in English or
    Chinese; separators, case and most typing errors do not matter. Exact names come first, then architectures, data
    sets and tasks. Each model is shown with its newest version. If no card has all words, the least important ones are
    left out. Withdrawn cards are found only with --all. Nothing is fetched.
    """
    chosen = listing.choice(sort=sort, max_parameters=max_parameters, verified=verified)
    with listing.index() as index:
        found = index.search(" ".join(words), limit, withdrawn=everything, versions=all_versions, choice=chosen)
    if as_json:
        render.echo_json([{**model.entry.as_json(), "versions": list(model.versions)} for model in found])
    else:
        listing.show(found.models, count=found.count, summaries=True)
    for note in found.notes():
        click.echo(render.plain(note), err=True)
