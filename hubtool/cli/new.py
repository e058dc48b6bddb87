"""`hubtool new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import complete, render
from hubtool.cli.output import can_ask
from hubtool.cli.paths import LocalPath
from hubtool.errors import ArgumentError, HubError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.card.model import Card
    from hubtool.hub import Hub
    from hubtool.publish.draft import CardDraft, Question

# The fields of the front matter, each with what its option says; the order is that of a card.
_FIELDS = {
    "model-name": "The model's name; by default that of the UID.",
    "backbone-name": "The architecture that it is built on.",
    "module-type": "The task, such as nlp-text_classification.",
    "fine-tunable": "true or false: whether the parameters may be trained further.",
    "input-shape": "The size of one input without the batch, such as 3,224,224.",
    "model-version": "The version of the model; by default that of the UID.",
    "train-dataset": "The data set that it was trained on.",
    "evaluation": "Metrics, such as 'F1score86.87 | exactmatch79.52'.",
    "accuracy": "The accuracy.",
    "mAP": "The mean average precision.",
    "author": "Who made the model.",
    "update-time": "The date of the last update; by default today.",
    "repo-link": "The link to the model's code.",
    "repo-revision": "The commit of the repository that the recipe's code is taken from.",
    "user-id": "The publisher; by default that of the UID.",
    "used-for": "What the model is for; by default inference.",
    "train-backend": "The device that it was trained on: ascend, gpu, cpu.",
    "infer-backend": "The devices that it runs on.",
    "mindspore-version": "The version of MindSpore that it was made with; by default the one that is installed.",
    "mindspore-lite": "true or false: whether the asset is for MindSpore Lite.",
    "license": "The licence, such as Apache-2.0.",
    "summary": "One sentence that says what the model does.",
}
_VOCABULARIES = {"module-type": "tasks", "train-dataset": "datasets", "license": "licences"}


def _complete(name: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def found(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's signature
        from hubtool.card import vocabulary

        return [one for one in vocabulary.load(name).names if one.lower().startswith(incomplete.lower())]

    return found


def _fields(function: Callable[..., int]) -> Callable[..., int]:
    for key, text in reversed(_FIELDS.items()):
        completer = _complete(_VOCABULARIES[key]) if key in _VOCABULARIES else None
        function = click.option(
            f"--{key}", f"field_{key.replace('-', '_')}", metavar="TEXT", help=text, shell_complete=completer
        )(function)
    return function


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.option(
    "--checkpoint",
    type=LocalPath(exists=True, dir_okay=False, path_type=Path),
    help="The file with the weights, or a graph that contains them (.mindir, .onnx, ...).",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=LocalPath(exists=True, dir_okay=False, path_type=Path),
    help="Another file that is to be an asset, such as a vocabulary.",
)
@click.option("--from", "base", metavar="UID", shell_complete=complete.uids, help="The card of the previous version.")
@_fields
@click.option(
    "--introduction", metavar="MARKDOWN", help="What it does and how it was trained; with --from, what is new."
)
@click.option("--measured", metavar="MARKDOWN", help="On which data the metrics were measured, and how.")
@click.option(
    "--provider", type=click.Choice(["builtin", "package", "repository"]), help="Where the network's code is."
)
@click.option("--entry", metavar="TEXT", help="What builds the network: bert-ner, or src.model:function.")
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="What the entry is called with.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=SHAPE:TYPE",
    help="An input of the network, such as x=1,3,224,224:float32, in order; check and load --smoke call it with these.",
)
@click.option("--no-input", is_flag=True, help="Ask nothing, not even at a terminal.")
@click.option("-o", "--output", type=LocalPath(dir_okay=False, path_type=Path), help="Where to write the card.")
@click.option(
    "--registry",
    type=LocalPath(file_okay=False, path_type=Path),
    help="The registry to write the card into; by default the folder 'registry' if there is one, else this one.",
)
def command(  # noqa: PLR0917 - one for each option
    uid: str,
    checkpoint: Path | None,
    files: tuple[Path, ...],
    base: str | None,
    introduction: str | None,
    measured: str | None,
    provider: str | None,
    entry: str | None,
    arguments: tuple[str, ...],
    inputs: tuple[str, ...],
    no_input: bool,
    output: Path | None,
    registry: Path | None,
    **fields: str | None,
) -> int:
    """Write a new card.

    Fill in what can be found out: digest, size and format of the checkpoint, its tensors and their types, the recipe
    if a built-in architecture fits them, dates, the publisher, and with --from what the previous version says. At a
    terminal, ask for the rest; elsewhere, and with --no-input, take it from the options. What is missing is marked, and
    'hubtool validate' reports it. An existing card is never overwritten.
    """
    from hubtool.hub import Hub
    from hubtool.publish import draft, draft_text, typed_values
    from hubtool.uid import Uid

    if output is not None and registry is not None:
        raise click.UsageError("give --output or --registry, not both")
    parsed = Uid.parse(uid)
    default = Path("registry") if Path("registry").is_dir() else Path()
    path = output or (registry or default) / parsed.path
    if path.exists() or path.is_symlink():
        raise HubError(f"{path} is there already", hint="a new version is a new UID; to change the card, edit it")
    given = {
        key: typed_values.checked(key, text)
        for key in _FIELDS
        if (text := fields[f"field_{key.replace('-', '_')}"]) is not None
    }
    hub = Hub.open().with_lock(None)
    known = draft.gather(
        hub,
        parsed,
        card=path,
        checkpoint=checkpoint,
        files=files,
        base=_base(hub, base),
        given=given,
        texts={key: text for key, text in (("introduction", introduction), ("measured", measured)) if text is not None},
        arguments=dict(typed_values.argument(text) for text in arguments),
        inputs=[typed_values.network_input(text) for text in inputs],
        provider=provider,
        entry=entry,
    )
    for note in known.notes:
        click.echo(f"note: {render.plain(note)}", err=True)
    if not no_input and can_ask():
        known = _ask_all(known)
    data = draft_text.write(known)
    _place(path, data)
    click.echo(str(path))
    left = draft_text.marks(data)
    if left:
        click.echo(f"{len(left)} to fill in:", err=True)
        for line, text in left:
            click.echo(f"  line {line}: {render.plain(text)}", err=True)
    # Files beside the card are found there.
    unpublished = [file for file in (*([checkpoint] if checkpoint else []), *files) if not _stands_beside(file, path)]
    given_files = "".join(f" --asset {shlex.quote(str(file))}" for file in unpublished)
    click.echo(f"hint: then: hubtool check {shlex.quote(str(path))}{given_files}", err=True)
    return 0


def _stands_beside(file: Path, card: Path) -> bool:
    return file.resolve().is_relative_to(card.absolute().parent.resolve())


def _base(hub: Hub, name: str | None) -> Card | None:
    return None if name is None else hub.find(name).card


def _place(path: Path, data: bytes) -> None:
    from hubtool import files
    from hubtool.errors import CardError

    try:
        files.write_new(path, data)
    except FileExistsError as error:
        raise CardError(
            f"{path} is there already", hint="a new version is a new UID; to change the card, edit it"
        ) from error
    except OSError as error:
        raise CardError(f"{path} cannot be written: {error.strerror or error}") from error


def _ask_all(known: CardDraft) -> CardDraft:
    from hubtool.publish import draft

    asked = draft.questions(known)
    if asked:
        click.echo("Empty leaves an entry out, or marked if the card needs it; the Tab key completes.", err=True)
    answers: dict[str, object] = {}
    arguments: dict[str, object] = {}
    for question in asked:
        value = _ask(question)
        if question.key.startswith("argument:"):
            if value is not None:
                arguments[question.key.partition(":")[2]] = value
        elif value is not None or not question.required:
            answers[question.key] = value
    return known.answered(answers).with_arguments(arguments)


def _ask(question: Question) -> object:
    """Ask until the answer is valid; None if it is empty."""
    from hubtool.publish import draft

    restore = _completing(question.choices)
    try:
        while True:
            # What is asked for stands above: a terminal scrolls a long line away while one types in it.
            click.echo(render.plain(question.text), err=True)
            label = question.key.removeprefix("argument:")
            text = str(click.prompt(label, default=question.default or "", show_default=bool(question.default)))
            if not text.strip():
                return None
            try:
                return draft.answer(question, text)
            except ArgumentError as error:
                click.echo(f"{error.message}" + (f" ({error.hint})" if error.hint else ""), err=True)
    finally:
        restore()


def _completing(choices: tuple[str, ...]) -> Callable[[], None]:
    """Have the Tab key complete choices, where the terminal can; return what undoes it."""
    try:
        import readline
    except ImportError:  # on Windows; there one types it all
        return lambda: None
    before: Any = readline.get_completer()
    delimiters = readline.get_completer_delims()

    def completer(text: str, state: int) -> str | None:
        found = [one for one in choices if one.lower().startswith(text.lower())]
        return found[state] if state < len(found) else None

    readline.set_completer(completer)
    readline.set_completer_delims("")
    readline.parse_and_bind("tab: complete")

    def restore() -> None:
        readline.set_completer(before)
        readline.set_completer_delims(delimiters)

    return restore
