"""What several commands print in the same way."""

from __future__ import annotations

import json

import click


def echo_json(value: object) -> None:
    """Print a value as JSON, readable for people too."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def pairs(rows: list[tuple[str, str]], *, indent: str = "", err: bool = False) -> None:
    """Print names and values in two columns; on standard error if asked to."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{indent}{click.style(name.ljust(width), fg='cyan')}  {value}", err=err)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with what it counts, such as ``1 file`` or ``2,906 cards``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(count: int | None) -> str:
    """Return a size in bytes for people, such as ``404.1 MiB``."""
    if count is None:
        return "size not stated"
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    units = ("KiB", "MiB", "GiB", "TiB")
    power = min((count.bit_length() - 1) // 10, len(units))
    return f"{count / 1024**power:.1f} {units[power - 1]}"


def plain(text: str, *, lines: bool = False) -> str:
    """Return a text from a card as a terminal may have it: control characters, which could steer it, are spelled out.

    Args:
        text: The text.
        lines: Whether line feeds and tabs stay.
    """
    if text.isprintable():
        return text
    keep = "\n\t" if lines else ""
    cleaned = text.replace("\r\n", "\n") if lines else text
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in cleaned)
