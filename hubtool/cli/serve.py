"""`hubtool serve`."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from hubtool.cli import output
from hubtool.cli.paths import LocalPath
from hubtool.errors import MirrorError
from hubtool.requirements import INSTALL_SERVE


@click.command()
@click.argument("folder", type=LocalPath(path_type=Path, file_okay=False, exists=True), metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="The port; 0 for any free one."
)
@click.option(
    "--connections", type=click.IntRange(1, 4096), default=400, show_default=True, help="Maximum number of connections."
)
@click.option("--quiet", "-q", is_flag=True, help="Do not print the requests.")
def command(*, folder: Path, host: str, port: int, connections: int, quiet: bool) -> None:
    """Serve a mirror over HTTP, read-only, until Ctrl-C (exit code 130) or a signal to terminate (0).

    Only the mirror's own files are served: its index, its cards and its blobs. Clients use it with
    `hubtool registry add`, or with HUBTOOL_MIRRORS. It is meant for a trusted network: there is no TLS, and no login.
    Needs the packages starlette and uvicorn (the extra [serve]).
    """
    from hubtool.mirror.layout import INDEX

    try:
        from hubtool.mirror.serve import Server
    except ModuleNotFoundError as error:
        raise MirrorError(
            f"hubtool serve needs the packages starlette and uvicorn, and {error.name} is not installed",
            hint=INSTALL_SERVE,
        ) from error

    def log(client: str, line: str, status: int) -> None:
        click.echo(f"{client} {status} {line}", err=True)

    server = Server(folder, host=host, port=port, connections=connections, log=None if quiet else log)
    if not (server.root / INDEX).is_file():
        click.echo(
            f"{output.style('warning', fg='yellow')}: {server.root} has no {INDEX}, so clients find no cards "
            "in it; `hubtool mirror sync` makes a mirror",
            err=True,
        )

    interrupted = False

    def stop(number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = number == signal.SIGINT
        server.stop()

    # Services are stopped by SIGTERM. A signal may come before the server runs, which then ends at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    click.echo(f"{server.url} serves {server.root}")
    server.run()
    if interrupted:
        raise KeyboardInterrupt
