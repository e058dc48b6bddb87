"""What networks are run on, where only reading the authors' code tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hubtool.card import model
from hubtool.uid import Uid
from hubtool.verification import rule
from maintain.commands.oracle import cards_of
from maintain.discovery import handwritten, inputs
from maintain.discovery.heuristics import NetworkFacts
from maintain.oracle.plan import OLD, plan
from tests.support import models

REGISTRY = Path(__file__).parents[2] / "registry"
CARD = """# fasttext_agnews

---

model-name: fasttext
module-type: nlp
repo-link: https://gitee.com/mindspore/models/tree/r1.9/nlp/net
network:
  provider: repository
  entry: export.py

---
"""


def test_lengths_are_not_zero() -> None:
    tokens, lengths = inputs.stated("fasttext_agnews")
    assert tokens.shape == (1, 467)
    assert (lengths.low, lengths.high) == (1, 467)
    value = rule.example(1, lengths.shape, lengths.dtype, lengths.low, lengths.high)
    assert np.all(value > 0)


def test_the_task_is_the_length_of_an_index() -> None:
    lengths = [inputs.stated(f"ipt_{name}")[1].shape for name in ("x2_set5", "x4_set5", "denoise50_cbsd68")]
    assert lengths == [(0,), (2,), (5,)]


def test_other_cards_say_their_inputs_themselves() -> None:
    assert inputs.stated("resnet50_imagenet2012") == ()


def test_the_oracle_runs_a_network_on_them(tmp_path: Path) -> None:
    models.script_only(tmp_path / "nlp" / "net")
    card = model.read(CARD.encode(), uid=Uid.parse("tests/1.9/fasttext_agnews"))
    (job,), _ = plan([card], checkout=str(tmp_path))
    assert job.request["inputs"][1] == {
        "name": "src_tokens_lengths", "shape": [1, 1], "dtype": "int32", "low": 1, "high": 467,
    }  # fmt: skip
    assert job.key(OLD)


def test_the_recipes_of_all_versions_state_them() -> None:
    wanting = []
    for card in cards_of(REGISTRY):
        stated = inputs.stated(str(card.uid).rpartition("/")[2])
        if not stated or card.recipe is None or card.recipe.provider != "repository":
            continue
        if card.recipe.inputs != tuple((one.name, one.shape, one.dtype) for one in stated):
            wanting.append(str(card.uid))
    assert wanting == []


def test_a_card_of_a_part_has_a_recipe_of_that_part() -> None:
    def recipe(folder: str, name: str) -> model.Recipe:
        return next(handwritten.recipes(folder, NetworkFacts(name=name)))

    assert recipe("official/cv/simclr", "simclr_encoder_cifar10").capture == 1
    assert recipe("official/cv/simclr", "simclr_linearclassifier_cifar10").capture == 2
    assert recipe("research/cv/DRNet", "drnet_classifier_imagenet2012").capture == 2
    assert "MNLI" in recipe("official/nlp/tinybert", "tinybert_enwiki128_mnli").argv
    assert recipe("research/gnn/dgcn", "dgcn_pubmed").arguments["input_dim"] == 500
    assert not list(handwritten.recipes("research/gnn/dgcn", NetworkFacts(name="dgcn_cora")))
    assert recipe("research/gnn/sdne", "sdne_wiki").capture == 2  # what is exported, not the loss around it


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("research/cv/APDrawingGAN", "apdrawinggan_generator_apdrawingdb"),
        ("research/cv/repvgg", "repvgg_imagenet2012"),
        ("research/hpc/molecular_dynamics", "moleculardynamics_water"),
    ],
)
def test_what_a_script_does_to_its_network_before_the_export_is_done(folder: str, name: str) -> None:
    """It sets pads, or goes back to float32: where the weights go in, the network does not run yet."""
    recipe = next(handwritten.recipes(folder, NetworkFacts(name=name)))
    cards = [card for card in cards_of(REGISTRY) if str(card.uid).endswith(f"/{name}")]
    assert cards
    for card in cards:
        assert card.recipe is not None
        assert (card.recipe.entry, card.recipe.skip) == (recipe.entry, recipe.skip)


def test_a_network_that_takes_two_images_does_not_return_them() -> None:
    """Before r1.6 the tracker's class has no mode for both images but that of training; without a mode it echoes."""
    newer, older = handwritten.recipes("research/cv/siamRPN", NetworkFacts(name="siamrpn_vid"))
    assert newer.arguments["is_310infer"] is True
    assert older.arguments["is_train"] is True
    assert [name for name, _, _ in older.inputs] == ["template", "detection"]


def test_one_checkpoint_has_one_network_in_all_versions() -> None:
    """The large encoder of Chinese news was one of English Wikipedia's vocabulary in six of seven versions."""

    def built(name: str) -> model.Recipe | None:
        return handwritten.builtin("official/nlp/bert_thor", NetworkFacts(name=name))

    chinese, english = built("bertlarge_cnnews128"), built("bertthor_mlperf")
    assert chinese is not None
    assert english is not None
    assert (chinese.arguments["vocab_size"], english.arguments["vocab_size"]) == (21128, 30522)
    cards = [card for card in cards_of(REGISTRY) if str(card.uid).endswith("/bertlarge_cnnews128")]
    assert len({card.text("asset-sha256") for card in cards}) == 1
    assert {repr(card.recipe and (card.recipe.entry, card.recipe.arguments)) for card in cards} == {
        repr((chinese.entry, chinese.arguments))
    }


def test_inference_in_training_mode_is_said() -> None:
    for folder, name in (("research/cv/U-GAT-IT", "ugatit_selfie2anime"), ("research/cv/Pix2Pix", "pix2pix_G_facades")):
        assert next(handwritten.recipes(folder, NetworkFacts(name=name))).training_mode
