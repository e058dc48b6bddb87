"""How building the catalogue grows with the number of cards: time, size, and what a browser loads first.

    python benchmarks/catalogue.py [--cards 1000 10000 100000] [--keep FOLDER]

For each n, cards are generated into a folder, each a model of its own, and the catalogue is built in a process of its
own. Times are those of the clock, on all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import registry


def measure(count: int, work: Path) -> None:
    """Generate so many cards, build their catalogue, and print what that took."""
    registry.generate(work / "registry", count)
    site = work / f"site-{count}"
    environ = {**os.environ, "HUBTOOL_REGISTRY": str(work / "registry"), "HUBTOOL_HOME": str(work / "home")}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "hubtool", "catalogue", "build", str(site), "--json"],
        env=environ,
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.perf_counter() - started
    built = json.loads(done.stdout)
    first, search = ((site / name).stat().st_size for name in ("index.html", "assets/facts.js"))
    print(
        f"{count:,} cards: {seconds:.1f} s, {built['files']:,} files, {built['size'] / 1e6:.0f} MB; "
        f"the first page has {first / 1e3:.0f} KB, its search {search / 1e6:.1f} MB"
    )


def main() -> None:
    """Measure for each number of cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--keep", type=Path, help="keep the cards and the catalogues in this folder")
    arguments = parser.parse_args()
    for count in arguments.cards:
        with tempfile.TemporaryDirectory() as scratch:
            measure(count, arguments.keep / str(count) if arguments.keep else Path(scratch))


if __name__ == "__main__":
    main()
