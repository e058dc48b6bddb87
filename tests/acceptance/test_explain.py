"""`hubtool resolve --explain`, what resolve says of trust and of stored checkpoints, and the question at a terminal."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.checkpoint.coverage import digest_parameters
from tests.support.cards import write_card
from tests.support.git import git
from tests.support.repositories import CALLABLE, SCRIPT, SHAPES, card, repository
from tests.support.terminal import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [
    pytest.mark.mindspore,
    pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed"),
]


def test_what_would_be_fetched_what_would_run_and_whether_it_may(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    (root / "research" / "net" / "src" / "sizes.py").write_text(
        "import socket, shutil\nWIDTH = 3\nNAME = 'Net'\n\n\ndef clear():\n    shutil.rmtree('x')\n", encoding="utf-8"
    )
    git(root, "commit", "--quiet", "--all", "-m", "second")
    uid = card(cli, root, SCRIPT)
    before = cli("resolve", uid, "--explain", "--json")
    assert before.code == 0, before.err
    found = before.json["explanation"]
    assert found["downloads"] == []  # the checkpoint stands beside the card
    code = found["code"]
    assert code["repository"] == root.as_uri()
    assert code["commit"] == git(root, "rev-parse", "HEAD")
    assert (code["folder"], code["entry"], code["files"]) == ("research/net", "export.py", None)
    assert found["trust"]["allowed"] is False
    assert f"hubtool trust add {root}" in found["trust"]["hint"]
    # A repository of a stranger is a reason, not only something to agree to.
    assert before.json["loadable"] is False
    assert "not on the trust list" in before.json["reasons"][-1]
    assert not (cli.home / "code").exists()

    checkout = cli("resolve", uid, "--explain", "--checkout", root)
    assert "src/sizes.py:1: network: import socket" in checkout.out
    assert "src/sizes.py:7: deletion: shutil.rmtree(...)" in checkout.out

    assert cli("trust", "add", str(root)).code == 0
    assert cli("load", uid).code == 0
    after = cli("resolve", uid, "--explain", "--json").json["explanation"]
    assert "src/network.py" in after["code"]["files"]
    assert [one["what"] for one in after["code"]["touches"]] == ["import socket", "shutil.rmtree(...)"]
    assert after["trust"]["allowed"] is True


def test_bytes_links_and_built_in_networks(cli: Cli) -> None:
    write_card(cli.registry, "tests/1.9/far", link="https://github.com/x/far.ckpt", content=b"far")
    done = cli("resolve", "tests/1.9/far", "--explain")
    assert "https://github.com/x/far.ckpt" in done.out.partition("downloads")[2]
    assert "nothing but hubtool and MindSpore runs" in done.out


def test_a_repository_of_the_defaults_is_loadable_once_agreed(cli: Cli, tmp_path: Path) -> None:
    uid = card(cli, repository(tmp_path / "models"), SCRIPT)
    path = cli.registry / "tests" / "1.9" / "net.md"
    text = re.sub("repo-link: .*", "repo-link: https://gitee.com/mindspore/models/tree/r1.9/x", path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")
    done = cli("resolve", uid)
    assert re.search("loadable +once you agree that its code runs", done.out)
    # What the library says is what `load` does: it would ask for consent.
    asked = cli("resolve", uid, "--json").json
    assert asked["loadable"] is False
    assert asked["reasons"] == [asked["consent"]]
    assert f'hubtool.load("{uid}", trust=True)' in done.out
    offline = cli("resolve", uid, "--json", HUBTOOL_TRUST="1", HUBTOOL_OFFLINE="1").json
    assert offline["loadable"] is False
    assert any("the code of https://gitee.com/mindspore/models is not stored" in why for why in offline["reasons"])
    assert "hubtool trust add gitee.com/mindspore" in done.out
    agreed = cli("resolve", uid, "--json", HUBTOOL_TRUST="1").json
    assert (agreed["consent"], agreed["loadable"]) == (None, True)


def recorded(cli: Cli, root: Path, classes: int) -> str:
    shapes = {**SHAPES, "head.weight": (classes, 4), "head.bias": (classes,)}
    recipe = CALLABLE.replace("num_classes: 5", f"num_classes: {classes}")
    recipe += f"  parameters: 4\n  parameters-sha256: {digest_parameters(shapes)}\n"
    return card(cli, root, recipe)


def test_a_stored_checkpoint_is_compared_with_what_was_recorded(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    assert cli("trust", "add", str(root)).code == 0
    uid = recorded(cli, root, 5)
    assert "its 4 tensors are the network's parameters" in cli("resolve", uid).out
    uid = recorded(cli, root, 6)
    fit = cli("resolve", uid, "--json").json["fit"]
    assert fit == {
        "total": False,
        "why": "it is of 5 classes, and the recipe builds for 6",
        "arguments": {"num_classes": 5},
    }
    refused = cli("load", uid)
    assert refused.code == 1
    assert "load with num_classes=5" in refused.err
    program = f"import hubtool; print(hubtool.load({uid!r}, num_classes=5).head.weight.shape)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=cli.environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip() == "(5, 4)", done.stderr


@pytest.mark.parametrize(
    ("answer", "loads", "remembered"),
    [pytest.param("y", True, False, marks=pytest.mark.slow), ("a", True, True), ("n", False, False)],
)
def test_at_a_terminal_the_user_is_asked(cli: Cli, tmp_path: Path, answer: str, loads: bool, remembered: bool) -> None:
    root = repository(tmp_path / "models")
    uid = card(cli, root, CALLABLE)
    # On the trust list, as the organisations of the public hub are, and not agreed to.
    lists = tmp_path / "config" / "hubtool" / "trust.json"
    lists.parent.mkdir(parents=True)
    lists.write_text(f'{{"added": ["{root}"], "removed": [], "agreed": []}}', encoding="utf-8")
    code, text = ask(cli, "load", uid, answer=answer)
    assert "would run here, with your rights" in text
    assert "src.network:make" in text
    assert (code == 0) is loads, text
    assert ("total: 4 of 4" in text) is loads
    assert (str(root) in lists.read_text("utf-8").partition("agreed")[2]) is remembered


def test_what_was_asked_about_is_what_runs(cli: Cli, tmp_path: Path) -> None:
    """While the question stands, the card comes to name another repository, and its branch moves on."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX's")
    root = repository(tmp_path / "models")
    shown = git(root, "rev-parse", "HEAD")
    uid = card(cli, root, CALLABLE)
    path = cli.registry / "tests" / "1.9" / "net.md"
    text = re.sub("repo-revision: .*", "repo-revision: main", path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")
    marks = tmp_path / "marks"
    marks.mkdir()
    other = repository(tmp_path / "evil")
    for place in (root, other):
        (marks / place.name).write_text("")
    lists = tmp_path / "config" / "hubtool" / "trust.json"
    lists.parent.mkdir(parents=True)
    lists.write_text(json.dumps({"added": [str(root), str(other)], "removed": [], "agreed": [str(other)]}))

    def change() -> None:
        path.write_text(text.replace(root.as_uri(), other.as_uri()), encoding="utf-8")
        for place in (root, other):
            with (place / "research" / "net" / "src" / "network.py").open("a", encoding="utf-8") as stream:
                stream.write(f"\nimport os\nos.remove({str(marks / place.name)!r})\n")
            git(place, "commit", "--quiet", "-am", "changed")

    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hubtool", "load", uid],
        cwd=cli.folder,
        env={**cli.environ, "COLUMNS": "200"},
        stdin=child,
        stdout=child,
        stderr=child,
    ) as process:
        os.close(child)
        said, deadline, answered = "", time.monotonic() + 120, False
        while time.monotonic() < deadline:
            if select.select([parent], [], [], 0.5)[0]:
                try:
                    chunk = os.read(parent, 4096)
                except OSError:
                    break
                if not chunk:
                    break
                said += chunk.decode("utf-8", "replace")
                if not answered and "[n] no" in said:
                    answered = True
                    change()
                    os.write(parent, b"y\n")
        code = process.wait(60)
    os.close(parent)
    assert answered, said
    assert shown in said
    assert "with num_classes = 5" in said
    assert code == 0, said
    assert sorted(one.name for one in marks.iterdir()) == ["evil", "models"]
