"""`python -m maintain oracle`: small repositories that the tests write, run as the real ones are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import models
from tests.support.models import EXPORT

if TYPE_CHECKING:
    from tests.support.cli import Cli, CompletedRun

pytestmark = pytest.mark.mindspore

CARD = """# {name}

---

model-name: net
backbone-name: net
module-type: cv
fine-tunable: true
model-version: 1.9
train-dataset: toy
author: hubtool
update-time: 2026-11-23
repo-link: https://gitee.com/mindspore/models/tree/r1.9/{name}
user-id: hubtool
used-for: inference
mindspore-version: 1.9
license: Apache-2.0
summary: A model of the tests.
network:
  provider: repository
{network}

---

A model of the tests.
"""
SCRIPT = """  entry: export.py
  argv: [--ckpt_file, '{checkpoint}']"""
CALLABLE = """  entry: src.network:Net
  arguments: {num_classes: 5}"""
# A teacher gets weights first, then the network that is exported within a wrapper, which renames its parameters.
TEACHER = """
import argparse
import numpy as np
import mindspore as ms
from mindspore import Tensor, context, export, load_checkpoint, load_param_into_net, nn
from mindspore._checkparam import Rel, Validator
from src.network import Net

parser = argparse.ArgumentParser()
parser.add_argument("--ckpt_file", type=str, required=True)
args = parser.parse_args()
Validator.check_int(3, 2, Rel.GE, "three", "export")
context.set_context(mode=context.GRAPH_MODE, device_target="Ascend")
labels = open("labels-that-are-not-there.txt").read()


class Wrapped(nn.Cell):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def construct(self, x):
        y = self.network(x)
        return y, {"both": (y + 1, y * 0)}


teacher = Net(num_classes=9)
load_param_into_net(teacher, load_checkpoint(args.ckpt_file))
net = Net(num_classes=5)
load_checkpoint(args.ckpt_file, net)
export(Wrapped(net), Tensor(np.zeros([4, 3], np.float32)), file_name="net", file_format="MINDIR")
"""
TAKES_STUDENT = SCRIPT + "\n  capture: 2\n  skip: ['export.py:13']"
TAKES_WRAPPER = SCRIPT + "\n  capture: 3\n  skip: ['export.py:13']"


def construct(body: str) -> str:
    """Return the network's module with another body of ``construct``."""
    head = "import os\nimport numpy as np\nfrom mindspore import Tensor, ops\n"
    whole = head + models.NETWORK.format(name="Net", classes=5)
    return whole.replace("return self.head(self.drop(self.dense(x)))", body)


def add(cli: Cli, root: Path, name: str, *, network: str = SCRIPT, body: str = "", export: str = EXPORT) -> None:
    folder = models.script_only(root / "models-r1.9" / name, export=export)
    if body:
        (folder / "src" / "network.py").write_text(construct(body), encoding="utf-8")
    path = cli.registry / "tests" / "1.9" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CARD.format(name=name, network=network), encoding="utf-8")


def oracle(cli: Cli, root: Path, *more: str) -> CompletedRun:
    checkout = str(root / "{repository}-{revision}")
    report = str(root / "records.jsonl")
    done = cli.maintain(
        *("oracle", "--registry", str(cli.registry), "--checkout", checkout, "--report", report, "--jobs", "1"), *more
    )
    assert done.code == 0, done.err
    return done


def records(root: Path) -> dict[str, dict[str, Any]]:
    lines = (root / "records.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return {f"{record['uids'][0].rpartition('/')[2]} {record['source']}": record for record in found}


def test_the_script_s_own_network_answers(cli: Cli, tmp_path: Path) -> None:
    add(cli, tmp_path, "plain")
    add(cli, tmp_path, "called", network=CALLABLE)
    done = oracle(cli, tmp_path, "--source", "script")
    assert "script: 2 of 2 answered" in done.out
    plain, called = records(tmp_path)["plain script"], records(tmp_path)["called script"]
    assert [(one["class"], one["where"], one["elements"]) for one in plain["networks"]] == [("Net", "load", 41)]
    assert plain["networks"][0]["parameters"]["head.weight"] == [5, 4]
    assert (plain["chosen"], plain["exported"], plain["reason"]) == (0, 0, "")
    assert plain["export_inputs"] == [{"name": "x", "shape": [2, 3], "dtype": "float32"}]
    assert plain["inputs"] == [{"name": "x", "shape": [1, 3], "dtype": "float32"}]
    assert [one["shape"] for one in plain["outputs"]] == [[1, 5]]
    # The script of a callable is found, and it makes the same network.
    assert (called["entry"], called["argv"]) == ("export.py", ["--ckpt_file", "{checkpoint}"])
    assert called["callable"] == "src.network:Net"
    assert called["outputs"] == plain["outputs"]

    before = (tmp_path / "records.jsonl").read_bytes()
    again = oracle(cli, tmp_path, "--source", "script")
    assert again.out == "script: 2 of 2 answered\n"
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_which_network_is_asked(cli: Cli, tmp_path: Path) -> None:
    add(cli, tmp_path, "teacher", export=TEACHER, network=TAKES_STUDENT)
    add(cli, tmp_path, "wrapper", export=TEACHER, network=TAKES_WRAPPER)
    done = oracle(cli, tmp_path, "--source", "script")
    found = {name.partition(" ")[0]: record for name, record in records(tmp_path).items()}
    assert {name: record["reason"] for name, record in found.items()} == {"teacher": "", "wrapper": ""}
    assert [one["where"] for one in found["teacher"]["networks"]] == ["load", "load", "export"]
    assert (found["teacher"]["chosen"], found["wrapper"]["chosen"], found["teacher"]["exported"]) == (1, 2, 2)
    names = [next(iter(one["parameters"])) for one in found["teacher"]["networks"]]
    assert names == ["dense.weight", "dense.weight", "network.dense.weight"]
    assert [one["shape"] for one in found["wrapper"]["outputs"]] == [[1, 5]] * 3
    assert "script: 2 of 2 answered" in done.out


@pytest.mark.slow
def test_why_there_is_no_answer(cli: Cli, tmp_path: Path) -> None:
    add(cli, tmp_path, "plain")
    add(cli, tmp_path, "random", body="return x + Tensor(np.random.rand(1, 3).astype(np.float32))")
    add(cli, tmp_path, "nan", body="return ops.log(x - 5)")
    add(cli, tmp_path, "refuses", body="raise ValueError('no such kernel')")
    add(cli, tmp_path, "crash", body="os.abort()")
    add(cli, tmp_path, "broken", export="raise OSError('no data here')\n")
    done = oracle(cli, tmp_path, "--source", "script")
    found = {name.partition(" ")[0]: record for name, record in records(tmp_path).items()}
    assert found["plain"]["reason"] == ""
    assert found["random"]["reason"].startswith("it draws random numbers in evaluation mode: output 0")
    assert found["nan"]["reason"] == "output 0: 3 of 3 elements are NaN or infinite"
    assert found["refuses"]["reason"] == "the network failed: ValueError: no such kernel"
    assert found["crash"]["reason"] == "it was ended by the signal SIGABRT"
    assert found["crash"]["networks"]  # what was known before it was run is kept
    assert "no data here" in found["broken"]["reason"]
    assert "script: 1 of 6 answered" in done.out


def test_a_network_that_never_ends_is_ended(cli: Cli, tmp_path: Path) -> None:
    add(cli, tmp_path, "endless", body="while True:\n            pass")
    oracle(cli, tmp_path, "--source", "script", "--seconds", "10")
    assert records(tmp_path)["endless script"]["reason"] == "it did not end within 10 seconds"


def test_what_is_asked_is_checked(cli: Cli, tmp_path: Path) -> None:
    add(cli, tmp_path, "plain")
    checkout = str(tmp_path / "{repository}-{revision}")
    common = ("oracle", "--registry", str(cli.registry), "--checkout", checkout, "--report", str(tmp_path / "r.jsonl"))
    done = cli.maintain(*common)
    assert "no Python with MindSpore 2.0.0 is given" in done.err
    done = cli.maintain(*common, "--source", "script", "--shard", "3/2")
    assert "'3/2' is not a part of the work" in done.err
    done = cli.maintain(*common, "--python", str(tmp_path / "none"))
    assert "does not run" in done.err


@pytest.mark.slow
def test_both_sources_agree(cli: Cli, tmp_path: Path) -> None:
    python = os.environ.get("HUBTOOL_ORACLE_PYTHON")
    if python is None:
        pytest.skip("HUBTOOL_ORACLE_PYTHON names no Python with MindSpore 2.0.0")
    add(cli, tmp_path, "plain")
    add(cli, tmp_path, "called", network=CALLABLE)
    add(cli, tmp_path, "teacher", export=TEACHER, network=TAKES_STUDENT)
    add(cli, tmp_path, "wrapper", export=TEACHER, network=TAKES_WRAPPER)
    add(cli, tmp_path, "random", body="return x + Tensor(np.random.rand(1, 3).astype(np.float32))")
    add(cli, tmp_path, "crash", body="os.abort()")
    inputs = "\n  inputs:\n  - {name: x, shape: [2, 3], dtype: float32}"
    add(cli, tmp_path, "lone", network=CALLABLE + inputs, export="raise OSError('no data here')\n")
    models.data_first(tmp_path / "models-r1.9" / "data")
    recipe = "  entry: eval.py\n  skip: ['eval.py:12', 'eval.py:13']\n"
    recipe += "  inputs:\n  - {name: x, shape: [6, 3], dtype: float32}"
    path = cli.registry / "tests" / "1.9" / "data.md"
    path.write_text(CARD.format(name="data", network=recipe), encoding="utf-8")
    oracle(cli, tmp_path, "--python", str(Path(python).absolute()))
    found = records(tmp_path)
    for name in ("plain", "called", "teacher", "wrapper", "data"):
        old, new = found[f"{name} mindspore-2.0.0"], found[f"{name} script"]
        assert (old["reason"], new["reason"]) == ("", ""), name
        assert (old["mindspore"], new["mindspore"]) != ("2.0.0", "2.0.0")
        for kept in ("networks", "chosen", "exported", "export_inputs", "inputs", "entry", "argv", "code"):
            assert old[kept] == new[kept], (name, kept)
        for one, other in zip(old["outputs"], new["outputs"], strict=True):
            assert (one["dtype"], one["shape"]) == (other["dtype"], other["shape"])
            assert one["values"] == pytest.approx(other["values"], rel=1e-5, abs=1e-6)
    assert "no script" in found["lone mindspore-2.0.0"]["reason"]
    assert found["lone callable"]["outputs"] == found["plain mindspore-2.0.0"]["outputs"]
    assert "plain callable" not in found
    assert found["random mindspore-2.0.0"]["reason"].startswith("it draws random numbers in evaluation mode")
    assert found["crash mindspore-2.0.0"]["reason"] == "it was ended by the signal SIGABRT"
