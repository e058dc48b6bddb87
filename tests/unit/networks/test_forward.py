"""One forward pass: batches are cut to one item, nested outputs are listed, and a failure tells its own error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hubtool.errors import NetworkError
from hubtool.publish.check_rows import ending
from hubtool.sandbox.run import ProgramResult

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mindspore


def network(construct: Callable[..., Any]) -> Any:
    """Return a Cell that computes with a function."""
    from mindspore import nn

    class Net(nn.Cell):  # type: ignore[misc] # MindSpore has no types
        def construct(self, *tensors: Any) -> Any:
            return construct(*tensors)

    return Net()


def tensors(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    from hubtool.networks.entry_point import example

    return example(tuple((f"x{at}", shape, "float32") for at, shape in enumerate(shapes)))


def outputs(construct: Callable[..., Any], given: tuple[Any, ...], *, fixed: bool = False) -> list[str]:
    from hubtool.networks.forward import forward

    return [one.told for one in forward(network(construct), given, fixed=fixed)]


def test_a_recorded_batch_becomes_a_batch_of_one() -> None:
    sizes: list[tuple[int, ...]] = []

    def construct(image: Any, label: Any) -> Any:
        sizes.extend((image.shape, label.shape))
        return image * 2

    assert outputs(construct, tensors((128, 3, 8, 8), (128,))) == ["Float32 [1, 3, 8, 8]"]
    assert sizes == [(1, 3, 8, 8), (1,)]


def test_a_network_that_takes_its_batch_only_gets_it() -> None:
    for _ in range(200):  # the error of the batch of one comes from another thread, now early and now late
        assert outputs(lambda x: x.reshape(4, 6), tensors((4, 2, 3))) == ["Float32 [4, 6]"]


@pytest.mark.parametrize(("shapes", "fixed"), [(((4, 2), (3, 2)), False), (((4, 2),), True), (((4, 2), ()), False)])
def test_what_is_no_batch_stays_as_it_is(shapes: tuple[tuple[int, ...], ...], fixed: bool) -> None:
    assert outputs(lambda x, *_: x, tensors(*shapes), fixed=fixed) == ["Float32 [4, 2]"]


def test_nested_outputs_are_listed_in_order() -> None:
    found = outputs(lambda x: ((x, [x.sum()]), ({"a": x, "b": (x.T,)}, None)), tensors((1, 3)))
    assert found == ["Float32 [1, 3]", "Float32 []", "Float32 [1, 3]", "Float32 [3, 1]"]


def test_outputs_that_are_no_numbers_are_counted() -> None:
    found = outputs(lambda x: (x / (x * 0), (x - x) / (x * 0), x), tensors((2, 2)), fixed=True)
    assert found == [
        "Float32 [2, 2], 4 infinite of 4 elements",
        "Float32 [2, 2], 4 NaN of 4 elements",
        "Float32 [2, 2]",
    ]


def test_a_failure_tells_its_own_error_and_where_it_was_raised() -> None:
    from hubtool.networks.forward import forward

    def construct(*_: Any) -> Any:
        message = "the mask has 7 columns\nand more"
        raise ValueError(message)

    with pytest.raises(NetworkError, match="ValueError: the mask has 7 columns") as caught:
        forward(network(construct), tensors((2, 3)))
    assert "test_forward.py:" in caught.value.message
    assert caught.value.hint is not None
    assert "[2, 3]" in caught.value.hint
    assert "add 'inputs'" not in str(caught.value)


def test_the_error_of_a_program_is_not_hidden_behind_its_hint() -> None:
    output = (
        "Traceback (most recent call last):\nhubtool.errors.NetworkError: it broke\nhint: add 'inputs' to the recipe\n"
    )
    ended = ProgramResult(code=1, reason="", output=output, answer=b"", seconds=0.0, memory=0, held=frozenset(), why="")
    assert ending(ended) == "it ended with 1: hubtool.errors.NetworkError: it broke"
