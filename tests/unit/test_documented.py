"""Which configuration is documented for a package's checkpoint, the plan of its job, and recipes with known sizes."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import pytest

from hubtool.card import model
from hubtool.card.caller_arguments import caller_arguments
from hubtool.networks.compat.stand_ins import distribution_of
from hubtool.uid import Uid
from maintain.discovery import handwritten
from maintain.discovery.heuristics import NetworkFacts
from maintain.oracle import documented
from maintain.oracle.plan import PACKAGE, plan

if TYPE_CHECKING:
    from pathlib import Path

ROW = "| net | [yaml](https://example.com/blob/main/configs/net/{file}) | [weights](https://example.com/{asset}) |\n"
CARD = """# net

---

model-name: net_50
repo-link: https://github.com/mindspore-lab/mindcv/tree/v{version}/configs/net
asset:
  - file-format: ckpt
    asset-link: https://example.com/net-1.ckpt
network:
  provider: package
  entry: mindcv.models:create_model
  arguments: {model_name: net_50}
  inputs:
  - {dtype: float32, name: x, shape: [1, 3, 224, 224]}
  parameters-sha256: abc

---
"""


def card(version: str) -> model.Card:
    text = CARD.replace("{version}", version)
    return model.read(text.encode(), uid=Uid.parse(f"tests/{version}/net"))


def configurations(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_configuration_of_a_checkpoint_is_the_one_of_its_model_or_of_its_row(tmp_path: Path) -> None:
    folder = configurations(tmp_path / "net", a="model: net-18", b="model: net_50", c="network: {model_name: net}")
    (folder / "README.md").write_text(
        ROW.format(file="c.yaml", asset="net-2.ckpt") + ROW.format(file="gone.yaml", asset="net-3.ckpt")
    )
    assert documented.configuration_of(folder, "net-2.ckpt", "Net50") == folder / "b.yaml"
    assert documented.configuration_of(folder, "net-2.ckpt", "net") == folder / "c.yaml"
    assert documented.configuration_of(folder, "net-3.ckpt", "net") is None
    assert documented.configuration_of(folder, "", "net") is None


def test_cards_with_the_same_network_have_one_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.3.0")
    for version, text in {"2.3": "epochs: 3", "2.5": "epochs: 9", "2.6": "image_resize: 256"}.items():
        configurations(tmp_path / f"mindcv-v{version}" / "configs" / "net", net_50=f"model: net_50\n{text}")
    cards = [card(version) for version in ("2.3", "2.5", "2.6", "2.7")]
    jobs, reasons = plan(cards, checkout=str(tmp_path / "{repository}-{revision}"))
    assert [job.uids for job in jobs] == [["tests/2.3/net", "tests/2.5/net"], ["tests/2.6/net"]]
    assert {job.sources for job in jobs} == {(PACKAGE,)}
    assert jobs[0].request["argv"] == ["configs/net/net_50.yaml"]
    assert jobs[0].request["wanted"] == "abc"
    assert jobs[0].identity.startswith("mindcv 0.3.0 ")
    assert reasons == {"tests/2.7/net": "the checkout has no folder configs/net at v2.7"}


def test_without_the_package_or_a_document_there_is_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configurations(tmp_path / "configs" / "net")
    _, reasons = plan([card("2.3")], checkout=str(tmp_path))
    assert reasons == {"tests/2.3/net": "the package mindcv is not installed"}
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.3.0")
    _, reasons = plan([card("2.3")], checkout=str(tmp_path))
    assert reasons == {"tests/2.3/net": "no document of configs/net says which configuration net-1.ckpt has"}


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("absl", "absl-py"),
        ("absl.flags", "absl-py"),
        ("yaml", "pyyaml"),
        ("cv2", "opencv-python-headless"),
        ("PIL.Image", "pillow"),
        ("sklearn", "scikit-learn"),
        ("yacs", "yacs"),
    ],
)
def test_a_module_is_named_by_what_pip_installs(module: str, distribution: str) -> None:
    assert distribution_of(module) == distribution


@pytest.mark.parametrize("name", ["osnet_dukemtmc", "osnet_dukemtmcreid"])
def test_dukemtmc_has_702_persons(name: str) -> None:
    (recipe,) = handwritten.recipes("research/cv/osnet", NetworkFacts(name=name))
    assert recipe.arguments == {"num_classes": 702}


def test_the_graph_of_wn18rr_is_counted_by_the_checkpoint_or_as_published() -> None:
    (recipe,) = handwritten.recipes("research/nlp/rotate", NetworkFacts(name="rotate_wn18rr"))
    config = recipe.arguments["config"]
    assert isinstance(config, dict)
    assert config["num_entity"] == {"shape-of": "entity_embedding", "axis": 0, "otherwise": 40943}
    assert config["num_relation"] == {"shape-of": "relation_embedding", "axis": 0, "otherwise": 11}
    assert not list(handwritten.recipes("research/nlp/rotate", NetworkFacts(name="rotate_fb15k")))


def test_a_part_that_is_data_is_asked_of_the_caller() -> None:
    """With a matrix of zeros a real checkpoint would load whole, and the network would compute something else."""
    (recipe,) = handwritten.recipes("research/cv/stgcn", NetworkFacts(name="stgcn_gcn15_pemsd7m"))
    (matrix,) = caller_arguments(recipe.arguments)
    assert matrix.spec.shape == (228, 228)
    assert "random-walk normalised" in matrix.what
