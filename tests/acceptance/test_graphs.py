"""Assets that are graphs, and `hubtool export`, which makes one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import ROOT
from tests.cards import write_local

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

pytestmark = pytest.mark.mindspore

TOYNER = "hubtool/2.10/tinybert_bilstmcrf_toyner"


@pytest.fixture(scope="module")
def mindir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embedded model as a MindIR, exported once."""
    folder = tmp_path_factory.mktemp("mindir")
    done = subprocess.run(
        [sys.executable, "-m", "hubtool", "export", TOYNER, str(folder / "toyner.mindir")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "loaded back  its outputs differ by at most 0" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["toyner.mindir"]
    return folder / "toyner.mindir"


def strip_recipe(path: Path) -> None:
    head, _, rest = path.read_text("utf-8").partition("network:\n")
    path.write_text(head + rest[rest.index("license:") :], encoding="utf-8")


def test_a_mindir_loads_as_a_network(cli: Cli, mindir: Path) -> None:
    path = write_local(cli.registry, "tests/2.10/graph", mindir.read_bytes(), form="mindir")
    strip_recipe(path)
    resolved = cli("resolve", "tests/2.10/graph")
    assert "loadable  yes" in resolved.out
    assert "GraphCell" in resolved.out
    done = cli("load", "tests/2.10/graph", "--smoke", HUBTOOL_OFFLINE="1")
    assert done.code == 0, done.err
    assert "GraphCell on CPU" in done.out
    assert "the graph carries its weights" in done.out
    assert "Int32 [1, 128]" in done.out
    # The graph computes what the network does, in a process that has no code of the model.
    program = (
        "import hubtool, numpy, mindspore\n"
        "ids = mindspore.Tensor(numpy.arange(128, dtype=numpy.int32)[None] % 90)\n"
        "mask, types = mindspore.ops.ones_like(ids), mindspore.ops.zeros_like(ids)\n"
        "graph = hubtool.load('tests/2.10/graph')(ids, mask, types)\n"
        "import os; os.environ.pop('HUBTOOL_REGISTRY')\n"
        f"network = hubtool.load({TOYNER!r})(ids, mask, types)\n"
        "assert (graph.asnumpy() == network.asnumpy()).all()\n"
        "print(len(set(graph.asnumpy().ravel().tolist())))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env=cli.environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 1


@pytest.mark.parametrize(("form", "runner"), [("onnx", "ONNX Runtime"), ("air", "ATC"), ("ms", "MindSpore Lite")])
def test_other_graphs_are_handed_over_as_a_path(cli: Cli, form: str, runner: str) -> None:
    content = f"a graph as {form}".encode()
    strip_recipe(write_local(cli.registry, "tests/2.10/other", content, form=form))
    assert runner in cli("resolve", "tests/2.10/other").out
    done = cli("load", "tests/2.10/other", "--json")
    assert done.code == 0, done.err
    path = Path(done.json["path"])
    assert path.read_bytes() == content
    assert path.suffix == f".{form}"
    assert runner in done.json["notes"][0]
    bare = cli("load", "tests/2.10/other", "--no-pretrained")
    assert (bare.code, "it takes no arguments" in bare.err) == (2, True)
    program = "import hubtool, sys; print(hubtool.load('tests/2.10/other')); assert 'mindspore' not in sys.modules"
    ran = subprocess.run(
        [sys.executable, "-c", program], env=cli.environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert Path(ran.stdout.strip()) == path


def test_a_file_that_is_no_mindir(cli: Cli) -> None:
    strip_recipe(write_local(cli.registry, "tests/2.10/graph", b"<html>", form="mindir"))
    done = cli("load", "tests/2.10/graph")
    assert done.code == 1
    assert "cannot be read as a MindIR" in done.err


def test_export_writes_nothing_where_it_must_not(cli: Cli, tmp_path: Path) -> None:
    wrong = cli("export", TOYNER, tmp_path / "toyner.onnx")
    assert (wrong.code, "does not end in .mindir" in wrong.err) == (2, True)
    there = tmp_path / "toyner.mindir"
    there.write_bytes(b"mine")
    taken = cli("export", TOYNER, there)
    assert (taken.code, there.read_bytes()) == (2, b"mine")
    assert "--force" in taken.err
    away = cli("export", TOYNER, tmp_path / "away" / "toyner.mindir", HUBTOOL_REGISTRY=str(ROOT / "registry"))
    assert away.code == 1
    assert "nothing can be written to" in away.err
    shape = cli("export", TOYNER, tmp_path / "b.mindir", "--input", "1;2", HUBTOOL_REGISTRY=str(ROOT / "registry"))
    assert "is no input" in shape.err
    wrong_shape = cli(
        "export", TOYNER, tmp_path / "b.mindir", "--input", "1,128:int32", HUBTOOL_REGISTRY=str(ROOT / "registry")
    )
    assert wrong_shape.code == 1
    assert not (tmp_path / "b.mindir").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
