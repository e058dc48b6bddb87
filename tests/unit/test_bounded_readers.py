"""Readers are bounded: no small file makes them work or allocate without end, and no healthy file is called damaged.

Nothing here measures time. What bounds the time is a count, and each test shows that the count is kept: the error names
it, and comes long before the end of the file.
"""

from __future__ import annotations

import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from hubtool.checkpoint import header, mindir
from hubtool.checkpoint.header import FOREIGN_ITEM_BITS
from hubtool.checkpoint.mindir import read_inputs
from hubtool.checkpoint.reading import read_header
from hubtool.cli.app import run
from hubtool.diff import tensors
from hubtool.errors import CheckpointError
from tests.support.checkpoints import field, safetensors, value
from tests.support.mindir import model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
EMPTY = field(2, b"\x08\x00" + field(2, b"Float32") + field(3, b""))


def written(folder: Path, content: bytes, name: str = "some.ckpt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def peak(read: Callable[[], object]) -> int:
    """Return the most memory that was in use during a call, in bytes."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- .ckpt -------------------------------------------------------------------------------------------------------------

FLOODS = {
    "unknown numbers in a value": field(1, field(1, b"a") + b"\x48\x01" * (1 << 20) + EMPTY),
    "unknown texts in a value": field(1, field(1, b"a") + b"\x52\x00" * (1 << 20) + EMPTY),
    "unknown fields in a tensor": field(1, field(1, b"a") + field(2, b"\x08\x00" + b"\x48\x01" * (1 << 20))),
    "a few unknown fields in each of many values": b"".join(
        field(1, field(1, b"%d" % count) + b"\x48\x01" * 300 + EMPTY) for count in range(2_000)
    ),
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_of_unknown_fields_ends_the_reading(tmp_path: Path, case: str) -> None:
    path = written(tmp_path, FLOODS[case])
    with pytest.raises(CheckpointError, match="has more than 10,000 fields that no checkpoint") as caught:
        read_header(path)
    found = re.search(r"up to byte (\d+)", caught.value.message)
    assert found is not None
    assert int(found[1]) < 300_000
    assert "damaged" not in caught.value.message
    assert "MindSpore" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"".join(value(f"l{count}", (0,), "Float32", b"") for count in range(300)), "more than 200 tensors"),
        (b"".join(value(f"l{count}", (0,) * 32, "Float32", b"") for count in range(150)), "more than 2,400 fields"),
        (value("l", (0,) * 20, "Float32", b"", packed=True) * 190, "more than 2,400 fields"),
        (value("l", (0,), "str", b"a\0\0\0") * 300, "more than 200 tensors"),
    ],
    ids=["tensors of no size", "dimensions", "packed dimensions", "pieces of a text"],
)
def test_a_small_file_has_no_more_parts_than_a_small_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.setattr(header, "MAX_TENSORS", 200)
    monkeypatch.setattr(header, "BYTES_PER_TENSOR", 1 << 30)
    with pytest.raises(CheckpointError, match=words):
        read_header(written(tmp_path, content))


def test_a_file_may_have_more_tensors_if_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAX_TENSORS", 10)
    content = b"".join(value(f"l{count}", (300,), "Float32", bytes(1200)) for count in range(50))
    assert len(read_header(written(tmp_path, content)).tensors) == 50


def test_names_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAX_TENSORS", 100)
    names = [f"{count:04000d}" for count in range(4)]
    content = b"".join(value(name, (0,), "Float32", b"") for name in names)
    with pytest.raises(CheckpointError, match="names of more than 12,800 bytes"):
        read_header(written(tmp_path, content))
    entries = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}
    with pytest.raises(CheckpointError, match="names of more than 12,800 characters"):
        read_header(written(tmp_path, safetensors(entries, b"")))


def test_ten_thousand_tensors_are_read(tmp_path: Path) -> None:
    names = [f"layers.{count}.attention.query.weight" for count in range(10_000)]
    path = written(tmp_path, b"".join(value(name, (2, 2), "Float16", bytes(8)) for name in names))
    assert list(read_header(path).shapes()) == names
    entries = {
        name: {"dtype": "F16", "shape": [2, 2], "data_offsets": [8 * count, 8 * count + 8]}
        for count, name in enumerate(names)
    }
    path = written(tmp_path, safetensors(entries, bytes(80_000)))
    assert list(read_header(path).shapes()) == names
    assert peak(lambda: read_header(path)) < 16 * MIB


# -- .safetensors ------------------------------------------------------------------------------------------------------

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "text",
    ["y" * (30 * MIB), '{"key": "value\\n"}' * MIB, "\U0001f600" + "模" * (8 * MIB)],
    ids=["plain", "JSON in JSON", "of several bytes"],
)
def test_a_healthy_header_may_be_large(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, safetensors({"__metadata__": {"config": text, "format": "pt"}, "a": ONE}, b"1234"))
    assert [tensor.name for tensor in read_header(path).tensors] == ["a"]
    # The header itself, once; parsed as a whole it would be there three times or more.
    assert peak(lambda: read_header(path)) < 1.2 * path.stat().st_size + 8 * MIB


def test_the_formats_own_limit_of_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, b"")
    for length in (100_000_000, 100_000_001):
        with path.open("wb") as stream:
            stream.write(length.to_bytes(8, "little") + b'{"a": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
            stream.write(b" " * (8 + length - stream.tell()) + b"1234")
        if length == 100_000_000:
            assert read_header(path).tensors[0].name == "a"
        else:
            with pytest.raises(CheckpointError, match="the format allows 100,000,000"):
                read_header(path)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b'{"a":{"dtype":"F32","shape":[' + b"0," * (4 * MIB) + b'0],"data_offsets":[0,0]}}', "not the JSON"),
        (b'{"a":[' + b"[]," * (4 * MIB) + b"[]]}", "not the JSON"),
        (b'{"a":' + b'{"a":' * (2 * MIB), "not the JSON"),
        (b"{" + b",".join(b'"%d":{}' % count for count in range(500_000)) + b"}", "it needs dtype"),
        (b'{"' + b"\\n" * (4 * MIB) + b'":{}}', "not the JSON"),
        (b'{"__metadata__":{' + b",".join(b'"%d":""' % count for count in range(500_000)) + b"}}", "30,000 texts"),
        (b'{"__metadata__":{"a":"' + b"\\\\" * (4 * MIB), "does not end"),
    ],
    ids=["numbers", "lists", "deep", "objects", "escapes in a name", "metadata", "a text without an end"],
)
def test_a_hostile_header_is_not_taken_apart(tmp_path: Path, head: bytes, words: str) -> None:
    path = written(tmp_path, safetensors(head, b""))

    def read() -> None:
        with pytest.raises(CheckpointError, match=words):
            read_header(path)

    assert peak(read) < 1.2 * len(head) + 16 * MIB


def test_tensors_of_no_size_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAX_TENSORS", 200)
    entries = {f"l{count}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for count in range(201)}
    with pytest.raises(CheckpointError, match="has more than 200 tensors in its header"):
        read_header(written(tmp_path, safetensors(entries, b"")))


@pytest.mark.parametrize(
    ("dtype", "ours", "size"),
    [
        ("F4", "float4_e2m1fn", 4),
        ("F6_E2M3", "float6_e2m3fn", 6),
        ("F6_E3M2", "float6_e3m2fn", 6),
        ("F8_E8M0", "float8_e8m0fnu", 8),
        ("F8_E4M3FNUZ", "float8_e4m3fnuz", 8),
        ("F8_E5M2FNUZ", "float8_e5m2fnuz", 8),
    ],
)
def test_types_that_mindspore_lacks_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str, ours: str, size: int
) -> None:
    path = written(
        tmp_path, safetensors({"w": {"dtype": dtype, "shape": [2, 4], "data_offsets": [0, size]}}, bytes(size))
    )
    (tensor,) = read_header(path).tensors
    assert (tensor.dtype, tensor.shape, tensor.bytes) == (ours, (2, 4), size)
    assert FOREIGN_ITEM_BITS[ours] == size
    assert run(["inspect", str(path)]) == 0
    assert ours in capsys.readouterr().out
    odd = safetensors({"w": {"dtype": dtype, "shape": [2, 4], "data_offsets": [0, size + 1]}}, bytes(size + 1))
    with pytest.raises(CheckpointError, match=f"it has {size + 1} bytes, which its shape"):
        read_header(written(tmp_path, odd))


def test_a_type_that_is_newer_than_hubtool_is_no_damage(tmp_path: Path) -> None:
    path = written(tmp_path, safetensors({"w": {"dtype": "F3_E1M1", "shape": [8], "data_offsets": [0, 3]}}, bytes(3)))
    with pytest.raises(CheckpointError, match="'F3_E1M1' is not known to hubtool") as caught:
        read_header(path)
    assert "damaged" not in caught.value.message
    assert "update hubtool" in (caught.value.hint or "")


def test_tensors_of_parts_of_a_byte_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    entries = {"w": {"dtype": "F4", "shape": [6], "data_offsets": [0, 3]}}
    old = written(tmp_path, safetensors(entries, b"abc"), "old")
    new = written(tmp_path, safetensors(entries, b"abd"), "new")
    changed = tensors.diff(old, new, values=True).values
    assert changed is not None
    assert [(one.name, one.elements) for one in changed] == [("w", 6)]
    assert tensors.diff(old, old, values=True).values == ()


def test_what_mindspore_cannot_hold_is_said_as_that(tmp_path: Path) -> None:
    pytest.importorskip("mindspore")
    import numpy as np

    from hubtool.networks.weights import _array

    path = written(tmp_path, safetensors({"w": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}, bytes(4)))
    with pytest.raises(CheckpointError, match="'w' has the type float4_e2m1fn, which MindSpore cannot hold"):
        _array(read_header(path).tensors[0], np.zeros(100, np.uint8), path)


def test_a_long_name_does_not_widen_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["n" * 4000, *(f"l{count}" for count in range(500))]
    path = written(tmp_path, b"".join(value(name, (0,), "Float32", b"") for name in names))
    assert run(["inspect", str(path)]) == 0
    assert len(capsys.readouterr().out) < 100_000


# -- .mindir -----------------------------------------------------------------------------------------------------------

INPUT = field(1, b"x") + field(2, b"\x08\x01\x10\x01")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (field(5, field(1, b"x") + field(2, b"\x08\x01" * (1 << 20))), "an input has more than 32 dimensions"),
        (field(5, field(1, b"x") + field(2, b"\x08\x01" * 4) * 100_000), "an input has more than 32 dimensions"),
        (field(5, INPUT) * 1_100, "more than 1,000 inputs"),
        (b"\x2a\x00" * (1 << 20), "more than 1,000 inputs"),
        (b"\x0a\x00" * (1 << 20), "more than 500,000 fields"),
        (field(5, field(2, b"\x18\x00" * (1 << 20))), "more than 500,000 fields"),
        (field(5, field(1, b"n" * (8 << 20))), "the name of an input has more than 4,096 bytes"),
    ],
    ids=["dimensions", "tensors", "inputs", "empty inputs", "nodes", "unknown fields", "a long name"],
)
def test_a_graph_has_no_more_parts_than_a_graph(tmp_path: Path, content: bytes, words: str) -> None:
    path = written(tmp_path, model(content), "a.mindir")

    def read() -> None:
        with pytest.raises(CheckpointError, match=f"{words} .byte") as caught:
            read_inputs(path)
        assert caught.value.hint

    assert peak(read) < 2 * MIB


def test_fields_of_a_graph_are_counted_at_every_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mindir, "_MAX_FIELDS", 100)
    with pytest.raises(CheckpointError, match="more than 100 fields"):
        read_inputs(written(tmp_path, b"\x08\x01" * 101 + model(field(5, INPUT)), "a.mindir"))
    with pytest.raises(CheckpointError, match="more than 100 fields"):
        read_inputs(written(tmp_path, model(field(5, INPUT) * 30), "a.mindir"))
    assert len(read_inputs(written(tmp_path, model(field(5, INPUT) * 10), "a.mindir"))) == 10
