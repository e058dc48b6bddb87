"""What `hubtool list` and `hubtool search` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.registry.entry import CardEntry
    from hubtool.registry.found import FoundModel
    from hubtool.registry.index import CardFilter, SearchIndex

_FEW = 20


def index() -> SearchIndex:
    """Open the index of the registries of the settings."""
    from hubtool import settings
    from hubtool.registry import Registries
    from hubtool.registry.index import SearchIndex

    current = settings.load()
    return SearchIndex.open(current.home, Registries.open(current).members)


def models(found: Sequence[CardEntry], *, versions: bool) -> list[FoundModel]:
    """Put the versions of models together, whose entries follow each other with the newest first.

    Args:
        found: The entries.
        versions: Whether each version stays by itself.
    """
    from hubtool.registry.found import FoundModel
    from hubtool.registry.words import model_key

    groups: dict[str, list[CardEntry]] = {}
    for entry in found:
        groups.setdefault(str(entry.uid) if versions else model_key(entry.uid), []).append(entry)
    return [FoundModel(entry=group[0], versions=tuple(str(one.uid) for one in group)) for group in groups.values()]


def show(found: Sequence[FoundModel], *, count: int, summaries: bool = False) -> None:
    """Print models, one a line, with their UIDs first.

    Args:
        found: The models.
        count: How many there are; more than these if a limit cut.
        summaries: Whether their summaries are shown, or else their data sets.
    """
    from hubtool.registry.found import versions_in_words

    widths = [max((len(one.uid) for one in found), default=0), max((len(one.task) for one in found), default=0)]
    for one in found:
        entry = one.entry
        line = f"{one.uid.ljust(widths[0])}  {render.plain(one.task).ljust(widths[1])}  "
        line += render.plain(entry.summary if summaries else entry.datasets)
        if versions := versions_in_words(one.versions):
            line = f"{line.rstrip()}  ({versions})"
        if entry.status:
            line += f"  ({entry.status}{f'; use {entry.successor}' if entry.successor else ''})"
        click.echo(render.plain(line.rstrip()))
    if count > len(found):
        click.echo(f"{len(found)} of {render.count(count, 'model')}; --limit shows more", err=True)
    elif sys.stdout.isatty() or not found:
        click.echo(render.count(len(found), "model"), err=True)


def near(index: SearchIndex, wanted: CardFilter) -> list[str]:
    """Print which of the things that a list was asked for no card has, and what is close to it."""
    from dataclasses import fields
    from difflib import get_close_matches

    from hubtool.card import architectures, vocabulary
    from hubtool.registry.index import CardFilter

    columns = {"task": "task", "version": "version", "publisher": "publisher", "format": "formats"}
    hints = []
    for field in fields(CardFilter):
        value = getattr(wanted, field.name)
        alone: dict[str, Any] = {field.name: value}
        if not isinstance(value, str) or index.uids(CardFilter(**alone)):
            continue
        option, shown = f"--{field.name}", f"{value[:100]!a}"
        there: list[str] = []
        if field.name == "dataset":
            close = list(vocabulary.load("datasets").nearest(value))
        else:
            there = index.known(columns[field.name])
            close = get_close_matches(value, there, n=1, cutoff=0.6)
        if field.name == "task":
            close = (
                close
                or list(vocabulary.load("tasks").nearest(value))
                or get_close_matches(value, architectures.tasks(), n=1)
            )
        is_no_task = field.name == "task" and vocabulary.task(value) is None and not architectures.find_tasks(value)
        hints.append(f"{shown} is not a task" if is_no_task else f"no card has {option} {shown}")
        if close:
            name = f"'{close[0]}'" if field.name == "dataset" else close[0]
            hints.append(f"hint: did you mean {option} {name}?")
        elif there:
            more = f" and {len(there) - _FEW:,} more" if len(there) > _FEW else ""
            hints.append(f"hint: the cards have {', '.join(there[:_FEW])}{more}")
    return hints
