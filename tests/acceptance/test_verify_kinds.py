"""Twenty networks of as many kinds, and the built-in family, hold to what MindSpore 2.0.0 computed for their code.

``tools/record_kinds.py`` wrote the numbers; the code goes through the bridge here.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.card import rewrite
from tests.support import ROOT, kinds
from tests.support.cards import write_card
from tests.support.git import git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [
    pytest.mark.mindspore,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed"),
]
ANSWERS: dict[str, Any] = json.loads((ROOT / "tests/oracles/kinds.json").read_text(encoding="utf-8"))


def write(cli: Cli, root: Path, kind: str, answer: dict[str, Any]) -> None:
    path = write_card(cli.registry, f"tests/1.9/{kind}", link="https://download.mindspore.cn/net.ckpt", content=b"x")
    inputs = [{"name": name, "shape": list(shape), "dtype": dtype} for name, shape, dtype in kinds.KINDS[kind][2]]
    recipe = {
        "provider": "repository",
        "entry": "export.py",
        "argv": ["--ckpt_file", "{checkpoint}"],
        "inputs": inputs,
        "known-answer": answer,
    }
    text = rewrite.with_recipe(path.read_text(encoding="utf-8"), recipe, git(root, "rev-parse", "HEAD"))
    link = f"repo-link: {root.as_uri()}/tree/main/kinds/{kind}\n"
    path.write_text(text.replace("repo-revision:", f"{link}repo-revision:"), encoding="utf-8")


def test_every_kind_is_equal(cli: Cli, tmp_path: Path) -> None:
    root = kinds.repository(tmp_path / "models")
    assert set(ANSWERS) == set(kinds.KINDS)
    for kind, answer in ANSWERS.items():
        assert answer["source"] == "mindspore-2.0.0"
        write(cli, root, kind, answer)
    assert cli("trust", "add", str(root)).code == 0
    done = cli("verify", "--all", "--jobs", "2", "--json", timeout=900)
    found = {result["uid"].rpartition("/")[2]: result for result in done.json["results"]}
    assert {kind: (one["verdict"], one["reason"]) for kind, one in found.items()} == dict.fromkeys(
        ANSWERS, ("equal", "")
    )
    assert max(one["largest"] for one in found.values()) < 1e-5
    assert done.code == 0


@pytest.mark.parametrize("kind", ["convolution", "attention", "recurrent"])
def test_a_change_of_the_code_is_seen(cli: Cli, tmp_path: Path, kind: str) -> None:
    """The parameters stay the same, and the network computes something else."""
    root = kinds.repository(tmp_path / "models")
    code = root / "kinds" / kind / "src/network.py"
    before = code.read_text(encoding="utf-8")
    changed = (
        before.replace("P.ReLU()(", "P.Tanh()(").replace("/ 2.5", "/ 2.4").replace("return y, h", "return y * 1.01, h")
    )
    assert changed != before
    code.write_text(changed, encoding="utf-8")
    git(root, "commit", "--all", "--quiet", "-m", "changed")
    write(cli, root, kind, ANSWERS[kind])
    assert cli("trust", "add", str(root)).code == 0
    done = cli("verify", f"tests/1.9/{kind}", "--json")
    assert done.code == 1
    assert done.json["verdict"] == "differs"
    assert "of its scale" in done.json["reason"]
