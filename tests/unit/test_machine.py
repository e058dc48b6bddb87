"""What this machine has, seen without importing it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hubtool.resolution import machine
from tests.support import ROOT


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


AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512f avx512dq\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("text", "slow"),
    [
        (AMD, True),
        (AMD.replace("avx512f ", ""), False),
        (AMD.replace("AuthenticAMD", "GenuineIntel"), True),
        ("", False),
        (None, False),
    ],
)
def test_convolutions_are_held_to_avx2_where_that_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, slow: bool
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    machine.has_slow_convolutions.cache_clear()
    environ: dict[str, str] = {}
    machine.prepare(environ)
    assert environ == {"GLOG_v": "3", **({"DNNL_MAX_CPU_ISA": "AVX2"} if slow else {})}
    own = {"GLOG_v": "1", "DNNL_MAX_CPU_ISA": "AVX512_CORE"}
    machine.prepare(own)
    assert own == {"GLOG_v": "1", "DNNL_MAX_CPU_ISA": "AVX512_CORE"}, "what the user set stays"
    machine.has_slow_convolutions.cache_clear()


@pytest.mark.mindspore
def test_a_program_that_imported_mindspore_first_is_told_once() -> None:
    program = (
        "import warnings, mindspore; from hubtool.resolution import machine; import hubtool;"
        "machine.has_slow_convolutions = lambda: True;"
        "[hubtool.load('hubtool/2.10/tinybert_bilstmcrf_toyner') for _ in range(2)]"
    )
    environ = {name: value for name, value in os.environ.items() if name != "DNNL_MAX_CPU_ISA"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.count("DNNL_MAX_CPU_ISA=AVX2") == 1
    assert "SlowProcessorWarning" in done.stderr
