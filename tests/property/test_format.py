"""`hubtool fmt`: stable, and losing nothing, on the cards of the public hub and on made-up ones."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hubtool.card import document, front_matter, yaml_text
from hubtool.card.format import format_card
from hubtool.card.format.body import format_body
from hubtool.card.values import plain_values
from tests.support import corpus
from tests.support.strategies import RELAXED, cards, mutated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.token import Token

_LINES = st.sampled_from(
    [
        "",
        "",
        "   ",
        "text",
        "text  ",
        "## Heading ##",
        "  ##   Heading",
        "###",
        "# a #b",
        "Title",
        "---",
        "===",
        "- item",
        "- item\n\n\n  more",
        "1. one",
        "   continued",
        "    code",
        "\tcode",
        "```python",
        "```",
        "~~~",
        "> quote",
        ">",
        "| a | b |",
        "| --- | --- |",
        "<!-- a comment -->",
        "<!-- begins",
        "ends -->",
        "<div>",
        "</div>",
        "<pre>",
        "</pre>",
        "[ref]: https://example.org/x 'title'",
        "[ref]",
        "* * *",
        "![image](a.png)",
        "a\\",
        "模型",
    ]
)
_BODIES = st.lists(_LINES, max_size=14).map("\n".join)


def tokens(text: str) -> list[Any]:
    env: dict[str, Any] = {}
    found = MarkdownIt("commonmark").enable("table").parse(text, env)
    references = {name: (one["href"], one["title"]) for name, one in env.get("references", {}).items()}
    return [references, told(found)]


def told(found: Iterable[Token]) -> list[Any]:
    return [
        (token.type, token.tag, token.content, token.markup, token.info, token.attrs, told(token.children or []))
        for token in found
    ]


def read(data: bytes) -> tuple[dict[str, object], document.Document]:
    found = document.parse(data)
    assert found.front_matter is not None
    return plain_values(front_matter.read(found.front_matter, found.front_matter_offset)), found


def yaml_comments(text: str) -> Counter[str]:
    return Counter(re.findall(r"^#.*?[ \t\r]*$", text, re.MULTILINE))


def assert_nothing_is_lost(data: bytes) -> None:
    done = format_card(data)
    again = format_card(done.data)
    assert again.data == done.data
    assert again.problem == done.problem
    if done.problem is not None:
        assert done.data == data
        return
    values, before = read(data.replace(b"\r\n", b"\n"))
    now, after = read(done.data)
    assert now == values
    assert after.title == before.title
    assert tokens(after.body) == tokens(before.body)
    assert before.front_matter is not None
    assert after.front_matter is not None
    if "|" not in before.front_matter:  # in a block of text, such a line is no comment
        stripped = {line.rstrip(): count for line, count in yaml_comments(before.front_matter).items()}
        assert {line.rstrip(): count for line, count in yaml_comments(after.front_matter).items()} == stripped
    assert Counter(re.findall("<!--.*?-->", after.head)) == Counter(re.findall("<!--.*?-->", before.head))


@RELAXED
@given(cards() | mutated())
@example(b"# \n\n---\n---\n")
@example(b"# tiny\n\n---\n---\n0\r")
@example(b"# tiny\n---\na: b\n---\n\n\n# t\n<!--")
@example(b"# tiny\n\n---\n---\n\x1f")
def test_a_made_up_card_loses_nothing(data: bytes) -> None:
    assert_nothing_is_lost(data)


@RELAXED
@given(_BODIES)
def test_a_body_stays_the_same_to_a_markdown_parser(body: str) -> None:
    done = format_body(body)
    assert tokens(done) == tokens(body)
    assert format_body(done) == done


@RELAXED
@given(st.text(max_size=60))
def test_a_scalar_is_read_as_the_text_it_was_written_for(text: str) -> None:
    one_line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    assert yaml.safe_load(f"key: {yaml_text.scalar(one_line)}") == {"key": one_line}


@pytest.mark.parametrize("step", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_the_cards_of_the_public_hub_lose_nothing(step: int) -> None:
    paths = corpus()[::step]
    assert len(paths) > 100
    laid_out = 0
    for path in paths:
        data = path.read_bytes()
        try:
            assert_nothing_is_lost(data)
        except AssertionError as error:
            pytest.fail(f"{path}: {error}")
        laid_out += format_card(data).problem is None
    assert laid_out > 0.9 * len(paths)
