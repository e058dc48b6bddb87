"""What tests of every kind share."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def shared_folder() -> Path:
    """Return the folder of the project's oracles and corpus; the test is skipped where it is absent."""
    folder = Path(os.environ.get("HUBTOOL_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"the shared folder is absent: {folder} (set HUBTOOL_SHARED)")
    return folder


def corpus() -> list[Path]:
    """Return the public hub's cards; the test is skipped where they are absent."""
    folder = shared_folder() / "corpus" / "mindspore-hub"
    if not folder.is_dir():
        pytest.skip(f"the corpus is absent: {folder}")
    return sorted(folder.rglob("*.md"))


def wait_until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something happened; many seconds, for a busy machine takes its time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen in {seconds:g} seconds"
        time.sleep(0.005)
