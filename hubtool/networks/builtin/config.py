"""What a checkpoint's shapes and a recipe's arguments say about a network of the BERT family.

Everything here is pure: names and shapes go in, a frozen configuration comes out. Neither mindspore nor numpy is
imported, so that a resolver can use it anywhere.

The parameter names and shapes are facts of the r1.9 release of the BERT networks (official/nlp/bert of the
MindSpore model repository), as the checkpoints of that family carry them.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from hubtool.checkpoint.coverage import STATES
from hubtool.errors import RecipeError
from hubtool.networks.provider import CLASS_COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    Shape = tuple[int, ...]

#: How many tags at the end of a CRF's tag set are not labels of the data: ``<START>`` and ``<STOP>``.
CRF_EXTRA_TAGS: Final = 2

#: Activations a recipe may name for ``hidden_act``; all are without parameters of their own.
ACTIVATIONS: Final = (
    "elu",
    "fast_gelu",
    "gelu",
    "hsigmoid",
    "hswish",
    "leakyrelu",
    "logsigmoid",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "tanh",
)

#: Ways of judging a run that the family's scripts know; only ``spearman_correlation`` (regression) changes an output.
ASSESSMENT_METHODS: Final = (
    "",
    "accuracy",
    "bf1",
    "clue_benchmark",
    "f1",
    "mcc",
    "mf1",
    "spearman_correlation",
)

#: Sizes that a checkpoint's shapes state, and that a network without them would have to guess.
SIZES: Final = ("vocab_size", "hidden_size", "num_hidden_layers", "type_vocab_size")

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_FLOATS: Final = ("bfloat16", "float16", "float32")
_MAX_ELEMENTS: Final = 2**33  # 32 GiB of float32: more is a mistake, not a BERT
_HEAD_SIZE: Final = 64  # of every published BERT and NEZHA
_EMBEDDING: Final = "bert_embedding_lookup.embedding_table"
_TYPES: Final = "bert_embedding_postprocessor.token_type_embedding.embedding_table"
_POSITIONS: Final = "bert_embedding_postprocessor.full_position_embedding.embedding_table"
_LAYER: Final = "bert_encoder.layers.{}."
_RELATIVE: Final = "attention.attention._generate_relative_positions_embeddings.embeddings_table"
_INTERMEDIATE: Final = "intermediate.weight"
_TRANSITIONS: Final = "loss.transitions"
_LSTM: Final = "bert.lstm.weight_ih_l0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BertConfig:
    """The sizes and switches of a network of the BERT family.

    Attributes:
        vocab_size: Rows of the token embedding table.
        hidden_size: Width of a token's vector, H.
        num_hidden_layers: Encoder layers.
        num_attention_heads: Heads of each layer; divides ``hidden_size``.
        intermediate_size: Width of the feed-forward layer.
        hidden_act: Activation of the feed-forward layer, one of :data:`ACTIVATIONS`; ``gelu`` is the tanh form.
        max_position_embeddings: Rows of the position table, which bounds the sequence length.
        type_vocab_size: Rows of the token type table.
        use_relative_positions: Whether positions are relative (NEZHA) instead of absolute.
        max_relative_position: With relative positions, the distance beyond which all distances are one.
        num_labels: Labels of the head (with a CRF: of its tag set, ``<START>`` and ``<STOP>`` included); None where
            the network has no such head.
        with_lstm: Whether a bidirectional LSTM stands between encoder and head (``bert-ner``).
        use_crf: Whether a CRF chooses the tags (``bert-ner``).
        log_softmax: Whether the head's scores are normalised to log-probabilities; not so in a regression.
        hidden_dropout_prob: Dropout behind each dense layer of the encoder; in training only.
        attention_probs_dropout_prob: Dropout of the attention weights; in training only.
        dropout_prob: Dropout in front of the head; in training only.
        initializer_range: Deviation of the truncated normal distribution that new weights are drawn from.
    """

    vocab_size: int = 21128
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    use_relative_positions: bool = False
    max_relative_position: int = 16
    num_labels: int | None = None
    with_lstm: bool = False
    use_crf: bool = False
    log_softmax: bool = True
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    dropout_prob: float = 0.1
    initializer_range: float = 0.02

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What :func:`infer` found.

    Attributes:
        config: The network's configuration.
        prefix: What stands in the checkpoint before each of the network's own parameter names; often empty.
        notes: Sentences for people: what was overruled, assumed or recognised.
    """

    config: BertConfig
    prefix: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One built-in network: where its encoder's names begin, and which weight holds its labels."""

    encoder: str
    head: str | None = None
    labels: bool = False  # whether the number of labels may be chosen
    layers: tuple[str, ...] = ()  # switches that this entry alone knows: with_lstm, use_crf


_ENTRIES: Final[Mapping[str, _Entry]] = {
    "bert": _Entry(encoder=""),
    "bert-pretraining": _Entry(encoder="bert.bert.", head="bert.cls2.dense.weight"),
    "bert-ner": _Entry(encoder="bert.bert.", head="bert.dense_1.weight", labels=True, layers=("with_lstm", "use_crf")),
    "bert-classifier": _Entry(encoder="bert.bert.", head="bert.dense_1.weight", labels=True),
    "bert-squad": _Entry(encoder="bert.bert.", head="bert.dense1.weight"),
}

_PAIR: Final = 2  # classes of next-sentence prediction, and the two ends of a SQuAD answer


def entry_names() -> tuple[str, ...]:
    """Return the names of the built-in networks."""
    return tuple(_ENTRIES)


# -- arguments -----------------------------------------------------------------------------------------------------


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _integer(maximum: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"argument {name} must be a whole number, not {type(value).__name__} {_quote(value)}")
        if not 1 <= value <= maximum:
            raise RecipeError(f"argument {name} must be between 1 and {maximum}, not {_quote(value)}")
        return value

    return check


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RecipeError(f"argument {name} must be true or false, not {type(value).__name__} {_quote(value)}")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecipeError(f"argument {name} must be a number, not {type(value).__name__} {_quote(value)}")
    # Compared before it is converted: a huge whole number has no float. NaN fails every comparison.
    if not 0 <= value < 1:
        raise RecipeError(f"argument {name} must be at least 0 and less than 1, not {_quote(value)}")
    return float(value)


def _choice(allowed: tuple[str, ...]) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise RecipeError(f"argument {name} must be a string, not {type(value).__name__} {_quote(value)}")
        if value.lower() not in allowed:
            shown = ", ".join(option or '""' for option in allowed)
            raise RecipeError(
                f"argument {name} must be one of {shown}; not {_quote(value)}", hint=_near(value, allowed)
            )
        return value.lower()

    return check


def _float_type(name: str, value: object) -> str:
    # A script passes mindspore.float16, whose str() is "Float16"; a card passes "float16".
    text = str(value).lower().rpartition(".")[2]
    if isinstance(value, (bool, int, float)) or value is None or text not in _FLOATS:
        raise RecipeError(f"argument {name} must be one of {', '.join(_FLOATS)}; not {_quote(value)}")
    return text


_CHECKS: Final[Mapping[str, Callable[[str, object], object]]] = {
    "vocab_size": _integer(2**24),
    "hidden_size": _integer(2**16),
    "num_hidden_layers": _integer(2**10),
    "num_attention_heads": _integer(2**12),
    "intermediate_size": _integer(2**20),
    "hidden_act": _choice(ACTIVATIONS),
    "max_position_embeddings": _integer(2**20),
    "type_vocab_size": _integer(2**16),
    "use_relative_positions": _boolean,
    "num_labels": _integer(2**20),
    "with_lstm": _boolean,
    "use_crf": _boolean,
    "hidden_dropout_prob": _number,
    "attention_probs_dropout_prob": _number,
    "dropout_prob": _number,
    "initializer_range": _number,
    "assessment_method": _choice(ASSESSMENT_METHODS),
    "seq_length": _integer(2**20),
    "batch_size": _integer(2**20),
    "is_training": _boolean,
    "use_one_hot_embeddings": _boolean,
    "hidden_probs_dropout_prob": _number,
    "dtype": _float_type,
    "compute_type": _float_type,
}

#: Names a recipe's ``arguments``, or the keywords of ``load``, may use for a built-in network.
ARGUMENTS: Final = tuple(_CHECKS)

# Accepted because recipes and scripts of the family pass them, and of no effect: any length and any batch may come,
# training is a state of the cell, an embedding is a look-up however it is done, and the device decides the types.
_WITHOUT_EFFECT: Final = frozenset(
    {"batch_size", "is_training", "use_one_hot_embeddings", "hidden_probs_dropout_prob", "dtype", "compute_type"}
)


def _near(word: str, allowed: tuple[str, ...]) -> str | None:
    matches = difflib.get_close_matches(word[:80].lower(), allowed, n=1)
    return f"did you mean {matches[0]}?" if matches else None


def _checked(values: Mapping[str, object], entry: str) -> dict[str, object]:
    """Check names and types of arguments, and drop what has no effect."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if not isinstance(name, str) or name not in _CHECKS:
            same = "did you mean 'num_labels'?" if name in CLASS_COUNTS else ""
            close = same or _near(str(name), ARGUMENTS)
            allowed = f"{entry} takes {', '.join(sorted(ARGUMENTS))}"
            raise RecipeError(
                f"unknown argument {_quote(name)} for the built-in network {entry}",
                hint=f"{close} {allowed}" if close else allowed,
            )
        if (checked := _CHECKS[name](name, value)) is not None and name not in _WITHOUT_EFFECT:
            found[name] = checked
    return found


# -- shapes --------------------------------------------------------------------------------------------------------


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
    """Find what stands in a checkpoint before each of a network's own parameter names.

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
    known = _entry(entry)
    anchor = known.encoder + _EMBEDDING
    heads = [name[: -len(anchor)] for name in tensors if name == anchor or name.endswith("." + anchor)]
    found = sorted({head for head in heads if not _is_state(head)}, key=lambda head: (len(head), head))
    if not found:
        bare = any(name == _EMBEDDING or name.endswith("." + _EMBEDDING) for name in tensors)
        if heads:
            problem = f"this checkpoint holds optimizer state only: the weight {anchor} itself is not in it"
        elif bare:
            problem = f"this checkpoint is of a BERT encoder, but not of {entry}: it has no {anchor}"
        else:
            problem = f"this checkpoint is not of a BERT network: it has no {anchor}"
        raise RecipeError(problem, hint="the recipe's entry must be the network that was saved" if bare else None)
    # The state of an unknown optimizer has a prefix more, before or behind the wrapper's; two networks side by side
    # have different ones.
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
    """Read off a checkpoint all that its shapes determine, and see that they agree."""
    known = _ENTRIES[entry]
    root = prefix + known.encoder
    table, types, places = root + _EMBEDDING, root + _TYPES, root + _POSITIONS
    vocabulary, hidden = _shape(tensors, table, 2, "the token embedding")
    type_count, width = _shape(tensors, types, 2, "the token type embedding")
    _agree(types, width, table, hidden, "hidden_size")
    place_count, width = _shape(tensors, places, 2, "the position embedding")
    _agree(places, width, table, hidden, "hidden_size")
    layers = _layer_count(tensors, root)
    first = root + _LAYER.format(0)
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

    relative = first + _RELATIVE
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
        elif labels != _PAIR:
            raise RecipeError(f"tensor {head} must have {_PAIR} rows for {entry}; it has {labels}")
    if "with_lstm" in known.layers:
        lstm = prefix + _LSTM
        found["with_lstm"] = lstm in tensors
        if lstm in tensors:
            gates, width = _shape(tensors, lstm, 2, "the LSTM")
            _agree(lstm, width, table, hidden, "hidden_size")
            _agree(lstm, gates, table, 2 * hidden, "four times the width of one LSTM direction")
    if "use_crf" in known.layers:
        transitions = prefix + _TRANSITIONS
        found["use_crf"] = transitions in tensors
        if transitions in tensors:
            rows, columns = _shape(tensors, transitions, 2, "the CRF's transitions")
            if known.head is not None:
                _agree(transitions, rows, prefix + known.head, labels, "num_labels")
                _agree(transitions, columns, prefix + known.head, labels, "num_labels")
    return found


# -- both ----------------------------------------------------------------------------------------------------------


def _entry(entry: str) -> _Entry:
    if not isinstance(entry, str) or entry not in _ENTRIES:
        names = tuple(_ENTRIES)
        close = _near(str(entry), names)
        listed = f"built in are {', '.join(names)}"
        raise RecipeError(
            f"no built-in network is called {_quote(entry)}", hint=f"{close} {listed}" if close else listed
        )
    return _ENTRIES[entry]


def _relevant(entry: _Entry, name: str) -> bool:
    """Whether an argument says something about this entry: a plain BERT has no labels, a classifier no CRF."""
    if name in {"with_lstm", "use_crf"}:
        return name in entry.layers
    if name == "num_labels":
        return entry.labels
    return True


@dataclass(slots=True, kw_only=True)
class _Notes:
    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.lines.append(line)


def infer(
    entry: str,
    arguments: Mapping[str, object],
    tensors: Mapping[str, Shape],
    *,
    overrides: Mapping[str, object] = _NOTHING,
    overruling: Collection[str] = (),
) -> Inferred:
    """Work out a network's configuration from a checkpoint's shapes and a recipe's arguments.

    What the shapes determine is taken from them. An argument of the recipe that says otherwise is noted and not
    followed, since the weights are what they are; one that the caller gave is an error, since the caller asked for
    something that cannot be had. Without a checkpoint all comes from the arguments; what they leave out is that of
    the family's Chinese base network (vocabulary 21128, 12 layers, 2 token types, 512 positions), with
    ``intermediate_size`` four times ``hidden_size``. The number of labels has no such default.

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
    known = _entry(entry)
    recipe = _checked(arguments, entry)
    asked = _checked(overrides, entry)
    notes = _Notes()
    prefix = ""
    fixed: dict[str, object] = {}
    if tensors:
        prefix = find_prefix(entry, tensors)
        fixed = _from_shapes(entry, tensors, prefix)
        if prefix:
            notes.add(f"the checkpoint's names begin with {prefix}")
    for name in (*recipe, *asked):
        if not _relevant(known, name):
            notes.add(f"argument {name} says nothing about {entry}; ignored")
    recipe = {name: value for name, value in recipe.items() if _relevant(known, name)}
    asked = {name: value for name, value in asked.items() if _relevant(known, name)}

    for name, value in list(fixed.items()):
        if name in asked and asked[name] != value:
            if name in overruling:
                notes.add(f"argument {name} is {_quote(asked[name])}; the checkpoint's shapes say {value!r}")
                del fixed[name]
                continue
            raise RecipeError(
                f"argument {name} was given as {_quote(asked[name])}, but the checkpoint's shapes say {value!r}",
                hint=f"to fine-tune on other labels: load(..., {name}={_quote(asked[name])}, strict=False) places all "
                "weights but the head's"
                if name == "num_labels"
                else f"leave {name} out, or build the network without its weights (pretrained=False)",
            )
        if name in recipe and recipe[name] != value:
            notes.add(f"argument {name} of the recipe is {_quote(recipe[name])}; the checkpoint's shapes say {value!r}")
    said = {**recipe, **asked, **fixed}
    return Inferred(
        config=_complete(entry, said, notes, from_checkpoint=bool(tensors), asked=asked),
        prefix=prefix,
        notes=tuple(dict.fromkeys(notes.lines)),
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
    entry: str, said: dict[str, object], notes: _Notes, *, from_checkpoint: bool, asked: Mapping[str, object]
) -> BertConfig:
    """Fill in what nobody said, and see that the whole makes sense."""
    known = _ENTRIES[entry]
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
            notes.add(f"not said, hence that of the Chinese base network: {shown}")
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
        notes.add(problem)
    elements = sum(math.prod(shape) for _, shape in _outside_layers(entry, config))
    elements += config.num_hidden_layers * sum(math.prod(shape) for _, shape in _layer(config))
    if elements > _MAX_ELEMENTS:
        raise RecipeError(f"a network of {elements} elements is too large: more than {_MAX_ELEMENTS}")
    return config


# -- the parameters of a configuration -------------------------------------------------------------------------------


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
        yield _RELATIVE, (2 * config.max_relative_position + 1, config.head_size)
    yield from _dense("attention.output.dense", hidden, hidden)
    yield from _norm("attention.output.layernorm", hidden)
    yield from _dense("intermediate", config.intermediate_size, hidden)
    yield from _dense("output.dense", hidden, config.intermediate_size)
    yield from _norm("output.layernorm", hidden)


def _before_layers(entry: str, config: BertConfig) -> Iterator[tuple[str, Shape]]:
    root = _ENTRIES[entry].encoder
    hidden = config.hidden_size
    if entry == "bert-squad":
        for name in ("total_num", "start_num", "end_num"):
            yield name, (1,)
    yield root + _EMBEDDING, (config.vocab_size, hidden)
    yield root + _TYPES, (config.type_vocab_size, hidden)
    yield root + _POSITIONS, (config.max_position_embeddings, hidden)
    yield from _norm(root + "bert_embedding_postprocessor.layernorm", hidden)


def _behind_layers(entry: str, config: BertConfig) -> Iterator[tuple[str, Shape]]:
    hidden = config.hidden_size
    labels = config.num_labels or 0
    yield from _dense(_ENTRIES[entry].encoder + "dense", hidden, hidden)
    if entry == "bert-pretraining":
        yield "bert.cls1.output_bias", (config.vocab_size,)
        yield from _dense("bert.cls1.dense", hidden, hidden)
        yield from _norm("bert.cls1.layernorm", hidden)
        yield from _dense("bert.cls2.dense", _PAIR, hidden)
    elif entry == "bert-squad":
        yield from _dense("bert.dense1", _PAIR, hidden)
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
        yield _TRANSITIONS, (labels, labels)


def _outside_layers(entry: str, config: BertConfig) -> Iterator[tuple[str, Shape]]:
    yield from _before_layers(entry, config)
    yield from _behind_layers(entry, config)


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
    root = _entry(entry).encoder
    found = dict(_before_layers(entry, config))
    for number in range(config.num_hidden_layers):
        for name, shape in _layer(config):
            found[root + _LAYER.format(number) + name] = shape
    found.update(_behind_layers(entry, config))
    return found
