"""The rows of a check: what each requirement came to. Pure."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from hubtool import mismatch
from hubtool.card import metrics as metric_texts
from hubtool.card import placeholder
from hubtool.diagnostics import Severity
from hubtool.digest import Digest
from hubtool.errors import OfflineError
from hubtool.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Asset, Card
    from hubtool.checkpoint.header import Header
    from hubtool.diagnostics import Diagnostic
    from hubtool.errors import FetchError, HubError
    from hubtool.sandbox.run import ProgramResult
    from hubtool.transfer.http import Probe
    from hubtool.verification.verify import VerificationResult

RULES, LINKS, ASSETS, CHECKPOINT = "schema and rules", "links", "assets", "checkpoint"
RECIPE, COVERAGE, FORWARD, ANSWER = "recipe", "coverage", "forward pass", "known answer"
USAGE, METRICS = "usage block", "metrics"
NAMES = (RULES, LINKS, ASSETS, CHECKPOINT, RECIPE, COVERAGE, FORWARD, ANSWER, USAGE, METRICS)
# What a server answers where there is nothing yet, or no longer; buckets answer 403 to those who may not list them.
_ABSENT = frozenset({403, 404, 410})
_MAX_DETAILS = 20
_MAX_NAMES = 5
_METRIC_KEYS = ("accuracy", "mAP")
_VALUE = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?[ \t]*%?\Z")
_READ_ONLY = re.compile(r"Read-only file system|a usage block (?:writes|changes)")


class RowState(Enum):
    """The state of one requirement."""

    PASSED = "passed"
    FAILED = "failed"
    IMPOSSIBLE = "not possible here"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One requirement.

    Attributes:
        name: What was required.
        state: Whether it is met.
        reason: Why it failed, or was not possible here; empty if it passed.
        details: What was found, one sentence each.
    """

    name: str
    state: RowState
    reason: str = ""
    details: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool check --json`` prints."""
        return {"name": self.name, "state": self.state.value, "reason": self.reason, "details": list(self.details)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of a check.

    Attributes:
        uid: The card's UID, or None where neither its path nor its text gives one.
        path: The card.
        rows: The requirements, in order.
    """

    uid: str | None
    path: str
    rows: tuple[CheckRow, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; some of it may not have been possible here."""
        return all(row.state is not RowState.FAILED for row in self.rows)

    @property
    def complete(self) -> bool:
        """Whether everything passed."""
        return all(row.state is RowState.PASSED for row in self.rows)

    def row(self, name: str) -> CheckRow:
        """Return the row of one of :data:`NAMES`."""
        return next(row for row in self.rows if row.name == name)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool check --json`` prints."""
        return {
            "uid": self.uid,
            "path": self.path,
            "passed": self.passed,
            "complete": self.complete,
            "rows": [row.as_json() for row in self.rows],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAnswer:
    """What one link answered.

    Attributes:
        link: The link.
        what: What it is: ``repo-link``, or the file's name.
        size: The size that the card states in bytes, or None.
        seen: The answer, or None.
        error: Why there is none, or None.
        planned: Whether it need not answer yet, because the asset is given as a file.
    """

    link: str
    what: str
    size: int | None = None
    seen: Probe | None = None
    error: FetchError | None = None
    planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBytes:
    """The bytes of one asset.

    Attributes:
        asset: The asset.
        path: The file with its bytes, or None.
        digest: The SHA-256 of the file, whole.
        size: The size of the file in bytes.
        origin: Where the bytes came from: ``the file NAME``, ``stored``, ``fetched``, ``beside the card``.
        error: Why they could not be read, or are not the right ones; or None.
    """

    asset: Asset
    path: Path | None = None
    digest: str = ""
    size: int = 0
    origin: str = ""
    error: HubError | None = None


def passed(name: str, details: Sequence[str] = ()) -> CheckRow:
    """Return the row of a requirement that is met."""
    return CheckRow(name=name, state=RowState.PASSED, details=_few(details))


def failed(name: str, reason: str, details: Sequence[str] = ()) -> CheckRow:
    """Return the row of a requirement that is not met."""
    return CheckRow(name=name, state=RowState.FAILED, reason=reason, details=_few(details))


def impossible(name: str, reason: str, details: Sequence[str] = ()) -> CheckRow:
    """Return the row of a requirement that cannot be checked here."""
    return CheckRow(name=name, state=RowState.IMPOSSIBLE, reason=reason, details=_few(details))


def rules_row(diagnostics: Sequence[Diagnostic]) -> CheckRow:
    """Return the row of the schema and the rules: errors fail it, warnings are listed."""
    errors = sum(one.severity is Severity.ERROR for one in diagnostics)
    warnings = len(diagnostics) - errors
    details = [
        f"{one.line}:{one.column}: {one.severity.value} {one.code}: {one.message}"
        + (f" ({one.hint})" if one.hint else "")
        for one in sorted(diagnostics, key=lambda one: (one.severity is not Severity.ERROR, one.line, one.column))
    ]
    if not errors:
        return passed(RULES, details)
    reason = count(errors, "error") + (f", {count(warnings, 'warning')}" if warnings else "")
    return failed(RULES, reason, details)


def links_row(looked: Sequence[LinkAnswer], *, offline: bool) -> CheckRow:
    """Return the row of the links: each answers, and with the size that the card states."""
    if not looked:
        return passed(LINKS, ("the card names no link that could be asked",))
    if offline:
        return impossible(LINKS, f"{len(looked)} not asked: the network may not be used")
    wrong: list[str] = []
    waiting: list[str] = []
    details: list[str] = []
    for one in looked:
        size = one.seen.size if one.seen else None
        if placeholder.is_unpublished(one.link) or (
            one.planned and one.error is not None and one.error.status in _ABSENT
        ):
            (waiting if one.planned else wrong).append(f"{one.what} is not published yet")
        elif one.error is not None:
            wrong.append(f"{one.what}: {one.error.message}")
        elif one.size is not None and size is not None and size != one.size:
            wrong.append(f"{one.what}: the server has {size:,} bytes, and the card says {one.size:,}")
        else:
            moved = f", from {one.seen.link.url}" if one.seen and one.seen.link.url != one.link else ""
            details.append(f"{one.what} answers" + (f" with {size:,} bytes" if size and one.size else "") + moved)
    if wrong:
        return failed(LINKS, "; ".join(wrong), [*waiting, *details])
    if waiting:
        return impossible(LINKS, "; ".join(waiting), details)
    return passed(LINKS, details)


def assets_row(had: Sequence[AssetBytes], files: Sequence[Path] = ()) -> CheckRow:
    """Return the row of the assets: the bytes of each have the digest and the size that the card states."""
    if not had:
        reason = "the card names no asset" + (f", so that {files[0].name} is none of it" if files else "")
        return failed(ASSETS, reason)
    wrong: list[str] = []
    absent: list[str] = []
    details: list[str] = []
    for one in had:
        name = one.asset.file_name
        if one.error is not None:
            (absent if isinstance(one.error, OfflineError) else wrong).append(
                f"{name}: {one.error}".replace("\n", "; ")
            )
        elif one.asset.size is not None and one.asset.size != one.size:
            wrong.append(f"{name}: it has {one.size:,} bytes, and the card says {one.asset.size:,}")
        elif one.path is not None and (pointer := mismatch.pointer_file(one.path)) is not None:
            # The card was written for the pointer: its digest and size are those of the pointer.
            wrong.append(f"{name} is {pointer.what} ({pointer.hint})")
        else:
            short = ""
            if one.asset.digest is not None and one.asset.digest.is_short:
                short = f"; the card states only the beginning of its digest, {Digest(one.digest)}"
            details.append(f"{name}: {one.size:,} bytes, {one.origin}{short}")
    if wrong:
        return failed(ASSETS, "; ".join([*wrong, *absent]), details)
    if absent:
        return impossible(ASSETS, "; ".join(absent), details)
    return passed(ASSETS, details)


def checkpoint_row(header: Header, asset: Asset, strange: Mapping[str, int] | None = None) -> CheckRow:
    """Return the row of a checkpoint that could be read: its format is the card's, and its numbers are numbers.

    Args:
        header: What it holds.
        asset: What the card says of it.
        strange: How many elements are NaN or infinite, by the tensor's name; None if that was not checked.
    """
    types = ", ".join(sorted({tensor.dtype for tensor in header.tensors}))
    tensors, elements = count(len(header.tensors), "tensor"), count(header.elements, "element")
    details = [f"{tensors}, {elements} ({types or 'none'}), {header.format}"]
    if header.format != asset.format:
        reason = f"it is a {header.format} file, and the card says {asset.format}"
        return failed(CHECKPOINT, reason, details)
    if not header.elements:
        held = "no tensor" if not header.tensors else "only tensors without elements"
        return failed(CHECKPOINT, f"it holds {held}", details)
    if strange is None:
        details.append("its numbers were not read: NumPy is not installed")
    elif strange:
        some = [f"{name} ({number:,})" for name, number in list(strange.items())[:_MAX_NAMES]]
        some += [f"and {len(strange) - _MAX_NAMES} more"] if len(strange) > _MAX_NAMES else []
        reason = f"{sum(strange.values()):,} of its numbers are NaN or infinite: {', '.join(some)}"
        return failed(CHECKPOINT, reason, details)
    return passed(CHECKPOINT, details)


def proof_rows(recipe: CheckRow, ended: ProgramResult) -> list[CheckRow]:
    """Return the rows of recipe, coverage and forward pass from what the proving program answered."""
    answers: dict[str, dict[str, Any]] = {}
    for line in ended.answer.split(b"\n"):
        with contextlib.suppress(ValueError):
            answer = json.loads(line)
            answers[answer["stage"]] = answer
    rows = [recipe]
    if "recipe" in answers:
        rows = [_answered(RECIPE, answers["recipe"], recipe.details)]
    stopped = "" if "recipe" not in answers else f"see {RECIPE!r}"
    for name, stage in ((COVERAGE, "coverage"), (FORWARD, "forward")):
        if stage in answers:
            rows.append(_answered(name, answers[stage]))
            stopped = stopped or (f"see {name!r}" if rows[-1].state is not RowState.PASSED else "")
        elif stopped:
            rows.append(impossible(name, stopped))
        else:
            rows.append(failed(name, ending(ended)))
            stopped = f"see {name!r}"
    return rows


def _answered(name: str, answer: dict[str, Any], more: tuple[str, ...] = ()) -> CheckRow:
    details = [*more, *answer["details"]]
    if answer["failed"]:
        return failed(name, answer["failed"], details)
    return impossible(name, answer["impossible"], details) if answer["impossible"] else passed(name, details)


def answer_row(results: Sequence[VerificationResult], *, missing: str) -> CheckRow:
    """Return the row of the known answers that a card states: each is equal here.

    Args:
        results: What repeating each of them came to.
        missing: The sentence that asks for one with the weights, or empty if the card states one.
    """
    details, wrong = [], []
    for one in results:
        name = "weights-answer" if one.weights else "known-answer"
        allowed = "" if one.largest is None else f", by {one.largest:.2g} (allowed: {one.tolerance:g} of the scale)"
        details.append(f"{name}: {one.verdict}{allowed}")
        if one.verdict != "equal":
            wrong.append(f"{name}: {one.reason}")
    details += [missing] if missing else []
    if any(one.verdict == "differs" for one in results):
        return failed(ANSWER, "; ".join(wrong), details)
    return impossible(ANSWER, "; ".join(wrong), details) if wrong else passed(ANSWER, details)


def usage_row(ended: ProgramResult, adapted: Iterable[str]) -> CheckRow:
    """Return the row of the usage block: it ran to its end."""
    details = [*adapted, f"{ended.seconds:.1f} s; {ended.described}"]
    if ended.code == 0 and not ended.reason:
        return passed(USAGE, details)
    return failed(USAGE, ending(ended), [*details, *_last_lines(ended)])


def ending(ended: ProgramResult) -> str:
    """Return in one sentence how a program ended that did not end well."""
    if ended.reason:
        return ended.reason
    last = _error(ended)
    if last.startswith("EOFError"):
        return "it asks for input"
    if _READ_ONLY.search(last):
        return f"it writes outside its folder: {last[:300]}"
    if last.startswith("MemoryError"):
        return "it needs more memory than the limit allows"
    return f"it ended with {ended.code}" + (f": {last[:300]}" if last else "")


def _error(ended: ProgramResult) -> str:
    """Return the error that ended a program: what it answered, or else what it printed last."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(ended.answer)["error"])
    lines = [line for line in ended.output.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("hint: ")] or lines  # the error comes before its hint
    named = (line for line in reversed(lines) if re.match(r"[A-Za-z_][\w.]*(?::|\Z)", line))
    return next(named, lines[-1] if lines else "")


def _last_lines(ended: ProgramResult) -> list[str]:
    return [line for line in ended.output.splitlines() if line.strip()][-12:]


def metrics_row(card: Card) -> CheckRow:
    """Return the row of the metrics: each is a name and a number."""
    details: list[str] = []
    wrong: list[str] = []
    read = metric_texts.of_values(card.values)
    details += [f"{one.name} {one.value}{one.unit}" for one in read.metrics]
    wrong += [f"{part!r} in 'evaluation' is not a name and a number" for part in read.unread]
    for key in _METRIC_KEYS:
        value = card.text(key)
        if value is not None:
            (details if _VALUE.match(value) else wrong).append(
                f"{key} {value}" if _VALUE.match(value) else f"{key!r} is {value!r}, and not a number"
            )
    if wrong:
        return failed(METRICS, "; ".join(wrong), details)
    return passed(METRICS, details or ("the card states none",))


def _few(details: Sequence[str]) -> tuple[str, ...]:
    more = len(details) - _MAX_DETAILS
    return tuple(details) if more <= 0 else (*details[:_MAX_DETAILS], f"and {more} more")
