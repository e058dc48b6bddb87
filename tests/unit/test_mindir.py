"""The inputs of a MindIR, read without MindSpore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.checkpoint.mindir import GraphInput, read_inputs
from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(key: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return number(key << 3) + number(value)
    return number(key << 3 | 2) + number(len(value)) + value


def graph_input(name: str, shape: tuple[int, ...], kind: int) -> bytes:
    tensor = b"".join(field(1, side) for side in shape) + field(2, kind)
    return field(5, field(1, f"12_3_graph:{name}".encode()) + field(2, tensor))


def model(*inputs: bytes) -> bytes:
    weights = field(3, b"w" * 3000)
    return field(1, b"1.1") + field(2, b"MindSpore") + field(5, b"2.10.0") + field(7, weights + b"".join(inputs))


def test_names_shapes_and_types(tmp_path: Path) -> None:
    path = tmp_path / "a.mindir"
    path.write_bytes(model(graph_input("ids", (1, 128), 6), graph_input("image", (-1, 3, 300, 300), 1)))
    assert read_inputs(path) == (
        GraphInput(name="ids", shape=(1, 128), dtype="int32"),
        GraphInput(name="image", shape=(-1, 3, 300, 300), dtype="float32"),
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG", model()[:-1], field(2, b"PyTorch") + field(7, b""), b"\xff" * 40, field(2, b"MindSpore")],
)
def test_what_is_no_mindir(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mindir"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="MindIR"):
        read_inputs(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_inputs(tmp_path / "a.mindir")


@given(cut=st.integers(0, 3200), flip=st.integers(0, 3200))
def test_damage_is_an_error_or_harmless(tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int) -> None:
    content = bytearray(model(graph_input("ids", (1, 128), 6)))
    content[flip % len(content)] ^= 0x55
    path = tmp_path_factory.mktemp("m") / "a.mindir"
    path.write_bytes(content[: cut or None])
    try:
        found = read_inputs(path)
    except CheckpointError:
        return
    assert all(isinstance(one, GraphInput) for one in found)
