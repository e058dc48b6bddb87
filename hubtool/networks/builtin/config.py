"""The built-in networks of the BERT family: their entries, and the sizes and switches that they have.

Neither mindspore nor numpy is imported, so that a resolver can use it anywhere. The parameter names and shapes are
facts of the r1.9 release of the BERT networks (official/nlp/bert of the MindSpore model repository), as the checkpoints
of that family carry them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping


EMBEDDING: Final = "bert_embedding_lookup.embedding_table"
TYPES: Final = "bert_embedding_postprocessor.token_type_embedding.embedding_table"
POSITIONS: Final = "bert_embedding_postprocessor.full_position_embedding.embedding_table"
LAYER: Final = "bert_encoder.layers.{}."
RELATIVE: Final = "attention.attention._generate_relative_positions_embeddings.embeddings_table"
TRANSITIONS: Final = "loss.transitions"
PAIR: Final = 2  # classes of next-sentence prediction, and the two ends of a SQuAD answer


@dataclass(frozen=True, slots=True, kw_only=True)
class BertConfig:
    """The sizes and switches of a network of the BERT family.

    Attributes:
        vocab_size: Rows of the token embedding table.
        hidden_size: Width of a token's vector, H.
        num_hidden_layers: Encoder layers.
        num_attention_heads: Heads of each layer; divides ``hidden_size``.
        intermediate_size: Width of the feed-forward layer.
        hidden_act: Activation of the feed-forward layer, one of ``arguments.ACTIVATIONS``; ``gelu`` is the tanh form.
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
class BuiltinEntry:
    """One built-in network: where its encoder's names begin, and which weight holds its labels."""

    encoder: str
    head: str | None = None
    labels: bool = False  # whether the number of labels may be chosen
    layers: tuple[str, ...] = ()  # switches that this entry alone knows: with_lstm, use_crf


ENTRIES: Final[Mapping[str, BuiltinEntry]] = {
    "bert": BuiltinEntry(encoder=""),
    "bert-pretraining": BuiltinEntry(encoder="bert.bert.", head="bert.cls2.dense.weight"),
    "bert-ner": BuiltinEntry(
        encoder="bert.bert.", head="bert.dense_1.weight", labels=True, layers=("with_lstm", "use_crf")
    ),
    "bert-classifier": BuiltinEntry(encoder="bert.bert.", head="bert.dense_1.weight", labels=True),
    "bert-squad": BuiltinEntry(encoder="bert.bert.", head="bert.dense1.weight"),
}


def entry_names() -> tuple[str, ...]:
    """Return the names of the built-in networks of the BERT family."""
    return tuple(ENTRIES)


def quote(value: object) -> str:
    """Return a value as messages show it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def near(word: str, allowed: tuple[str, ...]) -> str | None:
    """Return a question that names the allowed word most like another, or None."""
    matches = difflib.get_close_matches(word[:80].lower(), allowed, n=1)
    return f"did you mean {matches[0]}?" if matches else None


def find_entry(entry: str) -> BuiltinEntry:
    """Return the built-in network of a name.

    Raises:
        RecipeError: If there is none.
    """
    if not isinstance(entry, str) or entry not in ENTRIES:
        names = tuple(ENTRIES)
        close = near(str(entry), names)
        listed = f"built in are {', '.join(names)}"
        raise RecipeError(
            f"no built-in network is called {quote(entry)}", hint=f"{close} {listed}" if close else listed
        )
    return ENTRIES[entry]
