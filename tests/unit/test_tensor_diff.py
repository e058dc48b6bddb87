"""What differs between checkpoints: from the headers, and number by number against NumPy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.diff import tensors
from hubtool.errors import CheckpointError
from tests.support.checkpoints import ckpt, filled, safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.checkpoints import Tensor

np = pytest.importorskip("numpy")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def tensor(name: str, array: Any, dtype: str = "") -> Tensor:
    return name, array.shape, dtype or str(array.dtype), array.tobytes()


def test_names_shapes_and_types(tmp_path: Path) -> None:
    old = ckpt([filled("same", (2, 3)), filled("gone", (4,)), filled("shape", (2, 2)), filled("type", (3,))])
    new = ckpt([filled("type", (3,), "float16"), filled("same", (2, 3)), filled("new", (5,)), filled("shape", (4,))])
    found = tensors.diff(written(tmp_path / "a", old), written(tmp_path / "b", new))
    assert found.removed == (("gone", "float32", (4,)),)
    assert found.added == (("new", "float32", (5,)),)
    assert [(one.name, one.old, one.new) for one in found.reshaped] == [
        ("shape", ("float32", (2, 2)), ("float32", (4,)))
    ]
    assert [(one.name, one.old, one.new) for one in found.retyped] == [("type", ("float32", (3,)), ("float16", (3,)))]
    assert (found.same, found.values) == (1, None)


@pytest.mark.parametrize("piece", [None, 1001])
def test_numbers_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int | None) -> None:
    """Pieces and blocks end anywhere, in the middle of an element too."""
    monkeypatch.setattr(tensors, "BLOCK_ELEMENTS", 97)
    numbers = np.random.default_rng(0)
    before = numbers.standard_normal((40, 50)).astype(np.float32)
    after = before.copy()
    after[3, 7] += 0.5
    after[39, 49] -= 2.25
    same = numbers.standard_normal((30,)).astype(np.float32)
    old = written(tmp_path / "a", ckpt([tensor("w", before), tensor("b", same)], piece=piece))
    new = written(tmp_path / "b", ckpt([tensor("b", same), tensor("w", after)]))
    (change,) = tensors.diff(old, new, values=True).values or ()
    expected = np.abs(before.astype(np.float64) - after.astype(np.float64))
    assert (change.name, change.differing, change.elements) == ("w", 2, 2000)
    assert change.largest == expected.max()
    assert tensors.diff(old, old, values=True).values == ()


@pytest.mark.parametrize(
    ("dtype", "before", "after", "differing", "largest"),
    [
        ("float32", [1.0, math.nan], [1.0, math.nan], 0, None),
        ("float32", [1.0, math.nan], [1.0, 2.0], 1, math.nan),
        ("float32", [math.inf, 1.0], [-math.inf, 1.0], 1, math.inf),
        ("float32", [0.0], [-0.0], 0, None),
        ("float16", [1.0, 2.0], [1.5, 2.0], 1, 0.5),
        ("int8", [-128, 0], [127, 0], 1, 255.0),
        ("uint8", [0, 200], [250, 200], 1, 250.0),
        ("int64", [2**62 + 1, 5], [2**62, 5], 1, 1.0),
        ("complex64", [3 + 4j], [0j], 1, 5.0),
    ],
)
def test_numbers_of_every_kind(
    *, tmp_path: Path, dtype: str, before: list[Any], after: list[Any], differing: int, largest: float | None
) -> None:
    old = written(tmp_path / "a", ckpt([tensor("w", np.array(before, dtype))]))
    new = written(tmp_path / "b", ckpt([tensor("w", np.array(after, dtype))]))
    found = tensors.diff(old, new, values=True).values
    assert found is not None
    if not differing:
        assert found == ()
        return
    assert found[0].differing == differing
    assert found[0].largest is not None
    assert largest is not None
    assert found[0].largest == largest or (math.isnan(largest) and math.isnan(found[0].largest))
    shown = found[0].as_json()["largest"]
    assert shown == (largest if math.isfinite(largest) else str(largest))


def test_types_that_numpy_lacks(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3.0], np.float32)
    half = (values.view(np.uint32) >> 16).astype(np.uint16)  # these numbers need no more than the upper half
    old = written(tmp_path / "a", ckpt([tensor("w", half, "bfloat16")]))
    same = written(tmp_path / "b", ckpt([tensor("w", values)]))
    other = written(tmp_path / "c", ckpt([tensor("w", values + np.float32(0.25))]))
    found = tensors.diff(old, same, values=True)
    assert found.retyped[0].old == ("bfloat16", (3,))
    assert found.values == ()
    (change,) = tensors.diff(old, other, values=True).values or ()
    assert (change.differing, change.largest) == (3, 0.25)
    head: Any = {"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    one = written(tmp_path / "d", safetensors(head, b"\x01\x02\x03\x04"))
    two = written(tmp_path / "e", safetensors(head, b"\x01\x02\x07\x04"))
    (raw,) = tensors.diff(one, two, values=True).values or ()
    assert (raw.differing, raw.largest, raw.as_json()["largest"]) == (1, None, None)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    good = written(tmp_path / "a", ckpt([filled("w", (2,))]))
    with pytest.raises(CheckpointError):
        tensors.diff(good, written(tmp_path / "b", b"<html></html>"))
    with pytest.raises(CheckpointError):
        tensors.diff(tmp_path / "missing", good)
