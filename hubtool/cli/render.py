"""What several commands print in the same way."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, TextIO, cast

import click

from hubtool import wording
from hubtool.cli import output
from hubtool.wording import count as count  # noqa: PLC0414 - commands take it from here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

_ESCAPED = re.compile("[^ -~\\n]")


def echo_json(value: object) -> None:
    """Print a value as JSON, readable for people too."""
    click.echo(dumps(value, indent=2))


def dumps(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON in which what no terminal should get is escaped as JSON escapes it."""
    return escaped(json.dumps(value, indent=indent, ensure_ascii=False))


def escaped(text: str) -> str:
    """Return a JSON text with characters that are not printable escaped as JSON escapes them."""
    if text.isprintable():
        return text
    return _ESCAPED.sub(lambda found: _escape(found[0]), text)


def _escape(sign: str) -> str:
    return sign if output.clean(sign) == sign else json.dumps(sign)[1:-1]


def pairs(rows: list[tuple[str, str]], *, indent: str = "", err: bool = False) -> None:
    """Print names and values in two columns; on standard error if asked to.

    A line feed in a value is spelled out: it would begin a line that looks like one of hubtool's own.
    """
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{indent}{output.style(name.ljust(width), fg='cyan')}  {plain(value)}", err=err)


def size(count: int | None) -> str:
    """Return a size in bytes for people, such as ``404.1 MiB``."""
    return "size not stated" if count is None else wording.size(count)


def plain(text: str, *, lines: bool = False) -> str:
    """Return a text from a card as one line; control characters, which could steer the terminal, are spelled out.

    Args:
        text: The text.
        lines: Whether line feeds and tabs stay.
    """
    return output.clean(text.replace("\r\n", "\n"), keep="\n\t") if lines else output.clean(text, keep="")


def console(stream: TextIO) -> Console:
    """Return rich's console for a standard stream. What is printed on it is to be cleaned before (:class:`Clean`)."""
    from rich.console import Console

    return Console(file=cast("TextIO", output.Raw(stream)))


def table(rows: Sequence[Sequence[str]], *, fold: bool = False) -> None:
    """Print a table that fits the terminal; the first row is its heading, and the first column is never cut.

    Args:
        rows: The texts of the cells.
        fold: Whether a cell that is too long goes on in the next line; otherwise it ends in an ellipsis.
    """
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in range(len(rows[0])):
        if column == 0:
            grid.add_column(no_wrap=True, overflow="fold", min_width=max(len(row[0]) for row in rows))
        else:
            grid.add_column(no_wrap=not fold, overflow="fold" if fold else "ellipsis")
    for at, row in enumerate(rows):
        styles = ["bold" if at == 0 else "cyan" if column == 0 and fold else "" for column in range(len(row))]
        grid.add_row(*(Text(plain(cell), style=style) for cell, style in zip(row, styles, strict=True)))
    console(sys.stdout).print(Clean(grid))


class Clean:
    """A renderable for rich whose texts are cleaned after it was laid out: Markdown can spell ESC as ``&#27;``."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment

        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(output.clean(segment.text), segment.style)
