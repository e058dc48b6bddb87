"""`hubtool diff`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, output, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.diff.model import AssetChange, CardDiff, CodeChange
    from hubtool.diff.tensors import TensorDiff


@click.command()
@click.argument("old", metavar="A", shell_complete=complete.uids)
@click.argument("new", metavar="B", shell_complete=complete.uids)
@click.option("--values", is_flag=True, help="Compare the numbers of stored checkpoints too.")
@click.option("--fetch", is_flag=True, help="Fetch checkpoints and code that are not stored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, old: str, new: str, values: bool, fetch: bool, as_json: bool) -> int:
    """Show what differs between two versions: fields, assets, tensors, code.

    A and B are each a UID, the path of a card, a lockfile, or a UID as a lockfile pins it (UID@hub.lock). Nothing is
    fetched unless asked for, and MindSpore is not needed.

    The exit code is 0 if they are the same, 1 if they differ, and 2 if one of them cannot be read.
    """
    from hubtool.cli.app import say
    from hubtool.diff import cards
    from hubtool.errors import HubError
    from hubtool.hub import Hub

    try:
        found = cards.diff(Hub.open(), old, new, values=values, fetch=fetch)
    except HubError as error:
        say(error)
        return 2
    if as_json:
        render.echo_json(found.as_json())
    else:
        for uid in found.removed:
            click.echo(f"- {uid}")
        for uid in found.added:
            click.echo(f"+ {uid}")
        for card in found.cards:
            _print(card)
        if found.same:
            click.echo("the same")
    return 0 if found.same else 1


def _print(card: CardDiff) -> None:
    if not card.same:
        click.echo(output.style(f"{render.plain(card.old)} -> {render.plain(card.new)}", bold=True))
    for line in card.pinned:
        click.echo(f"  lock: {render.plain(line)}")
    if card.title is not None:
        _line("title", card.title[0], card.title[1])
    for one in card.fields:
        _line(one.key, one.old, one.new)
    if any(card.body):
        click.echo(f"  text: {render.count(card.body[0], 'line')} added, {card.body[1]:,} removed")
    for asset in card.assets:
        _asset(asset)
    if card.code is not None:
        _code(card.code)
    for note in card.notes:
        click.echo(f"  note: {render.plain(note)}")


def _line(name: str, old: object, new: object) -> None:
    if old is None:
        click.echo(f"  + {render.plain(name)}: {_value(new)}")
    elif new is None:
        click.echo(f"  - {render.plain(name)}: {_value(old)}")
    else:
        click.echo(f"  {render.plain(name)}: {_value(old)} -> {_value(new)}")


def _value(value: object) -> str:
    return render.plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _asset(asset: AssetChange) -> None:
    click.echo(f"  asset {asset.kind}: {render.plain(asset.link)}")
    for mark, side in (("-", asset.old), ("+", asset.new)):
        if side is not None:
            click.echo(f"    {mark} {_facts(side)}")
    if asset.tensors is not None:
        _tensors(asset.tensors)


def _facts(side: Mapping[str, object]) -> str:
    size = side["size"]
    return render.plain(
        f"{side['link']}, {side['format']}, {render.size(size if isinstance(size, int) else None)}, "
        f"sha256 {side['digest'] or 'not stated'}"
    )


def _tensors(found: TensorDiff) -> None:
    for mark, listed in (("-", found.removed), ("+", found.added)):
        for name, dtype, shape in listed:
            click.echo(f"    {mark} {render.plain(name)}  {dtype} {list(shape)}")
    for one in (*found.reshaped, *found.retyped):
        click.echo(f"    {render.plain(one.name)}  {one.old[0]} {list(one.old[1])} -> {one.new[0]} {list(one.new[1])}")
    for value in found.values or ():
        largest = "" if value.largest is None else f", by at most {value.largest:g}"
        of = render.count(value.elements, "byte" if value.largest is None else "element")
        verb = "differs" if value.differing == 1 else "differ"
        click.echo(f"    {render.plain(value.name)}  {value.differing:,} of {of} {verb}{largest}")
    verb = "has" if found.same == 1 else "have"
    click.echo(f"    {render.count(found.same, 'tensor')} {verb} the same name, shape and type")


def _code(code: CodeChange) -> None:
    for mark, side in (("-", code.old), ("+", code.new)):
        if side is not None:
            tree = f", tree {str(side['tree'])[:12]}" if side["tree"] else ""
            at = side["revision"] or "its default branch"
            click.echo(
                render.plain(f"  code {mark} {side['repository']} at {at} ({side['folder'] or 'its top'}{tree})")
            )
    for mark, names in (("-", code.removed), ("+", code.added), ("~", code.changed)):
        for name in names:
            click.echo(f"    {mark} {render.plain(name)}")
    for module, (kind, path, line) in code.modules.items():
        touches = f": {kind}" if kind else ""
        click.echo(render.plain(f"    now imports {module}{touches} ({path}:{line})"))
    for kind, what, path, line in code.touches:
        click.echo(render.plain(f"    now uses {kind}: {what} ({path}:{line})"))
