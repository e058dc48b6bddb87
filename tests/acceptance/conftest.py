"""What the acceptance tests share: a command line with an environment of its own for each test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support.cli import Cli
from tests.support.seaweed import seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.seaweed import Bucket


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with an empty registry and an empty store."""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "registry").mkdir()
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("HUBTOOL_") or name == "HUBTOOL_SHARED"
    }
    environ = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "HUBTOOL_REGISTRY": str(tmp_path / "registry"),
        "HUBTOOL_HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "GLOG_v": "3",
    }
    return Cli(folder, environ)


@pytest.fixture
def environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give this process the settings of the command line, for tests of the library."""
    for name in list(os.environ):
        if name.startswith("HUBTOOL_") and name != "HUBTOOL_SHARED":
            monkeypatch.delenv(name)
    for name in ("HUBTOOL_REGISTRY", "HUBTOOL_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, cli.environ[name])
    monkeypatch.chdir(cli.folder)
    return cli


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """Run the object store of all tests of this process; each test has a prefix of its own in it."""
    with seaweed(tmp_path_factory.mktemp("seaweed") / "data") as one:
        yield one
