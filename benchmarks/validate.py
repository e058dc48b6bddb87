"""How fast `hubtool validate` is: whole processes, over a folder of cards, side by side with the public hub's checker.

Run it as ``python benchmarks/validate.py FOLDER [--peer CHECKOUT [--peer-python PYTHON]]``. The peer is the checker in
a checkout of the public hub (or in a bare git directory of one); its link check, which would go to the network for
every card, is left out, and what it does not catch is caught, so that it comes to the end. It needs MindSpore, PyYAML
and mistune before 2.0 in the Python that runs it. With a MindSpore of today it waits three seconds before it starts:
the ratios are given with and without these.

Each process is run several times, the three kinds in turn, and the fastest of each counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLD_TARGET, UNCHANGED_TARGET, MEMORY_TARGET = 5, 20, 250
PEER = """
import glob, socket, sys, time
if sys.argv[2] == "no-wait":
    time.sleep = lambda seconds: None
from mindspore_hub._utils import check
check.ValidMarkdown._validate_repo_link = lambda self, link: None
wrong = 0
for path in sorted(glob.glob(sys.argv[1] + "/**/*.md", recursive=True)):
    try:
        check.ValidMarkdown(path).check_markdown_file()
    except Exception:
        wrong += 1
print("wrong:", wrong)
"""


def run(command: list[str], environ: dict[str, str], cwd: Path | None = None) -> tuple[float, float, str]:
    """Run a process; return its wall time and processor time in seconds, and the last line that it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, env=environ, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command[:3])} ... ended with {done.returncode}: {lines[-1] if lines else ''}")
    return wall, used, lines[-1] if lines else ""


def peak(command: list[str], environ: dict[str, str]) -> float:
    """Run a process that measures a process and its children; return the sum of their peaks in MiB."""
    program = (
        "import os, subprocess, sys, threading, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "peaks = {}\n"
        "while child.poll() is None:\n"
        "    for pid in [child.pid] + [int(x) for x in os.popen(f'pgrep -P {child.pid}').read().split()]:\n"
        "        try:\n"
        "            text = open(f'/proc/{pid}/status').read()\n"
        "            peaks[pid] = int(text.split('VmHWM:')[1].split()[0])\n"
        "        except (OSError, IndexError):\n"
        "            pass\n"
        "    time.sleep(0.01)\n"
        "print(sum(peaks.values()) / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *command], env=environ, capture_output=True, check=True)
    return float(done.stdout)


def checkout(peer: Path, folder: Path) -> Path:
    """Return the folder of the peer's files; from a bare git directory they are unpacked first."""
    if (peer / "mindspore_hub").is_dir():
        return peer
    archive = subprocess.run(
        ["git", "-C", str(peer), "archive", "HEAD", "mindspore_hub"], stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of cards")
    parser.add_argument("--peer", type=Path, help="a checkout of the public hub, or a bare git directory of one")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that runs the peer")
    parser.add_argument("--runs", type=int, default=5, help="how often each process is run")
    options = parser.parse_args()
    cards = sum(1 for _ in options.folder.rglob("*.md"))
    print(f"{cards:,} cards, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "home")
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "HUBTOOL_HOME": str(home), "GLOG_v": "3"}
        validate = [sys.executable, "-m", "hubtool", "validate", str(options.folder.resolve())]
        kinds: dict[str, list[tuple[float, float, str]]] = {"cold": [], "unchanged": []}
        peer = None
        if options.peer:
            Path(scratch, "peer").mkdir()
            peer = checkout(options.peer.resolve(), Path(scratch, "peer"))
            kinds |= {"peer": [], "peer without its wait": []}
        peer_environ = {**os.environ, "PYTHONPATH": str(peer), "GLOG_v": "3"}
        program = [options.peer_python, "-c", PEER, str(options.folder.resolve())]
        for _ in range(options.runs):
            (home / "validate.sqlite3").unlink(missing_ok=True)
            kinds["cold"].append(run(validate, environ))
            kinds["unchanged"].append(run(validate, environ))
            if peer is not None:
                kinds["peer"].append(run([*program, "wait"], peer_environ, peer))
                kinds["peer without its wait"].append(run([*program, "no-wait"], peer_environ, peer))
        for name, runs in kinds.items():
            wall, used = min(one[0] for one in runs), min(one[1] for one in runs)
            print(f"{name:<22} {wall:6.2f} s wall, {used:6.2f} s of processor   {runs[-1][2]}")
        if peer is not None:
            for name in ("peer", "peer without its wait"):
                there = min(one[0] for one in kinds[name])
                for kind, target in (("cold", COLD_TARGET), ("unchanged", UNCHANGED_TARGET)):
                    ratio = there / min(one[0] for one in kinds[kind])
                    print(f"{name} / {kind}: {ratio:.1f} (target: {target})")
        memory = peak([*validate, "--no-cache"], environ)
        print(f"memory of all processes together: {memory:.0f} MiB (target: below {MEMORY_TARGET})")


if __name__ == "__main__":
    main()
