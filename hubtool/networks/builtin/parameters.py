"""The parameters of a built-in network, by name and shape, without building it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.networks.builtin.config import (
    EMBEDDING,
    ENTRIES,
    LAYER,
    PAIR,
    POSITIONS,
    RELATIVE,
    TRANSITIONS,
    TYPES,
    BertConfig,
    find_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.checkpoint.coverage import Shape


def _dense(name: str, rows: int, columns: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.gamma", (width,)
    yield f"{name}.beta", (width,)


def _layer(config: BertConfig) -> Iterator[tuple[str, Shape]]:
    hidden = config.hidden_size
    for part in ("query", "key", "value"):
        yield from _dense(f"attention.attention.{part}_layer", hidden, hidden)
    if config.use_relative_positions:
        yield RELATIVE, (2 * config.max_relative_position + 1, config.head_size)
    yield from _dense("attention.output.dense", hidden, hidden)
    yield from _norm("attention.output.layernorm", hidden)
    yield from _dense("intermediate", config.intermediate_size, hidden)
    yield from _dense("output.dense", hidden, config.intermediate_size)
    yield from _norm("output.layernorm", hidden)


def _before_layers(entry: str, config: BertConfig) -> Iterator[tuple[str, Shape]]:
    root = ENTRIES[entry].encoder
    hidden = config.hidden_size
    if entry == "bert-squad":
        for name in ("total_num", "start_num", "end_num"):
            yield name, (1,)
    yield root + EMBEDDING, (config.vocab_size, hidden)
    yield root + TYPES, (config.type_vocab_size, hidden)
    yield root + POSITIONS, (config.max_position_embeddings, hidden)
    yield from _norm(root + "bert_embedding_postprocessor.layernorm", hidden)


def _behind_layers(entry: str, config: BertConfig) -> Iterator[tuple[str, Shape]]:
    hidden = config.hidden_size
    labels = config.num_labels or 0
    yield from _dense(ENTRIES[entry].encoder + "dense", hidden, hidden)
    if entry == "bert-pretraining":
        yield "bert.cls1.output_bias", (config.vocab_size,)
        yield from _dense("bert.cls1.dense", hidden, hidden)
        yield from _norm("bert.cls1.layernorm", hidden)
        yield from _dense("bert.cls2.dense", PAIR, hidden)
    elif entry == "bert-squad":
        yield from _dense("bert.dense1", PAIR, hidden)
    elif entry in {"bert-ner", "bert-classifier"}:
        yield from _dense("bert.dense_1", labels, hidden)
    if config.with_lstm:
        for kind, shape in (
            ("weight_ih", (2 * hidden, hidden)),
            ("weight_hh", (2 * hidden, hidden // 2)),
            ("bias_ih", (2 * hidden,)),
            ("bias_hh", (2 * hidden,)),
        ):
            yield f"bert.lstm.{kind}_l0", shape
            yield f"bert.lstm.{kind}_l0_reverse", shape
    if config.use_crf:
        yield TRANSITIONS, (labels, labels)


def parameters(entry: str, config: BertConfig) -> dict[str, Shape]:
    """List the parameters of a built-in network, without building it.

    Args:
        entry: Name of a built-in network.
        config: Its configuration, as :func:`infer` returns it.

    Returns:
        Every parameter's name and shape, in the network's own order.

    Raises:
        RecipeError: No built-in network is called so.
    """
    root = find_entry(entry).encoder
    found = dict(_before_layers(entry, config))
    for number in range(config.num_hidden_layers):
        for name, shape in _layer(config):
            found[root + LAYER.format(number) + name] = shape
    found.update(_behind_layers(entry, config))
    return found
