"""What shapes and arguments say about a network of the BERT family. No MindSpore here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import RecipeError
from hubtool.networks.builtin.arguments import ARGUMENTS
from hubtool.networks.builtin.config import BertConfig, entry_names
from hubtool.networks.builtin.inference import Inferred, infer
from hubtool.networks.builtin.parameters import parameters

SMALL: dict[str, object] = {
    "vocab_size": 131,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
}
LABELLED = {"bert-ner", "bert-classifier"}
EMBEDDING = "bert.bert.bert_embedding_lookup.embedding_table"
RELATIVE = (
    "bert.bert.bert_encoder.layers.0.attention.attention._generate_relative_positions_embeddings.embeddings_table"
)
Shapes = dict[str, tuple[int, ...]]


def arguments(entry: str, **more: object) -> dict[str, object]:
    return {**SMALL, **({"num_labels": 9} if entry in LABELLED else {}), **more}


def shapes(entry: str, **more: object) -> Shapes:
    return parameters(entry, infer(entry, arguments(entry, **more), {}).config)


def wrapped(tensors: Shapes, prefix: str = "network.") -> Shapes:
    return {prefix + name: shape for name, shape in tensors.items()}


def test_importing_needs_no_mindspore() -> None:
    code = (
        "import sys, hubtool.networks.builtin as b, hubtool.networks.builtin.text as t\n"
        "b.infer('bert', {}, {}); list(b.ENTRIES)\n"
        "sys.exit(', '.join({'mindspore', 'numpy', 'requests'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CASES: list[tuple[str, dict[str, object]]] = [
    ("bert", {}),
    ("bert", {"use_relative_positions": True}),
    ("bert-pretraining", {}),
    ("bert-pretraining", {"use_relative_positions": True, "num_hidden_layers": 12}),
    ("bert-ner", {}),
    ("bert-ner", {"with_lstm": True}),
    ("bert-ner", {"use_crf": True, "num_labels": 3}),
    ("bert-ner", {"use_crf": True, "with_lstm": True, "use_relative_positions": True}),
    ("bert-classifier", {"num_labels": 1}),
    ("bert-classifier", {"num_labels": 1000}),
    ("bert-squad", {}),
]


@pytest.mark.parametrize(("entry", "more"), CASES)
@pytest.mark.parametrize("prefix", ["", "network.", "a.b."])
def test_shapes_give_back_the_configuration(entry: str, more: dict[str, object], prefix: str) -> None:
    first = infer(entry, arguments(entry, **more), {}).config
    again = infer(entry, {"num_attention_heads": 4}, wrapped(parameters(entry, first), prefix))
    assert again.config == first
    assert again.prefix == prefix


@pytest.mark.parametrize("entry", ["bert-pretraining", "bert-ner", "bert-squad"])
@pytest.mark.parametrize("wrapper", ["", "network."])
def test_bert_is_found_inside_a_network_with_heads(entry: str, wrapper: str) -> None:
    found = infer("bert", {"num_attention_heads": 4}, wrapped(shapes(entry), wrapper))
    assert found.prefix == wrapper + "bert.bert."
    assert found.config == infer("bert", SMALL, {}).config
    assert any("bert.bert." in note for note in found.notes)


def test_optimizer_state_is_not_taken_for_weights() -> None:
    weights = shapes("bert-ner", use_crf=True)
    saved = {**weights, "global_step": (), "learning_rate": ()}
    for state in ("moment1.", "moment2.", "adam_m.", "adam_v.", "moments.", "accum.", "strange_new_state."):
        saved.update(wrapped(weights, state))
    found = infer("bert-ner", {"num_attention_heads": 4}, saved)
    assert found == infer("bert-ner", {"num_attention_heads": 4}, weights)

    behind = wrapped(saved, "network.")
    behind.update(wrapped(weights, "adam_m.network."))
    assert infer("bert-ner", {"num_attention_heads": 4}, behind).prefix == "network."


def test_optimizer_state_alone_is_no_network() -> None:
    with pytest.raises(RecipeError, match="optimizer state only") as caught:
        infer("bert-ner", SMALL, wrapped(shapes("bert-ner"), "moment1."))
    assert EMBEDDING in str(caught.value)


def test_two_networks_side_by_side_are_ambiguous() -> None:
    tensors = shapes("bert-squad")
    with pytest.raises(RecipeError, match=r"several networks.*student.*teacher"):
        infer("bert-squad", {}, {**wrapped(tensors, "student."), **wrapped(tensors, "teacher.")})


def test_heads_are_64_wide_unless_said() -> None:
    tensors = shapes("bert", hidden_size=128)
    assert infer("bert", {}, tensors).config.num_attention_heads == 2
    assert infer("bert", {"num_attention_heads": 8}, tensors).config.num_attention_heads == 8
    asked = infer("bert", {"num_attention_heads": 8}, tensors, overrides={"num_attention_heads": 4})
    assert asked.config.num_attention_heads == 4


def test_heads_that_cannot_be_inferred_or_do_not_divide() -> None:
    with pytest.raises(RecipeError, match=r"num_attention_heads is missing.*48.*64"):
        infer("bert", {}, shapes("bert"))
    with pytest.raises(RecipeError, match="48 is not a multiple of num_attention_heads 5"):
        infer("bert", {"num_attention_heads": 5}, shapes("bert"))


def test_relative_positions_tell_the_heads() -> None:
    tensors = shapes("bert", use_relative_positions=True, num_attention_heads=6)
    found = infer("bert", {"num_attention_heads": 4}, tensors)
    assert found.config.num_attention_heads == 6
    assert found.config.head_size == 8
    assert found.config.max_relative_position == 16
    assert any("num_attention_heads" in note and "4" in note and "6" in note for note in found.notes)
    with pytest.raises(RecipeError, match=r"num_attention_heads .* 4, but .* 6"):
        infer("bert", {}, tensors, overrides={"num_attention_heads": 4})


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("vocab_size", 200, 131),
        ("hidden_size", 96, 48),
        ("num_hidden_layers", 12, 3),
        ("intermediate_size", 3072, 96),
        ("max_position_embeddings", 512, 64),
        ("type_vocab_size", 3, 2),
        ("use_relative_positions", True, False),
        ("num_labels", 11, 9),
        ("with_lstm", True, False),
        ("use_crf", False, True),
    ],
)
def test_the_shapes_win_over_the_recipe_but_not_over_the_caller(name: str, wrong: object, right: object) -> None:
    tensors = shapes("bert-ner", use_crf=True)
    said = {"num_attention_heads": 4, name: wrong}
    found = infer("bert-ner", said, tensors)
    assert getattr(found.config, name) == right
    assert [note for note in found.notes if name in note and repr(wrong) in note and repr(right) in note]
    with pytest.raises(RecipeError, match=name) as caught:
        infer("bert-ner", {"num_attention_heads": 4}, tensors, overrides={name: wrong})
    assert repr(wrong) in str(caught.value)
    assert repr(right) in str(caught.value)
    agreed = infer("bert-ner", {"num_attention_heads": 4}, tensors, overrides={name: right})
    assert agreed.notes == ()


def test_without_a_checkpoint_what_is_not_said_is_the_base_network() -> None:
    found = infer("bert", {}, {})
    assert found.config == BertConfig()
    assert found.config.head_size == 64
    assert "vocab_size 21128" in found.notes[0]
    assert infer("bert", {"hidden_size": 1024}, {}).config == replace(
        BertConfig(), hidden_size=1024, num_attention_heads=16, intermediate_size=4096
    )


@pytest.mark.parametrize("entry", sorted(LABELLED))
def test_without_a_checkpoint_the_labels_must_be_said(entry: str) -> None:
    with pytest.raises(RecipeError, match="num_labels is missing"):
        infer(entry, {}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocab_size", True),
        ("vocab_size", "131"),
        ("vocab_size", 131.0),
        ("vocab_size", None),
        ("vocab_size", 0),
        ("vocab_size", -1),
        ("hidden_size", 10**30),
        ("num_hidden_layers", [12]),
        ("num_labels", 0),
        ("use_crf", 1),
        ("use_crf", "true"),
        ("with_lstm", None),
        ("hidden_act", "prelu"),
        ("hidden_act", 3),
        ("dropout_prob", 1),
        ("dropout_prob", -0.1),
        ("dropout_prob", True),
        ("dropout_prob", "0.1"),
        ("dropout_prob", float("nan")),
        ("dropout_prob", float("inf")),
        ("dropout_prob", 10**400),
        ("dtype", "float8"),
        ("compute_type", 16),
        ("compute_type", None),
        ("assessment_method", "guess"),
        ("is_training", "no"),
        ("seq_length", 0),
    ],
)
@pytest.mark.parametrize("override", [False, True])
def test_a_wrong_value_is_named(name: str, value: object, override: bool) -> None:
    wrong = {name: value}
    with pytest.raises(RecipeError, match=name):
        infer("bert-ner", {} if override else {**SMALL, **wrong}, {}, overrides=wrong if override else {})


def test_an_unknown_argument_is_named_with_the_nearest_and_all_others() -> None:
    with pytest.raises(RecipeError, match="'num_layer'") as caught:
        infer("bert", {"num_layer": 3}, {})
    hint = caught.value.hint or ""
    assert "did you mean num_labels?" in hint or "did you mean num_hidden_layers?" in hint
    assert all(name in hint for name in ARGUMENTS)
    with pytest.raises(RecipeError, match="unknown argument"):
        infer("bert", {3: 3}, {})  # type: ignore[dict-item]  # what a caller without a type checker may pass
    with pytest.raises(RecipeError, match="unknown argument") as caught:
        infer("bert", {"q" * 100_000: 3}, {})
    assert len(str(caught.value)) < 1000


def test_an_unknown_entry_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="'bert-nre'") as caught:
        infer("bert-nre", {}, {})
    assert "did you mean bert-ner?" in str(caught.value)


def test_what_has_no_effect_is_accepted() -> None:
    said: dict[str, object] = {
        "seq_length": 24,
        "batch_size": 7,
        "is_training": True,
        "use_one_hot_embeddings": False,
        "hidden_probs_dropout_prob": 0.0,
        "dtype": "float32",
        "compute_type": SimpleNamespace(),
    }

    class Type:
        def __str__(self) -> str:
            return "Float16"

    said["compute_type"] = Type()
    plain = infer("bert", SMALL, {})
    assert infer("bert", {**SMALL, **said}, {}) == plain
    assert infer("bert", SMALL, {}, overrides=said) == plain


def test_what_another_entry_would_heed_is_noted() -> None:
    found = infer("bert-squad", {**SMALL, "use_crf": True, "num_labels": 4}, {})
    assert found.config.use_crf is False
    assert any("use_crf" in note for note in found.notes)
    assert any("num_labels" in note for note in found.notes)


def test_a_regression_is_not_normalised() -> None:
    said = arguments("bert-classifier", num_labels=1)
    assert infer("bert-classifier", said, {}).config.log_softmax is True
    regression = infer("bert-classifier", {**said, "assessment_method": "spearman_correlation"}, {})
    assert regression.config.log_softmax is False
    ner = infer("bert-ner", {**said, "assessment_method": "spearman_correlation"}, {})
    assert ner.config.log_softmax is True


def test_a_sequence_longer_than_the_positions() -> None:
    tensors = shapes("bert")
    assert any(
        "seq_length 128" in n for n in infer("bert", {"num_attention_heads": 4, "seq_length": 128}, tensors).notes
    )
    with pytest.raises(RecipeError, match="seq_length 128 is more than the 64"):
        infer("bert", {"num_attention_heads": 4}, tensors, overrides={"seq_length": 128})
    relative = shapes("bert", use_relative_positions=True)
    assert infer("bert", {}, relative, overrides={"seq_length": 128}).notes == ()


def test_a_crf_needs_a_label_beside_start_and_stop() -> None:
    with pytest.raises(RecipeError, match="<START>"):
        infer("bert-ner", {**SMALL, "num_labels": 2, "use_crf": True}, {})


def test_an_lstm_needs_an_even_width() -> None:
    with pytest.raises(RecipeError, match="even hidden_size"):
        infer(
            "bert-ner", {**SMALL, "hidden_size": 45, "num_attention_heads": 5, "num_labels": 3, "with_lstm": True}, {}
        )


def test_a_network_that_fits_no_machine_is_refused() -> None:
    with pytest.raises(RecipeError, match="too large"):
        infer("bert", {"vocab_size": 2**24, "hidden_size": 2**16}, {})


@pytest.mark.parametrize("entry", entry_names())
def test_another_network_is_not_taken_for_a_bert(entry: str) -> None:
    resnet: Shapes = {"conv1.weight": (64, 3, 7, 7), "layer1.0.bn1.gamma": (64,)}
    with pytest.raises(RecipeError, match=r"not of a BERT network: it has no .*embedding_table"):
        infer(entry, {}, resnet)


def test_a_bert_without_heads_is_not_a_tagger() -> None:
    with pytest.raises(RecipeError, match=r"is of a BERT encoder, but not of bert-ner: it has no bert\.bert\."):
        infer("bert-ner", {}, shapes("bert"))


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("bert-ner", "bert.bert.bert_embedding_postprocessor.token_type_embedding.embedding_table"),
        ("bert-ner", "bert.bert.bert_embedding_postprocessor.full_position_embedding.embedding_table"),
        ("bert-ner", "bert.bert.bert_encoder.layers.0.intermediate.weight"),
        ("bert-ner", "bert.dense_1.weight"),
        ("bert-squad", "bert.dense1.weight"),
        ("bert-pretraining", "bert.cls2.dense.weight"),
    ],
)
def test_a_missing_anchor_is_named(entry: str, name: str) -> None:
    tensors = shapes(entry)
    del tensors[name]
    with pytest.raises(RecipeError, match=name.replace(".", r"\.")):
        infer(entry, SMALL, tensors)


def test_a_missing_layer_is_named() -> None:
    tensors = {name: shape for name, shape in shapes("bert-ner").items() if ".layers.1." not in name}
    with pytest.raises(RecipeError, match=r"no encoder layer 1: it has no .*layers\.1\."):
        infer("bert-ner", SMALL, tensors)


def test_a_tensor_that_is_no_anchor_is_left_to_the_coverage() -> None:
    tensors = shapes("bert-ner")
    want = infer("bert-ner", SMALL, tensors)
    tensors["bert.bert.bert_encoder.layers.2.output.dense.bias"] = (7,)
    del tensors["bert.bert.dense.bias"]
    assert infer("bert-ner", SMALL, tensors) == want


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (EMBEDDING, (131,)),
        (EMBEDDING, (0, 48)),
        (EMBEDDING, (131, -48)),
        (EMBEDDING, (131, 49)),
        ("bert.bert.bert_embedding_postprocessor.token_type_embedding.embedding_table", (2, 47)),
        ("bert.bert.bert_embedding_postprocessor.full_position_embedding.embedding_table", (64, 47)),
        ("bert.bert.bert_encoder.layers.0.intermediate.weight", (96, 47)),
        ("bert.dense_1.weight", (9, 47)),
        ("bert.dense_1.weight", (8, 48)),
        ("loss.transitions", (9, 8)),
        ("loss.transitions", (8, 9)),
        ("loss.transitions", ()),
        ("bert.lstm.weight_ih_l0", (96, 40)),
        ("bert.lstm.weight_ih_l0", (95, 48)),
        (RELATIVE, (33, 13)),
        (RELATIVE, (32, 12)),
    ],
)
def test_shapes_that_contradict_each_other_are_named(name: str, shape: tuple[int, ...]) -> None:
    tensors = shapes("bert-ner", with_lstm=True, use_crf=True, use_relative_positions=True)
    assert name in tensors
    with pytest.raises(RecipeError, match=r"embeddings?_table|dense_1|transitions|lstm"):
        infer("bert-ner", {"num_attention_heads": 4}, {**tensors, name: shape})


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    entry=st.sampled_from(entry_names()),
    said=st.dictionaries(st.sampled_from(ARGUMENTS) | st.text(max_size=12), JSON | st.integers(1, 300), max_size=6),
    asked=st.dictionaries(st.sampled_from(ARGUMENTS), JSON | st.integers(1, 300), max_size=2),
)
def test_any_arguments_give_a_configuration_or_one_error(
    entry: str, said: dict[str, Any], asked: dict[str, Any]
) -> None:
    try:
        found = infer(entry, said, {}, overrides=asked)
    except RecipeError:
        pass  # the one error it may raise
    else:
        assert isinstance(found, Inferred)
        assert found.config.hidden_size % found.config.num_attention_heads == 0


@given(data=st.data())
def test_any_shapes_give_a_configuration_or_one_error(data: st.DataObject) -> None:
    tensors = shapes("bert-ner", with_lstm=True, use_crf=True, use_relative_positions=True, num_hidden_layers=2)
    for name in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=3)):
        tensors[name] = tuple(data.draw(st.lists(st.integers(-1, 10**12), max_size=3)))
    for name in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=3)):
        tensors.pop(name, None)
    entry = data.draw(st.sampled_from(entry_names()))
    try:
        found = infer(entry, {}, tensors)
    except RecipeError:
        pass  # the one error it may raise
    else:
        assert found.config.num_hidden_layers == 2
