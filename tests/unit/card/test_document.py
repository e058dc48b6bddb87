"""Cards taken apart and put together again."""

from __future__ import annotations

import codecs

import pytest

from hubtool.card import document
from tests.support import corpus

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
