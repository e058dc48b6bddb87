"""Numbers that are NaN or infinite, in each data type that has such."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubtool.checkpoint.reading import read_header
from hubtool.checkpoint.values import not_finite
from tests.support.checkpoints import safetensors

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("numpy")

# Data type, bytes of two finite elements, bytes of NaN or infinity.
KINDS = {
    "F16": (b"\x00\x00\xff\x7b", b"\x00\x7c\x01\xfc"),
    "BF16": (b"\x80\x3f\x00\x00", b"\xc0\x7f\x80\xff"),
    "F32": (bytes(8), b"\x00\x00\xc0\x7f\x00\x00\x80\xff"),
    "F8_E4M3": (b"\x00\x7e", b"\x7f\xff"),
    "F8_E5M2": (b"\x00\x7b", b"\x7c\xfd"),
    "F8_E4M3FNUZ": (b"\x00\xff", b"\x80\x80"),
    "F8_E5M2FNUZ": (b"\x7f\xff", b"\x80\x80"),
    "F8_E8M0": (b"\x00\xfe", b"\xff\xff"),
}


@pytest.mark.parametrize("dtype", KINDS)
def test_what_is_not_finite_is_counted(tmp_path: Path, dtype: str) -> None:
    finite, strange = KINDS[dtype]
    path = tmp_path / "w.safetensors"
    size = len(finite)
    entries = {
        "good": {"dtype": dtype, "shape": [2], "data_offsets": [0, size]},
        "bad": {"dtype": dtype, "shape": [2], "data_offsets": [size, 2 * size]},
    }
    path.write_bytes(safetensors(entries, finite + strange))
    assert not_finite(path, read_header(path)) == {"bad": 2}
