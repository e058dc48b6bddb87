"""What this machine has, seen without importing it."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from hubtool.resolution import machine


def installed() -> str | None:
    try:
        return metadata.version("mindspore")
    except metadata.PackageNotFoundError:
        return None


def test_the_installed_mindspore_is_seen_and_not_imported() -> None:
    assert machine.probe().mindspore == installed()
    code = "import sys; from hubtool.resolution import machine; machine.probe(); assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(machine.__file__).parents[1])


def test_there_is_always_a_cpu() -> None:
    assert machine.probe().devices[-1] == "CPU"
