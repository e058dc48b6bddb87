"""The command line in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
