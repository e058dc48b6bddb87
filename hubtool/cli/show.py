"""`hubtool show`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hubtool.card import facts_in_words
from hubtool.cli import complete, output, render, short_names

if TYPE_CHECKING:
    from hubtool.card.model import Asset
    from hubtool.resolution.finding import FoundCard
    from hubtool.store.store import Store


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(uid: str, as_json: bool) -> None:
    """Show a card: its facts and its text.

    UID is publisher/version/name, the name alone for its newest version, the URL of a card on the public hub, or the
    path of a card. At a terminal the text is formatted; elsewhere it is the raw Markdown.
    """
    from hubtool.hub import Hub

    hub = Hub.open().with_lock(None)
    found = hub.borrow(hub.find(short_names.whole(hub, uid)))
    if as_json:
        render.echo_json(_as_json(found))
        return
    card = found.card
    click.echo(output.style(render.plain(card.title or str(card.uid or card.path)), bold=True))
    click.echo()
    render.pairs(facts_of(found, hub.store))
    click.echo()
    body = render.plain(card.body.strip("\r\n"), lines=True)
    if not sys.stdout.isatty():
        click.echo(body)
        return
    from rich.markdown import Markdown

    render.console(sys.stdout).print(render.Clean(Markdown(body, hyperlinks=False)))


def _as_json(found: FoundCard) -> dict[str, object]:
    card = found.card
    return {
        "uid": str(card.uid) if card.uid else None,
        "path": str(card.path) if card.path else None,
        "registry": found.registry,
        "others": [other.as_json() for other in found.others],
        "title": card.title,
        "front_matter": dict(card.values),
        "missing": list(facts_in_words.missing(card.values)),
        "body": card.body,
        "faults": list(card.faults),
        "network": None if card.recipe is None else {"provider": card.recipe.provider, "entry": card.recipe.entry},
        "borrowed": None if found.loan is None else found.loan.as_json(),
    }


def facts_of(found: FoundCard, store: Store | None = None) -> list[tuple[str, str]]:
    """Return the names and values of a card's facts, as a terminal may have them.

    Args:
        found: The card.
        store: Where the sizes of assets are looked up that the card does not state.
    """
    from hubtool.card import known_answer

    card = found.card
    rows = [("uid", str(card.uid))] if card.uid else []
    if found.registry:
        rows.append(("registry", found.registry))
    for key, value in card.values.items():
        if key in ("asset", "network"):
            continue
        if key in facts_in_words.KEYS:
            text = facts_in_words.line(value)
        else:
            text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        rows.append((render.plain(key), render.plain(text)))
    rows.append(("facts", facts_in_words.completeness(facts_in_words.missing(card.values))))
    for asset in card.assets:
        digest = "no digest" if asset.digest is None else f"sha256 {asset.digest}"
        rows.append((f"asset {render.plain(asset.format)}", render.plain(asset.link)))
        rows.append(("", f"{_size(asset, store)}, {digest}"))
    if card.recipe:
        rows.append(("network", render.plain(f"{card.recipe.provider} {card.recipe.entry}")))
        rows.append(("known answer", render.plain(known_answer.told_of(card.recipe.known_answer))))
    if found.loan is not None:
        rows.append(("", render.plain(found.loan.why)))
    rows.extend(("card fault", render.plain(fault)) for fault in card.faults)
    rows.extend(
        ("note", f"{other.registry} has this UID too, with another card (sha256 {other.digest[:12]}...)")
        for other in found.others
    )
    return rows


def _size(asset: Asset, store: Store | None) -> str:
    """Return the size of an asset: as its card states it, or else that of the stored file."""
    stored = None
    if asset.size is None and asset.digest is not None and store is not None:
        stored = store.find(asset.digest, link=asset.link)
    return render.size(asset.size) if stored is None else f"{render.size(stored.size)} as stored"
