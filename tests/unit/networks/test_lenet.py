"""The built-in image classifier: its sizes follow from a checkpoint's shapes, and from nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import ArgumentError, RecipeError
from hubtool.networks.builtin import build, infer, size_notes
from hubtool.networks.builtin.config import BertConfig
from hubtool.networks.builtin.lenet_sizes import LeNetSizes, infer_lenet, lenet_parameters
from hubtool.networks.builtin.match import match_only
from tests.support.modes import MODES, running

SIZES = LeNetSizes(channels=3, first=4, second=5, kernel=3, side=12, hidden=7, classes=6)
SHAPES = lenet_parameters(SIZES)
ALL_SIZES = st.builds(
    LeNetSizes,
    side=st.integers(1, 60).map(lambda count: 4 * count),
    channels=st.integers(1, 8),
    first=st.integers(1, 40),
    second=st.integers(1, 40),
    kernel=st.sampled_from([1, 3, 5, 7]),
    hidden=st.integers(1, 200),
    classes=st.integers(1, 1000),
)


@given(sizes=ALL_SIZES, prefix=st.sampled_from(["", "network.", "a.b."]))
def test_shapes_give_back_the_sizes(sizes: LeNetSizes, prefix: str) -> None:
    tensors = {prefix + name: shape for name, shape in lenet_parameters(sizes).items()}
    state = {"moment1." + name: shape for name, shape in tensors.items()}
    found, begin, notes = infer_lenet({}, {**state, **tensors})
    assert (found, begin) == (sizes, prefix)
    assert bool(notes) == bool(prefix)


def test_importing_needs_no_mindspore() -> None:
    code = (
        "import sys, hubtool.networks.builtin as b, hubtool.networks.builtin.lenet_sizes as c\n"
        "sys.exit(', '.join({'mindspore', 'numpy', 'requests'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv1.weight": None}, "has no conv1.weight"),
        ({"scores.weight": None}, "has no scores.weight"),
        ({"conv1.weight": (4, 3, 2, 2)}, "odd kernel"),
        ({"conv1.weight": (4, 3, 3, 5)}, r"conv1\.weight has the shape"),
        ({"conv2.weight": (5, 9, 3, 3)}, r"conv2\.weight has the shape"),
        ({"dense.weight": (7, 44)}, r"dense\.weight has the shape"),
        ({"scores.weight": (6, 8)}, r"scores\.weight has the shape"),
        ({"conv2.weight": (0, 4, 3, 3)}, "each at least 1"),
        ({"dense.weight": (7,)}, "must have 2 dimensions"),
        ({"dense.weight": (2**26, 45), "scores.weight": (6, 2**26)}, "too large"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(change: dict[str, Any], words: str) -> None:
    tensors = {name: shape for name, shape in {**SHAPES, **change}.items() if shape is not None}
    with pytest.raises(RecipeError, match=words):
        infer_lenet({}, tensors)


def test_state_of_an_optimizer_is_no_network_and_two_networks_are_none() -> None:
    with pytest.raises(RecipeError, match=r"has no conv1\.weight"):
        infer_lenet({}, {"moment1." + name: shape for name, shape in SHAPES.items()})
    both = {begin + name: shape for begin in ("one.", "other.") for name, shape in SHAPES.items()}
    with pytest.raises(RecipeError, match="several networks"):
        infer_lenet({}, both)


def test_without_a_checkpoint_nothing_is_guessed() -> None:
    with pytest.raises(RecipeError, match="not stored") as caught:
        infer_lenet({}, {})
    assert "hubtool fetch" in (caught.value.hint or "")


@pytest.mark.parametrize("count", [0, -1, True, 2.0, "10", 2**21])
def test_a_number_of_labels_that_is_none_is_refused(count: object) -> None:
    with pytest.raises(RecipeError, match="num_labels must be"):
        infer_lenet({"num_labels": count}, SHAPES)


def test_unknown_arguments_are_named() -> None:
    with pytest.raises(RecipeError, match="'num_classes'") as caught:
        infer_lenet({}, SHAPES, overrides={"num_classes": 3})
    assert "did you mean 'num_labels'?" in (caught.value.hint or "")


def test_the_shapes_come_before_the_recipe_and_the_caller_before_the_shapes_only_where_weights_may_stay_out() -> None:
    found, _, notes = infer_lenet({"num_labels": 9}, SHAPES)
    assert found == SIZES
    assert notes == ("argument num_labels of the recipe is 9; the checkpoint's shapes say 6",)
    with pytest.raises(RecipeError, match="given as 9") as caught:
        infer_lenet({}, SHAPES, overrides={"num_labels": 9})
    assert "strict=False" in (caught.value.hint or "")
    found, _, notes = infer_lenet({}, SHAPES, overrides={"num_labels": 9}, overruling=True)
    assert found.classes == 9
    assert notes == ("argument num_labels is 9; the checkpoint's shapes say 6",)


def test_names_as_plain_as_these_tell_no_network() -> None:
    # Another network with the same tensors may pool otherwise; a card has to say that it is this one.
    assert match_only(SHAPES) is None
    assert size_notes("lenet", {}, {"network." + name: shape for name, shape in SHAPES.items()}) == (
        "the checkpoint's names begin with network.",
    )


@pytest.mark.mindspore
def test_a_configuration_of_another_network_is_refused() -> None:
    with pytest.raises(RecipeError, match="lenet cannot be built with a BertConfig"):
        build("lenet", BertConfig())
    with pytest.raises(RecipeError, match="bert cannot be built with a LeNetSizes"):
        build("bert", SIZES)
    with pytest.raises(RecipeError, match="no built-in network is called 'lenet5'"):
        infer("lenet5", {}, SHAPES)


@pytest.mark.mindspore
@pytest.mark.parametrize("mode", MODES)
def test_it_has_the_parameters_it_is_said_to_have_and_computes_what_they_say(mode: str) -> None:
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor

    with running(mode):
        ms.set_seed(3)
        network = build("lenet", SIZES)
        assert [(each.name, tuple(each.shape)) for each in network.get_parameters()] == list(SHAPES.items())
        assert network.training is False
        pictures = np.random.default_rng(0).random((2, 3, 12, 12)).astype(np.float32)
        weights = {each.name: each.asnumpy().astype(np.float64) for each in network.get_parameters()}
        found = network(Tensor(pictures))
        assert str(found.dtype) == "Float32"
        assert found.asnumpy() == pytest.approx(computed(weights, pictures.astype(np.float64)), abs=1e-4)


def computed(weights: dict[str, Any], x: Any) -> Any:
    """The same network in NumPy, written from its description."""
    import numpy as np

    for name in ("conv1", "conv2"):
        weight = weights[f"{name}.weight"]
        half = weight.shape[2] // 2
        padded = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))  # type: ignore[call-overload] # NumPy takes several axes
        x = np.einsum("nchwij,ocij->nohw", windows, weight) + weights[f"{name}.bias"][None, :, None, None]
        count, channels, height, width = x.shape
        x = np.maximum(x, 0).reshape(count, channels, height // 2, 2, width // 2, 2).max((3, 5))
    x = np.maximum(x.reshape(len(x), -1) @ weights["dense.weight"].T + weights["dense.bias"], 0)
    return x @ weights["scores.weight"].T + weights["scores.bias"]


@pytest.mark.mindspore
@pytest.mark.parametrize("shape", [(1, 1, 12, 12), (1, 3, 8, 12), (3, 12, 12), (1, 3, 12, 12, 1)])
def test_pictures_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    import numpy as np
    from mindspore import Tensor

    with pytest.raises(ArgumentError, match=r"pictures \(batch, 3, 12, 12\); got"):
        build("lenet", SIZES)(Tensor(np.zeros(shape, np.float32)))
