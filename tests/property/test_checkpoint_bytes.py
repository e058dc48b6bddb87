"""Whatever the bytes are, the checkpoint reader lists a file that holds what it lists, or says what is wrong."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.checkpoint.conversion import to_safetensors
from hubtool.checkpoint.header import ITEM_BITS, Header
from hubtool.checkpoint.reading import read_header
from hubtool.errors import CheckpointError
from tests.support.checkpoints import MINDSPORE_NAMES, SMALL, Tensor, ckpt, filled, safetensors

NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=12)
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
TENSORS = st.lists(
    st.builds(filled, NAMES, SHAPES, st.sampled_from(sorted(MINDSPORE_NAMES)), st.integers(0, 250)),
    min_size=1,
    max_size=6,
    unique_by=lambda tensor: tensor[0],
).filter(lambda tensors: all(tensor[0] != "__metadata__" for tensor in tensors))
ENTRIES = {
    "__metadata__": {"format": "ms"},
    "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "I64", "shape": [], "data_offsets": [16, 24]},
}
WHOLE = (ckpt(SMALL), ckpt(SMALL, piece=5), safetensors(ENTRIES, bytes(24)))


def judge(content: bytes) -> Header | None:
    """Read the bytes, and check that what is listed is in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.ckpt")
        path.write_bytes(content)
        tracemalloc.start()
        try:
            header = read_header(path)
        except CheckpointError:
            return None
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # A buffer, what is listed, and some for the tracing itself; never what a length in the file says.
            assert peak < 400_000 + 50 * len(content)
        for tensor in header.tensors:
            assert 8 * tensor.bytes == tensor.elements * ITEM_BITS[tensor.dtype]
            assert all(at >= 0 and at + length <= len(content) for at, length in tensor.segments)
        assert header.bytes <= len(content)
        assert len(header.shapes()) == len(header.tensors)
        return header


@settings(deadline=None)  # other work on the machine is no failure
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    judge(content)


@settings(deadline=None)  # other work on the machine is no failure
@given(st.binary(max_size=200))
def test_any_bytes_that_begin_like_a_checkpoint(content: bytes) -> None:
    judge(b"\x0a" + content)
    judge(safetensors(b"{" + content, b""))


@settings(deadline=None)
@given(st.data(), st.sampled_from(WHOLE))
def test_any_damage(data: st.DataObject, whole: bytes) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["set", "flip", "cut", "insert", "remove", "repeat"]))
        if kind == "set":
            content[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == "flip":
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut" and at:
            del content[at:]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(max_size=12))
        elif kind == "remove":
            del content[at : at + data.draw(st.integers(1, 8))]
        elif kind == "repeat":
            content[at:at] = content[at : at + 30]
        if not content:
            break
    judge(bytes(content))


@settings(deadline=None)  # other work on the machine is no failure
@given(TENSORS, st.one_of(st.none(), st.integers(1, 9)))
def test_what_is_written_is_listed_and_survives_the_conversion(tensors: list[Tensor], piece: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.ckpt"), Path(folder, "a.safetensors")
        source.write_bytes(ckpt(tensors, piece=piece))
        header = read_header(source)
        # MindSpore 1.x wrote a scalar as (0,): with content it is one, without it is an empty tensor.
        assert [(tensor.name, tensor.shape, tensor.dtype) for tensor in header.tensors] == [
            entry[:3] for entry in tensors
        ]
        to_safetensors(header, source, target)
        raw = target.read_bytes()
        expected = {name: (shape, dtype, content) for name, shape, dtype, content in tensors}
        found = {
            tensor.name: (tensor.shape, tensor.dtype, raw[tensor.offset : tensor.offset + tensor.bytes])
            for tensor in read_header(target).tensors
        }
        assert found == expected
