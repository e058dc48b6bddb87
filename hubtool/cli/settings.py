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
    from hubtool.registry import sources

    current = settings.load()
    values: dict[str, object] = {
        "registry": [str(path) for path in current.registry],
        "home": str(current.home),
        "stores": [str(path) for path in current.stores],
        "offline": current.offline,
        "allowed_hosts": list(current.allowed_hosts),
        "mirrors": list(current.mirrors),
        "lock": None if current.lock is None else str(current.lock),
        "blobs": current.blobs,
        "link_base": current.link_base,
        "added_registries": [f"{source.name} ({source.location})" for source in sources.load(sources.file())],
        "validate": {
            "select": list(current.validate.select),
            "ignore": list(current.validate.ignore),
            "folders": {str(folder): list(codes) for folder, codes in current.validate.folders},
        },
    }
    origins = {**current.origins, "added_registries": str(sources.file())}
    if as_json:
        render.echo_json({name: {"value": value, "origin": origins[name]} for name, value in values.items()})
        return
    rows = []
    for name, value in values.items():
        rows += [(name.replace("_", "-"), _shown(value)), ("", f"from: {origins[name]}")]
    render.pairs(rows)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(one)}" for name, one in value.items() if one) or "all rules"
    if isinstance(value, list):
        return ", ".join(value)
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
