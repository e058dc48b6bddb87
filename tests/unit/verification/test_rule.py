"""The rule of known answers, held to numbers that docs/known-answers.md states and that were computed another way."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hubtool.card import known_answer
from hubtool.verification import rule

ROOT = Path(__file__).parents[3]


def split_mix(text: str, count: int) -> list[float]:
    """The generator of the rule in plain integers, as the page describes it."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    numbers = []
    for place in range(1, count + 1):
        state = (seed + place * 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        numbers.append(((state ^ (state >> 31)) >> 40) / 2**24)
    return numbers


@pytest.mark.parametrize("text", ["1/parameter/conv1.weight", "1/input/0", "é/中", ""])
def test_the_generator_is_the_one_of_the_page(text: str) -> None:
    assert rule.uniform(text, 1000).tolist() == split_mix(text, 1000)


def test_the_numbers_of_the_page() -> None:
    page = (ROOT / "docs/known-answers.md").read_text(encoding="utf-8")
    for name, shape in (("conv1.weight", (64, 3, 7, 7)), ("bn1.gamma", (64,)), ("bn1.moving_variance", (64,))):
        values = rule.parameter(name, shape, "Float32").reshape(-1)[:3]
        shown = ", ".join(f"{value:.7g}" for value in values)
        assert f"| `{name}` | {list(shape)} | {shown} |" in page
    shown = ", ".join(f"{value:.7g}" for value in rule.example(0, (1, 3, 224, 224), "float32").reshape(-1)[:3])
    assert f"| input 0 | [1, 3, 224, 224] | {shown} |" in page


@pytest.mark.parametrize(
    ("name", "shape", "low", "high"),
    [
        ("bn.moving_variance", (64,), 0.5, 1.5),
        ("bn.moving_mean", (64,), -0.1, 0.1),
        ("bn.gamma", (64,), 0.5, 1.5),
        ("norm.weight", (64,), 0.5, 1.5),
        ("bn.beta", (64,), -0.1, 0.1),
        ("conv.weight", (8, 4, 3, 3), -((4.5 / 36) ** 0.5), (4.5 / 36) ** 0.5),
        ("dense.weight", (100, 25), -((4.5 / 50) ** 0.5), (4.5 / 50) ** 0.5),
        ("lstm.weight", (400, 1, 1), -((4.5 / 20) ** 0.5), (4.5 / 20) ** 0.5),
        ("scalar", (), -0.1, 0.1),
    ],
)
def test_ranges(name: str, shape: tuple[int, ...], low: float, high: float) -> None:
    values = rule.parameter(name, shape, "Float32")
    assert values.dtype == np.float32
    assert values.shape == shape
    assert np.float32(low) <= values.min()
    assert values.max() <= np.float32(high)
    if values.size > 60:
        assert values.max() - values.min() > 0.8 * (high - low)


def test_integers_keep_their_values() -> None:
    assert rule.parameter("index", (3,), "Int32") is None
    assert rule.parameter("mask", (3,), "Bool") is None


def test_inputs() -> None:
    assert rule.example(0, (2, 3), "bool").all()
    ids = rule.example(1, (1000,), "int32", 3, 5)
    assert set(ids.tolist()) == {3, 4, 5}
    assert ids.dtype == np.int32
    numbers = rule.example(1, (1000,), "float16", 0, 255)
    assert numbers.dtype == np.float16
    assert 0 <= numbers.min() < 5
    assert 250 < numbers.max() <= 255
    assert (rule.example(0, (5,), "float32") != rule.example(1, (5,), "float32")).all()


def test_what_is_kept() -> None:
    told = rule.summary(np.arange(100, dtype=np.float32).reshape(4, 25))
    assert told == {
        "dtype": "float32",
        "shape": [4, 25],
        "mean": 49.5,
        "deviation": 28.86607,
        "values": [0.0, 14.0, 28.0, 42.0, 56.0, 70.0, 84.0, 99.0],
    }
    assert rule.summary(np.zeros((0, 4), np.float32))["values"] == []
    assert rule.summary(np.array(3, np.int32))["values"] == [3.0]
    with pytest.raises(ValueError, match="2 of 3 elements are NaN or infinite"):
        rule.summary(np.array([1, np.nan, np.inf]))


def test_card_and_rule_agree() -> None:
    assert (known_answer.RULE_VERSION, known_answer.SAMPLES) == (rule.VERSION, rule.SAMPLES)


def test_it_needs_numpy_alone() -> None:
    """maintain/oracle loads the file beside MindSpore 2.0.0, where hubtool cannot be installed."""
    program = (
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('rule', {str(ROOT / 'hubtool/verification/rule.py')!r}); "
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); "
        "assert not any(name.split('.')[0] in ('hubtool', 'mindspore') for name in sys.modules); "
        "print(module.uniform('x', 1))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(rule.uniform("x", 1))


def test_a_gain_scales_weights_and_nothing_else() -> None:
    for name, shape, factor in (("a.weight", (4, 4), 0.5), ("a.weight", (4,), 1.0), ("bn.moving_variance", (4,), 1.0)):
        whole, scaled = rule.parameter(name, shape, "float32"), rule.parameter(name, shape, "float32", 0.5)
        assert np.array_equal(scaled, np.float32(factor) * whole)


def test_inputs_with_bounds_of_their_own_are_not_widened() -> None:
    free, bounded = {"shape": [2], "dtype": "float32"}, {"shape": [2], "dtype": "float32", "low": 0, "high": 1}
    ids = {"shape": [2], "dtype": "int32"}
    assert rule.widened([free, bounded, ids], None) == [free, bounded, ids]
    assert rule.widened([free, bounded, ids], 30.0) == [{**free, "low": -30.0, "high": 30.0}, bounded, ids]
