"""`python -m maintain answers`: recipes held to what the authors' own script computes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.card import model
from hubtool.sandbox.limits import ProgramLimits
from hubtool.uid import Uid
from maintain.oracle import run, settle
from maintain.oracle.plan import OLD, SCRIPT, plan
from tests.support.git import git
from tests.support.repositories import SCRIPT as RECIPE
from tests.support.repositories import card, repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [
    pytest.mark.mindspore,
    pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed"),
]
UID = "tests/1.9/net"


@pytest.mark.slow
def test_what_the_script_computes_is_what_the_recipe_computes(cli: Cli, tmp_path: Path) -> None:
    """The script's network on today's MindSpore stands in for MindSpore 2.0.0, which the tests do not have."""
    root = repository(tmp_path / "models")
    card(cli, root, RECIPE)
    path = cli.registry / f"{UID}.md"
    assert cli("trust", "add", str(root)).code == 0
    report, records = tmp_path / "settled.jsonl", tmp_path / "records.jsonl"

    def jobs() -> list[Any]:
        return plan([model.read(path.read_bytes(), uid=None, path=path)], checkout=str(root))[0]

    def answers(*more: str | Path) -> str:
        command = ("answers", "--registry", cli.registry, "--checkout", root, "--records", records, "--report", report)
        done = cli.maintain(*command, "--jobs", "1", *more)
        assert done.code == 0, done.err
        return done.out

    found = run.run(jobs(), sources=(SCRIPT,), python=None, report=records, limits=ProgramLimits())
    (record,) = found.values()
    assert record["reason"] == ""
    assert "equal" in answers()
    digest = record["networks"][record["chosen"]]["digest"]
    text = path.read_text(encoding="utf-8")
    for stated, said in (("0" * 64, "another network"), (digest, "equal")):
        path.write_text(text.replace("  inputs:", f"  parameters-sha256: {stated}\n  inputs:"), encoding="utf-8")
        (job,) = jobs()
        with records.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**record, "key": job.key(SCRIPT)}) + "\n")
        assert said in answers()
    for source in (SCRIPT, OLD):
        with records.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**record, "key": job.key(source), "source": source}) + "\n")
    assert f"equal                  {UID} 0" in answers("--write")
    recipe = model.read(path.read_bytes()).recipe
    assert recipe is not None
    assert recipe.known_answer is not None
    assert recipe.known_answer["source"] == OLD
    assert cli("verify", UID, "--json").json["verdict"] == "equal"
    # Another answer of MindSpore 2.0.0 is not written, and what differs is said.
    wrong = json.loads(json.dumps(record))
    wrong["outputs"][0]["mean"] += 1.0
    with records.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**wrong, "key": job.key(OLD), "source": OLD}) + "\n")
    report.unlink()
    before = path.read_bytes()
    said = answers("--write", "--unverified", tmp_path / "unverified.json")
    assert "the sources disagree" in said
    (told,) = json.loads((tmp_path / "unverified.json").read_text()).items()
    assert told[0] == UID
    assert told[1].startswith("the sources disagree: ")
    assert "0 cards written" in said
    assert path.read_bytes() == before
    assert git(root, "status", "--short") == ""


def test_what_has_no_answer_has_a_reason(tmp_path: Path) -> None:
    text = (
        PACKAGE_CARD.replace("mindspore-lab/mindcv", "mindspore/models")
        .replace("package", "repository")
        .replace("mindcv.models:create_model", "export.py")
    )
    cards = [model.read(text.encode(), uid=Uid.parse(f"a/1.9/{name}")) for name in ("equal", "other", "unasked")]
    (tmp_path / "configs/net").mkdir(parents=True)
    jobs, _ = plan(cards, checkout=str(tmp_path))
    assert {uid for job in jobs for uid in job.uids} == {str(card.uid) for card in cards}
    done = [
        settle.SettledJob(uids=("a/1.9/equal",), state=settle.EQUAL),
        settle.SettledJob(uids=("a/1.9/other",), state=settle.DIFFERS, reason="output 1: by 2", source=OLD),
    ]
    assert settle.reasons(jobs, done) == {
        "a/1.9/other": "it runs, and differs from mindspore-2.0.0: output 1: by 2",
        "a/1.9/unasked": "nobody has asked for its answer, or compared it, yet",
    }


def test_of_results_nothing_is_lost(tmp_path: Path) -> None:
    one = settle.SettledJob(uids=("a/1.9/b",), state=settle.DIFFERS, reason="x", source=OLD, difference=0.5)
    assert settle.settled(json.loads(json.dumps(one.as_json()))) == one
    assert tmp_path.is_dir()


PACKAGE_CARD = """# net

---

model-name: net_50
repo-link: https://github.com/mindspore-lab/mindcv/tree/v0.4.0/configs/net
mindspore-version: '2.3'
network:
  provider: package
  entry: mindcv.models:create_model
  arguments: {model_name: net_50}
  requires: [mindcv>=0.3]
  inputs:
  - {dtype: float32, name: x, shape: [1, 3, 4, 4]}

---
"""
MODELS = """from mindspore import nn


class Net(nn.Cell):
    def __init__(self, num_classes):
        super().__init__()
        self.fc = nn.Dense(3, num_classes)

    def construct(self, x):
        return self.fc(x.mean((2, 3))) * SCALE


SCALE = 1.0


def list_models():
    return ["net_50"]


def create_model(model_name, num_classes=5, pretrained=False):
    if model_name not in list_models():
        raise RuntimeError(f"Unknown model {model_name}")
    return Net(num_classes)
"""


def package(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a small MindCV and the tree of its repository; return the file with its networks."""
    site, tree = tmp_path / "site", tmp_path / "mindcv" / "configs" / "net"
    (site / "mindcv" / "models").mkdir(parents=True)
    (site / "mindcv" / "__init__.py").write_text("from .models import create_model, list_models\n")
    code = site / "mindcv" / "models" / "__init__.py"
    code.write_text(MODELS)
    (site / "mindcv-0.3.0.dist-info").mkdir()
    (site / "mindcv-0.3.0.dist-info" / "METADATA").write_text("Name: mindcv\nVersion: 0.3.0\n")
    tree.mkdir(parents=True)
    (tree / "net_50.yaml").write_text("model: net_50\nnum_classes: 5\nimage_resize: 6\n")
    cli.environ["PYTHONPATH"] = f"{site}:{cli.environ.get('PYTHONPATH', '')}"
    monkeypatch.syspath_prepend(site)
    return code


@pytest.mark.slow
@pytest.mark.parametrize("reads", [False, True])
def test_a_package_that_reads_its_first_values_gets_them(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    code = package(cli, tmp_path, monkeypatch)
    if reads:
        code.write_text(
            MODELS.replace(
                "    def construct", "        self.fc.weight.set_data(self.fc.weight * 2)\n\n    def construct", 1
            )
        )
    path = cli.registry / "tests" / "2.3" / "net.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    before, _, rest = PACKAGE_CARD.partition("network:\n")
    path.write_text(before + rest[rest.index("\n---") + 1 :], encoding="utf-8")
    checkout = tmp_path / "{repository}"
    found = ("discover", "tests/2.3/net", "--checkout", checkout, "--report", tmp_path / "found.json", "--write")
    done = cli.maintain(*found)
    assert done.code == 0, done.out
    recipe = model.read(path.read_bytes()).recipe
    assert recipe is not None
    assert recipe.arguments == {"model_name": "net_50"}
    assert recipe.initialise is reads


@pytest.mark.slow
def test_a_package_is_asked_as_its_user_would_and_the_recipe_is_held_to_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = package(cli, tmp_path, monkeypatch)
    uid = "tests/2.3/net"
    path = cli.registry / f"{uid}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PACKAGE_CARD, encoding="utf-8")
    records = tmp_path / "records.jsonl"
    where = ("--registry", cli.registry, "--checkout", tmp_path / "{repository}", "--jobs", "1")

    def settled(number: int) -> str:
        report = tmp_path / f"settled-{number}.jsonl"
        done = cli.maintain("answers", *where, "--records", records, "--report", report, "--write")
        assert done.code == 0, done.err
        return done.out

    done = cli.maintain("oracle", *where, "--report", records)
    assert done.code == 0, done.err
    assert "package: 1 of 1 answered" in done.out
    code.write_text(MODELS.replace("SCALE = 1.0", "SCALE = 1.5"))  # what the recipe builds is another network by now
    assert "differs" in settled(1)
    assert "known-answer" not in path.read_text(encoding="utf-8")
    code.write_text(MODELS)
    assert f"equal                  {uid}" in settled(2)
    recipe = model.read(path.read_bytes()).recipe
    assert recipe is not None
    assert recipe.known_answer is not None
    assert recipe.known_answer["source"] == "package"
    assert recipe.inputs == (("x", (1, 3, 6, 6), "float32"),)
    assert cli("verify", uid, "--json").json["verdict"] == "equal"
