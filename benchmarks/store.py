"""`hubtool cache verify` against other ways to hash a store, all in one run.

    python benchmarks/store.py [--size 4096] [--repeat 5] [--folder /dev/shm]

Makes a store with blobs of 64 MiB, and one of as many bytes in a single blob and small ones. Each side is a fresh
process that starts, reads every blob and computes its SHA-256; the sides take turns, and the fastest run counts. What
is compared with: Python's `hashlib` in one process and in one for each processor (what the hash itself can do here,
without names, records or reports), and `sha256sum` in as many processes. Prints seconds, MiB per second, and the ratio
to hubtool.

The folder should be in memory: what is compared is the hashing, not a disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sides import environment

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
HASHLIB = """
import hashlib, os, sys
names, count = sorted(os.path.join(at, one) for at, _, some in os.walk(sys.argv[1]) for one in some), int(sys.argv[2])
names.sort(key=os.path.getsize, reverse=True)
for number in range(count):
    if number == count - 1 or not os.fork():
        for name in names[number::count]:
            with open(name, "rb", buffering=0) as stream:
                assert hashlib.file_digest(stream, "sha256").hexdigest() == os.path.basename(name)
        break
else:
    raise SystemExit
if number == count - 1:
    for _ in range(count - 1):
        assert os.wait()[1] == 0
"""
SHA256SUM = 'find "$1" -type f -printf "%f  %p\\n" | split -n r/"$2" --filter="sha256sum --check --quiet -"'


def make(folder: Path, sizes: list[int]) -> None:
    """Write a store whose blobs have these sizes in bytes."""
    for size in sizes:
        sha = hashlib.sha256()
        new = folder / "new"
        folder.mkdir(exist_ok=True)
        with new.open("wb") as target:
            for at in range(0, size, MIB):
                block = os.urandom(min(MIB, size - at))
                sha.update(block)
                target.write(block)
        digest = sha.hexdigest()
        blob = folder / "blobs" / "sha256" / digest[:2] / digest
        blob.parent.mkdir(parents=True, exist_ok=True)
        new.rename(blob)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096, help="MiB in each store")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to put files; in memory, where there is /dev/shm")
    options = parser.parse_args()
    place = options.folder or (Path("/dev/shm") if Path("/dev/shm").is_dir() else None)  # noqa: S108 (memory)
    cores = len(os.sched_getaffinity(0))
    half = options.size * MIB // 2
    for title, sizes in (
        ("blobs of 64 MiB", [64 * MIB] * (options.size // 64)),
        ("one large blob, and as much in blobs of 100 KiB", [half, *[100 << 10] * (half // (100 << 10))]),
    ):
        with tempfile.TemporaryDirectory(dir=place) as name:
            folder = Path(name)
            home = folder / "home"
            make(home, sizes)
            blobs = str(home / "blobs")
            commands = {
                "hubtool cache verify": [sys.executable, "-m", "hubtool", "cache", "verify", "--json"],
                "hashlib, one process": [sys.executable, "-c", HASHLIB, blobs, "1"],
                f"hashlib, {cores} processes": [sys.executable, "-c", HASHLIB, blobs, str(cores)],
                f"sha256sum, {cores} processes": ["sh", "-c", SHA256SUM, "sh", blobs, str(cores)],
            }
            environ = environment(folder / "bytecode", PYTHONPATH=str(ROOT), HUBTOOL_HOME=str(home))
            seconds: dict[str, list[float]] = {side: [] for side in commands}
            for _ in range(options.repeat):
                for side, command in commands.items():
                    start = time.perf_counter()
                    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
                    seconds[side].append(time.perf_counter() - start)
        total, best = sum(sizes) / MIB, min(seconds["hubtool cache verify"])
        print(f"\n{title}: {len(sizes)} blobs, {total:.0f} MiB, fastest of {options.repeat}:")
        for side, runs in seconds.items():
            took = min(runs)
            print(f"  {side:24} {took:6.2f} s  {total / took:6.0f} MiB/s  {took / best:5.2f} of hubtool's")


if __name__ == "__main__":
    main()
