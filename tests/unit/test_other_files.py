"""Files that are taken for checkpoints and are healthy files of another kind: they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubtool.checkpoint.reading import read_header
from hubtool.cli.app import run
from hubtool.errors import CheckpointError
from tests.support.cards import write_card, write_local
from tests.support.mindir import field, graph_input, model

if TYPE_CHECKING:
    from pathlib import Path

MINDIR = model(graph_input("x", (1, 2), 1))
STRATEGY = field(1, b"MatMul-op0") + field(2, field(1, 0))
OTHERS = [
    (MINDIR, "a MindIR graph"),
    (field(1, b"0.1.0") + field(2, b"MindSpore") + field(7, b""), "a MindIR graph"),
    (field(2, b"MindSpore") + field(7, b""), "a MindIR graph"),
    (field(1, b"1.1") + field(7, b"\n\x00"), "a MindIR graph"),
    (b"\x18\x00\x00\x00MSL2" + bytes(60), "a graph of MindSpore Lite"),
    (b"\x18\x00\x00\x00MSL1" + bytes(60), "a graph of MindSpore Lite"),
    (field(1, 7) + field(2, b"pytorch") + field(3, b"1.9") + field(7, b"g"), "an ONNX graph"),
    (field(1, 10) + field(7, b"g"), "an ONNX graph"),
    (field(1, 8) + field(8, field(2, 17)) + field(7, b"g"), "an ONNX graph"),
    (field(1, 1) + field(2, STRATEGY) + field(3, field(1, b"fc.weight")), "a parallel strategy"),
    (field(1, 0) + field(2, field(1, b"n" * 300) + field(2, b"")), "a parallel strategy"),
    (b"IMOD" + bytes(200), "an offline model of Ascend"),
]


@pytest.mark.parametrize(("content", "name"), OTHERS)
def test_healthy_files_of_other_kinds_are_named_and_not_called_damaged(
    tmp_path: Path, content: bytes, name: str
) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"is not a checkpoint but {name}") as caught:
        read_header(path)
    assert "damaged" not in str(caught.value)
    assert "fetch it again" not in str(caught.value)


def test_another_protobuf_message_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.air"
    path.write_bytes(field(1, b"a model of CANN") + field(2, 1))
    with pytest.raises(CheckpointError, match="is not a checkpoint") as caught:
        read_header(path)
    assert "damaged" not in str(caught.value)


def test_a_checkpoint_that_begins_like_them_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(field(1, field(1, b"1.1") + field(2, field(1, 2) + field(2, b"Float32") + field(3, bytes(8)))))
    assert read_header(path).shapes() == {"1.1": (2,)}


def test_new_and_inspect_name_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.mindir"
    path.write_bytes(MINDIR)
    wrong = tmp_path / "x.ckpt"  # by its own name, `new` would write a card of a graph
    wrong.write_bytes(MINDIR)
    registry = tmp_path / "registry"
    write_local(registry, "tests/2.10/graph", MINDIR, form="mindir")
    write_card(registry, "tests/2.10/other", link="https://example.com/x.onnx", content=b"a", form="onnx")
    monkeypatch.setenv("HUBTOOL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HUBTOOL_REGISTRY", str(registry))
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["inspect", str(path)],
        ["inspect", "tests/2.10/graph"],
        ["inspect", "tests/2.10/other"],
        ["new", "lab/1.0/x", "--checkpoint", str(wrong), "--no-input"],
    ):
        assert run(arguments) == 1
        told = capsys.readouterr().err
        assert "is not a checkpoint but a" in told
        assert "damaged" not in told
        assert "hubtool load" in told
