"""Checkpoint files made byte by byte, so that tests can make wrong ones too. Nothing here uses MindSpore."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from hubtool.checkpoint.header import ITEM_SIZES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MINDSPORE_NAMES = {
    "bool": "Bool",
    "int8": "Int8",
    "int32": "Int32",
    "int64": "Int64",
    "uint8": "UInt8",
    "float16": "Float16",
    "bfloat16": "BFloat16",
    "float32": "Float32",
    "float64": "Float64",
    "complex64": "Complex64",
}
Tensor = tuple[str, tuple[int, ...], str, bytes]


def varint(number: int) -> bytes:
    """Encode an unsigned number as Protocol Buffers do."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def value(name: str | bytes, dims: Sequence[int], kind: str, content: bytes, *, packed: bool = False) -> bytes:
    """Encode one value of a .ckpt; negative dimensions are two's complement."""
    numbers = [varint(dim % (1 << 64)) for dim in dims]
    encoded = field(1, b"".join(numbers)) if packed else b"".join(b"\x08" + number for number in numbers)
    tensor = encoded + field(2, kind.encode()) + field(3, content)
    return field(1, field(1, name.encode() if isinstance(name, str) else name) + field(2, tensor))


def filled(name: str, shape: tuple[int, ...], dtype: str = "float32", byte: int = 1) -> Tensor:
    """Make up a tensor whose bytes count up from one."""
    count = math.prod(shape) * ITEM_SIZES[dtype]
    return name, shape, dtype, bytes((byte + position) % 251 for position in range(count))


def ckpt(tensors: Iterable[Tensor], *, piece: int | None = None) -> bytes:
    """Encode a .ckpt, its tensors cut into pieces of so many bytes."""
    made = b""
    for name, shape, dtype, content in tensors:
        step = piece or max(len(content), 1)
        for at in range(0, max(len(content), 1), step):
            made += value(name, shape, MINDSPORE_NAMES[dtype], content[at : at + step])
    return made


def safetensors(entries: object, data: bytes) -> bytes:
    """Encode a .safetensors file with any header."""
    head = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + data


SMALL = (
    filled("embedding.table", (7, 4)),
    filled("step", (), "int64"),
    filled("one", (1,), "float16"),
    filled("none", (0, 3), "float32"),
    filled("flags", (3,), "bool"),
    filled("层.weight", (2, 3), "bfloat16"),
)
"""Tensors of several sizes, shapes and data types."""
