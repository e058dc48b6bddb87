"""`hubtool verify`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, output, render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from typing import Any

    from hubtool.hub import Hub
    from hubtool.resolution.trust import Agreement
    from hubtool.verification.verify import VerificationResult

_CODES = {"equal": 0, "differs": 1, "cannot run here": 3, "nothing to compare": 4}
_COLOURS = {"equal": "green", "differs": "red", "cannot run here": "yellow", "nothing to compare": "yellow"}


def _shard(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.match(r"([0-9]{1,6})/([0-9]{1,6})\Z", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a shard; write 1/4 for the first of four", ctx=ctx, param=param)
    return int(match[1]), int(match[2])


@click.command()
@click.argument("names", metavar="[UID|CARD]...", nargs=-1, shell_complete=complete.uids)
@click.option("--all", "everything", is_flag=True, help="Verify all cards of the registries.")
@click.option("--shard", metavar="I/N", callback=_shard, help="With --all: only part I of N, so that machines share.")
@click.option(
    "--report",
    type=LocalPath(dir_okay=False, path_type=Path),
    help="Add each result to this file, as a line of JSON; what it has already is not run again.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of networks that run at the same time.",
)
@click.option("--weights", is_flag=True, help="Run with the weights of the checkpoint, which is fetched if necessary.")
@options.assets
@options.device
@click.option("--record", is_flag=True, help="Measure, and write the answer into the card, which must be a file.")
@options.timeout
@options.memory
@options.trust
@options.checkout
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    names: tuple[str, ...],
    everything: bool,
    shard: tuple[int, int] | None,
    report: Path | None,
    jobs: int,
    weights: bool,
    assets: tuple[Path, ...],
    device: str,
    record: bool,
    timeout: float,
    memory: float,
    trust: bool,
    checkout: Path | None,
    as_json: bool,
) -> int:
    """Check that networks compute the known answers of their cards, with parameters and inputs made by a rule.

    Nothing is downloaded but the code of the network, and with --weights its checkpoint. It runs in a separate
    process, isolated and offline. The exit code is 0 for equal, 1 for a network that differs, 3 if it cannot run here,
    and 4 if there is nothing to compare. For several cards it is the lowest of these that is not 0; with --all, 1 if a
    network differs, else 0.
    """
    from hubtool.hub import Hub
    from hubtool.sandbox.limits import ProgramLimits

    if everything == bool(names):
        raise click.UsageError("name cards, or give --all")
    if shard is not None and not everything:
        raise click.UsageError("--shard needs --all")
    if assets and (len(names) != 1 or not weights):
        raise click.UsageError("--asset is for --weights of one card")
    hub = Hub.open().with_lock(None)
    more: dict[str, Any] = {
        "weights": weights,
        "device": device,
        "trust": trust,
        "checkout": checkout,
        **({"assets": assets} if assets else {}),
        "limits": ProgramLimits(seconds=timeout, memory=int(memory * (1 << 30))),
    }
    if record:
        if everything or len(names) != 1:
            raise click.UsageError("--record takes one card")
        return _record(hub, names[0], more, as_json=as_json)
    if len(names) == 1 and report is None:
        return _one(hub, names[0], more, as_json=as_json)
    if assets:
        raise click.UsageError("--asset and --report do not go together")
    return _many(hub, names, shard, more, report=report, jobs=jobs, as_json=as_json)


def _one(hub: Hub, name: str, more: dict[str, Any], *, as_json: bool) -> int:
    from hubtool.verification.verify import verify

    result = verify(hub, name, **more, agreement=_agreement(hub, name, more, recording=False))
    if as_json:
        render.echo_json(result.as_json())
    else:
        _print(result)
    return _CODES[result.verdict]


def _agreement(hub: Hub, name: str, more: dict[str, Any], *, recording: bool) -> Agreement | None:
    """Return what the user agrees to of the code that runs; asked at a terminal, where something is to be run."""
    if more["trust"]:
        return None
    from hubtool.cli import consent
    from hubtool.verification.card_file import card_file

    found = hub.find(name, local=card_file(hub, name)[1])
    recipe = found.card.recipe
    if recipe is None or not (recording or (recipe.weights_answer if more["weights"] else recipe.known_answer)):
        return None
    resolution = hub.resolve(found, device=more["device"], loading=True)
    return consent.ask(hub, resolution, checkout=more["checkout"])


def _print(result: VerificationResult) -> None:
    from hubtool.card.known_answer import SOURCES

    rows = [("uid", result.uid), ("verdict", result.verdict)]
    if result.reason:
        rows.append(("", result.reason))
    rows += [("", f"output {one.output}: {one.what}") for one in result.differences[1:10]]
    if result.source:
        rows.append(("compared with", SOURCES.get(result.source, result.source)))
    if result.largest is not None and result.tolerance is not None:
        rows.append(("difference", f"{result.largest:.2g} of the scale, and {result.tolerance:g} is allowed"))
    if result.mindspore:
        rows.append(("run on", f"MindSpore {result.mindspore}, {result.device}, in {result.seconds:.1f} s"))
    render.pairs(rows)


def _many(
    hub: Hub,
    names: tuple[str, ...],
    shard: tuple[int, int] | None,
    more: dict[str, Any],
    *,
    report: Path | None,
    jobs: int,
    as_json: bool,
) -> int:
    import sys

    from hubtool.resolution import machine
    from hubtool.verification import run_all

    uids = list(names) or _all(hub)
    if shard is not None:
        uids = run_all.shard(uids, *shard)
    mindspore = machine.probe().mindspore or ""
    with click.progressbar(length=len(uids), label="verify", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def tell(result: VerificationResult) -> None:
            bar.update(1)
            if not as_json and (names or result.verdict != "nothing to compare"):
                _line(result)

        results = run_all.verify_all(hub, uids, report=report, jobs=jobs, mindspore=mindspore, tell=tell, **more)
    counts = run_all.counts(results)
    if as_json:
        render.echo_json({"counts": counts, "results": [result.as_json() for result in results]})
    else:
        click.echo(", ".join(f"{counts[verdict]:,} {verdict}" for verdict in _CODES if verdict in counts) or "no card")
    codes = {_CODES[verdict] for verdict in counts} - {0}
    return min(codes, default=0) if names else int(1 in codes)


def _all(hub: Hub) -> list[str]:
    from hubtool.registry.index import CardFilter, SearchIndex

    with SearchIndex.open(hub.settings.home, hub.registries.members) as index:
        return index.uids(CardFilter(withdrawn=False))


def _line(result: VerificationResult) -> None:
    told = result.reason or ("" if result.largest is None else f"difference {result.largest:.2g}")
    verdict = output.style(result.verdict.ljust(18), fg=_COLOURS[result.verdict])
    click.echo(f"{verdict}  {render.plain(result.uid)}  {render.plain(told)}".rstrip())


def _record(hub: Hub, name: str, more: dict[str, Any], *, as_json: bool) -> int:
    from hubtool.verification.record import record

    answer, path = record(hub, name, **more, agreement=_agreement(hub, name, more, recording=True))
    if as_json:
        render.echo_json({"card": str(path), "answer": answer.as_json()})
    else:
        rows = [("card", str(path)), ("answer", answer.told)]
        rows += [("output", f"{one.dtype} {list(one.shape)}") for one in answer.outputs]
        render.pairs(rows)
    return 0
