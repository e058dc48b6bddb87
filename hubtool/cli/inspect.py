"""`hubtool inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from hubtool.cli import complete, render

_MAX_TEXT = 200  # characters
_MAX_WIDTH = 100  # characters of the column of names


@click.command()
@click.argument("target", metavar="UID|FILE", shell_complete=complete.uids)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(target: str, as_json: bool) -> None:
    """List the tensors of a checkpoint with their shapes and types.

    A FILE is a .ckpt or .safetensors file. Of a UID, the stored checkpoint is listed; `hubtool fetch UID` stores it.
    MindSpore is not needed.
    """
    from hubtool.checkpoint.reading import read_header

    path = Path(target)
    if not path.is_file() and path.suffix not in (".ckpt", ".safetensors"):
        from hubtool.assets import stored_checkpoint
        from hubtool.hub import Hub

        path = stored_checkpoint(Hub.open(), target)
    header = read_header(path)
    if as_json:
        render.echo_json(
            {
                "path": str(path),
                "format": header.format,
                "tensors": [
                    {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype, "bytes": tensor.bytes}
                    for tensor in header.tensors
                ],
                "texts": dict(header.texts),
                "totals": {"tensors": len(header.tensors), "elements": header.elements, "bytes": header.bytes},
            }
        )
        return
    width = min(max((len(tensor.name) for tensor in header.tensors), default=0), _MAX_WIDTH)
    for tensor in header.tensors:
        click.echo(f"{tensor.name.ljust(width)}  {tensor.dtype:<9} {list(tensor.shape)}")
    for name, text in header.texts:
        click.echo(f"{render.plain(name).ljust(width)}  text      {render.plain(text[:_MAX_TEXT])!r}")
    tensors, elements = render.count(len(header.tensors), "tensor"), render.count(header.elements, "element")
    click.echo(f"{tensors}, {elements}, {render.size(header.bytes)} ({header.format})")
