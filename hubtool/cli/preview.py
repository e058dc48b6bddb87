"""`hubtool preview`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, output, render
from hubtool.cli.paths import LocalPath
from hubtool.cli.show import facts_of
from hubtool.errors import HubError

if TYPE_CHECKING:
    from hubtool.resolution.finding import FoundCard


@click.command()
@click.argument("name", metavar="CARD", shell_complete=complete.uids)
@click.option(
    "--html", "html", type=LocalPath(dir_okay=False, path_type=Path), help="Write it as a page into this file."
)
@click.option("--open", "open_it", is_flag=True, help="Open it as a page in the browser.")
def command(name: str, html: Path | None, open_it: bool) -> None:
    """Show a card as readers will see it.

    CARD is the path of a card, or a UID. In the terminal the text is laid out; with --html or --open it is a page that
    needs no other file: images from beside the card are in it, others are links, and nothing in it runs.
    """
    from hubtool.hub import Hub

    hub = Hub.open().with_lock(None)
    found = hub.borrow(hub.find(name))
    if html is None and not open_it:
        _in_terminal(found)
        return
    from hubtool import files
    from hubtool.publish import page

    # Where the registry is on this machine is no reader's concern, and the summary stands above.
    facts = [(key, value) for key, value in facts_of(found) if key not in ("registry", "summary")]
    text = page.page(found.card, facts, root=found.root)
    if html is None:
        # It stays: the browser reads it after this program has ended.
        html = Path(tempfile.mkdtemp(prefix="hubtool-preview-")) / "card.html"
    try:
        files.write_atomically(html, text.encode("utf-8"), durable=False)
    except OSError as error:
        raise HubError(f"{html} cannot be written: {error.strerror or error}") from error
    click.echo(str(html))
    if open_it:
        import webbrowser

        if not webbrowser.open(html.absolute().as_uri()):
            click.echo(f"hint: there is no browser here; open {html} yourself", err=True)


def _in_terminal(found: FoundCard) -> None:
    from rich.markdown import Markdown

    card = found.card
    click.echo(output.style(render.plain(card.title or str(card.uid or card.path)), bold=True))
    click.echo()
    render.pairs(facts_of(found))
    click.echo()
    # The same layout in a pipe as at a terminal, without colours there.
    render.console(sys.stdout).print(render.Clean(Markdown(render.plain(card.body, lines=True), hyperlinks=False)))
