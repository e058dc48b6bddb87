"""Two networks with the same parameters are told apart by what they compute, or by how they are set."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.mindspore


def network(*, statistics: bool | None = None, dilation: int = 1, runs: bool = True) -> Any:
    from mindspore import nn

    class Net(nn.Cell):  # type: ignore[misc] # MindSpore has no types
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3, dilation=dilation, pad_mode="same")
            self.norm = nn.BatchNorm2d(4, use_batch_statistics=statistics)

        def construct(self, x: Any) -> Any:
            if not runs:
                raise TypeError("no kernel")
            return self.norm(self.convolution(x))

    return Net()


INPUTS = (("x", (2, 3, 9, 9), "float32"),)


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("inputs", [INPUTS, ()])
def test_switches_and_strides_are_seen(runs: bool, inputs: tuple[Any, ...]) -> None:
    from maintain.discovery.behaviour import Behaviour

    usual = Behaviour.of(network(runs=runs), inputs)
    assert (usual.outputs is not None) == (runs and bool(inputs))
    assert usual == Behaviour.of(network(runs=runs), inputs)
    assert usual != Behaviour.of(network(statistics=True, runs=runs), inputs)
    assert usual != Behaviour.of(network(dilation=2, runs=runs), inputs)


def test_a_network_that_runs_is_not_one_that_does_not() -> None:
    from maintain.discovery.behaviour import Behaviour

    assert Behaviour.of(network(), INPUTS) != Behaviour.of(network(runs=False), INPUTS)
