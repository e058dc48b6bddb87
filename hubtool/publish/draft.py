"""A new card: what can be known is filled in, what only its writer knows is marked. Pure, but for :func:`gather`."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from hubtool import mismatch
from hubtool.card import metrics, placeholder, schema, vocabulary, yaml_text
from hubtool.card import status as statuses
from hubtool.card.format import format_card
from hubtool.card.markdown_text import escape, table
from hubtool.card.model import GRAPH_FORMATS, WEIGHT_FORMATS
from hubtool.checkpoint.mindir import read_inputs
from hubtool.checkpoint.reading import EMPTY_HINT, check_graph, read_header
from hubtool.errors import ArgumentError, AssetError, CardError, CheckpointError
from hubtool.publish.asset_file import measure
from hubtool.publish.match_architecture import match_architecture
from hubtool.registry.phrases import task_words
from hubtool.resolution import machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.checkpoint.header import Header
    from hubtool.checkpoint.mindir import GraphInput
    from hubtool.hub import Hub
    from hubtool.publish.match_architecture import ArchitectureMatch
    from hubtool.uid import Uid

FIELDS = tuple(key for key in schema.known_keys() if key not in ("asset", "network", *statuses.KEYS))
"""The keys of the front matter that hold one value each, and that a new card can have."""

# What a new version of a model has anew.
_NOT_INHERITED = frozenset(
    {"update-time", "evaluation", "accuracy", "mAP", "repo-revision", "model-version", "mindspore-version"}
)
# What is computed for one network, and what was found out about it.
_OF_ONE_NETWORK = frozenset({"parameters", "elements", "parameters-sha256", "verdict"})
_FLAGS = frozenset({"fine-tunable", "mindspore-lite"})
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
_ASKED = {
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
TEXTS = {
    "introduction": "what it does, and for whom; how it was trained; what it should not be used for",
    "measured": "on which data it was measured, and how",
}
"""What the body says that only its writer knows; Markdown."""


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
        texts: What the body shall say, of :data:`TEXTS`.
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
        """Return what the body shall say of something, or a mark where that is not known."""
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


# -- what is known -----------------------------------------------------------------------------------------------------


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
        texts: What the body shall say, of :data:`TEXTS`.
        arguments: Arguments of the recipe.
        inputs: What the recipe says of the network's inputs, of :func:`network_input`.
        provider: The recipe's network provider.
        entry: The recipe's entry point.

    Raises:
        AssetError: If a file cannot be read, or changes meanwhile.
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
        if fitted is None and entry is not None:
            notes.append(f"the checkpoint's tensors are not those of a {entry}: look at both")
    if fitted is not None:
        found = {**found, "provider": "builtin", "entry": fitted.entry}
        notes.append(f"the tensors are those of the built-in network {fitted.entry}")
        notes += fitted.notes
        guesses["module-type"] = _TASKS[fitted.entry]
        guesses["backbone-name"] = "bert"
        if "input-shape" not in values:
            values["input-shape"] = [_length(fitted)]
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


def _length(found: ArchitectureMatch) -> int:
    config = found.config
    return _LENGTH if config.use_relative_positions else min(_LENGTH, config.max_position_embeddings)


def _format(path: Path) -> str | None:
    return _FORMATS.get(path.suffix.lower().lstrip("."))


def _file(path: Path, card: Path, form: str | None) -> FileFacts:
    """Return the facts of a file; it is hashed once, and must not change meanwhile.

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


# -- what is given -----------------------------------------------------------------------------------------------------


def checked(key: str, text: str) -> object:
    """Return the value of a key for a text that somebody typed, spelled as the vocabularies have it.

    Raises:
        ArgumentError: If it cannot be the value of the key; the hint says what can be.
    """
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if not text:
        raise ArgumentError(f"{key} is empty")
    if key in _FLAGS:
        if text.lower() not in ("true", "false", "yes", "no", "y", "n"):
            raise ArgumentError(f"{key} is {text!r}", hint="write true or false")
        return text.lower() in ("true", "yes", "y")
    if key == "module-type":
        return _of_vocabulary(key, text, vocabulary.task(text), "tasks")
    if key == "license":
        return _of_vocabulary(key, text, vocabulary.licence(text), "licences")
    if key == "train-dataset":
        return vocabulary.dataset(text) or text
    if key == "evaluation":
        read = metrics.parse(text)
        if read.unread:
            raise ArgumentError(
                f"{read.unread[0]!r} is not a metric",
                hint="write a name and a number, such as 'F1score86.87 | acc79.5'",
            )
        return " | ".join(map(metrics.spelled, read.metrics))
    if key == "input-shape":
        return _shape(text)
    if key == "update-time":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError as error:
            raise ArgumentError(f"{text!r} is not a date", hint="write year-month-day: 2026-11-23") from error
    wrong = [found for found in schema.violations({key: text}) if found.pointer == f"/{key}"]
    if wrong:
        raise ArgumentError(f"{text!r} cannot be {key!r}", hint=wrong[0].description or schema.description(key))
    return text


def checked_text(key: str, text: str) -> str:
    """Return Markdown that somebody typed, as it can stand in a body.

    Raises:
        ArgumentError: If nothing is left of it.
    """
    kept = "".join(sign for sign in text.replace("\r\n", "\n") if sign.isprintable() or sign in "\n\t").strip()
    if not kept:
        raise ArgumentError(f"{key} is empty", hint=f"write {TEXTS[key]}")
    return kept


def _of_vocabulary(key: str, text: str, known: str | None, name: str) -> str:
    if known is not None:
        return known
    near = vocabulary.load(name).nearest(text, 3)
    names = near or vocabulary.load(name).names[:8]
    raise ArgumentError(
        f"{text!r} is no {key!r} of the vocabulary",
        hint=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)} and others",
    )


def _shape(text: str) -> list[object]:
    try:
        value = ast.literal_eval(text if text.startswith("[") else f"[{text}]")
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, list) or any(one.pointer for one in schema.violations({"input-shape": value})):
        raise ArgumentError(f"{text!r} is not a shape", hint="write 3,224,224, or [[128],[128]] for several inputs")
    return list(value)


def argument(text: str) -> tuple[str, object]:
    """Read an argument of a recipe, such as ``num_attention_heads=4``.

    Raises:
        ArgumentError: If it is none.
    """
    name, sign, value = text.partition("=")
    if not sign or not re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
        raise ArgumentError(f"{text!r} is not an argument", hint="write NAME=VALUE, such as num_attention_heads=4")
    try:
        read = ast.literal_eval({"true": "True", "false": "False"}.get(value.strip(), value.strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        read = value.strip()
    return name.strip(), read if isinstance(read, (bool, int, float, str, list, dict)) else value.strip()


def network_input(text: str) -> dict[str, object]:
    """Read an input of a network, such as ``ids=1,128:int32``; without a type it is float32.

    Raises:
        ArgumentError: If it is none.
    """
    match = re.fullmatch(r"\s*([A-Za-z_]\w{0,63})\s*=\s*([0-9]+(?:\s*,\s*[0-9]+)*|\(\))\s*(?::\s*(\w+)\s*)?", text)
    made: dict[str, object] = {}
    if match:
        shape = [int(number) for number in re.findall("[0-9]{1,18}", match[2])]
        made = {"name": match[1], "shape": shape, "dtype": match[3] or "float32"}
    recipe = {"network": {"provider": "package", "entry": "a.b:c", "inputs": [made]}}
    if not made or any(found.pointer.startswith("/network") for found in schema.violations(recipe)):
        raise ArgumentError(
            f"{text!r} is not an input",
            hint="write NAME=SHAPE:TYPE, such as x=1,3,224,224:float32 or ids=1,128:int32",
        )
    return made


def questions(known: CardDraft) -> list[Question]:
    """Return what to ask the card's writer: what is not known, with what is likely."""
    asked: list[Question] = []
    for key, text in _ASKED.items():
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


# -- the card ----------------------------------------------------------------------------------------------------------


def write(known: CardDraft) -> bytes:
    """Return the card, in the one layout; what is not known is marked.

    Raises:
        CardError: If the values cannot be written as front matter.
    """
    values = {**known.guesses, **known.values}
    for key in schema.required_keys():
        values.setdefault(key, placeholder.mark(_ASKED.get(key, (schema.description(key) or key).rstrip("."))))
    lines = [f"# {known.uid.name}", "", "---", ""]
    lines += [f"{key}: {_value(key, values[key])}" for key in FIELDS if key in values]
    lines += ["asset:", *_assets(known)]
    recipe = [] if known.graph and not known.recipe else [yaml_text.dump_recipe(_complete(known))]
    text = "\n".join([*lines, *recipe, "", "---", "", _body(known, values)])
    done = format_card(text.encode("utf-8"))
    if done.problem is not None:
        raise CardError(f"the card of {known.uid} cannot be written: {done.problem}")
    return done.data


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if key == "update-time" else yaml_text.scalar(value)
    return str(value)


def _assets(known: CardDraft) -> list[str]:
    lines: list[str] = []
    facts: list[tuple[str, str, str, str]] = [(one.format, one.link, one.digest, str(one.size)) for one in known.files]
    if known.graph is None and not any(form in WEIGHT_FORMATS for form, *_ in facts):
        link = placeholder.unpublished(f"{known.uid.name}.ckpt")
        facts.insert(0, ("ckpt", link, placeholder.mark("the SHA-256 of the checkpoint"), ""))
    for form, link, digest, size in facts:
        lines += [
            f"  - file-format: {form}",
            f"    asset-link: {link}",
            f"    asset-sha256: {yaml_text.scalar(digest)}",
        ]
        lines += [f"    asset-size: {size}"] if size else []
    return lines


def _complete(known: CardDraft) -> dict[str, object]:
    """Return the recipe, with marks for what is not known of it."""
    recipe = dict(known.recipe)
    if "provider" not in recipe:
        linked = "repo-link" in known.values
        recipe["provider"] = "repository" if linked else placeholder.mark("builtin, package or repository")
    if "entry" not in recipe:
        recipe["entry"] = placeholder.mark("what builds the network: src.module:function, or a script of its folder")
    if known.fit is not None:
        old = recipe.get("arguments")
        arguments = dict(old) if isinstance(old, dict) else {}
        for name, allowed in known.fit.unknown.items():
            arguments.setdefault(name, placeholder.mark(f"one of {', '.join(map(str, allowed))}"))
        if arguments:
            recipe["arguments"] = arguments
    return recipe


def _body(known: CardDraft, values: Mapping[str, object]) -> str:
    if known.base is not None:
        return _inherited(known, known.base)
    sections = [("Introduction", _introduction(known, values)), ("Usage", [_usage(known)])]
    sections.append(("Source and licence", _source(known, values)))
    lines: list[str] = []
    for heading, paragraphs in sections:
        lines += [f"## {heading}", ""]
        for paragraph in paragraphs:
            lines += [paragraph, ""]
    return "\n".join(lines)


def _inherited(known: CardDraft, base: Card) -> str:
    """Return the body of the previous version, which names and loads this one."""
    body = base.body.replace("\r\n", "\n")
    if base.uid is not None:
        body = body.replace(str(base.uid), str(known.uid))
    body = re.sub(r"\n<!-- hubtool: imported [^\n]*-->", "", body)
    what = f"what is new since {base.uid or base.path}; correct what the text below says of the old one"
    mark = known.text("introduction", what)
    # Below the first heading, where the text starts.
    return re.sub(r"\A(\s*(?:#[^\n]*\n)?)", lambda match: f"{match[1]}\n{mark}\n\n", body, count=1)


def _introduction(known: CardDraft, values: Mapping[str, object]) -> list[str]:
    name = escape(str(values["model-name"]))
    task = task_words(str(values["module-type"]))[0] if not _is_mark(values["module-type"]) else ""
    first = f"{name} is a network for {task}" if task else f"{name} is a network"
    if known.fit is not None:
        first += ", built on BERT"
    elif not _is_mark(values.get("backbone-name")):
        first += f", built on {escape(str(values['backbone-name']))}"
    told = [f"{first}."]
    if known.header is not None:
        types = ", ".join(sorted({tensor.dtype for tensor in known.header.tensors}))
        numbers = f"{known.header.elements:,} number{'' if known.header.elements == 1 else 's'}"
        told.append(
            f"Its checkpoint holds {numbers} ({types}) "
            f"in {len(known.header.tensors):,} tensor{'' if len(known.header.tensors) == 1 else 's'}."
        )
    if known.graph is not None:
        told.append(
            f"It is a graph in the format {known.graph.format}, with its weights in it; {_runner(known.graph)}."
        )
    if known.fit is not None:
        config = known.fit.config
        parts = [f"{config.num_hidden_layers} layers of width {config.hidden_size}"]
        parts += [f"a vocabulary of {config.vocab_size:,} tokens"]
        parts += ["a bidirectional LSTM"] if config.with_lstm else []
        parts += ["a conditional random field"] if config.use_crf else []
        parts += [f"{config.num_labels} labels"] if config.num_labels and not config.use_crf else []
        told.append(f"It has {', '.join(parts[:-1])} and {parts[-1]}.")
    if "train-dataset" in values:
        told.append(f"It was trained on {escape(str(values['train-dataset']))}.")
    paragraphs = [" ".join(told)]
    paragraphs.append(known.text("introduction"))
    rows = [
        (one.name, f"{one.value}{one.unit}") for one in metrics.parse(str(values.get("evaluation", ""))).metrics
    ] + [(key, str(values[key])) for key in ("accuracy", "mAP") if key in values]
    if rows:
        paragraphs += [known.text("measured"), table("metric", "value", rows)]
    return paragraphs


def _runner(graph: FileFacts) -> str:
    return f"it is run by {GRAPH_FORMATS[graph.format]}"


def _is_mark(value: object) -> bool:
    return isinstance(value, str) and value.startswith(placeholder.MARK)


def _source(known: CardDraft, values: Mapping[str, object]) -> list[str]:
    paragraphs: list[str] = []
    if (known.fit is not None or known.graph is not None) and "repo-link" not in values:
        why = "Its network is a file of its own" if known.graph else "Its network is built into hubtool"
        paragraphs.append(f"<!-- {why}: there is no repository to name. -->\n<!-- hubtool: ignore HT504 -->")
    author, licence = values["author"], values["license"]
    if _is_mark(author) or _is_mark(licence):
        paragraphs.append(placeholder.mark("who made the model, from which data, and under which terms"))
    else:
        paragraphs.append(f"Made by {escape(str(author))}, and published under {escape(str(licence))}.")
    return paragraphs


# -- the usage block ---------------------------------------------------------------------------------------------------


def _usage(known: CardDraft) -> str:
    if known.graph is not None and known.graph.format != "mindir":
        lines = ["```python", "import mindspore_hub as mshub", ""]
        return "\n".join([*lines, f'path = mshub.load("{known.uid}")  # {_runner(known.graph)}', "print(path)", "```"])
    inputs = _inputs(known)
    lines = ["```python", "import mindspore as ms", "import mindspore_hub as mshub"]
    lines += ["import numpy as np"] if inputs else []
    lines += ["", 'ms.set_device("CPU")  # or "Ascend"', "", f'network = mshub.load("{known.uid}")']
    lines.append("network.set_train(False)")
    if inputs:
        width = max(len(line) for line, _ in inputs)
        lines.append("")
        lines += [f"{line.ljust(width)}  # {comment}".rstrip(" #") if comment else line for line, comment in inputs]
        lines += ["", *_call(known, [line.partition(" ")[0] for line, _ in inputs])]
    return "\n".join([*lines, "```"])


def _inputs(known: CardDraft) -> list[tuple[str, str]]:
    """Return the line that makes each input, and what the input is."""
    if known.fit is not None:
        length = _length(known.fit)
        config = known.fit.config
        made = [
            (f"ids = ms.Tensor(np.zeros((1, {length})), ms.int32)", f"token ids, below {config.vocab_size:,}"),
            (f"types = ms.Tensor(np.zeros((1, {length})), ms.int32)", "sentence 0 or 1"),
            (f"mask = ms.Tensor(np.ones((1, {length})), ms.int32)", "1 for a token, 0 for padding"),
        ]
        if known.fit.entry == "bert-pretraining":
            made.append(("masked = ms.Tensor(np.zeros((1, 20)), ms.int32)", "which tokens are masked"))
        return made
    found: list[tuple[str, str]] = []
    listed = known.recipe.get("inputs")
    if known.graph is not None:
        listed = [
            {"name": one.name, "shape": [max(side, 1) for side in one.shape], "dtype": one.dtype}
            for one in known.graph.inputs
        ]
    for number, item in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(item, dict) and isinstance(item.get("shape"), list):
            name = re.sub(r"\W", "_", str(item.get("name") or f"x{number}"))
            name = name if name.isidentifier() else f"x{number}"
            shape = ", ".join(map(str, item["shape"])) + ("," if len(item["shape"]) == 1 else "")
            dtype = re.sub(r"\W", "", str(item.get("dtype", "float32")))
            found.append((f"{name} = ms.Tensor(np.zeros(({shape})), ms.{dtype})", ""))
    return found


def _call(known: CardDraft, names: Sequence[str]) -> list[str]:
    """Return the lines that call the network, with what comes out of it."""
    if known.fit is None:
        return [f"output = network({', '.join(names)})"]
    config, length = known.fit.config, _length(known.fit)
    entry, labels = known.fit.entry, config.num_labels
    if entry == "bert":
        shapes = f"(1, {length}, {config.hidden_size}), (1, {config.hidden_size}), (vocabulary, {config.hidden_size})"
        return [f"sequence, pooled, embedding_table = network(ids, types, mask)  # {shapes}"]
    if entry == "bert-pretraining":
        shapes = f"log-probabilities (20, {config.vocab_size}) and (1, 2)"
        return [f"tokens, following = network(ids, mask, types, None, masked)  # {shapes}"]
    if entry == "bert-squad":
        shapes = f"log-probabilities (1, {length}, 2): start and end of the answer"
        return [f"scores = network.bert(ids, mask, types)  # {shapes}", "start, end = scores.asnumpy()[0].argmax(0)"]
    if entry == "bert-classifier":
        shapes = f"log-probabilities (1, {labels})"
        return [f"scores = network(ids, mask, types)  # {shapes}", "subject = scores.asnumpy().argmax(-1)"]
    if config.use_crf:
        return [f"tags = network(ids, mask, types)  # the best sequence of tags, int32 (1, {length})"]
    shapes = f"log-probabilities ({length}, {labels}), one row for each token"
    return [f"scores = network(ids, mask, types)  # {shapes}", "tags = scores.asnumpy().argmax(-1)"]


def marks(data: bytes) -> list[tuple[int, str]]:
    """Return what is left to fill in, with the line that it stands in, from 1."""
    text = data.decode("utf-8")
    found: Iterable[re.Match[str]] = placeholder.PATTERN.finditer(text)
    return [(text.count("\n", 0, match.start()) + 1, match[0]) for match in found]
