"""The header of a ``.ckpt`` file, MindSpore's own format, read without MindSpore."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from hubtool.checkpoint.header import (
    FETCH_AGAIN,
    ITEM_SIZES,
    MAX_DIMS,
    MAX_NAME_BYTES,
    NAME_BYTES_PER_TENSOR,
    NOT_ONE,
    Header,
    TensorInfo,
    most_tensors,
    too_much,
)
from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# MindSpore's `str(dtype)`, as it stands in a .ckpt, and the name that NumPy (or ml_dtypes) has for it. An "Int4"
# element is a pair of four-bit numbers in one byte (`mindspore.qint4x2`).
_CKPT_DTYPES: Mapping[str, str] = {
    "Bool": "bool",
    "Int4": "int4x2",
    "Int8": "int8",
    "Int16": "int16",
    "Int32": "int32",
    "Int64": "int64",
    "UInt8": "uint8",
    "UInt16": "uint16",
    "UInt32": "uint32",
    "UInt64": "uint64",
    "Float16": "float16",
    "BFloat16": "bfloat16",
    "Float32": "float32",
    "Float64": "float64",
    "Complex64": "complex64",
    "Complex128": "complex128",
    "Float8E4M3FN": "float8_e4m3fn",
    "Float8E5M2": "float8_e5m2",
    "HiFloat8": "hifloat8",
}
# Of a .ckpt, all parts of all tensors: a tensor of five dimensions has ten.
_FIELDS_PER_TENSOR = 12
# Of a .ckpt: parts that hubtool does not know. MindSpore writes none.
_MAX_UNKNOWN_FIELDS = 10_000
_MAX_TEXT_BYTES = 1 << 18
_MAX_ALL_TEXTS_BYTES = 1 << 22


@dataclass(slots=True, kw_only=True)
class _Value:
    """One `value` of a .ckpt, as it stands there."""

    name: str
    at: int
    dims: tuple[int, ...]
    type: str
    content: tuple[int, int]


class CkptReader:
    """Reads the values of a .ckpt one after the other; the parts that are tensor bytes are skipped, not read."""

    def __init__(self, stream: BinaryIO, path: Path, end: int) -> None:
        self._stream = stream
        self._path = path
        self._end = end
        self._at = 0
        self._most = most_tensors(end)
        self._fields_left = _FIELDS_PER_TENSOR * self._most
        self._unknown_left = _MAX_UNKNOWN_FIELDS
        self._name_bytes_left = NAME_BYTES_PER_TENSOR * self._most

    def read(self, size: int) -> Header:
        """Read all values.

        Args:
            size: The bytes of the file.

        Raises:
            CheckpointError: If it is damaged, or has more than a file of this size can have.
        """
        tensors: list[TensorInfo] = []
        texts: list[tuple[str, str]] = []
        text_bytes = 0
        names: set[str] = set()
        pieces: list[_Value] = []
        count = 0
        while self._at < self._end or pieces:
            value = self._value() if self._at < self._end else None
            count += 1
            if count > self._most:
                self._refuse(f"more than {self._most:,} tensors")
            if value is not None and (not pieces or pieces[0].name == value.name):
                pieces.append(value)
                continue
            # Here a name ends: all its pieces are known.
            first = pieces[0]
            if first.name in names:
                self._fail(f"the name {first.name!r} comes twice", first.at)
            names.add(first.name)
            if first.type == "str":
                text_bytes += sum(piece.content[1] for piece in pieces)
                if text_bytes > _MAX_ALL_TEXTS_BYTES:
                    self._fail(f"its texts have more than {_MAX_ALL_TEXTS_BYTES} bytes", first.at)
                texts.append((first.name, self._text(pieces)))
            else:
                tensors.append(self._tensor(pieces))
            pieces = [] if value is None else [value]
        return Header(format="ckpt", tensors=tuple(tensors), texts=tuple(texts), size=size)

    def _value(self) -> _Value:
        at = self._at
        field, wire = self._key(self._end)
        if (field, wire) != (1, 2):
            if at == 0:
                self._fail_kind()
            self._fail(f"expected a tensor, found field {field} of wire type {wire}", at)
        end = self._length(self._end)
        name: str | None = None
        body: tuple[tuple[int, ...], str, tuple[int, int]] | None = None
        while self._at < end:
            here = self._at
            field, wire = self._key(end)
            if field == 1 and wire == 2:
                if name is not None:
                    self._fail("a tensor has two names", here)
                name = self._name(end)
            elif field == 2 and wire == 2:
                if body is not None:
                    self._fail("a name has two tensors in one value", here)
                body = self._body(end)
            elif field == 3 and wire == 2:
                raise CheckpointError(
                    f"{self._path} holds a map parameter (at byte {here}), which only MindSpore can read",
                    hint="load it with mindspore.load_checkpoint",
                )
            else:
                self._skip(wire, end, here)
        if name is None or body is None:
            if at == 0:
                self._fail_kind()
            self._fail("a value has no name" if name is None else f"{name!r} has no tensor", at)
        return _Value(name=name, at=at, dims=body[0], type=body[1], content=body[2])

    def _body(self, outer: int) -> tuple[tuple[int, ...], str, tuple[int, int]]:
        at = self._at
        end = self._length(outer)
        dims: list[int] = []
        kind: str | None = None
        content: tuple[int, int] | None = None
        while self._at < end:
            here = self._at
            field, wire = self._key(end)
            if field == 1 and wire == 0:
                dims.append(self._dim(end))
            elif field == 1 and wire == 2:  # the packed form of a repeated number
                last = self._length(end)
                while self._at < last:
                    dims.append(self._dim(last))
                    self._check_dims(dims, here)
            elif field == 2 and wire == 2 and kind is None:
                kind = self._bytes(self._length(end), 64, "a data type").decode("ascii", "backslashreplace")
            elif field == 3 and wire == 2 and content is None:
                last = self._length(end)
                content = (self._at, last - self._at)
                self._seek(last)
            elif field in (2, 3) and wire == 2:
                self._fail("a tensor has two data types or two contents", here)
            else:
                self._skip(wire, end, here)
            self._check_dims(dims, here)
        if kind is None or content is None:
            self._fail("a tensor has no " + ("data type" if kind is None else "content"), at)
        if kind != "str" and kind not in _CKPT_DTYPES:
            self._fail(f"the data type {kind!r} is not one of MindSpore's", at)
        return tuple(dims), kind, content

    def _check_dims(self, dims: list[int], at: int) -> None:
        if len(dims) > MAX_DIMS:
            self._fail(f"a tensor has more than {MAX_DIMS} dimensions", at)

    def _tensor(self, pieces: list[_Value]) -> TensorInfo:
        first = pieces[0]
        for piece in pieces:
            if (piece.dims, piece.type) != (first.dims, first.type):
                self._fail(f"the pieces of {first.name!r} disagree on its shape or data type", piece.at)
        dtype = _CKPT_DTYPES[first.type]
        total = sum(piece.content[1] for piece in pieces)
        shape = () if first.dims == (0,) and total else first.dims
        wanted = math.prod(shape) * ITEM_SIZES[dtype]
        if wanted != total:
            shown = str(list(shape)) if wanted < 1 << 63 else "its shape"
            self._fail(
                f"{first.name!r} has {total} bytes, and {shown} of {dtype} needs "
                f"{wanted if wanted < 1 << 63 else 'more than any file has'}",
                first.at,
            )
        segments = tuple(piece.content for piece in pieces)
        return TensorInfo(name=first.name, shape=shape, dtype=dtype, segments=segments)

    def _text(self, pieces: list[_Value]) -> str:
        back = self._at
        parts = []
        for piece in pieces:
            at, length = piece.content
            self._seek(at)
            parts.append(self._bytes(at + length, _MAX_TEXT_BYTES, f"the text {piece.name!r}"))
        content = b"".join(parts)
        self._seek(back)
        try:
            return content.decode("utf-32-le").rstrip("\0")
        except UnicodeDecodeError as error:
            self._fail(f"the text {pieces[0].name!r} is not UTF-32: {error.reason}", pieces[0].at)

    def _name(self, outer: int) -> str:
        at = self._at
        raw = self._bytes(self._length(outer), MAX_NAME_BYTES, "a name")
        self._name_bytes_left -= len(raw)
        if self._name_bytes_left < 0:
            self._refuse(f"names of more than {NAME_BYTES_PER_TENSOR * self._most:,} bytes in all")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self._fail(f"a name is not UTF-8: {error.reason}", at)
        if not name or not name.isprintable():
            self._fail("a name is empty" if not name else f"the name {ascii(name)[:80]} has control characters", at)
        return name

    def _dim(self, end: int) -> int:
        at = self._at
        self._count_field()
        number = self._varint(end)
        if number >= 1 << 63:  # int64 in two's complement
            self._fail(f"a dimension is negative: {number - (1 << 64)}", at)
        return number

    def _count_field(self) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            self._refuse(f"more than {_FIELDS_PER_TENSOR * self._most:,} fields")

    def _key(self, end: int) -> tuple[int, int]:
        self._count_field()
        key = self._varint(end)
        return key >> 3, key & 7

    def _varint(self, end: int) -> int:
        at = self._at
        number = shift = 0
        while True:
            if self._at >= end:
                self._cut(at, end, "a number")
            byte = self._stream.read(1)
            if not byte:
                self._cut(at, self._end, "a number")
            self._at += 1
            number |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                break
            shift += 7
            if shift > 63:
                self._fail("a number has more than ten bytes", at)
        if number >= 1 << 64:
            self._fail("a number has more than 64 bits", at)
        return number

    def _length(self, end: int) -> int:
        """Read a length, and return where what it measures ends."""
        at = self._at
        length = self._varint(end)
        if length > end - self._at:
            self._cut(at, end, f"a part of {length} bytes")
        return self._at + length

    def _bytes(self, end: int, most: int, what: str) -> bytes:
        length = end - self._at
        if length > most:
            self._fail(f"{what} has {length} bytes, and {most} are the most")
        data = self._stream.read(length)
        if len(data) < length:
            self._cut(self._at, self._end, what)
        self._at = end
        return data

    def _seek(self, to: int) -> None:
        self._stream.seek(to)
        self._at = to

    def _skip(self, wire: int, end: int, at: int) -> None:
        """Skip a field that we do not know, as every reader of Protocol Buffers does."""
        self._unknown_left -= 1
        if self._unknown_left < 0:
            self._refuse(f"more than {_MAX_UNKNOWN_FIELDS:,} fields that no checkpoint of MindSpore has")
        if wire == 0:
            self._varint(end)
        elif wire == 2:
            self._seek(self._length(end))
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            if width > end - self._at:
                self._cut(at, end, f"a part of {width} bytes")
            self._seek(self._at + width)
        else:
            self._fail(f"wire type {wire} is not used in a checkpoint", at)

    def _cut(self, at: int, end: int, what: str) -> NoReturn:
        if end < self._end:
            self._fail(f"{what} is longer than what holds it, which ends at byte {end}", at)
        raise CheckpointError(
            f"{self._path} is truncated: {what} begins at byte {at}, and the file ends in it, at byte {self._end}",
            hint=FETCH_AGAIN,
        )

    def _fail(self, what: str, at: int | None = None) -> NoReturn:
        place = self._at if at is None else at
        raise CheckpointError(f"{self._path} is damaged at byte {place}: {what}", hint=FETCH_AGAIN)

    def _refuse(self, what: str) -> NoReturn:
        raise too_much(self._path, f"{what}, up to byte {self._at}")

    def _fail_kind(self) -> NoReturn:
        raise CheckpointError(f"{self._path} is not a checkpoint: no tensor begins at byte 0", hint=NOT_ONE)
