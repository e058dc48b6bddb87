"""The program that records how a script prepares its data: ``python -m maintain.facts.worker JOB SCRATCH``.

:mod:`maintain.facts.preprocessing` runs it in hubtool's sandbox, and never in a process of its own. The script runs
with stand-ins for MindSpore, up to where it hands its data to a network. What was recorded goes to the file descriptor
``HUBTOOL_ANSWER`` as one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import runpy
import sys
import traceback
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool.card import vocabulary
from hubtool.sandbox import guard
from maintain.discovery.worker import REFUSED
from maintain.facts.stand_ins import DataUsed, Finder, Named, Recording, StandIn

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATASET_OPTIONS = frozenset({"dataset", "dataset_name", "data_set", "dataset_type"})
_DEVICE_OPTIONS = frozenset({"platform", "run_platform", "device_target"})
_PLACES = ("url", "path", "dir")
_MANY_DEVICES = frozenset({"is_distributed", "distribute", "run_distribute"})


def main() -> None:
    """Do the job, and end without waiting for threads that the code started."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    scratch = Path(sys.argv[2])
    answer = int(os.environ.pop("HUBTOOL_ANSWER"))
    recording = Recording(job["version"])
    StandIn.recording = recording
    vocabulary.dataset("")  # read before the guard
    reason = ""
    try:
        _enter(Path(job["root"]), scratch)  # the guard refuses links to what lies elsewhere
        guard.install("recording", [str(scratch)], refused=REFUSED)
        _prepare(job, recording)
        _call(job) if job.get("call") else _run(job)
    except DataUsed:
        pass
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, SystemExit too, and the record says what
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {str(error)[:160]} ({Path(last.filename).name}:{last.lineno})"
    datasets = [one for one in recording.datasets if one.batched]
    used = recording.used or (datasets[-1] if len(datasets) == 1 and len(recording.datasets) == 1 else None)
    record = {
        "reason": reason,
        "dataset": None if used is None else used.as_json(),
        "used-by": recording.used_by,
        "made": len(recording.datasets),
        "operations": job.get("operations"),
    }
    os.write(answer, json.dumps(record).encode() + b"\n")
    os._exit(0)


def _enter(root: Path, scratch: Path) -> None:
    """Go to a folder in which the code's own files are found, as its authors run it: in its folder, or one below."""
    below = scratch / "run"
    below.mkdir()
    for folder in (scratch, below):
        for path in root.iterdir():
            with contextlib.suppress(FileExistsError):
                (folder / path.name).symlink_to(path)
    os.chdir(below)


def _prepare(job: dict[str, Any], recording: Recording) -> None:
    sys.meta_path.insert(0, Finder(recording, only="mindspore"))
    sys.meta_path.append(Finder(recording, only=None, root=str(job["root"])))
    Path("network.ckpt").touch()
    _prepare_libraries(recording)
    os.environ.update(DEVICE_ID="0", RANK_ID="0", RANK_SIZE="1", DEVICE_NUM="1")
    sys.dont_write_bytecode = True
    if job.get("lenient"):
        for name in ("exists", "isdir", "isfile"):
            setattr(os.path, name, _there(getattr(os.path, name), str(job["root"])))


def _prepare_libraries(recording: Recording) -> None:
    """Import what scripts use without importing it; let files of numbers that are not there stand for any numbers."""
    for name in ("Image", "ImageDraw", "ImageEnhance", "ImageFilter", "ImageOps"):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{name}")
    with contextlib.suppress(ImportError):
        numpy: Any = importlib.import_module("numpy")
        load = numpy.load

        def loaded(file: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as NumPy has it
            try:
                return load(file, *args, **kwargs)
            except FileNotFoundError:
                return Named("numpy.load()", recording)

        numpy.load = loaded


def _there(real: Any, root: str) -> Any:  # noqa: ANN401 - functions of os.path
    """Return a function that finds whatever is outside the repository, such as the data."""
    return lambda path: real(path) or not os.path.abspath(path).startswith(root)  # noqa: PTH100 - of any path


def _call(job: dict[str, Any]) -> None:
    """Call a function that returns operations, of a module of a package whose other modules are not run."""
    call = job["call"]
    package, root = call["module"].split("."), Path(job["root"])
    for depth in range(1, len(package)):
        module = types.ModuleType(".".join(package[:depth]))
        module.__path__ = [str(root.joinpath(*package[:depth]))]
        sys.modules[module.__name__] = module
    from maintain.facts.stand_ins import _told  # noqa: PLC0415 - the plain form of operations

    operations = getattr(importlib.import_module(call["module"]), call["function"])(**call["arguments"])
    job["operations"] = [_told(one) for one in operations]


def _run(job: dict[str, Any]) -> None:
    script = Path(job["root"]) / job["script"]
    argv = [one.replace("{folder}", str(job["root"])).replace("{checkpoint}", "network.ckpt") for one in job["argv"]]
    sys.argv = [str(script), *argv]
    sys.path.insert(0, str(script.parent))
    if Path(job["root"]) != script.parent:
        sys.path.insert(1, str(job["root"]))
    _patch_parsers(job["data_set"], choose=bool(job.get("choose")))
    runpy.run_path(str(script), run_name="__main__")


def _patch_parsers(data_set: str, *, choose: bool) -> None:
    """Let parsers pass over options that they do not know and do without those that they require."""
    parse = argparse.ArgumentParser.parse_known_args

    def known(self: argparse.ArgumentParser, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as argparse has it
        required = {action.dest for action in self._actions if action.required}
        for action in self._actions:
            action.required = False
        found, rest = parse(self, args, namespace)
        for action in self._actions:
            # Where the data is, which is not there; what reads it is a stand-in.
            named = "data" in action.dest or (action.dest in required and action.dest.endswith(_PLACES))
            is_place = named and action.type in {None, str} and not action.choices
            if is_place and getattr(found, action.dest, "") is None:
                setattr(found, action.dest, "/data")
            if action.dest in _DEVICE_OPTIONS and getattr(found, action.dest, "") is None:
                setattr(found, action.dest, "Ascend")  # as the stand-in for the context has it
            # Evaluation on one device: no picture depends on it.
            if action.dest in _MANY_DEVICES and isinstance(stated := getattr(found, action.dest, None), int):
                setattr(found, action.dest, type(stated)(0))
        for action in self._actions if choose else ():
            if action.dest in _DATASET_OPTIONS and action.choices:
                fitting = [one for one in action.choices if vocabulary.dataset(str(one)) == data_set]
                if fitting:
                    setattr(found, action.dest, fitting[0])
        return found, rest

    def parse_args(self: argparse.ArgumentParser, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as above
        return known(self, args, namespace)[0]

    argparse.ArgumentParser.parse_known_args = known  # type: ignore[method-assign,assignment]
    argparse.ArgumentParser.parse_args = parse_args  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
