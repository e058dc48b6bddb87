"""Checkpoints read without MindSpore: names, shapes, data types and places of the tensors, not their bytes.

Two formats are read:

- ``.ckpt``, MindSpore's own: a Protocol Buffers message ``Checkpoint`` (``checkpoint.proto`` of the ``mindspore``
  package), which is a repeated ``value = 1`` of ``{tag = 1, oneof {tensor = 2, maptensor = 3}}``, a tensor being
  ``{dims = 1, tensor_type = 2, tensor_content = 3}``. A large tensor is cut into adjacent values of the same tag
  (512 MiB each). ``dims`` of ``[0]`` with content is a scalar, as MindSpore 1.x wrote it, or a text (``tensor_type``
  "str", UTF-32). The file may end with ``crc_num`` and ten bytes of checksum.
- ``.safetensors``: the length of a JSON header as eight little-endian bytes, the header, the tensors without gaps.

The content of a file decides which one it is, not its name.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, BinaryIO

from hubtool.checkpoint.ckpt import CkptReader
from hubtool.checkpoint.header import FETCH_AGAIN, MAX_HEADER_BYTES, NOT_ONE, Header
from hubtool.checkpoint.safetensors import read_safetensors
from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

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
EMPTY_HINT = "save the network's parameters with mindspore.save_checkpoint(network, path), or fetch the file again"


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
            raise CheckpointError(f"{path} is not a file", hint=NOT_ONE)
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
        raise CheckpointError(f"{path} is empty: it has 0 bytes", hint=FETCH_AGAIN)
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
    if size >= 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= max(size, MAX_HEADER_BYTES):
        return read_safetensors(stream, path, size)
    if start[:1] != b"\n":  # the key of field 1, length-delimited
        raise CheckpointError(
            f"{path} is not a checkpoint: it starts with the bytes {start[:8].hex(' ')}, as no checkpoint does",
            hint=NOT_ONE,
        )
    end = size
    if size >= _CRC_BYTES:
        stream.seek(size - _CRC_BYTES)
        if stream.read(len(_CRC_MARK)) == _CRC_MARK:
            end -= _CRC_BYTES
    stream.seek(0)
    return CkptReader(stream, path, end).read(size)


def _refuse_others(start: bytes, path: Path) -> None:
    """Raise an error that names what a file is, if it is something else than a checkpoint."""
    if start.startswith(_ENCRYPTED):
        raise CheckpointError(
            f"{path} is encrypted: it starts as MindSpore starts an encrypted checkpoint",
            hint="load it where its key is (mindspore.load_checkpoint with dec_key), and save it without enc_key",
        )
    _refuse_pages(start, path, "a checkpoint", hint=NOT_ONE)
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
            hint=NOT_ONE,
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
