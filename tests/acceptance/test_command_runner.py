"""The tests' own command line: within this process it does what a process of its own does, and leaves no trace."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cards import write_local

if TYPE_CHECKING:
    from tests.support.cli import Cli


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--help",),
        ("no-such-command",),
        ("list", "--json"),
        ("show", "tests/1.9/absent"),
        ("show", "tests/1.9/net"),
        ("settings", "--json"),
        ("validate", "."),
        ("resolve", "tests/1.9/net"),
    ],
    ids=" ".join,
)
def test_both_ways_say_the_same(cli: Cli, arguments: tuple[str, ...]) -> None:
    write_local(cli.registry, "tests/1.9/net", b"weights")
    assert cli(*arguments) == cli.process(*arguments)


def test_nothing_of_a_run_is_left(cli: Cli) -> None:
    def state() -> tuple[object, ...]:
        streams = (sys.stdin, sys.stdout, sys.stderr)
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return dict(os.environ), Path.cwd(), streams, handlers, sys.argv, gc.get_threshold(), list(warnings.filters)

    before = state()
    assert cli("--debug", "list", HUBTOOL_OFFLINE="1").code == 0
    assert cli("no-such-command").code == 2
    assert state() == before


def test_each_run_reads_its_settings_anew(cli: Cli) -> None:
    for text, value in (("0", False), ("1", True), ("0", False)):
        assert cli("settings", "--json", HUBTOOL_OFFLINE=text).json["offline"]["value"] is value
