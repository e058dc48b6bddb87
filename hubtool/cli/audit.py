"""`hubtool audit`."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import output, render
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from hubtool.audit.plan import AuditPlan, Target
    from hubtool.audit.report import AuditReport

_PRINTED = 50


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a date, or a date and time; without an offset it is UTC."""
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        return when.timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is not a date; write 2026-11-23 or 2026-11-23T04:00", ctx=ctx, param=param
        ) from None


@click.command()
@click.option("--registry", metavar="NAME", help="Only this registry; all of the settings, unless given.")
@click.option("--uid", "patterns", multiple=True, metavar="GLOB", help="Only cards whose UIDs match.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=8, show_default=True, help="Maximum number of requests at once."
)
@click.option(
    "--per-host",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Maximum number of requests to one host at once.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Maximum requests to one host per second; 0 for no limit.",
)
@click.option("--since", metavar="DATE", callback=_since, help="Skip what was checked after this date (UTC).")
@click.option("--deep", is_flag=True, help="Download and hash every file; keep none.")
@click.option("--restart", is_flag=True, help="Start again instead of resuming an interrupted run.")
@click.option("--accept", is_flag=True, help="Accept what is there now: the next audits compare with it.")
@click.option("--report", type=LocalPath(dir_okay=False, path_type=Path), help="Write the report to a file, as JSON.")
@click.option("--markdown", type=LocalPath(dir_okay=False, path_type=Path), help="Write it as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def command(
    *,
    registry: str | None,
    patterns: tuple[str, ...],
    jobs: int,
    per_host: int,
    rate: float,
    since: float | None,
    deep: bool,
    restart: bool,
    accept: bool,
    report: Path | None,
    markdown: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Check the links and repositories of whole registries.

    Report links that moved or no longer exist, files whose size or digest differs from the card or the last audit,
    repositories and commits that no longer exist, and licences that changed. Each distinct link is requested once, and
    only a few at a time from one server. Results are saved: an interrupted run resumes, and the next one compares.

    The exit code is 0 if nothing is wrong, and 1 if something is.
    """
    from hubtool.audit import run
    from hubtool.hub import Hub

    options = run.AuditOptions(
        registry=registry,
        patterns=patterns,
        jobs=jobs,
        per_host=per_host,
        rate=rate,
        since=since,
        deep=deep,
        restart=restart,
        accept=accept,
    )
    for path in (report, markdown):
        if path is not None and not path.absolute().parent.is_dir():
            raise click.BadParameter(f"the folder of {path} is not there")
    with _progress(shown=not quiet) as watch:
        try:
            found = run.audit(Hub.open(), options, watch=watch)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            click.echo(f"{output.style('hint', fg='cyan')}: run the same command again to resume", err=True)
            raise click.exceptions.Exit(130) from None
    if report is not None:
        _write(report, json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n")
    if markdown is not None:
        _write(markdown, found.as_markdown())
    if as_json:
        render.echo_json(found.as_json())
    else:
        _print(found, full=report is not None or markdown is not None)
    return 0 if found.clean else 1


def _write(path: Path, text: str) -> None:
    from hubtool import files
    from hubtool.errors import SettingsError

    try:
        files.write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or type(error).__name__}") from error


def _print(found: AuditReport, *, full: bool) -> None:
    """Print the findings; where they are in a file as well, not more of them than a person reads."""
    most = _PRINTED if full else len(found.findings)
    for one in found.findings[:most]:
        more = f" and {len(one.uids) - 1:,} more" if len(one.uids) > 1 else ""
        uid = one.uids[0] if one.uids else ""
        click.echo(render.plain(f"{one.kind}  {one.target}: {one.message} ({uid}{more})"))
    if len(found.findings) > most:
        click.echo(f"... and {len(found.findings) - most:,} more in the report")
    if found.notes:
        click.echo(f"{len(found.notes):,} notes (duplicates and unknown licences) are in the JSON and Markdown reports")
    click.echo(found.summary())


class _AuditLines:
    """Progress for logs: a line for each tenth, and one when a host asks to be left alone."""

    def __init__(self) -> None:
        self._total = self._done = self._faults = self._said = 0

    def planned(self, plan: AuditPlan, todo: int, *, resumed: bool) -> None:
        """Print how much there is to check."""
        self._total = todo
        rest = len(plan.targets) - todo
        known = f", {rest:,} {'was' if rest == 1 else 'were'} looked at before" if rest else ""
        again = "resuming the last run: " if resumed and rest else ""
        what = render.count(todo, "link or repository", "links and repositories")
        click.echo(f"{again}{what} to look at{known}", err=True)

    def looked(self, target: Target, fault: str | None) -> None:
        """Count a target."""
        del target
        self._done += 1
        self._faults += fault is not None
        step = self._done * 10 // max(self._total, 1)
        if step > self._said:
            self._said = step
            self._say(f"{self._done:,} of {self._total:,}, {self._faults:,} that cannot be followed")

    def waiting(self, host: str, message: str, wait: float) -> None:
        """Report that a host asks to wait, if it is for long."""
        if wait >= 5:
            self._say(f"{host} is left alone for {wait:.0f} seconds: {message}")

    def _say(self, text: str) -> None:
        click.echo(text, err=True)


class _Bar(_AuditLines):
    """Progress for terminals."""

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._task: TaskID | None = None
        self._moved = 0.0

    def planned(self, plan: AuditPlan, todo: int, *, resumed: bool) -> None:
        """Begin the bar."""
        super().planned(plan, todo, resumed=resumed)
        self._task = self._bars.add_task("looking", total=todo)

    def looked(self, target: Target, fault: str | None) -> None:
        """Move the bar."""
        del target
        self._done += 1
        self._faults += fault is not None
        now = time.monotonic()
        if self._task is not None and (now - self._moved > 0.1 or self._done == self._total):
            self._moved = now
            self._bars.update(self._task, completed=self._done, description=f"{self._faults:,} cannot be followed")

    def _say(self, text: str) -> None:
        # This console writes codes of its own: the text, which may be a server's, is cleaned before.
        self._bars.console.print(output.clean(text), markup=False)


class _NoAuditProgress(_AuditLines):
    """No progress."""

    def planned(self, plan: AuditPlan, todo: int, *, resumed: bool) -> None:
        """Print nothing."""

    def _say(self, text: str) -> None:
        """Print nothing."""


@contextmanager
def _progress(*, shown: bool) -> Iterator[_AuditLines]:
    if not shown:
        yield _NoAuditProgress()
        return
    if not sys.stderr.isatty():
        yield _AuditLines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=render.console(sys.stderr), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bars:
        yield _Bar(bars)
