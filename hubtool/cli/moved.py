"""Commands that are no longer part of hubtool: each says where it went and what to type."""

from __future__ import annotations

import shlex

import click

from hubtool.errors import ArgumentError


def command(name: str, *now: str) -> click.Command:
    """Return a hidden command that ends with an error.

    Args:
        name: What a user typed after ``hubtool``.
        now: The words after ``python -m maintain`` that stand for it now; the user's further arguments follow them.
    """

    @click.command(
        name,
        hidden=True,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def moved(arguments: tuple[str, ...]) -> None:
        raise ArgumentError(
            f"'hubtool {name}' moved to a program for maintainers, which is in hubtool's repository only",
            hint=f"in a checkout of the repository, type: {shlex.join(['python', '-m', 'maintain', *now, *arguments])}",
        )

    return moved
