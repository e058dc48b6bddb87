"""Asking at a terminal whether code that a card chooses may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.assets import fetch_asset
from hubtool.cli import output, render, resolve
from hubtool.git.code import CodeStore

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.hub import Hub
    from hubtool.resolution.resolver import Resolution
    from hubtool.resolution.trust import Agreement


def ask(hub: Hub, resolution: Resolution, *, checkout: Path | None = None) -> Agreement | None:
    """Return what the user agrees to, now and here, of the code that a card chooses; None if nothing.

    Code of a repository and graphs are fetched before the question, so that it is about what then runs. It is asked at
    a terminal only, and not where nothing is to be agreed to, or where the repository is not on the trust list: a yes
    is too easily said to code of a stranger. The answer "always" is written to the user's trust list.

    Args:
        hub: Settings and store.
        resolution: What the resolver says of the card.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.

    Raises:
        AssetError: If the code or the graph cannot be fetched.
    """
    if not output.can_ask():
        return None
    from hubtool.cli.progress import transfer

    graph = resolution.weights
    if graph is not None and graph.asset.is_mindir and not resolution.ready:
        return None  # loading it says why
    if graph is not None and graph.asset.is_mindir and graph.stored is None:
        with transfer(resolution.uid) as progress:
            fetch_asset(hub, resolution.found, graph.asset, progress=progress)
        resolution = hub.resolve(resolution.found, loading=True)
    decision = resolution.decision
    if decision is None or decision.allowed or decision.entry is None:
        return None
    from hubtool.networks import explain
    from hubtool.resolution import trust

    place, code = resolution.facts.place, None
    if place is not None and checkout is None:
        code = CodeStore(hub.store, hub.policy, offline=hub.settings.offline).fetch(place)
        place = place.at(code.commit)
    agreement = trust.Agreement(
        recipe=resolution.recipe, place=place, tree=None if code is None else code.tree, entry=decision.entry
    )
    explanation = explain.explain(hub, resolution, checkout=checkout, code=code)
    click.echo("To build this network, code that is not part of hubtool would run here, with your rights:", err=True)
    rows = resolve.explained(explanation, most=5, with_trust=False)
    if explanation.code is None:
        rows.append(("why it asks", decision.why))
    render.pairs(rows, err=True)
    answer = click.prompt(
        f"Run it? [y] this once, [a] always for {decision.entry}, [n] no",
        type=click.Choice(["y", "a", "n"], case_sensitive=False),
        default="n",
        show_choices=False,
        err=True,
    ).lower()
    if answer == "a":
        trust.write(trust.read().add(decision.entry))
    return agreement if answer in ("y", "a") else None
