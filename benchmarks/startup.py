"""How long the command line takes to start, against the bare interpreter.

    python benchmarks/startup.py

Runs `python -c pass`, `hubtool --version` and `hubtool resolve UID`, each in processes of its own, in turns, and prints
the medians and their ratios. hubtool must be installed in the interpreter's environment.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time

from sides import environment

UID = "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"
LIMITS = {"hubtool --version": 6, "hubtool resolve": 12}


def seconds(command: list[str], environ: dict[str, str]) -> float:
    """Run a command and return how long it took."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)
    return time.perf_counter() - start


def main() -> None:
    """Run all commands in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=25, help="how often each command runs")
    repeat: int = parser.parse_args().repeat
    script = shutil.which("hubtool", path=sysconfig.get_path("scripts"))
    if script is None:
        raise SystemExit("hubtool is not installed beside this interpreter: pip install .")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "hubtool --version": [script, "--version"],
        "hubtool resolve": [script, "resolve", UID],
    }
    with tempfile.TemporaryDirectory() as home:
        environ = environment(None, HUBTOOL_HOME=home)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(repeat + 2):
            for name, command in commands.items():
                taken = seconds(command, environ)
                if turn >= 2:  # the first turns fill the caches of the file system and of compiled modules
                    times[name].append(taken)
    bare = statistics.median(times["python -c pass"])
    for name, taken_all in times.items():
        median = statistics.median(taken_all)
        limit = f"  (target: at most {LIMITS[name]})" if name in LIMITS else ""
        print(f"{name:<20} {median * 1000:7.1f} ms   {median / bare:5.1f} x the bare interpreter{limit}")


if __name__ == "__main__":
    main()
