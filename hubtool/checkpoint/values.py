"""The numbers of a checkpoint, read block by block, so that checkpoints of any size need little memory.

MindSpore is not needed; NumPy is.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hubtool.checkpoint.header import ITEM_BITS, TensorInfo
from hubtool.errors import CheckpointError, RequirementError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from hubtool.checkpoint.header import Header

BLOCK_ELEMENTS = 1 << 18
"""How many elements are read at once."""

_PLAIN = frozenset(
    {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
     "complex64", "complex128"}
)  # fmt: skip
_WITH_NAN = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128"})
# Eight-bit floats: the bits that say that a number is NaN or infinite, and what they then are.
_NAN_BITS = {
    "float8_e4m3fn": (0x7F, 0x7F), "float8_e5m2": (0x7C, 0x7C), "float8_e4m3fnuz": (0xFF, 0x80),
    "float8_e5m2fnuz": (0xFF, 0x80), "float8_e8m0fnu": (0xFF, 0xFF),
}  # fmt: skip


def need_numpy() -> None:
    """Check that NumPy is installed.

    Raises:
        RequirementError: If it is not.
    """
    if find_spec("numpy") is None:
        raise RequirementError("NumPy, which reads numbers, is not installed", hint="pip install 'numpy<2'")


def is_numeric(dtype: str) -> bool:
    """Whether numbers of a type are read here; four-, six- and eight-bit floats are not."""
    return dtype in _PLAIN or dtype in ("bool", "bfloat16")


def numbers(data: bytes, dtype: str) -> Any:  # noqa: ANN401 - NumPy arrays
    """Return bytes of a checkpoint as a flat NumPy array; bfloat16 as float32."""
    import numpy as np  # noqa: PLC0415 - heavy, and few commands need it

    if dtype == "bool":
        return np.frombuffer(data, np.uint8) != 0
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))


class TensorBytes:
    """The bytes of one tensor, one block after the other, however many pieces it was cut into."""

    def __init__(self, stream: BinaryIO, tensor: TensorInfo, path: Path) -> None:
        """Read from a file that is open; ``path`` names it in errors."""
        self._stream = stream
        self._left = list(tensor.segments)
        self._path = path

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            CheckpointError: If the file is shorter than its header says.
        """
        data = bytearray()
        while count and self._left:
            offset, length = self._left[0]
            step = min(count, length)
            self._stream.seek(offset)
            block = self._stream.read(step)
            if len(block) < step:
                raise CheckpointError(f"{self._path} became shorter while it was read")
            data += block
            count -= step
            if step == length:
                del self._left[0]
            else:
                self._left[0] = (offset + step, length - step)
        return bytes(data)


def not_finite(path: Path, header: Header) -> dict[str, int]:
    """Return how many elements are NaN or infinite, of each tensor that has any, by its name.

    Args:
        path: The checkpoint.
        header: What it holds.

    Raises:
        CheckpointError: If it cannot be read.
        RequirementError: If NumPy is not installed.
    """
    need_numpy()
    import numpy as np  # noqa: PLC0415 - heavy, and few commands need it

    found: dict[str, int] = {}
    try:
        with path.open("rb") as stream:
            for tensor in header.tensors:
                if tensor.dtype not in _WITH_NAN and tensor.dtype not in _NAN_BITS:
                    continue
                content, left, wrong = TensorBytes(stream, tensor, path), tensor.elements, 0
                while left:
                    count = min(left, BLOCK_ELEMENTS)
                    left -= count
                    data = content.read(count * ITEM_BITS[tensor.dtype] // 8)
                    if tensor.dtype in _NAN_BITS:
                        mask, wanted = _NAN_BITS[tensor.dtype]
                        wrong += int(np.count_nonzero(np.frombuffer(data, np.uint8) & mask == wanted))
                    else:
                        wrong += count - int(np.count_nonzero(np.isfinite(numbers(data, tensor.dtype))))
                if wrong:
                    found[tensor.name] = wrong
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    return found
