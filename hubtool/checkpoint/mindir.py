"""What a MindIR file says of its inputs, read without MindSpore.

A MindIR is a protobuf message. The numbers of the fields here were read off files that MindSpore 2.10 wrote: in the
model, 2 is the producer and 7 the graph; in the graph, 5 is an input, with a name (1) and a tensor (2) that has
dimensions (1) and an element type (2). Everything else is passed over, the weights included.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PRODUCER, _GRAPH, _INPUT, _NAME, _TENSOR, _DIMENSION, _TYPE = 2, 7, 5, 1, 2, 1, 2
_TYPES = (
    "undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
    "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float64",
)  # fmt: skip
_MAX_INPUTS = 1000
_MAX_DIMENSIONS = 32  # of one input
_MAX_NAME_BYTES = 4096
# A graph has one field per node, and the largest real ones some ten thousand nodes; this many take less than a second.
_MAX_FIELDS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInput:
    """One input of a graph.

    Attributes:
        name: Its name.
        shape: Its size in each dimension; -1 where any size will do.
        dtype: The type of its elements, such as ``float32``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def read_inputs(path: Path) -> tuple[GraphInput, ...]:
    """Return the inputs of a MindIR, in order.

    Raises:
        CheckpointError: If the file cannot be read, or is no MindIR.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _inputs(data)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(
            f"{path} cannot be read as a MindIR: {why}", hint="check the file; its card may state another format"
        ) from error


def _inputs(data: mmap.mmap) -> tuple[GraphInput, ...]:
    budget = [_MAX_FIELDS]
    producer, graph = b"", None
    for field, start, end in _fields(data, 0, len(data), budget):
        if field == _PRODUCER:
            producer = data[start : min(end, start + _MAX_NAME_BYTES)]
        elif field == _GRAPH and end > start:
            graph = (start, end)
    if producer != b"MindSpore" or graph is None:
        raise ValueError("it does not begin as one")
    found = []
    for field, start, end in _fields(data, *graph, budget):
        if field == _INPUT:
            found.append(_input(data, start, end, budget))
            if len(found) > _MAX_INPUTS:
                raise ValueError(f"it has more than {_MAX_INPUTS:,} inputs (byte {start})")
    return tuple(found)


def _input(data: mmap.mmap, start: int, end: int, budget: list[int]) -> GraphInput:
    name, kind = "", 0
    shape: list[int] = []
    for field, at, stop in _fields(data, start, end, budget):
        if field == _NAME:
            if stop - at > _MAX_NAME_BYTES:
                raise ValueError(f"the name of an input has more than {_MAX_NAME_BYTES:,} bytes (byte {at})")
            name = data[at:stop].decode("utf-8", "replace").rpartition(":")[2]
        elif field == _TENSOR:
            for part, value, _ in _fields(data, at, stop, budget):
                if part == _DIMENSION:
                    if len(shape) == _MAX_DIMENSIONS:
                        raise ValueError(f"an input has more than {_MAX_DIMENSIONS} dimensions (byte {at})")
                    shape.append(value - (1 << 64) if value >= 1 << 63 else value)
                elif part == _TYPE:
                    kind = value
    return GraphInput(name=name, shape=tuple(shape), dtype=_TYPES[kind] if kind < len(_TYPES) else "undefined")


def _fields(data: mmap.mmap, at: int, end: int, budget: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each field of a message: its number, and the beginning and end of its bytes, or its value for a number.

    Args:
        data: The file.
        at: The first byte of the message.
        end: The byte after its last.
        budget: How many fields may still be read from the file; counted down.

    Raises:
        ValueError: If it is not a message, or has too many fields.
    """
    while at < end:
        budget[0] -= 1
        if budget[0] < 0:
            raise ValueError(f"it has more than {_MAX_FIELDS:,} fields (byte {at})")
        key, at = read_number(data, at, end)
        wire = key & 7
        if wire == 0:
            value, at = read_number(data, at, end)
            yield key >> 3, value, at
            continue
        if wire == 2:
            length, at = read_number(data, at, end)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"there is no field of kind {wire} (byte {at})")
        if length > end - at:
            raise ValueError(f"it ends within a field (byte {at})")
        yield key >> 3, at, at + length
        at += length


def read_number(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """Return the number at an offset of a protobuf message, and the offset after it.

    Args:
        data: The file.
        at: The offset of the number.
        end: The end of the message.

    Raises:
        ValueError: If the message ends within the number.
    """
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"it ends within a number (byte {at})")
