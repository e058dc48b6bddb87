"""How the authors' own evaluation prepares pictures, recorded by running their code with stand-ins for MindSpore.

A card's configuration is that of its recipe where the recipe names one. Where it names none, every configuration of the
folder is tried, and the steps count only if all that evaluate on the card's data set at the size of the network's input
have the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hubtool.card import vocabulary
from hubtool.sandbox.run import environment, run_isolated
from maintain.discovery.run import checkout_of, code_digest, reason_class, target, without_folders
from maintain.facts import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hubtool.card.model import Card
    from hubtool.sandbox.limits import ProgramLimits

_CHECKOUT = Path(__file__).resolve().parents[2]
_SCRIPTS = ("eval.py", "eval_imagenet.py", "validate.py", "test.py")
_CONFIGURATIONS = (".yaml", ".yml")
_MOST_CONFIGURATIONS = 24
_NO_CODE = "the folder of the code is not there"
# What evaluation on a data set reads; the others come as files in folders, or as records of them.
_READERS = {"CIFAR-10": "Cifar10Dataset", "CIFAR-100": "Cifar100Dataset", "MNIST": "MnistDataset"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """How a card's network wants its pictures.

    Attributes:
        steps: The steps; empty if they are not known.
        source: Where they are from, such as ``eval.py``.
        reason: Why they are not known, or empty.
        folders: Whether the evaluation numbers the classes as the sorted folders of the pictures, from 0, and gives
            these numbers to the evaluation of a model as they are.
        measured: Whether the code was run; if not, what the card says stays.
    """

    steps: tuple[Mapping[str, Any], ...] = ()
    source: str = ""
    reason: str = ""
    folders: bool = False
    measured: bool = True


def of_cards(
    cards: Iterable[Card],
    *,
    checkouts: Sequence[str],
    limits: ProgramLimits,
    parallel: int = 1,
    report: Path,
    minutes: float = 600.0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Prepared]:
    """Return how the networks of cards want their pictures.

    Args:
        cards: The cards, all of image classifiers.
        checkouts: Folders with a repository's tree, of which the first that is there counts; {repository} and
            {revision} in them are those of a card's ``repo-link``.
        limits: What one run may take.
        parallel: How many run at a time.
        report: Where records are kept, one JSON object a line; what is there is not run again.
        minutes: When no further run is begun.
        progress: Called with what each run was told of.
    """
    known: dict[str, dict[str, Any]] = {}
    if report.is_file():
        for line in report.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            known[entry["key"]] = entry["record"]
    listed = list(cards)
    planned = {str(card.uid): _plan(card, checkouts) for card in listed}
    digests: dict[str, str] = {}
    # Those with few configurations come first, so that a run that is cut short has told much.
    plans = sorted((plan for plan in planned.values() if not isinstance(plan, str)), key=len)
    jobs = {_key(job, digests): job for plan in plans for job in plan}
    # Versions of a repository often have the same code: each is run once.
    missing = {key: job for key, job in jobs.items() if key not in known}
    deadline = time.monotonic() + 60 * minutes

    def recorded(job: Mapping[str, Any]) -> dict[str, Any] | None:
        return _record(job, limits) if time.monotonic() < deadline else None

    with ThreadPoolExecutor(max_workers=parallel) as threads, report.open("a", encoding="utf-8") as kept:
        for key, record in zip(missing, threads.map(recorded, missing.values()), strict=True):
            if record is None or record.get("ended"):
                continue  # a run that took too long says nothing of the code: it is run again next time
            known[key] = record
            kept.write(json.dumps({"key": key, "told": missing[key]["told"], "record": record}) + "\n")
            kept.flush()
            progress(str(missing[key]["told"]))
    found = {}
    for card in listed:
        plan = planned[str(card.uid)]
        if isinstance(plan, str):
            found[str(card.uid)] = Prepared(reason=plan, measured=plan != _NO_CODE)
        elif any(_key(job, digests) not in known for job in plan):
            found[str(card.uid)] = Prepared(reason="its configurations were not all run yet", measured=False)
        else:
            found[str(card.uid)] = choose(card, [(job, known[_key(job, digests)]) for job in plan])
    return found


def choose(card: Card, records: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Prepared:
    """Return the steps that all records that are about a card agree on.

    Args:
        card: The card.
        records: Each job, and what was recorded of it.
    """
    size, reasons, found, folders = _input_size(card), Counter[str](), {}, True
    if size is None:
        return Prepared(reason="the network's input is not one picture of a known size")
    for job, record in records:
        try:
            listed = _steps(record, str(job["data_set"]))
        except steps.UnknownStepError as error:
            reasons[str(error)] += 1
            continue
        made = steps.size_of(listed)
        if made is None and listed[0].get("color") != "RGB":
            made = size if size == (28, 28) else None
        if made is None and job["data_set"] in _READERS and size == (32, 32):
            made = size  # the pictures of the data set, as they are
        if made != size:
            reasons["the pictures have another size than the network's input"] += 1
            continue
        found[json.dumps(listed)] = (listed, str(job.get("told") or job.get("script")))
        dataset = record.get("dataset")
        # What a loop of the script's own does with the numbers is not recorded.
        folders &= dataset is not None and record.get("used-by") == "eval" and steps.numbers_are_folders(dataset)
    if len(found) == 1:
        listed, source = next(iter(found.values()))
        return Prepared(steps=tuple(listed), source=source, folders=folders)
    if found:
        return Prepared(reason="several configurations prepare pictures in different ways, and the card names none")
    return Prepared(reason=reasons.most_common(1)[0][0] if reasons else "there is nothing to run")


def _steps(record: Mapping[str, Any], data_set: str) -> list[dict[str, Any]]:
    if record.get("operations") is not None:
        return steps.of_operations(record["operations"])
    dataset = record.get("dataset")
    if dataset is None:
        several = record.get("made", 0) > 1
        if failed := record.get("reason"):
            raise steps.UnknownStepError(
                f"its evaluation script fails beside the stand-ins: {reason_class(without_folders(failed))}"
            )
        raise steps.UnknownStepError(f"its evaluation script makes {'several data sets' if several else 'no data set'}")
    reader = _READERS.get(data_set)
    if (dataset["kind"] == reader) != (reader is not None) or (reader is None and dataset["kind"] in _READERS.values()):
        raise steps.UnknownStepError("the configuration is for another data set")
    return steps.of_dataset(dataset)


def _input_size(card: Card) -> tuple[int, int] | None:
    recipe = card.recipe
    if recipe is None or len(recipe.inputs) != 1:
        return None
    shape = recipe.inputs[0][1]
    return (shape[2], shape[3]) if len(shape) == 4 and shape[1] in {1, 3} else None


def _plan(card: Card, checkouts: Sequence[str]) -> list[dict[str, Any]] | str:
    """Return the jobs of a card, or why there are none."""
    recipe = card.recipe
    if recipe is None:
        return "the card has no recipe"
    item = target(card)
    if not item.folder or item.reason:
        return item.reason or "the card has no repo-link"
    places = [checkout_of(one, item) for one in checkouts]
    root = next((one for one in places if (one / item.folder).is_dir()), None)
    if root is None:
        return _NO_CODE
    folder = root / item.folder
    data_set = vocabulary.dataset(card.text("train-dataset") or "") or ""
    common = {"data_set": data_set, "version": _version(item.revision)}
    if recipe.provider == "package":
        return _of_mindcv(card, root, folder, common)
    script = next((name for name in _SCRIPTS if (folder / name).is_file()), None)
    if script is None:
        return "the folder has no script that evaluates"
    named = _named_configuration(recipe.argv) if recipe.entry != script else list(recipe.argv)
    jobs = []
    configurations = sorted(path for place in (folder, folder / "config") for path in place.glob("*.y*ml"))
    if len(configurations) > _MOST_CONFIGURATIONS and not named:
        return "the folder has many configurations, and the recipe names none"
    tried = (
        [named]
        if named
        else [[], *(["--config_path", f"{{folder}}/{path.relative_to(folder).as_posix()}"] for path in configurations)]
    )
    for one in tried:
        files = [value.rpartition("/")[2] for value in one if value.endswith(_CONFIGURATIONS)]
        told = f"{script} with {files[0]}" if files else script
        job = {"root": str(folder), "script": script, "argv": one, "told": told}
        jobs.append({**common, **job, "choose": len(configurations) <= 1})
    return jobs


def _named_configuration(argv: Sequence[str]) -> list[str]:
    """Return the option of a recipe that names a configuration, with its value; nothing if there is none."""
    for option, value in itertools.pairwise(argv):
        if option.startswith("--") and value.endswith(_CONFIGURATIONS):
            return [option, value]
    return []


def _of_mindcv(card: Card, root: Path, folder: Path, common: Mapping[str, Any]) -> list[dict[str, Any]] | str:
    """Return the job of a card of mindcv: its transformations, with the values of the model's configuration."""
    recipe = card.recipe
    if recipe is None or recipe.entry != "mindcv.models:create_model":
        return "the package is not mindcv, whose transformations are the ones that are read"
    name = recipe.arguments.get("model_name")
    stated = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.yaml"))]
    stated = [one for one in stated if isinstance(one, dict) and one.get("model") == name]
    keys = ("image_resize", "crop_pct", "interpolation", "mean", "std")
    chosen = {json.dumps([one.get(key) for key in keys]): one for one in stated}
    if len(chosen) != 1:
        return "no configuration of the package, or several different ones, are for the model"
    (one,) = chosen.values()
    arguments = {key: one[key] for key in keys if one.get(key) is not None}
    # A parser of the package gives mean and deviation as its own constants where a configuration says nothing.
    call = {
        "module": "mindcv.data.transforms_factory",
        "function": "create_transforms",
        "arguments": {"dataset_name": "imagenet", "is_training": False, **arguments},
    }
    return [{**common, "root": str(root), "call": call, "told": "mindcv.data.create_transforms"}]


def _version(revision: str | None) -> str:
    number = (revision or "").removeprefix("r")
    return f"{number}.0" if number[:1].isdigit() else "2.0.0"


def _key(job: Mapping[str, Any], digests: dict[str, str]) -> str:
    """Return what stands for a job on any machine: the code, and how it is called."""
    root = str(job["root"])
    if root not in digests:
        digests[root] = code_digest(Path(root))
    told = {**job, "root": digests[root], "version": ""}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def _record(job: Mapping[str, Any], limits: ProgramLimits) -> dict[str, Any]:
    """Run one job; once more with all files of the data there, if the script ended without a data set."""
    record = _run(job, limits)
    if job.get("script") and record["dataset"] is None:
        again = _run({**job, "lenient": True}, limits)
        record = again if again["dataset"] is not None else record
    return record


def _run(job: Mapping[str, Any], limits: ProgramLimits) -> dict[str, Any]:
    """Run one job in the sandbox; return what was recorded."""
    with tempfile.TemporaryDirectory(prefix="hubtool-facts-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        scratch = root / "scratch"
        scratch.mkdir()
        path = root / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        places = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
        result = run_isolated(
            [sys.executable, "-m", "maintain.facts.worker", str(path), str(scratch)],
            scratch=scratch,
            environ=environment(scratch, {"PYTHONPATH": places}),
            limits=replace(limits),
        )
    lines = [line for line in result.answer.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
    if lines:
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    reason = result.reason or f"the process ended with {result.code}"
    return {"reason": reason, "dataset": None, "made": 0, "ended": bool(result.reason)}
