"""Hold the recipes of cards to the oracle's records, and write the answers that agree into the cards."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hubtool.card import known_answer
from hubtool.card.known_answer import KnownAnswer
from hubtool.errors import HubError, RecipeError
from hubtool.verification import compare
from hubtool.verification.record import write
from hubtool.verification.verify import TOLERANCE, measure, recipe_inputs
from maintain.discovery.run import checkout_of, target, without_folders
from maintain.oracle import family, same_code
from maintain.oracle.plan import CALLED, OLD, PACKAGE, SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.known_answer import InputSpec
    from hubtool.card.model import Card
    from hubtool.hub import Hub
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.oracle.plan import OracleJob

#: What came of a job.
EQUAL: Final = "equal"
DIFFERS: Final = "differs"
OTHER: Final = "another network"
DISAGREE: Final = "the sources disagree"
NO_ANSWER: Final = "no answer"
NOT_RUN: Final = "not run"
_STRONGEST_FIRST: Final = (OLD, SCRIPT, PACKAGE, CALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledJob:
    """What came of one job.

    Attributes:
        uids: The cards.
        state: One of the constants above.
        reason: Why, in one sentence; empty for ``equal``.
        source: The source of the answer, or empty.
        difference: The greatest difference that was measured, as a part of the outputs' scale; or None.
        answer: The known answer that the cards get, or None.
        inputs: The inputs of the network, for cards whose recipes state none.
        mindspore: The version of MindSpore that ran the recipe.
    """

    uids: tuple[str, ...]
    state: str
    reason: str = ""
    source: str = ""
    difference: float | None = None
    answer: KnownAnswer | None = None
    inputs: tuple[known_answer.InputSpec, ...] = ()
    mindspore: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "uids": list(self.uids),
            "state": self.state,
            "reason": self.reason,
            "source": self.source,
            "difference": self.difference,
            "answer": None if self.answer is None else self.answer.as_json(),
            "inputs": [one.as_json() for one in self.inputs],
            "mindspore": self.mindspore,
        }


def settled(values: Mapping[str, Any]) -> SettledJob:
    """Return what came of a job from plain values."""
    answer = values["answer"]
    return SettledJob(
        uids=tuple(values["uids"]),
        state=values["state"],
        reason=values["reason"],
        source=values["source"],
        difference=values["difference"],
        answer=None if answer is None else known_answer.parse(answer),
        inputs=tuple(known_answer.parse_input(one) for one in values["inputs"]),
        mindspore=values["mindspore"],
    )


def settle(
    hub: Hub,
    jobs: Sequence[OracleJob],
    records: Mapping[str, Mapping[str, Any]],
    *,
    cards: Mapping[str, Card],
    checkout: str,
    limits: ProgramLimits,
    report: Path,
    parallel: int = 1,
    only_known: bool = False,
    tell: Callable[[SettledJob], None] | None = None,
) -> list[SettledJob]:
    """Run the recipe of each job through hubtool, and compare it with what the oracle recorded.

    Args:
        hub: Settings, registries and store.
        jobs: The jobs of the plan; those whose records took least for each card are settled first.
        records: The oracle's records by key.
        cards: The cards by UID.
        checkout: Where the code is, as for the plan.
        limits: What one network may take.
        report: A file of JSON lines; a job that it has with the same records is not run again.
        parallel: How many networks run at a time.
        only_known: Whether to run nothing, and leave out what the report does not hold.
        tell: Called with each job as it is settled.
    """
    known = _read(report)
    by_network: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for job in jobs:
        for source in _STRONGEST_FIRST:
            record = records.get(job.key(source))
            if record is not None and record["outputs"]:
                by_network.setdefault(job.network, {}).setdefault(source, record)

    def cost(job: OracleJob) -> float:
        """Return the seconds that its record took, for each card."""
        found = [records[key] for source in _STRONGEST_FIRST if (key := job.key(source)) in records]
        times = [record.get("seconds", 0.0) for record in found or by_network.get(job.network, {}).values()]
        return min(times, default=0.0) / len(job.uids)

    measured: dict[tuple[object, ...], SettledJob] = {}

    def work(job: OracleJob) -> SettledJob | None:
        found = {source: records[key] for source in _STRONGEST_FIRST if (key := job.key(source)) in records}
        if not any(record["outputs"] for record in found.values()):
            found = by_network.get(job.network, found)  # of another version of the code, which may compute the same
        if not found:
            return None
        key = "+".join([job.key(""), *map(_named, found.values())])
        alike = (*(one["key"] for one in found.values()), _same(job, cards))
        if key in known:
            done = replace(known[key], uids=tuple(job.uids))
        elif alike in measured:  # of another version, whose network the same code builds
            done = _shared(measured[alike], job, found, cards)
        elif only_known:
            return None
        else:
            done = _settle(hub, job, found, cards, checkout=checkout, limits=limits)
            with report.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"key": key, **done.as_json()}) + "\n")
        if alike[-1] is not None and done.state != NOT_RUN:
            measured.setdefault(alike, done)
        if tell is not None:
            tell(done)
        return done

    with ThreadPoolExecutor(max_workers=parallel) as pool:
        return [done for done in pool.map(work, sorted(jobs, key=cost)) if done is not None]


def _named(record: Mapping[str, Any]) -> str:
    """Return what a record is known by in the report; one of smaller parameters is another."""
    gain = record.get("gain", 1.0)
    return f"{record['key']} {bool(record['outputs'])}" + ("" if gain == 1 else f" {gain}")


def _same(job: OracleJob, cards: Mapping[str, Card]) -> str | None:
    """Return what jobs share whose networks are built by the same code and arguments; None if that cannot be told."""
    recipe = cards[job.uids[0]].recipe
    assert recipe is not None  # noqa: S101 - the plan has cards with recipes only
    code = same_code.digest(job.code, recipe.entry) if recipe.provider == "repository" else None
    if code is None:
        return None
    told = replace(recipe, known_answer=None, weights_answer=None, parameters=None)
    return json.dumps([code, asdict(told)], sort_keys=True, default=str)


def _shared(
    done: SettledJob, job: OracleJob, found: Mapping[str, Mapping[str, Any]], cards: Mapping[str, Card]
) -> SettledJob:
    """Return what came of a job from what came of one with the same network."""
    answer = done.answer
    if answer is not None:
        answer = replace(answer, code=_commit(found[done.source], job, cards))
    return replace(done, uids=tuple(job.uids), answer=answer)


def _read(report: Path) -> dict[str, SettledJob]:
    if not report.is_file():
        return {}
    found = {}
    for line in report.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        with suppress(RecipeError):  # its answer was in order by the rules of that day
            found[values["key"]] = settled(values)
    return found


def _settle(
    hub: Hub,
    job: OracleJob,
    records: Mapping[str, Mapping[str, Any]],
    cards: Mapping[str, Card],
    *,
    checkout: str,
    limits: ProgramLimits,
) -> SettledJob:
    card = cards[job.uids[0]]
    recipe = card.recipe
    assert recipe is not None  # noqa: S101 - the plan has cards with recipes only
    result = SettledJob(uids=tuple(job.uids), state=NO_ANSWER)
    answered = {source: record for source, record in records.items() if record["outputs"]}
    if not answered:
        return replace(result, reason="; ".join(f"{source}: {one['reason']}" for source, one in records.items()))
    wanted = recipe.parameters_digest
    fitting = {source: one for source, one in answered.items() if wanted in (None, _digest(one))}
    if not fitting:
        source, record = next(iter(answered.items()))
        network = record["networks"][record["chosen"]]
        told = f"{source}: the script makes {network['class']}, {network['elements']:,} elements"
        return replace(result, state=OTHER, reason=told, source=source)
    answers = {source: answer_of(source, record) for source, record in fitting.items()}
    source, answer = next(iter(answers.items()))
    inputs = answer.inputs
    answers = {name: one for name, one in answers.items() if (one.inputs, one.gain) == (inputs, answer.gain)}
    arguments = family.sizes_of(recipe) if recipe.provider == "builtin" else {}
    options: dict[str, Any] = {
        "inputs": tuple(dict.fromkeys((inputs, tuple(map(_single, inputs))))),
        "gain": answer.gain,
        "arguments": arguments,
        "trust": True,
        "recording": True,
        "checkout": checkout_of(checkout, target(card)) if recipe.provider == "repository" else None,
        "limits": limits,
    }
    try:
        measured = measure(hub, job.uids[0], once=True, **options)
        if TOLERANCE < (compare.largest(answer.outputs, measured.outputs) or 0.0) <= known_answer.MAX_TOLERANCE:
            measured = measure(hub, job.uids[0], **options)  # how close its outputs can be
    except HubError as error:
        return replace(result, state=NOT_RUN, reason=error.message, source=source, inputs=inputs)
    inputs = measured.inputs
    result = replace(result, source=source, inputs=inputs, mindspore=measured.mindspore)
    if measured.digest != _digest(fitting[source]):
        return replace(result, state=OTHER, reason=f"the recipe builds other parameters than {source}")
    result = replace(result, difference=compare.largest(answer.outputs, measured.outputs))
    # Where either side is in float16, the other cannot be nearer than that.
    float16 = fitting[source].get("float16", False) or any(one.dtype == "float16" for one in answer.outputs)
    allowed = measured.tolerance(float16=float16)
    try:
        measured.check_telling(allowed)
    except HubError as error:
        return replace(result, state=NOT_RUN, reason=error.message)
    found = compare.compare(answer, measured.outputs, tolerance=allowed)
    if not found:
        answer = replace(
            answer,
            tolerance=allowed,
            inputs=() if inputs == recipe_inputs(recipe) else inputs,
            equal_on=(measured.mindspore,),
            arguments=arguments,
            code=_commit(fitting[source], job, cards),
        )
        if problems := known_answer.problems(answer):  # its record is older than a rule
            return replace(result, state=NO_ANSWER, reason=f"{source}: {problems[0]}")
        return replace(result, state=EQUAL, answer=answer)
    told = f"output {found[0].output}: {found[0].what}"
    script = answers.get(SCRIPT)
    if source == OLD and script is not None and not compare.compare(script, measured.outputs, tolerance=allowed):
        return replace(result, state=DISAGREE, reason=f"as the script on {measured.mindspore}, and {OLD} says: {told}")
    return replace(result, state=DIFFERS, reason=told)


def _commit(record: Mapping[str, Any], job: OracleJob, cards: Mapping[str, Card]) -> str:
    """Return the commit of the code that a record is of, if that is not the job's own; empty if it is."""
    if record["code"] == job.identity:
        return ""
    card = next((cards[uid] for uid in record["uids"] if uid in cards), None)
    return (card.text("repo-revision") or "") if card is not None else ""


def _single(one: InputSpec) -> InputSpec:
    """Return an input in float32 where it is in float64, which MindSpore 2.0.0 took for it and 2.10 does not."""
    return replace(one, dtype="float32") if one.dtype == "float64" else one


def _digest(record: Mapping[str, Any]) -> str:
    return str(record["networks"][record["chosen"]]["digest"])


def answer_of(source: str, record: Mapping[str, Any]) -> KnownAnswer:
    """Return the known answer of a record."""
    return KnownAnswer(
        rule=record["rule"],
        inputs=tuple(known_answer.parse_input(one) for one in record["inputs"]),
        gain=record.get("gain", 1.0),
        outputs=tuple(known_answer.parse_output(one) for one in record["outputs"]),
        tolerance=TOLERANCE,
        source=source,
        mindspore=record["mindspore"],
        device=record["device"],
        date=record["date"],
    )


def apply(done: Iterable[SettledJob], cards: Mapping[str, Card]) -> int:
    """Write the answers of settled jobs into their cards; return how many cards were changed."""
    count = 0
    for one in done:
        if one.answer is None:
            continue
        for uid in one.uids:
            card = cards[uid]
            if card.path is None or card.recipe is None:
                continue
            members: dict[str, Any] = {"known-answer": one.answer.as_json()}
            # The inputs of a package's recipe are those that discovery takes for all networks of it.
            wanting = not card.recipe.inputs or (card.recipe.provider == "package" and bool(one.answer.inputs))
            wanting = wanting or any(dtype == "float64" for _, _, dtype in card.recipe.inputs)
            if wanting and card.recipe.provider != "builtin":
                members["inputs"] = [input_.as_json() for input_ in one.inputs]
                members["known-answer"].pop("inputs", None)
            told = f"equal to its known answer on MindSpore {one.mindspore} ({one.answer.device}), {one.answer.date}"
            write(card.path, {**members, "verdict": told})
            count += 1
    return count


def reasons(planned: Iterable[OracleJob], done: Iterable[SettledJob]) -> dict[str, str]:
    """Return of each card that got no answer the reason, by UID.

    Args:
        planned: The jobs.
        done: What came of them; a job that is not among them has no record of the oracle, or was not settled.
    """
    found = {uid: "nobody has asked for its answer, or compared it, yet" for job in planned for uid in job.uids}
    for one in done:
        for uid in one.uids:
            if one.state == EQUAL:
                found.pop(uid, None)
            else:
                found[uid] = without_folders(_TOLD[one.state].format(reason=one.reason, source=one.source))
    return found


_TOLD: Final = {
    DIFFERS: "it runs, and differs from {source}: {reason}",
    OTHER: "{reason}, which the recipe does not",
    DISAGREE: "the sources disagree: {reason}",
    NO_ANSWER: "{reason}",
    NOT_RUN: "{reason}",
}
