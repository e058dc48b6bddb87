"""Discovery over many cards: plan (pure), run in worker processes, report. Each piece of code is looked at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubtool import files
from hubtool.card.repo_link import parse_repo_link
from hubtool.errors import ArgumentError, RequirementError
from hubtool.requirements import INSTALL_MINDSPORE
from hubtool.resolution import machine
from hubtool.sandbox.run import environment, run_isolated
from maintain.discovery import handwritten
from maintain.discovery import inputs as known_inputs
from maintain.discovery.heuristics import NetworkFacts
from maintain.discovery.outcome import recipe_as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hubtool.card.model import Card
    from hubtool.sandbox.limits import ProgramLimits

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 20.0  # for the import of MindSpore, on a busy machine too

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
    facts: NetworkFacts
    reason: str = ""
    repository: str = ""
    revision: str = ""
    folder: str = ""
    distribution: str = ""


@dataclass(kw_only=True, slots=True)
class _Job:
    key: str
    request: dict[str, Any]
    uids: list[str] = field(default_factory=list)


def target(card: Card) -> Target:
    """Return what there is to look at for a card."""
    uid = str(card.uid)
    asset = next((asset.file_name for asset in card.assets if asset.is_weights), "")
    facts = NetworkFacts(
        name=uid.rpartition("/")[2],
        model_name=card.text("model-name") or "",
        dataset=card.text("train-dataset") or "",
        backbone=card.text("backbone-name") or "",
        asset=asset,
    )
    link = card.repo_link
    if withheld := handwritten.withheld(uid):
        return Target(uid=uid, link=link, facts=facts, reason=withheld)
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
        revision=handwritten.other_branch(uid) or place.revision or "",
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
    limits: ProgramLimits,
    parallel: int = 1,
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
        limits: What one job may take, once MindSpore is imported.
        parallel: How many jobs at a time.
        smoke: Whether to run one forward pass of each.
        again: Look again at ``failed`` outcomes, at ``all``, or at none.
        only_known: Whether to run nothing, and leave out what the report does not hold.
        progress: Called with a UID and its verdict.

    Returns:
        The outcome of each UID.

    Raises:
        RequirementError: If MindSpore is not installed.
    """
    known: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    outcomes: dict[str, dict[str, Any]] = {}
    jobs: dict[str, _Job] = {}
    digests: dict[Path, str] = {}
    for item in targets:
        own = handwritten.builtin(item.folder, item.facts)
        if own is not None:
            outcomes[item.uid] = {"recipe": recipe_as_json(own), "reason": "", "notes": []}
            continue
        request = _request(item, checkout, digests, smoke=smoke)
        if isinstance(request, str):
            outcomes[item.uid] = {"recipe": None, "reason": request, "notes": []}
            continue
        key = _key(request)
        jobs.setdefault(key, _Job(key=key, request=request)).uids.append(item.uid)
    lock = threading.Lock()
    waiting: list[_Job] = []

    def done(job: _Job, outcome: dict[str, Any]) -> None:
        outcome = {**outcome, "reason": without_folders(outcome.get("reason") or "")}
        told = known_inputs.stated(job.request["facts"]["name"])
        if told and outcome["recipe"]:
            outcome["recipe"] = {**outcome["recipe"], "inputs": [one.as_json() for one in told]}
        for uid in job.uids:
            outcomes[uid] = outcome
            if progress is not None:
                progress(uid, "built" if outcome["recipe"] else outcome["reason"])

    def work(job: _Job) -> None:
        with lock:
            hints = _hints(job.request, known)
        outcome = _run_job({**job.request, "hints": hints}, limits)
        outcome["date"] = time.strftime("%Y-%m-%d")
        outcome["of"] = [job.request["folder"], job.request["facts"]["name"]]
        with lock:
            known[job.key] = outcome
            files.write_atomically(report, json.dumps(known, indent=1, sort_keys=True).encode(), durable=False)
            done(job, outcome)

    for job in jobs.values():
        old = known.get(job.key)
        if old is not None and (only_known or not _is_wanted(old, again, smoke=smoke)):
            done(job, old)
        elif not only_known:
            waiting.append(job)
    if waiting and machine.probe().mindspore is None:
        raise RequirementError("MindSpore is not installed", hint=INSTALL_MINDSPORE)
    threads = ThreadPoolExecutor(max_workers=parallel)
    try:
        for _ in threads.map(work, waiting):
            pass
    finally:
        threads.shutdown(cancel_futures=True)
    return outcomes


def _request(item: Target, checkout: str, digests: dict[Path, str], *, smoke: bool) -> dict[str, Any] | str:
    """Return the job for a card, or the reason why there is none."""
    if item.reason:
        return item.reason
    common = {
        "facts": asdict(item.facts),
        "folder": item.folder,
        "smoke": smoke,
    }  # fmt: skip
    if item.distribution:
        root = checkout_of(checkout, item)
        return {
            **common,
            "provider": "package",
            "distribution": item.distribution,
            "root": str(root),
            "identity": f"{item.distribution} {item.revision}",
        }
    root = checkout_of(checkout, item)
    folder = root / item.folder
    if not root.is_dir():
        return f"the code of {item.repository} at {item.revision} was not available, so it was not tried"
    if not folder.is_dir():
        return f"the checkout has no folder {item.folder} at {item.revision}"
    if folder not in digests:
        digests[folder] = code_digest(folder)
    return {**common, "provider": "repository", "root": str(folder), "identity": digests[folder]}


def _is_wanted(old: Mapping[str, Any], again: str, *, smoke: bool) -> bool:
    if old["recipe"] is None:
        return again in {"failed", "all"}
    return again == "all" or (smoke and not old.get("forward"))


def checkout_of(checkout: str, item: Target) -> Path:
    """Return the folder with the tree that a card's repo-link names; see :func:`discover`."""
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


def _run_job(request: Mapping[str, Any], limits: ProgramLimits) -> dict[str, Any]:
    """Run one job in the sandbox; return its outcome."""
    with tempfile.TemporaryDirectory(prefix="hubtool-discovery-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        scratch = root / "scratch"
        scratch.mkdir()
        job = root / "job.json"
        job.write_text(json.dumps({**request, "timeout": limits.seconds}), encoding="utf-8")
        path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
        result = run_isolated(
            [sys.executable, "-m", "maintain.discovery.worker", str(job), str(scratch)],
            scratch=scratch,
            environ=environment(scratch, {"PYTHONPATH": path, "GLOG_v": "4"}),
            limits=replace(limits, seconds=limits.seconds + _START_SECONDS),
        )
    # The worker says first what it has built, then how the forward pass went: the last whole line counts.
    lines = [line for line in result.answer.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
    outcome: dict[str, Any] = json.loads(lines[-1]) if lines else {"recipe": None, "reason": "", "notes": []}
    ending = result.reason or (f"the process ended with {result.code}" if result.code else "")
    if ending:
        outcome["reason" if outcome["recipe"] is None else "forward"] = ending
    return outcome


def without_folders(text: str) -> str:
    """Return a text with the folders of absolute paths taken out: where a checkout stood is of no use elsewhere."""
    return re.sub(r"(?<![\w:/.])/(?:[^\s/'\"()<>]+/)+", "", text)


def reason_class(reason: str) -> str:
    """Return the kind of a reason, for counting: what it says without names, places and numbers."""
    _, _, tail = reason.partition(" failed: ")
    text = tail or reason.rpartition(": ")[2]
    return text.partition(" (")[0][:110]
