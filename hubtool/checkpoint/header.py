"""Checkpoints read without MindSpore: names, shapes, data types and places of the tensors, not their bytes.

Two formats are read:

- ``.ckpt``, MindSpore's own: a Protocol Buffers message ``Checkpoint`` (``checkpoint.proto`` of the ``mindspore``
  package), which is a repeated ``value = 1`` of ``{tag = 1, oneof {tensor = 2, maptensor = 3}}``, a tensor being
  ``{dims = 1, tensor_type = 2, tensor_content = 3}``. A large tensor is cut into adjacent values of the same tag
  (512 MiB each). ``dims`` of ``[0]`` with content is a scalar, as MindSpore 1.x wrote it, or a text (``tensor_type``
  "str", UTF-32). The file may end with ``crc_num`` and ten bytes of checksum.
- ``.safetensors``: the length of a JSON header as eight little-endian bytes, the header, the tensors without gaps.

Which one a file is, is told by its content and not by its name.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Literal, NoReturn

from hubtool import files
from hubtool.errors import CheckpointError
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Format = Literal["ckpt", "safetensors"]

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
# The names in the header of a .safetensors file.
_SAFETENSORS_DTYPES: Mapping[str, str] = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
    "F4": "float4_e2m1fn",
}
_TO_SAFETENSORS: Mapping[str, str] = {ours: theirs for theirs, ours in _SAFETENSORS_DTYPES.items()} | {"int4x2": "I8"}
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
_MAX_TENSORS = 30_000
_BYTES_PER_TENSOR = 1024
# Of a .ckpt, all parts of all tensors: a tensor of five dimensions has ten.
_FIELDS_PER_TENSOR = 12
# Of a .ckpt: parts that hubtool does not know. MindSpore writes none.
_MAX_UNKNOWN_FIELDS = 10_000
_MAX_NAME = 4096
# Of all names together; those of real checkpoints have 30 to 80.
_NAME_BYTES_PER_TENSOR = 128
_MAX_DIMS = 32
_MAX_TEXT = 1 << 18
_MAX_TEXTS = 1 << 22
_MAX_HEADER_BYTES = 100_000_000
"""Bytes of the header of a .safetensors file; the format's own limit."""

_ALIGNMENT = 64
_BLOCK = 1 << 20
_CRC_MARK = b"crc_num"
_CRC_BYTES = len(_CRC_MARK) + 10
# The first four bytes of a file that MindSpore encrypted: one number for each of AES-GCM, AES-CBC and SM4-CBC.
_ENCRYPTED = (b"\xd8\x5e\x3a\x7f", b"\xd9\x5e\x3a\x7f", b"\xda\x5e\x3a\x7f")
# How a MindIR begins: perhaps ir_version = 1, a text such as "1.1" or "0.1.0"; then producer_name = 2, another text, or
# the graph. An ONNX model begins with ir_version = 1, a number, and producer_name = 2, a text, or what follows that. A
# parallel strategy begins with current_stage = 1, a number, and a message of a name (node_strategy.proto).
_VERSION = rb"\n[\x01-\x20][0-9][0-9A-Za-z.+-]{0,31}"
_PARALLEL = re.compile(rb"(?:\x08[\x00-\x7f])?[\x12\x1a](?:[\x80-\xff]{0,4}[\x00-\x7f])\n[\x01-\xff]", re.DOTALL)
_GRAPHS: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"(?:" + _VERSION + rb")?\x12[\x00-\x7f]MindSpore", re.DOTALL), "a MindIR graph", "mindir"),
    (re.compile(_VERSION + rb"[\x12\x1a\x22\x2a\x32\x3a]", re.DOTALL), "a MindIR graph", "mindir"),
    (re.compile(rb".{4}MSL[0-9]", re.DOTALL), "a graph of MindSpore Lite (.ms)", "mslite"),
    (re.compile(rb"\x08[\x01-\x7f](?:[\x1a\x22\x3a\x42\x72]|\x28[\x00-\x7f]|\x12[\x00-\x7f][^\n])", re.DOTALL),
     "an ONNX graph", "onnx"),
    (re.compile(rb"IMOD"), "an offline model of Ascend (.om)", "om"),
)  # fmt: skip
# A message whose first field is not a message that begins with a text, as every value of a .ckpt does.
_OTHER_MESSAGE = re.compile(rb"\n(?:[\x80-\xff]{0,9}[\x00-\x7f])[\x20-\x7e]", re.DOTALL)
_DTYPE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,31}\Z")
_FETCH_AGAIN = "fetch it again, and compare its SHA-256 with the card's"
_NOT_ONE = "a checkpoint is a .ckpt file that MindSpore saved, or a .safetensors file"
EMPTY_HINT = "save the network's parameters with mindspore.save_checkpoint(network, path), or fetch the file again"
_TOO_MUCH = "a real checkpoint of this size has fewer; if this is one, load it with MindSpore itself"


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


def read_header(path: Path) -> Header:
    """Read what a checkpoint holds, seeking over the tensors' bytes.

    Args:
        path: A ``.ckpt`` or ``.safetensors`` file; its name does not matter.

    Raises:
        CheckpointError: If the file cannot be read, or is empty, truncated, encrypted, damaged, or no checkpoint. The
            message says at which byte.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError(f"{path} is not a file", hint=_NOT_ONE)
        with path.open("rb") as stream:
            return _read(stream, path, found.st_size)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror or type(error).__name__}",
            hint="check the path and the right to read it",
        ) from error


def check_graph(path: Path, form: str) -> None:
    """Check that a file can be a graph of a format, as far as its first bytes tell.

    Args:
        path: The file.
        form: A format of graphs as a card states it, such as ``onnx``.

    Raises:
        CheckpointError: If it cannot be read, is empty, or begins as something else does.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    if not start:
        raise CheckpointError(f"{path} is empty: it has 0 bytes", hint=_FETCH_AGAIN)
    names = {"mslite", "ms"} if form.lower() in ("mslite", "ms") else {form.lower()}
    for pattern, graph, known in _GRAPHS:
        if pattern.match(start):
            if known in names or form.lower() == "air":  # an AIR file is a message too, and begins like others
                return
            raise CheckpointError(
                f"{path} is {graph}, and the card says {form}", hint=f"write 'file-format: {known}' on the card"
            )
    _refuse_pages(start, path, f"a graph in the format {form}", hint="check how the file was written")


def _read(stream: BinaryIO, path: Path, size: int) -> Header:
    if size == 0:
        raise CheckpointError(f"{path} is empty: it has 0 bytes", hint=EMPTY_HINT)
    start = stream.read(512)
    _refuse_others(start, path)
    if size >= 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= max(size, _MAX_HEADER_BYTES):
        return _read_safetensors(stream, path, size)
    if start[:1] != b"\n":  # the key of field 1, length-delimited
        raise CheckpointError(
            f"{path} is not a checkpoint: it starts with the bytes {start[:8].hex(' ')}, as no checkpoint does",
            hint=_NOT_ONE,
        )
    end = size
    if size >= _CRC_BYTES:
        stream.seek(size - _CRC_BYTES)
        if stream.read(len(_CRC_MARK)) == _CRC_MARK:
            end -= _CRC_BYTES
    stream.seek(0)
    return _CkptReader(stream, path, end).read(size)


def _refuse_others(start: bytes, path: Path) -> None:
    """Raise an error that names what a file is, if it is something else than a checkpoint."""
    if start.startswith(_ENCRYPTED):
        raise CheckpointError(
            f"{path} is encrypted: it starts as MindSpore starts an encrypted checkpoint",
            hint="load it where its key is (mindspore.load_checkpoint with dec_key), and save it without enc_key",
        )
    _refuse_pages(start, path, "a checkpoint", hint=_NOT_ONE)
    if _PARALLEL.match(start):
        raise CheckpointError(
            f"{path} is not a checkpoint but a parallel strategy: how training divided the tensors among devices",
            hint="the checkpoint itself is another file; merge its parts where they were trained",
        )
    for pattern, graph, form in _GRAPHS:
        if pattern.match(start):
            raise CheckpointError(
                f"{path} is not a checkpoint but {graph}",
                hint=f"name it on a card as an asset with 'file-format: {form}'; 'hubtool load UID' then loads it",
            )
    if _OTHER_MESSAGE.match(start):
        raise CheckpointError(
            f"{path} is not a checkpoint: it does not begin with the name of a tensor",
            hint=_NOT_ONE,
        )


def _refuse_pages(start: bytes, path: Path, what: str, *, hint: str) -> None:
    """Raise an error that names what a file is, if it holds no tensors at all and is not ``what``."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<script", b"<error")):
        raise CheckpointError(
            f"{path} is not {what} but a web page: a server's answer was saved in place of the file",
            hint="open the link in a browser: it may have moved, or ask for a login",
        )
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is not {what} but a Git LFS pointer to one",
            hint="run `git lfs pull` in the repository it is in",
        )
    kinds: tuple[tuple[bytes, str], ...] = (
        (b"PK\x03\x04", "a ZIP archive, such as PyTorch or NumPy write"),
        (b"\x80\x02", "a Python pickle, such as PyTorch writes"),
        (b"\x80\x04", "a Python pickle"),
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy array"),
    )
    for mark, kind in kinds:
        if start.startswith(mark):
            raise CheckpointError(f"{path} is not {what} but {kind}", hint=hint)


@dataclass(slots=True, kw_only=True)
class _Value:
    """One `value` of a .ckpt, as it stands there."""

    name: str
    at: int
    dims: tuple[int, ...]
    type: str
    content: tuple[int, int]


class _CkptReader:
    """Reads the values of a .ckpt one after the other; the parts that are tensor bytes are skipped, not read."""

    def __init__(self, stream: BinaryIO, path: Path, end: int) -> None:
        self._stream = stream
        self._path = path
        self._end = end
        self._at = 0
        self._most = _most_tensors(end)
        self._fields_left = _FIELDS_PER_TENSOR * self._most
        self._unknown_left = _MAX_UNKNOWN_FIELDS
        self._name_bytes_left = _NAME_BYTES_PER_TENSOR * self._most

    def read(self, size: int) -> Header:
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
                if text_bytes > _MAX_TEXTS:
                    self._fail(f"its texts have more than {_MAX_TEXTS} bytes", first.at)
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
            self._fail(f"here a tensor should begin, and field {field} of wire type {wire} does", at)
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
        if len(dims) > _MAX_DIMS:
            self._fail(f"a tensor has more than {_MAX_DIMS} dimensions", at)

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
            parts.append(self._bytes(at + length, _MAX_TEXT, f"the text {piece.name!r}"))
        content = b"".join(parts)
        self._seek(back)
        try:
            return content.decode("utf-32-le").rstrip("\0")
        except UnicodeDecodeError as error:
            self._fail(f"the text {pieces[0].name!r} is not UTF-32: {error.reason}", pieces[0].at)

    def _name(self, outer: int) -> str:
        at = self._at
        raw = self._bytes(self._length(outer), _MAX_NAME, "a name")
        self._name_bytes_left -= len(raw)
        if self._name_bytes_left < 0:
            self._refuse(f"names of more than {_NAME_BYTES_PER_TENSOR * self._most:,} bytes in all")
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
            hint=_FETCH_AGAIN,
        )

    def _fail(self, what: str, at: int | None = None) -> NoReturn:
        place = self._at if at is None else at
        raise CheckpointError(f"{self._path} is damaged at byte {place}: {what}", hint=_FETCH_AGAIN)

    def _refuse(self, what: str) -> NoReturn:
        raise _too_much(self._path, f"{what}, up to byte {self._at}")

    def _fail_kind(self) -> NoReturn:
        raise CheckpointError(f"{self._path} is not a checkpoint: no tensor begins at byte 0", hint=_NOT_ONE)


def _most_tensors(size: int) -> int:
    """Return how many tensors a file of this size may have."""
    return max(_MAX_TENSORS, size // _BYTES_PER_TENSOR)


def _too_much(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} has {what}; hubtool reads no more of a file of this size", hint=_TOO_MUCH)


# The texts of JSON, in pieces: a repetition with a bound needs bounded memory, and no text is tried in two ways.
_SPACE = rb"[ \t\r\n]*"
_KEY = re.compile(_SPACE + rb'("[^"\\]*(?:\\.[^"\\]*){0,4096}")' + _SPACE + b":" + _SPACE, re.DOTALL)
_ENTRY = re.compile(rb"(\{[^{}]{0,4096}\})" + _SPACE + rb"([,}])", re.DOTALL)
_BEGIN = re.compile(_SPACE + rb"\{" + _SPACE + rb"(\})?")
_PIECE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,4096}', re.DOTALL)
_AFTER = re.compile(_SPACE + rb"([,}])" + _SPACE)


class _SafetensorsHeader:
    """Reads the JSON of a .safetensors header member by member: as a whole, it could become 50 times as large.

    Its grammar is fixed: an object of tensors, each an object without others in it, and of ``__metadata__``, an object
    of texts.
    """

    def __init__(self, raw: bytes, path: Path, size: int) -> None:
        self._raw = raw
        self._path = path
        self._most = _most_tensors(size)
        self._at = 0
        self.metadata: dict[str, str] = {}

    def fail(self, what: str) -> NoReturn:
        end = 8 + len(self._raw)
        raise CheckpointError(f"{self._path} is damaged in its header (bytes 8 to {end}): {what}", hint=_FETCH_AGAIN)

    def _fail_json(self, what: str = "another sign should be here") -> NoReturn:
        self.fail(f"it is not the JSON of one: {what} (byte {8 + self._at})")

    def read(self) -> list[TensorInfo]:
        self._check_utf8()
        tensors: dict[str, TensorInfo] = {}
        name_bytes = 0
        more = self._begin()
        while more:
            name = self._key()
            if name == "__metadata__":
                self._metadata()
                more = self._goes_on()
                continue
            found = _ENTRY.match(self._raw, self._at)
            if found is None:
                self._fail_json(f"{ascii(name)[:120]} is not followed by the entry of a tensor")
            tensor = self._entry(name, found[1])
            if name in tensors:
                self._fail_json("a name comes twice")
            tensors[name] = tensor
            name_bytes += len(name)
            if len(tensors) > self._most:
                raise _too_much(self._path, f"more than {self._most:,} tensors in its header")
            if name_bytes > _NAME_BYTES_PER_TENSOR * self._most:
                most = _NAME_BYTES_PER_TENSOR * self._most
                raise _too_much(self._path, f"names of more than {most:,} characters in its header")
            self._at = found.end()
            more = found[2] == b","
        if self._raw[self._at :].strip(b" \t\r\n"):
            self._fail_json()
        return list(tensors.values())

    def _check_utf8(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        for at in range(0, len(self._raw), _BLOCK):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(self._raw[at : at + _BLOCK], final=at + _BLOCK >= len(self._raw))
            except UnicodeDecodeError as error:
                self.fail(f"it is not UTF-8 at byte {8 + at - kept + error.start}")

    def _begin(self) -> bool:
        """Step into an object; return whether it has members."""
        found = _BEGIN.match(self._raw, self._at)
        if found is None:
            self._fail_json("an object should begin here")
        self._at = found.end()
        return found[1] is None

    def _goes_on(self) -> bool:
        """Step over what stands after a member; return whether another one follows."""
        found = _AFTER.match(self._raw, self._at)
        if found is None:
            self._fail_json()
        self._at = found.end()
        return found[1] == b","

    def _key(self) -> str:
        found = _KEY.match(self._raw, self._at)
        if found is None:
            self._fail_json("a name should be here")
        name = self._json(found[1])
        self._at = found.end()
        return str(name)

    def _json(self, text: bytes) -> object:
        try:
            return _JSON.decode(text.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            self._fail_json(str(error)[:120])

    def _entry(self, name: str, text: bytes) -> TensorInfo:
        entry = self._json(text)
        tensor = _entry(name, entry, 8 + len(self._raw))
        if isinstance(tensor, str):
            said = f"{ascii(name)[:120]}: {tensor}"
            if isinstance(entry, dict) and _is_new_type(entry.get("dtype")):
                raise CheckpointError(
                    f"{self._path} cannot be read: {said} to hubtool {__version__}",
                    hint="update hubtool if the type is a new one of the safetensors format",
                )
            self.fail(said)
        return tensor

    def _metadata(self) -> None:
        """Keep what MindSpore marks in the metadata: which tensors are pairs of four-bit numbers. Skip other texts."""
        if self._raw[self._at : self._at + 4] == b"null":
            self._at += 4
            return
        count = 0
        more = self._begin()
        while more:
            count += 1
            if count > self._most:
                raise _too_much(self._path, f"more than {self._most:,} texts in the metadata of its header")
            key = self._key()
            start = self._at
            if self._raw[start : start + 1] != b'"':
                self.fail("__metadata__ is not an object of texts")
            self._at += 1
            while self._raw[self._at : self._at + 1] != b'"':
                found = _PIECE.match(self._raw, self._at)
                if found is None or found.end() in (self._at, len(self._raw)):
                    self._fail_json("a text does not end")
                self._at = found.end()
            self._at += 1
            if self._at == start + 6 and self._raw.startswith(b'"Int4"', start):
                self.metadata[key] = "Int4"
            more = self._goes_on()


def _read_safetensors(stream: BinaryIO, path: Path, size: int) -> Header:
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    start = 8 + length
    if length > _MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is damaged: it says that its header has {length:,} bytes, and the format allows "
            f"{_MAX_HEADER_BYTES:,}",
            hint=_FETCH_AGAIN,
        )
    if start > size:
        raise CheckpointError(
            f"{path} is truncated: its header ends at byte {start}, and the file at byte {size}", hint=_FETCH_AGAIN
        )
    header = _SafetensorsHeader(stream.read(length), path, size)
    tensors = header.read()
    if header.metadata:  # the format has no name for pairs of four-bit numbers
        tensors = [
            replace(tensor, dtype="int4x2") if tensor.name in header.metadata and tensor.dtype == "int8" else tensor
            for tensor in tensors
        ]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.bytes))
    end = start
    for tensor in tensors:
        if tensor.offset != end:
            header.fail(f"{tensor.name!r} begins at byte {tensor.offset}, and what is before it ends at byte {end}")
        end += tensor.bytes
    if end > size:
        raise CheckpointError(
            f"{path} is truncated: its tensors end at byte {end}, and the file at byte {size}", hint=_FETCH_AGAIN
        )
    if end < size:
        raise CheckpointError(
            f"{path} is damaged: its tensors end at byte {end}, and {size - end} bytes follow", hint=_FETCH_AGAIN
        )
    return Header(format="safetensors", tensors=tuple(tensors), size=size)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of JSON, and refuse one that says a name twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name comes twice")
    return made


_JSON = json.JSONDecoder(object_pairs_hook=_pairs)


def _is_new_type(dtype: object) -> bool:
    """Whether a text could be the name of a data type that the format got later."""
    return isinstance(dtype, str) and dtype not in _SAFETENSORS_DTYPES and bool(_DTYPE_NAME.match(dtype))


def _entry(name: str, entry: object, start: int) -> TensorInfo | str:
    """Check one entry of a .safetensors header; a text says what is wrong with it."""
    if not name or not name.isprintable() or len(name) > _MAX_NAME:
        return "this cannot be a name"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return "it needs dtype, shape and data_offsets, and nothing else"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SAFETENSORS_DTYPES:
        return f"the data type {ascii(dtype)[:40]} is not known"
    if not _numbers(shape) or len(shape) > _MAX_DIMS:
        return "its shape is not a list of dimensions"
    if not _numbers(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return "its data_offsets are not a begin and an end"
    begin, end = offsets
    ours = _SAFETENSORS_DTYPES[dtype]
    if math.prod(shape) * ITEM_BITS[ours] != 8 * (end - begin):
        return f"it has {end - begin} bytes, which its shape of {ours} does not"
    return TensorInfo(name=name, shape=tuple(shape), dtype=ours, segments=((start + begin, end - begin),))


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int and 0 <= number < 1 << 63 for number in value)


def to_safetensors(header: Header, source: Path, destination: Path) -> None:
    """Write the tensors of a checkpoint as a ``.safetensors`` file, in bounded memory and without MindSpore.

    The tensors begin at a multiple of 64 bytes and stand in falling order of their element size, so that each one is
    aligned to its elements and the file can be mapped into memory; the format allows no gaps between them. Texts are
    left out. The file is written beside its destination and renamed into place when it is complete.

    Args:
        header: What :func:`read_header` returned for the source.
        source: The checkpoint.
        destination: The file to write; one of that name is replaced.

    Raises:
        CheckpointError: If the source cannot be read, is shorter than its header says, or has a data type that the
            format lacks.
        StoreError: If the destination cannot be written, for example because the disk is full.
    """
    ordered = sorted(header.tensors, key=lambda tensor: -ITEM_BITS[tensor.dtype])
    head = _safetensors_head(ordered, source)
    needed = len(head) + header.bytes
    # It begins with the destination's name, so a writer of that file may remove this one.
    temporary = destination.with_name(f"{destination.name}.{os.urandom(4).hex()}.part")
    try:
        stream = files.create(temporary)
        try:
            with stream:
                files.write_all(stream, head)
                _copy_segments(ordered, source, stream)
                files.settle(stream, temporary, destination)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise files.store_error(error, destination, needed=needed) from error


def _safetensors_head(ordered: list[TensorInfo], source: Path) -> bytes:
    metadata = {"format": "ms"}
    entries: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for tensor in ordered:
        dtype = _TO_SAFETENSORS.get(tensor.dtype)
        if dtype is None or tensor.name in entries:
            wrong = (
                f"has the data type {tensor.dtype}" if dtype is None else "has a name of which safetensors has one only"
            )
            raise CheckpointError(
                f"{source}: {tensor.name!r} {wrong}, which safetensors cannot hold", hint="use the .ckpt itself"
            )
        if tensor.dtype == "int4x2":
            metadata[tensor.name] = "Int4"
        entries[tensor.name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": (at, at + tensor.bytes)}
        at += tensor.bytes
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _copy_segments(ordered: list[TensorInfo], source: Path, target: BinaryIO) -> None:
    buffer = memoryview(bytearray(_BLOCK))
    try:
        stream = source.open("rb", buffering=0)
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error.strerror or type(error).__name__}") from error
    with stream:
        for tensor in ordered:
            for offset, length in tensor.segments:
                stream.seek(offset)
                left = length
                while left:
                    count = stream.readinto(buffer[: min(left, _BLOCK)])
                    if not count:
                        raise CheckpointError(
                            f"{source} is truncated: {tensor.name!r} ends at byte {offset + length}", hint=_FETCH_AGAIN
                        )
                    files.write_all(target, buffer[:count])
                    left -= count
