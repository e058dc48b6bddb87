"""What `hubtool list` and `hubtool search` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hubtool.cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.registry.entry import Entry
    from hubtool.registry.index import Index


def index() -> Index:
    """Open the index of the registries of the settings."""
    from hubtool import settings
    from hubtool.registry import Registries
    from hubtool.registry.index import Index

    current = settings.load()
    return Index.open(current.home, Registries.open(current).members)


def show(found: Sequence[Entry], *, summaries: bool = False) -> None:
    """Print entries, one a line, with their UIDs first."""
    widths = [
        max((len(str(entry.uid)) for entry in found), default=0),
        max((len(entry.task) for entry in found), default=0),
    ]
    for entry in found:
        line = f"{str(entry.uid).ljust(widths[0])}  {render.plain(entry.task).ljust(widths[1])}  "
        line += render.plain(entry.summary if summaries else entry.datasets)
        if entry.status:
            line += f"  ({entry.status}{f'; use {entry.successor}' if entry.successor else ''})"
        click.echo(render.plain(line.rstrip()))
    if sys.stdout.isatty() or not found:
        click.echo(render.count(len(found), "card"), err=True)


def near(task: str | None, dataset: str | None) -> list[str]:
    """Return hints where a task or a data set is not one that is known."""
    from hubtool.card import vocabulary

    hints = []
    if task is not None and vocabulary.task(task) is None and (names := vocabulary.load("tasks").nearest(task)):
        hints.append(f"hint: did you mean --task {names[0]}?")
    if (
        dataset is not None
        and vocabulary.dataset(dataset) is None
        and (names := vocabulary.load("datasets").nearest(dataset))
    ):
        hints.append(f"hint: did you mean --dataset '{names[0]}'?")
    return hints
