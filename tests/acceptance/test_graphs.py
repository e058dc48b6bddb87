"""Assets that are graphs, and `hubtool export`, which makes one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT, terminal
from tests.support.cards import write_local

if TYPE_CHECKING:
    from tests.support.cli import Cli

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
    resolved = cli("resolve", "tests/2.10/graph", "--explain")
    assert "loadable  no" in resolved.out
    assert "it does not run" in resolved.out


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


LIBRARY = """
#include <stdint.h>
#include <stdio.h>
__attribute__((constructor)) static void opened(void) { fclose(fopen("OPENED", "w")); }
int add_one(int count, void **params, int *dims, int64_t **shapes, const char **types, void *stream, void *extra) {
    float *from = params[0], *to = params[1];
    for (int64_t at = 0; at < shapes[0][0] * shapes[0][1]; at++) to[at] = from[at] + 1;
    return 0;
}
"""
EXPORT = """
import sys
import mindspore, numpy
from mindspore import nn, ops
mindspore.set_context(mode=mindspore.GRAPH_MODE)
class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.custom = ops.Custom(sys.argv[1], lambda x: x, lambda x: x, func_type="aot")
    def construct(self, x):
        return self.custom(x)
ones = mindspore.Tensor(numpy.ones((1, 2), numpy.float32))
mindspore.export(Net(), ones, file_name=sys.argv[2], file_format="MINDIR")
"""


def test_the_library_that_a_graph_names_is_opened_only_after_consent(cli: Cli, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    opened, library = tmp_path / "opened", tmp_path / "evil.so"
    (tmp_path / "evil.c").write_text(LIBRARY.replace("OPENED", str(opened)))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "evil.c"], check=True)
    program = tmp_path / "make.py"  # a file: MindSpore reads the source of the lambdas
    program.write_text(EXPORT)
    command = [sys.executable, str(program), f"{library}:add_one", str(tmp_path / "custom")]
    subprocess.run(command, env=cli.environ, check=True, capture_output=True, timeout=200)
    opened.unlink(missing_ok=True)
    content = (tmp_path / "custom.mindir").read_bytes()
    strip_recipe(write_local(cli.registry, "tests/2.10/evil", content, form="mindir"))
    for told in (cli("resolve", "tests/2.10/evil").out, cli("resolve", "tests/2.10/evil", "--explain").out):
        assert "once you agree" in told
        assert f"Custom (func_name '{library}:add_one', func_type 'aot')" in " ".join(told.split())
    refused = cli("load", "tests/2.10/evil", "--smoke")
    assert refused.code == 1
    assert str(library) in refused.err
    assert not opened.exists()
    entry = re.search(r"hubtool trust add (mindir/[0-9a-f]{64})", refused.err)
    assert entry is not None
    code, text = terminal.ask(cli, "load", "tests/2.10/evil", "--smoke", answer="n")
    assert code == 1
    assert f"Custom (func_name '{library}:add_one'" in " ".join(text.split())
    assert not opened.exists()
    # What runs once the user agreed is the library: the test would see it.
    assert cli("load", "tests/2.10/evil", "--smoke", "--trust").code == 0
    assert opened.exists()
    opened.unlink()
    assert terminal.ask(cli, "load", "tests/2.10/evil", "--smoke", answer="y")[0] == 0
    assert opened.exists()
    assert "once you agree" in cli("resolve", "tests/2.10/evil").out
    assert cli("trust", "add", entry[1]).code == 0
    assert "loadable  yes\n" in cli("resolve", "tests/2.10/evil").out


def test_an_operator_in_a_graph_that_was_edited_is_refused(cli: Cli, mindir: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from mindspore.train.mind_ir_pb2 import ModelProto\n"
        "model = ModelProto()\n"
        "model.ParseFromString(open(sys.argv[1], 'rb').read())\n"
        "node = model.functions[0].node.add()\n"
        "node.name, node.op_type = 'evil', 'PyExecute'\n"
        "node.attribute.add(name='script', s=b'print(1)', type=8)\n"
        "open(sys.argv[2], 'wb').write(model.SerializeToString())\n"
    )
    edited = tmp_path / "edited.mindir"
    command = [sys.executable, "-c", program, str(mindir), str(edited)]
    subprocess.run(command, env=cli.environ, check=True, capture_output=True, timeout=200)
    strip_recipe(write_local(cli.registry, "tests/2.10/edited", edited.read_bytes(), form="mindir"))
    done = cli("load", "tests/2.10/edited")
    assert done.code == 1
    assert "PyExecute" in done.err
    assert "--trust" in done.err
    ordinary = cli("resolve", "tests/2.10/edited", "--explain", "--json").json["explanation"]
    assert ordinary["graph"].endswith(".mindir")
    assert ordinary["trust"]["allowed"] is False
