"""How much a network makes of a change that rounding could be: what a tolerance has to allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hubtool.networks.provider import BuiltNetwork
from hubtool.verification import measure_main, rule


def test_numbers_move_up_and_down() -> None:
    moved = rule.nudged(np.ones(5), 0.5)
    assert sorted(moved.tolist()) == [0.5, 0.5, 0.5, 1.5, 1.5]
    assert rule.nudged(np.arange(3), 0.5).tolist() == [0, 1, 2]


@pytest.mark.mindspore
@pytest.mark.parametrize(("dtype", "shape"), [("int32", [1, 6]), ("float32", [1, 6])])
def test_a_network_that_takes_differences_is_noisy(dtype: str, shape: list[int]) -> None:
    from mindspore import nn

    class Differences(nn.Cell):  # type: ignore[misc] # MindSpore has no types
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(50, 8)

        def construct(self, x: Any) -> Any:
            found = self.table(x) if dtype == "int32" else x
            return (found + 1000 - 1000) - found

    network = Differences()
    measure_main.fill(network)
    built = BuiltNetwork(network=network, prefix="", notes=(), example=tuple)
    inputs = [{"name": "x", "shape": shape, "dtype": dtype}]
    first = measure_main._outputs(built, inputs)
    assert measure_main._apart(first, measure_main._moved(built, inputs)) > 1e-3
