"""What the acceptance tests share: a real process of the command line, and an environment of its own for each test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The standard output read as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """Runs hubtool in a process of its own, in a folder and with a store and a registry of the test's."""

    folder: Path
    environ: dict[str, str]

    @property
    def registry(self) -> Path:
        """The registry folder that the process sees."""
        return Path(self.environ["HUBTOOL_REGISTRY"])

    @property
    def home(self) -> Path:
        """The store that the process sees."""
        return Path(self.environ["HUBTOOL_HOME"])

    def __call__(self, *arguments: str | Path, timeout: float = 300, **environ: str) -> Done:
        return self._run("hubtool", *arguments, timeout=timeout, **environ)

    def maintain(self, *arguments: str | Path, timeout: float = 300, **environ: str) -> Done:
        """Run `python -m maintain`."""
        return self._run("maintain", *arguments, timeout=timeout, **environ)

    def _run(self, module: str, *arguments: str | Path, timeout: float, **environ: str) -> Done:
        command = [sys.executable, "-W", "error::DeprecationWarning:hubtool", "-m", module, *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert "a fault of hubtool" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)


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
