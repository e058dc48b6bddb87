"""`hubtool load` of cards whose networks are built with code of a repository: trust, code, weights, coverage."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import models
from tests.support.git import git
from tests.support.repositories import CALLABLE, SCRIPT, card, repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [
    pytest.mark.mindspore,
    pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed"),
]


def test_code_runs_only_when_it_is_trusted(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    uid = card(cli, root, SCRIPT)
    refused = cli("load", uid, "--json")
    assert refused.code == 1
    assert "trust" in refused.err
    assert not (cli.home / "code").exists()
    assert cli("trust", "add", str(root)).code == 0
    done = cli("load", uid, "--smoke", "--json")
    assert done.code == 0, done.err
    assert done.json["network"] == "Net"
    assert done.json["coverage"]["loaded"] == 4
    # From now on it works without the repository, and without the network.
    shutil.rmtree(root)
    again = cli("load", uid, "--json", HUBTOOL_OFFLINE="1")
    assert again.code == 0, again.err


@pytest.mark.parametrize("prefix", ["", "network."])
def test_a_checkout_a_callable_and_a_wrapper_s_prefix(cli: Cli, tmp_path: Path, prefix: str) -> None:
    root = repository(tmp_path / "models")
    uid = card(cli, root, CALLABLE, prefix=prefix)
    assert cli("trust", "add", str(root)).code == 0
    done = cli("load", uid, "--checkout", root)
    assert done.code == 0, done.err
    assert "total" in done.out
    assert ("'network.'" in done.out) is bool(prefix)


def test_tensors_get_the_names_that_the_recipe_says(cli: Cli, tmp_path: Path) -> None:
    """Code that loads averaged weights in place of the weights, and corrects a name that was once misspelt."""
    root = repository(tmp_path / "models")
    assert cli("trust", "add", str(root)).code == 0
    tensors = {"dense.weight": (4, 3), "dense.bias": (4,), "haed.weight": (5, 4), "haed.bias": (5,)}
    tensors |= {"average.dense.weight": (4, 3), "average.dense.bias": (4,)}
    uid = card(cli, root, CALLABLE, tensors=tensors)
    assert "2 missing from the checkpoint" in cli("load", uid).err
    uid = card(cli, root, CALLABLE + "  rename: {^average.: '', haed: head}\n", tensors=tensors)
    done = cli("load", uid)
    assert done.code == 0, done.err
    assert "4 tensors were renamed by the recipe; 2 others were replaced by them" in done.out
    assert "renames ^average. to nothing" in cli("resolve", uid).out
    uid = card(cli, root, CALLABLE + "  rename: {^average.dense: x, dense: x}\n", tensors=tensors)
    assert "give dense.weight and average.dense.weight one name, x.weight" in cli("load", uid).err


def test_a_checkpoint_of_another_network(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    uid = card(cli, root, CALLABLE.replace("5", "6"))
    assert cli("trust", "add", str(root)).code == 0
    done = cli("load", uid)
    assert done.code == 1
    assert "head.weight: checkpoint [5, 4], network [6, 4]" in done.err


def test_a_checkout_is_compared_with_the_card_s_commit(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    uid = card(cli, root, CALLABLE)
    commit = git(root, "rev-parse", "HEAD")
    assert cli("trust", "add", str(root)).code == 0
    assert f"the checkout is at commit {commit}, which the card names" in cli("load", uid, "--checkout", root).out
    model = root / "research/net/src/network.py"
    model.write_text(model.read_text() + "# edited\n")
    edited = cli("load", uid, "--checkout", root).out
    assert "1 file differs (src/network.py)" in edited
    # A copy without git, of which nothing is known yet.
    copy = tmp_path / "copy"
    shutil.copytree(root / "research", copy / "research")
    assert "was not compared" in cli("load", uid, "--checkout", copy).out
    assert cli("load", uid).code == 0
    assert f"differs from the card's commit {commit}: 1 file differs" in cli("load", uid, "--checkout", copy).out
    git(root, "checkout", "--quiet", "--", ".")
    extra = root / "research/net/more"
    extra.symlink_to(tmp_path)
    assert "1 file differs (more)" in cli("load", uid, "--checkout", root).out
    extra.unlink()
    assert f"has the files of the card's commit {commit}" in cli("load", uid, "--checkout", root).out
    assert "give the top folder" in cli("load", uid, "--checkout", model.parent).err


@pytest.mark.slow
def test_a_checkout_proves_code_that_is_not_public_yet(cli: Cli, tmp_path: Path) -> None:
    """The commit of the card is nowhere but in the author's own clone."""
    root = repository(tmp_path / "models")
    mine = tmp_path / "mine"
    git(tmp_path, "clone", "--quiet", root.as_uri(), "mine")
    (mine / "research/net/extra.py").write_text("")
    git(mine, "add", "--all")
    git(mine, "commit", "--quiet", "-m", "mine")
    uid = card(cli, root, SCRIPT)
    path = cli.registry / "tests/1.9/net.md"
    text = path.read_text("utf-8").replace(git(root, "rev-parse", "HEAD"), git(mine, "rev-parse", "HEAD"))
    path.write_text(text, encoding="utf-8")
    assert cli("trust", "add", str(root)).code == 0
    missing = cli("load", uid)
    assert missing.code == 1
    assert "--checkout" in missing.err
    found = {row["name"]: row for row in cli("check", "--json", uid, "--checkout", mine).json["rows"]}
    for name in ("recipe", "coverage", "forward pass", "usage block"):
        assert found[name]["state"] == "passed", found[name]
    assert any("its files are unchanged" in detail for detail in found["recipe"]["details"])
    tried = cli("try", uid, "--checkout", mine)
    assert tried.code == 0, tried.err
    assert "note: the checkout is at commit" in tried.err
    assert not (cli.home / "code" / "records").exists()
    program = f"import hubtool; hubtool.load({uid!r}, checkout={str(mine)!r}, trust=True)"
    assert cli("trust", "remove", str(root)).code == 0
    lists = tmp_path / "config" / "hubtool" / "trust.json"
    lists.write_text(f'{{"added": ["{root}"]}}')
    lists.chmod(0o600)
    for arguments, code in ((program, 0), (program.replace(", trust=True", ""), 1)):
        done = subprocess.run([sys.executable, "-c", arguments], env=cli.environ, capture_output=True, check=False)
        assert done.returncode == code, done.stderr


NESTED = """
from mindspore import nn


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.dense = nn.Dense(3, 4)

    def construct(self, x):
        if x.shape[1] != 3:
            raise ValueError(f"it takes 3 columns, and got {x.shape[1]}")
        y = self.dense(x)
        return (y, (x, [y])), x
"""
INPUTS = """  provider: repository
  entry: src.network:Net
  ignore: ["head.*"]
  inputs:
    - name: x
      shape: [512, COLUMNS]
      dtype: float32
"""


@pytest.mark.slow
def test_smoke_prints_nested_outputs_of_a_batch_of_one_and_the_error_of_the_network(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    models.write(root / "research" / "net", {"src/network.py": NESTED})
    git(root, "commit", "--quiet", "--all", "-m", "nested")
    uid = card(cli, root, INPUTS.replace("COLUMNS", "3"))
    assert cli("trust", "add", str(root)).code == 0
    done = cli("load", uid, "--smoke")
    assert done.code == 0, done.err
    assert [" ".join(line.split()[-3:]) for line in done.out.splitlines() if "Float32" in line] == [
        "Float32 [1, 4]", "Float32 [1, 3]", "Float32 [1, 4]", "Float32 [1, 3]",
    ]  # fmt: skip
    uid = card(cli, root, INPUTS.replace("COLUMNS", "7"))
    failed = cli("load", uid, "--smoke")
    assert failed.code == 1
    assert "the forward pass failed: ValueError: it takes 3 columns, and got 7 (network.py:" in failed.err
    assert "Traceback" not in failed.err
    checked = cli("check", uid, "--json", "--trust")
    forward = next(row for row in checked.json["rows"] if row["name"] == "forward pass")
    assert forward["state"] == "failed"
    assert "it takes 3 columns, and got 7" in forward["reason"]
