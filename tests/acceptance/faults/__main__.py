"""Run the bench, and write docs/faults.md."""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.faults import bench, disks
from tests.acceptance.faults.page import DOCUMENT, page
from tests.support.seaweed import seaweed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.acceptance.faults.bench import Outcome


def main() -> None:
    """Run every fault against every path, or those that are named."""
    begun = time.monotonic()
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch, seaweed(Path(scratch) / "data") as bucket:
        servers = _run(bench, partial(bench.run, bucket=bucket), only)
    on_disks = _run(disks, disks.run, only)
    if not only:
        DOCUMENT.write_text(page(servers, on_disks), encoding="utf-8")
    print(f"{len(servers) + len(on_disks)} cases in {time.monotonic() - begun:.0f} s")  # noqa: T201 (for people)


def _run(table: ModuleType, run: Callable[[str, str, Path], Outcome], only: list[str]) -> dict[tuple[str, str], str]:
    outcomes: dict[tuple[str, str], str] = {}
    for fault in table.FAULTS:
        for path in table.PATHS:
            if table.applicable(fault, path) and (not only or path in only or fault in only):
                with tempfile.TemporaryDirectory() as folder:
                    started = time.monotonic()
                    outcome = run(fault, path, Path(folder))
                    outcomes[fault, path] = str(outcome)
                    print(f"{time.monotonic() - started:5.2f} {fault:32} {path:12} {outcome.requests:3} {outcome}")  # noqa: T201 (the same)
    return outcomes


if __name__ == "__main__":
    main()
