"""``python -m maintain discover`` and ``write``: the recipes of cards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from hubtool.hub import Hub


@click.command()
@click.argument("uids", metavar="[UID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every card of the registry.")
@click.option(
    "--checkout",
    required=True,
    help="The folder with the repository's tree; {repository} and {revision} in it are those of a card's repo-link.",
)
@click.option(
    "--report",
    type=LocalPath(dir_okay=False, path_type=Path),
    default=Path("discovery.json"),
    help="Where outcomes are kept; a run that was interrupted goes on from there.",
)
@click.option("--version", "versions", multiple=True, help="Only cards of this version; may be given several times.")
@click.option("--smoke", is_flag=True, help="Run one forward pass of each network.")
@click.option("--again", type=click.Choice(["none", "failed", "all"]), default="none", help="What to look at again.")
@click.option("--jobs", type=click.IntRange(1, 8), default=2, help="How many at a time.")
@click.option("--seconds", type=float, default=120.0, help="Time for one.")
@click.option("--memory", type=float, default=8.0, help="GiB of memory for one.")
@click.option("--write", is_flag=True, help="Write the recipes into the cards.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def discover(  # noqa: PLR0917 - one for each option
    uids: tuple[str, ...],
    every: bool,
    checkout: str,
    report: Path,
    versions: tuple[str, ...],
    smoke: bool,
    again: str,
    jobs: int,
    seconds: float,
    memory: float,
    write: bool,
    as_json: bool,
) -> int:
    """Find the recipes of cards by running the code behind them, each in a process of its own.

    The code runs without a network, in limited time and memory, and may write into a scratch folder only.
    """
    from hubtool.errors import ArgumentError, CardError
    from hubtool.hub import Hub
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.discovery import run

    if bool(uids) == every:
        raise ArgumentError("name the cards, or say --all")
    hub = Hub.open().with_lock(None)
    targets = []
    for uid in hub.registries.uids() if every else ():
        if versions and uid.version not in versions:
            continue
        try:
            card, _ = hub.registries.read(uid)
        except CardError:
            continue  # `hubtool validate` reports it
        if card.recipe is None or card.recipe.provider != "builtin":
            targets.append(run.target(card))
    targets += [run.target(hub.find(uid).card) for uid in uids]
    with _bar(len(targets)) as progress:
        outcomes = run.discover(
            targets,
            checkout=checkout,
            report=report,
            limits=ProgramLimits(seconds=seconds, memory=int(memory * 2**30)),
            parallel=jobs,
            smoke=smoke,
            again=again,
            progress=progress,
        )
    if write:
        from maintain.discovery import recipes

        data = recipes.collect(targets, outcomes, version=recipes.mindspore_version(), revisions={})
        _write(hub, data)
    if as_json:
        render.echo_json(outcomes)
    else:
        _print(outcomes)
    return 0 if all(outcome["recipe"] for outcome in outcomes.values()) else 1


def _write(hub: Hub, data: dict[str, Any]) -> int:
    from hubtool.card import rewrite
    from hubtool.errors import HubError

    written = 0
    for uid, place in data["cards"].items():
        if not isinstance(place, int):
            continue
        try:
            card = hub.find(uid).card
        except HubError:
            continue  # the registry does not have this card, or not in a form that can be read
        if card.path is None or (card.recipe is not None and card.recipe.provider == "builtin"):
            continue
        text = card.path.read_bytes().decode()
        new = rewrite.with_recipe(
            text, data["networks"][place], data["revisions"].get(uid) or card.text("repo-revision")
        )
        if new != text:
            card.path.write_bytes(new.encode())
            written += 1
    click.echo(f"{render.count(written, 'card')} written", err=True)
    return 0


def _bar(count: int) -> Any:  # noqa: ANN401 - a context manager that yields a function or None
    import sys
    from contextlib import contextmanager, nullcontext

    if not sys.stderr.isatty():
        return nullcontext()

    @contextmanager
    def shown() -> Any:  # noqa: ANN401 - as above
        from rich.progress import Progress

        with Progress(
            console=render.console(sys.stderr), transient=True, redirect_stdout=False, redirect_stderr=False
        ) as bars:
            task = bars.add_task("discover", total=count)
            yield lambda uid, verdict: bars.update(task, advance=1, description=render.plain(f"{uid}: {verdict[:40]}"))

    return shown()


def _print(outcomes: dict[str, dict[str, Any]]) -> None:
    from maintain.discovery.run import reason_class

    built = {uid: outcome for uid, outcome in outcomes.items() if outcome["recipe"]}
    for uid, outcome in sorted(outcomes.items()) if len(outcomes) <= 50 else ():
        recipe = outcome["recipe"]
        if not recipe:
            says = outcome["reason"]
        elif "network" in outcome:
            says = f"{recipe['entry']}: {outcome['network']}, {render.count(outcome['parameters'], 'parameter')}"
        else:  # one of hubtool's own, which nothing was run for
            says = f"{recipe['entry']}: built in"
        click.echo(f"{uid}  {says}")
    click.echo(f"{len(built)} of {len(outcomes)} built")
    reasons = Counter(reason_class(outcome["reason"]) for outcome in outcomes.values() if not outcome["recipe"])
    for reason, count in reasons.most_common(60):
        click.echo(f"{count:5}  {reason}")
