"""The bridge: each row of its table, and the numbers of those that claim to be exact."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.errors import RequirementError
from hubtool.networks.compat import Bridge, stand_ins, stands_for
from hubtool.networks.compat.table import GONE, ROWS, Replacement
from hubtool.networks.isolation.namespace import Namespace
from tests.support.models import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Without MindSpore there is no NumPy, and none of these tests runs; but they are still collected.
np: Any = pytest.importorskip("numpy")
pytestmark = pytest.mark.mindspore


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    folder = tmp_path_factory.mktemp("code")
    return Namespace.open(folder, folder, identity="bridge", provider=Bridge())


def test_names_are_unique_and_sorted_into_rows_that_say_why() -> None:
    names = [row.old for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(row.why and row.gone for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.old)
def test_the_old_name_is_supplied_and_only_in_the_namespace(row: Replacement, namespace: Namespace) -> None:
    module, _, name = row.old.rpartition(".")
    with namespace.building():
        view = namespace.import_module(module)
        found = getattr(view, name)
    expected = stands_for(row)
    assert found is expected or found.__name__ in {row.old, expected.__name__}
    if not row.changed:
        try:
            real = importlib.import_module(module)
        except ModuleNotFoundError:
            return
        if row.stands.endswith(":"):
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module(row.old)
        else:
            assert name not in vars(real)


def _images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).random((2, 3, 5, 7), dtype=np.float32)


def _bilinear(
    x: np.ndarray[Any, Any], size: tuple[int, int], *, align: bool, half: bool = False
) -> np.ndarray[Any, Any]:
    """Bilinear resizing, written out."""

    def positions(new: int, old: int) -> np.ndarray[Any, Any]:
        index = np.arange(new, dtype=np.float64)
        if align:
            return index * ((old - 1) / (new - 1) if new > 1 else 0.0)
        return np.maximum((index + 0.5) * old / new - 0.5, 0) if half else index * old / new

    def ends(where: np.ndarray[Any, Any], old: int) -> tuple[Any, Any, Any]:
        low = np.minimum(np.floor(where).astype(int), old - 1)
        return low, np.minimum(low + 1, old - 1), where - low

    top, bottom, down = ends(positions(size[0], x.shape[2]), x.shape[2])
    left, right, across = ends(positions(size[1], x.shape[3]), x.shape[3])
    rows = x[:, :, top] * (1 - down)[:, None] + x[:, :, bottom] * down[:, None]
    result: np.ndarray[Any, Any] = rows[..., left] * (1 - across) + rows[..., right] * across
    return result


def _resize_op(found: Any) -> None:
    from mindspore import Tensor

    x = _images()
    for align, half in ((False, False), (True, False), (False, True)):
        result = found((10, 9), align, half)(Tensor(x)).asnumpy()
        np.testing.assert_allclose(result, _bilinear(x, (10, 9), align=align, half=half), rtol=1e-4, atol=1e-5)


def _resize_cell(found: Any) -> None:
    from mindspore import Tensor

    x = _images()
    np.testing.assert_allclose(
        found()(Tensor(x), size=(10, 9)).asnumpy(), _bilinear(x, (10, 9), align=False), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        found()(Tensor(x), scale_factor=2).asnumpy(), _bilinear(x, (10, 14), align=False), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        found()(Tensor(x), size=(3, 4), align_corners=True).asnumpy(),
        _bilinear(x, (3, 4), align=True),
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        found(half_pixel_centers=True)(Tensor(x), size=(9, 9)).asnumpy(),
        _bilinear(x, (9, 9), align=False, half=True),
        rtol=1e-4,
        atol=1e-5,
    )


def _upsample(found: Any) -> None:
    from mindspore import Tensor

    x = _images()
    np.testing.assert_allclose(
        found(scale_factor=2)(Tensor(x)).asnumpy(), _bilinear(x, (10, 14), align=True), rtol=1e-4, atol=1e-5
    )


def _dropout(found: Any) -> None:
    from mindspore import Tensor, nn

    x = np.ones((1000,), np.float32)
    assert isinstance(found(keep_prob=1), nn.Dropout)
    assert np.array_equal(found(1)(Tensor(x)).asnumpy(), x)
    assert np.array_equal(found(np.float32(0.5))(Tensor(x)).asnumpy(), x)  # not in training
    kept = found(0.8).set_train()(Tensor(x)).asnumpy()
    assert set(np.round(np.unique(kept), 4)) <= {0.0, 1.25}
    assert 700 < np.count_nonzero(kept) < 900


def _scalar(found: Any) -> None:
    import mindspore as ms

    assert found()(3.7, ms.int32) == 3
    assert found()(3, ms.float16) == 3.0
    assert found()(3, ms.bool_) is True


def _lookup(found: Any) -> None:
    import mindspore

    cell = found(5, 3, target="DEVICE", sparse=False, vocab_cache_size=100)
    rows = cell(mindspore.Tensor([[1, 4]], mindspore.int32)).asnumpy()
    np.testing.assert_array_equal(rows[0], cell.embedding_table.asnumpy()[[1, 4]])


def _initializer(found: Any) -> None:
    import mindspore

    tensor = found("ones", [2, 3], mindspore.float32)
    assert np.array_equal(tensor.to_tensor().asnumpy(), np.ones((2, 3), np.float32))
    parameter = mindspore.Parameter(found("zeros", [2]), name="p")
    assert np.array_equal(parameter.asnumpy(), np.zeros(2, np.float32))


def _shape(found: Any) -> None:
    from mindspore import Tensor

    assert found(Tensor(_images())) == (2, 3, 5, 7)


def _sum(found: Any) -> None:
    from mindspore import Tensor

    x = _images()
    np.testing.assert_allclose(found()(Tensor(x), 1).asnumpy(), x.sum(1), rtol=1e-5)


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


def _normalize(found: Any) -> None:
    x = _images()[0]
    result = found([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])(x)
    expected = (x - np.array([0.1, 0.2, 0.3], np.float32)[:, None, None]) / np.array([1, 2, 4], np.float32)[
        :, None, None
    ]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


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
    "ResizeBilinear": _resize_op,
    "nn.ResizeBilinear": _resize_cell,
    "UpsamplingBilinear2d": _upsample,
    "Dropout": _dropout,
    "ScalarCast": _scalar,
    "EmbeddingLookup": _lookup,
    "initializer.initializer": _initializer,
    "numpy.shape": _shape,
    "Sum": _sum,
    "ms_function": _jit,
    "Validator": _checks,
    "Rel": lambda found: _equal([found.EQ.value, found.LE.value, found.IN.value], [1, 4, 11]),
    "Normalize": _normalize,
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
def test_exact_rows_give_the_same_numbers(row: Replacement, namespace: Namespace) -> None:
    module, _, name = row.old.rpartition(".")
    proof = _proof(row)
    with namespace.building():
        found = getattr(namespace.import_module(module), name)
    if proof is not None:
        proof(found)
    else:  # a plain renaming or move: it is today's own object, so its numbers are today's
        assert not row.stands.startswith("hubtool"), f"{row.old} needs a proof"


@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_can_be_imported_and_not_called(name: str, namespace: Namespace) -> None:
    with namespace.building():
        module = namespace.import_module(name)
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
