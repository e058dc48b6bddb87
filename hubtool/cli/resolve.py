"""`hubtool resolve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, render

if TYPE_CHECKING:
    from hubtool.resolver import Resolution, ResolvedAsset


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.option(
    "--device",
    type=click.Choice(["auto", "CPU", "GPU", "Ascend"], case_sensitive=False),
    default="auto",
    help="The device to load on; auto is Ascend where there is one, else CPU.",
)
@click.option("--frozen", is_flag=True, help="Accept nothing but what the lock pins: --lock, HUBTOOL_LOCK or hub.lock.")
@click.option(
    "--lock", type=click.Path(dir_okay=False, path_type=Path), help="The lock to hold to; --frozen goes without saying."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, uid: str, device: str, frozen: bool, lock: Path | None, as_json: bool) -> None:
    """Say what it takes to load a card, without loading it.

    Nothing is fetched and nothing is run. UID is publisher/version/name, the URL of a card on the public hub, or the
    path of a card. The exit code is 1 if there is no such card, or if there is a lock and it is not what that pins.
    """
    from hubtool.hub import Hub
    from hubtool.lock import FILE_NAME

    hub = Hub.open()
    if lock is not None or (frozen and hub.settings.lock is None):
        hub = hub.with_lock((lock or Path(FILE_NAME)).absolute())
    resolution = hub.resolve(uid, device=device)
    if as_json:
        render.echo_json(resolution.as_json())
    else:
        _print(resolution)


def _print(resolution: Resolution) -> None:
    card, recipe = resolution.card, resolution.recipe
    rows = [("uid", resolution.uid), ("card", str(card.path))]
    if summary := card.text("summary"):
        rows.append(("summary", summary))
    rows.extend(("card fault", fault) for fault in card.faults)
    rows.extend(
        (
            "note",
            f"{other.registry} has this UID too, with another card (sha256 {other.digest[:12]}...); it is not used",
        )
        for other in resolution.others
    )
    for asset in resolution.assets:
        rows.append(("weights" if asset.weights else "asset", asset.asset.link))
        rows.append(("", _state(asset)))
    if resolution.pinned:
        rows.append(("pinned", "yes: this is what the lock says, to the byte"))
    if recipe:
        rows.append(("network", f"{recipe.provider} {recipe.entry}"))
        rows.extend(("", f"{name} = {value!r}") for name, value in recipe.arguments.items())
        rows.extend(("", f"ignores {pattern}") for pattern in recipe.ignore)
    rows.append(("requires", ", ".join(f"{name}{spec}" for name, spec in resolution.requires.items()) or "not known"))
    rows.append(("device", resolution.device))
    rows.append(("loadable", "yes" if resolution.loadable else "no"))
    rows.extend(("", f"- {reason}") for reason in resolution.reasons)
    render.pairs(rows)
    if resolution.loadable:
        click.echo()
        for line in resolution.python:
            click.echo(f"    {line}" if line else "")


def _state(asset: ResolvedAsset) -> str:
    digest = asset.asset.digest
    stored = f"stored at {asset.stored}" if asset.stored else "not stored"
    return f"{asset.asset.format}, {render.size(asset.asset.size)}, sha256 {digest or 'not stated'}, {stored}"
