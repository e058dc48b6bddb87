"""Discovery over many cards: plan (pure), run in worker processes, report. Each piece of code is looked at once."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubtool import files
from hubtool.card.repo_link import parse_repo_link
from hubtool.errors import ArgumentError, NetworkError
from maintain.discovery.heuristics import ScriptFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hubtool.card.model import Card

_CHECKOUT: Final = Path(__file__).resolve().parents[2]

#: Repositories whose code is an installed distribution of this name.
DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "mindspore-lab/mindcv": "mindcv",
    "mindspore-lab/mindyolo": "mindyolo",
    "mindspore-lab/mindocr": "mindocr",
    "mindspore-lab/mindaudio": "mindaudio",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One card to find a recipe for.

    Attributes:
        uid: Its UID.
        link: Its repo-link, or None.
        facts: What it says of its network.
        reason: Why there is nothing to look at; empty if there is.
        repository: The name of the repository of the repo-link, such as ``models``.
        revision: The revision of the repo-link.
        folder: The folder of the repo-link.
        distribution: The distribution that has the code, or empty.
    """

    uid: str
    link: str | None
    facts: ScriptFacts
    reason: str = ""
    repository: str = ""
    revision: str = ""
    folder: str = ""
    distribution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryLimits:
    """What one job may take.

    Attributes:
        seconds: Wall-clock time.
        memory: Bytes of address space beyond what importing MindSpore takes.
        jobs: How many at a time.
    """

    seconds: float = 120.0
    memory: int = 8 * 2**30
    jobs: int = 1


@dataclass(kw_only=True, slots=True)
class _Job:
    key: str
    request: dict[str, Any]
    uids: list[str] = field(default_factory=list)


def target(card: Card) -> Target:
    """Return what there is to look at for a card."""
    uid = str(card.uid)
    asset = next((asset.file_name for asset in card.assets if asset.is_weights), "")
    facts = ScriptFacts(
        name=uid.rpartition("/")[2],
        model_name=card.text("model-name") or "",
        dataset=card.text("train-dataset") or "",
        backbone=card.text("backbone-name") or "",
        asset=asset,
    )
    link = card.repo_link
    if not link:
        others = [key for key in card.values if key.endswith("-repo-link")]
        reason = (
            f"the card names several repositories ({', '.join(others)}) and none of the whole"
            if others
            else "the card has no repo-link"
        )
        return Target(uid=uid, link=None, facts=facts, reason=reason)
    try:
        place = parse_repo_link(link)
    except ArgumentError as error:
        return Target(uid=uid, link=link, facts=facts, reason=error.message)
    return Target(
        uid=uid,
        link=link,
        facts=facts,
        repository=place.url.rpartition("/")[2],
        revision=place.revision or "",
        folder=place.folder,
        distribution=DISTRIBUTIONS.get("/".join(place.url.split("/")[-2:]), ""),
    )


def code_digest(folder: Path) -> str:
    """Return the digest of what a folder's networks are built from: its code and configurations, not its documents."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _CODE or path.is_symlink() or not path.is_file() or path.stat().st_size > 2**22:
            continue
        relative = path.relative_to(folder)
        if not _NOT_CODE.intersection(relative.parts):
            total.update(relative.as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


_CODE: Final = frozenset({".py", ".yaml", ".yml", ".json", ".cfg", ".ini", ".txt"})
_NOT_CODE: Final = frozenset({".git", "ascend310_infer", "infer", "scripts"})


def discover(
    targets: Iterable[Target],
    *,
    checkout: str,
    report: Path,
    limits: DiscoveryLimits,
    smoke: bool = False,
    again: str = "",
    only_known: bool = False,
    progress: Callable[[str, str], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Find the recipes of cards; what the report already holds for the same code is not looked for again.

    Args:
        targets: The cards.
        checkout: The folder with the repository's tree; ``{repository}`` and ``{revision}`` in it are those of a card's
            repo-link.
        report: The JSON file that outcomes are kept in, by key of the work; it is written after every job.
        limits: What one job may take.
        smoke: Whether to run one forward pass of each.
        again: Look again at ``failed`` outcomes, at ``all``, or at none.
        only_known: Whether to run nothing, and leave out what the report does not hold.
        progress: Called with a UID and its verdict.

    Returns:
        Of each UID its outcome.

    Raises:
        NetworkError: If no worker can be started.
    """
    known: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    outcomes: dict[str, dict[str, Any]] = {}
    jobs: dict[str, _Job] = {}
    digests: dict[Path, str] = {}
    for item in targets:
        request = _request(item, checkout, digests, limits, smoke=smoke)
        if isinstance(request, str):
            outcomes[item.uid] = {"recipe": None, "reason": request, "notes": []}
            continue
        key = _key(request)
        jobs.setdefault(key, _Job(key=key, request=request)).uids.append(item.uid)
    lock = threading.Lock()
    waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    def done(job: _Job, outcome: dict[str, Any]) -> None:
        outcome = {**outcome, "reason": without_folders(outcome.get("reason") or "")}
        with lock:
            for uid in job.uids:
                outcomes[uid] = outcome
                if progress is not None:
                    progress(uid, "built" if outcome["recipe"] else outcome["reason"])

    for job in jobs.values():
        old = known.get(job.key)
        if only_known:
            if old is not None:
                done(job, old)
        elif old is None or _is_wanted(old, again, smoke=smoke):
            waiting.put(job)
        else:
            done(job, old)

    def work() -> None:
        worker = _Worker()
        try:
            while True:
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                with lock:
                    hints = _hints(job.request, known)
                outcome = worker.do({**job.request, "hints": hints})
                outcome["date"] = time.strftime("%Y-%m-%d")
                outcome["of"] = [job.request["folder"], job.request["facts"]["name"]]
                with lock:
                    known[job.key] = outcome
                    _save(report, known)
                done(job, outcome)
        finally:
            worker.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(limits.jobs, waiting.qsize()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _request(
    item: Target, checkout: str, digests: dict[Path, str], limits: DiscoveryLimits, *, smoke: bool
) -> dict[str, Any] | str:
    """Return the job for a card, or the reason why there is none."""
    if item.reason:
        return item.reason
    common = {
        "facts": asdict(item.facts),
        "folder": item.folder,
        "timeout": limits.seconds,
        "memory": limits.memory,
        "smoke": smoke,
    }  # fmt: skip
    if item.distribution:
        root = _place(checkout, item)
        return {
            **common,
            "provider": "package",
            "distribution": item.distribution,
            "root": str(root),
            "identity": f"{item.distribution} {item.revision}",
        }
    root = _place(checkout, item)
    folder = root / item.folder
    if not root.is_dir():
        return f"the code of {item.repository} at {item.revision} was not at hand, so nobody looked at it"
    if not folder.is_dir():
        return f"the checkout has no folder {item.folder} at {item.revision}"
    if folder not in digests:
        digests[folder] = code_digest(folder)
    return {**common, "provider": "repository", "root": str(folder), "identity": digests[folder]}


def _is_wanted(old: Mapping[str, Any], again: str, *, smoke: bool) -> bool:
    if old["recipe"] is None:
        return again in {"failed", "all"}
    return again == "all" or (smoke and not old.get("forward"))


def _place(checkout: str, item: Target) -> Path:
    return Path(checkout.replace("{revision}", item.revision).replace("{repository}", item.repository))


def _hints(request: Mapping[str, Any], known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was found for the same card at other revisions, each recipe once."""
    of = [request["folder"], request["facts"]["name"]]
    found = {
        json.dumps(outcome["recipe"], sort_keys=True): outcome
        for outcome in known.values()
        if outcome["recipe"] and outcome.get("of") == of
    }
    return [
        {name: outcome[name] for name in ("recipe", "digest", "network", "parameters", "elements")}
        for outcome in found.values()
    ][:3]


def _key(request: Mapping[str, Any]) -> str:
    facts = request["facts"]
    told = [request["identity"], request["folder"], facts["name"], facts["model_name"], facts["dataset"]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def _save(report: Path, known: Mapping[str, Any]) -> None:
    files.write_atomically(report, json.dumps(known, indent=1, sort_keys=True).encode(), durable=False)


class _Worker:
    """A worker process, started again when it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: Any = None

    def do(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for _ in range(2):
            self._start()
            assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018 - just started
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                line = self._answers.readline()
            except BrokenPipeError:
                line = ""
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            self.close()
        return {"recipe": None, "reason": "the worker process died", "notes": []}

    def _start(self) -> None:
        if self._process is not None:
            return
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "maintain.discovery.worker", str(writer)]
        path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
        environ = {**os.environ, "PYTHONPATH": path, "GLOG_v": "4", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writer,),
                env=environ,
                text=True,
            )
        finally:
            os.close(writer)
        self._answers = os.fdopen(reader, encoding="utf-8")
        if not self._answers.readline():
            self.close()
            raise NetworkError(
                "the worker process of discovery did not start", hint="see whether MindSpore can be imported"
            )

    def close(self) -> None:
        if self._process is None:
            return
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._process = None


def without_folders(text: str) -> str:
    """Return a text with the folders of absolute paths taken out: where a checkout stood concerns nobody else."""
    return re.sub(r"(?<![\w:/.])/(?:[^\s/'\"()<>]+/)+", "", text)


def reason_class(reason: str) -> str:
    """Return the kind of a reason, for counting: what it says without names, places and numbers."""
    _, _, tail = reason.partition(" failed: ")
    text = tail or reason.rpartition(": ")[2]
    return text.partition(" (")[0][:110]
