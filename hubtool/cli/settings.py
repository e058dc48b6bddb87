"""`hubtool settings`."""

from __future__ import annotations

import click

from hubtool.cli import render


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show every setting and where it came from.

    A setting is taken from its variable, else from the hubtool.toml of the project, else from that of the user, else
    it has its default. Hosts from all of these are added up.
    """
    from hubtool import settings

    current = settings.load()
    values: dict[str, object] = {
        "registry": [str(path) for path in current.registry],
        "home": str(current.home),
        "offline": current.offline,
        "allowed_hosts": list(current.allowed_hosts),
    }
    if as_json:
        render.echo_json({name: {"value": value, "origin": current.origins[name]} for name, value in values.items()})
        return
    rows = []
    for name, value in values.items():
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        rows += [(name.replace("_", "-"), shown), ("", f"from: {current.origins[name]}")]
    render.pairs(rows)
