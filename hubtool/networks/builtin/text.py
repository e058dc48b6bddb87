"""From a sentence to the inputs of a tagging network, and from its tags to entities.

Pure Python, character by character: each character of the text is one token, between ``[CLS]`` and ``[SEP]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAD: Final = "[PAD]"
UNKNOWN: Final = "[UNK]"
FIRST: Final = "[CLS]"
LAST: Final = "[SEP]"


def read_vocabulary(lines: Iterable[str]) -> dict[str, int]:
    """Read a vocabulary of one token a line; a token's id is its line's number, from 0.

    Args:
        lines: The lines of a ``vocab.txt``, with or without their ends.

    Returns:
        Each token's id.

    Raises:
        ArgumentError: A special token is missing, or a token stands twice.
    """
    tokens = [line.rstrip("\r\n") for line in lines]
    found = {token: number for number, token in enumerate(tokens)}
    if len(found) != len(tokens):
        twice = next(token for number, token in enumerate(tokens) if found[token] != number)
        raise ArgumentError(f"the vocabulary holds {twice!r} twice")
    _special(found)
    return found


def _special(vocabulary: Mapping[str, int]) -> None:
    if missing := [token for token in (PAD, UNKNOWN, FIRST, LAST) if token not in vocabulary]:
        raise ArgumentError(f"the vocabulary has no {', '.join(missing)}")


def encode(text: Sequence[str], vocabulary: Mapping[str, int], length: int) -> tuple[list[int], list[int], list[int]]:
    """Encode a sentence.

    A token that is not in the vocabulary is looked up in lower case, and else becomes ``[UNK]``.

    Args:
        text: The sentence, each character of which is a token, or a list of tokens; at most ``length - 2``.
        vocabulary: Each token's id, as :func:`read_vocabulary` returns it.
        length: The length to pad to.

    Returns:
        Token ids, mask (1 for a token, 0 for padding) and token types (all 0), each of ``length``.

    Raises:
        ArgumentError: The text does not fit, or the vocabulary lacks a special token.
    """
    _special(vocabulary)
    if len(text) + 2 > length:
        raise ArgumentError(
            f"a text of {len(text)} characters does not fit into {length} tokens: {FIRST} and {LAST} need two",
            hint=f"use a length of at least {len(text) + 2}, or split the text",
        )
    unknown = vocabulary[UNKNOWN]
    inner = [vocabulary.get(token, vocabulary.get(token.lower(), unknown)) for token in text]
    ids = [vocabulary[FIRST], *inner, vocabulary[LAST]]
    padding = length - len(ids)
    return ids + [vocabulary[PAD]] * padding, [1] * len(ids) + [0] * padding, [0] * length


def entities(text: str, tags: Sequence[int], labels: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """Read the entities off a sentence's tags.

    An entity begins with ``B-TYPE`` and goes on with ``I-TYPE``. An ``I-TYPE`` that continues nothing of its type
    begins an entity as well, as the usual evaluation of such tags has it.

    Args:
        text: The sentence.
        tags: A tag for each token of the encoded sentence, ``[CLS]`` first; more, for the padding, are not read.
        labels: The labels, whose places are the tags.

    Returns:
        For each entity its text, its type, and where it begins and ends (exclusive) in the text.

    Raises:
        ArgumentError: There are fewer tags than tokens, or a tag has no label.
    """
    if len(tags) < len(text) + 1:
        raise ArgumentError(f"{len(tags)} tags are too few for a text of {len(text)} characters behind {FIRST}")
    found: list[tuple[str, str, int, int]] = []
    begin, kind = 0, ""
    for place in range(len(text) + 1):
        label = "O"  # behind the last character, which ends an entity that is still open
        if place < len(text):
            tag = int(tags[place + 1])
            if not 0 <= tag < len(labels):
                raise ArgumentError(f"tag {tag} of character {place} has no label: there are {len(labels)}")
            label = labels[tag]
        head, _, rest = label.partition("-")
        if kind and not (head == "I" and rest == kind):
            found.append((text[begin:place], kind, begin, place))
            kind = ""
        if not kind and head in {"B", "I"}:
            begin, kind = place, rest
    return found
