"""Asking at a terminal whether code that a card chooses may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.card.repo_link import place_of
from hubtool.cli import output, render, resolve
from hubtool.git.code import CodeStore

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.hub import FoundCard, Hub
    from hubtool.resolve.trust import Agreement


def ask(hub: Hub, found: FoundCard, *, checkout: Path | None = None) -> Agreement | None:
    """Return what the user agrees to, now and here, of the code that a card chooses; None if nothing.

    Code of a repository and graphs are fetched before the question, so that it is about what then runs.

    Nobody is asked where there is no terminal, where nothing is to be agreed to, or where the repository is not on the
    trust list: a yes is too easily said to code of a stranger. The answer "always" is written to the user's trust list.
    """
    if not output.can_ask():
        return None
    from hubtool.cli.progress import transfer
    from hubtool.resolve.resolver import choose_graph

    graph = choose_graph(found.card)
    if graph is not None and graph.is_mindir:
        if not hub.resolve_found(found).ready:
            return None  # loading it says why
        with transfer(str(found.card.uid or found.card.path)) as progress:
            hub.bring(found, graph, progress=progress)
    decision = hub.decide(found)
    if decision is None or decision.allowed or decision.entry is None:
        return None
    from hubtool.networks import explain
    from hubtool.resolve import trust

    place = place_of(found.card) if found.card.recipe and found.card.recipe.provider == "repository" else None
    code = None
    if place is not None and checkout is None:
        place = place if found.pin is None else found.pin.place(place)
        code = CodeStore(hub.store, hub.policy, offline=hub.settings.offline).fetch(place)
        place = place.at(code.commit)
    agreement = trust.Agreement(
        recipe=found.card.recipe, place=place, tree=None if code is None else code.tree, entry=decision.entry
    )
    explanation = explain.explain(hub, found, hub.resolve_found(found), checkout=checkout, code=code)
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
