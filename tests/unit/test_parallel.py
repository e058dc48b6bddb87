"""Worker processes: results in order, errors, killed workers, Ctrl-C, and a parent that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hubtool import parallel

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the workers are threads")

PROGRAM = """
import os, time
from hubtool import parallel
def work(number):
    os.write(1, f"{os.getpid()}\\n".encode())  # in one piece: both write to this pipe
    time.sleep(60)
list(parallel.run(work, range(2), jobs=2))
"""


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_results_come_in_order(jobs: int, count: int) -> None:
    factor = 3  # the work need not be picklable
    assert [*parallel.run(lambda number: number * factor, range(count), jobs=jobs)] == [3 * one for one in range(count)]


@linux
def test_the_workers_are_other_processes_only_where_there_is_no_other_thread() -> None:
    started = threading.Event()
    thread = threading.Thread(target=started.wait)
    thread.start()
    beside = {*parallel.run(lambda _: os.getpid(), range(8), jobs=2)}
    started.set()
    thread.join()
    assert beside == {os.getpid()}
    command = (
        "import os\nfrom hubtool import parallel\n"
        "print(os.getpid() in {*parallel.run(lambda _: os.getpid(), range(8), jobs=2)})"
    )
    assert subprocess.check_output([sys.executable, "-c", command], text=True).strip() == "False"


def test_an_error_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(parallel.run(lambda number: 1 // number, range(3), jobs=2))


@linux
def test_what_a_killed_worker_left_is_done_here() -> None:
    command = (
        "import os, signal\nfrom hubtool import parallel\nparent = os.getpid()\n"
        "def work(number):\n"
        "    if number == 5 and os.getpid() != parent: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return number\n"
        "print([*parallel.run(work, range(9), jobs=2)] == [*range(9)])"
    )
    assert subprocess.check_output([sys.executable, "-c", command], text=True, timeout=60).strip() == "True"


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_workers_end_with_their_parent(number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    workers = [int(process.stdout.readline()) for _ in range(2)]
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.kill()
    process.wait(timeout=10)
    deadline = time.monotonic() + 10
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(is_running(worker) for worker in workers)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def is_running(pid: int) -> bool:
    """Whether a process is there, and is not one that only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
