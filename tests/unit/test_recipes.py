"""What discovery found, as data and in cards; guesses; and the rules by which names are matched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hubtool.card import model, rewrite
from hubtool.checkpoint.coverage import rename
from maintain.discovery import heuristics, recipes, run
from maintain.discovery.heuristics import NetworkFacts, Option

if TYPE_CHECKING:
    from pathlib import Path

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
