"""Cards taken apart and put together again."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

import pytest

from hubtool.card import document
from hubtool.card.format import format_card
from hubtool.cli.app import run
from tests.support import corpus

if TYPE_CHECKING:
    from pathlib import Path

HUB = "# bert\n\n---\n\nmodel-name: bert\n\nmodel-version: 1.9\n\n---\n\n## Introduction\n\nText.\n"
FRONT = "---\nmodel-name: bert\n---\n\n# bert\n\nText.\n"


def test_the_hubs_layout() -> None:
    card = document.parse(HUB.encode())
    assert card.title == "bert"
    assert card.title_offset == 0
    assert card.front_matter == "\nmodel-name: bert\n\nmodel-version: 1.9\n\n"
    assert card.body == "\n## Introduction\n\nText.\n"
    assert card.faults == ()


def test_front_matter_first() -> None:
    card = document.parse(FRONT.encode())
    assert card.title == "bert"
    assert FRONT[card.title_offset :].startswith("# bert")
    assert card.front_matter == "model-name: bert\n"
    assert card.body == "\n# bert\n\nText.\n"


@pytest.mark.parametrize("text", [HUB, FRONT])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "  "])
def test_a_round_trip_keeps_every_byte(text: str, bom: bytes, newline: str, end: str) -> None:
    data = bom + (text.rstrip("\n") + end).replace("\n", newline).encode()
    card = document.parse(data)
    assert card.to_bytes() == data
    assert card.title == "bert"
    assert card.front_matter is not None
    assert card.faults == ()


def test_the_corpus_round_trips() -> None:
    for path in corpus():
        data = path.read_bytes()
        card = document.parse(data)
        assert card.to_bytes() == data, path
        assert card.front_matter, path
        assert card.title, path
        assert card.faults == (), path


@pytest.mark.parametrize(
    "body",
    [
        "\nText.\n\n---\n\nMore.\n",
        "\n```yaml\n---\nmodel-name: other\n---\n```\n",
        "\nA heading\n---\n",
        "\n~~~\n---\n~~~\n\n---\n",
    ],
)
def test_three_dashes_in_the_body_are_body(body: str) -> None:
    for start in ("# bert\n\n---\n\nmodel-name: bert\n\n---\n", "---\nmodel-name: bert\n---\n"):
        card = document.parse((start + body).encode())
        assert card.body == body
        assert "model-name: bert" in (card.front_matter or "")


def test_dashes_that_are_no_fence() -> None:
    text = "# t\n\n---\n\nsummary: a\n ---\nauthor: --- b\n----\n--- c\n\n---\nbody\n"
    card = document.parse(text.encode())
    assert card.body == "body\n"


def test_a_comment_may_stand_before_the_front_matter() -> None:
    card = document.parse(b"<!-- hubtool: ignore HT2\nmore -->\n# t\n\n---\na: b\n---\n")
    assert card.title == "t"
    assert card.front_matter == "a: b\n"


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# a b", "a b"),
        ("#\ta", "a"),
        ("# a #", "a"),
        ("# a ##  ", "a"),
        ("# c#", "c#"),
        ("# #", ""),
        ("# 模型", "模型"),
    ],
)
def test_titles(line: str, title: str) -> None:
    assert document.parse(f"{line}\n\n---\na: b\n---\n".encode()).title == title


@pytest.mark.parametrize(
    ("data", "code", "line_column"),
    [
        (b"", "HT103", (1, 1)),
        (b" \n\t\r\n", "HT103", (1, 1)),
        (codecs.BOM_UTF8, "HT103", (1, 1)),
        (b"# t\n\n\xff", "HT102", (3, 1)),
        ("# t\n---\n".encode("utf-16"), "HT102", (1, 1)),
        (b"# t\nab\0", "HT102", (2, 3)),
        (b"\x7fELF\x02\x01\x01\0", "HT102", (1, 8)),
        (b"# t\n\nText.\n", "HT104", (1, 1)),
        (b"# t\n\n---\na: b\n", "HT105", (3, 1)),
        (b"---", "HT105", (1, 1)),
        (b"x" * (document.MAX_BYTES + 1), "HT101", (1, 1)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_card_has_one_fault_with_a_place(data: bytes, code: str, line_column: tuple[int, int]) -> None:
    card = document.parse(data)
    assert [fault.code for fault in card.faults] == [code]
    assert card.front_matter is None
    assert card.line_column(card.faults[0].offset) == line_column


HEAD = "# a\n\n---\n\nmodel-name: a\n\n---\n\n"
LARGE = {
    "characters": ("word " * 52_500, "262,144 characters", 9),
    "images": ("![" * 10_000, "2,000 opening square brackets", 9),
    "brackets": ("[" * 100_000, "30,000 line ends and signs", 9),
    "links": ("a\n" * 10 + "[a](" * 2_100, "2,000 opening square brackets", 19),
    "definitions": ("[a]: b\n" * 2_100, "2,000 opening square brackets", 2009),
    "cells": ("|a" * 500_000, "262,144 characters", 9),
    "small cells": ("|a" * 30_100, "30,000 line ends and signs", 9),
    "emphasis": ("_a_" * 15_100, "30,000 line ends and signs", 9),
    "lists": ("- a\n" * 15_100, "30,000 line ends and signs", 15008),
    "nested quotes": ("> " * 30_100, "30,000 line ends and signs", 9),
    "code": ("`a" * 30_100, "30,000 line ends and signs", 9),
    "growing backticks": (" ".join("`" * count for count in range(260)), "30,000 line ends and signs", 9),
    "tags": ("<a" * 30_100, "30,000 line ends and signs", 9),
    "entities": ("&" * 30_100, "30,000 line ends and signs", 9),
    "dashes after a bracket": ("[" + "-" * 30_100, "30,000 line ends and signs", 9),
    "lines": ("a\n" * 30_100, "30,000 line ends and signs", 30008),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_body_that_takes_a_parser_long_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    body, words, line = LARGE[case]
    body = body[: document.MAX_BYTES - len(HEAD)]
    card = document.parse((HEAD + body).encode())
    (fault,) = card.faults
    assert fault.code == "HT101"
    assert words in fault.message
    # What stands before that place does not pass this limit.
    whole = document.parse(card.text[: fault.offset].encode())
    assert not any(words in one.message for one in whole.faults)
    assert card.line_column(fault.offset)[0] == line
    path = tmp_path / "a.md"
    path.write_text(HEAD + body, encoding="utf-8")
    for command in (["fmt", "--check", str(path)], ["validate", str(path)], ["preview", str(path)]):
        assert run(command) != 0
        out = "".join(capsys.readouterr())
        assert words in out, command
        assert re.search(f"[: ]{line}:", out), command
    assert format_card((HEAD + body).encode()).data == (HEAD + body).encode()


def test_real_cards_are_far_from_the_largest_body() -> None:
    for path in corpus():
        body = document.parse(path.read_bytes()).body
        assert len(body) < document.MAX_BODY_CHARACTERS / 3
        assert body.count("[") < document.MAX_BODY_BRACKETS / 5


@pytest.mark.parametrize("filler", [0, 20_000], ids=["short", "long"])
def test_places_count_characters(filler: int) -> None:
    text = "# 模型\r\n\r\nab\n" + "x" * filler + "\nend"
    card = document.parse(text.encode())
    assert card.line_column(0) == (1, 1)
    assert card.line_column(text.index("型")) == (1, 4)
    assert card.line_column(text.index("ab")) == (3, 1)
    assert card.line_column(text.index("end")) == (5, 1)
    assert card.line_column(10**9) == card.line_column(len(text)) == (5, 4)
    assert card.source(text.index("型")) == "# 模型"
    assert len(card.source(text.index("ab") + 4)) <= 200
