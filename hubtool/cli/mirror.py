"""`hubtool mirror`: copying registries with their assets, and checking such copies."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import catalogue, options, output, progress, render, units
from hubtool.cli.paths import LocalPath
from hubtool.cli.render import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from hubtool.hub import Hub
    from hubtool.mirror.bundle import BundleReport
    from hubtool.mirror.plan import MirrorFailure, MirrorPlan
    from hubtool.mirror.sync import SyncReport
    from hubtool.mirror.verify import VerifyReport

    _Command = TypeVar("_Command", bound=Callable[..., Any])

_uids = click.option(
    "--uid", "patterns", multiple=True, metavar="GLOB", help="Only cards whose UIDs match, such as 'mindspore/1.9/*'."
)
_registries = click.option(
    "--registry",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only cards of this registry; see `hubtool registry list`.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _jobs(what: str) -> Callable[[_Command], _Command]:
    """Return the option that says how much is done at once."""
    return click.option("--jobs", type=click.IntRange(1, 256), default=8, show_default=True, help=what)


_CLEAR = "\r\x1b[2K"  # back to the beginning of the line, and empty it


def _hub(names: tuple[str, ...]) -> Hub:
    """Open what the settings name, with these registries only, and say how old the fetched ones are."""
    from dataclasses import replace

    from hubtool.hub import Hub
    from hubtool.registry import manage

    hub = Hub.open().with_lock(None)
    hub = replace(hub, registries=manage.narrowed(hub.registries, names))
    for line in manage.ages(hub.registries, hub.settings):
        click.echo(line, err=True)
    return hub


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
@_registries
@_jobs("Maximum number of assets that are copied at once.")
@options.limit_rate
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--prune", is_flag=True, help="At the end, remove what no card of the registries names.")
@click.option(
    "--grace", metavar="AGE", default="1h", callback=units.age, help="How long --prune spares new blobs.  [default: 1h]"
)
@click.option("--site", is_flag=True, help="Build the catalogue too, in the folder 'catalogue' of DEST.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@_json
def sync(
    *,
    destination: str,
    patterns: tuple[str, ...],
    names: tuple[str, ...],
    jobs: int,
    limit_rate: float | None,
    dry_run: bool,
    prune: bool,
    grace: float,
    site: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Bring a mirror up to date with the registries.

    Every distinct file is copied once, however many cards name it. What is there is not copied again, and an asset
    that cannot be fetched does not stop the rest. Any number of processes, on any number of machines, may do this on
    one DEST at the same time: they share the work. The exit code is 1 if something is missing at the end.
    """
    from hubtool.mirror import sync as work
    from hubtool.mirror.open import open_destination
    from hubtool.mirror.prune import removable

    hub = _hub(names)
    folder = _folder_of_site(destination, patterns, dry_run=dry_run) if site else None
    if prune and patterns:
        click.echo(
            "note: with --uid, --prune removes no card: those that were not asked for stay, with their assets; leave "
            "--uid out to remove what the registries no longer have",
            err=True,
        )
    place = open_destination(destination, offline=hub.settings.offline)
    if dry_run:
        plan, _ = work.look(hub, place, patterns)
        cards, blobs = removable(place, plan, grace=grace) if prune else ((), {})
        if as_json:
            members = {"dry_run": True, **plan.as_json(), "missing": _missing(plan)}
            render.echo_json({**members, "prune": sorted(blobs), "prune_cards": list(cards)})
        else:
            _print_plan(plan, every=True)
            for uid in cards:
                click.echo(f"would remove the card {uid}")
            for digest in sorted(blobs):
                click.echo(f"would remove {digest}  {render.size(blobs[digest])}")
        return 1 if plan.failures else 0
    events = _MirrorLines(shown=not quiet, says_removals=not as_json)
    report = work.sync(
        hub, place, patterns=patterns, jobs=jobs, prune=prune, grace=grace, rate=limit_rate, events=events
    )
    if as_json:
        render.echo_json(report.as_json())
    else:
        _print_report(report, named=events.named)
    if folder is not None:
        catalogue.build_beside(hub.registries, folder, (folder, hub.store.root, *hub.store.shared))
    return 0 if report.complete else 1


def _folder_of_site(destination: str, patterns: tuple[str, ...], *, dry_run: bool) -> Path:
    """Return the folder of a mirror that gets a catalogue.

    Raises:
        ArgumentError: If there cannot be one.
        RequirementError: If a package is missing.
    """
    from hubtool import settings
    from hubtool.errors import ArgumentError

    if "://" in destination:
        raise ArgumentError(
            f"{destination} is no folder, and a catalogue is built in one",
            hint="build it with 'hubtool catalogue build FOLDER', and copy that into the bucket",
        )
    if patterns or dry_run:
        raise ArgumentError(
            f"--site and {'--uid' if patterns else '--dry-run'} exclude each other", hint="a catalogue has all cards"
        )
    catalogue.require()
    return settings.expand_user(destination)


@command.command()
@click.argument("destination", metavar="DEST")
@_uids
@_registries
@_json
def status(*, destination: str, patterns: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> int:
    """Show what a mirror has, and what it lacks of the registries.

    The exit code is 1 if there is no mirror, or if it lacks something.
    """
    from hubtool.mirror import sync as work
    from hubtool.mirror.open import open_destination

    hub = _hub(names)
    place = open_destination(destination, offline=hub.settings.offline)
    plan, listing = work.look(hub, place, patterns)
    is_incomplete = bool(listing.etag is None or plan.missing or plan.cards or plan.wrong or plan.failures)
    if as_json:
        lacking = sorted(one.uid for one in listing.uids.values() if one.is_incomplete)
        members = {"destination": place.name, "cards_listed": len(listing.uids), "cards_lacking_assets": lacking}
        render.echo_json({**members, **plan.as_json(), "missing": _missing(plan)})
        return 1 if is_incomplete else 0
    if listing.etag is None:
        click.echo(f"there is no mirror in {place.name}: `hubtool mirror sync` makes one", err=True)
    click.echo(f"{place.name} lists {count(len(listing.uids), 'card')}")
    _print_plan(plan, every=False)
    return 1 if is_incomplete else 0


@command.command()
@click.argument("destination", metavar="DEST")
@click.option("--deep", is_flag=True, help="Read every blob and hash it, instead of comparing sizes only.")
@click.option(
    "--remove-wrong",
    is_flag=True,
    help="Remove the cards and blobs that are found wrong; the next sync fetches them again.",
)
@_jobs("Maximum number of files that are read at once.")
@_json
def verify(*, destination: str, deep: bool, remove_wrong: bool, jobs: int, as_json: bool) -> int:
    """Check that a mirror is whole: every card, and every asset that its index names.

    The exit code is 1 if something is missing or wrong, also if what was wrong is removed.
    """
    from hubtool import settings
    from hubtool.mirror.open import open_destination
    from hubtool.mirror.verify import remove_wrong as remove
    from hubtool.mirror.verify import verify as check

    if remove_wrong and not deep:
        raise click.UsageError("only --deep finds what is wrong: --remove-wrong goes with it")
    place = open_destination(destination, offline=settings.load().offline)
    report = check(place, deep=deep, jobs=jobs)
    removed = remove(place, report.faults) if remove_wrong else ()
    if as_json:
        render.echo_json({**report.as_json(), "removed": list(removed)})
        return 0 if report.right else 1
    for fault in report.faults:
        click.echo(f"{fault.name}: {fault.reason}")
    click.echo(
        f"{count(report.cards, 'card')}, {count(report.blobs, 'blob')}, {render.size(report.bytes)}"
        f"{' read and hashed' if deep else ''} in {report.seconds:.1f} s: "
        + ("all right" if report.right else f"{count(len(report.faults), 'fault')}")
    )
    if report.unnamed:
        click.echo(f"{count(report.unnamed, 'blob')} named by no card; see `hubtool mirror prune`")
    _print_remedy(report, removed, deep=deep)
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
    from hubtool import settings
    from hubtool.mirror import prune as work
    from hubtool.mirror.open import open_destination

    place = open_destination(destination, offline=settings.load().offline)
    unnamed = work.unnamed(place, grace=grace)
    if not as_json:
        for digest in sorted(unnamed):
            click.echo(f"{'would remove' if dry_run else 'removing'} {digest}  {render.size(unnamed[digest])}")
    if not dry_run:
        work.remove(place, unnamed, grace=grace)
    if as_json:
        render.echo_json({"dry_run": dry_run, "removed": sorted(unnamed), "bytes": sum(unnamed.values())})
    else:
        click.echo(f"{count(len(unnamed), 'blob')}, {render.size(sum(unnamed.values()))}")


@command.command()
@click.argument("file", type=LocalPath(path_type=Path, dir_okay=False))
@_uids
@_registries
@options.limit_rate
@options.connections
@options.progress_kind
@_json
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def bundle(
    *,
    file: Path,
    patterns: tuple[str, ...],
    names: tuple[str, ...],
    limit_rate: float | None,
    connections: int,
    kind: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Put cards and their assets into one file, to be carried where there is no network.

    FILE is a tar archive of a mirror. What is not stored is fetched first. The exit code is 1, and nothing is written,
    if an asset cannot be fetched.
    """
    from hubtool.mirror.bundle import bundle as write

    hub = _hub(names)
    with progress.reporter("none" if quiet else kind) as shown:
        report = write(hub, file, patterns=patterns, connections=connections, rate=limit_rate, watch=shown)
    if as_json:
        render.echo_json(report.as_json())
    else:
        _print_failures(report.failures)
        if report.complete:
            click.echo(f"{file}: {_contents(report)}")
    return 0 if report.complete else 1


@command.command()
@click.argument("file", type=LocalPath(path_type=Path, dir_okay=False, exists=True))
@click.option("--to", "folder", metavar="DEST", help="Put it into this mirror (a folder or s3://...), cards included.")
@_json
def unbundle(*, file: Path, folder: str | None, as_json: bool) -> None:
    """Take a bundle apart; every byte is verified before it is visible.

    The assets go into the store, where the cards of the registries find them. With --to, cards and assets go into a
    mirror instead, which other machines can then be pointed at. A damaged or hostile archive is refused.
    """
    from hubtool.hub import Hub
    from hubtool.mirror.bundle import into_mirror, into_store
    from hubtool.mirror.open import open_destination

    hub = Hub.open().with_lock(None)
    if folder is None:
        report = into_store(hub, file)
    else:
        report = into_mirror(hub, file, open_destination(folder, offline=hub.settings.offline))
    if as_json:
        render.echo_json(report.as_json())
        return
    click.echo(f"{_contents(report)}: verified")
    for uid in report.unknown:
        click.echo(f"{uid} is in none of your registries; `hubtool mirror unbundle --to FOLDER` keeps the card too")


def _contents(report: BundleReport) -> str:
    return f"{count(report.cards, 'card')}, {count(report.blobs, 'asset')}, {render.size(report.bytes)}"


class _MirrorLines:
    """Progress on standard error: a counter at a terminal, else a line now and then.

    Attributes:
        named: The failures that a person saw at the terminal as they happened.
    """

    def __init__(self, *, shown: bool, says_removals: bool) -> None:
        self.named: set[MirrorFailure] = set()
        self._shown = shown
        self._says_removals = says_removals
        self._is_terminal = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._total = self._done = self._bytes = 0
        self._said = 0

    def planned(self, plan: MirrorPlan) -> None:
        """Print how much there is to fetch."""
        self._total = len(plan.missing)
        if self._shown and self._total:
            click.echo(f"{count(self._total, 'asset')} to fetch ({_missing_size(plan)})", err=True)

    def moved(self, digest: str, size: int, *, written: bool) -> None:  # noqa: ARG002 (a bar does not name files)
        """Count an asset."""
        with self._lock:
            self._done += 1
            self._bytes += size if written else 0
            self._say()

    def failed(self, failure: MirrorFailure) -> None:
        """Name a failure as it happens."""
        with self._lock:
            self._done += 1
            if self._shown:
                self._line(_failure(failure))
                if self._is_terminal and sys.stdout.isatty():
                    self.named.add(failure)

    def warned(self, message: str) -> None:
        """Print a warning, once."""
        with self._lock:
            if message not in self._warned:
                self._warned.add(message)
                self._line(f"{output.style('warning', fg='yellow')}: {message}")

    def removing(self, name: str, size: int | None) -> None:
        """Print what is about to be removed."""
        if self._says_removals:
            click.echo(f"removing {name}" + ("" if size is None else f"  {render.size(size)}"))

    def _line(self, text: str) -> None:
        # It replaces the counter, which is printed again below it.
        click.echo(f"{output.control(_CLEAR)}{text}" if self._is_terminal else text, err=True)

    def _say(self) -> None:
        # A line for each tenth: a log stays readable.
        step = self._done * 10 // max(self._total, 1)
        if self._shown and (step > self._said or self._is_terminal):
            self._said = step
            text = f"{self._done:,} of {count(self._total, 'asset')}, {render.size(self._bytes)} written"
            if self._is_terminal:
                end = "\n" if self._done >= self._total else ""
                click.echo(f"{output.control(_CLEAR)}{text}{end}", err=True, nl=False)
            else:
                click.echo(text, err=True)


def _missing(plan: MirrorPlan) -> list[dict[str, object]]:
    return [
        {"digest": asset.digest.hex, "size": asset.size, "uids": sorted({uid for uid, _ in asset.sources})}
        for asset in plan.missing
    ]


def _missing_size(plan: MirrorPlan) -> str:
    """Return how many bytes are missing, as far as the cards say."""
    unknown = plan.unknown_sizes
    if unknown and unknown == len(plan.missing):
        return "size not stated"
    return render.size(plan.known_bytes) + (f" and {unknown:,} of unknown size" if unknown else "")


def _print_plan(plan: MirrorPlan, *, every: bool) -> None:
    there = sum(plan.there.values())
    click.echo(f"{count(len(plan.wanted), 'card')} wanted, {len(plan.cards):,} of them new or changed")
    click.echo(f"{count(len(plan.there), 'asset')} there ({render.size(there)})")
    click.echo(f"{count(len(plan.missing), 'asset')} missing ({_missing_size(plan)})")
    if plan.wrong:
        wrong = render.size(sum(plan.wrong.values()))
        click.echo(
            f"{count(len(plan.wrong), 'blob')} there with wrong bytes ({wrong}): a sync replaces what cards name"
        )
    if every:
        for asset in plan.missing:
            size = render.size(asset.size)
            click.echo(f"would fetch {asset.digest}  {size}  {asset.sources[0][0]}")
    if plan.gone:
        click.echo(f"{count(len(plan.gone), 'card')} no longer in the registries")
    if plan.unnamed:
        click.echo(f"{count(len(plan.unnamed), 'blob')} named by no card ({render.size(sum(plan.unnamed.values()))})")
    _print_failures(plan.failures)


def _print_report(report: SyncReport, *, named: set[MirrorFailure]) -> None:
    _print_failures(failure for failure in report.failures if failure not in named)
    for uid in report.kept:
        click.echo(f"{uid}: the mirror keeps the card's earlier version, because an asset of the new one is missing")
    others = f", {len(report.others):,} by other workers" if report.others else ""
    removed = f"; {count(len(report.pruned), 'blob')} removed" if report.pruned else ""
    click.echo(
        f"{count(len(report.plan.there), 'asset')} there before, {len(report.written):,} written "
        f"({render.size(sum(report.written.values()))}){others}; {count(len(report.cards), 'card')} written{removed}; "
        f"{count(len(report.failures), 'failure')}; {report.seconds:.1f} s"
    )


def _print_remedy(report: VerifyReport, removed: tuple[str, ...], *, deep: bool) -> None:
    """Print how to repair a mirror."""
    if removed:
        for name in removed:
            click.echo(f"removed {name}")
        click.echo("`hubtool mirror sync` fetches the removed files again")
    elif any(fault.wrong for fault in report.faults) and deep:
        click.echo(
            "`hubtool mirror verify --deep --remove-wrong` removes the wrong files; then run `hubtool mirror sync`"
        )
    elif report.faults:
        more = "" if deep else ", `hubtool mirror verify --deep` reads every byte"
        click.echo(f"`hubtool mirror sync` fetches missing files and replaces blobs of the wrong size{more}")


def _print_failures(failures: Iterable[MirrorFailure]) -> None:
    for failure in failures:
        click.echo(_failure(failure))


def _failure(failure: MirrorFailure) -> str:
    """Return a failure as one line; most reasons name the link themselves."""
    link = failure.link
    place = "" if link is None or failure.reason.startswith(link) else f"{link}: "
    return f"{output.style('failed', fg='red')} {failure.uid}: {place}{failure.reason}"
