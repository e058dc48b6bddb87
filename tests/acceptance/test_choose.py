"""Choosing between models: list and search with filters and orders, compare, and the same from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import hubtool
from hubtool.cli import listing
from hubtool.errors import ArgumentError, ArgumentTypeError, InvalidNameError
from tests.support.cards import write_card
from tests.support.server import serving

if TYPE_CHECKING:
    from tests.support.cli import Cli

ANSWER = """
  known-answer:
    rule: 1
    source: package
    mindspore: 2.10.0
    device: CPU
    date: '2026-11-30'
    tolerance: 0.0001
    equal-on: [2.10.0]
    outputs:
    - {dtype: float32, shape: [1, 2], mean: 0.5, deviation: 0.5, values: [0.25, 1.5]}
"""


@pytest.fixture
def cards(cli: Cli) -> Cli:
    """Return a command line with four models, one of which has two versions."""
    for uid, result, elements, more in (
        ("lab/1.9/small_cifar10", "top1acc 90.5", 1_200_000, ANSWER),
        ("lab/1.10/small_cifar10", "top1acc 91", 1_200_000, ANSWER),
        ("lab/1.9/large_cifar10", "top1acc 97.25 | top5acc 99", 86_000_000, ""),
        ("lab/1.9/detector_coco2017", "mAP 31.5", 9_000_000, ""),
        ("lab/1.9/unknown_none", "", None, ""),
    ):
        path = write_card(cli.registry, uid, link="https://download.mindspore.cn/x.ckpt", content=uid.encode())
        text = path.read_text(encoding="utf-8")
        task = "object-detection" if "coco" in uid else "image-classification"
        facts = f"train-dataset: {uid.rpartition('_')[2]}\n" + (f"evaluation: {result}\n" if result else "")
        facts += f"task: {task}\n" if elements else ""
        text = text.replace("author:", f"{facts}author:").replace("module-type: nlp", "module-type: cv")
        text = text.replace("backbone-name: bert", "backbone-name: nothing known")
        if elements:
            text = text.replace("entry: bert\n", f"entry: bert\n  elements: {elements}\n")
        text = text.replace("\nlicense:", f"{more.rstrip()}\nlicense:", 1)
        path.write_text(text, encoding="utf-8")
    return cli


def uids(cli: Cli, *arguments: str) -> list[str]:
    return [one["uid"].partition("/")[2] for one in cli(*arguments, "--json").json]


def test_orders_and_filters(cards: Cli) -> None:
    small, large, coco = "1.10/small_cifar10", "1.9/large_cifar10", "1.9/detector_coco2017"
    assert uids(cards, "list", "--latest", "--sort", "size") == [small, coco, large, "1.9/unknown_none"]
    assert uids(cards, "list", "--latest", "--sort", "score", "--task", "image-classification") == [large, small]
    assert uids(cards, "list", "--verified") == [small, "1.9/small_cifar10"]
    assert uids(cards, "list", "--latest", "--max-parameters", "9M", "--sort", "size") == [small, coco]
    assert uids(cards, "search", "cifar10", "--sort", "score") == [large, small]
    assert uids(cards, "search", "cifar10", "--max-parameters", "1.2M") == [small]
    done = cards("search", "cifar10", "--max-parameters", "1k")
    assert done.out == ""
    assert "2 models found, and none is as the options ask" in done.err


def test_an_earlier_run_of_the_recipe_verifies_nothing(cards: Cli) -> None:
    for path in (cards.registry / "lab").rglob("small_cifar10.md"):
        path.write_text(path.read_text(encoding="utf-8").replace("source: package", "source: itself"), encoding="utf-8")
    assert uids(cards, "list", "--verified") == []
    assert "an earlier run of this recipe" in cards("compare", "lab/1.10/small_cifar10").out


def test_an_answer_that_cannot_be_used_verifies_nothing(cards: Cli) -> None:
    for path in (cards.registry / "lab").rglob("small_cifar10.md"):
        path.write_text(path.read_text(encoding="utf-8").replace("[0.25, 1.5]", "[0.0, 1.0]"), encoding="utf-8")
    assert uids(cards, "list", "--verified") == []
    assert "verified      no" in cards("compare", "lab/1.10/small_cifar10").out


def test_what_is_left_out_is_said(cards: Cli) -> None:
    done = cards("list", "--task", "image-classification", "--max-parameters", "10M")
    assert "small_cifar10" in done.out
    assert "left out: 1 card whose task is not known" in done.err
    done = cards("list", "--max-parameters", "10M")
    assert "left out: 1 model whose parameters are not known" in done.err
    assert (
        "sorted by top1acc, the greatest first; 2 models without that result come last"
        in cards("list", "--sort", "score").err
    )


def test_questions(cards: Cli) -> None:
    assert cards("list", "--task", "?", "--json").json["task"] == {"image-classification": 2, "object-detection": 1}
    assert cards("list", "--version", "?").out.split() == ["4", "1.9", "1", "1.10"]
    assert cards("list", "--dataset", "?", "--version", "1.10").out.split() == ["1", "CIFAR-10"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--max-parameters", "many"), "is no count"),
        (("search", "x", "--max-parameters", "-3"), "is no count"),
        (("list", "--sort", "colour"), "'colour' is not one of"),
        (("list", "--latest", "--all-versions"), "exclude each other"),
        (("compare",), "Missing argument"),
        (("compare", "lab/1.9/no_such"), "no card has the UID"),
    ],
)
def test_wrong_use(cards: Cli, arguments: tuple[str, ...], words: str) -> None:
    done = cards(*arguments)
    assert done.code != 0
    assert words in done.err


def test_compare(cards: Cli) -> None:
    done = cards("compare", "small_cifar10", "lab/1.9/large_cifar10")
    assert "small_cifar10 is lab/1.10/small_cifar10, the newest of 2" in done.err
    first, second = done.out.split("\n\n")
    assert first.splitlines()[0] == "lab/1.10/small_cifar10"
    assert "parameters    1.2 M (1,200,000)" in first
    assert "results       top1acc 97.25, top5acc 99" in second
    assert [line[:14] for line in first.splitlines()[1:]] == [line[:14] for line in second.splitlines()[1:]]
    told = cards("compare", "lab/1.9/large_cifar10", "lab/1.9/unknown_none", "--json").json
    assert [one["elements"] for one in told] == [86_000_000, None]
    assert [one["results"] for one in told] == [["top1acc 97.25", "top5acc 99"], []]


def test_python(cards: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_HOME", str(cards.home))
    monkeypatch.setenv("HUBTOOL_REGISTRY", str(cards.registry))
    found = hubtool.list(dataset="cifar-10", sort="score")
    assert [one.uid for one in found] == ["lab/1.9/large_cifar10", "lab/1.10/small_cifar10"]
    assert (found[1].elements, found[1].result, found[1].verified) == (1_200_000, "top1acc 91", "package")
    assert "large_cifar10" in repr(found)
    assert [one.uid for one in hubtool.search("cifar10", verified=True)] == ["lab/1.10/small_cifar10"]
    assert [one.uid for one in hubtool.list(max_parameters="2M", verified=True, all_versions=True)] == [
        "lab/1.10/small_cifar10",
        "lab/1.9/small_cifar10",
    ]
    shown = hubtool.show("small_cifar10")
    assert (shown.uid, shown.elements, shown.results) == ("lab/1.10/small_cifar10", 1_200_000, ("top1acc 91",))
    assert len(repr(shown).splitlines()) < 20
    assert "<table>" in shown._repr_html_()
    with pytest.raises(ArgumentError, match="nothing is sorted by"):
        hubtool.list(sort="colour")
    with pytest.raises(ArgumentTypeError, match="max_parameters"):
        hubtool.list(max_parameters=1.5)  # type: ignore[arg-type] # a wrong type on purpose
    with pytest.raises(ArgumentTypeError, match="task is 3"):
        hubtool.list(task=3)  # type: ignore[arg-type] # as above
    with pytest.raises(InvalidNameError):
        hubtool.show("no_such_model")


def test_a_card_says_which_facts_are_missing(cards: Cli) -> None:
    uid = "lab/1.9/detector_coco2017"
    shown = cards("show", uid)
    assert "\nfacts              2 of 7, without architecture, inputs, preprocessing, outputs, labels\n" in shown.out
    assert cards("show", uid, "--json").json["missing"] == [
        *("architecture", "inputs", "preprocessing", "outputs", "labels")
    ]
    assert "facts         2 of 7, without" in cards("compare", uid).out


def test_the_size_comes_with_the_first_fetch(cli: Cli) -> None:
    with serving(b"0123456789" * 1000) as server:
        write_card(cli.registry, "lab/1.9/model", link=f"{server.url}/model.ckpt", content=b"0123456789" * 1000)
        assert "size not stated" in cli("show", "lab/1.9/model").out
        assert cli("fetch", "lab/1.9/model").code == 0
    assert "9.8 KiB as stored" in cli("show", "lab/1.9/model").out


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (44, ["model", "result"]),
        (60, ["model", "result", "size", "verified"]),
        (200, ["model", "what it does", "result", "size", "verified", "data set", "versions"]),
    ],
)
def test_a_table_has_the_columns_to_choose_by_that_fit(
    cards: Cli, monkeypatch: pytest.MonkeyPatch, columns: int, shown: list[str]
) -> None:
    monkeypatch.setenv("HUBTOOL_REGISTRY", str(cards.registry))
    monkeypatch.setenv("HUBTOOL_HOME", str(cards.home))
    monkeypatch.setenv("COLUMNS", str(columns))
    heading, *rows = listing._table(list(hubtool.list()))
    assert list(heading) == shown
    assert len(rows) == 4
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= columns
