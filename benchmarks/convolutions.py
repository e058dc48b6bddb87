"""How much faster convolutions are with the instructions that hubtool asks oneDNN to use; both sides in one run.

    python benchmarks/convolutions.py [--repeat 5]

Each side is a fresh process that imports MindSpore and runs one 3x3 convolution (64 to 64 channels, 56x56) on the CPU;
the sides take turns, and the fastest counts. Where hubtool sets nothing, it says so, and compares all the same.
"""

from __future__ import annotations

import argparse
import os
import sys

from hubtool.networks import convolution_time
from hubtool.resolution import machine


def main() -> None:
    """Run both sides, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    os.environ.pop(machine.INSTRUCTIONS, None)
    if not machine.has_slow_convolutions():
        print(f"on this processor hubtool leaves {machine.INSTRUCTIONS} alone")
    sides = {"as MindSpore chooses": None, f"{machine.INSTRUCTIONS}=AVX2": "AVX2"}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.repeat):
        for name, instructions in sides.items():
            times[name].append(convolution_time.measure(instructions))
    best = {name: min(values) for name, values in times.items()}
    for name, seconds in best.items():
        print(f"{name:<24}  {seconds * 1000:9.2f} ms")
    plain, held = best.values()
    print(f"ratio {plain / held:.1f}")


if __name__ == "__main__":
    sys.exit(main())
