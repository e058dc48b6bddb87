"""`hubtool try`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, output, render

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("name", metavar="UID|CARD", shell_complete=complete.uids)
@options.assets
@click.option("--timeout", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Seconds it may take.")
@click.option("--memory", type=click.FloatRange(min=0.1), default=8.0, show_default=True, help="GiB it may take.")
@options.trust
@options.checkout
def command(
    *, name: str, assets: tuple[Path, ...], timeout: float, memory: float, trust: bool, checkout: Path | None
) -> int:
    """Run the usage block of a card, and show what it prints.

    The assets are fetched if they are not stored. The block then runs as a separate program: offline, in its own
    folder, without input, on this machine's device, and isolated as far as this system allows. The last line says
    what was isolated and what was not. The exit code is the block's own.
    """
    from hubtool.hub import Hub
    from hubtool.publish.run_usage import try_usage
    from hubtool.sandbox.limits import ProgramLimits

    def show(text: str) -> None:
        sys.stdout.write(render.plain(text.replace("\r\n", "\n").replace("\r", "\n"), lines=True))
        sys.stdout.flush()

    limits = ProgramLimits(seconds=timeout, memory=int(memory * (1 << 30)))
    hub = Hub.open().with_lock(None)
    done = try_usage(hub, name, assets=assets, limits=limits, trust=trust, checkout=checkout, show=show)
    for note in done.adapted:
        click.echo(f"note: {note}", err=True)
    click.echo(f"note: {done.ended.seconds:.1f} s; {done.ended.described}", err=True)
    if done.problem:
        click.echo(f"{output.style('error', fg='red', bold=True)}: the usage block failed: {done.problem}", err=True)
    return done.code
