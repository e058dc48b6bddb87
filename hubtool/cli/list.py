"""`hubtool list`."""

from __future__ import annotations

import click

from hubtool.cli import listing, render


@click.command()
@click.option("--task", help="Only cards for a task, such as object-detection, or for a field, such as nlp.")
@click.option("--dataset", help="Only cards of models trained on a data set, such as ImageNet2012, in any spelling.")
@click.option("--version", help="Only cards of a version, such as 1.9.")
@click.option("--publisher", help="Only cards of a publisher, such as mindspore.")
@click.option("--format", "form", help="Only cards with an asset of a format, such as ckpt.")
@click.option("--loadable", is_flag=True, help="Only cards with a recipe and a checkpoint with a digest.")
@listing.choosing
@click.option("--latest", is_flag=True, help="Only the newest version of each model, in JSON too.")
@click.option("--all-versions", is_flag=True, help="Each version of a model on a line of its own.")
@click.option("--all", "everything", is_flag=True, help="Withdrawn cards too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    task: str | None,
    dataset: str | None,
    version: str | None,
    publisher: str | None,
    form: str | None,
    loadable: bool,
    sort: str | None,
    max_parameters: str | None,
    verified: bool,
    latest: bool,
    all_versions: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """List the cards of the registries.

    A model is one line with its newest version; JSON has every card. If two registries have a UID, the earlier one's
    card is listed. Withdrawn cards are listed only with --all. '?' as the value of --task, --dataset, --version,
    --publisher or --format lists all values, each with its number of models. Nothing is fetched.
    """
    from dataclasses import replace

    from hubtool.errors import ArgumentError
    from hubtool.registry.choosing import choose
    from hubtool.registry.found import grouped
    from hubtool.registry.index import CardFilter

    chosen = listing.choice(sort=sort, max_parameters=max_parameters, verified=verified)
    if latest and all_versions:
        raise ArgumentError("--latest and --all-versions exclude each other", hint="give one of them")
    asked = {"task": task, "dataset": dataset, "version": version, "publisher": publisher, "format": form}
    questions = [name for name, value in asked.items() if value == "?"]
    wanted = CardFilter(
        **{name: None if value == "?" else value for name, value in asked.items()},
        loadable=loadable,
        withdrawn=everything,
    )
    with listing.index() as index:
        found = list(index.entries(wanted))
        hints = [] if found else listing.near(index, wanted)
        unknown = 0
        if wanted.task is not None:
            unknown = sum(not one.find_tasks() for one in index.entries(replace(wanted, task=None)))
    if questions:
        counted = {name: listing.facets(found, name) for name in questions}
        if as_json:
            render.echo_json({name: dict(pairs) for name, pairs in counted.items()})
        for pairs in () if as_json else counted.values():
            for value, count in pairs:
                click.echo(f"{count:>6,}  {render.plain(value)}")
        for hint in hints:
            click.echo(render.plain(hint), err=True)
        return
    every = as_json and not latest
    models, notes = choose(grouped(found, versions=all_versions or every), chosen)
    if as_json:
        render.echo_json([one.entry.as_json() for one in models])
    else:
        listing.show(models, count=len(models))
    if unknown:
        notes.append(f"left out: {render.count(unknown, 'card')} whose task is not known")
    for note in (*notes, *hints):
        click.echo(render.plain(note), err=True)
