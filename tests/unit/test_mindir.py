"""The inputs of a MindIR, read without MindSpore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.checkpoint.mindir import GraphInput, read_inputs
from hubtool.errors import CheckpointError
from tests.support.mindir import field, graph_input, model

if TYPE_CHECKING:
    from pathlib import Path


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
