"""`hubtool validate`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool import parallel
from hubtool.cli.paths import LocalPath

if TYPE_CHECKING:
    from hubtool.card.validate.run import ValidateOptions
    from hubtool.settings import Settings


@click.command()
@click.argument("paths", nargs=-1, type=LocalPath(path_type=Path), metavar="[PATH ...]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    help="How to print the problems.",
)
@click.option("--select", multiple=True, metavar="CODES", help="Report these rules only: HT301, or HT3 for all HT3xx.")
@click.option("--ignore", multiple=True, metavar="CODES", help="Do not report these rules.")
@click.option("--fix", is_flag=True, help="Fix problems that have one right answer, then report the rest.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing (without --fix).")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@click.option("--no-cache", is_flag=True, help="Check all cards, unchanged ones too.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Use at most N processes; by default all cores.")
def command(  # noqa: PLR0917 - click passes them by name
    paths: tuple[Path, ...],
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fix: bool,
    diff: bool,
    strict: bool,
    no_cache: bool,
    jobs: int | None,
) -> int:
    """Check cards against the schema and the rules.

    PATH is a card or a folder of cards; without one, the registries are checked. Every problem is reported at once,
    with its place and what to do; 'hubtool rule CODE' explains a rule. The exit code is 0 without errors, 1 with errors
    (with --strict also for warnings, with --diff if there is something to fix), and 2 for wrong use or a PATH without a
    card.
    """
    import gc

    from hubtool import settings
    from hubtool.card.files import shown_path
    from hubtool.card.validate import run
    from hubtool.cli import output, render, reports

    # The process ends with the command: what it makes is in no cycles, and to look for some takes a fifth of the time.
    gc.set_threshold(100_000)
    current = settings.load()
    targets = paths or current.registry
    run.check_present(targets)
    options = _options(targets, current, select, ignore, jobs=jobs, cached=not no_cache)
    failed = False
    if fix or diff:
        fixed = cards = 0
        for outcome in run.fix_paths(targets, options, write=fix, show=diff):
            if outcome.problem is not None:
                failed = True
                click.echo(f"{shown_path(outcome.path)}: not fixed: {outcome.problem}", err=True)
                continue
            cards += 1
            fixed += sum(outcome.fixed.values())
            if diff:
                output.write_bytes(outcome.diff)
        sys.stdout.flush()
        did = "fixed" if fix else "--fix would fix"
        click.echo(f"{did} {render.count(fixed, 'problem')} in {render.count(cards, 'card')}", err=True)
        if not fix:
            return 1 if cards or failed else 0
    colour = sys.stdout.isatty() and os.name == "posix"
    counts = run.ValidateCounts()
    write = sys.stdout.write
    for piece in reports.REPORTERS[form](colour)(run.stream(targets, options, counts), counts):
        write(piece)
    return 1 if failed or counts.errors or (strict and counts.warnings) else 0


def _options(
    targets: tuple[Path, ...],
    current: Settings,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    *,
    jobs: int | None,
    cached: bool,
) -> ValidateOptions:
    from hubtool.card.validate import cache, run
    from hubtool.card.validate.selection import Selection, for_folders

    selection = Selection(
        select=_codes(select, "--select"),
        ignore=_codes(ignore, "--ignore"),
        folders=for_folders(targets, all_of=bool(select)),
    )
    return run.ValidateOptions(
        selection=selection,
        hosts=frozenset(current.allowed_hosts),
        jobs=jobs or min(parallel.cores(), 8),
        cache=current.home / cache.FILE_NAME if cached else None,
    )


def _codes(given: tuple[str, ...], option: str) -> tuple[str, ...]:
    from hubtool.card.validate.selection import check_codes

    return check_codes((code for codes in given for code in codes.split(",")), option)
