"""Run the jobs of the oracle, each in a process of its own, and keep a record of each in a file of JSON lines."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubtool.networks.compat import stand_ins
from hubtool.networks.compat.table import GONE
from hubtool.networks.isolation.namespace import CHECKPOINT, FOLDER, SCRATCH
from hubtool.networks.isolation.source import parse_source
from hubtool.sandbox.run import environment, run_isolated
from hubtool.verification import rule
from maintain.discovery.run import without_folders
from maintain.oracle import called
from maintain.oracle.family import ENTRY
from maintain.oracle.plan import CALLED, OLD, PACKAGE, SCRIPT, SEARCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubtool.sandbox.limits import ProgramLimits
    from hubtool.sandbox.run import ProgramResult
    from maintain.oracle.plan import OracleJob

_HERE: Final = Path(__file__).resolve().parent
_LARGE: Final = 4 * 2**20  # bytes: no script reads such a file to build a network
_ENVIRONMENT: Final = {"GLOG_v": "4", "DNNL_MAX_CPU_ISA": "AVX2"}


def records(report: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a file by their keys; of several with one key the last, without lines that are cut off."""
    found: dict[str, dict[str, Any]] = {}
    if report.is_file():
        with report.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # the run was ended while it wrote this line
                if isinstance(record, dict) and isinstance(record.get("key"), str):
                    found[record["key"]] = record
    return found


def run(
    jobs: Sequence[OracleJob],
    *,
    sources: Sequence[str],
    python: Path | None,
    report: Path,
    limits: ProgramLimits,
    parallel: int = 1,
    again: str = "none",
    gain: float = 1.0,
    progress: Callable[[str, dict[str, Any], bool], object] = lambda *_: None,
) -> dict[str, dict[str, Any]]:
    """Record the answers of jobs; what the report already holds is not run again.

    Args:
        jobs: The jobs.
        sources: Which sources to ask, of :data:`maintain.oracle.plan.SOURCES`.
        python: The Python with MindSpore 2.0.0, if that source is asked.
        report: The file of records.
        limits: What one process may take.
        parallel: How many processes at a time.
        again: Run again those without an answer (``failed``), ``all``, or ``none``.
        gain: The largest gain of parameters to try; see :data:`hubtool.verification.rule.TRIES`.
        progress: Called with a source, a record, and whether it was there before.

    Returns:
        The record of each job and source, by key.
    """
    known = records(report)
    done: dict[str, dict[str, Any]] = {}
    lock = threading.Lock()

    def is_known(old: dict[str, Any] | None) -> bool:
        return old is not None and (again == "none" or (again == "failed" and not old["reason"]))

    def ask(job: OracleJob, source: str, request: Mapping[str, Any]) -> dict[str, Any]:
        key = job.key(source)
        old = known.get(key)
        if old is not None and is_known(old):
            uids = list(dict.fromkeys([*old["uids"], *job.uids]))
            record, is_new = {**old, "uids": uids}, uids != old["uids"]
        else:
            started = time.monotonic()
            outcome = _outcome(job, source, {**request, "gain": gain}, python, limits)
            record = {
                "key": key,
                "uids": job.uids,
                "source": source,
                "rule": rule.VERSION,
                "code": job.identity,
                **{name: request[name] for name in ("entry", "argv", "skip", "callable", "wanted", "train")},
                **_BLANK,
                **outcome,
                "reason": without_folders(outcome["reason"]),
                "date": time.strftime("%Y-%m-%d"),
                "seconds": round(time.monotonic() - started, 1),
            }
            is_new = True
        with lock:
            if is_new:
                _append(report, record)
            done[key] = record
            progress(source, record, old is not None and is_known(old))
        return record

    def work(job: OracleJob) -> None:
        request: dict[str, Any] = job.request
        if PACKAGE in job.sources:
            if PACKAGE in sources:
                ask(job, PACKAGE, request)
            return
        if not request.get("text") and (
            SCRIPT in sources or not request["entry"]
        ):  # of a callable, today's MindSpore finds the script
            first = ask(job, SCRIPT if SCRIPT in sources else SEARCH, request)
            request = {**request, **{name: first[name] for name in ("entry", "argv", "skip")}}
        wanting = OLD not in sources or not _answers(ask(job, OLD, request))
        if CALLED in sources and wanting:
            text = called.program(job.request)
            if text:
                ask(job, CALLED, {**job.request, "entry": ENTRY, "text": text, "capture": 1})

    with ThreadPoolExecutor(max_workers=parallel) as threads:
        try:
            for _ in threads.map(work, jobs):
                pass
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _answers(record: Mapping[str, Any]) -> bool:
    """Return whether a record has outputs, and those of the network that the card states."""
    if not record["outputs"]:
        return False
    return bool(record["wanted"] in {None, record["networks"][record["chosen"]]["digest"]})


_BLANK: Final[Mapping[str, Any]] = {
    "networks": [],
    "exported": None,
    "export_inputs": [],
    "chosen": None,
    "inputs": [],
    "outputs": [],
    "mindspore": "",
    "device": "CPU",
    "mode": "",
    "float16": False,
    "script": "",
    "reason": "",
}


def _append(report: Path, record: Mapping[str, Any]) -> None:
    """Add a record; after a line that is cut off, on a line of its own."""
    with report.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")


def _outcome(
    job: OracleJob, source: str, request: Mapping[str, Any], python: Path | None, limits: ProgramLimits
) -> dict[str, Any]:
    """Run one job in the sandbox; return what its process says, or why it says nothing."""
    if source == OLD and not request["entry"]:
        return {"reason": "no script of the folder is known to build a network"}
    with tempfile.TemporaryDirectory(prefix="hubtool-oracle-", ignore_cleanup_errors=True) as name:
        scratch = Path(name).resolve() / "scratch"
        scratch.mkdir()
        told = {**request, "rule": str(Path(rule.__file__).resolve()), "identity": job.identity}
        told["seconds"] = limits.seconds
        variables = {"PYTHONPATH": ""}
        file = str(Path(name).resolve() / "job.json")
        if source == PACKAGE:  # without hubtool: as a user of the package would call it
            told["folder"] = str(job.code.resolve())
            variables["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
            command = [sys.executable, "-B", str(_HERE / "constructor.py"), file]
        elif source not in {OLD, CALLED}:
            told["find"] = source == SEARCH
            told["folder"] = str(job.code.resolve())
            variables["PYTHONPATH"] = os.pathsep.join(
                filter(None, (str(_HERE.parents[1]), os.environ.get("PYTHONPATH")))
            )
            command = [sys.executable, "-m", "maintain.oracle.bridge", file, str(scratch)]
        else:
            try:
                told.update(_prepared(job.code, told, scratch))
            except (OSError, SyntaxError, ValueError, ImportError) as error:
                return {"reason": f"the code could not be prepared: {error}"}
            command = [str(python), "-B", str(_HERE / "mindspore20.py"), file]
        Path(file).write_text(json.dumps(told), encoding="utf-8")
        environ = environment(scratch, {**_ENVIRONMENT, **variables})
        result = run_isolated(command, scratch=scratch, environ=environ, limits=limits)
    return _read(result)


def _read(result: ProgramResult) -> dict[str, Any]:
    """Return the last whole record of a process; if the process was ended or crashed, that is its reason."""
    lines = [line for line in result.answer.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
    outcome: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    ending = result.reason or (f"the process ended with {result.code}" if result.code else "")
    if ending and not outcome.get("outputs") and not outcome.get("reason"):
        outcome["reason"] = ending
    if not outcome:
        outcome["reason"] = f"the process said nothing: {result.output.strip()[-200:]}"
    return {"reason": "", **outcome}


def _prepared(code: Path, told: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Copy the code for MindSpore 2.0.0, without the statements to leave out; return what the run needs."""
    folder = scratch / "code" / code.name
    shutil.copytree(code, folder, symlinks=True, ignore=_ignored)
    if told.get("text"):  # a program of ours, with the authors' classes
        (folder / told["entry"]).write_text(told["text"], encoding="utf-8")
    leave_out(folder, told["skip"])
    checkpoint = scratch / "checkpoint.ckpt"
    checkpoint.touch()
    argv = list(told["argv"])
    for name, value in {CHECKPOINT: checkpoint, SCRATCH: scratch, FOLDER: folder}.items():
        argv = [item.replace(name, str(value)) for item in argv]
    gone = [name for name in GONE if name != "mindspore.parallel._transformer"]  # which 2.0.0 has
    return {
        "folder": str(folder),
        "argv": argv,
        "absent": [*stand_ins.PACKAGES, *gone],
        "harmless": sorted(stand_ins.HARMLESS),
    }


def leave_out(folder: Path, skip: Sequence[str]) -> None:
    """Take statements out of the code of a folder, as a recipe's ``skip`` says.

    Args:
        folder: A copy of the code; its files are written anew.
        skip: The statements, as ``path:line``.
    """
    lines: dict[str, set[int]] = {}
    for item in skip:
        path, _, line = item.rpartition(":")
        lines.setdefault(path, set()).add(int(line))
    for path, numbers in lines.items():
        tree = parse_source(folder / path, skip=numbers)
        (folder / path).write_text(ast.unparse(tree), encoding="utf-8")


def _ignored(folder: str, names: list[str]) -> list[str]:
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if path.is_symlink() or (path.is_file() and path.stat().st_size > _LARGE)]


def reason_class(reason: str) -> str:
    """Return the kind of a reason, for counting: without names, places and numbers."""
    head, _, tail = reason.partition(": ")
    if head in {"the script failed", "the network failed"}:
        return f"{head}: {tail.partition(' (')[0][:90]}"
    return "".join("0" if letter.isdigit() else letter for letter in reason)[:90]
