"""``python -m maintain``: the command line for maintainers."""

from __future__ import annotations

import sys

import click

from hubtool.cli import app, output
from maintain.commands import discovery, facts, importing, loadability, oracle

NAME = "python -m maintain"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    commands={
        "import": importing.command,
        "facts": facts.command,
        "discover": discovery.discover,
        "oracle": oracle.command,
        "answers": oracle.answers,
        "versions": oracle.versions,
        "loadability": loadability.command,
    },
)
def maintain() -> None:
    """Import the public hub, find the recipes of cards, and record what their code computes.

    For maintainers of hubtool, from a checkout.
    """


def main() -> None:
    """Run the command line and exit with its code, the same codes as those of ``hubtool``."""
    output.guard()
    sys.exit(app.run(sys.argv[1:], maintain, NAME))


if __name__ == "__main__":
    main()
