"""``python -m maintain oracle``: what the authors' own code computes."""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from hubtool.card.model import Card


# What the commands of this file share.
_registry = click.option(
    "--registry", type=LocalPath(exists=True, file_okay=False, path_type=Path), default=Path("registry")
)
_checkout = click.option(
    "--checkout",
    required=True,
    help="The folder with the repository's tree; {repository} and {revision} in it are those of a card's repo-link.",
)
_uids = click.option("--uids", multiple=True, help="Only these cards; * and ? stand for any letters.")
_versions = click.option(
    "--version", "versions", multiple=True, help="Only cards of this version; may be given several times."
)
_jobs = click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="How many at a time.")
_seconds = click.option("--seconds", type=float, default=240.0, show_default=True, help="Time for one.")
_memory = click.option("--memory", type=float, default=6.0, show_default=True, help="GiB of memory for one.")


@click.command("oracle")
@_registry
@_checkout
@click.option(
    "--report",
    type=LocalPath(dir_okay=False, path_type=Path),
    required=True,
    help="The file of records, one JSON object a line; a run that was interrupted goes on from there.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(["script", "mindspore-2.0.0", "package", "callable"]),
    help="Only this; together with mindspore-2.0.0, 'callable' is asked where that has no answer.",
)
@click.option("--python", type=LocalPath(dir_okay=False, path_type=Path), help="A Python with MindSpore 2.0.0.")
@click.option(
    "--environment",
    type=LocalPath(file_okay=False, path_type=Path),
    help="A folder to build a Python with MindSpore 2.0.0 in, if it is not there; that needs a Python 3.9.",
)
@_uids
@_versions
@click.option("--folder", default="", help="Only cards whose code stands in this folder of the repository.")
@click.option("--shard", default="1/1", show_default=True, help="Only this part of the work, such as 2/5.")
@click.option("--newest", "only_newest", is_flag=True, help="Only the newest version of the code of each network.")
@click.option("--train", is_flag=True, help="Run the networks in training mode.")
@click.option("--again", type=click.Choice(["none", "failed", "all"]), default="none", help="What to run again.")
@click.option(
    "--gain",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="The largest gain of parameters: a smaller one where scores are all 1, and their order that of one version.",
)
@_jobs
@_seconds
@_memory
def command(  # noqa: PLR0917 - one for each option
    registry: Path,
    checkout: str,
    report: Path,
    sources: tuple[str, ...],
    python: Path | None,
    environment: Path | None,
    uids: tuple[str, ...],
    versions: tuple[str, ...],
    folder: str,
    shard: str,
    only_newest: bool,
    train: bool,
    again: str,
    gain: float,
    jobs: int,
    seconds: float,
    memory: float,
) -> int:
    """Record what the authors' own code computes, on MindSpore 2.0.0 and, through the bridge, on today's.

    The script that a recipe names, or that builds the same network, is run up to where weights would go in; the network
    is taken there, filled and run by the rule of known answers. For a network of an installed package, its documented
    constructor is called instead, by a process without hubtool. Each job is a process of its own, without a network, in
    limited time and memory.
    """
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.oracle import environment as environments
    from maintain.oracle.plan import CALLED, OLD, SOURCES, newest, plan
    from maintain.oracle.run import run

    chosen = tuple(source for source in SOURCES if not sources or source in sources)
    planned, reasons = plan(
        cards_of(registry, uids, versions), checkout=checkout, folder=folder, train=train, shard=_shard(shard)
    )
    planned = newest(planned) if only_newest else planned
    asked = [source for job in planned for source in job.sources if source in chosen]
    is_old = not {OLD, CALLED}.isdisjoint(chosen) and any(OLD in job.sources for job in planned)
    place = environments.python_of(python, environment) if is_old else None
    total = len(asked)
    count = 0

    def progress(source: str, record: dict[str, Any], known: bool) -> None:
        nonlocal count
        count += 1
        if not known:
            click.echo(f"[{count}/{total}] {source} {record['uids'][0]}: {_said(record)}")

    done = run(
        planned,
        sources=chosen,
        python=place,
        report=report,
        limits=ProgramLimits(seconds=seconds, memory=int(memory * 2**30)),
        parallel=jobs,
        again=again,
        gain=gain,
        progress=progress,
    )
    _totals(done, reasons)
    return 0


def cards_of(registry: Path, patterns: tuple[str, ...] = (), versions: tuple[str, ...] = ()) -> list[Card]:
    """Return the cards of a registry that can be read, and whose UIDs and versions are asked for."""
    from hubtool.errors import CardError
    from hubtool.registry.folder import FolderRegistry

    found = []
    folder = FolderRegistry(registry)
    for uid in folder.uids():
        if (patterns and not any(fnmatchcase(str(uid), pattern) for pattern in patterns)) or (
            versions and uid.version not in versions
        ):
            continue
        try:
            card = folder.read(uid)
        except CardError:
            continue  # `hubtool validate` reports it
        if card is not None:
            found.append(card)
    return found


def _shard(text: str) -> tuple[int, int]:
    from hubtool.errors import ArgumentError

    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ArgumentError(f"{text!r} is not a part of the work", hint="2/5 is the second of five parts")
    return int(match[1]), int(match[2])


def _said(record: dict[str, Any]) -> str:
    if record["chosen"] is None and not record["reason"]:
        return f"{render.plain(record['entry'])} builds it ({record['seconds']:.0f} s)"
    if record["reason"]:
        return f"{render.plain(record['reason'])} ({record['seconds']:.0f} s)"
    network = record["networks"][record["chosen"]]
    outputs = render.count(len(record["outputs"]), "output")
    other = "" if network["digest"] == record["wanted"] else "; not the parameters that the card states"
    return f"{render.plain(network['class'])}, {outputs} ({record['seconds']:.0f} s){other}"


def _totals(done: dict[str, dict[str, Any]], reasons: dict[str, str]) -> None:
    from maintain.oracle.plan import SOURCES
    from maintain.oracle.run import reason_class

    for source in SOURCES:
        of = [record for record in done.values() if record["source"] == source]
        if of:
            answered = sum(not record["reason"] for record in of)
            click.echo(f"{source}: {answered} of {len(of)} answered")
        counts = Counter(reason_class(record["reason"]) for record in of if record["reason"])
        for reason, count in counts.most_common(40):
            click.echo(f"{count:5}  {render.plain(reason)}")
    for reason, count in Counter(reasons.values()).most_common(10):
        click.echo(f"{count:5}  cards without a job: {render.plain(reason)}")


@click.command("answers")
@_registry
@_checkout
@click.option(
    "--records",
    type=LocalPath(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The file of records that `oracle` wrote.",
)
@click.option(
    "--report",
    type=LocalPath(dir_okay=False, path_type=Path),
    required=True,
    help="The file of results, one JSON object a line; a run that was interrupted goes on from there.",
)
@_uids
@_versions
@click.option("--train", is_flag=True, help="Use the records of networks in training mode.")
@click.option("--write", "writes", is_flag=True, help="Write the answers that agree into the cards.")
@click.option(
    "--unverified",
    type=LocalPath(dir_okay=False, path_type=Path),
    help="Write the reasons of cards without an answer into this file: maintain/unverified.json.",
)
@click.option("--only-known", is_flag=True, help="Run nothing; what the report does not hold is left out.")
@_jobs
@_seconds
@_memory
def answers(  # noqa: PLR0917 - one for each option
    registry: Path,
    checkout: str,
    records: Path,
    report: Path,
    uids: tuple[str, ...],
    versions: tuple[str, ...],
    train: bool,
    writes: bool,
    unverified: Path | None,
    only_known: bool,
    jobs: int,
    seconds: float,
    memory: float,
) -> int:
    """Hold the recipes of cards to the oracle's records, and write the known answers that agree into the cards.

    The network of each recipe is built and run by hubtool, as `hubtool verify` does it.
    """
    from dataclasses import replace

    from hubtool import settings
    from hubtool.hub import Hub
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.oracle import settle
    from maintain.oracle.plan import plan
    from maintain.oracle.run import records as read_records

    cards = {str(card.uid): card for card in cards_of(registry, uids, versions)}
    planned, _ = plan(cards.values(), checkout=checkout, train=train)
    hub = Hub.open(replace(settings.load(), registry=(registry.absolute(),), lock=None))

    def tell(done: settle.SettledJob) -> None:
        size = "" if done.difference is None else f" {done.difference:.2g}"
        click.echo(f"{done.state:<22} {done.uids[0]}{size} {render.plain(done.reason)}".rstrip())

    done = settle.settle(
        hub,
        planned,
        read_records(records),
        cards=cards,
        checkout=checkout,
        limits=ProgramLimits(seconds=seconds, memory=int(memory * 2**30)),
        report=report,
        parallel=jobs,
        only_known=only_known,
        tell=tell,
    )
    for state, count in Counter(one.state for one in done).most_common():
        number = sum(len(one.uids) for one in done if one.state == state)
        click.echo(f"{count:5} networks, {number:5} cards: {state}")
    if writes:
        click.echo(f"{render.count(settle.apply(done, cards), 'card')} written")
    if unverified is not None:
        from maintain import loadability

        asked = {uid for job in planned for uid in job.uids}
        loadability.write_unverified(unverified, settle.reasons(planned, done), asked=asked)
    return 0


@click.command("versions")
@click.argument("reports", nargs=-1, required=True, type=LocalPath(exists=True, dir_okay=False, path_type=Path))
@_registry
def versions(reports: tuple[Path, ...], registry: Path) -> int:
    """Write into cards on which versions of MindSpore reports of `hubtool verify` found them equal."""
    from hubtool.verification.run_all import read_report
    from maintain.oracle import versions as of_reports

    found = of_reports.versions_of(line for report in reports for line in read_report(report))
    cards = {str(card.uid): card for card in cards_of(registry)}
    click.echo(f"{render.count(of_reports.apply(found, cards), 'card')} written")
    return 0
