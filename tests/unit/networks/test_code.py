"""Networks built with code from repositories: scripts captured, callables called, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hubtool.card.caller_arguments import OPTIONS_OF_LOAD, caller_arguments
from hubtool.card.model import Recipe
from hubtool.errors import ArgumentError, ArgumentTypeError, NetworkError, RecipeError, RequirementError
from hubtool.networks import entry_point
from hubtool.networks.package import PackageProvider
from hubtool.networks.provider import BuildRequest
from hubtool.networks.repository import CodeFolder, RepositoryProvider
from tests.support import models

pytestmark = pytest.mark.mindspore


def place(folder: Path) -> CodeFolder:
    return CodeFolder(root=folder, folder="", identity=str(folder))


def build(folder: Path, entry: str, **more: Any) -> Any:
    recipe = Recipe(provider="repository", entry=entry, **more)
    return RepositoryProvider(place=place(folder)).build(
        recipe, shapes={}, asked=BuildRequest(), compute_type="float32"
    )


CHECKPOINT = ("--ckpt_file", "{checkpoint}")


def test_a_script_is_stopped_when_the_weights_would_go_in(tmp_path: Path) -> None:
    import mindspore

    before = mindspore.get_context("mode"), mindspore.get_context("device_id"), list(sys.argv)
    models.script_only(tmp_path)
    built = build(tmp_path, "export.py", argv=(*CHECKPOINT, "--num_classes", "7"), inputs=(("x", (2, 3), "float32"),))
    assert type(built.network).__name__ == "Net"
    assert built.network.parameters_dict()["head.weight"].shape == (7, 4)
    assert built.network(*built.example()).shape == (2, 7)
    assert (mindspore.get_context("mode"), mindspore.get_context("device_id"), list(sys.argv)) == before
    assert {path.name for path in tmp_path.iterdir()} == {"export.py", "src"}  # nothing was written


def test_networks_with_clashing_names_go_on_working_in_both_modes(tmp_path: Path) -> None:
    import mindspore
    import numpy as np

    nets = [
        build(
            models.script_only(tmp_path / "one", name="One", classes=5, export=models.EXPORT.replace("Net", "One")),
            "export.py",
            argv=CHECKPOINT,
        ).network,
        build(models.write(tmp_path / "two", models.network("Two", 9, width=6)), "src.network:make").network,
    ]
    x = [mindspore.Tensor(np.ones((1, 3), np.float32)), mindspore.Tensor(np.ones((1, 6), np.float32))]
    eager = [net(value).asnumpy() for net, value in zip(nets, x, strict=True)]
    assert [list(value.shape) for value in eager] == [[1, 5], [1, 9]]
    assert [net.late() for net in nets] == ["One", "Two"]
    try:
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        for net, value, expected in zip(nets, x, eager, strict=True):
            np.testing.assert_allclose(net(value).asnumpy(), expected, rtol=1e-5, atol=1e-6)
    finally:
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


def test_arguments_without_a_name_reach_callables_and_not_scripts(tmp_path: Path) -> None:
    models.script_only(tmp_path)

    def load(entry: str, argv: tuple[str, ...] = (), **asked: Any) -> Any:
        recipe = Recipe(provider="repository", entry=entry, argv=argv)
        provider = RepositoryProvider(place=place(tmp_path))
        return provider.build(recipe, shapes={}, asked=BuildRequest(**asked), compute_type="float32").network

    for entry in ("src.network:make", "src.network:Net"):
        assert load(entry, positional=(3,)).parameters_dict()["head.bias"].shape == (3,)
    with pytest.raises(ArgumentTypeError, match="takes options and no arguments without a name"):
        load("export.py", CHECKPOINT, positional=(3,))
    with pytest.raises(RecipeError, match="takes no argument 'num_labels'") as caught:
        load("src.network:Net", arguments={"num_labels": 3})
    assert caught.value.hint == "did you mean 'num_classes'? its arguments are num_classes, width"


def test_overrides_reach_callables_and_scripts(tmp_path: Path) -> None:
    models.script_only(tmp_path)
    for entry, argv in (("src.network:make", ()), ("export.py", CHECKPOINT)):
        recipe = Recipe(provider="repository", entry=entry, argv=argv)
        built = RepositoryProvider(place=place(tmp_path)).build(
            recipe, shapes={}, asked=BuildRequest(arguments={"num_classes": 3}), compute_type="float32"
        )
        assert built.network.parameters_dict()["head.bias"].shape == (3,)


def test_the_how_many_th_network(tmp_path: Path) -> None:
    export = """
    from mindspore import load_checkpoint
    from src.network import Net
    for classes in (2, 3, 4):
        load_checkpoint("x.ckpt", net=Net(classes))
    """
    models.write(tmp_path, {**models.network(), "export.py": export})
    assert build(tmp_path, "export.py", capture=2).network.parameters_dict()["head.bias"].shape == (3,)
    with pytest.raises(NetworkError, match="ended before"):
        build(tmp_path, "export.py", capture=4)


def test_a_script_that_never_loads_weights(tmp_path: Path) -> None:
    models.write(tmp_path, {**models.network(), "export.py": "from src.network import Net\nNet()\n"})
    with pytest.raises(NetworkError, match="ended before"):
        build(tmp_path, "export.py")


@pytest.mark.parametrize(
    "entry",
    [
        "os:system", "subprocess:run", "builtins:eval", "src.network:__class__", "src.network:Net.__init__",
        "__main__:x", "src.__init__:x", "src.network", "src.network:", "../export.py", "/etc/passwd.py", "a/../../b.py",
        "src.network:Net()", "src.network:os", "hubtool.api:load", "mindspore.nn:Dense", "-m.py", "",
    ],
)  # fmt: skip
def test_entries_that_are_refused(tmp_path: Path, entry: str) -> None:
    models.script_only(tmp_path)
    with pytest.raises(NetworkError):
        build(tmp_path, entry)


def test_what_the_code_imported_is_not_an_entry(tmp_path: Path) -> None:
    models.write(
        tmp_path,
        {"model.py": "from os import system\nfrom mindspore.nn import Dense\nfrom shutil import rmtree\nX = 3\n"},
    )
    for name in ("system", "Dense", "rmtree", "X", "absent"):
        with pytest.raises(RecipeError, match="no callable of its own"):
            build(tmp_path, f"model:{name}")


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("return {}", NetworkError, "returned a dict"),
        ("return None", NetworkError, "returned a NoneType"),
        ("raise ValueError('no such size')", NetworkError, "ValueError: no such size"),
        ("raise SystemExit(4)", NetworkError, "ended the program with 4"),
        ("import sys; sys.exit('bye')", NetworkError, "ended the program with 'bye'"),
        (
            "import threading; threading.Thread(target=__import__('time').sleep, args=(5,), daemon=True).start()",
            NetworkError,
            "threads running",
        ),
        ("import no_such_package_x", RequirementError, "no_such_package_x"),
        ("import cv2; return cv2.imread('x')", NetworkError, "cv2"),
        (
            "import mindspore.nn.transformer as t; return t.TransformerDecoder(batch_size=1)",
            RequirementError,
            "no longer has",
        ),
        ("input('?')", NetworkError, "EOFError"),
    ],
)
def test_entries_that_misbehave(tmp_path: Path, body: str, error: type[Exception], says: str) -> None:
    models.write(tmp_path, {"model.py": f"def make():\n    {body}\n"})
    with pytest.raises(error, match=says) as caught:
        build(tmp_path, "model:make")
    if "failed: " in str(caught.value):
        assert "(model.py:2)" in str(caught.value)


ENDLESS = """
import signal, sys
from pathlib import Path
from hubtool.card.model import Recipe
from hubtool.errors import NetworkError
from hubtool.networks import repository
from hubtool.networks.isolation import time_limit
time_limit.BUILD_SECONDS = 0.5
place = repository.CodeFolder(root=Path(sys.argv[1]), folder="", identity="x")
try:
    repository.build(place, Recipe(provider="repository", entry="model:make"))
except NetworkError as error:
    print(error.message)
assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
"""


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(60)", "for _ in iter(int, 1): pass"])
def test_an_entry_that_never_ends(tmp_path: Path, body: str) -> None:
    """In a process of its own: pytest's own time limit uses the alarm."""
    models.write(
        tmp_path, {"model.py": f"def make():\n    try:\n        {body}\n    except Exception:\n        pass\n"}
    )
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "did not end within 0.5 seconds" in done.stdout


def test_arguments_of_the_wrong_type(tmp_path: Path) -> None:
    models.write(tmp_path, models.network())
    for arguments in ({"num_classes": "many"}, {"no_such": 1}, {"num_classes": [1, 2]}):
        with pytest.raises(NetworkError, match=r"src\.network:make"):
            build(tmp_path, "src.network:make", arguments=arguments)


def test_arguments_may_be_read_by_attribute(tmp_path: Path) -> None:
    code = """
    from mindspore import nn

    def make(cfg):
        return nn.Dense(cfg.sizes.a, cfg["sizes"]["b"][0])
    """
    models.write(tmp_path, {"model.py": code})
    built = build(tmp_path, "model:make", arguments={"cfg": {"sizes": {"a": 2, "b": [3]}}})
    assert built.network.weight.shape == (3, 2)


def test_sizes_that_the_checkpoint_decides(tmp_path: Path) -> None:
    code = """
    from mindspore import nn

    def make(rows, table):
        return nn.Embedding(rows, 3, embedding_table=table)
    """
    models.write(tmp_path, {"model.py": code})
    rows = {"shape-of": "table", "axis": 0, "otherwise": 5}
    recipe = Recipe(provider="repository", entry="model:make", arguments={"rows": rows, "table": {"zeros": [rows, 3]}})
    provider = RepositoryProvider(place=place(tmp_path))
    for shapes, expected in (({}, 5), ({"net.table": (7, 3)}, 7)):
        built = provider.build(recipe, shapes=shapes, asked=BuildRequest(), compute_type="float32")
        assert built.network.embedding_table.shape == (expected, 3)
    with pytest.raises(RecipeError, match="table, axis 0"):
        provider.build(recipe, shapes={"other": (1,)}, asked=BuildRequest(), compute_type="float32")


GRAPH = {"from-caller": "the distances of the sensors", "shape": [2, 3], "dtype": "float32"}


def test_a_tensor_that_only_the_caller_has(tmp_path: Path) -> None:
    import mindspore
    import numpy as np

    code = """
    from mindspore import nn

    class Net(nn.Cell):
        def __init__(self, graph, width):
            super().__init__()
            self.dense, self.graph = nn.Dense(3, width), graph
    """
    models.write(tmp_path, {"model.py": code})
    recipe = Recipe(provider="repository", entry="model:Net", arguments={"graph": GRAPH, "width": 4})
    provider = RepositoryProvider(place=place(tmp_path))

    def graph_of(**given: object) -> Any:
        asked = BuildRequest(arguments=given)
        return provider.build(recipe, shapes={}, asked=asked, compute_type="float32").network.graph

    values = np.arange(6).reshape(2, 3)
    for given in (values, values.astype(np.float16), mindspore.Tensor(values)):
        graph = graph_of(graph=given)
        assert graph.dtype == mindspore.float32
        assert np.array_equal(graph.asnumpy(), values)
    with pytest.raises(ArgumentError, match="graph, which no checkpoint has: 2 x 3 float32: the distances") as missing:
        graph_of(width=5)
    assert "graph=..." in str(missing.value.hint)
    assert np.array_equal(graph_of(graph=values.tolist()).asnumpy(), values)
    for wrong, told in (
        (values.T, r"has the shape \(3, 2\); the network needs 2 x 3 float32"),
        (3, r"has the shape \(\)"),
        (values.astype(str), "has no numbers that fit float32"),
        (values * 1j, "has no numbers that fit float32"),
        ([[1], [2, 3]], "has no numbers that fit float32"),
        (values.astype(object), "has no numbers that fit float32"),
        (values * 1e300, "has numbers that are too large for float32"),
    ):
        with pytest.raises(ArgumentError, match=f"graph {told}"):
            graph_of(graph=wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"shape": [0]}, {"shape": "2"}, {"shape": [True]}, {"shape": [100_000, 100_000]}, {"dtype": 3}),
        *({"dtype": "Tensor"}, {"low": "a"}, {"low": float("nan")}, {"low": 2, "high": 1}),
    ],
)
def test_a_recipe_that_does_not_say_which_tensor(wrong: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="which tensor the caller gives for 'graph'"):
        caller_arguments({"graph": {**GRAPH, **wrong}})
    with pytest.raises(RecipeError, match="the caller gives for 'x=1, y'"):
        caller_arguments({"x=1, y": GRAPH})
    for within in ({"graph": GRAPH}, [GRAPH], [{"a": [GRAPH]}]):
        with pytest.raises(RecipeError, match="a part of 'config'"):
            caller_arguments({"config": within})
    for name in ("class", "pretrained"):
        with pytest.raises(RecipeError, match=f"which tensor the caller gives for '{name}'"):
            caller_arguments({name: GRAPH})


def test_no_argument_hides_an_option_of_load() -> None:
    import inspect

    import mindspore_hub
    from hubtool import api

    options = {
        one.name
        for function in (api.load, mindspore_hub.load)
        for one in inspect.signature(function).parameters.values()
        if one.kind is not one.VAR_POSITIONAL and one.kind is not one.VAR_KEYWORD
    }
    assert options == OPTIONS_OF_LOAD


def test_a_script_s_relative_paths(tmp_path: Path) -> None:
    export = """
    import os
    from mindspore import load_checkpoint
    from src.network import Net
    classes = int(open("../../sizes.txt").read())
    os.makedirs("out", exist_ok=True)
    open("out/log.txt", "w").write("x")
    os.makedirs("/hubtool-was-here", exist_ok=True)
    assert os.path.isfile("/nowhere/best.ckpt") and os.environ["DEVICE_ID"] == "0"
    load_checkpoint("/nowhere/best.ckpt", Net(classes))
    """
    models.write(tmp_path, {**models.network(), "export.py": export, "sizes.txt": "6"})
    assert build(tmp_path, "export.py").network.parameters_dict()["head.bias"].shape == (6,)
    assert not (tmp_path / "out").exists()
    assert not Path("/hubtool-was-here").exists()


def test_no_shapes_no_example(tmp_path: Path) -> None:
    models.write(tmp_path, models.network())
    with pytest.raises(RecipeError, match="inputs"):
        build(tmp_path, "src.network:make").example()
    tensors = entry_point.example((("ids", (2, 3), "int32"), ("mask", (2,), "bool"), ("x", (1, 2), "float16")))
    assert [(tensor.shape, str(tensor.dtype)) for tensor in tensors] == [
        ((2, 3), "Int32"),
        ((2,), "Bool"),
        ((1, 2), "Float16"),
    ]


def test_packages_that_are_not_installed_or_not_allowed() -> None:
    for entry, error in (
        ("os:system", RecipeError),
        ("mindcv", RecipeError),
        ("mindcv.models:__loader__", RecipeError),
    ):
        with pytest.raises(error):
            PackageProvider().build(
                Recipe(provider="package", entry=entry), shapes={}, asked=BuildRequest(), compute_type="float32"
            )
    for requires in (("no-such-distribution-x>=1",), ("numpy>=99",)):
        with pytest.raises(RequirementError, match="pip install"):
            PackageProvider().build(
                Recipe(provider="package", entry="mindcv.models:create_model", requires=requires),
                shapes={},
                asked=BuildRequest(),
                compute_type="float32",
            )
    with pytest.raises(RecipeError, match="names an address"):
        PackageProvider().build(
            Recipe(provider="package", entry="mindcv:x", requires=("mindcv @ https://evil.example/mindcv.whl",)),
            shapes={},
            asked=BuildRequest(),
            compute_type="float32",
        )
    with pytest.raises(RecipeError, match="not a requirement"):
        PackageProvider().build(
            Recipe(provider="package", entry="mindcv:x", requires=("not a requirement!",)),
            shapes={},
            asked=BuildRequest(),
            compute_type="float32",
        )


def test_places_in_a_callable_s_arguments(tmp_path: Path) -> None:
    code = """
    import os
    from mindspore import load_checkpoint, load_param_into_net, nn

    def make(weights, table):
        assert os.path.exists(weights)
        with open(table) as stream:
            net = nn.Dense(int(stream.read()), 2)
        load_param_into_net(net, load_checkpoint(weights))
        return net
    """
    models.write(tmp_path, {"model.py": code, "size.txt": "3"})
    built = build(tmp_path, "model:make", arguments={"weights": "{checkpoint}", "table": "{folder}/size.txt"})
    assert built.network.weight.shape == (2, 3)
