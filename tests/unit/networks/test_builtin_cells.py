"""The built-in networks of the BERT family by themselves: any shape, clear errors, training, initial weights."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hubtool.errors import ArgumentError, RecipeError
from hubtool.networks.builtin import BertConfig, build, infer, parameters
from hubtool.networks.builtin.config import entry_names
from tests.support.modes import MODES, running

pytestmark = pytest.mark.mindspore

SMALL: dict[str, object] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def made(entry: str, **more: object) -> Any:
    labels = {"num_labels": 7} if entry in {"bert-ner", "bert-classifier"} else {}
    return build(entry, infer(entry, {**SMALL, **labels, **more}, {}).config)


def inputs(batch: int, length: int, seed: int = 0) -> list[Any]:
    """Token ids, mask, token types."""
    import numpy as np
    from mindspore import Tensor

    numbers = np.random.default_rng(seed)
    mask = np.arange(length) < numbers.integers(1, length + 1, (batch, 1))
    arrays = (numbers.integers(0, 50, (batch, length)), mask, numbers.integers(0, 2, (batch, length)))
    return [Tensor(array.astype(np.int32)) for array in arrays]


@pytest.mark.parametrize("entry", entry_names())
@pytest.mark.parametrize("relative", [False, True])
def test_every_entry_has_the_parameters_it_is_said_to_have(entry: str, relative: bool) -> None:
    more = {"with_lstm": True, "use_crf": True} if entry == "bert-ner" else {}
    network = made(entry, use_relative_positions=relative, **more)
    labels = {"num_labels": 7} if entry in {"bert-ner", "bert-classifier"} else {}
    config = infer(entry, {**SMALL, **labels, "use_relative_positions": relative, **more}, {}).config
    found = {each.name: tuple(each.shape) for each in network.get_parameters()}
    assert list(found.items()) == list(parameters(entry, config).items())
    assert {str(each.dtype) for each in network.get_parameters()} == {"Float32"}
    assert network.training is False


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.slow)])
def test_any_batch_and_any_length(mode: str) -> None:
    with running(mode):
        plain, tagger, answers = made("bert"), made("bert-ner", use_crf=True, with_lstm=True), made("bert-squad")
        for batch, length in ((1, 1), (3, 20)):
            ids, mask, types = inputs(batch, length)
            vectors, pooled, table = plain(ids, types, mask)
            assert (vectors.shape, pooled.shape, table.shape) == ((batch, length, 24), (batch, 24), (50, 24))
            assert tagger(ids, mask, types).shape == (batch, length)
            assert tagger.bert(ids, mask, types).shape == (batch, length, 7)
            assert answers.bert(ids, mask, types).shape == (batch, length, 2)


@pytest.mark.slow
def test_one_graph_serves_all_lengths_where_they_are_left_open() -> None:
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor

    with running("graph"):
        ms.set_seed(1)
        for relative in (False, True):
            open_ended = made("bert-ner", use_crf=True, with_lstm=True, use_relative_positions=relative)
            fixed = made("bert-ner", use_crf=True, with_lstm=True, use_relative_positions=relative)
            ms.load_param_into_net(fixed, open_ended.parameters_dict())
            open_ended.set_inputs(*(Tensor(shape=[None, None], dtype=ms.int32) for _ in range(3)), None)
            for batch, length in ((2, 9), (1, 13)):
                given = inputs(batch, length, seed=length)
                assert np.array_equal(open_ended(*given, None).asnumpy(), fixed(*given, None).asnumpy())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("entry", ["bert", "bert-ner", "bert-classifier", "bert-squad"])
def test_a_sequence_that_is_too_long_is_refused(mode: str, entry: str) -> None:
    with running(mode):
        network = made(entry)
        for callee in {network, getattr(network, "bert", network)}:
            with pytest.raises(ArgumentError, match="21 tokens is longer than the 20 positions"):
                callee(*inputs(1, 21))


def test_relative_positions_have_no_longest_sequence() -> None:
    with running("pynative"):
        assert made("bert", use_relative_positions=True)(*inputs(1, 50))[0].shape == (1, 50, 24)


@pytest.mark.parametrize("shapes", [((4,), (4,), (4,)), ((1, 4), (1, 5), (1, 4)), ((2, 4), (1, 4), (2, 4))])
def test_inputs_that_do_not_fit_together_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    import mindspore as ms
    from mindspore import ops

    with pytest.raises(ArgumentError, match="one shape"):
        made("bert-ner")(*(ops.zeros(shape, ms.int32) for shape in shapes))


def test_pretraining_says_what_it_needs() -> None:
    with running("pynative"), pytest.raises(ValueError, match="needs masked_lm_positions"):
        made("bert-pretraining")(*inputs(1, 4))


def test_unknown_names_are_recipe_errors() -> None:
    with pytest.raises(RecipeError, match="'gpt'"):
        build("gpt", BertConfig())
    with pytest.raises(RecipeError, match="float64"):
        build("bert", BertConfig(), compute_type="float64")
    with pytest.raises(RecipeError, match="num_labels"):
        build("bert-ner", BertConfig())


@pytest.mark.parametrize("entry", entry_names())
def test_half_precision_computes_about_the_same(entry: str) -> None:
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor

    labels = {"num_labels": 7} if entry in {"bert-ner", "bert-classifier"} else {}
    more = {"with_lstm": True} if entry == "bert-ner" else {}
    config = infer(entry, {**SMALL, **labels, **more, "use_relative_positions": True}, {}).config
    with running("pynative"):
        full, half = build(entry, config), build(entry, config, compute_type="float16")
        ms.load_param_into_net(half, full.parameters_dict())
        given = inputs(2, 9)
        if entry == "bert-pretraining":
            given += [None, Tensor(np.array([[1, 2], [3, 4]], np.int32))]
        for exact, near in zip(_several(full(*given)), _several(half(*given)), strict=True):
            assert near.dtype == ms.float32
            np.testing.assert_allclose(near.asnumpy(), exact.asnumpy(), atol=0.05)


def _several(output: Any) -> tuple[Any, ...]:
    return output if isinstance(output, tuple) else (output,)


def _labels(entry: str) -> list[Any]:
    import mindspore as ms
    from mindspore import Tensor

    if entry == "bert-ner":
        return [Tensor([[1, 2, 0, 3]] * 3, ms.int32)]
    if entry == "bert-classifier":
        return [Tensor([1, 2, 3], ms.int32)]
    if entry == "bert-squad":
        return [Tensor([0, 1, 2], ms.int32), Tensor([3, 2, 3], ms.int32), Tensor([1, 2, 3], ms.int32)]
    positions = Tensor([[1, 2], [0, 3], [2, 0]], ms.int32)
    return [Tensor([[1], [0], [1]], ms.int32), positions, positions, Tensor([[1, 1], [1, 1], [1, 0]], ms.float32)]


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("entry", "more"),
    [
        ("bert-classifier", {}),
        pytest.param("bert-ner", {}, marks=pytest.mark.slow),
        pytest.param("bert-ner", {"with_lstm": True, "use_crf": True}, marks=pytest.mark.slow),
        pytest.param("bert-squad", {}, marks=pytest.mark.slow),
        pytest.param("bert-pretraining", {"use_relative_positions": True}, marks=pytest.mark.slow),
    ],
)
def test_every_network_can_be_trained(mode: str, entry: str, more: dict[str, object]) -> None:
    import mindspore as ms
    from mindspore import nn

    with running(mode):
        ms.set_seed(1)
        network = made(entry, **more)
        step = nn.TrainOneStepCell(network, nn.Adam(network.trainable_params(), learning_rate=0.01))
        step.set_train()
        given = [*inputs(3, 4), *_labels(entry)]
        losses = [float(step(*given).asnumpy()) for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]


def test_a_regression_is_trained_on_its_scores() -> None:
    import mindspore as ms
    from mindspore import Tensor

    with running("pynative"):
        network = made("bert-classifier", num_labels=1, assessment_method="spearman_correlation")
        given = inputs(3, 4)
        scores = network(*given).asnumpy()
        network.set_train()
        loss = float(network(*given, Tensor([1, 2, 4], ms.float32)).asnumpy())
    assert scores.shape == (3, 1)
    assert loss == pytest.approx(float(((scores[:, 0] - [1, 2, 4]) ** 2).mean()), rel=1e-4)


def test_the_plain_lstm_computes_what_the_kernel_and_mindspore_do() -> None:
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor, nn

    from hubtool.networks.builtin.lstm import BiLSTM

    with running("pynative"):
        kernel, plain = BiLSTM(6, 4, kernel=True), BiLSTM(6, 4, kernel=False)
        theirs = nn.LSTM(6, 4, batch_first=True, bidirectional=True)
        weights = {each.name: each for each in kernel.get_parameters()}
        assert ms.load_param_into_net(plain, weights) == ([], [])
        assert ms.load_param_into_net(theirs, weights) == ([], [])
        vectors = Tensor(np.random.default_rng(3).normal(size=(2, 5, 6)).astype(np.float32))
        want = theirs(vectors)[0].asnumpy()
        np.testing.assert_allclose(kernel(vectors).asnumpy(), want, atol=1e-6)
        np.testing.assert_allclose(plain(vectors).asnumpy(), want, atol=1e-5)


def test_new_weights_follow_the_seed_and_mean_something() -> None:
    import mindspore as ms
    import numpy as np

    drawn = []
    for seed in (3, 3, 4):
        ms.set_seed(seed)
        network = made("bert-ner", with_lstm=True, use_crf=True)
        drawn.append({each.name: each.asnumpy() for each in network.get_parameters()})
    first, same, other = drawn
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["bert.dense_1.weight"], other["bert.dense_1.weight"])
    table = first["bert.bert.bert_embedding_lookup.embedding_table"]
    assert 0.01 < table.std() < 0.025
    transitions = first["loss.transitions"]
    assert (transitions[-2] == -10000).all()  # nothing goes to <START>
    assert (transitions[:, -1] == -10000).all()  # nothing comes from <STOP>
    assert abs(np.delete(transitions, -2, 0)[:, :-1]).max() < 6


def test_a_base_size_network_is_made_in_no_time_without_its_weights() -> None:
    from mindspore.nn.utils import no_init_parameters

    config = infer("bert-ner", {"num_labels": 40, "with_lstm": True, "use_crf": True}, {}).config
    begin = time.monotonic()
    with no_init_parameters():
        network = build("bert-ner", config)
    # 0.1 s on two idle cores; drawing the weights would take 3 s.
    assert time.monotonic() - begin < 1.5
    assert sum(each.size for each in network.get_parameters()) > 100_000_000
    assert all(each.has_init for each in network.get_parameters())
