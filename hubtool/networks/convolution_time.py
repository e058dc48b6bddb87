"""Measure a convolution in a process of its own: oneDNN reads its settings once, when MindSpore is imported."""

from __future__ import annotations

import os
import subprocess
import sys

from hubtool.errors import RequirementError
from hubtool.resolution.machine import INSTRUCTIONS

_SECONDS = 120.0
_RUNS = 3


def measure(instructions: str | None) -> float:
    """Return the seconds of a 3x3 convolution of 64 to 64 channels on 56x56 elements.

    Args:
        instructions: What oneDNN is held to, such as ``AVX2``; None for its own choice.

    Raises:
        RequirementError: If MindSpore does not run.
    """
    environ = {name: value for name, value in os.environ.items() if name != INSTRUCTIONS}
    more = {"GLOG_v": "3"} | ({} if instructions is None else {INSTRUCTIONS: instructions})
    try:
        done = subprocess.run(  # noqa: S603 - this file
            [sys.executable, __file__],
            env={**environ, **more},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        raise RequirementError(f"MindSpore did not run a convolution: {type(error).__name__}") from error


def _main() -> None:
    import time  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415
    from mindspore import Tensor, nn  # noqa: PLC0415

    convolution = nn.Conv2d(64, 64, 3)
    values = Tensor(np.ones((1, 64, 56, 56), np.float32))
    convolution(values).asnumpy()  # the first call compiles
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        convolution(values).asnumpy()
        times.append(time.perf_counter() - start)
    sys.stdout.write(f"{min(times):.6f}\n")


if __name__ == "__main__":
    _main()
