"""`hubtool fetch`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, progress, render
from hubtool.cli.app import exit_code
from hubtool.errors import CardError, HubError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.hub import Hub
    from hubtool.store.records import Stored
    from hubtool.transfer.events import FetchOutcome, FetchRequest


@dataclass(slots=True)
class _Card:
    """What was asked for by one name, and what came of it."""

    uid: str
    rows: list[dict[str, object]] = field(default_factory=list)
    errors: list[tuple[str, HubError]] = field(default_factory=list)

    def add(self, link: str, stored: Stored) -> None:
        path, size = str(stored.path), stored.size
        self.rows.append({"link": link, "digest": stored.digest, "size": size, "stored": path})

    def as_json(self) -> dict[str, object]:
        value: dict[str, object] = {"uid": self.uid, "assets": self.rows}
        if self.errors:
            value["failed"] = [{"link": link, "error": one.message, "hint": one.hint} for link, one in self.errors]
        return value


@click.command()
@click.argument("uids", metavar="UID...", nargs=-1, required=True, shell_complete=complete.uids)
@click.option("--force", is_flag=True, help="Fetch the assets even if they are stored.")
@options.limit_rate
@options.connections
@options.progress_kind
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def command(
    *,
    uids: tuple[str, ...],
    force: bool,
    limit_rate: float | None,
    connections: int,
    kind: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Download the assets of cards into the store.

    Every byte is hashed on its way to the disk, and nothing is visible before its SHA-256 is the one on the card.
    What is stored already is not fetched again. What an earlier run left unfinished is resumed. Mirrors
    (HUBTOOL_MIRRORS) are asked first, the card's own links last.
    """
    from hubtool.hub import Hub

    names = [*dict.fromkeys(uids)]
    with progress.reporter("none" if quiet else kind) as report:
        hub = Hub.open()
        cards, outcomes = _fetch(hub, names, report, force=force, rate=limit_rate, connections=connections)
        report.close()
        for card, outcome in outcomes:
            if outcome.stored is not None:
                card.add(outcome.wanted.link, outcome.stored)
            elif outcome.error is not None:
                card.errors.append((outcome.wanted.link, outcome.error))
        if as_json:
            values = [card.as_json() for card in cards]
            render.echo_json(values[0] if len(names) == 1 else values)
        else:
            _print(cards)
        errors = [(card.uid, link, error) for card in cards for link, error in card.errors]
        alone = len(errors) == len(names) == 1
        for uid, link, error in errors:
            report.error(uid, error, link=link, alone=alone)
    return exit_code(errors[0][2]) if alone else min(1, len(errors))


def _fetch(
    hub: Hub,
    names: Sequence[str],
    report: progress.ProgressReporter,
    *,
    force: bool,
    rate: float | None,
    connections: int,
) -> tuple[list[_Card], list[tuple[_Card, FetchOutcome]]]:
    """Fetch the assets of all cards in one run."""
    from hubtool.transfer.events import Labels, total

    cards: list[_Card] = []
    owners: list[_Card] = []
    labels = Labels()

    wanted: list[FetchRequest] = []
    for name in names:
        card = _Card(name)
        cards.append(card)
        try:
            for one in _plan(hub, name, card):
                owners.append(card)
                wanted.append(labels.label(one))
        except HubError as error:
            card.errors.append(("", error))
    if report.counts:
        report.expect(len(wanted), total(wanted))
    with hub.fetcher(connections=connections, rate=rate, watch=report) as run:
        outcomes = run.fetch_all(wanted, force=force)
    return cards, list(zip(owners, outcomes, strict=True))


def _plan(hub: Hub, name: str, card: _Card) -> list[FetchRequest]:
    """Return which assets of a card are to be fetched; those beside the card are verified where they are."""
    from hubtool.assets import local_asset
    from hubtool.transfer.events import FetchRequest

    found = hub.find(name)
    card.uid = str(found.card.uid or found.card.path)
    if found.card.faults and not found.card.assets:
        raise CardError(found.card.blame(f"the card {name} names no assets"), hint="add an asset to the card")
    wanted = []
    for asset in found.card.assets:
        if asset.is_local:
            card.add(asset.link, local_asset(hub, found, asset))
        else:
            name = asset.file_name
            wanted.append(FetchRequest(link=asset.link, digest=asset.digest, size=asset.size, name=name, uid=card.uid))
    return wanted


def _print(cards: Sequence[_Card]) -> None:
    for card in cards:
        lines = [f"{row['stored']}  {render.size(int(str(row['size'])))}  sha256 {row['digest']}" for row in card.rows]
        if not lines and not card.errors:
            lines = ["the card names no assets" if len(cards) == 1 else f"{card.uid}: the card names no assets"]
        if lines:
            click.echo("\n".join(lines))  # at once: each echo is written and flushed
