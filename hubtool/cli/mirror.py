"""`hubtool mirror`: copying registries with their assets, and checking such copies."""

from __future__ import annotations

import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import render, units

if TYPE_CHECKING:
    from hubtool.mirror.plan import Failure, Plan
    from hubtool.mirror.sync import Report

_uids = click.option(
    "--uid", "patterns", multiple=True, metavar="GLOB", help="Only cards whose UIDs match, such as 'mindspore/1.9/*'."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_jobs = click.option(
    "--jobs", type=click.IntRange(1, 256), default=8, show_default=True, help="How many assets move at once."
)


@click.group()
def command() -> None:
    """Copy the registries with all their assets to a folder or an object store, and check such copies.

    DEST is a folder, or s3://bucket/prefix: any object store that speaks S3, reached by the usual AWS variables and
    files and by AWS_ENDPOINT_URL. A mirror is static files; `hubtool serve`, any web server or the bucket itself
    serves it.
    """


@command.command()
@click.argument("destination", metavar="DEST")
@_uids
@_jobs
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--prune", is_flag=True, help="At the end, remove what no card of the registries names any more.")
@click.option(
    "--grace", metavar="AGE", default="1h", callback=units.age, help="How long --prune spares new blobs.  [default: 1h]"
)
@click.option(
    "--takeover",
    metavar="AGE",
    default="60s",
    callback=units.age,
    help="After how long the work of a silent worker is taken over, in an object store.  [default: 60s]",
)
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@_json
def sync(
    *,
    destination: str,
    patterns: tuple[str, ...],
    jobs: int,
    dry_run: bool,
    prune: bool,
    grace: float,
    takeover: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Bring a mirror up to date with the registries.

    Every distinct file is copied once, however many cards name it. What is there is not copied again, and one asset
    that cannot be had does not stop the rest. Any number of processes, on any number of machines, may do this on one
    DEST at the same time: they share the work. The exit code is 1 if something is missing at the end.
    """
    from hubtool.hub import Hub
    from hubtool.mirror import sync as work
    from hubtool.mirror.destination import open_destination

    hub = Hub.open().with_lock(None)
    with closing(open_destination(destination, takeover=takeover)) as place:
        if dry_run:
            plan, _ = work.look(hub, place, patterns)
            loose = work.unnamed(place, grace=grace) if prune and plan.there else {}
            if as_json:
                render.echo_json({"dry_run": True, **plan.as_json(), "missing": _missing(plan), "prune": sorted(loose)})
            else:
                _print_plan(plan, every=True)
                for digest in sorted(loose):
                    click.echo(f"would remove {digest}  {render.size(loose[digest])}")
            return 1 if plan.failures else 0
        events = _Lines(shown=not quiet)
        report = work.sync(hub, place, patterns=patterns, jobs=jobs, prune=prune, grace=grace, events=events)
    if as_json:
        render.echo_json(report.as_json())
    else:
        _print_report(report)
    return 0 if report.complete else 1


@command.command()
@click.argument("destination", metavar="DEST")
@_uids
@_json
def status(*, destination: str, patterns: tuple[str, ...], as_json: bool) -> None:
    """Say what a mirror holds, what it lacks of the registries, and who is at work on it."""
    from hubtool.hub import Hub
    from hubtool.mirror import sync as work
    from hubtool.mirror.destination import open_destination

    with closing(open_destination(destination)) as place:
        plan, listing = work.look(Hub.open().with_lock(None), place, patterns)
        workers = place.claims()
    if as_json:
        lacking = sorted(one.uid for one in listing.uids.values() if one.lacks)
        members = {"destination": place.name, "cards_listed": len(listing.uids), "cards_lacking_assets": lacking}
        render.echo_json({**members, **plan.as_json(), "missing": _missing(plan), "workers": workers})
        return
    click.echo(f"{place.name} lists {len(listing.uids):,} cards")
    _print_plan(plan, every=False)
    for worker in workers:
        click.echo(f"at work on unit {worker}")


@command.command()
@click.argument("destination", metavar="DEST")
@click.option("--deep", is_flag=True, help="Read every blob and hash it, instead of comparing sizes only.")
@_jobs
@_json
def verify(*, destination: str, deep: bool, jobs: int, as_json: bool) -> int:
    """Check that a mirror is whole: every card, and every asset that its index names.

    The exit code is 1 if something is missing or wrong.
    """
    from hubtool.mirror.destination import open_destination
    from hubtool.mirror.verify import verify as check

    with closing(open_destination(destination)) as place:
        report = check(place, deep=deep, jobs=jobs)
    if as_json:
        render.echo_json(report.as_json())
        return 0 if report.right else 1
    for fault in report.faults:
        click.echo(f"{fault.name}: {fault.reason}")
    click.echo(
        f"{report.cards:,} cards, {report.blobs:,} blobs, {render.size(report.bytes)}"
        f"{' read and hashed' if deep else ''} in {report.seconds:.1f} s: "
        + ("all right" if report.right else f"{len(report.faults):,} faults")
    )
    if report.unnamed:
        click.echo(f"{report.unnamed:,} blobs are named by no card; `hubtool mirror prune` removes them")
    return 0 if report.right else 1


@command.command()
@click.argument("destination", metavar="DEST")
@click.option(
    "--grace", metavar="AGE", default="1h", callback=units.age, help="How long new blobs are spared.  [default: 1h]"
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@_json
def prune(*, destination: str, grace: float, dry_run: bool, as_json: bool) -> None:
    """Remove the blobs of a mirror that no card in its index names."""
    from hubtool.mirror import sync as work
    from hubtool.mirror.destination import open_destination

    with closing(open_destination(destination)) as place:
        loose = work.unnamed(place, grace=grace)
        if not as_json:
            for digest in sorted(loose):
                click.echo(f"{'would remove' if dry_run else 'removing'} {digest}  {render.size(loose[digest])}")
        if not dry_run:
            work.remove(place, loose, grace=grace)
    if as_json:
        render.echo_json({"dry_run": dry_run, "removed": sorted(loose), "bytes": sum(loose.values())})
    else:
        click.echo(f"{len(loose):,} blobs, {render.size(sum(loose.values()))}")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_uids
@_jobs
@_json
def bundle(*, file: Path, patterns: tuple[str, ...], jobs: int, as_json: bool) -> int:
    """Put cards and their assets into one file, to be carried where there is no network.

    FILE is a tar archive of a mirror. What is not stored is fetched first. The exit code is 1, and nothing is written,
    if an asset cannot be had.
    """
    from hubtool.hub import Hub
    from hubtool.mirror.bundle import bundle as write

    report = write(Hub.open().with_lock(None), file, patterns=patterns, jobs=jobs)
    if as_json:
        render.echo_json(report.as_json())
    else:
        _print_failures(report.failures)
        if report.complete:
            click.echo(f"{file}: {report.cards:,} cards, {report.blobs:,} assets, {render.size(report.bytes)}")
    return 0 if report.complete else 1


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--to", "folder", metavar="DEST", help="Put it into this mirror (a folder or s3://...), cards included.")
@_json
def unbundle(*, file: Path, folder: str | None, as_json: bool) -> None:
    """Take a bundle apart; every byte is verified before it is visible.

    The assets go into the store, where the cards of the registries find them. With --to, cards and assets go into a
    mirror instead, which other machines can then be pointed at. A damaged or hostile archive is refused.
    """
    from hubtool.hub import Hub
    from hubtool.mirror.bundle import into_mirror, into_store
    from hubtool.mirror.destination import open_destination

    hub = Hub.open().with_lock(None)
    if folder is None:
        report = into_store(hub, file)
    else:
        with closing(open_destination(folder)) as place:
            report = into_mirror(hub, file, place)
    if as_json:
        render.echo_json(report.as_json())
        return
    click.echo(f"{report.cards:,} cards, {report.blobs:,} assets, {render.size(report.bytes)}: verified")
    for uid in report.unknown:
        click.echo(f"{uid} is in none of your registries; `hubtool mirror unbundle --to FOLDER` keeps the card too")


class _Lines:
    """Progress: a bar at a terminal, else a line now and then; on standard error."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._lock = threading.Lock()
        self._total = self._done = self._bytes = 0
        self._said = 0

    def planned(self, plan: Plan) -> None:
        """Say what there is to do."""
        self._total = len(plan.needs)
        if self._shown and self._total:
            unknown = f", {plan.unknown_sizes:,} of unknown size" if plan.unknown_sizes else ""
            click.echo(f"{self._total:,} assets to bring ({render.size(plan.known_bytes)}{unknown})", err=True)

    def moved(self, digest: str, size: int, *, written: bool) -> None:  # noqa: ARG002 (a bar does not name files)
        """Count an asset."""
        with self._lock:
            self._done += 1
            self._bytes += size if written else 0
            self._say()

    def failed(self, failure: Failure) -> None:
        """Name a failure as it happens."""
        with self._lock:
            self._done += 1
            if self._shown:
                click.echo(f"{failure.uid}: {failure.link}: {failure.reason}", err=True)

    def _say(self) -> None:
        # A line for each tenth: a log stays readable, and a terminal sees that it goes on.
        step = self._done * 10 // max(self._total, 1)
        if self._shown and (step > self._said or sys.stderr.isatty()):
            self._said = step
            text = f"{self._done:,} of {self._total:,} assets, {render.size(self._bytes)} written"
            if sys.stderr.isatty():
                end = "\n" if self._done >= self._total else ""
                click.echo(f"\r\x1b[2K{text}{end}", err=True, nl=False)
            else:
                click.echo(text, err=True)


def _missing(plan: Plan) -> list[dict[str, object]]:
    return [
        {"digest": need.digest.hex, "size": need.size, "uids": sorted({uid for uid, _ in need.sources})}
        for need in plan.needs
    ]


def _print_plan(plan: Plan, *, every: bool) -> None:
    there, unknown = sum(plan.there.values()), plan.unknown_sizes
    click.echo(f"{len(plan.wanted):,} cards wanted, {len(plan.cards):,} of them new or changed")
    click.echo(f"{len(plan.there):,} assets there ({render.size(there)})")
    more = f" and {unknown:,} of unknown size" if unknown else ""
    click.echo(f"{len(plan.needs):,} assets missing ({render.size(plan.known_bytes)}{more})")
    if every:
        for need in plan.needs:
            size = render.size(need.size)
            click.echo(f"would bring {need.digest}  {size}  {need.sources[0][0]}")
    if plan.gone:
        click.echo(f"{len(plan.gone):,} cards are no longer in the registries")
    if plan.unnamed:
        click.echo(f"{len(plan.unnamed):,} blobs are named by no card ({render.size(sum(plan.unnamed.values()))})")
    _print_failures(plan.failures)


def _print_report(report: Report) -> None:
    _print_failures(report.failures)
    for uid in report.kept:
        click.echo(f"{uid}: the mirror keeps the card's earlier version, because an asset of the new one is missing")
    for digest in sorted(report.pruned):
        click.echo(f"removed {digest}  {render.size(report.pruned[digest])}")
    others = f", {len(report.others):,} by other workers" if report.others else ""
    click.echo(
        f"{len(report.plan.there):,} assets were there, {len(report.written):,} written "
        f"({render.size(sum(report.written.values()))}){others}; {len(report.cards):,} cards written; "
        f"{len(report.failures):,} failures; {report.seconds:.1f} s"
    )


def _print_failures(failures: tuple[Failure, ...]) -> None:
    for failure in failures:
        link = "" if failure.link is None else f"{failure.link}: "
        click.echo(f"{click.style('failed', fg='red')} {failure.uid}: {link}{failure.reason}")
