"""One forward pass, to check that a network runs."""

from __future__ import annotations

import math
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hubtool.errors import NetworkError
from hubtool.networks.entry_point import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: Operators without a CPU kernel both in MindSpore 2.0.0 and in 2.10: tests/oracles/bridge.py calls each.
NO_CPU_KERNEL: Final = frozenset(
    {
        *("BasicLSTMCell", "DropoutDoMask", "DropoutGenMask", "DynamicGRUV2", "DynamicRNN", "ExtractImagePatches"),
        *("FloatStatus", "InstanceNorm", "NPUAllocFloatStatus", "SparseGatherV2"),
    }
)
_MOST_ERRORS: Final = 10
_NO_KERNEL: Final = re.compile(r"Unsupported op \[(\w+)\] on CPU")


class Output(NamedTuple):
    """One output of a forward pass.

    Attributes:
        dtype: MindSpore's name for its element type.
        shape: Its shape.
        nan: The number of NaN elements.
        infinite: The number of infinite elements.
    """

    dtype: str
    shape: list[int]
    nan: int = 0
    infinite: int = 0

    @property
    def told(self) -> str:
        """The output in a few words."""
        wrong = [f"{self.nan:,} NaN"] if self.nan else []
        wrong += [f"{self.infinite:,} infinite"] if self.infinite else []
        elements = f" of {math.prod(self.shape):,} elements" if wrong else ""
        return f"{self.dtype} {self.shape}" + (f", {' and '.join(wrong)}{elements}" if wrong else "")


def forward(network: Any, tensors: Sequence[Any], *, fixed: bool = False) -> list[Output]:  # noqa: ANN401 - a Cell
    """Run one forward pass, and return its outputs in order; nested outputs one after the other.

    Recorded inputs can be a whole training batch, which takes minutes on a CPU. If all of them have the same first
    dimension, the pass uses 1 instead; a network that accepts no other size gets the tensors unchanged.

    Args:
        network: A ``mindspore.nn.Cell``.
        tensors: Its inputs.
        fixed: Whether the input shapes must stay, as for a graph.

    Raises:
        NetworkError: If the pass fails; the message is the network's own.
    """
    single = None if fixed else _single(tensors)
    if single is not None:
        try:
            return _run(network, single)
        except Exception:  # noqa: BLE001 - the network is then called with what was recorded, and that error told
            settle()
    try:
        return _run(network, tensors)
    except Exception as error:
        shapes = ", ".join(str(list(one.shape)) for one in tensors if hasattr(one, "shape"))
        raise NetworkError(
            f"the forward pass failed: {why(error)}{_where(error)}",
            hint=f"it was called with inputs of the shapes {shapes}",
        ) from error


def why(error: Exception) -> str:
    """Return the reason of a failed forward pass in one line.

    Args:
        error: What the network, or MindSpore, raised.
    """
    match = _NO_KERNEL.search(str(error))
    if match is None:
        return f"{type(error).__name__}: {first_line(error)}"
    if match[1] in NO_CPU_KERNEL:
        return f"MindSpore has no CPU kernel for {match[1]} (neither 2.0.0 nor 2.10)"
    import mindspore  # noqa: PLC0415

    return f"MindSpore {mindspore.__version__} has no CPU kernel for {match[1]}"


def settle() -> None:
    """Wait for pending work: MindSpore computes asynchronously, and raises errors at a later call.

    One error can be raised by several calls, of which each takes one from a queue.
    """
    import mindspore  # noqa: PLC0415

    for _ in range(_MOST_ERRORS):
        try:
            mindspore.runtime.synchronize()
            (mindspore.Tensor([0.0]) + 1.0).asnumpy()
        except Exception:  # noqa: BLE001, S112 - it is the error of what was pending
            continue
        return


def _single(tensors: Sequence[Any]) -> list[Any] | None:
    """Return the first item of a batch as a batch of one; None if the tensors are not a batch of several."""
    sizes = {one.shape[0] if one.shape else 1 for one in tensors if hasattr(one, "shape")}
    if len(sizes) != 1 or sizes == {1}:
        return None
    from mindspore import Tensor  # noqa: PLC0415

    return [Tensor(one.asnumpy()[:1]) if hasattr(one, "shape") else one for one in tensors]


def _run(network: Any, tensors: Sequence[Any]) -> list[Output]:  # noqa: ANN401 - a Cell
    # Reading the values waits for the computation, so that its errors appear here.
    return [_output(str(one.dtype), one.asnumpy()) for one in flat(network(*tensors))]


def _output(dtype: str, values: Any) -> Output:  # noqa: ANN401 - a NumPy array
    import numpy as np  # noqa: PLC0415

    nan = infinite = 0
    if values.dtype.kind in "fc":
        nan, infinite = int(np.count_nonzero(np.isnan(values))), int(np.count_nonzero(np.isinf(values)))
    return Output(dtype, list(values.shape), nan, infinite)


def flat(result: Any) -> list[Any]:  # noqa: ANN401 - what a network returns
    """Return the tensors of an output, nested ones included, in order."""
    if isinstance(result, dict):
        mapping: Mapping[Any, Any] = result
        result = list(mapping.values())
    if isinstance(result, (tuple, list)):
        return [one for item in result for one in flat(item)]
    return [result] if hasattr(result, "asnumpy") else []


def _where(error: Exception) -> str:
    """Return the line of the model's own code where an error was raised."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "mindspore" not in Path(frame.filename).parts
        and Path(__file__).parent not in Path(frame.filename).parents
        and "<" not in frame.filename
    ]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
