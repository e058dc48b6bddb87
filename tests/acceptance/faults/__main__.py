"""Run the bench, and write docs/faults.md."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.faults.bench import DOCUMENT, FAULTS, PATHS, applicable, run, table
from tests.acceptance.seaweed import seaweed


def main() -> None:
    """Run every fault against every path."""
    outcomes: dict[tuple[str, str], str] = {}
    begun = time.monotonic()
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch, seaweed(Path(scratch) / "data") as bucket:
        for fault in FAULTS:
            for path in PATHS:
                if applicable(fault, path) and (not only or path in only or fault in only):
                    with tempfile.TemporaryDirectory() as folder:
                        started = time.monotonic()
                        outcome = run(fault, path, Path(folder), bucket)
                        outcomes[fault, path] = str(outcome)
                        print(f"{time.monotonic() - started:5.2f} {fault:32} {path:12} {outcome.requests:3} {outcome}")  # noqa: T201 (for people)
    if not only:
        DOCUMENT.write_text(table(outcomes), encoding="utf-8")
    print(f"{len(outcomes)} cases in {time.monotonic() - begun:.0f} s")  # noqa: T201 (the same)


if __name__ == "__main__":
    main()
