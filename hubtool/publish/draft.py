"""A new card: what can be found out about it, and what to ask its writer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from hubtool import mismatch
from hubtool.card import placeholder, schema, vocabulary
from hubtool.card import status as statuses
from hubtool.card.model import GRAPH_FORMATS, WEIGHT_FORMATS
from hubtool.checkpoint.mindir import read_inputs
from hubtool.checkpoint.reading import EMPTY_HINT, check_graph, read_header
from hubtool.errors import ArgumentError, AssetError, CheckpointError, RecipeError
from hubtool.networks.builtin.lenet_sizes import LENET, infer_lenet
from hubtool.networks.builtin.match import match_architecture
from hubtool.publish.typed_values import TEXTS, checked, checked_text
from hubtool.resolution import machine
from hubtool.verification.asset_file import measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.checkpoint.header import Header
    from hubtool.checkpoint.mindir import GraphInput
    from hubtool.hub import Hub
    from hubtool.networks.builtin.match import ArchitectureMatch
    from hubtool.uid import Uid

FIELDS = tuple(key for key in schema.known_keys() if key not in ("asset", "network", *statuses.KEYS))
"""The keys of the front matter that hold one value each, and that a new card can have."""
# Entries that a new version of a model does not take over.
_NOT_INHERITED = frozenset(
    {"update-time", "evaluation", "accuracy", "mAP", "repo-revision", "model-version", "mindspore-version"}
)
# What is computed for one network, and what was found out about it.
_OF_ONE_NETWORK = frozenset(
    {"parameters", "elements", "parameters-sha256", "verdict", "known-answer", "weights-answer"}
)
_FORMATS = {"ckpt": "ckpt", "safetensors": "safetensors", "mindir": "mindir", "air": "air", "onnx": "onnx"}
_FORMATS |= {"om": "om", "ms": "mslite", "txt": "txt", "json": "json"}
_TASKS = {
    "bert": "nlp-language_modelling",
    "bert-pretraining": "nlp-language_modelling",
    "bert-ner": "nlp-named_entity_recognition",
    "bert-classifier": "nlp-text_classification",
    "bert-squad": "nlp-reading_comprehension",
}
_LENGTH = 128
# What is asked for where it is not known; of the required keys all are.
ASKED = {
    "module-type": "the task, such as nlp-text_classification",
    "backbone-name": "the architecture that the model is built on, such as bert",
    "fine-tunable": "whether the parameters may be trained further: true or false",
    "train-dataset": "the data set that it was trained on",
    "evaluation": "the metrics, such as 'F1score86.87 | exactmatch79.52'",
    "author": "who made the model",
    "repo-link": "the link to the code that it was made with",
    "mindspore-version": "the version of MindSpore that it was made with, such as 2.10",
    "license": "the licence, such as Apache-2.0",
    "summary": "one sentence that says what the model does",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file that the card will name.

    Attributes:
        format: Its format.
        link: Its link: relative to the card where it stands beside it, else one that leads nowhere yet.
        digest: Its SHA-256.
        size: Its size in bytes.
        inputs: What it is called with, if it is a graph that MindSpore runs.
    """

    format: str
    link: str
    digest: str
    size: int
    inputs: tuple[GraphInput, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDraft:
    """What is known of a card that is to be written.

    Attributes:
        uid: Its UID.
        values: What is known of the front matter.
        guesses: What is likely, and can be confirmed.
        files: Its assets.
        recipe: How its network is built, as far as that is known.
        fit: The architecture that the checkpoint is, or None.
        header: What the checkpoint holds, or None without one.
        base: The card of the previous version, or None.
        texts: Texts of the body, by the keys of :data:`TEXTS`.
        notes: What was filled in from where, one sentence each.
    """

    uid: Uid
    values: Mapping[str, object]
    guesses: Mapping[str, object] = field(default_factory=dict)
    files: tuple[FileFacts, ...] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)
    fit: ArchitectureMatch | None = None
    header: Header | None = None
    base: Card | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def graph(self) -> FileFacts | None:
        """The file that holds the whole network, where no file holds weights only."""
        if any(one.format in WEIGHT_FORMATS for one in self.files):
            return None
        return next((one for one in self.files if one.format in GRAPH_FORMATS), None)

    def text(self, key: str, what: str | None = None) -> str:
        """Return a text of the body, or a mark where it is not known."""
        return self.texts.get(key) or placeholder.mark(what or TEXTS[key])

    def answered(self, answers: Mapping[str, object]) -> CardDraft:
        """Return what is known with some answers; None is an answer that leaves a key out."""
        values = {**self.values, **{key: value for key, value in answers.items() if key not in TEXTS}}
        texts = {**self.texts, **{key: str(answers[key]) for key in TEXTS if answers.get(key)}}
        guesses = {key: value for key, value in self.guesses.items() if key not in answers}
        return replace(
            self,
            values={key: value for key, value in values.items() if value is not None},
            guesses=guesses,
            texts=texts,
        )

    def with_arguments(self, arguments: Mapping[str, object]) -> CardDraft:
        """Return what is known with further arguments of the recipe."""
        if not arguments:
            return self
        old = self.recipe.get("arguments")
        merged = {**(old if isinstance(old, dict) else {}), **arguments}
        return replace(self, recipe={**self.recipe, "arguments": merged})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something to ask the card's writer.

    Attributes:
        key: The key of the front matter, or ``argument:NAME`` for an argument of the recipe.
        text: What is asked for.
        default: What is likely, or None.
        choices: What it can be; empty if it can be anything.
        required: Whether the card needs it.
    """

    key: str
    text: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    required: bool = True


def gather(
    hub: Hub,
    uid: Uid,
    *,
    card: Path,
    checkpoint: Path | None = None,
    files: Sequence[Path] = (),
    base: Card | None = None,
    given: Mapping[str, object],
    texts: Mapping[str, str] = MappingProxyType({}),
    arguments: Mapping[str, object],
    inputs: Sequence[Mapping[str, object]] = (),
    provider: str | None = None,
    entry: str | None = None,
) -> CardDraft:
    """Find out what can be known of a new card.

    Args:
        hub: Settings, registries and store.
        uid: The card's UID.
        card: Where it will stand.
        checkpoint: The file with the weights, or a graph, which has them in it.
        files: Further files that will be assets.
        base: The card of the previous version.
        given: Values of the front matter, of :func:`checked`.
        texts: Texts of the body, by the keys of :data:`TEXTS`.
        arguments: Arguments of the recipe.
        inputs: What the recipe says of the network's inputs, of :func:`network_input`.
        provider: The recipe's network provider.
        entry: The recipe's entry point.

    Raises:
        AssetError: If a file cannot be read, or changes while it is read.
        CheckpointError: If the checkpoint cannot be read as one.
    """
    notes: list[str] = []
    values: dict[str, object] = {}
    guesses: dict[str, object] = {}
    if base is not None:
        values = {key: base.values[key] for key in FIELDS if key in base.values and key not in _NOT_INHERITED}
        inherited = [key for key in values if key not in given]
        notes.append(f"from {base.uid or base.path}: {', '.join(inherited) or 'nothing'}")
    if checkpoint is not None and _format(checkpoint) in GRAPH_FORMATS:
        files = (checkpoint, *files)
        checkpoint = None
    header = None
    if checkpoint is not None:
        header = read_header(checkpoint)
        if not header.elements:
            held = "no tensors" if not header.tensors else "only tensors without elements"
            raise CheckpointError(f"{checkpoint} is empty: it holds {held}", hint=EMPTY_HINT)
    found = _recipe(base, provider, entry, arguments)
    if inputs:
        found["inputs"] = [dict(one) for one in inputs]
    fitted = None
    if header is not None and found.get("provider", "builtin") == "builtin":
        given_arguments = found.get("arguments")
        fitted = match_architecture(
            header.shapes(), given_arguments if isinstance(given_arguments, dict) else {}, only=entry
        )
        if entry == LENET:  # never told by its tensors alone, but they can contradict it
            notes += _lenet_notes(header, given_arguments)
        elif fitted is None and entry is not None:
            notes.append(f"the checkpoint's tensors are not those of a {entry}: look at both")
    if fitted is not None:
        found = {**found, "provider": "builtin", "entry": fitted.entry}
        notes.append(f"the tensors are those of the built-in network {fitted.entry}")
        notes += fitted.notes
        guesses["module-type"] = _TASKS[fitted.entry]
        guesses["backbone-name"] = "bert"
        if "input-shape" not in values:
            values["input-shape"] = [input_length(fitted)]
    values |= _of_uid(hub, uid, base)
    values["update-time"] = datetime.now(timezone.utc).date().isoformat()
    here = machine.probe().mindspore
    if match := re.match(r"[0-9]+\.[0-9]+", here or ""):
        guesses["mindspore-version"] = match[0] if uid.version != here else uid.version
    guesses["used-for"] = "inference"
    all_files = [*([checkpoint] if checkpoint is not None else []), *files]
    facts = tuple(_file(path, card, header.format if path is checkpoint and header else None) for path in all_files)
    if checkpoint is not None or any(one.format in GRAPH_FORMATS for one in facts):
        guesses["fine-tunable"] = checkpoint is not None
    for asset in base.assets if base is not None else ():
        if not asset.is_weights and asset.file_name not in {path.name for path in files}:
            notes.append(
                f"{base.uid if base else ''} has {asset.file_name}: if this card has it too, give it with --file"
            )
    return CardDraft(
        uid=uid,
        values={**values, **given},
        guesses={key: value for key, value in guesses.items() if key not in given and key not in values},
        files=facts,
        recipe=found,
        fit=fitted,
        header=header,
        base=base,
        texts={key: checked_text(key, text) for key, text in texts.items()},
        notes=tuple(notes),
    )


def _lenet_notes(header: Header, arguments: object) -> tuple[str, ...]:
    """Return what there is to say about a checkpoint that is said to be of a LeNet."""
    try:
        return infer_lenet(arguments if isinstance(arguments, dict) else {}, header.shapes())[2]
    except RecipeError as error:
        return (f"{error.message}: look at both",)


def _of_uid(hub: Hub, uid: Uid, base: Card | None) -> dict[str, object]:
    """Return what the UID says, with the publisher's name as its other cards spell it."""
    found: dict[str, object] = {"model-name": uid.name, "model-version": uid.version}
    if base is not None and base.text("model-name") and base.uid is not None and base.uid.name == uid.name:
        found["model-name"] = base.text("model-name")
    found["user-id"] = uid.publisher
    for folder in hub.settings.registry:
        other = next(iter(sorted((folder / uid.publisher).glob("*/*.md"))), None)
        if other is not None:
            match = re.search(r"^user-id:[ \t]*(\S.*?)[ \t]*$", other.read_text("utf-8", "replace"), re.MULTILINE)
            if match and vocabulary.fold(match[1]) == vocabulary.fold(uid.publisher):
                found["user-id"] = match[1]
                break
    return found


def _recipe(
    base: Card | None, provider: str | None, entry: str | None, arguments: Mapping[str, object]
) -> dict[str, object]:
    old = base.values.get("network") if base is not None else None
    found = {key: value for key, value in old.items() if key not in _OF_ONE_NETWORK} if isinstance(old, dict) else {}
    if provider is not None and provider != found.get("provider"):
        found = {"provider": provider}
    if entry is not None:
        found["entry"] = entry
    if arguments:
        before = found.get("arguments")
        found["arguments"] = {**(before if isinstance(before, dict) else {}), **arguments}
    return found


def input_length(found: ArchitectureMatch) -> int:
    """Return the number of tokens of an example input."""
    config = found.config
    return _LENGTH if config.use_relative_positions else min(_LENGTH, config.max_position_embeddings)


def _format(path: Path) -> str | None:
    return _FORMATS.get(path.suffix.lower().lstrip("."))


def _file(path: Path, card: Path, form: str | None) -> FileFacts:
    """Return the facts of a file; it is hashed once, and must not change while it is read.

    Raises:
        AssetError: If it cannot be read, changes, or is of no format that a card can name.
        CheckpointError: If it is a graph by its name, and something else by its content.
    """
    form = form or _format(path)
    if form is None:
        raise AssetError(
            f"{path}: nothing is known of the format {path.suffix or 'of a file without an ending'}",
            hint=f"a card names files that end in {', '.join(sorted(_FORMATS))}",
        )
    measured = measure(path)
    if (found := mismatch.pointer_file(path)) is not None:
        raise AssetError(f"{path} is {found.what}", hint=found.hint)
    name = quote(path.name)
    beside = card.absolute().parent
    full = path.resolve()
    if full.is_relative_to(beside.resolve()):
        link = quote(full.relative_to(beside.resolve()).as_posix())
    else:
        link = placeholder.unpublished(name)
    inputs = read_inputs(path) if form == "mindir" else ()
    if form in GRAPH_FORMATS and form != "mindir":
        check_graph(path, form)
    return FileFacts(format=form, link=link, digest=measured.digest, size=measured.size, inputs=inputs)


def questions(known: CardDraft) -> list[Question]:
    """Return what to ask the card's writer: what is not known, with what is likely."""
    asked: list[Question] = []
    for key, text in ASKED.items():
        if key in known.values:
            continue
        if key == "repo-link" and (known.graph or known.recipe.get("provider") in ("builtin", "package")):
            continue
        guess = known.guesses.get(key)
        default = None if guess is None else str(guess).lower() if isinstance(guess, bool) else str(guess)
        choices: tuple[str, ...] = ()
        if key in ("module-type", "train-dataset", "license"):
            names = {"module-type": "tasks", "train-dataset": "datasets", "license": "licences"}
            choices = vocabulary.load(names[key]).names
        if key == "license":
            default = default or "Apache-2.0"
        asked.append(
            Question(key=key, text=text, default=default, choices=choices, required=key in schema.required_keys())
        )
    if "introduction" not in known.texts:
        what = f"what is new since {known.base.uid or known.base.path}" if known.base else TEXTS["introduction"]
        asked.append(Question(key="introduction", text=what))
    for name, allowed in known.fit.unknown.items() if known.fit else ():
        text = f"{name}, which the tensors do not tell: one of {', '.join(map(str, allowed))}"
        asked.append(Question(key=f"argument:{name}", text=text, choices=tuple(map(str, allowed))))
    return asked


def answer(question: Question, text: str) -> object:
    """Return what an answer to a question means.

    Raises:
        ArgumentError: If it cannot be one.
    """
    if question.key in TEXTS:
        return checked_text(question.key, text)
    if not question.key.startswith("argument:"):
        return checked(question.key, text)
    if text.strip() not in question.choices:
        raise ArgumentError(f"{text!r} is none of these", hint=", ".join(question.choices))
    return int(text)
