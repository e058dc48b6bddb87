"""`hubtool cache`: looking after the store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from hubtool import parallel
from hubtool.cli import render, units
from hubtool.cli.render import count

if TYPE_CHECKING:
    from hubtool.store.cleanup import QuarantinedFile, Removal, StoreItem, VerifyResult

_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Manage the store: the verified files that loading reads.

    The folder is HUBTOOL_HOME. What it does not have is read from the folders of HUBTOOL_STORES, which are never
    written. All of these commands may run while networks are loaded.
    """


@command.command("dir")
def folder() -> None:
    """Print the folder of the store, and the further stores that are read."""
    from hubtool import settings

    current = settings.load()
    for path in (current.home, *current.stores):
        click.echo(path)


@command.command("ls")
@_json
def listing(as_json: bool) -> None:
    """List what is stored: its size, when it was used last (to the hour), and the cards that name it.

    Unfinished downloads come last; some of them may still be running.
    """
    from hubtool.assets import references
    from hubtool.hub import Hub
    from hubtool.store import cleanup

    hub = Hub.open()
    there = cleanup.items(hub.store, references(hub))
    aside = hub.store.quarantined()
    parts = cleanup.unfinished(hub.store)
    if as_json:
        render.echo_json(
            {
                "store": str(hub.store.root),
                "shared": [str(path) for path in hub.store.shared],
                "assets": [_item(item) for item in there],
                "unfinished": [_part(part) for part in parts],
                "quarantined": [str(path) for path in aside],
            }
        )
        return
    now = time.time()
    for item in sorted(there, key=lambda one: (-one.used, one.digest)):
        derived = f" + {render.size(item.derived)} derived" if item.derived else ""
        names = ", ".join(item.uids[:3]) + (f" and {len(item.uids) - 3:,} more" if len(item.uids) > 3 else "")
        click.echo(
            f"{item.digest[:12]}  {render.size(item.size):>10}{derived}  {_ago(now - item.used)}  {names or '-'}"
        )
    total = sum(item.total for item in there)
    click.echo(f"{count(len(there), 'asset')}, {render.size(total)} in {hub.store.root}")
    if parts:
        size = render.size(sum(part.size for part in parts))
        click.echo(
            f"{count(len(parts), 'unfinished fetch', 'unfinished fetches')}, {size}; `hubtool fetch` resumes "
            "them, `hubtool cache prune --unfinished` removes them"
        )
    if aside:
        click.echo(f"{count(len(aside), 'wrong file')} in quarantine; `hubtool cache prune --quarantine` removes them")


@command.command()
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=None, help="Processes that hash; one for each core by default."
)
@_dry_run
@_json
def verify(jobs: int | None, dry_run: bool, as_json: bool) -> int:
    """Hash every stored file again, and move wrong ones into quarantine.

    The exit code is 1 if a file is wrong or cannot be read. With --dry-run, wrong files are not moved. If a file cannot
    be moved, the reason is printed.
    """
    from hubtool.hub import Hub
    from hubtool.store import cleanup

    store = Hub.open().store
    start = time.perf_counter()
    done = 0

    def report(_: VerifyResult, size: int) -> None:
        nonlocal done
        done += size

    results = cleanup.verify(store, workers=jobs or parallel.cores(), quarantine=not dry_run, report=report)
    seconds = time.perf_counter() - start
    wrong = [result for result in results if not result.right]
    if as_json:
        render.echo_json(
            {
                "store": str(store.root),
                "files": len(results),
                "bytes": done,
                "seconds": round(seconds, 4),
                "wrong": [_wrong(one) for one in wrong],
                "quarantined": not dry_run and all(one.moved for one in wrong),
            }
        )
        return 1 if wrong else 0
    for one in wrong:
        what = "the asset" if one.kind is None else f"the {one.kind} made of it"
        fate = "was wrong, and was moved into quarantine" if one.moved else one.fate
        click.echo(f"{one.digest}  {what} {one.error or fate}")
    click.echo(
        f"{count(len(results), 'file')}, {render.size(done)} in {seconds:.1f} s: "
        + (f"{len(wrong):,} wrong" if wrong else "all right")
    )
    return 1 if wrong else 0


@command.command()
@click.option(
    "--older-than",
    metavar="AGE",
    callback=units.age,
    help="Remove files not used for this long (such as 30d), and unfinished fetches that were not resumed.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    callback=units.size,
    help="Remove the least recently used files until the store is at most this large, such as 10GiB.",
)
@click.option("--unreferenced", is_flag=True, help="Remove what no card of the registries names.")
@click.option("--unfinished", is_flag=True, help="Remove the partial files of interrupted fetches.")
@click.option("--quarantine", is_flag=True, help="Remove the wrong files that were moved aside.")
@click.option("--even-recent", is_flag=True, help="Also remove what was used in the last two hours.")
@_dry_run
@_json
def prune(
    *,
    older_than: float | None,
    max_size: int | None,
    unreferenced: bool,
    unfinished: bool,
    quarantine: bool,
    even_recent: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove files that are old, over a size limit, named by no card, unfinished or wrong: give options.

    What was used in the last two hours stays, because a load may be about to open it, and so does what a process
    is fetching. The exit code is 1 if something could not be removed.
    """
    from hubtool.assets import references
    from hubtool.hub import Hub
    from hubtool.store import cleanup

    if older_than is None and max_size is None and not unreferenced and not unfinished and not quarantine:
        raise click.UsageError(
            "say what to remove: --older-than, --max-size, --unreferenced, --unfinished or --quarantine"
        )
    hub = Hub.open()
    assets = cleanup.items(hub.store, references(hub) if unreferenced or as_json else None)
    planned = cleanup.plan(
        assets + cleanup.unfinished(hub.store),
        now=time.time(),
        older_than=older_than,
        max_bytes=max_size,
        unreferenced=unreferenced,
        broken_off=unfinished,
        recent=0.0 if even_recent else cleanup.RECENT_SECONDS,
    )
    done = planned if dry_run else cleanup.carry_out(hub.store, planned)
    aside = cleanup.quarantined(hub.store) if quarantine else ()
    if not dry_run:
        aside = cleanup.remove_quarantined(hub.store, aside)
        hub.store.remove_locks()
    _report(done, aside, dry_run=dry_run, as_json=as_json)
    stays = len(done.remove) != len(planned.remove) or any(one.error for one in aside)
    return 1 if stays and not dry_run else 0


@command.command()
@click.argument("targets", nargs=-1, required=True, metavar="UID|DIGEST ...")
@_dry_run
@_json
def rm(targets: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Remove the assets of cards, or single files by digest (8 digits or more), with what was made from them.

    A load that has a file open goes on reading it. The exit code is 1 if something is not stored or stays.
    """
    from hubtool.assets import references
    from hubtool.hub import Hub
    from hubtool.store import cleanup

    hub = Hub.open()
    planned = cleanup.choose(cleanup.items(hub.store, references(hub)), targets)
    done = planned if dry_run else cleanup.carry_out(hub.store, planned)
    _report(done, (), dry_run=dry_run, as_json=as_json)
    return 0 if len(done.remove) == len(planned.remove) else 1


def _report(done: Removal, aside: tuple[QuarantinedFile, ...], *, dry_run: bool, as_json: bool) -> None:
    gone = [one for one in aside if one.error is None]
    freed = done.freed + sum(one.size for one in gone)
    if as_json:
        render.echo_json(
            {
                "dry_run": dry_run,
                "removed": [_judged(item, reason) for item, reason in done.remove if item.unfinished is None],
                "unfinished": [_judged(item, reason) for item, reason in done.remove if item.unfinished is not None],
                "kept": [_judged(item, reason) for item, reason in done.keep],
                "quarantine": [str(one.path) for one in gone],
                "bytes": freed,
            }
        )
        return
    verb = "would remove" if dry_run else "removed"
    for item, reason in done.remove:
        click.echo(f"{verb} {_named(item)}  {render.size(item.total)}  {reason}")
    for one in gone:
        click.echo(f"{verb} {one.path}  {render.size(one.size)}")
    for item, reason in done.keep:
        click.echo(f"kept {_named(item)}  {render.size(item.total)}  {reason}", err=True)
    for one in aside:
        if one.error is not None:
            click.echo(f"kept {one.path}  {render.size(one.size)}  {one.error}", err=True)
    click.echo(f"{verb} {count(len(done.remove) + len(gone), 'file')}, {render.size(freed)}")


def _named(item: StoreItem) -> str:
    return item.digest if item.unfinished is None else f"unfinished {item.digest}"


def _judged(item: StoreItem, reason: str) -> dict[str, object]:
    return {**(_item(item) if item.unfinished is None else _part(item)), "reason": reason}


def _part(item: StoreItem) -> dict[str, object]:
    return {"digest": item.digest, "size": item.size, "written": _stamp(item.stored)}


def _wrong(one: VerifyResult) -> dict[str, object]:
    return {
        "digest": one.digest,
        "kind": one.kind or "asset",
        "error": one.error,
        "quarantined": one.moved,
        "fate": one.fate or None,
    }


def _item(item: StoreItem) -> dict[str, object]:
    return {
        "digest": item.digest,
        "size": item.size,
        "derived": item.derived,
        "stored": _stamp(item.stored),
        "used": _stamp(item.used),
        "uids": list(item.uids),
    }


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _ago(seconds: float) -> str:
    if seconds < 3600:
        return "used within the hour"
    return f"used {seconds / 3600:.0f} h ago" if seconds < 2 * 86400 else f"used {seconds / 86400:.0f} days ago"
