"""Cards of graphs from `hubtool new` to `hubtool publish`, and files that are not published yet."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from hubtool.card import model
from tests.support import ROOT
from tests.support.checkpoints import ckpt, filled
from tests.support.publishing import maintainer_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli, CompletedRun

UID = "lab/1.0/graph"
ABOUT = (
    *("--no-input", "--license", "MIT", "--author", "A Lab", "--train-dataset", "Toyner", "--summary", "Tags."),
    *("--introduction", "It tags.", "--measured", "On paper.", "--evaluation", "F1score 87.1"),
    *("--module-type", "nlp-named_entity_recognition", "--backbone-name", "bert"),
)
ONNX = b"\x08\x07\x12\x07pytorch"


def rows(done: CompletedRun) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in done.json["rows"]}


@pytest.mark.mindspore
@pytest.mark.slow
@pytest.mark.parametrize("option", ["--file", "--checkpoint"])
def test_a_graph_is_written_proven_and_published(cli: Cli, tmp_path: Path, option: str) -> None:
    graph = cli.folder / "g.mindir"
    assert cli("export", "hubtool/2.10/tinybert_bilstmcrf_toyner", graph, HUBTOOL_REGISTRY="").code == 0
    written = cli("new", UID, *ABOUT, option, graph, "--registry", cli.registry)
    assert written.code == 0, written.err
    assert f"--asset {graph}" in written.err
    path = cli.registry / f"{UID}.md"
    card = model.read(path.read_bytes())
    assert [(asset.format, asset.size) for asset in card.assets] == [("mindir", graph.stat().st_size)]
    assert card.recipe is None
    assert "FILL IN" not in path.read_text(encoding="utf-8")
    checked = cli("check", path, "--asset", graph, "--json")
    assert checked.code == 0, checked.out
    found = rows(checked)
    assert {name: row["state"] for name, row in found.items() if name != "links"} == dict.fromkeys(
        (
            *("schema and rules", "assets", "checkpoint", "recipe", "coverage", "forward pass"),
            *("known answer", "usage block", "metrics"),
        ),
        "passed",
    )
    assert "input_ids int32 [1, 128]" in str(found["checkpoint"])
    assert "Int32 [1, 128]" in str(found["forward pass"])
    with maintainer_at(cli, tmp_path) as desk:
        arguments = (path, "--asset", graph, "--blobs", desk.blobs, "--link-base", desk.links)
        environ = {"PYTHONPATH": str(ROOT)}  # the desk hides MindSpore, and here the network is proven
        done = cli("publish", *arguments, "--registry", desk.checkout, "--push", timeout=300, **environ)
        assert done.code == 0, done.err
        assert f"publish/{UID.replace('/', '-')}" in desk.branches()


@pytest.mark.parametrize(
    ("name", "content", "program"),
    [("a graph.onnx", ONNX, "ONNX Runtime"), ("a graph.om", b"IMOD" + bytes(64), "AscendCL")],
    ids=["onnx", "om"],
)
def test_a_graph_that_other_programs_run(cli: Cli, name: str, content: bytes, program: str) -> None:
    graph = cli.folder / name
    graph.write_bytes(content)
    written = cli("new", UID, *ABOUT, "--file", graph, "--registry", cli.registry)
    assert written.code == 0, written.err
    assert f"--asset '{graph}'" in written.err
    done = cli("check", cli.registry / f"{UID}.md", "--asset", graph, "--json")
    assert done.code == 0, done.out
    found = rows(done)
    assert [found[name]["state"] for name in ("checkpoint", "recipe")] == ["passed"] * 2
    for row in ("coverage", "forward pass"):
        assert found[row]["state"] == "not possible here"
        assert program in found[row]["reason"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("g.onnx", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("g.ms", ONNX, "an ONNX graph, and the card says mslite"),
        ("g.mindir", ONNX, "cannot be read as a MindIR"),
        ("g.air", b"", "is empty"),
    ],
)
def test_a_file_that_is_no_graph(cli: Cli, name: str, content: bytes, said: str) -> None:
    graph = cli.folder / name
    graph.write_bytes(content)
    done = cli("new", UID, *ABOUT, "--file", graph, "--registry", cli.registry)
    assert (done.code, list(cli.registry.rglob("*.md"))) == (1, [])
    assert said in done.err


def test_the_inputs_of_a_recipe(cli: Cli) -> None:
    recipe = ("--provider", "package", "--entry", "mindcv.models:resnet18", "--input", "x=1,3,32,32")
    done = cli("new", UID, *ABOUT, *recipe, "--input", "n=():int64", "--registry", cli.registry)
    assert done.code == 0, done.err
    card = model.read((cli.registry / f"{UID}.md").read_bytes())
    assert card.recipe is not None
    assert card.recipe.inputs == (("x", (1, 3, 32, 32), "float32"), ("n", (), "int64"))
    assert "x = ms.Tensor(np.zeros((1, 3, 32, 32)), ms.float32)" in card.body
    for wrong in ("x", "x=1,0", "x=1:float31", "1=1", "x=-1", "x=1,,2"):
        assert "is not an input" in cli("new", "lab/1.0/other", "--input", wrong, "--registry", cli.registry).err


# -- files that are not published yet ----------------------------------------------------------------------------------


def test_a_checkpoint_of_nan_fails(cli: Cli) -> None:
    path = cli.folder / "nan.ckpt"
    path.write_bytes(
        ckpt([("a", (2,), "float32", b"\0\0\xc0\x7f" * 2), ("b", (2,), "float16", b"\0\x7c\0\x3c"), filled("c", (3,))])
    )
    assert cli("new", UID, *ABOUT, "--checkpoint", path, "--registry", cli.registry).code == 0
    done = cli("check", cli.registry / f"{UID}.md", "--asset", path, "--json")
    assert done.code == 1
    row = rows(done)["checkpoint"]
    assert row["state"] == "failed"
    assert row["reason"] == "3 of its numbers are NaN or infinite: a (2), b (1)"


@pytest.mark.mindspore
def test_a_usage_block_is_tried_before_its_files_are_published(cli: Cli) -> None:
    folder = cli.folder / "files"
    shutil.copytree(ROOT / "registry/hubtool/2.10/tinybert_bilstmcrf_toyner", folder)
    files = [folder / name for name in ("tinybert_bilstmcrf_toyner.ckpt", "vocab.txt", "labels.txt")]
    options = ("--checkpoint", files[0], "--file", files[1], "--file", files[2], "--argument", "num_attention_heads=4")
    written = cli("new", UID, *ABOUT, *options, "--registry", cli.registry)
    assert written.code == 0, written.err
    given = " ".join(f"--asset {file}" for file in files)
    assert written.err.rstrip().endswith(f"hubtool check {cli.registry / UID}.md {given}")
    card = cli.registry / f"{UID}.md"
    for command in (("try", card), ("fetch", card), ("load", card)):
        without = cli(*command)
        assert without.code == 1
        assert "is not published yet (HT315)" in without.err
        assert "Traceback" not in without.out + without.err
    assert "is not published yet (HT315)" in cli("resolve", card).out
    tried = cli("try", card, *(part for file in files for part in ("--asset", file)))
    assert tried.code == 0, tried.err
    assert not list(cli.home.rglob("*.ckpt"))
    other = cli.folder / "other.ckpt"
    other.write_bytes(files[0].read_bytes()[:-1] + b"x")
    wrong = cli("try", card, "--asset", other, "--asset", files[1], "--asset", files[2])
    assert (wrong.code, "is not the file that the card means" in wrong.err) == (1, True)
