"""Sentences into tokens, and tags into entities. No MindSpore here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import ArgumentError
from hubtool.networks.builtin.text import encode, entities, read_vocabulary

VOCABULARY = read_vocabulary(["[PAD]\n", "[UNK]\r\n", "[CLS]", "[SEP]", "王", "明", "a"])
LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "<START>", "<STOP>")


def test_a_sentence_is_encoded_character_by_character() -> None:
    ids, mask, types = encode("王A龘", VOCABULARY, 7)
    assert ids == [2, 4, 6, 1, 3, 0, 0]
    assert mask == [1, 1, 1, 1, 1, 0, 0]
    assert types == [0] * 7
    assert encode("", VOCABULARY, 2) == ([2, 3], [1, 1], [0, 0])


def test_a_text_that_does_not_fit_is_an_error() -> None:
    assert encode("王明", VOCABULARY, 4)[0] == [2, 4, 5, 3]
    with pytest.raises(ArgumentError, match="2 characters does not fit into 3") as caught:
        encode("王明", VOCABULARY, 3)
    assert "at least 4" in str(caught.value)


def test_a_vocabulary_needs_its_special_tokens_and_no_token_twice() -> None:
    with pytest.raises(ArgumentError, match=r"\[CLS\], \[SEP\]"):
        read_vocabulary(["[PAD]", "[UNK]"])
    with pytest.raises(ArgumentError, match="'b' twice"):
        read_vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "b", "b"])
    with pytest.raises(ArgumentError, match=r"no \[PAD\]"):
        encode("", {}, 2)


@pytest.mark.parametrize(
    ("tags", "want"),
    [
        ([0, 0, 0, 0, 0, 0], []),
        ([0, 1, 2, 0, 3, 0], [("ab", "PER", 0, 2), ("d", "LOC", 3, 4)]),
        ([0, 1, 2, 2, 2, 0], [("abcd", "PER", 0, 4)]),
        ([0, 1, 1, 2, 0, 0], [("a", "PER", 0, 1), ("bc", "PER", 1, 3)]),
        ([0, 2, 2, 0, 0, 0], [("ab", "PER", 0, 2)]),  # begun without a B
        ([0, 1, 4, 4, 0, 0], [("a", "PER", 0, 1), ("bc", "LOC", 1, 3)]),  # went on as another type
        ([0, 5, 6, 0, 0, 1], []),  # <START> and <STOP> name nothing; what stands behind the text is not read
        ([1, 0, 0, 0, 1, 2, 2, 2], [("d", "PER", 3, 4)]),
    ],
)
def test_tags_become_entities(tags: list[int], want: list[tuple[str, str, int, int]]) -> None:
    assert entities("abcd", tags, LABELS) == want


def test_tags_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ArgumentError, match="4 tags are too few"):
        entities("abcd", [0, 0, 0, 0], LABELS)
    with pytest.raises(ArgumentError, match="tag 7 of character 1"):
        entities("abcd", [0, 0, 7, 0, 0, 0], LABELS)
    with pytest.raises(ArgumentError, match="tag -1"):
        entities("a", [0, -1], LABELS)


@given(st.lists(st.integers(0, len(LABELS) - 1), min_size=1, max_size=30))
def test_entities_are_in_order_and_lie_in_the_text(tags: list[int]) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(len(tags) - 1))
    end = 0
    for piece, kind, begin, after in entities(text, tags, LABELS):
        assert end <= begin < after <= len(text)
        assert piece == text[begin:after]
        assert kind in {"PER", "LOC"}
        end = after
