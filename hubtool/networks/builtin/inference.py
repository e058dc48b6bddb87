"""The configuration of a network of the BERT family, from a checkpoint's shapes and a recipe's arguments.

Names and shapes go in, a frozen configuration comes out; neither mindspore nor numpy is imported.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from hubtool.checkpoint.coverage import STATES
from hubtool.errors import RecipeError
from hubtool.networks.builtin.arguments import checked_arguments
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
    BuiltinEntry,
    find_entry,
    quote,
)
from hubtool.networks.builtin.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hubtool.checkpoint.coverage import Shape

#: How many tags at the end of a CRF's tag set are not labels of the data: ``<START>`` and ``<STOP>``.
CRF_EXTRA_TAGS: Final = 2
#: Sizes that a checkpoint's shapes state, and that a network without them would have to guess.
SIZES: Final = ("vocab_size", "hidden_size", "num_hidden_layers", "type_vocab_size")
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_MAX_ELEMENTS: Final = 2**33  # 32 GiB of float32: more is a mistake, not a BERT
_HEAD_SIZE: Final = 64  # of every published BERT and NEZHA
_INTERMEDIATE: Final = "intermediate.weight"
_LSTM: Final = "bert.lstm.weight_ih_l0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What :func:`infer` found.

    Attributes:
        config: The network's configuration.
        prefix: The prefix of the network's parameter names in the checkpoint; often empty.
        notes: Sentences for people: what was overruled, assumed or recognised.
    """

    config: BertConfig
    prefix: str = ""
    notes: tuple[str, ...] = ()


def _shape(tensors: Mapping[str, Shape], name: str, rank: int, meaning: str) -> Shape:
    if name not in tensors:
        raise RecipeError(
            f"this checkpoint has no tensor {name} ({meaning})",
            hint="check that the card names the right checkpoint and the right network entry",
        )
    shape = tuple(tensors[name])
    if len(shape) != rank or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise RecipeError(f"tensor {name} ({meaning}) must have {rank} dimensions, each at least 1; it has {shape}")
    return shape


def _agree(name: str, got: int, other: str, want: int, meaning: str) -> None:
    if got != want:
        raise RecipeError(f"the checkpoint contradicts itself: {meaning} is {want} in {other} but {got} in {name}")


def _is_state(prefix: str) -> bool:
    return not STATES.isdisjoint(prefix.split("."))


def find_prefix(entry: str, tensors: Mapping[str, Shape]) -> str:
    """Find the prefix of a network's parameter names in a checkpoint.

    A training cell around the network ("network."), or for ``bert`` the heads it was trained with ("bert.bert."),
    leave such a prefix. Optimizer state repeats every name behind a prefix of its own, which is never the answer.

    Args:
        entry: Name of a built-in network.
        tensors: Names of all tensors of the checkpoint, with their shapes.

    Returns:
        The prefix; empty where the names are the network's own.

    Raises:
        RecipeError: No embedding table of a BERT is there, or several that could be meant.
    """
    known = find_entry(entry)
    anchor = known.encoder + EMBEDDING
    heads = [name[: -len(anchor)] for name in tensors if name == anchor or name.endswith("." + anchor)]
    found = sorted({head for head in heads if not _is_state(head)}, key=lambda head: (len(head), head))
    if not found:
        bare = any(name == EMBEDDING or name.endswith("." + EMBEDDING) for name in tensors)
        if heads:
            problem = f"this checkpoint holds optimizer state only: the weight {anchor} itself is not in it"
        elif bare:
            problem = f"this checkpoint is of a BERT encoder, but not of {entry}: it has no {anchor}"
        else:
            problem = f"this checkpoint is not of a BERT network: it has no {anchor}"
        raise RecipeError(problem, hint="the recipe's entry must be the network that was saved" if bare else None)
    # The state of an unknown optimizer has an extra prefix, before or after the wrapper's; two networks in one file
    # have different prefixes.
    shortest = found[0]
    if strangers := [head for head in found if not (head.endswith(shortest) or head.startswith(shortest))]:
        raise RecipeError(
            f"this checkpoint holds several networks: {shortest}{anchor} and {strangers[0]}{anchor}",
            hint="a recipe can load a checkpoint of one network only",
        )
    return shortest


def _layer_count(tensors: Mapping[str, Shape], prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"bert_encoder\.layers\.(0|[1-9][0-9]{0,4})\.")
    numbers = {int(match.group(1)) for name in tensors if (match := pattern.match(name))}
    for number in range(max(numbers, default=0) + 1):
        if number not in numbers:
            missing = f"{prefix}bert_encoder.layers.{number}.{_INTERMEDIATE}"
            raise RecipeError(f"this checkpoint has no encoder layer {number}: it has no {missing}")
    return len(numbers)


def _from_shapes(entry: str, tensors: Mapping[str, Shape], prefix: str) -> dict[str, object]:
    """Return what the shapes of a checkpoint determine, after checking that they agree."""
    known = ENTRIES[entry]
    root = prefix + known.encoder
    table, types, places = root + EMBEDDING, root + TYPES, root + POSITIONS
    vocabulary, hidden = _shape(tensors, table, 2, "the token embedding")
    type_count, width = _shape(tensors, types, 2, "the token type embedding")
    _agree(types, width, table, hidden, "hidden_size")
    place_count, width = _shape(tensors, places, 2, "the position embedding")
    _agree(places, width, table, hidden, "hidden_size")
    layers = _layer_count(tensors, root)
    first = root + LAYER.format(0)
    intermediate, width = _shape(tensors, first + _INTERMEDIATE, 2, "the first feed-forward layer")
    _agree(first + _INTERMEDIATE, width, table, hidden, "hidden_size")
    found: dict[str, object] = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": intermediate,
        "max_position_embeddings": place_count,
        "type_vocab_size": type_count,
    }

    relative = first + RELATIVE
    found["use_relative_positions"] = relative in tensors
    if relative in tensors:
        distances, size = _shape(tensors, relative, 2, "the relative positions")
        if distances % 2 == 0 or distances < 3:
            raise RecipeError(f"tensor {relative} must have an odd number of rows, at least 3; it has {distances}")
        if hidden % size:
            raise RecipeError(
                f"the checkpoint contradicts itself: heads of {size} ({relative}) do not fill a width of {hidden}"
            )
        found["max_relative_position"] = distances // 2
        found["num_attention_heads"] = hidden // size

    if known.head is not None:
        head = prefix + known.head
        labels, width = _shape(tensors, head, 2, f"the head of {entry}")
        _agree(head, width, table, hidden, "hidden_size")
        if known.labels:
            found["num_labels"] = labels
        elif labels != PAIR:
            raise RecipeError(f"tensor {head} must have {PAIR} rows for {entry}; it has {labels}")
    if "with_lstm" in known.layers:
        lstm = prefix + _LSTM
        found["with_lstm"] = lstm in tensors
        if lstm in tensors:
            gates, width = _shape(tensors, lstm, 2, "the LSTM")
            _agree(lstm, width, table, hidden, "hidden_size")
            _agree(lstm, gates, table, 2 * hidden, "four times the width of one LSTM direction")
    if "use_crf" in known.layers:
        transitions = prefix + TRANSITIONS
        found["use_crf"] = transitions in tensors
        if transitions in tensors:
            rows, columns = _shape(tensors, transitions, 2, "the CRF's transitions")
            if known.head is not None:
                _agree(transitions, rows, prefix + known.head, labels, "num_labels")
                _agree(transitions, columns, prefix + known.head, labels, "num_labels")
    return found


def _relevant(entry: BuiltinEntry, name: str) -> bool:
    """Whether an argument says something about this entry: a plain BERT has no labels, a classifier no CRF."""
    if name in {"with_lstm", "use_crf"}:
        return name in entry.layers
    if name == "num_labels":
        return entry.labels
    return True


def infer(
    entry: str,
    arguments: Mapping[str, object],
    tensors: Mapping[str, Shape],
    *,
    overrides: Mapping[str, object] = _NOTHING,
    overruling: Collection[str] = (),
) -> Inferred:
    """Work out a network's configuration from a checkpoint's shapes and a recipe's arguments.

    The shapes decide. An argument of the recipe that contradicts them is ignored with a note; one of the caller is an
    error. Without a checkpoint the arguments decide, with the defaults of the family's Chinese base network (vocabulary
    21128, 12 layers, 2 token types, 512 positions) and ``intermediate_size`` four times ``hidden_size``. The number of
    labels has no default.

    Args:
        entry: Name of a built-in network.
        arguments: The recipe's arguments.
        tensors: Names of all tensors of the checkpoint, with their shapes, optimizer state included; may be empty.
        overrides: Arguments of the caller, which come before those of the recipe.
        overruling: Names of the caller's arguments that come before the checkpoint's shapes too: where its weights are
            not placed, or only those that fit.

    Returns:
        The configuration, the prefix of the names in the checkpoint, and notes.

    Raises:
        RecipeError: An argument is unknown, of the wrong type or out of range, contradicts the checkpoint (override)
            or another argument, or is missing; or the checkpoint is not of this network, or contradicts itself.
    """
    known = find_entry(entry)
    recipe = checked_arguments(arguments, entry)
    asked = checked_arguments(overrides, entry)
    notes: list[str] = []
    prefix = ""
    fixed: dict[str, object] = {}
    if tensors:
        prefix = find_prefix(entry, tensors)
        fixed = _from_shapes(entry, tensors, prefix)
        if prefix:
            notes.append(f"the checkpoint's names begin with {prefix}")
    notes += [
        f"argument {name} says nothing about {entry}; ignored"
        for name in (*recipe, *asked)
        if not _relevant(known, name)
    ]
    recipe = {name: value for name, value in recipe.items() if _relevant(known, name)}
    asked = {name: value for name, value in asked.items() if _relevant(known, name)}

    for name, value in list(fixed.items()):
        if name in asked and asked[name] != value:
            if name in overruling:
                notes.append(f"argument {name} is {quote(asked[name])}; the checkpoint's shapes say {value!r}")
                del fixed[name]
                continue
            raise RecipeError(
                f"argument {name} was given as {quote(asked[name])}, but the checkpoint's shapes say {value!r}",
                hint=f"to fine-tune on other labels: load(..., {name}={quote(asked[name])}, strict=False) places all "
                "weights but the head's"
                if name == "num_labels"
                else f"leave {name} out, or build the network without its weights (pretrained=False)",
            )
        if name in recipe and recipe[name] != value:
            notes.append(
                f"argument {name} of the recipe is {quote(recipe[name])}; the checkpoint's shapes say {value!r}"
            )
    said = {**recipe, **asked, **fixed}
    return Inferred(
        config=_complete(entry, said, notes, from_checkpoint=bool(tensors), asked=asked),
        prefix=prefix,
        notes=tuple(dict.fromkeys(notes)),
    )


def _heads(hidden: int, said: Mapping[str, object]) -> int:
    count = cast("int | None", said.get("num_attention_heads"))
    if count is None:
        if hidden % _HEAD_SIZE:
            raise RecipeError(
                f"argument num_attention_heads is missing: hidden_size {hidden} is not a multiple of {_HEAD_SIZE}, "
                "so it cannot be inferred",
                hint="say num_attention_heads in the recipe's arguments",
            )
        return hidden // _HEAD_SIZE
    if hidden % count:
        raise RecipeError(f"hidden_size {hidden} is not a multiple of num_attention_heads {count}")
    return count


def _complete(
    entry: str, said: dict[str, object], notes: list[str], *, from_checkpoint: bool, asked: Mapping[str, object]
) -> BertConfig:
    """Fill in the values that neither arguments nor shapes give, and check the whole."""
    known = ENTRIES[entry]
    values = dict(said)
    length = values.pop("seq_length", None)
    regression = values.pop("assessment_method", "") == "spearman_correlation"
    values["log_softmax"] = not (regression and entry == "bert-classifier")
    if not from_checkpoint:
        if known.labels and "num_labels" not in values:
            raise RecipeError(
                f"argument num_labels is missing: {entry} without a checkpoint cannot be built without it",
                hint="say num_labels in the recipe's arguments, or load the weights",
            )
        silent = [name for name in SIZES if name not in values]
        if silent:
            shown = ", ".join(f"{n} {getattr(BertConfig(), n)}" for n in silent)
            notes.append(f"not given, so taken from the Chinese base network: {shown}")
    hidden = cast("int", values.setdefault("hidden_size", BertConfig().hidden_size))
    values.setdefault("intermediate_size", 4 * hidden)
    values["num_attention_heads"] = _heads(hidden, values)
    config = replace(BertConfig(), **values)  # type: ignore[arg-type]  # _CHECKS has checked each type by name

    if config.with_lstm and hidden % 2:
        raise RecipeError(f"with_lstm needs an even hidden_size, half for each direction; it is {hidden}")
    if config.use_crf and (config.num_labels or 0) <= CRF_EXTRA_TAGS:
        raise RecipeError(
            f"num_labels {config.num_labels} leaves a CRF no label: its last two tags are <START> and <STOP>"
        )
    if isinstance(length, int) and length > config.max_position_embeddings and not config.use_relative_positions:
        problem = f"seq_length {length} is more than the {config.max_position_embeddings} positions of the network"
        if "seq_length" in asked:
            raise RecipeError(problem, hint="use a shorter seq_length")
        notes.append(problem)
    elements = sum(math.prod(shape) for shape in parameters(entry, config).values())
    if elements > _MAX_ELEMENTS:
        raise RecipeError(f"a network of {elements} elements is too large: more than {_MAX_ELEMENTS}")
    return config
