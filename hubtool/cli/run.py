"""`hubtool run`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import complete, options, output, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.errors import ArgumentError
    from hubtool.pipelines.results import Result

_MAX_BYTES = 256 << 20  # of a picture from standard input
_MAX_LINE = 400_000  # bytes of a text
_SHOWN = 60  # characters of a text, as its heading


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--text", "texts", multiple=True, help="A text, in place of a file. May be repeated.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many labels to show.")
@options.device
@options.trust
@options.checkout
@options.lock
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    uid: str,
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    top: int,
    device: str,
    trust: bool,
    checkout: Path | None,
    lock: Path | None,
    as_json: bool,
) -> int:
    """Classify pictures or texts, or find names in texts, with the network of a card.

    INPUT is a file, or '-' for standard input: a picture, or a text with one sentence per line. The card says how
    inputs are prepared and what the outputs mean. The checkpoint is fetched if it is not stored. UID is
    publisher/version/name, the URL of a card on the public hub, or the path of a card. The exit code is 1 if an input
    could not be used.
    """
    from hubtool.cli import app, consent
    from hubtool.cli.progress import transfer
    from hubtool.errors import ArgumentError, NetworkError
    from hubtool.hub import Hub
    from hubtool.pipelines import use as uses

    hub = Hub.open() if lock is None else Hub.open().with_lock(lock.absolute())
    resolution = hub.resolve(hub.find(uid), device=device, trust=trust, loading=True)
    use = uses.read(resolution.card, resolution.uid)
    is_text = use.task in uses.TEXTS
    _check(inputs, texts, is_text=is_text, task=use.task)
    agreement = None if trust else consent.ask(hub, resolution, checkout=checkout)
    from hubtool.pipelines.pipeline import open_pipeline

    with transfer(uid) as progress:
        pipeline = open_pipeline(
            hub, resolution, device=resolution.device, checkout=checkout, agreement=agreement, progress=progress
        )
    status = resolution.card.status
    if status is not None:
        warning = output.style("warning", fg="yellow", bold=True)
        click.echo(f"{warning}: {render.plain(status.describe('the card'))}", err=True)
    results: list[Result] = []
    failed = False
    sources = _texts(inputs, texts) if is_text else _pictures(inputs)
    several = len(inputs) + len(texts) > 1 or is_text
    for shown, source in sources:
        try:
            if isinstance(source, ArgumentError):
                raise source
            result: Any = pipeline(source, top=top)
        except (ArgumentError, NetworkError) as error:
            failed = True
            named = not shown.strip() or error.message.startswith(shown)
            app.say(error, "" if named else render.plain(f"{shown}: "))
            continue
        if as_json:
            results.append(result)
        else:
            _print(result, heading=shown if several else "")
    if as_json:
        render.echo_json([one.as_json() for one in results])
    return 1 if failed else 0


def _check(inputs: tuple[str, ...], texts: tuple[str, ...], *, is_text: bool, task: str) -> None:
    """Check the inputs before anything is fetched.

    Raises:
        ArgumentError: If there is none, or one cannot be used.
    """
    from hubtool.errors import ArgumentError

    if not inputs and not texts:
        what = "--text 'A SENTENCE', or the path of a text" if is_text else "the path of a picture"
        raise ArgumentError("there is no input", hint=f"give {what}, or - for standard input")
    if texts and not is_text:
        raise ArgumentError(f"--text is for texts, and this network is for {task}", hint="give the path of a picture")
    if inputs.count("-") > 1:
        raise ArgumentError("standard input can be read once", hint="give - once")
    for path in inputs:
        if "://" in path:
            raise ArgumentError(f"{path!a} is a URL, and inputs are files", hint="download it first")
        if path != "-" and not Path(path).is_file():
            if Path(path).exists():
                raise ArgumentError(f"{path!a} is no regular file", hint="give the path of a file, or - for a pipe")
            hint = "give a text itself as --text 'A SENTENCE'" if is_text else "is the path right?"
            raise ArgumentError(f"there is no file {path!a}", hint=hint)


def _pictures(inputs: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    from hubtool.errors import ArgumentError

    for path in inputs:
        if path != "-":
            yield path, Path(path)
            continue
        data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        if not data:
            yield "standard input", ArgumentError("it is empty", hint="send the bytes of a picture")
        elif len(data) > _MAX_BYTES:
            yield "standard input", ArgumentError(f"it has more than {_MAX_BYTES:,} bytes")
        else:
            yield "standard input", io.BytesIO(data)


def _texts(inputs: tuple[str, ...], texts: tuple[str, ...]) -> Iterator[tuple[str, str | ArgumentError]]:
    for text in texts:
        yield text[:_SHOWN], text
    for path in inputs:
        yield from _sentences(path)


def _sentences(path: str) -> Iterator[tuple[str, str | ArgumentError]]:
    """Yield the lines of a text that are not blank, each with its beginning.

    If there is none, or one is not UTF-8 or too long, an error is the last that comes: the next text may be a good one.
    """
    from contextlib import nullcontext

    from hubtool.errors import ArgumentError

    shown, number = "standard input" if path == "-" else path, 0
    with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as stream:
        empty = True
        while line := stream.readline(_MAX_LINE + 1):
            number += 1
            if len(line) > _MAX_LINE:
                why = f"the line has more than {_MAX_LINE:,} bytes"
                yield f"{shown}:{number}", ArgumentError(why, hint="put each sentence on a line")
                return
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                yield f"{shown}:{number}", ArgumentError("this is not text in UTF-8", hint="save it as UTF-8")
                return
            if text:
                empty = False
                yield text[:_SHOWN], text
    if empty:
        yield shown, ArgumentError("it holds no text", hint="write a sentence on a line")


def _print(result: Result, *, heading: str) -> None:
    if heading:
        click.echo(output.style(render.plain(heading), bold=True))
    for line in result.lines(bars=sys.stdout.isatty()):
        click.echo(render.plain(f"  {line}" if heading else line))
