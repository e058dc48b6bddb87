"""Commands that are no longer part of hubtool: each says where it went and what to type."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping


def command(name: str, *now: str, merged: Mapping[str, tuple[str, ...]] | None = None) -> click.Command:
    """Return a hidden command that ends with an error.

    Args:
        name: What a user typed after ``hubtool``.
        now: The words after ``python -m maintain`` that stand for it now; the user's further arguments follow them.
        merged: For subcommands that became part of another one, by name, the words that stand for them and for all
            their arguments.
    """

    @click.command(
        name,
        hidden=True,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def moved(arguments: tuple[str, ...]) -> None:
        words = [*now, *arguments]
        if arguments and merged is not None and arguments[0] in merged:
            words = [*now, *merged[arguments[0]]]
        raise ArgumentError(
            f"'hubtool {name}' moved to a program for maintainers, which is in hubtool's repository only",
            hint=f"in a checkout of the repository, type: {shlex.join(['python', '-m', 'maintain', *words])}",
        )

    return moved
