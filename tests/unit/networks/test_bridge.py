"""The bridge: each row of its table, and the numbers of those that claim to be exact."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.errors import RequirementError
from hubtool.networks.compat import Bridge, stand_ins, stands_for
from hubtool.networks.compat.table import GONE, ROWS, Replacement
from hubtool.networks.forward import NO_CPU_KERNEL, why
from hubtool.networks.isolation.namespace import Namespace
from tests.support.models import write

if TYPE_CHECKING:
    from collections.abc import Callable

# Without MindSpore there is no NumPy, and none of these tests runs; but they are still collected.
np: Any = pytest.importorskip("numpy")
pytestmark = pytest.mark.mindspore
bridge: Any = pytest.importorskip("tests.oracles.bridge")
NUMBERS: Any = json.loads(Path(bridge.__file__).with_suffix(".json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    folder = tmp_path_factory.mktemp("code")
    return Namespace.open(folder, folder, identity="bridge", provider=Bridge())


@pytest.fixture(scope="module")
def supplied(namespace: Namespace) -> dict[str, Any]:
    """Return what each old name is in the namespace. To enter it takes long, as all of MindSpore's state is noted."""
    found = {}
    with namespace.building():
        for row in ROWS:
            module, _, name = row.old.rpartition(".")
            found[row.old] = getattr(namespace.import_module(module), name, None)
    return found


def test_names_are_unique_and_sorted_into_rows_that_say_why() -> None:
    names = [row.old for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(row.why and row.gone for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.old)
def test_the_old_name_is_supplied_and_only_in_the_namespace(row: Replacement, supplied: dict[str, Any]) -> None:
    module, _, name = row.old.rpartition(".")
    found = supplied[row.old]
    assert found is not None
    expected = stands_for(row)
    if row.changed or _is_gone(row.gone):  # until then, it is MindSpore's own
        assert found is expected or found.__name__ in {row.old, expected.__name__}
    if not row.changed and _is_gone(row.gone):
        try:
            real = importlib.import_module(module)
        except ModuleNotFoundError:
            return
        if row.stands.endswith(":"):
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module(row.old)
        else:
            assert name not in vars(real)


def _is_gone(version: str) -> bool:
    """Return whether the MindSpore here is of a version without what is gone since then; others count as such."""
    import mindspore

    def parts(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split(".")[:2])

    return not version[0].isdigit() or parts(mindspore.__version__) >= parts(version)


def _images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).random((2, 3, 5, 7), dtype=np.float32)


def _upsample(found: Any) -> None:
    from mindspore import Tensor

    # A plane stays a plane: its values rise by 1 in a row and by 10 in a column, and the corners stay.
    x = np.add.outer(np.arange(3) * 10, np.arange(5)).astype(np.float32)[None, None]
    result = found(scale_factor=2)(Tensor(x)).asnumpy()[0, 0]
    expected = np.add.outer(np.linspace(0, 20, 6), np.linspace(0, 4, 10))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def _dropout(found: Any) -> None:
    from mindspore import Tensor, nn

    x = np.ones((1000,), np.float32)
    assert isinstance(found(keep_prob=1), nn.Dropout)
    assert np.array_equal(found(1)(Tensor(x)).asnumpy(), x)
    assert np.array_equal(found(np.float32(0.5))(Tensor(x)).asnumpy(), x)  # not in training
    kept = found(0.8).set_train()(Tensor(x)).asnumpy()
    assert set(np.round(np.unique(kept), 4)) <= {0.0, 1.25}
    assert 700 < np.count_nonzero(kept) < 900


def _resize_cell(found: Any) -> None:
    from mindspore import Tensor

    x = Tensor(np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6))
    assert np.array_equal(found()(x, size=(6 / 2, 9 / 2)).asnumpy(), found()(x, size=(3, 4)).asnumpy())


def _nearest(found: Any) -> None:
    from mindspore import Tensor

    x = Tensor(np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6))
    assert np.array_equal(found((6 / 2, 9 / 2))(x).asnumpy(), found((3, 4))(x).asnumpy())


def _pool(found: Any) -> None:
    from mindspore import Tensor, nn

    x = Tensor(np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8))
    assert np.array_equal(found(8 / 2, 9 // 3.0, "valid")(x).asnumpy(), nn.MaxPool2d(4, 3, "valid")(x).asnumpy())
    with pytest.raises(TypeError):
        found(2.5)


def _list(found: Any) -> None:
    from mindspore import nn

    cells = found([nn.ReLU(), nn.Tanh()])
    assert isinstance(cells, nn.CellList)
    assert cells[11 / 12 * 1] is cells[0]  # of the groups of ALBERT's layers, of which there is one
    assert isinstance(cells[1], nn.Tanh)


def _initializer(found: Any) -> None:
    import mindspore

    tensor = found("ones", [2, 3], mindspore.float32)
    assert np.array_equal(tensor.to_tensor().asnumpy(), np.ones((2, 3), np.float32))
    parameter = mindspore.Parameter(found("zeros", [2]), name="p")
    assert np.array_equal(parameter.asnumpy(), np.zeros(2, np.float32))


def _shape(found: Any) -> None:
    from mindspore import Tensor

    assert found(Tensor(_images())) == (2, 3, 5, 7)


def _jit(found: Any) -> None:
    from mindspore import Tensor

    @found  # type: ignore[untyped-decorator] # MindSpore has no types
    def double(x: Any) -> Any:
        return x + x

    assert double(Tensor([1.5])).asnumpy()[0] == 3.0


def _checks(found: Any) -> None:
    from hubtool.networks.compat.checks import Rel

    assert found.check_positive_int(3, "n", "net") == 3
    assert found.check_int_range(3, 1, 5, Rel.INC_BOTH, "n", "net") == 3
    assert found.check_value_type("n", 3, [int], "net") == 3
    with pytest.raises(ValueError, match="n"):
        found.check_int_range(9, 1, 5, Rel.INC_LEFT, "n", "net")
    with pytest.raises(ValueError, match="n"):
        found.check_positive_int(0, "n", "net")
    assert found.check_integer("n", 3, 0, Rel.GT, "net") == 3
    assert found.check_float_positive("x", 0.5, "net") == 0.5
    assert found.check_float_legal_value("x", 0.5, "net") == 0.5
    for check, arguments in (
        (found.check_integer, (0, 0, Rel.GT)),
        (found.check_float_positive, (0.0,)),
        (found.check_float_legal_value, (float("inf"),)),
    ):
        with pytest.raises(ValueError, match="net"):
            check("n", *arguments, "net")


def _decode(found: Any) -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (10, 20, 30)).save(buffer, "PNG")
    image = found()(np.frombuffer(buffer.getvalue(), np.uint8))
    assert image.size == (4, 3)
    assert image.getpixel((0, 0)) == (10, 20, 30)


def _yaml(found: Any) -> None:
    assert found("a: [1, 2.5]") == {"a": [1, 2.5]}


def _yaml_all(found: Any) -> None:
    assert list(found("a: 1\n---\nb: 2")) == [{"a": 1}, {"b": 2}]


#: How a row that claims to be exact is put to the proof where it is not simply the same object as today's.
PROOFS: dict[str, Callable[[Any], None]] = {
    "UpsamplingBilinear2d": _upsample,
    "Dropout": _dropout,
    "nn.ResizeBilinear": _resize_cell,
    "ResizeNearestNeighbor": _nearest,
    "nn.MaxPool2d": _pool,
    "nn.CellList": _list,
    "initializer.initializer": _initializer,
    "numpy.shape": _shape,
    "ms_function": _jit,
    "Validator": _checks,
    "Rel": lambda found: _equal([found.EQ.value, found.LE.value, found.IN.value], [1, 4, 11]),
    "Decode": _decode,
    "asscalar": lambda found: _equal(found(np.array([2.5])), 2.5),
    "getargspec": lambda found: _equal(found(lambda a, b=2: (a, b)), (["a", "b"], None, None, (2,))),
    "gcd": lambda found: _equal(found(12, 18), 6),
    "yaml.load": _yaml,
    "yaml.load_all": _yaml_all,
}


def _equal(one: object, other: object) -> None:
    assert one == other


def _proof(row: Replacement) -> Callable[[Any], None] | None:
    return next(
        (PROOFS[key] for key in sorted(PROOFS, key=len, reverse=True) if ("." + row.old).endswith("." + key)), None
    )


@pytest.mark.parametrize("row", [row for row in ROWS if row.exact], ids=lambda row: row.old)
def test_exact_rows_give_the_same_numbers(row: Replacement, supplied: dict[str, Any]) -> None:
    proof = _proof(row)
    found = supplied[row.old]
    recorded = _recorded(row)
    if proof is not None:
        proof(found)
    if recorded is not None:
        call, expected = recorded
        _compare(bridge.told(call(found)), expected)
    if proof is None and recorded is None:  # a plain renaming or move: it is today's own object, and so are its numbers
        assert not row.stands.startswith("hubtool"), f"{row.old} needs a proof"
        assert not row.changed, f"{row.old} needs numbers of MindSpore 2.0.0"


def _recorded(row: Replacement) -> tuple[Callable[[Any], list[Any]], Any] | None:
    """Return the calls of a row and what MindSpore 2.0.0 gave; rows for one object under several names share them."""
    name = row.old
    if name not in bridge.CASES:
        same = [other.old for other in ROWS if other.stands == row.stands and other.old in bridge.CASES]
        if not same or not row.stands.startswith("hubtool"):
            return None
        name = same[0]
    return bridge.CASES[name], NUMBERS["names"][name]


def _compare(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [(one["type"], one["shape"]) for one in found] == [(one["type"], one["shape"]) for one in expected]
    for one, other in zip(found, expected, strict=True):
        if one["type"].startswith(("float", "double")):
            rough = 2e-3 if one["type"] == "float16" else 1e-5
            np.testing.assert_allclose(one["values"], other["values"], rtol=rough, atol=rough)
        else:
            assert one["values"] == other["values"]


@pytest.mark.parametrize("name", bridge.TENSORS)
def test_tensors_of_old_code_compute_as_they_did(name: str, tmp_path: Path) -> None:
    source = Path(bridge.__file__)
    (tmp_path / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    space = Namespace.open(tmp_path, tmp_path, identity=f"tensors of {name}", provider=Bridge())
    with space.building():
        module = space.load("bridge")
        found = bridge.told(module.TENSORS[name]())
    _compare(found, NUMBERS["tensors"][name])


def test_operators_without_a_cpu_kernel_are_those_that_both_versions_refuse() -> None:
    found = bridge.refusals()
    assert found == NUMBERS["refused"]
    assert set(found) == NO_CPU_KERNEL
    for name, line in found.items():
        reason = why(RuntimeError(f"---\n{line}, ..."))
        assert reason == f"MindSpore has no CPU kernel for {name} (neither 2.0.0 nor 2.10)"


def test_code_of_2_x_keeps_today_s_operators(tmp_path: Path) -> None:
    files = {
        "model.py": """
            from mindspore import Tensor, ops
            HALVES = [(Tensor([7]) / 2).asnumpy()[0], ops.Div()(Tensor([7]), 2).asnumpy()[0]]
            """,
    }
    write(tmp_path, files)
    space = Namespace.open(tmp_path, tmp_path, identity="new", provider=Bridge(old=False))
    with space.building():
        assert space.load("model").HALVES == [3.5, 3.5]


def test_names_are_replaced_on_every_way_to_them(tmp_path: Path) -> None:
    files = {
        "model.py": """
            import mindspore as ms
            MADE = ms.common.initializer.initializer("XavierUniform", shape=(2, 3), dtype=ms.float32).to_tensor()
            from mindspore import nn, ops, Parameter, Tensor
            from mindspore.ops import functional as F, operations as P
            SAME = [ops.Div is P.Div, F.div is ops.div, F.scalar_cast is ops.scalar_cast]
            SAME.append(P.ScalarCast is ops.ScalarCast)
            WEIGHT = Parameter(Tensor([1.0, 2.0]), name="w")
            WEIGHT.set_parameter_data(Tensor([3.0, 4.0]))
            CELL = nn.GRU(4, 3, dropout=0)
            OTHER = nn.LSTM(4, 3, 1, True, False, 0)
            """,
    }
    write(tmp_path, files)
    space = Namespace.open(tmp_path, tmp_path, identity="ways", provider=Bridge())
    with space.building():
        module = space.load("model")
    assert module.MADE.shape == (2, 3)
    assert module.SAME == [True] * 4
    assert module.WEIGHT.asnumpy().tolist() == [3.0, 4.0]
    assert type(module.CELL).__name__ == "GRU"


@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_can_be_imported_and_not_called(name: str, namespace: Namespace) -> None:
    with namespace.building():
        module = namespace.import_module(name)
    if not _is_gone(GONE[name]):
        assert importlib.import_module(name).__name__ == name
        return
    with pytest.raises(RequirementError, match="no longer has"):
        module.Stub(3, size=4)


def test_the_user_s_own_modules_stay_as_they_are(tmp_path: Path) -> None:
    import mindspore
    from mindspore import context, nn

    files = {
        "model.py": """
            import mindspore
            import mindspore.nn as nn
            import numpy as np
            from mindspore import nn as again, ops, ms_function
            from mindspore.ops import operations as P
            import mindspore.ops.operations as Q
            assert nn is again and P is Q and mindspore.nn is nn
            assert mindspore.ops.operations is P
            mindspore.mine = 1
            nn.mine = 1
            nn.Cell.mine = 1
            nn.Dense.construct = None
            np.float = float
            assert np.int is int and np.bool is bool
            class Net(nn.Cell):
                pass
            """,
    }
    write(tmp_path, files)
    before = nn.Dense.construct
    device = context.get_context("device_target")
    space = Namespace.open(tmp_path, tmp_path, identity="patches", provider=Bridge())
    with space.building():
        module = space.load("model")
    assert issubclass(module.Net, nn.Cell)
    assert nn.Dense.construct is before
    for owner in (mindspore, nn, nn.Cell, np):
        assert not hasattr(owner, "mine")
    assert not hasattr(np, "float")
    assert context.get_context("device_target") == device


def test_stand_ins_can_be_imported_inherited_from_and_not_called(tmp_path: Path) -> None:
    files = {
        "model.py": """
            import cv2
            import torch
            import torch.nn as nn
            import moxing as mox
            from pycocotools.coco import COCO
            from sklearn.metrics import accuracy_score
            from tqdm import tqdm
            from easydict import EasyDict as edict
            cv2.setNumThreads(0)
            mox.file.copy_parallel("a", "b")
            class Net(nn.Module):
                kind = cv2.INTER_LINEAR
            @torch.jit.script
            def f(x):
                return x
            config = edict({"a": {"b": [{"c": 1}]}})
            config.d = {"e": 2}
            TOTAL = sum(tqdm([1, 2])) + config.a.b[0].c + config.d.e + config["d"]["e"]
            def resize(image):
                return cv2.resize(image, (2, 2))
            """,
    }
    write(tmp_path, files)
    space = Namespace.open(tmp_path, tmp_path, identity="stand-ins", provider=Bridge())
    with space.building():
        module = space.load("model")
    assert module.TOTAL == 8
    assert module.f(3) == 3
    if "cv2" in space.stood_in:  # else the package is installed, and is the real one
        with pytest.raises(RequirementError, match="opencv"):
            module.resize(None)


def test_an_unknown_package_is_missing() -> None:
    assert stand_ins.module("no_such_package_x") is None
    assert stand_ins.module("no_such_package_x.part") is None


def test_sides_that_are_quotients_have_no_remainder() -> None:
    """MindSpore 2.0.0 refuses both; code of research/cv/centernet computes ``num_joints`` as a quotient."""
    from mindspore import Tensor

    from hubtool.networks.compat import operators

    tensor = Tensor(np.arange(12, dtype=np.float32).reshape(2, 6))
    assert operators.Reshape()(tensor, (2, 6 / 2, 2)).shape == (2, 3, 2)
    assert operators.Tile()(tensor, (4 / 2, 1)).shape == (4, 6)
    with pytest.raises(TypeError):
        operators.Reshape()(tensor, (4.8, 2.5))
    with pytest.raises(TypeError):
        operators.Tile()(tensor, (1.5, 1))


def test_what_is_no_list_of_numbers_is_left_to_mindspore() -> None:
    """Masks, and rows of different lengths; what MindSpore says of them depends on its version."""
    import operator

    from mindspore import Tensor

    from hubtool.networks.compat import operators

    def outcome(multiply: Any, *sides: Any) -> str:
        try:
            return str(multiply(*sides))
        except (TypeError, ValueError, RuntimeError) as error:
            return type(error).__name__

    masks, numbers = Tensor(np.array([True, False])), Tensor(np.arange(2, dtype=np.float32))
    for sides in ((masks, [2, 3]), ([2, 3], masks), (numbers, [[1, 2], [3]])):
        assert outcome(lambda *both: operators.operate("*", *both), *sides) == outcome(operator.mul, *sides)
