"""`hubtool export`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, render
from hubtool.cli.paths import LocalPath
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from hubtool.networks.graphs import Exported

_INPUT = re.compile(r"(?P<shape>[0-9]+(?:,[0-9]+)*)(?::(?P<dtype>[a-z]+[0-9]*))?\Z")


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.argument("file", type=LocalPath(dir_okay=False, path_type=Path))
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE[:DTYPE]", help="An input, such as 1,3,224,224:float32."
)
@options.trust
@options.checkout
@options.lock
@click.option("--no-pretrained", is_flag=True, help="Export the network without its weights, as it is initialised.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    uid: str,
    file: Path,
    inputs: tuple[str, ...],
    trust: bool,
    checkout: Path | None,
    lock: Path | None,
    no_pretrained: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a card's network with its weights as a MindIR, which runs without any Python code of the model.

    The network is loaded as `hubtool load` does it, exported for inputs of the shapes that its card records (or those
    given with --input, in order), loaded back, and run: FILE is there only if both compute the same. A graph takes
    inputs of exactly these shapes.
    """
    if file.suffix != ".mindir":
        raise ArgumentError(f"{file} does not end in .mindir", hint=f"call it {file.with_suffix('.mindir').name}")
    if file.exists() and not force:
        raise ArgumentError(f"{file} is there already", hint="--force replaces it")
    shapes = tuple(_parse(text) for text in inputs)
    from hubtool import loader
    from hubtool.cli import consent
    from hubtool.cli.progress import transfer
    from hubtool.hub import Hub
    from hubtool.networks import graphs
    from hubtool.networks.entry_point import example

    hub = Hub.open() if lock is None else Hub.open().with_lock(lock.absolute())
    resolution = hub.resolve(hub.find(uid), trust=trust, loading=True)
    agreement = None if trust else consent.ask(hub, resolution, checkout=checkout)
    with transfer(uid) as progress:
        loaded = loader.load(
            hub,
            resolution,
            device=resolution.device,
            progress=progress,
            agreement=agreement,
            checkout=checkout,
            pretrained=not no_pretrained,
        )
    if loaded.path is not None:
        raise ArgumentError(f"{uid} is a graph already: {loaded.path}", hint=loaded.notes[0] if loaded.notes else None)
    if loaded.loan is not None:
        click.echo(render.plain(f"note: the recipe is {loaded.loan.why}"), err=True)
    tensors = example(shapes) if shapes else loaded.built.example()
    done = graphs.export(loaded.network, tensors, file)
    if as_json:
        render.echo_json(_as_json(uid, done))
    else:
        _print(uid, done)


def _parse(text: str) -> tuple[str, tuple[int, ...], str]:
    match = _INPUT.match(text)
    if match is None:
        raise ArgumentError(f"{text!a} is no input", hint="write its shape and type, such as 1,3,224,224:float32")
    return "", tuple(int(side) for side in match["shape"].split(",")), match["dtype"] or "float32"


def _as_json(uid: str, done: Exported) -> dict[str, object]:
    return {
        "uid": uid,
        "path": str(done.path),
        "files": [str(path) for path in done.files],
        "size": done.size,
        "inputs": [{"name": one.name, "shape": list(one.shape), "dtype": one.dtype} for one in done.inputs],
        "outputs": [{"shape": list(shape), "dtype": dtype} for shape, dtype in done.outputs],
        "difference": done.difference,
    }


def _print(uid: str, done: Exported) -> None:
    rows = [("uid", uid), ("written", f"{done.path}, {render.size(done.size)}")]
    rows += [("", str(path)) for path in done.files if path != done.path]
    rows += [("input", f"{one.dtype} {list(one.shape)} {one.name}".rstrip()) for one in done.inputs]
    rows += [("output", f"{dtype} {list(shape)}") for shape, dtype in done.outputs]
    rows.append(("loaded back", f"its outputs differ by at most {done.difference:.3g}"))
    render.pairs(rows)
    click.echo()
    click.echo("    import mindspore")
    click.echo(f'    network = mindspore.nn.GraphCell(mindspore.load("{done.path.name}"))')
