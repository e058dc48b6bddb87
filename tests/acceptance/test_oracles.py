"""The built-in networks against ten networks of the original code: parameters, outputs and tags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.networks.builtin import build, infer, parameters
from tests.support import shared_folder
from tests.support.modes import MODES, running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.mindspore

ORACLES = {
    "bert_base": "bert",
    "bert_nezha": "bert",
    "classifier": "bert-classifier",
    "ner": "bert-ner",
    "ner_bilstm": "bert-ner",
    "ner_bilstm_crf": "bert-ner",
    "ner_crf": "bert-ner",
    "pretraining": "bert-pretraining",
    "pretraining_nezha": "bert-pretraining",
    "squad": "bert-squad",
}


@pytest.fixture(scope="module")
def folder() -> Path:
    return shared_folder() / "oracles" / "bert"


def network(folder: Path, name: str, said: Mapping[str, object], **changes: Any) -> Any:
    """Build an oracle's network from its checkpoint's shapes and these arguments, and place its weights."""
    import mindspore as ms
    from mindspore.nn.utils import no_init_parameters

    weights = ms.load_checkpoint(str(folder / f"{name}.ckpt"))
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    config = infer(ORACLES[name], said, shapes).config
    with no_init_parameters():
        made = build(ORACLES[name], config)
    for key, change in changes.items():
        weights[key].set_data(change(weights[key]))
    missing, unexpected = ms.load_param_into_net(made, weights, strict_load=True)
    assert missing == []
    assert unexpected == []
    return made


def run(name: str, made: Any, arrays: Mapping[str, Any]) -> list[Any]:
    """Call a network as the oracle was called; give its outputs as arrays."""
    from mindspore import Tensor

    ids, mask, types = (Tensor(arrays[key]) for key in ("input_ids", "input_mask", "token_type_ids"))
    if ORACLES[name] == "bert":
        outputs = made(ids, types, mask)[:2]
    elif ORACLES[name] == "bert-pretraining":
        outputs = made.bert(ids, mask, types, Tensor(arrays["masked_lm_positions"]))
    else:
        outputs = (made.bert(ids, mask, types),)
        if "crf" in name:
            outputs += (made(ids, mask, types, None),)
    return [output.asnumpy() for output in outputs]


@pytest.mark.parametrize("name", ORACLES)
def test_parameters_are_those_of_the_original(folder: Path, name: str) -> None:
    record = json.loads((folder / f"{name}.json").read_text())
    # The attention heads are the one thing that the shapes cannot tell.
    made = network(folder, name, {"num_attention_heads": 4})
    want = [(key, tuple(shape), kind) for key, shape, kind in record["parameters"]]
    assert [(each.name, tuple(each.shape), str(each.dtype)) for each in made.get_parameters()] == want
    config = infer(ORACLES[name], record["config"], {key: shape for key, shape, _ in want}).config
    assert list(parameters(ORACLES[name], config).items()) == [(key, shape) for key, shape, _ in want]


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ORACLES)
def test_outputs_are_those_of_the_original(folder: Path, name: str, mode: str) -> None:
    import numpy as np

    arrays = np.load(folder / f"{name}.npz")
    with running(mode):
        outputs = run(name, network(folder, name, {"num_attention_heads": 4}), arrays)
    wanted = [arrays[f"output_{number}"] for number in range(len(outputs))]
    assert f"output_{len(outputs)}" not in arrays
    for got, want in zip(outputs, wanted, strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        if want.dtype.kind == "i":
            assert np.array_equal(got, want)
        else:
            np.testing.assert_allclose(got, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["bert_base", "bert_nezha"])
def test_the_heads_matter(folder: Path, name: str) -> None:
    """Were the comparison blind, another number of heads would pass it too (with relative positions there is none)."""
    import numpy as np

    arrays = np.load(folder / f"{name}.npz")
    with running("pynative"):
        output = run(name, network(folder, name, {"num_attention_heads": 2}), arrays)[0]
    close = np.allclose(output, arrays["output_0"], atol=1e-4, rtol=1e-4)
    assert close == (name == "bert_nezha")


@pytest.mark.parametrize("name", ["bert_base", "bert_nezha", "ner_bilstm_crf"])
def test_padding_and_batch_do_not_change_what_is_there(folder: Path, name: str) -> None:
    """A sequence alone, cut to its tokens, gives what it gave in a padded batch of two."""
    import numpy as np

    arrays = np.load(folder / f"{name}.npz")
    with running("pynative"):
        made = network(folder, name, {"num_attention_heads": 4})
        if name == "ner_bilstm_crf":
            made = made.bert.bert  # the LSTM and the field read padding as well, as in the original
        whole = run("bert_base", made, arrays)[0]
        for row in range(2):
            length = int(arrays["input_mask"][row].sum())
            cut = {key: arrays[key][row : row + 1, :length] for key in ("input_ids", "input_mask", "token_type_ids")}
            alone = run("bert_base", made, cut)[0]
            np.testing.assert_allclose(alone[0], whole[row, :length], atol=1e-4, rtol=1e-4)


def test_the_embedding_table_comes_third(folder: Path) -> None:
    import numpy as np
    from mindspore import Tensor

    arrays = np.load(folder / "bert_base.npz")
    for mode in MODES:
        with running(mode):
            made = network(folder, "bert_base", {"num_attention_heads": 4})
            outputs = made(*(Tensor(arrays[key]) for key in ("input_ids", "token_type_ids", "input_mask")))
            table = made.bert_embedding_lookup.embedding_table
            assert len(outputs) == 3
            assert np.array_equal(outputs[2].asnumpy(), table.asnumpy())
            assert np.any(table.asnumpy())


@pytest.mark.parametrize("mode", MODES)
def test_answers_come_as_evaluation_scripts_expect_them(folder: Path, mode: str) -> None:
    import numpy as np
    from mindspore import Tensor

    arrays = np.load(folder / "squad.npz")
    inputs = [Tensor(arrays[key]) for key in ("input_ids", "input_mask", "token_type_ids")]
    one, numbers = Tensor(np.ones(1, np.float32)), Tensor(np.array([7, 8], np.int32))
    with running(mode):
        made = network(folder, "squad", {"num_attention_heads": 4})
        scores = made(*inputs).asnumpy()
        unique, start, end = (each.asnumpy() for each in made(*inputs, one, one, numbers, one))
    lift = 100 * arrays["input_mask"]
    assert unique.tolist() == [7, 8]
    np.testing.assert_allclose(scores, arrays["output_0"], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(start, arrays["output_0"][:, :, 0] + lift, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(end, arrays["output_0"][:, :, 1] + lift, atol=1e-4, rtol=1e-4)


def test_labels_do_not_change_what_evaluation_gives(folder: Path) -> None:
    import numpy as np
    from mindspore import Tensor

    for name in ("ner", "ner_crf", "classifier"):
        arrays = np.load(folder / f"{name}.npz")
        inputs = [Tensor(arrays[key]) for key in ("input_ids", "input_mask", "token_type_ids")]
        with running("pynative"):
            made = network(folder, name, {"num_attention_heads": 4})
            bare = made(*inputs).asnumpy()
            labelled = made(*inputs, Tensor(np.zeros(arrays["input_ids"].shape, np.int32))).asnumpy()
        assert np.array_equal(bare, labelled)
        if name == "ner_crf":
            assert np.array_equal(bare, arrays["output_1"])
        else:
            np.testing.assert_allclose(bare, arrays["output_0"], atol=1e-4, rtol=1e-4)
