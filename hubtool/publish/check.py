"""All that publishing a card requires, in order: each requirement is a row of a table.

:func:`check_card` looks, fetches and runs; what it learns becomes rows by the functions below it, which are pure.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from hubtool import mismatch, settings
from hubtool.assets import fetch_asset
from hubtool.card import document as documents
from hubtool.card import metrics as metric_texts
from hubtool.card import model, placeholder, usage, vocabulary
from hubtool.card.files import read_card_file
from hubtool.card.validate import run
from hubtool.card.validate.selection import Selection
from hubtool.checkpoint import operators
from hubtool.checkpoint.mindir import read_inputs
from hubtool.checkpoint.reading import check_graph, read_header
from hubtool.checkpoint.values import not_finite
from hubtool.diagnostics import Severity
from hubtool.digest import Digest, digest_file
from hubtool.errors import (
    ArgumentError,
    AssetError,
    CardError,
    CheckpointError,
    DigestError,
    FetchError,
    ForbiddenLinkError,
    HubError,
    OfflineError,
    RecipeError,
    RequirementError,
    StoreError,
)
from hubtool.publish import bench as benches
from hubtool.publish import finishing
from hubtool.resolution import machine, resolver
from hubtool.resolution import trust as trusts
from hubtool.resolution.choice import choose_graph, choose_weights
from hubtool.sandbox.confine import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.document import Document
    from hubtool.card.model import Asset, Card
    from hubtool.checkpoint.header import Header
    from hubtool.diagnostics import Diagnostic
    from hubtool.hub import Hub
    from hubtool.publish.bench import Bench
    from hubtool.resolution.facts import Facts
    from hubtool.resolution.finding import FoundCard
    from hubtool.resolution.resolver import Resolution
    from hubtool.sandbox.confine import Ended
    from hubtool.transfer.http import Probe

# What a server says where there is nothing yet, or no longer; buckets say 403 to those who may not list them.
_ABSENT = frozenset({403, 404, 410})
_MOST_DETAILS = 20
_MOST_NAMES = 5
GIVE_FILE = "give the file with --asset FILE"
_METRIC_KEYS = ("accuracy", "mAP")
_VALUE = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?[ \t]*%?\Z")
_READ_ONLY = re.compile(r"Read-only file system|a usage block (?:writes|changes)")


class State(Enum):
    """What came of one requirement."""

    PASSED = "passed"
    FAILED = "failed"
    IMPOSSIBLE = "not possible here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One requirement.

    Attributes:
        name: What was required.
        state: What came of it.
        reason: Why it failed, or was not possible here; of what passed, empty.
        details: What was found, one sentence each.
    """

    name: str
    state: State
    reason: str = ""
    details: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool check --json`` prints."""
        return {"name": self.name, "state": self.state.value, "reason": self.reason, "details": list(self.details)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What came of all requirements.

    Attributes:
        uid: The card's UID, or None where neither its path nor its text gives one.
        path: The card.
        rows: The requirements, in order.
    """

    uid: str | None
    path: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; some of it may not have been possible here."""
        return all(row.state is not State.FAILED for row in self.rows)

    @property
    def complete(self) -> bool:
        """Whether everything passed."""
        return all(row.state is State.PASSED for row in self.rows)

    def row(self, name: str) -> Row:
        """Return the row of a name.

        Raises:
            KeyError: If there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool check --json`` prints."""
        return {
            "uid": self.uid,
            "path": self.path,
            "passed": self.passed,
            "complete": self.complete,
            "rows": [row.as_json() for row in self.rows],
        }


RULES, LINKS, ASSETS, CHECKPOINT = "schema and rules", "links", "assets", "checkpoint"
RECIPE, COVERAGE, FORWARD, USAGE, METRICS = "recipe", "coverage", "forward pass", "usage block", "metrics"
NAMES = (RULES, LINKS, ASSETS, CHECKPOINT, RECIPE, COVERAGE, FORWARD, USAGE, METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """What became of looking at one link.

    Attributes:
        link: The link.
        what: What it is: ``repo-link``, or the file's name.
        size: The size that the card states, or None.
        seen: What it answered, or None.
        error: Why it did not, or None.
        planned: Whether it is allowed not to answer yet: the asset is given as a file.
    """

    link: str
    what: str
    size: int | None = None
    seen: Probe | None = None
    error: FetchError | None = None
    planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """What became of the bytes of one asset.

    Attributes:
        asset: The asset.
        path: The file with its bytes, or None.
        digest: The digest of the file, whole.
        size: The size of the file.
        origin: Where the bytes came from: ``the file``, ``the store``, ``fetched``, ``beside the card``.
        error: Why they could not be had, or are not the right ones; or None.
    """

    asset: Asset
    path: Path | None = None
    digest: str = ""
    size: int = 0
    origin: str = ""
    error: HubError | None = None


@dataclass(kw_only=True, slots=True)
class _Rows:
    """The rows so far; each is told as soon as it is there."""

    tell: Callable[[Row], None] | None
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> Row:
        self.rows.append(row)
        if self.tell is not None:
            self.tell(row)
        return row


def check_card(
    hub: Hub,
    name: str | Path,
    *,
    assets: Sequence[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    trust: bool = False,
    checkout: Path | None = None,
    tell: Callable[[Row], None] | None = None,
) -> CheckReport:
    """Check all that publishing a card requires.

    Code of the card, and of its repository if that is trusted, runs in programs that are shut in; see
    :mod:`hubtool.sandbox.confine`.

    Args:
        hub: Settings, registries and store.
        name: The path of a card, in a registry or not, or a UID.
        assets: Files that will be published as assets of the card. Their links need not answer yet, and nothing of
            them goes into the user's store.
        limits: What a program may take; for a large checkpoint, more is added.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        tell: Called with each row as soon as it is there.

    Raises:
        InvalidNameError: If the name is malformed.
        CardNotFoundError: If there is no such card.
        ArgumentError: If one of ``assets`` is not a file, or none of the card's assets; or if the card needs no
            checkout, or it lacks the folder that the card names.
    """
    for path in assets:
        if not path.is_file():
            raise ArgumentError(f"there is no file {path}", hint="give the file that will be the card's asset")
    rows = _Rows(tell=tell)
    path, local = card_file(hub, str(name))
    options = run.Options(
        selection=Selection(ignore=(placeholder.UNPUBLISHED_RULE,) if assets else ()),
        hosts=frozenset(hub.settings.allowed_hosts),
    )
    rows.add(rules_row(run.check_paths([path], options).diagnostics))
    try:
        found, document = read_once(hub, str(name), path, local=local)
    except (CardError, OSError):
        for other in NAMES[1:]:
            rows.add(Row(name=other, state=State.IMPOSSIBLE, reason="the card cannot be read"))
        return CheckReport(uid=None, path=str(path), rows=tuple(rows.rows))
    status = found.card.status
    if status is not None and status.is_withdrawn:
        for other in NAMES[1:]:
            rows.add(Row(name=other, state=State.IMPOSSIBLE, reason="the card is withdrawn: it is not to be used"))
        return CheckReport(uid=_uid_text(found), path=str(path), rows=tuple(rows.rows))
    told = None if checkout is None else benches.compare_checkout(hub, found, checkout)
    with benches.open_bench(hub, found, document, trust=trust, checkout=checkout) as bench:
        _check(hub, found, document, bench, rows, files=assets, limits=limits, trust=trust, checkout=told)
    return CheckReport(uid=str(bench.uid) if bench.uid else None, path=str(path), rows=tuple(rows.rows))


def _uid_text(found: FoundCard) -> str | None:
    return str(found.card.uid) if found.card.uid else None


def read_once(hub: Hub, name: str, path: Path, *, local: bool) -> tuple[FoundCard, Document]:
    """Find a card and take its file apart: both are of the same bytes, as far as it matters for what runs.

    Raises:
        CardError: If it cannot be read, or changed meanwhile.
        OSError: If the file cannot be read.
    """
    found = hub.find(name, local=local)
    data = read_card_file(str(path))[1]
    again = model.read(data, uid=found.card.uid, path=path)
    stated = [(one.recipe, one.repo_link, one.text("repo-revision"), one.body) for one in (found.card, again)]
    if stated[0] != stated[1]:
        raise CardError(f"{path} changed while it was read", hint="run the command again")
    return found, documents.parse(data)


def card_file(hub: Hub, name: str) -> tuple[Path, bool]:
    """Return the file of a card, and whether its name is a path and no UID.

    Raises:
        CardNotFoundError: If there is no such card.
        CardError: If there is no such file, or the card stands in none.
        InvalidNameError: If the name is malformed.
    """
    path = settings.expand_user(name) if "\0" not in name else None
    if path is not None and (path.is_file() or name.endswith(".md")):
        if not path.is_file():
            raise CardError(f"there is no card at {ascii(name)[1:-1]}", hint="give the path of a card's .md file")
        return path.absolute(), True
    card = hub.find(name).card
    if card.path is None:
        raise CardError(f"the card {name} stands in no file", hint="give the path of a card's .md file")
    return card.path, False


def _check(
    hub: Hub,
    found: FoundCard,
    document: Document,
    bench: Bench,
    rows: _Rows,
    *,
    files: Sequence[Path],
    limits: Limits,
    trust: bool,
    checkout: str | None,
) -> None:
    card = found.card
    chosen = match_files(card, files)
    rows.add(links_row(_look(hub, card, planned=set(chosen)), offline=hub.settings.offline))
    had = _bytes(hub, found, bench, chosen)
    assets = rows.add(assets_row(had, files))
    main = choose_weights(card) or choose_graph(card)
    file = next((one for one in had if one.asset is main and one.error is None), None)
    header, is_readable = None, False
    if file is None or file.path is None:
        rows.add(_without(CHECKPOINT, card, main, assets))
    elif file.asset.is_weights:
        header = _header(rows, file.path, file.asset)
        is_readable = header is not None
    else:
        is_readable = rows.add(_graph(file.path, file.asset)).state is State.PASSED
    limits = benches.with_room(limits, weights=file.size if file else 0)
    here = machine.probe()
    device = "Ascend" if "Ascend" in here.devices else "CPU"
    resolution = hub.resolve(found, trust=trust, compare=False)
    if main is not None and main.runner is not None:
        recipe = _graph_recipe(file if is_readable else None, resolution.facts)
    else:
        recipe = _recipe(hub, resolution, header, checkout=checkout)
    reason = ""
    if main is not None and main.runner is not None and not main.is_mindir:
        reason = f"MindSpore does not run a graph in the format {main.format}; {main.runner} does"
    elif recipe.state is not State.PASSED:
        reason = f"see {RECIPE!r}"
    elif not is_readable:
        reason = f"see {CHECKPOINT!r}"
    elif here.mindspore is None:
        reason = "MindSpore is not installed"
    if reason:
        rows.add(recipe)
        for name in (COVERAGE, FORWARD):
            rows.add(Row(name=name, state=State.IMPOSSIBLE, reason=reason))
    else:
        for row in proof_rows(recipe, bench.run_proof(device, limits)):
            rows.add(row)
    code = usage.of_document(document)
    if code is None:
        rows.add(Row(name=USAGE, state=State.FAILED, reason="the card has no block of Python code in a section Usage"))
    elif here.mindspore is None:
        rows.add(Row(name=USAGE, state=State.IMPOSSIBLE, reason="MindSpore is not installed"))
    elif assets.state is not State.PASSED:
        rows.add(Row(name=USAGE, state=State.IMPOSSIBLE, reason=f"see {ASSETS!r}"))
    elif recipe.state is State.IMPOSSIBLE:
        rows.add(Row(name=USAGE, state=State.IMPOSSIBLE, reason=f"see {RECIPE!r}"))
    else:
        adapted = usage.for_device(code, device)
        ended = bench.run_usage(adapted, str(card.path or bench.card), limits)
        rows.add(usage_row(ended, adapted.adapted))
    rows.add(metrics_row(card))


# -- looking -----------------------------------------------------------------------------------------------------------


def match_files(card: Card, files: Sequence[Path]) -> dict[int, Path]:
    """Return which asset each file is meant to be, by the asset's place on the card.

    Raises:
        ArgumentError: If one is none of the card's assets.
        StoreError: If one cannot be read.
    """
    measured = []
    for file in files:
        try:
            measured.append(finishing.Measured(path=file, digest=digest_file(file), size=file.stat().st_size))
        except OSError as error:  # noqa: PERF203 - a card has few files
            raise StoreError(f"{file} cannot be read: {error.strerror or error}") from error
    if not card.assets:
        return {}
    return {at: file.path for at, file in finishing.match(card, measured).items()}


def _look(hub: Hub, card: Card, *, planned: Collection[int]) -> list[LookedAt]:
    wanted = [
        LookedAt(link=asset.link, what=asset.file_name, size=asset.size, planned=at in planned)
        for at, asset in enumerate(card.assets)
        if not asset.is_local
    ]
    for key in card.values:
        text = card.text(key)
        if text is not None and (key == "repo-link" or key.endswith("-repo-link")):
            wanted.append(LookedAt(link=text.strip().strip("<>"), what=key))
    if hub.settings.offline:
        return wanted
    from hubtool.transfer.http import HttpTransport  # noqa: PLC0415 - it brings requests, which few commands need

    looked: list[LookedAt] = []
    with contextlib.closing(HttpTransport(hub.policy)) as transport:
        for one in wanted:
            seen, error = None, None
            if not placeholder.is_unpublished(one.link):
                try:
                    seen = transport.probe(hub.policy.check(one.link))
                    seen.raise_for_status()
                except FetchError as problem:
                    seen, error = None, problem
            looked.append(
                LookedAt(link=one.link, what=one.what, size=one.size, seen=seen, error=error, planned=one.planned)
            )
    return looked


def _bytes(hub: Hub, found: FoundCard, bench: Bench, chosen: Mapping[int, Path]) -> list[Bytes]:
    """Bring the bytes of every asset: the file that is given, what stands beside the card, the store, or fetched."""
    result: list[Bytes] = []
    for at, asset in enumerate(found.card.assets):
        file = chosen.get(at)
        try:
            if file is not None:
                result.append(put_given(bench, asset, file))
                continue
            if placeholder.is_unpublished(asset.link):
                raise AssetError(placeholder.not_published(asset.file_name), hint=GIVE_FILE)
            stored_before = (
                asset.digest is not None
                and not asset.is_local
                and hub.store.path(asset.digest, link=asset.link) is not None
            )
            stored = fetch_asset(hub, found, asset)
            bench.mean(asset.link, stored.digest)
            origin = "beside the card" if asset.is_local else "stored" if stored_before else "fetched"
            result.append(Bytes(asset=asset, path=stored.path, digest=stored.digest, size=stored.size, origin=origin))
        except (HubError, OSError) as error:
            told = error if isinstance(error, HubError) else StoreError(f"{file} cannot be read: {error}")
            result.append(Bytes(asset=asset, error=told))
    return result


def put_given(bench: Bench, asset: Asset, file: Path) -> Bytes:
    """Copy the file that is given into the bench's store, where it cannot change any more.

    Raises:
        AssetError: If it is not the file that the card means, or the card states no digest.
    """
    if asset.digest is None:
        raise AssetError(f"the card states no digest; the file's is {digest_file(file)}")
    try:
        stored = bench.put(file, asset.digest.hex)
    except DigestError as error:
        size = file.stat().st_size
        why = mismatch.explain(file, asset.digest, None)
        if why is not None:
            raise AssetError(f"{file.name} is {why.what}", hint=why.hint) from error
        raise AssetError(
            f"{file.name} is not the file that the card means: it has the SHA-256 {error.actual} and {size:,} bytes, "
            f"and the card says {asset.digest}" + (f" and {asset.size:,} bytes" if asset.size else ""),
            hint="correct the card, or give the right file",
        ) from error
    bench.mean(asset.link, stored.digest)
    return Bytes(asset=asset, path=stored.path, digest=stored.digest, size=stored.size, origin=f"the file {file.name}")


def _header(rows: _Rows, path: Path, asset: Asset) -> Header | None:
    """Read a checkpoint, header and numbers, and add its row; return its header if it could be read."""
    try:
        header = read_header(path)
    except CheckpointError as error:
        rows.add(Row(name=CHECKPOINT, state=State.FAILED, reason=str(error)))
        return None
    try:
        wrong = not_finite(path, header)
    except RequirementError:
        wrong = None
    except CheckpointError as error:
        rows.add(Row(name=CHECKPOINT, state=State.FAILED, reason=str(error)))
        return None
    rows.add(checkpoint_row(header, asset, wrong))
    return header


def _graph(path: Path, asset: Asset) -> Row:
    """Return the row of a file that holds a whole network."""
    try:
        if not asset.is_mindir:
            check_graph(path, asset.format)
            told = f"a graph in the format {asset.format}, which hubtool does not read; it is run by {asset.runner}"
            return Row(name=CHECKPOINT, state=State.PASSED, details=(told,))
        inputs = read_inputs(path)
        operators.foreign(path)
    except CheckpointError as error:
        return Row(name=CHECKPOINT, state=State.FAILED, reason=str(error))
    told = ", ".join(f"{one.name} {one.dtype} {list(one.shape)}" for one in inputs) or "none"
    return Row(name=CHECKPOINT, state=State.PASSED, details=(f"a MindIR graph; its inputs: {told}",))


def _graph_recipe(file: Bytes | None, facts: Facts) -> Row:
    """Return the row of the recipe of a graph: it needs none, and perhaps consent to its operators."""
    if file is not None and file.path is not None and file.asset.is_mindir:
        # The file may be one that was given, which no resolution knows.
        found = operators.foreign(file.path)
        decision = trusts.decide_graph(file.digest, found, facts.trust, agreed_now=facts.agreed_now)
        if decision is not None and not decision.allowed:
            return Row(name=RECIPE, state=State.IMPOSSIBLE, reason=f"{decision.why} ({decision.hint})")
    return Row(name=RECIPE, state=State.PASSED, details=("none is needed: the graph is the network",))


def _recipe(hub: Hub, resolution: Resolution, header: Header | None, *, checkout: str | None) -> Row:
    """Take the recipe as far as no code runs: arguments against shapes, packages, code of the repository."""
    recipe = resolution.recipe
    problems = resolver.recipe_problems(resolution.card)
    if problems or recipe is None:
        return Row(name=RECIPE, state=State.FAILED, reason="; ".join(problem.reason for problem in problems))
    details = [f"{recipe.provider} {recipe.entry}"]
    decision = resolution.decision
    refused = next((one.error for one in resolution.problems if one.stage == "code"), None)
    if decision is None and refused is not None:
        return Row(name=RECIPE, state=State.FAILED, reason=refused.message, details=tuple(details))
    if decision is not None and not decision.allowed:
        why = f"{decision.why} ({decision.hint})"
        return Row(name=RECIPE, state=State.IMPOSSIBLE, reason=why, details=tuple(details))
    if recipe.provider == "repository":
        try:
            details.append(checkout or f"code of commit {benches.bring_code(hub, resolution.found)}")
        except (OfflineError, ForbiddenLinkError) as error:
            return Row(name=RECIPE, state=State.IMPOSSIBLE, reason=error.message, details=tuple(details))
        except HubError as error:
            return Row(name=RECIPE, state=State.FAILED, reason=error.message, details=tuple(details))
    if recipe.provider == "builtin" and header is not None:
        from hubtool.networks.builtin.inference import infer  # noqa: PLC0415 - for this one kind of network

        try:
            details.extend(infer(recipe.entry, recipe.arguments, header.shapes()).notes)
        except RecipeError as error:
            return Row(name=RECIPE, state=State.FAILED, reason=error.message, details=tuple(details))
    return Row(name=RECIPE, state=State.PASSED, details=tuple(details))


# -- rows: pure --------------------------------------------------------------------------------------------------------


def rules_row(diagnostics: Sequence[Diagnostic]) -> Row:
    """Return the row of the schema and the rules: errors fail it, warnings are told."""
    errors = sum(one.severity is Severity.ERROR for one in diagnostics)
    warnings = len(diagnostics) - errors
    details = [
        f"{one.line}:{one.column}: {one.severity.value} {one.code}: {one.message}"
        + (f" ({one.hint})" if one.hint else "")
        for one in sorted(diagnostics, key=lambda one: (one.severity is not Severity.ERROR, one.line, one.column))
    ]
    if not errors:
        return Row(name=RULES, state=State.PASSED, details=_few(details))
    reason = f"{errors} error{'' if errors == 1 else 's'}"
    reason += f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    return Row(name=RULES, state=State.FAILED, reason=reason, details=_few(details))


def links_row(looked: Sequence[LookedAt], *, offline: bool) -> Row:
    """Return the row of the links: each answers, and with the size that the card states."""
    if not looked:
        return Row(name=LINKS, state=State.PASSED, details=("the card names no link that could be asked",))
    if offline:
        return Row(name=LINKS, state=State.IMPOSSIBLE, reason=f"{len(looked)} not asked: the network may not be used")
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
        return Row(name=LINKS, state=State.FAILED, reason="; ".join(wrong), details=_few([*waiting, *details]))
    if waiting:
        return Row(name=LINKS, state=State.IMPOSSIBLE, reason="; ".join(waiting), details=_few(details))
    return Row(name=LINKS, state=State.PASSED, details=_few(details))


def assets_row(had: Sequence[Bytes], files: Sequence[Path] = ()) -> Row:
    """Return the row of the assets: the bytes of each have the digest and the size that the card states."""
    if not had:
        reason = "the card names no asset" + (f", so that {files[0].name} is none of it" if files else "")
        return Row(name=ASSETS, state=State.FAILED, reason=reason)
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
        return Row(name=ASSETS, state=State.FAILED, reason="; ".join([*wrong, *absent]), details=_few(details))
    if absent:
        return Row(name=ASSETS, state=State.IMPOSSIBLE, reason="; ".join(absent), details=_few(details))
    return Row(name=ASSETS, state=State.PASSED, details=_few(details))


def checkpoint_row(header: Header, asset: Asset, strange: Mapping[str, int] | None = None) -> Row:
    """Return the row of a checkpoint that could be read: its format is the card's, and its numbers are numbers.

    Args:
        header: What it holds.
        asset: What the card says of it.
        strange: How many elements are NaN or infinite, by the tensor's name; None if nobody looked.
    """
    types = ", ".join(sorted({tensor.dtype for tensor in header.tensors}))
    tensors = f"{len(header.tensors):,} tensor{'' if len(header.tensors) == 1 else 's'}"
    elements = f"{header.elements:,} element{'' if header.elements == 1 else 's'}"
    details: tuple[str, ...] = (f"{tensors}, {elements} ({types or 'none'}), {header.format}",)
    if header.format != asset.format:
        reason = f"it is a {header.format} file, and the card says {asset.format}"
        return Row(name=CHECKPOINT, state=State.FAILED, reason=reason, details=details)
    if not header.elements:
        held = "no tensor" if not header.tensors else "only tensors without elements"
        return Row(name=CHECKPOINT, state=State.FAILED, reason=f"it holds {held}", details=details)
    if strange is None:
        details += ("its numbers were not read: NumPy is not installed",)
    elif strange:
        some = [f"{name} ({count:,})" for name, count in list(strange.items())[:_MOST_NAMES]]
        some += [f"and {len(strange) - _MOST_NAMES} more"] if len(strange) > _MOST_NAMES else []
        reason = f"{sum(strange.values()):,} of its numbers are NaN or infinite: {', '.join(some)}"
        return Row(name=CHECKPOINT, state=State.FAILED, reason=reason, details=details)
    return Row(name=CHECKPOINT, state=State.PASSED, details=details)


def _without(name: str, card: Card, weights: Asset | None, assets: Row) -> Row:
    if weights is None and card.values.get("mindspore-lite") is True and card.assets:
        return Row(name=name, state=State.PASSED, details=("there is none: the card is for MindSpore Lite",))
    if weights is None:
        return Row(name=name, state=State.FAILED, reason="the card names no checkpoint")
    return Row(name=name, state=State.IMPOSSIBLE, reason=f"see {assets.name!r}")


def proof_rows(recipe: Row, ended: Ended) -> list[Row]:
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
            stopped = stopped or (f"see {name!r}" if rows[-1].state is not State.PASSED else "")
        elif stopped:
            rows.append(Row(name=name, state=State.IMPOSSIBLE, reason=stopped))
        else:
            rows.append(Row(name=name, state=State.FAILED, reason=ending(ended)))
            stopped = f"see {name!r}"
    return rows


def _answered(name: str, answer: dict[str, Any], more: tuple[str, ...] = ()) -> Row:
    details = _few([*more, *answer["details"]])
    if answer["failed"] or answer["impossible"]:
        state = State.FAILED if answer["failed"] else State.IMPOSSIBLE
        return Row(name=name, state=state, reason=answer["failed"] or answer["impossible"], details=details)
    return Row(name=name, state=State.PASSED, details=details)


def usage_row(ended: Ended, adapted: Iterable[str]) -> Row:
    """Return the row of the usage block: it ran to its end."""
    details = [*adapted, f"{ended.seconds:.1f} s; {ended.described}"]
    if ended.code == 0 and not ended.reason:
        return Row(name=USAGE, state=State.PASSED, details=tuple(details))
    return Row(name=USAGE, state=State.FAILED, reason=ending(ended), details=_few([*details, *_last_lines(ended)]))


def ending(ended: Ended) -> str:
    """Return in one sentence how a program ended that did not end well."""
    if ended.reason:
        return ended.reason
    last = _error(ended)
    if last.startswith("EOFError"):
        return "it asks for input"
    if _READ_ONLY.search(last):
        return f"it writes outside its folder: {last[:300]}"
    if last.startswith("MemoryError"):
        return "it asks for more memory than there may be"
    return f"it ended with {ended.code}" + (f": {last[:300]}" if last else "")


def _error(ended: Ended) -> str:
    """Return the error that ended a program: what it answered, or else what it printed last."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(ended.answer)["error"])
    lines = [line for line in ended.output.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("hint: ")] or lines  # the error comes before its hint
    named = (line for line in reversed(lines) if re.match(r"[A-Za-z_][\w.]*(?::|\Z)", line))
    return next(named, lines[-1] if lines else "")


def _last_lines(ended: Ended) -> list[str]:
    return [line for line in ended.output.splitlines() if line.strip()][-12:]


def metrics_row(card: Card) -> Row:
    """Return the row of the metrics: each is a name and a number."""
    details: list[str] = []
    wrong: list[str] = []
    text = card.text("evaluation")
    if text is not None and not vocabulary.says_nothing(text):
        read = metric_texts.parse(text)
        details += [f"{one.name} {one.value}{one.unit}" for one in read.metrics]
        wrong += [f"{part!r} in 'evaluation' is not a name and a number" for part in read.unread]
    for key in _METRIC_KEYS:
        value = card.text(key)
        if value is not None:
            (details if _VALUE.match(value) else wrong).append(
                f"{key} {value}" if _VALUE.match(value) else f"{key!r} is {value!r}, and not a number"
            )
    if wrong:
        return Row(name=METRICS, state=State.FAILED, reason="; ".join(wrong), details=_few(details))
    return Row(name=METRICS, state=State.PASSED, details=_few(details) or ("the card states none",))


def _few(details: Sequence[str]) -> tuple[str, ...]:
    more = len(details) - _MOST_DETAILS
    return tuple(details) if more <= 0 else (*details[:_MOST_DETAILS], f"and {more} more")
