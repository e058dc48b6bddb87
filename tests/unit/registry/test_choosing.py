"""Choosing between models: filters, orders, and what is said about what was left out."""

from __future__ import annotations

import pytest

from hubtool.errors import ArgumentError
from hubtool.registry.choosing import Choice, choose, read_count
from hubtool.registry.entry import CardEntry
from hubtool.registry.found import FoundModel
from hubtool.uid import Uid


def model(
    name: str, *, result: str = "", elements: int | None = None, verified: str = "", updated: str = ""
) -> FoundModel:
    uid = Uid.parse(f"p/1.9/{name}")
    entry = CardEntry(uid=uid, digest="0" * 64, result=result, elements=elements, verified=verified, updated=updated)
    return FoundModel(entry=entry, versions=(str(uid),))


SORTED = "sorted by top1acc, the greatest first"
MODELS = [
    model("a", result="top1acc 70.5", elements=5_000_000, updated="2022-01-09"),
    model("b", result="mAP 30", elements=900, verified="package", updated="2024-02-01"),
    model("c", result="top1acc 9.25", verified="script", updated="2022-01-10"),
    model("d", elements=25_000_000),
    model("e", result="top1acc 80", elements=11_000_000),
]


def names(models: list[FoundModel]) -> str:
    return "".join(one.entry.uid.name for one in models)


@pytest.mark.parametrize(
    ("choice", "expected", "note"),
    [
        (Choice(), "abcde", ""),
        (Choice(sort="size"), "baedc", ""),
        (Choice(sort="date"), "bcade", ""),
        (
            Choice(sort="score"),
            "eacbd",
            "sorted by top1acc, the greatest first; 2 models without that result come last",
        ),
        (Choice(verified=True), "bc", ""),
        (Choice(most_elements=11_000_000), "abe", "left out: 1 model whose parameters are not known"),
        (Choice(sort="score", most_elements=5_000_000), "ab", "left out: 1 model whose parameters are not known"),
    ],
)
def test_choices(choice: Choice, expected: str, note: str) -> None:
    models, notes = choose(MODELS, choice)
    assert names(models) == expected
    assert notes[:1] == ([note] if note else [])


def test_of_losses_the_least_is_best() -> None:
    losses = [model("a", result="loss 2.5"), model("b", result="loss 0.3"), model("c", result="loss 10")]
    assert names(choose(losses, Choice(sort="score"))[0]) == "bac"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("confidence", "b"),
        ("100%-EER", "b"),
        ("EER", "a"),
        ("bestpathler", "a"),
        ("frechet", "a"),
        ("wer", "a"),
        ("F1score", "b"),
    ],
)
def test_which_way_a_metric_goes(name: str, first: str) -> None:
    models, notes = choose([model("a", result=f"{name}: 1"), model("b", result=f"{name}: 2")], Choice(sort="score"))
    assert (names(models)[0], "least" in notes[0]) == (first, first == "a")


def test_models_without_results() -> None:
    models, notes = choose([model("a"), model("b")], Choice(sort="score"))
    assert names(models) == "ab"
    assert notes == ["no model here states a result"]


@pytest.mark.parametrize("text", ["", "M", "-1", "1e9", "10 MB", "nan", "1" * 300 + "x", "9" * 400])
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(ArgumentError, match="is no count"):
        read_count(text)


def test_an_order_that_is_none() -> None:
    with pytest.raises(ArgumentError, match="nothing is sorted by"):
        choose(MODELS, Choice(sort="colour"))
