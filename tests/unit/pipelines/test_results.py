"""What outputs mean: probabilities, labels and entities, and outputs that do not fit the card."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hubtool.card import labels
from hubtool.errors import NetworkError
from hubtool.pipelines import results
from hubtool.pipelines.results import Entity, Label, Result

LABELS = ("cat", "dog", "hat")


def test_probabilities_of_each_kind() -> None:
    scores = np.array([[0.0, np.log(2), np.log(5)]])
    for kind, numbers in {
        "scores": scores + 700,  # large scores do not overflow
        "log-probabilities": scores - np.log(8),
        "probabilities": np.exp(scores) / 8,
    }.items():
        found = results.labels_of(numbers, kind, LABELS, 2)
        assert [one.label for one in found] == ["hat", "dog"]
        np.testing.assert_allclose([one.score for one in found], [5 / 8, 2 / 8], rtol=1e-12)


def test_a_class_without_a_label_is_called_by_its_number() -> None:
    names = labels.of_value({"vocabulary": "cifar-10", "classes": 11})
    assert names is not None
    first, second = results.labels_of(np.array([[0.0] * 9 + [np.log(2), np.log(5)]]), "scores", names, 2)
    assert (first.label, second.label) == ("class 10 (no label)", "truck")
    np.testing.assert_allclose([first.score, second.score], [5 / 16, 2 / 16])  # of all eleven numbers
    with pytest.raises(NetworkError, match="11 labels"):
        results.labels_of(np.zeros((1, 10)), "scores", names, 1)


@pytest.mark.parametrize("shape", [(1, 4), (2, 3), (1, 3, 1), ()])
def test_outputs_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(NetworkError, match="3 labels"):
        results.labels_of(np.zeros(shape), "scores", LABELS, 1)


def test_outputs_that_are_not_finite() -> None:
    with pytest.raises(NetworkError, match="not finite"):
        results.labels_of(np.array([[0, np.nan, 1]]), "scores", LABELS, 1)


@pytest.mark.parametrize("kind", ["probabilities", "log-probabilities"])
def test_numbers_that_are_no_probabilities(kind: str) -> None:
    with pytest.raises(NetworkError, match="its numbers are none"):
        results.labels_of(np.array([[5.9, -0.3, 1]]), kind, LABELS, 1)


def test_nothing_steers_the_terminal() -> None:
    label = Label(label="a\x1b[31mb\nc", score=1.0)
    assert "\x1b" not in repr(label) + repr(Result(source="x", found=(label,)))
    assert len(repr(Result(source="x", found=(label,))).splitlines()) == 1


def test_entities_by_number_and_by_score() -> None:
    labels = ("O", "B-PER", "I-PER")
    tags = np.array([[0, 1, 2, 0, 1, 0]])
    wanted = (Entity(entity="PER", text="王小", start=0, end=2), Entity(entity="PER", text="李", start=3, end=4))
    assert results.entities_of(tags, "class-indices", labels, "王小和李") == wanted
    shares = np.full((1, 6, 3), 0.1)
    for place, (tag, share) in enumerate(zip(tags[0], (0.8, 0.8, 0.6, 0.8, 0.5, 0.8), strict=True)):
        shares[0, place, tag] = share
    for kind, numbers in {"probabilities": shares, "log-probabilities": np.log(shares)}.items():
        scored = results.entities_of(numbers, kind, labels, "王小和李")
        assert [one.score for one in scored] == [pytest.approx(0.7), pytest.approx(0.5)]
        assert tuple(replace(one, score=None) for one in scored) == wanted
    by_scores = results.entities_of(4 * np.eye(3)[tags[0]][None], "scores", labels, "王小和李")
    assert [one.score for one in by_scores] == [pytest.approx(np.exp(4) / (np.exp(4) + 2))] * 2
    assert "score" not in wanted[0].as_json()
    assert by_scores[0].as_json()["score"] == by_scores[0].score
    (line, _) = Result(source="x", found=by_scores).lines()
    assert line == "PER  王小  characters 0 to 2  96.5%"
    with pytest.raises(NetworkError, match="not finite"):
        results.entities_of(np.full((1, 6, 3), np.nan), "scores", labels, "王小和李")
    with pytest.raises(NetworkError, match="3 labels"):
        results.entities_of(np.zeros((1, 6, 4)), "scores", labels, "王小和李")
    with pytest.raises(NetworkError, match="for each token"):
        results.entities_of(np.zeros(6), "class-indices", labels, "王小和李")
    with pytest.raises(NetworkError, match="has no label"):
        results.entities_of(np.full((1, 6), 9), "class-indices", labels, "王小和李")


def test_how_results_look() -> None:
    result = Result(source="<b>.png", found=(Label(label="<cat>", score=0.75), Label(label="dog", score=0.25)))
    assert result.lines() == [f"<cat>   75.0%  {'█' * 18}", f"dog     25.0%  {'█' * 6}"]
    assert result.lines(bars=False) == ["<cat>   75.0%", "dog     25.0%"]
    assert repr(result) == "\n".join(result.lines())
    assert "<b>" not in result._repr_html_()
    assert "&lt;cat&gt;" in result._repr_html_()
    assert [one.label for one in result if isinstance(one, Label)] == ["<cat>", "dog"]
    many = Result(source="x", found=tuple(Label(label=str(number), score=0.0) for number in range(1000)))
    assert len(repr(many).splitlines()) == 21
    assert repr(Result(source="x", found=())) == "nothing found"
    chinese = Result(source="x", found=(Entity(entity="PER", text="王", start=0, end=1),
                                        Entity(entity="ORG", text="ab", start=1, end=3)))  # fmt: skip
    assert chinese.lines() == ["PER  王  characters 0 to 1", "ORG  ab  characters 1 to 3"]
