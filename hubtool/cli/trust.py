"""`hubtool trust`."""

from __future__ import annotations

import click

from hubtool.cli import render


@click.group()
def command() -> None:
    """Show and change whose code may run here.

    Code from elsewhere runs only if its repository is on this list, and you agreed to it once. The organisations of the
    public hub are on the list by default. By adding an entry you also agree that its code runs.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """Show the trust list."""
    from hubtool.resolution import trust

    current = trust.read()
    rows = [
        {"entry": entry, "origin": "default" if entry in trust.DEFAULTS else "added", "agreed": entry in current.agreed}
        for entry in current.entries
    ]
    if as_json:
        render.echo_json({"file": str(trust.trust_file()), "entries": rows, "agreed-now": trust.agreed_by()})
        return
    render.pairs(
        [(str(row["entry"]), f"{row['origin']}, {'agreed' if row['agreed'] else 'not agreed yet'}") for row in rows]
    )


@command.command()
@click.argument("entry")
def add(entry: str) -> None:
    """Trust an organisation (host/owner) or a repository (host/owner/name), and agree that its code runs."""
    from hubtool.resolution import trust

    trust.write(trust.read().add(entry))
    click.echo(f"{trust.parse_entry(entry)} is trusted, and its code may run")


@command.command()
@click.argument("entry")
def remove(entry: str) -> None:
    """Remove an entry from the list; default ones too."""
    from hubtool.resolution import trust

    trust.write(trust.read().remove(entry))
    click.echo(f"{trust.parse_entry(entry)} is no longer trusted")
