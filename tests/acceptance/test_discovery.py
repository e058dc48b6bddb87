"""`python -m maintain discover`: a small repository for each shape met in the real ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import models
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.server import Server

pytestmark = pytest.mark.mindspore

CARD = """# {name}

---

model-name: {model}
backbone-name: net
module-type: cv
fine-tunable: true
model-version: 1.9
train-dataset: {dataset}
author: hubtool
update-time: 2026-11-23
repo-link: https://gitee.com/mindspore/models/tree/r1.9/{folder}
user-id: hubtool
used-for: inference
mindspore-version: 1.9
license: Apache-2.0
summary: A model of the tests.

---

A model of the tests.
"""


def card(cli: Cli, name: str, folder: str, *, model: str = "net", dataset: str = "toy") -> str:
    path = cli.registry / "tests" / "1.9" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CARD.format(name=name, model=model, folder=folder, dataset=dataset), encoding="utf-8")
    return f"tests/1.9/{name}"


def discover(cli: Cli, checkout: Path, *more: str) -> dict[str, Any]:
    done = cli.maintain(
        "discover",
        "--all",
        "--checkout",
        str(checkout / "{revision}"),
        "--jobs",
        "1",
        "--seconds",
        "40",
        "--json",
        *more,
    )
    assert done.code in (0, 1), done.err
    outcomes: dict[str, Any] = done.json
    return outcomes


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.mark.slow
def test_every_shape(cli: Cli, tmp_path: Path, server: Server) -> None:
    root = tmp_path / "checkout" / "r1.9"
    victim = tmp_path / "victim.txt"
    victim.write_text("precious", encoding="utf-8")
    models.script_only(root / "script")
    models.hub_configuration(root / "hub")
    models.stale_configuration(root / "stale")
    models.yaml_configuration(root / "configured")
    models.data_first(root / "data")
    models.misbehaving(root / "deletes", f"os.remove({str(victim)!r})\nshutil.rmtree({str(tmp_path / 'checkout')!r})")
    models.misbehaving(root / "calls", f"socket.create_connection(('127.0.0.1', {server.server_port}))")
    models.misbehaving(
        root / "runs",
        f"subprocess.run(['touch', {str(tmp_path / 'touched')!r}])\nos.system('touch {tmp_path}/touched')",
    )
    models.misbehaving(root / "endless", "while True:\n    pass\n")
    models.misbehaving(root / "threads", "threading.Thread(target=time.sleep, args=(60,)).start()")
    models.misbehaving(root / "greedy", "block = bytearray(64 * 2**30)")
    (root / "empty").mkdir()
    names = [path.name for path in root.iterdir()]
    uids = {name: card(cli, name, name) for name in (*names, "gone")}
    uids["large"] = card(cli, "large_toy", "configured", model="large")
    outcomes = discover(cli, tmp_path / "checkout", "--smoke", "--seconds", "12")

    def of(name: str) -> dict[str, Any]:
        outcome: dict[str, Any] = outcomes[uids[name]]
        return outcome

    # The callable is preferred where the constructor's arguments are plain and the script adds nothing.
    for name in ("script", "stale"):
        assert of(name)["recipe"]["entry"] == "src.network:Net", of(name)
        assert of(name)["recipe"]["arguments"]["num_classes"] == 5
        assert of(name)["recipe"]["inputs"] == [{"name": "x", "shape": [1, 3], "dtype": "float32"}]
        assert of(name)["forward"] == "ran"
        assert of(name)["outputs"] == [[1, 5]]
        assert (of(name)["parameters"], of(name)["elements"]) == (4, 3 * 4 + 4 + 4 * 5 + 5)
    assert of("hub")["recipe"]["entry"] == "mindspore_hub_conf:create_network"
    assert of("configured")["recipe"]["arguments"]["num_classes"] == 2
    assert of("large")["recipe"]["arguments"]["num_classes"] == 9
    assert of("data")["recipe"]["arguments"]["num_classes"] == 7
    # What does more than build a network is kept from it; where the network does not depend on it, it is built.
    for name in ("deletes", "calls", "runs"):
        assert of(name)["recipe"] is not None, of(name)
    assert victim.read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "touched").exists()
    assert not server.connections
    assert "did not end" in of("endless")["reason"]
    assert of("threads")["recipe"] is not None or "threads" in of("threads")["reason"]
    assert of("greedy")["recipe"] is not None or "Memory" in of("greedy")["reason"]
    assert of("empty")["reason"] == "the folder has no script that builds a network"
    assert "no folder gone" in of("gone")["reason"]
    # Everything is in the report: a second run looks at nothing again, and says the same.
    report = json.loads((cli.folder / "discovery.json").read_text(encoding="utf-8"))
    assert len(report) == len(outcomes) - 1
    assert discover(cli, tmp_path / "checkout", "--seconds", "12") == outcomes


def test_one_piece_of_code_is_looked_at_once(cli: Cli, tmp_path: Path) -> None:
    for revision in ("r1.9", "r1.8"):
        models.script_only(tmp_path / "checkout" / revision / "net")
    first = card(cli, "net_toy", "net")
    other = cli.registry / "tests" / "1.8" / "net_toy.md"
    other.parent.mkdir()
    text = (cli.registry / f"{first}.md").read_text(encoding="utf-8")
    other.write_text(text.replace("r1.9", "r1.8"), encoding="utf-8")
    outcomes = discover(cli, tmp_path / "checkout")
    assert outcomes[first] == outcomes["tests/1.8/net_toy"]
    assert len(json.loads((cli.folder / "discovery.json").read_text(encoding="utf-8"))) == 1


def test_a_loss_is_no_network(cli: Cli, tmp_path: Path) -> None:
    models.loss_cell(tmp_path / "checkout" / "r1.9" / "loss")
    uid = card(cli, "loss_toy", "loss")
    outcome = discover(cli, tmp_path / "checkout", "--smoke")[uid]
    assert outcome["network"] == "Net"
    assert outcome["outputs"] == [[1, 5]]


def test_wrong_use(cli: Cli) -> None:
    assert cli.maintain("discover", "--checkout", "x").code == 2
    assert cli.maintain("discover", "tests/1.9/none", "--checkout", "x").code == 1
