"""What networks need from this machine: devices and MindSpore, found without importing it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"""(?:__version__|version)\s*=\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The devices and the MindSpore of this machine.

    Attributes:
        devices: The MindSpore device targets that have hardware here, best first; always ends with ``CPU``.
        mindspore: The version of the installed MindSpore, or None.
    """

    devices: tuple[str, ...]
    mindspore: str | None


def probe() -> Machine:
    """Return what this machine has; takes a few milliseconds."""
    devices = []
    # The drivers' device nodes: Huawei's NPU driver makes /dev/davinci0 and so on, NVIDIA's /dev/nvidia0 and so on.
    if any(Path("/dev").glob("davinci[0-9]*")):
        devices.append("Ascend")
    if any(Path("/dev").glob("nvidia[0-9]*")):
        devices.append("GPU")
    return Machine(devices=(*devices, "CPU"), mindspore=_mindspore_version())


def _mindspore_version() -> str | None:
    spec = importlib.util.find_spec("mindspore")
    if spec is None or spec.origin is None:
        return None
    # importlib.metadata takes longer to import than everything else that `hubtool resolve` needs.
    try:
        match = _VERSION.search(Path(spec.origin).with_name("version.py").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return match[1] if match else "unknown"
