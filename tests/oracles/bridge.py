"""The numbers that MindSpore 2.0.0 gives for names of the bridge: calls, and the program that writes what they give.

MindSpore 2.0.0 runs on Python 3.7 to 3.9, so this file is written for them; it needs nothing else. With it:

    python3.9 tests/oracles/bridge.py > tests/oracles/bridge.json

tests/unit/networks/test_bridge.py makes the same calls with what the bridge supplies in the place of the names. A name
that 2.0.0 lacks already stands beside the one of 2.0.0 that means the same.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_random = np.random.default_rng


def _floats(*shape: int, seed: int = 0) -> Any:
    return _random(seed).random(shape, dtype=np.float32)


def _tensor(values: Any) -> Any:
    from mindspore import Tensor

    return Tensor(np.array(values))


def _whole(kind: str = "int32") -> tuple[Any, Any]:
    return _tensor(np.array([7, -7, 100, 5]).astype(kind)), _tensor(np.array([2, 2, -4, 3]).astype(kind))


def _divisions(divide: Callable[[Any, Any], Any]) -> list[Any]:
    kinds = ("int8", "int16", "int32", "int64", "uint8", "float32", "float16")
    found = [divide(*_whole(kind)) for kind in kinds]
    one, _ = _whole()
    mixed = [divide(one, _whole("int64")[1]), divide(one, _whole("float32")[1])]
    return [*found, *mixed, divide(one, 2), divide(100, one), divide(one, 2.0), divide(one, 0)]


def _resize_op(found: Any) -> list[Any]:
    x = _tensor(_floats(2, 3, 5, 7))
    return [found((10, 9), align, half)(x) for align, half in ((False, False), (True, False), (False, True))]


def _resize_cell(found: Any) -> list[Any]:
    x = _tensor(_floats(2, 3, 5, 7))
    return [
        found()(x, size=(10, 9)),
        found()(x, scale_factor=2),
        found()(x, size=(3, 4), align_corners=True),
        found(half_pixel_centers=True)(x, size=(9, 9)),
    ]


def _list(found: Any) -> list[Any]:
    from mindspore import nn

    cells = found([nn.ReLU(), nn.Tanh(), nn.Sigmoid()])
    x = _tensor(_floats(2, 3))
    return [cells[1](x), cells[-1](x), cells[:2][1](x), *(cell(x) for cell in cells)]


def _recurrent(found: Any, dropout: Any) -> list[Any]:
    cell = found(4, 3, 2, batch_first=True, bidirectional=True, dropout=dropout)
    cell.set_train(False)
    for index, weight in enumerate(cell.get_parameters()):
        weight.set_data(_tensor(_floats(*weight.shape, seed=index) - np.float32(0.5)))
    output, last = cell(_tensor(_floats(2, 5, 4)))
    return [output, *(last if isinstance(last, tuple) else (last,))]


def _attention_mask(found: Any) -> list[Any]:
    return [found(seq_length=5)(_tensor(np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1]], np.float32)))]


def _encoder(found: Any) -> list[Any]:
    results = []
    mask = np.tril(np.ones((2, 5, 5), np.float32))
    mask[0, :, 3] = 0
    for after in (False, True):
        for kind in ("float16", "float32"):
            cell = found(2, 2, 8, 32, 5, 2, post_layernorm_residual=after)
            cell.set_train(False)
            parameters = list(cell.get_parameters())
            for index, weight in enumerate(parameters):
                weight.set_data(_tensor(_floats(*weight.shape, seed=index) - np.float32(0.5)))
            output, pasts = cell(_tensor(_floats(2, 5, 8).astype(kind)), _tensor(mask))
            results += [output, *pasts[1]]
    return [*results, " ".join(weight.name for weight in parameters)]


def _casts(cast: Callable[[Any, Any], Any]) -> list[Any]:
    import mindspore

    kinds = ("int8", "uint8", "int32", "int64", "float16", "float32", "float64", "bool_")
    return [
        cast(number, getattr(mindspore, kind))
        for number in (300, -1, 0, 3.7, 0.1, True)
        for kind in kinds
        if not (number == -1 and kind == "bool_")
    ]


def _arrays(found: Any) -> list[Any]:
    return [found(3), found(-2), found(3.5), found(np.float64(0.1))]


def _extremes(found: Any) -> list[Any]:
    x = _tensor(_floats(3, 4, 5))
    return [*found()(x), *found(1)(x), *found(axis=2, keep_dims=True)(x)]


def _images(found: Any) -> list[Any]:
    one, other = _tensor(_floats(2, 3, 16, 16)), _tensor(_floats(2, 3, 16, 16, seed=1))
    bytes_ = [_tensor((_floats(1, 3, 12, 12, seed=seed) * 255).astype(np.uint8)) for seed in (0, 1)]
    return [found()(one, other), found(max_val=255.0)(one, other)] + (
        [found(255)(*bytes_)] if found.__name__ == "PSNR" else []
    )


def _initializer(found: Any) -> list[Any]:
    import mindspore

    flat = found("ones", [2, 3], mindspore.float32).reshape((-1,))
    return [*(found(init, [2, 3], mindspore.float32).init_data() for init in ("ones", "zeros", 0.5)), flat]


def _dropout(found: Any) -> list[Any]:
    x = _tensor(_floats(50))
    return [found(keep_prob=0.8).set_train(False)(x), found(keep_prob=1.0).set_train(True)(x)]


def _lookup(found: Any) -> list[Any]:
    cell = found(5, 3, target="DEVICE", sparse=False)
    cell.embedding_table.set_data(_tensor(_floats(5, 3)))
    return [cell(_tensor(np.array([[1, 4]], np.int32)))]


def _gather(found: Any) -> list[Any]:
    x, index = _tensor(_floats(3, 4)), _tensor(np.array([[2, 0], [1, 1]], np.int32))
    return [found()(x, index, 0), found()(x, index, 1)]


def _transforms(found: Any, *arguments: Any) -> list[Any]:
    x = _floats(3, 5, 7)
    return [found(*arguments)(x)]


def _double(x: Any) -> Any:
    return x + x


def _checks(checks: Any) -> list[Any]:
    found = [checks.check_positive_int(3, "n", "net"), checks.check_value_type("n", 3, [int], "net")]
    for check, value in ((checks.check_positive_int, 0), (checks.check_positive_float, 0.0)):
        try:
            found.append(check(value, "n", "net"))
        except ValueError:  # noqa: PERF203 - each is refused
            found.append("refused")
    return found


def _vision(module: Any) -> list[Any]:
    image = (_floats(5, 7, 3) * 255).astype(np.uint8)
    return [module.ToTensor()(image), module.HWC2CHW()(image), np.asarray(module.Resize((4, 4))(module.ToPIL()(image)))]


def _vision_c(module: Any) -> list[Any]:
    image = (_floats(5, 7, 3) * 255).astype(np.uint8)
    mean, deviation = [1.0, 2.0, 3.0], [1.0, 2.0, 4.0]
    return [
        module.Resize((4, 4))(image),
        module.Normalize(mean, deviation)(image),
        module.HWC2CHW()(image),
        module.CenterCrop(3)(image),
    ]


def _onehot(found: Any) -> list[Any]:
    return [found(4)(np.array([1, 3])), found(4, 0.1)(np.array(2))]


MEAN, DEVIATION = (0.1, 0.2, 0.3), (0.5, 0.25, 0.75)

#: By name of a row: the call; where MindSpore 2.0.0 lacks the name, the one that means the same there.
CASES: dict[str, Callable[[Any], list[Any]]] = {
    "mindspore.ms_function": lambda found: [found(_double)(_tensor([1.5])), found(fn=_double)(_tensor([2.5]))],
    "mindspore.nn.ResizeBilinear": _resize_cell,
    "mindspore.ops.ResizeBilinear": _resize_op,
    "mindspore.ops.ResizeNearestNeighbor": lambda found: [
        found((10, 9), align)(_tensor(_floats(2, 3, 5, 7))) for align in (False, True)
    ],
    "mindspore.nn.MaxPool2d": lambda found: [
        found(*given)(_tensor(_floats(2, 3, 8, 8))) for given in ((), (3, 2, "same"), ((2, 3), 1))
    ],
    "mindspore.nn.CellList": _list,
    "mindspore.nn.Dropout": _dropout,
    "mindspore.nn.EmbeddingLookup": _lookup,
    "mindspore.common.initializer.initializer": _initializer,
    "mindspore.ops.Cast": lambda found: [
        found()(value, getattr(importlib.import_module("mindspore"), kind))
        for value in (_tensor([1.5, -2.5]), 2.5)
        for kind in ("int32", "float16")
    ],
    "mindspore.ops.Reshape": lambda found: [
        found()(_tensor(_floats(2, 6)), shape) for shape in ((3, 4), (-1,), [4, 3], (2, 3, 2))
    ],
    "mindspore.ops.Tile": lambda found: [found()(_tensor(_floats(2, 3)), times) for times in ((2, 1), (2, 1, 3))],
    "mindspore.ops.dot": lambda found: [
        found(_tensor(_floats(*left)), _tensor(_floats(*right, seed=1)))
        for left, right in (((2, 3), (3, 2)), ((2, 2, 3), (4, 3, 2)))
    ],
    "mindspore.ops.ScalarCast": lambda found: _casts(found()),
    "mindspore.ops.functional.scalar_cast": _casts,
    "mindspore.ops.ScalarToArray": lambda found: _arrays(found()),
    "mindspore.ops.functional.scalar_to_array": _arrays,
    "mindspore.ops.operations.GatherV2": _gather,
    "mindspore.ops.operations.DynamicShape": lambda found: [found()(_tensor(_floats(2, 3)))],
    "mindspore.ops.operations.Sum": lambda found: [found()(_tensor(_floats(2, 3)), 1)],
    "mindspore.nn.SSIM": _images,
    "mindspore.nn.PSNR": _images,
    "mindspore.nn.GRU": lambda found: _recurrent(found, 0.0),
    "mindspore.nn.LSTM": lambda found: _recurrent(found, 0.0),
    "mindspore.nn.RNN": lambda found: _recurrent(found, 0.0),
    "mindspore.ops.Div": lambda found: _divisions(found()),
    "mindspore.ops.div": lambda found: [
        *_divisions(found),
        *(found(*_whole(), rounding_mode=mode) for mode in ("floor", "trunc")),
    ],
    "mindspore.ops.divide": _divisions,
    "mindspore.ops.true_divide": _divisions,
    "mindspore.ops.ArgMaxWithValue": _extremes,
    "mindspore.ops.ArgMinWithValue": _extremes,
    "mindspore.nn.transformer.transformer.AttentionMask": _attention_mask,
    "mindspore.nn.transformer.transformer.TransformerEncoder": _encoder,
    "mindspore.nn.transformer.layers._LayerNorm": lambda found: [found((6,))(_tensor(_floats(3, 6)))],
    "mindspore._checkparam.Validator": _checks,
    "mindspore.dataset.vision.c_transforms": _vision_c,
    "mindspore.dataset.vision.py_transforms": _vision,
    "mindspore.dataset.transforms.c_transforms": lambda module: [module.OneHot(4)(np.array(2))],
    "mindspore.dataset.transforms.py_transforms.Compose": lambda found: [
        found([lambda x: x + 1, lambda x: (x * 2,)])(np.array([1, 3])),
        found([lambda x, y: (y, x)])(1, 2),
    ],
    "mindspore.dataset.vision.py_transforms.Normalize": lambda found: _transforms(found, MEAN, DEVIATION),
    "mindspore.dataset.vision.py_transforms.NormalizePad": lambda found: [
        *_transforms(found, MEAN, DEVIATION),
        *_transforms(found, MEAN, DEVIATION, "float16"),
    ],
    "mindspore.dataset.vision.py_transforms.RgbToBgr": _transforms,
    "mindspore.dataset.vision.c_transforms.RgbToBgr": lambda found: [found()(_floats(5, 7, 3))],
    "mindspore.dataset.transforms.py_transforms.OneHotOp": _onehot,
}

_TRANSFORMER = "mindspore.parallel._transformer"

#: Names that 2.0.0 lacks, and those of 2.0.0 that mean the same.
INSTEAD = {
    "mindspore.ops.operations.Sum": "mindspore.ops.operations.ReduceSum",
    "mindspore._checkparam.Validator": "mindspore._checkparam",
    "mindspore.nn.transformer.transformer.AttentionMask": f"{_TRANSFORMER}.transformer.AttentionMask",
    "mindspore.nn.transformer.transformer.TransformerEncoder": f"{_TRANSFORMER}.transformer.TransformerEncoder",
    "mindspore.nn.transformer.layers._LayerNorm": f"{_TRANSFORMER}.layers._LayerNorm",
}


def _item(tensor: Any) -> Any:
    return tensor.asnumpy() if hasattr(tensor, "asnumpy") else tensor


def _methods() -> list[Any]:
    x = _tensor(_floats(2, 3))
    whole, other = _whole()
    truth = _tensor(np.array([True, False, True, True]))
    total = _tensor(np.array([200, 100], np.uint8))
    return [
        *(
            x.repeat(2),
            x.repeat(2, 0),
            x.repeat(2, axis=1),
            x.repeat(repeats=2, axis=-1),
            x.repeat([1, 2], 0),
            x.repeat((1, 0, 2), 1),
        ),
        *(whole.div(other), whole.true_divide(2), x.div(x), whole.div(other, rounding_mode="floor")),
        *(whole.sum(), whole.sum(0), x.sum(), x.sum(axis=1), x.sum(axis=(0, 1), keepdims=True), total.sum()),
        truth.astype("int32").sum(),
    ]


def _operator() -> list[Any]:
    def divide(one: Any, other: Any) -> Any:
        return one / other

    def in_place(one: Any, other: Any) -> Any:
        one /= other
        return one

    return [*_divisions(divide), *_divisions(in_place), 7 / 2, in_place(7, 2), in_place(np.array([1.5]), 2)]


def _sequences() -> list[Any]:
    found = []
    for kind in ("float32", "float16", "int32", "int64"):
        x = _tensor(np.array([7, -3], kind))
        for other in ([2, 3], (2, 3), (2.5, 3.5), [[2, 3], [4, 5]]):
            found += [x / other, other / x, x * other, other * x, x % other, other % x, x**other]
        one = x
        one *= [2, 3]
        one /= (3, 2)
        one %= [4, 3]
        found.append(one)
    # Where neither side is a tensor, all is as Python has it.
    return [*found, [1, 2] * 2, "%s of %s" % ("one", 2), 7 % 3, 2**3]  # noqa: UP031 - the operator is what is tried


#: Of tensors: code that names nothing of MindSpore.
TENSORS: dict[str, Callable[[], list[Any]]] = {"methods": _methods, "/": _operator, "sequences": _sequences}


def _kernels() -> dict[str, Callable[[], Any]]:
    """Return calls of operators that have no CPU kernel."""
    from mindspore import Parameter, nn, ops

    primitive = ops.operations

    def ones(*shape: int, kind: str = "float16") -> Any:
        return _tensor(np.ones(shape, kind))

    def gru() -> Any:
        inputs = ones(2, 8, 64), ones(64, 48), ones(16, 48), ones(48), ones(48)
        return primitive.DynamicGRUV2()(*inputs, None, ones(8, 16))

    def rnn() -> Any:
        inputs = ones(2, 16, 64), ones(96, 128), ones(128)
        return primitive.DynamicRNN()(*inputs, None, ones(1, 16, 32), ones(1, 16, 32))

    floats, mask = ones(4, 4, kind="float32"), _tensor(np.ones(16, np.uint8))
    keep = _tensor(np.array(0.5, np.float32))
    image = ones(1, 3, 4, 4, kind="float32")
    four = [Parameter(ones(3, kind="float32"), name=name) for name in ("gamma", "beta", "mean", "variance")]
    return {
        "BasicLSTMCell": lambda: primitive.BasicLSTMCell()(
            ones(1, 32), ones(1, 64), ones(1, 64), ones(96, 256), ones(256)
        ),
        "DropoutDoMask": lambda: primitive.DropoutDoMask()(floats, mask, keep),
        "DropoutGenMask": lambda: primitive.DropoutGenMask()((2, 4), keep),
        "DynamicGRUV2": gru,
        "DynamicRNN": rnn,
        "ExtractImagePatches": lambda: nn.Unfold([1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1])(image),
        "FloatStatus": lambda: primitive.FloatStatus()(floats),
        "InstanceNorm": lambda: primitive.nn_ops.InstanceNorm()(image, *four),
        "NPUAllocFloatStatus": primitive.NPUAllocFloatStatus(),
        "SparseGatherV2": lambda: primitive.SparseGatherV2()(floats, _tensor(np.array([1, 0], np.int32)), 1),
    }


def refusals() -> dict[str, str]:
    """Return what MindSpore says of operators without a CPU kernel: the line that names the operator."""
    found = {}
    for name, call in _kernels().items():
        try:
            result = call()
            [one.asnumpy() for one in (result if isinstance(result, tuple) else (result,))]
        except Exception as error:  # noqa: BLE001, PERF203 - the error is the result
            lines = [line for line in str(error).splitlines() if "Unsupported op" in line]
            found[name] = lines[0].partition(",")[0] if lines else str(error)
        else:
            found[name] = "computed"
    return found


def told(values: list[Any]) -> list[dict[str, Any]]:
    """Return results as JSON: type, shape and numbers of each."""
    found = []
    for value in values:
        array = _item(value)
        kind = str(array.dtype) if isinstance(array, np.ndarray) else type(array).__name__
        array = np.asarray(array)
        numbers = array.reshape(-1).tolist()
        found.append(
            {
                "type": kind,
                "shape": list(array.shape),
                "values": [float(f"{one:.7g}") if isinstance(one, float) else one for one in numbers],
            }
        )
    return found


def main() -> None:
    """Write the numbers of the MindSpore that is installed."""
    import mindspore

    names = {}
    for name, call in CASES.items():
        module, _, attribute = INSTEAD.get(name, name).rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except AttributeError:
            found = importlib.import_module(name)
        names[name] = told(call(found))
    tensors = {name: told(call()) for name, call in TENSORS.items()}
    record = {
        "mindspore": mindspore.__version__,
        "python": sys.version.split()[0],
        "names": names,
        "tensors": tensors,
        "refused": refusals(),
    }
    sys.stdout.write(_lines(record) + "\n")


def _lines(value: Any, depth: int = 0) -> str:
    """Return JSON with one result on a line."""
    if not isinstance(value, (dict, list)) or (isinstance(value, dict) and "values" in value):
        return json.dumps(value)
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, list):
        return "[" + ",".join(inner + _lines(one, depth + 1) for one in value) + outer + "]"
    return (
        "{"
        + ",".join(inner + json.dumps(name) + ": " + _lines(one, depth + 1) for name, one in value.items())
        + outer
        + "}"
    )


if __name__ == "__main__":
    main()
