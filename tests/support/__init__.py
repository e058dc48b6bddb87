"""What tests of every kind share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
