"""What networks need from this machine: devices, the processor and MindSpore, found without importing it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

#: The variable by which oneDNN, which computes MindSpore's convolutions on CPUs, is told what instructions to use.
INSTRUCTIONS: Final = "DNNL_MAX_CPU_ISA"
_CPU_INFO: Final = Path("/proc/cpuinfo")
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


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set what MindSpore reads when it is imported, unless it is set: a quiet log, and fast convolutions."""
    environ.setdefault("GLOG_v", "3")  # 3 is errors only; the rest is for MindSpore's developers
    if has_slow_convolutions():
        environ.setdefault(INSTRUCTIONS, "AVX2")


@cache
def has_slow_convolutions() -> bool:
    """Return whether oneDNN computes convolutions here by its reference loops unless it is held to AVX2.

    MindSpore 2.10 has oneDNN 3.10, which finds no fast kernel on processors with AVX-512, of AMD and of Intel alike
    (``jit_uni_ncsp:conv+ref:any`` in its log); ``benchmarks/convolutions.py`` measures what that costs.
    """
    try:
        with _CPU_INFO.open(encoding="utf-8", errors="replace") as stream:
            first = stream.read(1 << 14).partition("\n\n")[0]
    except OSError:
        return False
    return " avx512f " in first


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
