"""The text of a new card: what is known is written, what only its writer knows is marked. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card import metrics, placeholder, schema
from hubtool.card.format import format_card
from hubtool.card.markdown_text import escape, table
from hubtool.card.model import GRAPH_FORMATS, WEIGHT_FORMATS
from hubtool.card.template import AssetEntry, card_text, results, sections_text
from hubtool.errors import CardError
from hubtool.publish.draft import ASKED, FIELDS, input_length
from hubtool.registry.phrases import task_words
from hubtool.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubtool.card.model import Card
    from hubtool.publish.draft import CardDraft, FileFacts


def write(known: CardDraft) -> bytes:
    """Return the card, in the one layout; what is not known is marked.

    Raises:
        CardError: If the values cannot be written as front matter.
    """
    values = {**known.guesses, **known.values}
    for key in schema.required_keys():
        values.setdefault(key, placeholder.mark(ASKED.get(key, (schema.description(key) or key).rstrip("."))))
    text = card_text(
        known.uid.name,
        {key: values[key] for key in FIELDS if key in values},
        _assets(known),
        _body(known, values),
        recipe=None if known.graph and not known.recipe else _complete(known),
    )
    done = format_card(text.encode("utf-8"))
    if done.problem is not None:
        raise CardError(f"the card of {known.uid} cannot be written: {done.problem}")
    return done.data


def _assets(known: CardDraft) -> list[AssetEntry]:
    entries = [AssetEntry(one.format, one.link, one.digest, one.size) for one in known.files]
    if known.graph is None and not any(one.format in WEIGHT_FORMATS for one in entries):
        link = placeholder.unpublished(f"{known.uid.name}.ckpt")
        entries.insert(0, AssetEntry("ckpt", link, placeholder.mark("the SHA-256 of the checkpoint")))
    return entries


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
    return sections_text(
        [
            ("Introduction", _introduction(known, values)),
            ("Usage", [_usage(known)]),
            ("Source and licence", _source(known, values)),
        ]
    )


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
        numbers, tensors = count(known.header.elements, "number"), count(len(known.header.tensors), "tensor")
        told.append(f"Its checkpoint holds {numbers} ({types}) in {tensors}.")
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
    rows = results(metrics.of_values(values).metrics, values)
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
        length = input_length(known.fit)
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
    config, length = known.fit.config, input_length(known.fit)
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
