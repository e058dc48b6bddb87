"""Asking at a terminal whether code that a card chooses may run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hubtool.cli import render, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.hub import Hub


def ask(hub: Hub, uid: str, *, checkout: Path | None = None) -> bool:
    """Return whether the user agrees, now and here, that the code runs which a card chooses.

    Nobody is asked where there is no terminal, where nothing is to be agreed to, or where the repository is not on the
    trust list: a yes is too easily said to code of a stranger. The answer "always" is written to the user's trust list.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    from hubtool.cli.progress import transfer
    from hubtool.resolver import choose_graph, choose_weights

    found = hub.find(uid)
    graph = choose_graph(found.card) if choose_weights(found.card) is None else None
    if graph is not None and graph.format.lower() == "mindir":
        if not hub.resolve(uid).loadable:
            return False  # loading it says why
        with transfer(uid) as progress:  # what its operators are can be asked about only once it is here
            hub.bring(found, graph, progress=progress)
    decision = hub.decide(found)
    if decision is None or decision.allowed or decision.entry is None:
        return False
    from hubtool import trust
    from hubtool.networks import explain

    explanation = explain.explain(hub, found, hub.resolve(uid), checkout=checkout)
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
    return answer in ("y", "a")
