"""Whatever the bytes are, the readers of graphs return what they found, or end in hubtool's own error."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubtool.checkpoint import mindir, operators
from hubtool.checkpoint.reading import read_header
from hubtool.errors import CheckpointError
from tests.support.checkpoints import field, safetensors
from tests.support.mindir import graph_input, model

NODE = field(1, field(1, b"out") + field(4, b"REF::Add") + field(5, field(1, b"func_name") + field(5, b"x")))
SMALL = model(NODE, graph_input("ids", (1, 128), 6), graph_input("image", (-1, 3), 1))
HEADER = b'{"__metadata__":{"a":"\\\\\\"b","q":"Int4"},"q":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}}'
SAFETENSORS = safetensors(HEADER, b"1234")


def judge(content: bytes) -> None:
    """Read the bytes in every way, in memory that is bounded by the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.mindir")
        path.write_bytes(content)
        for read in (mindir.read_inputs, operators.foreign, read_header):
            said: CheckpointError | None = None
            tracemalloc.start()
            try:
                read(path)
            except CheckpointError as error:
                said = error
            finally:
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
            assert said is None or (str(path) in said.message and said.hint)
            assert peak < 400_000 + 50 * len(content)


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff" * 40)
@example(field(2, b"MindSpore") + field(7, b"\x2a\x02\x12\x80"))
@example(field(2, b"MindSpore") + field(7, b"\x2a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"))
@example(field(2, b"MindSpore") + field(7, field(5, field(2, b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))))
@example(field(2, b"MindSpore") + b"\x38\x01")  # the graph as a number
@example(field(2, b"MindSpore") + field(7, field(5, b"\x10\x01") + field(5, field(2, b"\x0a\x00"))))
def test_any_bytes(content: bytes) -> None:
    judge(content)
    judge(field(2, b"MindSpore") + field(7, content))


@settings(deadline=None)
@given(st.data(), st.sampled_from([SMALL, SAFETENSORS]))
def test_any_damage(data: st.DataObject, whole: bytes) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        change = data.draw(st.sampled_from(["set", "insert", "remove", "repeat"]))
        if change == "set":
            content[at : at + 1] = data.draw(
                st.sampled_from([b"\0", b"\x7f", b"\x80", b"\xff", b"\\", b'"', b"{", b"}"])
            )
        elif change == "insert":
            content[at:at] = data.draw(st.binary(max_size=12))
        elif change == "remove":
            del content[at : at + data.draw(st.integers(1, 8))]
        else:
            content[at:at] = content[at : at + 30]
    judge(bytes(content))


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:\\ \n0aé\U0001f600', max_size=60))
@example('"a":{')
@example('"\\')
@example('"__metadata__":{"a":"\\')
@example('"__metadata__":{"\\ud800":"Int4"}}')
@example('"\\ud800":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}')
@example('"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}' + " " * 9)
@example('"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}}')
@example('"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}')
@example('"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}')
def test_any_header(text: str) -> None:
    judge(safetensors(b"{" + text.encode(), b"1234"))
