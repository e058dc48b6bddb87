"""Any checkpoint as a ``.safetensors`` file, which can be mapped into memory."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from hubtool import files
from hubtool.checkpoint.header import BLOCK_BYTES, FETCH_AGAIN, ITEM_BITS, Header, TensorInfo
from hubtool.checkpoint.safetensors import TO_SAFETENSORS
from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

_ALIGNMENT_BYTES = 64


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
        dtype = TO_SAFETENSORS.get(tensor.dtype)
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
    text += b" " * (-(8 + len(text)) % _ALIGNMENT_BYTES)
    return len(text).to_bytes(8, "little") + text


def _copy_segments(ordered: list[TensorInfo], source: Path, target: BinaryIO) -> None:
    buffer = memoryview(bytearray(BLOCK_BYTES))
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
                    count = stream.readinto(buffer[: min(left, BLOCK_BYTES)])
                    if not count:
                        raise CheckpointError(
                            f"{source} is truncated: {tensor.name!r} ends at byte {offset + length}", hint=FETCH_AGAIN
                        )
                    files.write_all(target, buffer[:count])
                    left -= count
