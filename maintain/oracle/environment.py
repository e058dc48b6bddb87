"""The Python with MindSpore 2.0.0: found, or built in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from hubtool.errors import ArgumentError, RequirementError

VERSION: Final = "2.0.0"
# MindSpore 2.0.0 works with NumPy below 1.24 and Pillow below 10; the rest is what the scripts import.
REQUIREMENTS: Final = (
    *(f"mindspore=={VERSION}", "numpy<1.24", "pillow<10", "pyyaml", "easydict", "opencv-python-headless", "scipy"),
    *("absl-py", "addict", "ml_collections", "tqdm", "yacs"),
)


def python_of(python: Path | None, folder: Path | None) -> Path:
    """Return the Python that has MindSpore 2.0.0.

    Args:
        python: The Python, where there is one.
        folder: The folder to build one in, and to use it from then on.

    Raises:
        ArgumentError: If neither is given.
        RequirementError: If that Python has another MindSpore or none, or there is no Python 3.9 to build one with.
    """
    if python is None:
        if folder is None:
            raise ArgumentError(
                f"no Python with MindSpore {VERSION} is given",
                hint="say --python, or --environment with a folder to build one in; or --source script",
            )
        python = folder / "bin" / "python"
        if not python.is_file():
            _build(folder)
    python = Path(os.path.abspath(python))  # noqa: PTH100 - a link to the interpreter is what makes the environment
    asked = [str(python), "-c", "import mindspore; print(mindspore.__version__)"]
    try:
        found = subprocess.run(  # noqa: S603 - the Python that the maintainer names
            asked,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "GLOG_v": "4", "PYTHONPATH": ""},
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequirementError(f"{python} does not run: {error}") from error
    if found != VERSION:
        raise RequirementError(
            f"{python} has {f'MindSpore {found}' if found else 'no MindSpore'}, and the oracle needs {VERSION}",
            hint="say --environment with a folder to build one in",
        )
    return python


def _build(folder: Path) -> None:
    base = shutil.which("python3.9")
    if base is None:
        raise RequirementError(
            f"there is no Python 3.9 here, and MindSpore {VERSION} was published for 3.7 to 3.9 only",
            hint="install one as python3.9, or say --source script",
        )
    for command in (
        [base, "-m", "venv", str(folder)],
        [str(folder / "bin" / "pip"), "install", "--quiet", *REQUIREMENTS],
    ):
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - pip and venv
            shutil.rmtree(folder, ignore_errors=True)
            raise RequirementError(f"the environment of MindSpore {VERSION} could not be built in {folder}")
