"""The header of a ``.safetensors`` file."""

from __future__ import annotations

import codecs
import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from hubtool.checkpoint.header import (
    BLOCK_BYTES,
    FETCH_AGAIN,
    ITEM_BITS,
    MAX_DIMS,
    MAX_HEADER_BYTES,
    MAX_NAME_BYTES,
    NAME_BYTES_PER_TENSOR,
    Header,
    TensorInfo,
    most_tensors,
    too_much,
)
from hubtool.errors import CheckpointError
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
TO_SAFETENSORS: Mapping[str, str] = {ours: theirs for theirs, ours in _SAFETENSORS_DTYPES.items()} | {"int4x2": "I8"}
_DTYPE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,31}\Z")

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
        self._most = most_tensors(size)
        self._at = 0
        self.metadata: dict[str, str] = {}

    def fail(self, what: str) -> NoReturn:
        end = 8 + len(self._raw)
        raise CheckpointError(f"{self._path} is damaged in its header (bytes 8 to {end}): {what}", hint=FETCH_AGAIN)

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
                raise too_much(self._path, f"more than {self._most:,} tensors in its header")
            if name_bytes > NAME_BYTES_PER_TENSOR * self._most:
                most = NAME_BYTES_PER_TENSOR * self._most
                raise too_much(self._path, f"names of more than {most:,} characters in its header")
            self._at = found.end()
            more = found[2] == b","
        if self._raw[self._at :].strip(b" \t\r\n"):
            self._fail_json()
        return list(tensors.values())

    def _check_utf8(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        for at in range(0, len(self._raw), BLOCK_BYTES):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(self._raw[at : at + BLOCK_BYTES], final=at + BLOCK_BYTES >= len(self._raw))
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
                raise too_much(self._path, f"more than {self._most:,} texts in the metadata of its header")
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


def read_safetensors(stream: BinaryIO, path: Path, size: int) -> Header:
    """Read the header of a ``.safetensors`` file of ``size`` bytes.

    Raises:
        CheckpointError: If it is damaged, or larger than a header may be.
    """
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    start = 8 + length
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is damaged: it says that its header has {length:,} bytes, and the format allows "
            f"{MAX_HEADER_BYTES:,}",
            hint=FETCH_AGAIN,
        )
    if start > size:
        raise CheckpointError(
            f"{path} is truncated: its header ends at byte {start}, and the file at byte {size}", hint=FETCH_AGAIN
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
            f"{path} is truncated: its tensors end at byte {end}, and the file at byte {size}", hint=FETCH_AGAIN
        )
    if end < size:
        raise CheckpointError(
            f"{path} is damaged: its tensors end at byte {end}, and {size - end} bytes follow", hint=FETCH_AGAIN
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
    if not name or not name.isprintable() or len(name) > MAX_NAME_BYTES:
        return "this cannot be a name"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return "it needs dtype, shape and data_offsets, and nothing else"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SAFETENSORS_DTYPES:
        return f"the data type {ascii(dtype)[:40]} is not known"
    if not _numbers(shape) or len(shape) > MAX_DIMS:
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
