"""From a text to the inputs of a network, by the step ``tokenize`` of a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubtool.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.pipelines.use import StatedUse

MAX_CHARACTERS: Final = 100_000


def check(text: object) -> str:
    """Return a text as it is.

    Raises:
        ArgumentTypeError: If it is none.
        ArgumentError: If it is blank or too long.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError(f"the text is {type(text).__name__}, but must be text")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ArgumentError("the text holds half a character", hint="give text in UTF-8")
    if not text.strip():
        raise ArgumentError("the text is empty", hint="give a sentence")
    if len(text) > MAX_CHARACTERS:
        raise ArgumentError(
            f"the text has {len(text):,} characters: more than {MAX_CHARACTERS:,}", hint="split it into sentences"
        )
    return text


def prepare(use: StatedUse, text: str, vocabulary: Mapping[str, int]) -> tuple[Any, ...]:
    """Return the inputs of a network: token ids, mask and segment ids, each int32 of the shape (1, length).

    Args:
        use: What the card says.
        text: The text.
        vocabulary: Each token's id.

    Raises:
        ArgumentError: If the text is longer than the card allows, or the vocabulary lacks a token.
    """
    import numpy as np

    from hubtool.networks.builtin.text import FIRST, LAST, encode

    step = use.step("tokenize")
    tokens = list(text)
    if step["tokenizer"] == "bert":
        from mindspore.dataset import text as texts

        words = texts.BertTokenizer(
            texts.Vocab.from_dict(dict(vocabulary)), lower_case=bool(step.get("lower-case", True))
        )
        tokens = [str(token) for token in words(text)]
    elif step.get("lower-case"):
        tokens = list(text.lower())
    length = int(step["length"])
    if len(tokens) + 2 > length:
        raise ArgumentError(
            f"the text has {len(tokens):,} tokens, and the network takes {length - 2:,} beside {FIRST} and {LAST}",
            hint="split it into sentences",
        )
    return tuple(np.asarray([row], np.int32) for row in encode(tokens, vocabulary, length))
