"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from hubtool.resolution import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

# MindSpore reads these once, when it is imported.
machine.prepare(os.environ)

# In CI a run must mean the same twice: Hypothesis takes the same examples each time. New ones are found by developers.
IS_CI = bool(os.environ.get("CI"))
settings.register_profile("quick", max_examples=30, derandomize=IS_CI)
settings.register_profile("thorough", max_examples=300, derandomize=IS_CI)
settings.load_profile("quick")

# Without compiled files, each of the processes that tests start would compile hubtool, and each worker all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts us in the background has us ignore Ctrl-C, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count the slow tests that are not run."""
    config.stash[SLOW] = 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of ``-n auto``: many tests wait, for servers and clocks, so one more than cores."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark the tests that use the object store, or a file system of their own."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "bucket" in fixtures:
            item.add_marker("s3")
        if "small_disk" in fixtures:
            item.add_marker("root")


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count the slow tests that are not run."""
    for item in items:
        item.config.stash[SLOW] += item.get_closest_marker("slow") is not None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell pytest-xdist's controller the count of this worker: each one has all tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slow"] = session.config.stash[SLOW]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the count of a worker."""
    node.config.stash[SLOW] = max(node.config.stash[SLOW], getattr(node, "workeroutput", {}).get("slow", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many slow tests were not run; which tests were skipped, and why, stands above."""
    if count := config.stash[SLOW]:
        terminalreporter.write_line(f"not run: {count} slow tests ('pytest -m slow' runs them)")
