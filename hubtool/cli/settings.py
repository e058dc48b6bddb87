"""`hubtool settings`."""

from __future__ import annotations

from pathlib import Path

import click

from hubtool.cli import render
from hubtool.cli.paths import LocalPath


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Show every setting and where it came from.

    A setting comes from its environment variable, else from the project's hubtool.toml, else from the user's;
    otherwise it has its default. Allowed hosts from all of these are combined.

    A project's hubtool.toml may come from another person, in a clone for instance. Until you approve it, only
    [validate], 'offline = true' and 'lock' of it are in force.
    """
    if context.invoked_subcommand is not None:
        return
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
        shown: dict[str, object] = {name: {"value": value, "origin": origins[name]} for name, value in values.items()}
        shown["ignored"] = [{"key": one.key, "file": str(one.file), "why": one.why} for one in current.ignored]
        render.echo_json(shown)
        return
    rows = []
    for name, value in values.items():
        rows += [(name.replace("_", "-"), _shown(value)), ("", f"from: {origins[name]}")]
    for one in current.ignored:
        rows += [("ignored", f"'{one.key}' of {one.file}: {one.why}")]
    if current.ignored:
        rows += [("", f"if you trust that file: hubtool settings approve '{current.ignored[0].file}'")]
    rows += [("your file", str(settings.user_file()))]
    render.pairs(rows)


@command.command()
@click.argument("file", required=False, type=LocalPath(path_type=Path, dir_okay=False))
def approve(file: Path | None) -> None:
    """Approve a project's settings file as it is now: the nearest hubtool.toml, or FILE.

    A change of the file ends the approval. Read the file first: it says where cards, checkpoints and code come from.
    """
    from hubtool import settings

    path = _project_file(file)
    values = settings.approve(path)
    click.echo(f"approved {path}")
    render.pairs([(key, _shown(value)) for key, value in values.items() if key != "validate"])


@command.command()
@click.argument("file", required=False, type=LocalPath(path_type=Path, dir_okay=False))
def revoke(file: Path | None) -> None:
    """Withdraw the approval of a project's settings file: the nearest hubtool.toml, or FILE."""
    from hubtool import settings

    path = _project_file(file)
    click.echo(f"{path} is no longer approved" if settings.revoke(path) else f"{path} was not approved")


def _project_file(file: Path | None) -> Path:
    from hubtool import settings
    from hubtool.errors import SettingsError

    path = settings.project_file(Path.cwd()) if file is None else file
    if path is None:
        raise SettingsError(
            f"there is no {settings.FILE_NAME} in this folder or above it", hint="name the file to approve"
        )
    return path


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(one)}" for name, one in value.items() if one) or "all rules"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
