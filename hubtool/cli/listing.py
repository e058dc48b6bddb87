"""What `hubtool list` and `hubtool search` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubtool.registry.choosing import Choice
    from hubtool.registry.entry import CardEntry
    from hubtool.registry.found import FoundModel
    from hubtool.registry.index import CardFilter, SearchIndex

_FEW = 20
_GAP = 2  # columns of a terminal between two of the table
_SENTENCE = 34  # the fewest for the sentence that says what a model does


def index() -> SearchIndex:
    """Open the index of the registries of the settings."""
    from hubtool import settings
    from hubtool.registry import Registries
    from hubtool.registry.index import SearchIndex

    current = settings.load()
    return SearchIndex.open(current.home, Registries.open(current).members)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options by which people choose between models."""
    for option in (
        click.option(
            "--verified",
            is_flag=True,
            help="Only networks found equal to an answer of other code than their own recipe.",
        ),
        click.option(
            "--max-parameters", metavar="COUNT", help="Only networks with at most this many parameters, such as 10M."
        ),
        click.option(
            "--sort",
            type=click.Choice(["score", "size", "date"]),
            help="By the metric that most models state, by the number of parameters (fewest first), or newest first.",
        ),
    ):
        command = option(command)
    return command


def choice(*, sort: str | None, max_parameters: str | None, verified: bool) -> Choice:
    """Return what these options ask for."""
    from hubtool.registry.choosing import Choice, read_count

    most = None if max_parameters is None else read_count(max_parameters)
    return Choice(sort=sort or "", most_elements=most, verified=verified)


def show(found: Sequence[FoundModel], *, count: int, summaries: bool = False) -> None:
    """Print models, one a line, with their UIDs first; at a terminal as a table that fits it.

    Args:
        found: The models.
        count: How many there are; more than these if a limit cut.
        summaries: Whether their summaries are shown, or else their data sets.
    """
    if found and sys.stdout.isatty():
        render.table(_table(found))
    else:
        _print_lines(found, summaries=summaries)
    if count > len(found):
        click.echo(f"{len(found)} of {render.count(count, 'model')}; --limit shows more", err=True)
    elif sys.stdout.isatty() or not found:
        click.echo(render.count(len(found), "model"), err=True)


def _table(found: Sequence[FoundModel]) -> list[tuple[str, ...]]:
    """Return models as the rows of a table, with the columns that the terminal has room for.

    Facts to choose by come before the sentence: the name says most of that, and half of it says nothing.
    """
    from shutil import get_terminal_size

    from rich.cells import cell_len, chop_cells

    from hubtool import wording
    from hubtool.registry.found import versions_in_words

    room = get_terminal_size().columns - max(cell_len(one.uid) for one in found)
    columns: dict[str, list[str]] = {}
    for name, text in (
        ("result", lambda one: one.result),
        ("size", lambda one: "" if one.elements is None else wording.short_number(one.elements)),
        ("verified", lambda one: "yes" if one.verified else ""),
        ("data set", lambda one: one.entry.datasets),
        ("versions", lambda one: versions_in_words(one.versions)),
        ("what it does", lambda one: _status(one) + one.summary),
    ):
        cells = [render.plain(text(one)) for one in found]
        width = max(map(cell_len, (name, *cells)))
        if name == "what it does" and room - _GAP >= _SENTENCE:
            width = min(width, room - _GAP)
            cells = [cell if cell_len(cell) <= width else f"{chop_cells(cell, width - 1)[0]}…" for cell in cells]
        if width + _GAP <= room:
            columns[name] = cells
            room -= width + _GAP
    order = ("what it does", "result", "size", "verified", "data set", "versions")
    shown = [name for name in order if name in columns]
    rows = zip((one.uid for one in found), *(columns[name] for name in shown), strict=True)
    return [("model", *shown), *rows]


def _print_lines(found: Sequence[FoundModel], *, summaries: bool) -> None:
    from hubtool.registry.found import versions_in_words

    widths = [max((len(one.uid) for one in found), default=0), max((len(one.task) for one in found), default=0)]
    for one in found:
        line = f"{one.uid.ljust(widths[0])}  {render.plain(one.task).ljust(widths[1])}  "
        line += render.plain(one.entry.summary if summaries else one.entry.datasets)
        if versions := versions_in_words(one.versions):
            line = f"{line.rstrip()}  ({versions})"
        if status := _status(one):
            line += f"  ({status.rstrip(': ')})"
        click.echo(render.plain(line.rstrip()))


def _status(one: FoundModel) -> str:
    entry = one.entry
    return f"{entry.status}{f'; use {entry.successor}' if entry.successor else ''}: " if entry.status else ""


def facets(found: Sequence[CardEntry], name: str) -> list[tuple[str, int]]:
    """Return the values of a fact among cards, each with how many models have it, the most frequent first.

    Args:
        found: The cards.
        name: ``task``, ``dataset``, ``version``, ``publisher`` or ``format``.
    """
    from collections import defaultdict

    from hubtool.card import vocabulary
    from hubtool.registry import words

    def values(entry: CardEntry) -> Sequence[str]:
        if name == "task":
            return words.tasks(entry)
        if name == "dataset":
            return [known or written for written, known in vocabulary.datasets(entry.datasets) if written]
        if name == "format":
            return entry.formats
        return [entry.uid.version if name == "version" else entry.uid.publisher]

    models: dict[str, set[str]] = defaultdict(set)
    for entry in found:
        for value in values(entry):
            models[value].add(words.model_key(entry.uid))
    return sorted(((value, len(keys)) for value, keys in models.items()), key=lambda pair: (-pair[1], pair[0]))


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
