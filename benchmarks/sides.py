"""What the benchmarks have in common: how the sides that they compare are started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def environment(bytecode: Path | None, **own: str) -> dict[str, str]:
    """Return this process's environment without hubtool's settings, in which Python keeps what it compiled.

    What pip installs is compiled; a checkout is at its first run. Where bytecode may not be written, every run of a
    checkout would be a first one.

    Args:
        bytecode: The folder for compiled modules, of all sides; where Python itself puts them, if None.
        own: Variables to set.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HUBTOOL_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    if bytecode is not None:
        kept["PYTHONPYCACHEPREFIX"] = str(bytecode)
    return {**kept, **own}


def warm(folder: Path) -> None:
    """Read every file of a folder, so that no side finds it on the disk and the next one in memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()
