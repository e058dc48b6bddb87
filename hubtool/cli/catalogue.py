"""`hubtool catalogue`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hubtool.cli import render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.registry import Registries

#: The folder of a catalogue beside what was published.
BESIDE: Final = "catalogue"


def require() -> None:
    """Refuse to go on where catalogues cannot be built.

    Raises:
        RequirementError: If a package is missing.
    """
    from importlib.util import find_spec

    from hubtool.errors import RequirementError
    from hubtool.requirements import INSTALL_CATALOGUE

    if find_spec("jinja2") is None:
        raise RequirementError("a catalogue needs the package jinja2", hint=INSTALL_CATALOGUE)


def build_beside(registries: Registries, target: Path, blobs: Sequence[Path] = ()) -> None:
    """Build the catalogue of some registries beside what was published of them, and say where it is.

    Args:
        registries: The registries.
        target: The folder of the mirror, or of the published registry.
        blobs: Folders with assets by their digests.
    """
    from hubtool.catalogue import build as building

    report = building.build(registries, target / BESIDE, blobs)
    for why in report.left_out:
        click.echo(render.plain(f"left out of the catalogue: {why}"), err=True)
    click.echo(f"catalogue: {report.folder / 'index.html'}", err=True)


@click.group()
def command() -> None:
    """Build the catalogue: web pages of all cards."""


@command.command("build")
@click.argument("folder", metavar="DIR", type=LocalPath(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def build(folder: Path, *, as_json: bool) -> None:
    """Build the catalogue of the cards of the registries into a folder.

    DIR is new, empty, or an older catalogue, which is replaced as a whole when the new one is complete. Its pages open
    from the folder (index.html) and from any web server; nothing in them asks another server. Needs the package jinja2
    (the extra [catalogue]).
    """
    from hubtool.catalogue import build as building
    from hubtool.hub import Hub

    require()
    hub = Hub.open().with_lock(None)
    report = building.build(hub.registries, folder, (hub.store.root, *hub.store.shared))
    if as_json:
        render.echo_json(
            {
                "folder": str(report.folder),
                "models": report.models,
                "cards": report.cards,
                "files": report.files,
                "size": report.size,
                "left_out": list(report.left_out),
            }
        )
    else:
        click.echo(str(report.folder / "index.html"))
    for why in report.left_out:
        click.echo(render.plain(f"left out: {why}"), err=True)
    what = f"{render.count(report.models, 'model')}, {render.count(report.cards, 'card')}"
    click.echo(f"{what}: {render.count(report.files, 'file')}, {render.size(report.size)}", err=True)
