"""What discovery found, as data and in cards; guesses; and the rules by which names are matched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hubtool.card import model, rewrite
from hubtool.checkpoint.coverage import rename
from maintain.commands.oracle import cards_of
from maintain.discovery import handwritten, heuristics, recipes, run
from maintain.discovery.heuristics import NetworkFacts, Option

REGISTRY = Path(__file__).parents[2] / "registry"
CARD = """# net

---

model-name: net

asset:
  - file-format: ckpt
    asset-link: https://example.com/net.ckpt
    asset-sha256: {digest}

{extra}license: Apache-2.0

summary: A net.

---

## Body

---
""".replace("{digest}", "0" * 64)

ENTRY: dict[str, Any] = {
    "provider": "repository",
    "entry": "export.py",
    "argv": ["--ckpt_file", "{checkpoint}", "--size", "1.10"],
    "skip": ["eval.py:12"],
    "inputs": [{"name": "x", "shape": [1, 3, 224, 224], "dtype": "float32"}],
    "capture": 2,
    "parameters": 10,
    "verdict": "built on MindSpore 2.10.0 (CPU), 2026-11-23",
}


@pytest.mark.parametrize("extra", ["", "network:\n  provider: repository\n  entry: old.py\n\nrepo-revision: x\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_recipe_is_written_into_a_card_and_read_back(extra: str, newline: str) -> None:
    text = CARD.replace("{extra}", extra).replace("\n", newline)
    written = rewrite.with_recipe(text, ENTRY, "a" * 40)
    card = model.read(written.encode())
    assert not card.faults
    assert card.text("repo-revision") == "a" * 40
    recipe = card.recipe
    assert recipe is not None
    assert (recipe.entry, recipe.capture, recipe.skip) == ("export.py", 2, ("eval.py:12",))
    assert recipe.argv == ("--ckpt_file", "{checkpoint}", "--size", "1.10")
    assert recipe.inputs == (("x", (1, 3, 224, 224), "float32"),)
    # Everything else stays, byte for byte; and writing it again changes nothing.
    plain = CARD.replace("{extra}", "").replace("\n", newline)
    lines = written.splitlines(keepends=True)
    first = next(index for index, line in enumerate(lines) if line.startswith("repo-revision"))
    last = next(index for index, line in enumerate(lines) if line.startswith("license"))
    assert "".join(lines[:first] + lines[last:]) == plain
    assert rewrite.with_recipe(written, ENTRY, "a" * 40) == written
    assert card.body == model.read(text.encode()).body


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_recipe_is_taken_out_of_a_card(newline: str) -> None:
    text = CARD.replace("{extra}", "").replace("\n", newline)
    written = rewrite.with_recipe(text, ENTRY, "a" * 40)
    assert rewrite.without_recipe(written) == text
    assert rewrite.without_recipe(text) == text
    with pytest.raises(ValueError, match="front matter"):
        rewrite.without_recipe("no card")


@pytest.mark.parametrize(("name", "branch"), [("irn_div2k", "r1.8"), ("moleculardynamics_water", "r1.6")])
def test_the_code_of_another_branch_is_for_the_same_bytes_only(name: str, branch: str) -> None:
    cards = {str(card.uid): card for card in cards_of(REGISTRY, (f"mindspore/*/{name}",))}
    own = cards[f"mindspore/{branch.removeprefix('r')}/{name}"]
    borrowing = [card for uid, card in cards.items() if handwritten.other_branch(uid)]
    assert borrowing
    for card in borrowing:
        assert handwritten.other_branch(str(card.uid)) == branch
        assert card.text("asset-sha256") == own.text("asset-sha256")
        assert card.text("repo-revision") == own.text("repo-revision")


def test_a_withheld_recipe_has_a_reason() -> None:
    assert handwritten.withheld("mindspore/1.9/multitasknet_veri")
    assert "at random" in handwritten.withheld("mindspore/1.9/ktnet_squad")
    assert "r1.5" in handwritten.withheld("mindspore/1.5/retinafaceresnet50_widerface")
    assert not handwritten.withheld("mindspore/1.7/retinafaceresnet50_widerface")


def test_a_checkpoint_older_than_its_branch_is_built_with_the_code_of_its_time() -> None:
    assert handwritten.other_branch("mindspore/1.7/fasterrcnnresnetv150_coco2017") == "r1.6"
    assert handwritten.other_branch("mindspore/1.3/resnet152_imagenet2012") == "r1.5"
    assert not handwritten.other_branch("mindspore/1.6/fasterrcnnresnetv150_coco2017")


@pytest.mark.parametrize(
    ("folder", "name", "entry"),
    [
        ("research/rl/ddpg", "ddpg_critictarget_none", "src.ac_net:CriticNet"),
        ("research/rl/ddpg", "ddpg_actornet_none", "src.ac_net:ActorNet"),
        ("research/cv/SinGAN", "singan_G_asinglenatureimage", "src.model:Gen"),
        ("official/nlp/ernie", "ernie_msraner", "run_ernie_ner.py"),
        ("research/nlp/luke", "luke_squad1.1", "src.reading_comprehension.model:LukeForReadingComprehension"),
    ],
)
def test_the_name_of_a_card_chooses_its_network(folder: str, name: str, entry: str) -> None:
    assert next(handwritten.recipes(folder, NetworkFacts(name=name))).entry == entry


def test_as_many_tags_as_the_data_set_has() -> None:
    recipe = next(handwritten.recipes("research/nlp/lstm_crf", NetworkFacts(name="lstmcrf_conll2000")))
    tags = recipe.arguments["tag_to_index"]
    assert isinstance(tags, dict)
    assert sorted(tags.values()) == list(range(23))


def test_a_card_without_front_matter() -> None:
    with pytest.raises(ValueError, match="front matter"):
        rewrite.with_recipe("# title\n", ENTRY, None)


def test_equal_recipes_stand_once() -> None:
    targets = [
        run.Target(uid=uid, link=None, facts=NetworkFacts(name="n"), repository="models", revision="r1.9")
        for uid in ("a", "b", "c", "d")
    ]
    good = {
        "recipe": {"provider": "repository", "entry": "a:b"},
        "parameters": 1,
        "elements": 2,
        "digest": "x",
        "date": "2026-11-23",
    }
    data = recipes.collect(
        targets,
        {"a": good, "b": dict(good), "c": {"recipe": None, "reason": "why"}},
        version="2.10.0",
        revisions={"models r1.9": "c0"},
    )
    assert data["cards"] == {"a": 0, "b": 0, "c": "why"}
    assert len(data["networks"]) == 1
    assert data["revisions"] == {"a": "c0", "b": "c0"}


FACTS = NetworkFacts(name="resnet101_imagenet2012", model_name="resnet101", dataset="imagenet2012")


@pytest.mark.parametrize(
    ("candidates", "default", "expected"),
    [
        (
            ["config/resnet50_cifar10.yaml", "config/resnet101_imagenet2012_config.yaml"],
            "config/resnet50_cifar10.yaml",
            "config/resnet101_imagenet2012_config.yaml",
        ),
        (
            ["config_eval_and_export.yaml", "config_train.yaml"],
            "config_eval_and_export.yaml",
            "config_eval_and_export.yaml",
        ),
        (["default_config.yaml", "default_config_gpu.yaml"], "default_config.yaml", "default_config.yaml"),
        ([], None, None),
        (["imagenet2012", "cifar10"], None, "imagenet2012"),
    ],
)
def test_the_best_candidate(candidates: list[str], default: str | None, expected: str | None) -> None:
    assert heuristics.best(candidates, FACTS, default=default) == expected


def option(
    name: str, *, required: bool = True, default: str | None = None, choices: tuple[str, ...] = (), kind: str = "str"
) -> Option:
    return Option(flag=f"--{name}", name=name, required=required, default=default, choices=choices, kind=kind)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (option("ckpt_file"), ["--ckpt_file", "{checkpoint}"]),
        (option("checkpoint_path", required=False), ["--checkpoint_path", "{checkpoint}"]),
        (option("checkpoint_path", required=False, default="best.ckpt"), []),
        (option("data_dir"), ["--data_dir", "{scratch}"]),
        (option("batch_size", kind="int"), ["--batch_size", "1"]),
        (option("alpha", kind="float"), ["--alpha", "0.5"]),
        (option("net", choices=("resnet50", "resnet101")), ["--net", "resnet101"]),
        (option("net", required=False, default="resnet50", choices=("resnet50", "resnet101")), ["--net", "resnet101"]),
        (option("mode", required=False, default="b", choices=("a", "b")), []),
        (option("network_dataset", required=False, default="x"), ["--network_dataset", "resnet101_imagenet2012"]),
        (option("platform", required=False, default="npu"), ["--platform", "Ascend"]),
        (option("config_path", required=False), ["--config_path", "{folder}/config/resnet101.yaml"]),
        (option("lr", required=False, default="0.1", kind="float"), []),
        (option("resume", required=False, kind="NoneType"), []),
    ],
)  # fmt: skip
def test_arguments_are_filled_in(one: Option, expected: list[str]) -> None:
    known = {"network_dataset": ("resnet50_cifar10", "resnet101_imagenet2012"), "platform": ("GPU", "Ascend")}
    found = heuristics.fill(
        [one], FACTS, configurations=["config/resnet50.yaml", "config/resnet101.yaml"], known=known, exists={}
    )
    assert found == expected


CITED = ("cora", "citeseer")


@pytest.mark.parametrize(
    ("facts", "one", "expected"),
    [
        (NetworkFacts(name="cluster_fc1natt4_mnist"), option("natt", default="8", kind="int"), "4"),
        (NetworkFacts(name="cluster_fc1natt8_mnist"), option("natt", default="8", kind="int"), None),
        (NetworkFacts(name="vgg16_bn_imagenet2012"), option("batch_norm", default="False", kind="bool"), "True"),
        (NetworkFacts(name="vgg16_imagenet2012"), option("batch_norm", default="False", kind="bool"), None),
        (NetworkFacts(name="nima_nobatchnorm_ava"), option("batch_norm", default="True", kind="bool"), "False"),
        (NetworkFacts(name="resnext101_imagenet2012"), option("network", default="resnext50"), "resnext101"),
        (NetworkFacts(name="resnext101_imagenet2012"), option("file_name", default="resnext50"), None),
        (NetworkFacts(name="rcan_x2_set5"), option("scale", default="4"), "2"),
        (NetworkFacts(name="ipt_derain_rain100l"), option("scale", default="4"), "1"),
        (NetworkFacts(name="albert_mnli", dataset="MNLI"), option("num_class", default="2", kind="int"), "3"),
        (NetworkFacts(name="net", dataset="ImageNet2012"), option("num_classes", default="1001", kind="int"), None),
        (NetworkFacts(name="net", dataset="COCO2017"), option("num_classes", default="81", kind="int"), None),
        (NetworkFacts(name="deeplabv3s16_voc2012"), option("export_model", default="deeplab_v3_s8"), "deeplab_v3_s16"),
        (NetworkFacts(name="deeplabv3_s8r2_voc2012"), option("model", default="deeplab_v3_s16"), "deeplab_v3_s8"),
        (NetworkFacts(name="gcn", dataset="Citeseer"), option("dataset", default="cora", choices=CITED), "citeseer"),
    ],
)  # fmt: skip
def test_what_a_name_or_a_data_set_says_is_given(facts: NetworkFacts, one: Option, expected: str | None) -> None:
    known = {"export_model": ("deeplab_v3_s16",), "model": ("deeplab_v3_s16", "deeplab_v3_s8")}
    one = dataclasses.replace(one, required=False)
    found = heuristics.fill([one], facts, configurations=[], known=known, exists={})
    assert found == ([] if expected is None else [one.flag, expected])


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        (
            "fasterrcnn_resnetv1101_coco2017",
            ["default_config.yaml", "default_config_101.yaml", "default_config_152.yaml"],
            "default_config_101.yaml",
        ),
        ("transformer_wmt", ["default_config.yaml", "default_config_large.yaml"], "default_config.yaml"),
        ("isynet_N1S2_imagenet2012", ["N1-S1_imagenet2012.yaml", "N1-S2_imagenet2012.yaml"], "N1-S2_imagenet2012.yaml"),
        ("net_rpp_market", ["train_RPP_market/train_NET.yaml", "eval_RPP_market.yaml"], "eval_RPP_market.yaml"),
    ],
)  # fmt: skip
def test_the_configuration_that_a_name_asks_for(name: str, files: list[str], expected: str) -> None:
    first = option("config_path", required=False, default=files[-1] if "transformer" in name else "config.yaml")
    found = heuristics.fill([first], NetworkFacts(name=name), configurations=files, known={}, exists={})
    assert found == ["--config_path", "{folder}/" + expected]


def test_a_number_of_classes_that_contradicts_the_data_set_is_replaced() -> None:
    facts = NetworkFacts(name="mvd_sysumm01", dataset="SYSU-MM01")
    assert heuristics.with_class_count({"num_class": 1, "drop": 0.2}, facts) == {"num_class": 395, "drop": 0.2}
    background = NetworkFacts(name="net", dataset="CIFAR-10")
    assert heuristics.with_class_count({"num_classes": 11}, background) == {"num_classes": 11}
    assert heuristics.with_class_count({"num_classes": 5}, NetworkFacts(name="net")) == {"num_classes": 5}


@pytest.mark.parametrize(
    ("name", "entry", "arguments"),
    [
        ("bertbilstmcrf_ner", "bert-ner", {"use_crf": True, "with_lstm": True}),
        ("bertfinetuning_nercrf_cluener", "bert-ner", {"use_crf": True}),
        ("bertfinetune_ner_cluener", "bert-ner", {}),
        ("bertfinetuning_squad_squadv1.1", "bert-squad", {}),
        ("bertbase_cnnews128", "bert-pretraining", {}),
        ("bertfinetune_15classifier_tnews", "bert-classifier", {"num_labels": 15}),
    ],
)
def test_a_fine_tuned_bert_is_a_network_of_hubtool(name: str, entry: str, arguments: dict[str, object]) -> None:
    recipe = handwritten.builtin("official/nlp/bert", NetworkFacts(name=name))
    assert recipe is not None
    assert (recipe.provider, recipe.entry, recipe.arguments) == ("builtin", entry, arguments)
    assert handwritten.builtin("official/nlp/other", NetworkFacts(name=name)) is None
    assert handwritten.builtin("official/nlp/bert", NetworkFacts(name="bertlarge_enwiki512")) is None


def test_what_the_code_compares_its_settings_with(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "if c.net == 'x' or c.net in ['y', 'z'] or c.n == 3 or c.net != 'w': pass\n", encoding="utf-8"
    )
    (tmp_path / "b.py").write_text("not python(", encoding="utf-8")
    assert heuristics.compared(tmp_path) == {"net": ("x", "y", "z")}


def test_the_digest_of_code_leaves_out_documents(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", encoding="utf-8")
    before = run.code_digest(tmp_path)
    (tmp_path / "README.md").write_text("text", encoding="utf-8")
    assert run.code_digest(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n", encoding="utf-8")
    assert run.code_digest(tmp_path) != before


SHAPES = {"a.weight": (2, 3), "bn.moving_mean": (3,), "bn.gamma": (3,)}


@pytest.mark.parametrize(
    ("tensors", "off", "on", "averages"),
    [
        (SHAPES, "", "", False),
        ({f"network.{name}": shape for name, shape in SHAPES.items()}, "network.", "", False),
        ({f"net.inner.{name}": shape for name, shape in SHAPES.items()}, "net.inner.", "", False),
        ({name.replace("moving_", "running_"): shape for name, shape in SHAPES.items()}, "", "", True),
        ({f"x.{name.replace('moving_', 'running_')}": shape for name, shape in SHAPES.items()}, "x.", "", True),
        ({"other": (1,)}, "", "", False),
    ],
)
def test_names_that_differ_by_a_rule(tensors: dict[str, tuple[int, ...]], off: str, on: str, averages: bool) -> None:
    rules = rename(tensors, SHAPES)
    assert (rules.off, rules.on, rules.averages) == (off, on, averages)
    assert len(rules.notes) == sum(map(bool, (off, on, averages)))
    if "other" not in tensors:
        assert {rules.apply(name) for name in tensors} == set(SHAPES)


def test_a_network_in_a_wrapper() -> None:
    rules = rename({"a.weight": (2, 3), "bn.gamma": (3,)}, {"net.a.weight": (2, 3), "net.bn.gamma": (3,)})
    assert rules.on == "net."
    assert rules.apply("a.weight") == "net.a.weight"
