"""Comparing outputs with a known answer, and reading one from a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hubtool.card import known_answer
from hubtool.errors import RecipeError
from hubtool.verification import compare

if TYPE_CHECKING:
    from hubtool.card.known_answer import KnownAnswer, OutputSummary

OUTPUT: dict[str, Any] = {"dtype": "float32", "shape": [3], "mean": 2.0, "deviation": 0.5, "values": [1.5, 2.0, 2.5]}
ANSWER: dict[str, Any] = {
    "rule": 1,
    "source": "script",
    "mindspore": "2.10.0",
    "device": "CPU",
    "date": "2026-11-30",
    "tolerance": 1e-4,
    "outputs": [OUTPUT],
}


def answer(**more: Any) -> KnownAnswer:
    return known_answer.parse({**ANSWER, **more})


def output(**more: Any) -> OutputSummary:
    return known_answer.parse_output({**OUTPUT, **more})


def test_equal_within_the_tolerance() -> None:
    scale = output().scale
    near, far = output(values=[1.5 + 0.9e-4 * scale, 2.0, 2.5]), output(values=[1.5 + 1.1e-4 * scale, 2.0, 2.5])
    assert compare.compare(answer(), [near], tolerance=1e-4) == []
    (found,) = compare.compare(answer(), [far], tolerance=1e-4)
    assert found.size == pytest.approx(1.1e-4)
    assert found.output == 1


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ([], "there are 0 outputs and should be 1"),
        ([output(), output()], "there are 2 outputs and should be 1"),
        ([output(shape=[1, 3])], "its shape is [1, 3] and should be [3]"),
        ([output(dtype="int32")], "its type is int32 and should be float32"),
        ([output(mean=2.1)], "it differs by 0.049 of its scale (2.06)"),
        ([output(deviation=0.4)], "it differs by 0.049 of its scale (2.06)"),
    ],
)
def test_what_differs(outputs: list[OutputSummary], told: str) -> None:
    (found,) = compare.compare(answer(), outputs, tolerance=1e-4)
    assert found.what == told


def test_the_width_of_a_type_may_differ() -> None:
    """The index of ArgMaxWithValue has 32 bits in MindSpore 2.0.0, and 64 in 2.10."""
    wanted = answer(outputs=[{**OUTPUT, "dtype": "int32"}])
    assert compare.compare(wanted, [output(dtype="int64")], tolerance=1e-4) == []


def test_whole_numbers_are_equal_or_not() -> None:
    """Class 990 is not class 983, however large the tolerance of the device is."""
    classes = {"dtype": "int32", "shape": [3], "mean": 469.0, "deviation": 400.2, "values": [990, 17, 400]}
    wanted = answer(outputs=[classes])
    assert compare.compare(wanted, [output(**classes)], tolerance=2e-2) == []
    (found,) = compare.compare(wanted, [output(**{**classes, "values": [983, 17, 400]})], tolerance=2e-2)
    assert found.what == "1 of 3 kept elements are not equal"
    (found,) = compare.compare(wanted, [output(**{**classes, "mean": 469.1})], tolerance=2e-2)
    assert found.what == "the mean or the deviation of all elements is not equal"


def test_zeros_have_no_scale() -> None:
    nothing = {**OUTPUT, "mean": 0, "deviation": 0, "values": [0, 0, 0]}
    wanted = answer(outputs=[nothing, OUTPUT])
    assert compare.compare(wanted, [output(**nothing), output()], tolerance=1e-4) == []
    assert compare.compare(wanted, [output(**{**nothing, "values": [0, 0, 1e-3]}), output()], tolerance=1e-4)


def test_a_saturated_output_is_no_answer() -> None:
    for values in ([0, 0, 0], [0, 1, 1], [1e-6, 0, 1]):
        with pytest.raises(RecipeError, match="are 0 or 1"):
            answer(outputs=[{**OUTPUT, "values": values}])
    assert answer(outputs=[{**OUTPUT, "values": [0, 1, 0.3]}])
    with pytest.raises(RecipeError, match=r"at most 0\.02"):
        answer(tolerance=1)


def test_the_tolerance_depends_on_the_device() -> None:
    assert compare.tolerance_on("CPU", answer()) == 1e-4
    assert compare.tolerance_on("Ascend", answer()) == 2e-2
    assert compare.tolerance_on("CPU", answer(tolerance=0.02)) == compare.tolerance_on("Ascend", answer(tolerance=0.02))


def test_as_it_was() -> None:
    assert known_answer.parse(answer().as_json()) == answer()


def test_only_a_built_in_network_has_arguments_of_an_answer() -> None:
    values = {**ANSWER, "arguments": {"checkpoint_path": "x"}}
    assert known_answer.parse(values).arguments == {"checkpoint_path": "x"}
    with pytest.raises(RecipeError, match="only that of a built-in network"):
        known_answer.parse(values, provider="package")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"rule": 2}, "version 2 of the rule, and this hubtool knows 1"),
        ({"rule": "1"}, "'1' is not a whole number"),
        ({"rule": 0}, "version 0 of the rule, and the first is 1"),
        ({"outputs": [{**OUTPUT, "mean": 1.7e308, "deviation": 1.7e308}]}, "a scale that is not finite"),
        ({"inputs": [{"shape": [1], "dtype": "int32", "low": 5, "high": 1}]}, "bounds that are in the wrong order"),
        ({"inputs": [{"shape": [1], "dtype": "uint8", "high": 256}]}, "too large for uint8"),
        ({"inputs": [{"shape": [1], "dtype": "float32", "high": 1e300}]}, "too large for float32"),
        ({"inputs": [{"shape": [1], "dtype": "object"}]}, "input 1 has the type 'object'"),
        ({"tolerance": 0}, "its tolerance is 0"),
        ({"tolerance": 2}, "its tolerance is 2"),
        ({"tolerance": float("nan")}, "'nan' is not a finite number"),
        ({"source": "me"}, "its source is 'me'"),
        ({"outputs": []}, "it has no output"),
        ({"outputs": [{**OUTPUT, "values": [1.0]}]}, "output 1 has 1 values, and its shape asks for 3"),
        ({"outputs": [{**OUTPUT, "values": [1, 2, float("inf")]}]}, "'inf' is not a finite number"),
        ({"outputs": [{**OUTPUT, "shape": 3}]}, "a shape is 3, and not a list"),
        ({"outputs": [{"dtype": "float32"}]}, "'shape' is missing"),
        ({"outputs": "all"}, "cannot be read"),
        ({"inputs": [{"shape": [100_000, 1000, 250], "dtype": "float32"}]}, "would take 93 GiB, more than 4"),
    ],
)
def test_what_cannot_be_used(more: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        answer(**more)
    assert told in caught.value.message
