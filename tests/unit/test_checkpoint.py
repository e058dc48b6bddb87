"""The checkpoint reader: files that are right, and files that are wrong in every way we could think of."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from hubtool.checkpoint.conversion import to_safetensors
from hubtool.checkpoint.reading import read_header
from hubtool.errors import CheckpointError, StoreError
from tests.support import shared_folder
from tests.support.checkpoints import MINDSPORE_NAMES, SMALL, ckpt, field, filled, safetensors, value, varint

if TYPE_CHECKING:
    from pathlib import Path

FOUR = bytes(range(16))
GOOD = value("a", (4,), "Float32", FOUR)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "some.ckpt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("piece", [None, 5, 8])
def test_a_ckpt_is_listed(tmp_path: Path, piece: int | None) -> None:
    path = write(tmp_path, ckpt(SMALL, piece=piece))
    header = read_header(path)
    assert header.format == "ckpt"
    assert [(tensor.name, tensor.shape, tensor.dtype) for tensor in header.tensors] == [entry[:3] for entry in SMALL]
    raw = path.read_bytes()
    for tensor, (_, _, _, content) in zip(header.tensors, SMALL, strict=True):
        assert b"".join(raw[at : at + length] for at, length in tensor.segments) == content
        assert tensor.bytes == len(content)
    assert header.elements == 28 + 1 + 1 + 0 + 3 + 6
    assert header.bytes == sum(len(entry[3]) for entry in SMALL)
    assert header.shapes()["embedding.table"] == (7, 4)


@pytest.mark.parametrize("dtype", MINDSPORE_NAMES)
def test_every_data_type_reaches_safetensors(tmp_path: Path, dtype: str) -> None:
    source = write(tmp_path, ckpt([filled("w", (3, 2), dtype)]))
    to_safetensors(read_header(source), source, tmp_path / "w.safetensors")
    (tensor,) = read_header(tmp_path / "w.safetensors").tensors
    assert (tensor.name, tensor.shape, tensor.dtype) == ("w", (3, 2), dtype)


def test_packed_dims_old_scalars_and_texts_are_read(tmp_path: Path) -> None:
    text = "深度 learning"
    path = write(
        tmp_path,
        value("packed", (2, 2), "Float32", FOUR, packed=True)
        + value("scalar", (0,), "Float32", FOUR[:4])
        + value("empty", (0,), "Float32", b"")
        + value("about", (0,), "str", text.encode("utf-32-le")),
    )
    header = read_header(path)
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("packed", (2, 2)),
        ("scalar", ()),
        ("empty", (0,)),
    ]
    assert header.texts == (("about", text),)


def test_a_checksum_at_the_end_is_not_a_tensor(tmp_path: Path) -> None:
    assert len(read_header(write(tmp_path, GOOD + b"crc_num" + bytes(10))).tensors) == 1


def test_fields_that_we_do_not_know_are_skipped(tmp_path: Path) -> None:
    unknown = b"\x48\x96\x01" + b"\x51" + bytes(8) + field(11, b"later") + b"\x65" + bytes(4)
    inner = field(1, b"a") + unknown + field(2, b"\x08\x04" + unknown + field(2, b"Float32") + field(3, FOUR))
    (tensor,) = read_header(write(tmp_path, field(1, inner))).tensors
    assert tensor.shape == (4,)


TENSOR = b"\x08\x04" + field(2, b"Float32") + field(3, FOUR)
WRONG = {
    "empty": (b"", "is empty"),
    "html": (b"\n\n<!DOCTYPE html><html>...", "a web page"),
    "xml": (b"<?xml version='1.0'?><Error/>", "a web page"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    "zip": (b"PK\x03\x04" + bytes(40), "ZIP archive"),
    "pickle": (b"\x80\x02}q\x00.", "pickle"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "gzip"),
    "text": (b"This is no checkpoint, honestly.", "not a checkpoint"),
    "another protobuf": (field(1, b"0.1.1") + field(2, b"MindSpore"), "not a checkpoint|truncated|damaged"),
    "encrypted by AES-GCM": (b"\xd8\x5e\x3a\x7f" + bytes(60), "encrypted"),
    "encrypted by AES-CBC": (b"\xd9\x5e\x3a\x7f" + bytes(60), "encrypted"),
    "encrypted by SM4-CBC": (b"\xda\x5e\x3a\x7f" + bytes(60), "encrypted"),
    "garbage after": (GOOD + b"\x00garbage", "damaged at byte 36"),
    "a name twice": (GOOD + value("b", (4,), "Float32", FOUR) + GOOD, "'a' comes twice"),
    "pieces of two shapes": (GOOD + value("a", (2, 2), "Float32", FOUR), "disagree"),
    "pieces of two types": (GOOD + value("a", (4,), "Int32", FOUR), "disagree"),
    "too few bytes": (value("a", (5,), "Float32", FOUR), r"16 bytes, and \[5\] of float32 needs 20"),
    "too many bytes": (value("a", (3,), "Float32", FOUR), "needs 12"),
    "negative dimension": (value("a", (-1, 4), "Float32", FOUR), "negative: -1"),
    "overflowing shape": (value("a", (1 << 62, 1 << 62), "Float32", FOUR), "more than any file has"),
    "too many dimensions": (value("a", (1,) * 40, "Float32", FOUR), "more than 32 dimensions"),
    "too many packed": (value("a", (1,) * 4000, "Float32", FOUR, packed=True), "more than 32 dimensions"),
    "unknown type": (value("a", (4,), "Float99", FOUR), "'Float99' is not one"),
    "a type of bytes": (value("a", (4,), "\xff\x00", FOUR), "is not one of MindSpore's"),
    "a long type": (value("a", (4,), "F" * 100, FOUR), "a data type has 100 bytes"),
    "a name that is not UTF-8": (value(b"\xff\xfe", (4,), "Float32", FOUR), "not UTF-8"),
    "a name of control signs": (value("a\x1b[2Jb", (4,), "Float32", FOUR), "control characters"),
    "a long name": (value("n" * 5000, (4,), "Float32", FOUR), "a name has 5000 bytes"),
    "no name": (value("", (4,), "Float32", FOUR), "a name is empty"),
    "no tensor": (GOOD + field(1, field(1, b"b")), "'b' has no tensor"),
    "a tensor without a name": (GOOD + field(1, field(2, TENSOR)), "has no name"),
    "no type": (GOOD + field(1, field(1, b"b") + field(2, field(3, FOUR))), "no data type"),
    "no content": (GOOD + field(1, field(1, b"b") + field(2, field(2, b"Bool"))), "no content"),
    "two names": (GOOD + field(1, field(1, b"b") * 2 + field(2, TENSOR)), "two names"),
    "two tensors": (GOOD + field(1, field(1, b"b") + field(2, TENSOR) * 2), "two tensors"),
    "two contents": (GOOD + field(1, field(1, b"b") + field(2, TENSOR + field(3, FOUR))), "two contents"),
    "a map parameter": (GOOD + field(1, field(1, b"b") + field(3, field(1, TENSOR))), "map parameter"),
    "a group": (GOOD + field(1, b"\x0b" + bytes(5)), "wire type 3"),
    "an endless varint": (GOOD + b"\x0a" + b"\xff" * 20, "more than ten bytes"),
    "a varint of 70 bits": (GOOD + b"\x0a" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
    "a length beyond the file": (GOOD + b"\x0a" + varint(1 << 40) + b"x", "truncated"),
    "a length beyond its holder": (
        field(1, field(1, b"a") + b"\x12" + varint(999)) + GOOD * 40,
        "longer than what holds it",
    ),
    "a text that is none": (value("t", (0,), "str", b"\xff\xff\xff\xff"), "not UTF-32"),
    "a huge text": (value("t", (0,), "str", bytes((1 << 18) + 4)), "the text 't' has"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, case: str) -> None:
    content, words = WRONG[case]
    path = write(tmp_path, content)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}


ENTRY = b'"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}'
WRONG_SAFETENSORS = {
    "no json": (b"{" + b"x" * 20, "not the JSON"),
    "not UTF-8": (b'{"\xff": 1}', "not UTF-8 at byte 10"),
    "deep json": (b'{"a":' + b"[" * 100_000, "not the JSON"),
    "huge number": (b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 16]}}', "shape|JSON"),
    "a name twice": (b"{" + ENTRY + b", " + ENTRY + b"}", "a name comes twice"),
    "a key twice": (b'{"a": {"dtype": "F32", "dtype": "F32"}}', "a name comes twice"),
    "two numbers": (b'{"a": 1, "a": 2}', "not the JSON"),
    "text after": (b"{" + ENTRY + b"} x", "not the JSON"),
    "a comma too many": (b"{" + ENTRY + b", }", "not the JSON"),
    "a comma too few": (b'{"__metadata__": {} "a": {}}', "not the JSON"),
    "no object": (b'{"a"', "not the JSON"),
    "metadata": ({"__metadata__": {"a": 1}, "a": entry()}, "__metadata__"),
    "no dtype": ({"a": {"shape": [4], "data_offsets": [0, 16]}}, "needs dtype"),
    "unknown dtype": ({"a": entry(dtype="F33")}, "'F33' is not known"),
    "dtype of a list": ({"a": entry(dtype=[])}, "is not known"),
    "negative shape": ({"a": entry(shape=[-4])}, "not a list of dimensions"),
    "true as a dimension": ({"a": entry(shape=[True, 4])}, "not a list of dimensions"),
    "float dimension": ({"a": entry(shape=[4.0])}, "not a list of dimensions"),
    "offsets backwards": ({"a": entry(data_offsets=[16, 0])}, "not a begin and an end"),
    "three offsets": ({"a": entry(data_offsets=[0, 8, 16])}, "not a begin and an end"),
    "wrong size": ({"a": entry(shape=[5])}, "16 bytes, which its shape"),
    "a gap": ({"a": entry(data_offsets=[16, 32])}, "begins at byte"),
    "an overlap": ({"a": entry(), "b": entry()}, "begins at byte"),
    "an empty name": ({"": entry()}, "cannot be a name"),
    "beyond the end": ({"a": entry(), "b": entry(data_offsets=[16, 32])}, "truncated"),
    "bytes after": ({"a": entry(shape=[2], data_offsets=[0, 8])}, "8 bytes follow"),
    "nothing": ({}, "16 bytes follow"),
}


@pytest.mark.parametrize("case", WRONG_SAFETENSORS)
def test_what_is_wrong_with_a_safetensors_file_is_said(tmp_path: Path, case: str) -> None:
    entries, words = WRONG_SAFETENSORS[case]
    path = write(tmp_path, safetensors(entries, FOUR))
    with pytest.raises(CheckpointError, match=words) as caught:
        read_header(path)
    assert str(path) in caught.value.message


def test_a_safetensors_file_that_says_a_huge_header_is_refused(tmp_path: Path) -> None:
    for length in (1 << 20, 1 << 24):
        path = write(tmp_path, length.to_bytes(8, "little") + b'{"a": {}}')
        with pytest.raises(CheckpointError, match="truncated"):
            read_header(path)
    path = write(tmp_path, (1 << 60).to_bytes(8, "little") + b'{"a": {}}')
    with pytest.raises(CheckpointError):
        read_header(path)


def test_pairs_of_four_bit_numbers_keep_their_name(tmp_path: Path) -> None:
    entries = {"__metadata__": {"q": "Int4"}, "q": {"dtype": "I8", "shape": [16], "data_offsets": [0, 16]}}
    source = write(tmp_path, safetensors(entries, FOUR))
    assert read_header(source).tensors[0].dtype == "int4x2"
    to_safetensors(read_header(source), source, tmp_path / "again")
    assert read_header(tmp_path / "again").tensors[0].dtype == "int4x2"


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_header(tmp_path / "absent.ckpt")
    with pytest.raises(CheckpointError, match="is not a file"):
        read_header(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="is not a file"):
            read_header(tmp_path / "pipe")


def test_a_real_checkpoint_cut_at_every_byte_of_its_head_and_every_tenth(tmp_path: Path) -> None:
    whole = (shared_folder() / "oracles" / "bert" / "ner_bilstm_crf.ckpt").read_bytes()
    cuts = [*range(200), *(len(whole) * tenth // 10 for tenth in range(1, 10)), len(whole) - 1]
    for cut in cuts:
        with pytest.raises(CheckpointError, match="empty" if cut == 0 else "truncated"):
            read_header(write(tmp_path, whole[:cut]))
    assert len(read_header(write(tmp_path, whole)).tensors) == 66


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    size = 100_000_000
    body = b"\x08" + varint(size) + field(2, b"Float32") + b"\x1a" + varint(4 * size)
    inner = field(1, b"w") + b"\x12" + varint(len(body) + 4 * size)
    path = write(tmp_path, b"\x0a" + varint(len(inner) + len(body) + 4 * size) + inner + body)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size + 4 * size)  # a hole: 400 MB that take no room
    tracemalloc.start()
    try:
        header = read_header(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header.bytes == 4 * size
    assert peak < 1 << 20


def test_the_safetensors_file_is_aligned_and_has_the_same_bytes(tmp_path: Path) -> None:
    source, target = write(tmp_path, ckpt(SMALL, piece=7)), tmp_path / "twin.safetensors"
    header = read_header(source)
    to_safetensors(header, source, target)
    twin = read_header(target)
    raw = target.read_bytes()
    by_name = {entry[0]: entry for entry in SMALL}
    assert {tensor.name for tensor in twin.tensors} == set(by_name)
    assert min(tensor.offset for tensor in twin.tensors) % 64 == 0
    for tensor in twin.tensors:
        name, shape, dtype, content = by_name[tensor.name]
        assert (tensor.shape, tensor.dtype) == (shape, dtype), name
        assert raw[tensor.offset : tensor.offset + tensor.bytes] == content
        assert tensor.offset % {"int64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "bool": 1}[dtype] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["some.ckpt", "twin.safetensors"]


def test_what_safetensors_cannot_hold_is_said(tmp_path: Path) -> None:
    source = write(tmp_path, value("c", (1,), "Complex128", FOUR) + value("d", (4,), "Float32", FOUR))
    with pytest.raises(CheckpointError, match="complex128"):
        to_safetensors(read_header(source), source, tmp_path / "twin")
    source = write(tmp_path, value("__metadata__", (4,), "Float32", FOUR))
    with pytest.raises(CheckpointError, match="__metadata__"):
        to_safetensors(read_header(source), source, tmp_path / "twin")


def test_a_source_that_shrank_leaves_no_file(tmp_path: Path) -> None:
    source = write(tmp_path, ckpt(SMALL))
    header = read_header(source)
    source.write_bytes(source.read_bytes()[:60])
    with pytest.raises(CheckpointError, match="truncated"):
        to_safetensors(header, source, tmp_path / "twin")
    source.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        to_safetensors(header, source, tmp_path / "twin")
    assert list(tmp_path.iterdir()) == []


def test_a_destination_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    source = write(tmp_path, ckpt(SMALL))
    with pytest.raises(StoreError):
        to_safetensors(read_header(source), source, tmp_path / "absent" / "twin")


@pytest.mark.mindspore
def test_mindspore_and_safetensors_agree_on_the_oracles(tmp_path: Path) -> None:
    import mindspore
    from safetensors.numpy import load_file

    paths = sorted((shared_folder() / "oracles" / "bert").glob("*.ckpt"))
    assert len(paths) == 10
    for path in paths:
        theirs = mindspore.load_checkpoint(str(path))
        header = read_header(path)
        assert [tensor.name for tensor in header.tensors] == list(theirs)
        twin = tmp_path / f"{path.stem}.safetensors"
        to_safetensors(header, path, twin)
        arrays = load_file(twin)
        again = mindspore.load_checkpoint(str(twin), format="safetensors")
        for tensor in header.tensors:
            parameter = theirs[tensor.name]
            assert tensor.shape == tuple(parameter.shape)
            assert tensor.dtype == str(parameter.dtype).lower()
            assert parameter.asnumpy().tobytes() == arrays[tensor.name].tobytes()
            assert again[tensor.name].asnumpy().tobytes() == arrays[tensor.name].tobytes()


@pytest.mark.mindspore
def test_what_mindspore_writes_is_read(tmp_path: Path) -> None:
    import mindspore
    import numpy as np

    entries = [
        {"name": "half", "data": mindspore.Tensor(np.ones((2, 3)), mindspore.bfloat16)},
        {"name": "flags", "data": mindspore.Tensor([True, False])},
        {"name": "scalar", "data": mindspore.Tensor(3.0)},
    ]
    path = tmp_path / "saved.ckpt"
    mindspore.save_checkpoint(entries, str(path), append_dict={"epoch": 7, "about": "tiny 网"}, crc_check=True)
    header = read_header(path)
    assert {tensor.name: (tensor.shape, tensor.dtype) for tensor in header.tensors} == {
        "half": ((2, 3), "bfloat16"),
        "flags": ((2,), "bool"),
        "scalar": ((), "float32"),
        "epoch": ((), "int64"),
    }
    assert header.texts == (("about", "tiny 网"),)
    twin = tmp_path / "saved.safetensors"
    to_safetensors(header, path, twin)
    assert mindspore.load_checkpoint(str(twin), format="safetensors")["half"].dtype == mindspore.bfloat16
    locked = tmp_path / "locked.ckpt"
    mindspore.save_checkpoint(entries[:1], str(locked), enc_key=b"0" * 16, enc_mode="AES-GCM")
    with pytest.raises(CheckpointError, match="encrypted"):
        read_header(locked)
