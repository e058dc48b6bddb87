"""What a checkpoint's header says: names, shapes, data types and places of the tensors, and the limits of a header."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Format = Literal["ckpt", "safetensors"]
ITEM_SIZES: Mapping[str, int] = {
    "bool": 1,
    "int4x2": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "hifloat8": 1,
}
"""Bytes per element of every data type that MindSpore has."""
FOREIGN_ITEM_BITS: Mapping[str, int] = {
    "float8_e4m3fnuz": 8,
    "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8,
    "float6_e2m3fn": 6,
    "float6_e3m2fn": 6,
    "float4_e2m1fn": 4,
}
"""Bits per element of the data types that safetensors files have and MindSpore lacks; elements are packed."""
ITEM_BITS: Mapping[str, int] = {**{dtype: 8 * size for dtype, size in ITEM_SIZES.items()}, **FOREIGN_ITEM_BITS}
"""Bits per element of every data type."""

# To read and print a tensor takes about 25 microseconds and 1 KiB of memory: these keep it below 2 seconds and 200 MiB.
# A file may have more tensors if it is large itself: real ones have far more bytes per tensor than this.
MAX_TENSORS = 30_000
BYTES_PER_TENSOR = 1024
MAX_NAME_BYTES = 4096
# Of all names together; those of real checkpoints have 30 to 80.
NAME_BYTES_PER_TENSOR = 128
MAX_DIMS = 32
MAX_HEADER_BYTES = 100_000_000
"""Bytes of the header of a .safetensors file; the format's own limit."""
BLOCK_BYTES = 1 << 20
FETCH_AGAIN = "fetch it again, and compare its SHA-256 with the card's"
NOT_ONE = "a checkpoint is a .ckpt file that MindSpore saved, or a .safetensors file"
TOO_MUCH = "a real checkpoint of this size has fewer; if this is one, load it with MindSpore itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """One tensor of a checkpoint, without its bytes.

    Attributes:
        name: Its parameter's name.
        shape: Its dimensions; () is a scalar.
        dtype: NumPy's name of its data type, such as ``float32``, and a like name for those that NumPy lacks
            (``bfloat16``, ``int4x2``, the eight-bit floats).
        segments: Where its bytes are in the file: (offset, length) in order; several where the tensor was cut.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    segments: tuple[tuple[int, int], ...]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The number of bytes."""
        return sum(length for _, length in self.segments)

    @property
    def offset(self) -> int:
        """The offset of the first byte in the file."""
        return self.segments[0][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a checkpoint holds, in the order of the file.

    Attributes:
        format: ``ckpt`` or ``safetensors``.
        tensors: Every tensor.
        texts: (name, text) of every value that is text (``append_dict`` of ``mindspore.save_checkpoint``).
        size: Bytes of the file.
    """

    format: Format
    tensors: tuple[TensorInfo, ...]
    texts: tuple[tuple[str, str], ...] = ()
    size: int

    @property
    def elements(self) -> int:
        """The number of elements of all tensors."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def bytes(self) -> int:
        """The number of bytes of all tensors."""
        return sum(tensor.bytes for tensor in self.tensors)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor by its name."""
        return {tensor.name: tensor.shape for tensor in self.tensors}


def most_tensors(size: int) -> int:
    """Return how many tensors a file of this size may have."""
    return max(MAX_TENSORS, size // BYTES_PER_TENSOR)


def too_much(path: Path, what: str) -> CheckpointError:
    """Return the error of a file that exceeds a limit."""
    return CheckpointError(f"{path} has {what}; hubtool reads no more of a file of this size", hint=TOO_MUCH)


# The texts of JSON, in pieces: a repetition with a bound needs bounded memory, and no text is tried in two ways.
