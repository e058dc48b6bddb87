"""Coverage: every tensor and every parameter ends in exactly one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.checkpoint.coverage import Shape, compare, cover, digest_parameters, is_optimizer_state, renamed
from hubtool.errors import RecipeError

NETWORK: dict[str, Shape] = {"bert.dense.weight": (4, 3), "bert.dense.bias": (4,), "scale": ()}


def test_total() -> None:
    coverage = cover(dict(NETWORK), NETWORK)
    assert coverage.is_total
    assert coverage.loaded == {name: name for name in NETWORK}
    assert coverage.describe() == ""


def test_a_scalar_may_be_stored_as_one_element() -> None:
    assert cover({**NETWORK, "scale": (1,)}, NETWORK).is_total


def test_missing_unexpected_and_mismatched_are_told_apart() -> None:
    coverage = cover({"bert.dense.weight": (3, 4), "bert.dense.bias": (4,), "cls.weight": (2, 2)}, NETWORK)
    assert not coverage.is_total
    assert coverage.missing == ("scale",)
    assert coverage.unexpected == ("cls.weight",)
    assert [(item.name, item.tensor, item.parameter) for item in coverage.mismatched] == [
        ("bert.dense.weight", (3, 4), (4, 3))
    ]
    text = coverage.describe()
    assert "scale" in text
    assert "cls.weight" in text
    assert "checkpoint [3, 4], network [4, 3]" in text


def test_long_lists_are_cut() -> None:
    text = cover({f"t{number}": (1, 1) for number in range(50)}, NETWORK).describe(most=5)
    assert "and 45 more" in text
    assert "t5" not in text.split()


def test_an_optimizers_state_is_recognised_and_not_placed() -> None:
    state: dict[str, Shape] = {
        "adam_m.bert.dense.weight": (4, 3),
        "adam_v.bert.dense.bias": (4,),
        "moments.scale": (),
        "global_step": (1,),
        "learning_rate": (),
        "current_iterator_step": (),
    }
    coverage = cover({**NETWORK, **state}, NETWORK)
    assert coverage.is_total
    assert set(coverage.optimizer) == set(state)


def test_numbers_of_append_dict_are_named_and_not_placed() -> None:
    coverage = cover({**NETWORK, "epoch": (), "lr": (1,)}, NETWORK)
    assert coverage.is_total
    assert coverage.appended == ("epoch", "lr")
    assert coverage.as_json()["appended"] == ["epoch", "lr"]


@pytest.mark.parametrize("extra", [{"table": (2,)}, {"head.scale": ()}])
def test_what_may_be_a_weight_is_no_number_of_append_dict(extra: dict[str, Shape]) -> None:
    assert cover({**NETWORK, **extra}, NETWORK).unexpected == tuple(extra)


def test_a_number_may_be_the_parameter_that_is_missing() -> None:
    tensors = {name: shape for name, shape in NETWORK.items() if name != "scale"}
    coverage = cover({**tensors, "factor": ()}, NETWORK)
    assert coverage.unexpected == ("factor",)
    assert coverage.missing == ("scale",)


def test_a_moment_of_nothing_is_unexpected() -> None:
    assert cover({**NETWORK, "adam_m.other.weight": (4, 3)}, NETWORK).unexpected == ("adam_m.other.weight",)


def test_a_wrappers_prefix_is_taken_off() -> None:
    tensors: dict[str, Shape] = {f"network.{name}": shape for name, shape in NETWORK.items()}
    tensors["adam_m.bert.dense.bias"] = (4,)  # optimizers name parameters as they were before they were wrapped
    coverage = cover(tensors, NETWORK, prefix="network.")
    assert coverage.is_total
    assert coverage.prefix == "network."
    assert coverage.loaded["scale"] == "network.scale"
    assert coverage.optimizer == ("adam_m.bert.dense.bias",)


def test_without_the_prefix_a_tensor_is_not_placed() -> None:
    coverage = cover(dict(NETWORK), NETWORK, prefix="network.")
    assert set(coverage.missing) == set(coverage.unexpected) == set(NETWORK)


def test_ignored_tensors_are_reported_and_nothing_else_is_let_through() -> None:
    tensors: dict[str, Shape] = {**NETWORK, "bert.cls1.dense.weight": (4, 4), "bert.cls2.dense.bias": (2,), "x": (1, 1)}
    coverage = cover(tensors, NETWORK, ignore=["*cls1.*", "bert.cls2.*"])
    assert coverage.ignored == ("bert.cls1.dense.weight", "bert.cls2.dense.bias")
    assert coverage.unexpected == ("x",)


def test_a_recipe_renames_what_its_code_renames() -> None:
    rules = [("^ema.", ""), ("ncek", "neck")]
    tensors = {"ema.fpn.weight": 1, "fpn.weight": 2, "schema.bias": 3, "fpn_ncek.bias": 4}
    # The average takes the place of the weight that it is the average of.
    assert renamed(tensors, rules) == {"fpn.weight": 1, "schema.bias": 3, "fpn_neck.bias": 4}
    assert renamed(tensors, []) == tensors
    # An optimizer's state goes with its parameter.
    states = {"bert.x": 1, "moments.bert.x": 2}
    assert renamed(states, [("^bert.", "")]) == {"x": 1, "moments.x": 2}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([("^a.", ""), ("^b.", "")], "give a.w and b.w one name, w"),
        ([("a", "a" * 200), ("aa", "a" * 200), ("aaa", "a" * 200)], "make a name of"),
    ],
)
def test_rules_that_lose_tensors_or_never_end_are_refused(rules: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        renamed({"a.w": 1, "b.w": 2, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": 3}, rules)


def test_a_pattern_does_not_keep_a_tensor_from_its_parameter() -> None:
    assert cover(dict(NETWORK), NETWORK, ignore=["*"]).is_total


def test_names_that_only_look_like_state() -> None:
    assert not is_optimizer_state("encoder.learning_rate_embedding.weight", {"weight"})
    assert not is_optimizer_state("bert.dense.weight", {"dense.weight"})
    assert is_optimizer_state("optimizer.moment1.dense.weight", {"dense.weight"})


HEADED: dict[str, Shape] = {
    "body.conv.weight": (8, 3, 3, 3),
    "body.bn.moving_mean": (8,),
    "fc.weight": (1001, 8),
    "fc.bias": (1001,),
}


@pytest.mark.parametrize(
    "tensors",
    [
        HEADED,
        {**HEADED, "moments.fc.weight": (1001, 8), "global_step": (1,)},
        {f"network.{name}": shape for name, shape in HEADED.items()},
        {name.replace("moving_mean", "running_mean"): shape for name, shape in HEADED.items()},
    ],
)
def test_a_recorded_digest_tells_that_a_checkpoint_fits(tensors: dict[str, Shape]) -> None:
    fit = compare(tensors, digest=digest_parameters(HEADED), count=4)
    assert fit.total
    assert fit.arguments == {}
    assert "4 tensors" in fit.why


@pytest.mark.parametrize(
    ("arguments", "built", "name"),
    [
        ({}, 1000, "num_classes"),
        ({"num_classes": 37}, 37, "num_classes"),
        ({"config": {"class_num": 7777}}, 7777, "config.class_num"),
        ({"depth": 50, "n_labels": 123}, 123, "n_labels"),
    ],
)
def test_another_number_of_classes_is_proposed_and_proven(arguments: dict[str, object], built: int, name: str) -> None:
    recorded = {**HEADED, "fc.weight": (built, 8), "fc.bias": (built,)}
    fit = compare(HEADED, digest=digest_parameters(recorded), arguments=arguments)
    assert not fit.total
    assert fit.arguments == {name: 1001}
    assert fit.why == f"it is of 1001 classes, and the recipe builds for {built}"


def test_nothing_is_proposed_where_more_than_the_classes_differs() -> None:
    recorded = {**HEADED, "fc.weight": (1000, 9), "fc.bias": (1000,)}
    fit = compare(HEADED, digest=digest_parameters(recorded), count=4, arguments={"num_classes": 1000})
    assert (fit.total, fit.arguments) == (False, {})
    assert "(4)" in fit.why


NAMES = st.sampled_from(["a", "b", "a.b", "adam_m.a", "adam_m.x", "network.a", "network.b", "cls.a", "global_step"])
SHAPES = st.sampled_from([(), (1,), (2,), (2, 3)])


@given(
    tensors=st.dictionaries(NAMES, SHAPES),
    parameters=st.dictionaries(NAMES, SHAPES),
    prefix=st.sampled_from(["", "network.", "x."]),
    ignore=st.lists(st.sampled_from(["cls.*", "*", "a"])),
)
def test_everything_ends_in_exactly_one_place(
    tensors: dict[str, Shape], parameters: dict[str, Shape], prefix: str, ignore: list[str]
) -> None:
    coverage = cover(tensors, parameters, prefix=prefix, ignore=ignore)
    clashing = [prefix + item.name for item in coverage.mismatched]
    placed = [*coverage.loaded.values(), *clashing]
    assert sorted(
        [*placed, *coverage.unexpected, *coverage.ignored, *coverage.optimizer, *coverage.appended]
    ) == sorted(tensors)
    filled = [*coverage.loaded, *(item.name for item in coverage.mismatched)]
    assert sorted([*filled, *coverage.missing]) == sorted(parameters)
    assert all(tensors[tensor] in (parameters[name], (), (1,)) for name, tensor in coverage.loaded.items())
