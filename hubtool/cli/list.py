"""`hubtool list`."""

from __future__ import annotations

import click

from hubtool.cli import render


@click.command()
@click.option("--task", help="Only cards for a task, such as object-detection, or for a field, such as nlp.")
@click.option("--dataset", help="Only cards of models trained on a data set, such as ImageNet2012, in any spelling.")
@click.option("--version", help="Only cards of a version, such as 1.9.")
@click.option("--publisher", help="Only cards of a publisher, such as mindspore.")
@click.option("--format", "form", help="Only cards with an asset of a format, such as ckpt.")
@click.option("--loadable", is_flag=True, help="Only cards with a recipe and a checkpoint with a digest.")
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
    all_versions: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """List the cards of the registries.

    A model is one line with its newest version; JSON has every card. Of two cards with one UID, that of the earlier
    registry is listed. Cards that were withdrawn are listed with --all
    only. Nothing is fetched.
    """
    from hubtool.cli import entries
    from hubtool.registry.index import CardFilter

    wanted = CardFilter(
        task=task,
        dataset=dataset,
        version=version,
        publisher=publisher,
        format=form,
        loadable=loadable,
        withdrawn=everything,
    )
    with entries.index() as index:
        found = list(index.entries(wanted))
        hints = [] if found else entries.near(index, wanted)
    if as_json:
        render.echo_json([entry.as_json() for entry in found])
    else:
        models = entries.models(found, versions=all_versions)
        entries.show(models, count=len(models))
    for hint in hints:
        click.echo(hint, err=True)
