"""Texts that a comment cuts, cards of other hubs, and revisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubtool.card import model
from hubtool.card.format import format_card
from hubtool.card.repo_link import check_revision
from hubtool.card.validate.check import check_bytes
from hubtool.errors import ArgumentError, CardError
from hubtool.publish import plan
from tests.support import corpus
from tests.support.cards import write_card

if TYPE_CHECKING:
    from pathlib import Path


def codes(data: bytes) -> list[str]:
    return [one.code for one in check_bytes(data, path="card.md")]


@pytest.fixture
def text(tmp_path: Path) -> str:
    return write_card(tmp_path, "lab/1.9/net", link="net.ckpt", content=b"x").read_text()


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("summary: A model of the tests.", "summary: C# and #1 of the tests.", "'C# and'"),
        ("summary: A model of the tests.", "summary: A model\n  of the # tests.", "'A model of the'"),
        ("summary: A model of the tests.", "summary: # 1 of the tests.", "is empty"),
        ("author: hubtool", "author: Team #7", "'Team'"),
        ("author: hubtool", "author: Team\t#7", "'Team'"),
        ("license:", "evaluation: top1acc76.9 # 2\nlicense:", "'top1acc76.9'"),
        ("license:", "train-dataset: Set # 2\nlicense:", "'Set'"),
        ("license: Apache-2.0", "license: My licence # 2", "'My licence'"),
        ("backbone-name: bert", "backbone-name: bert # 2", "'bert'"),
    ],
)
def test_a_text_that_a_comment_cuts(text: str, old: str, new: str, shown: str) -> None:
    card = text.replace(old, new, 1)
    (one,) = (one for one in check_bytes(card.encode(), path="card.md") if one.code == "HT219")
    assert shown in one.message
    assert "#" in card.split("\n")[one.line - 1][one.column - 1 :]
    assert card.split("\n")[one.line - 1][one.column - 1] == "#"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("summary: A model of the tests.", "summary: 'C # and #1'"),
        ("summary: A model of the tests.", "summary: C# and F#1"),
        ("summary: A model of the tests.", "summary: >\n  C # and #1"),
        ("summary: A model", "# a comment\nsummary: A model"),
        ("license: Apache-2.0", "license: Apache-2.0  # see LICENSE"),
        ("module-type: nlp", "module-type: nlp  # the field"),
        ("update-time: 2026-11-23", "update-time: 2026-11-23  # the day"),
        ("fine-tunable: true", "fine-tunable: true  # all of it"),
        ("mindspore-version: 1.9", "mindspore-version: 1.9  # or later"),
        ("    asset-link: net.ckpt", "    asset-link: net.ckpt  # beside the card"),
        ("  entry: bert", "  entry: bert  # of hubtool"),
    ],
)
def test_comments_that_are_meant(text: str, old: str, new: str) -> None:
    assert old in text
    assert "HT219" not in codes(text.replace(old, new, 1).encode())


def test_no_card_of_the_corpus_has_such_a_comment() -> None:
    sample = [path.read_bytes() for path in list(corpus())[::20]]
    assert sample
    assert not [data for data in sample if {"HT115", "HT219", "HT316", "HT317"} & set(codes(data))]


HUGGING_FACE = "---\nlicense: mit\ntags:\n- vision\npipeline_tag: image-classification\n---\n\n# net\n\nText.\n"
MODELSCOPE = "---\nlicense: Apache License 2.0\ntasks:\n- text-generation\nframeworks: pytorch\n---\n\n# net\n\nText.\n"


@pytest.mark.parametrize(
    ("data", "whose"),
    [
        (HUGGING_FACE, "Hugging Face"),
        (MODELSCOPE, "ModelScope"),
        ("---\nlicense: apache-2.0\nlibrary_name: mindspore\n---\n# net\n", "Hugging Face"),
        ("---\nlicense: Apache License 2.0\n---\n# net\n", "ModelScope"),
        ("---\ndomain:\n- nlp\n---\n# net\n", "ModelScope"),
    ],
)
def test_a_card_of_another_hub(tmp_path: Path, data: str, whose: str) -> None:
    found = check_bytes(data.encode(), path="card.md")
    assert [(one.code, one.message) for one in found] == [("HT115", f"this is a {whose} model card")]
    assert "hubtool new" in str(found[0].hint)
    laid_out = format_card(data.encode())
    assert laid_out.data == data.encode()
    assert f"a {whose} model card" in str(laid_out.problem)
    assert f"a {whose} model card" in model.read(data.encode()).blame("it does not load")
    path = tmp_path / "card.md"
    path.write_text(data)
    with pytest.raises(CardError, match=f"a {whose} model card"):
        plan._refuse_foreign(data.encode(), path)


def test_a_card_of_hubtool_with_wrong_keys_is_no_other_hubs(text: str) -> None:
    for old, new in (("author:", "tags:"), ("model-name:", "model_name:"), ("author:", "language:")):
        assert "HT115" not in codes(text.replace(old, new).encode())
    assert "HT205" in codes(b"---\nmodel_name: x\nlicense: mit\n---\n# x\n")


@pytest.mark.parametrize(
    ("revision", "code"),
    [
        ("a" * 40, None), ("0" * 64, None), ("main", "HT508"), ("r1.9", "HT508"), ("v1.0", "HT508"),
        ("feature/x", "HT508"),
        ("0123abc", "HT507"), ("refs/pull/7/head", "HT507"), ("pull/7/head", "HT507"), ("HEAD", "HT507"),
        ("HEAD~1", "HT507"), ("main..x", "HT507"), ("main@{1}", "HT507"), ("-x", "HT507"), ("A" * 40, "HT507"),
        ("main^", "HT507"), ("refs/heads/main", "HT507"),
    ],
)  # fmt: skip
def test_revisions(text: str, revision: str, code: str | None) -> None:
    data = text.replace("license:", f"repo-revision: '{revision}'\nlicense:", 1).encode()
    assert [one for one in codes(data) if one in ("HT207", "HT507", "HT508")] == ([code] if code else [])
    if code == "HT507":
        with pytest.raises(ArgumentError):
            check_revision(revision)
    else:
        check_revision(revision)
