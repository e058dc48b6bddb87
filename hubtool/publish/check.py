"""Check all that publishing a card requires, in order: look, fetch and run. The rows are in :mod:`.check_rows`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hubtool.assets import fetch_asset
from hubtool.card import known_answer, placeholder, usage
from hubtool.card.validate import run
from hubtool.card.validate.selection import Selection
from hubtool.checkpoint import operators
from hubtool.checkpoint.coverage import renamed
from hubtool.checkpoint.mindir import read_inputs
from hubtool.checkpoint.reading import check_graph, read_header
from hubtool.checkpoint.values import not_finite
from hubtool.errors import (
    ArgumentError,
    AssetError,
    CardError,
    CheckpointError,
    FetchError,
    ForbiddenLinkError,
    HubError,
    OfflineError,
    RecipeError,
    RequirementError,
    StoreError,
)
from hubtool.publish.check_rows import (
    ANSWER,
    ASSETS,
    CHECKPOINT,
    COVERAGE,
    FORWARD,
    NAMES,
    RECIPE,
    USAGE,
    AssetBytes,
    CheckReport,
    CheckRow,
    LinkAnswer,
    RowState,
    answer_row,
    assets_row,
    checkpoint_row,
    failed,
    impossible,
    links_row,
    metrics_row,
    passed,
    proof_rows,
    rules_row,
    usage_row,
)
from hubtool.resolution import machine, resolver
from hubtool.resolution import trust as trusts
from hubtool.resolution.choice import choose_graph, choose_weights
from hubtool.sandbox.limits import DEFAULT_LIMITS, ProgramLimits
from hubtool.verification import workspace as workspaces
from hubtool.verification.asset_file import GIVE_FILE, match_files, put_asset
from hubtool.verification.card_file import card_file, read_once
from hubtool.verification.verify import (
    DIFFERS,
    IMPOSSIBLE,
    NoAnswerError,
    VerificationResult,
    judge,
    measure_in,
    recipe_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.document import Document
    from hubtool.card.model import Asset, Card
    from hubtool.checkpoint.header import Header
    from hubtool.hub import Hub
    from hubtool.resolution.facts import Facts
    from hubtool.resolution.finding import FoundCard
    from hubtool.resolution.resolver import Resolution
    from hubtool.sandbox.run import ProgramResult
    from hubtool.store.records import Stored
    from hubtool.uid import Uid
    from hubtool.verification.workspace import ProofWorkspace

ASK_FOR_ANSWER = (
    "the card has no known answer with its weights; 'hubtool verify CARD --weights --record' adds one, which everybody "
    "can repeat"
)


@dataclass(kw_only=True, slots=True)
class _Rows:
    """The rows so far; each is passed to ``tell`` as soon as it is there."""

    tell: Callable[[CheckRow], None] | None
    rows: list[CheckRow] = field(default_factory=list)

    def add(self, row: CheckRow) -> CheckRow:
        self.rows.append(row)
        if self.tell is not None:
            self.tell(row)
        return row

    def without(self, reason: str, *, uid: Uid | None, path: Path) -> CheckReport:
        """Return the report where nothing but the first row is possible."""
        for name in NAMES[1:]:
            self.add(impossible(name, reason))
        return self.report(uid=uid, path=path)

    def report(self, *, uid: Uid | None, path: Path) -> CheckReport:
        return CheckReport(uid=str(uid) if uid else None, path=str(path), rows=tuple(self.rows))


def check_card(
    hub: Hub,
    name: str | Path,
    *,
    assets: Sequence[Path] = (),
    limits: ProgramLimits = DEFAULT_LIMITS,
    trust: bool = False,
    checkout: Path | None = None,
    tell: Callable[[CheckRow], None] | None = None,
) -> CheckReport:
    """Check all that publishing a card requires.

    Code of the card, and of its repository if that is trusted, runs in isolated programs; see
    :mod:`hubtool.sandbox.run`.

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
    options = run.ValidateOptions(
        selection=Selection(ignore=(placeholder.UNPUBLISHED_RULE,) if assets else ()),
        hosts=frozenset(hub.settings.allowed_hosts),
    )
    rows.add(rules_row(run.check_paths([path], options).diagnostics))
    try:
        found, document = read_once(hub, str(name), path, local=local)
    except (CardError, OSError):
        return rows.without("the card cannot be read", uid=None, path=path)
    status = found.card.status
    if status is not None and status.is_withdrawn:
        return rows.without("the card is withdrawn: it is not to be used", uid=found.card.uid, path=path)
    told = None if checkout is None else workspaces.compare_checkout(hub, found, checkout)
    with workspaces.open_workspace(hub, found, document, trust=trust, checkout=checkout) as workspace:
        _check(hub, found, document, workspace, rows, files=assets, limits=limits, trust=trust, checkout=told)
    return rows.report(uid=workspace.uid, path=path)


def _check(
    hub: Hub,
    found: FoundCard,
    document: Document,
    workspace: ProofWorkspace,
    rows: _Rows,
    *,
    files: Sequence[Path],
    limits: ProgramLimits,
    trust: bool,
    checkout: str | None,
) -> None:
    card = found.card
    chosen = match_files(card, files)
    rows.add(links_row(_look(hub, card, planned=set(chosen)), offline=hub.settings.offline))
    had = _bytes(hub, found, workspace, chosen)
    assets = rows.add(assets_row(had, files))
    main = choose_weights(card) or choose_graph(card)
    file = next((one for one in had if one.asset is main and one.error is None), None)
    header, is_readable = None, False
    if file is None or file.path is None:
        rows.add(_without(card, main, assets))
    elif file.asset.is_weights:
        header = _header(rows, file.path, file.asset)
        is_readable = header is not None
    else:
        is_readable = rows.add(_graph(file.path, file.asset)).state is RowState.PASSED
    limits = workspaces.with_room(limits, weights=file.size if file else 0)
    here = machine.probe()
    device = "Ascend" if "Ascend" in here.devices else "CPU"
    # What is published must say itself how its network is built.
    resolution = hub.resolve(found, trust=trust, loading=True, borrowing=False)
    if main is not None and main.runner is not None:
        recipe = _graph_recipe(file if is_readable else None, resolution.facts)
    else:
        recipe = _recipe(hub, resolution, header, checkout=checkout)
    reason = ""
    if main is not None and main.runner is not None and not main.is_mindir:
        reason = f"MindSpore does not run a graph in the format {main.format}; {main.runner} does"
    elif recipe.state is not RowState.PASSED:
        reason = f"see {RECIPE!r}"
    elif not is_readable:
        reason = f"see {CHECKPOINT!r}"
    elif here.mindspore is None:
        reason = "MindSpore is not installed"
    if reason:
        rows.add(recipe)
        for name in (COVERAGE, FORWARD):
            rows.add(impossible(name, reason))
        rows.add(impossible(ANSWER, reason))
    else:
        proved = [rows.add(row) for row in proof_rows(recipe, _prove(workspace, device, limits))]
        first = next((row for row in proved if row.state is not RowState.PASSED), None)
        rows.add(impossible(ANSWER, f"see {first.name!r}") if first else _answers(card, workspace, device, limits))
    code = usage.of_document(document)
    if code is None:
        rows.add(failed(USAGE, "the card has no block of Python code in a section Usage"))
    elif here.mindspore is None:
        rows.add(impossible(USAGE, "MindSpore is not installed"))
    elif assets.state is not RowState.PASSED:
        rows.add(impossible(USAGE, f"see {ASSETS!r}"))
    elif recipe.state is RowState.IMPOSSIBLE:
        rows.add(impossible(USAGE, f"see {RECIPE!r}"))
    else:
        adapted = usage.for_device(code, device)
        ended = workspace.run_usage(adapted, str(card.path or workspace.card), limits)
        rows.add(usage_row(ended, adapted.adapted))
    rows.add(metrics_row(card))


def _answers(card: Card, workspace: ProofWorkspace, device: str, limits: ProgramLimits) -> CheckRow:
    """Repeat the known answers that the card states, and ask for one with its weights if it states none."""
    recipe = card.recipe
    if recipe is None:
        return passed(ANSWER, ("none is needed: the graph is the network",))
    results = []
    for stated, weights in ((recipe.known_answer, False), (recipe.weights_answer, True)):
        if stated is None:
            continue
        result = VerificationResult(uid=str(card.uid or workspace.card), verdict=IMPOSSIBLE, weights=weights)
        try:
            answer = known_answer.parse(stated, provider=recipe.provider)
            measured = measure_in(
                workspace,
                inputs=(answer.inputs or recipe_inputs(recipe),),
                gain=answer.gain,
                arguments=answer.arguments,
                weights=weights,
                device=device,
                limits=limits,
            )
            results.append(judge(result, answer, recipe, measured))
        except (NoAnswerError, RecipeError) as error:
            results.append(replace(result, verdict=DIFFERS, reason=error.message))
        except HubError as error:
            results.append(replace(result, reason=error.message))
    missing = "" if recipe.weights_answer is not None else ASK_FOR_ANSWER
    return answer_row(results, missing=missing)


def _prove(workspace: ProofWorkspace, device: str, limits: ProgramLimits) -> ProgramResult:
    """Load the card and run one forward pass, in a program that answers in JSON lines."""
    name = str(workspace.uid or workspace.card)
    return workspace.run_program("hubtool.publish.prove_main", name, device, limits=limits)


def _look(hub: Hub, card: Card, *, planned: Collection[int]) -> list[LinkAnswer]:
    wanted = [
        LinkAnswer(link=asset.link, what=asset.file_name, size=asset.size, planned=at in planned)
        for at, asset in enumerate(card.assets)
        if not asset.is_local
    ]
    for key in card.values:
        text = card.text(key)
        if text is not None and (key == "repo-link" or key.endswith("-repo-link")):
            wanted.append(LinkAnswer(link=text.strip().strip("<>"), what=key))
    if hub.settings.offline:
        return wanted
    from hubtool.transfer.http import HttpTransport  # noqa: PLC0415 - it brings requests, which few commands need

    looked: list[LinkAnswer] = []
    with contextlib.closing(HttpTransport(hub.policy)) as transport:
        for one in wanted:
            answer = one
            if not placeholder.is_unpublished(one.link):
                try:
                    seen = transport.probe(hub.policy.check(one.link))
                    seen.raise_for_status()
                    answer = replace(one, seen=seen)
                except FetchError as error:
                    answer = replace(one, error=error)
            looked.append(answer)
    return looked


def _bytes(hub: Hub, found: FoundCard, workspace: ProofWorkspace, chosen: Mapping[int, Path]) -> list[AssetBytes]:
    """Find every asset's bytes: a given file, a file beside the card, the store, or a download."""
    result: list[AssetBytes] = []
    for at, asset in enumerate(found.card.assets):
        file = chosen.get(at)
        try:
            if file is not None:
                stored = put_asset(workspace, asset, file)
                result.append(_as_bytes(asset, stored, f"the file {file.name}"))
                continue
            if placeholder.is_unpublished(asset.link):
                raise AssetError(placeholder.not_published(asset.file_name), hint=GIVE_FILE)
            stored_before = (
                asset.digest is not None
                and not asset.is_local
                and hub.store.path(asset.digest, link=asset.link) is not None
            )
            stored = fetch_asset(hub, found, asset)
            workspace.use_for(asset.link, stored.digest)
            origin = "beside the card" if asset.is_local else "stored" if stored_before else "fetched"
            result.append(_as_bytes(asset, stored, origin))
        except (HubError, OSError) as error:
            told = error if isinstance(error, HubError) else StoreError(f"{file} cannot be read: {error}")
            result.append(AssetBytes(asset=asset, error=told))
    return result


def _as_bytes(asset: Asset, stored: Stored, origin: str) -> AssetBytes:
    return AssetBytes(asset=asset, path=stored.path, digest=stored.digest, size=stored.size, origin=origin)


def _header(rows: _Rows, path: Path, asset: Asset) -> Header | None:
    """Read a checkpoint, header and numbers, and add its row; return its header if it could be read."""
    try:
        header = read_header(path)
    except CheckpointError as error:
        rows.add(failed(CHECKPOINT, str(error)))
        return None
    try:
        wrong = not_finite(path, header)
    except RequirementError:
        wrong = None
    except CheckpointError as error:
        rows.add(failed(CHECKPOINT, str(error)))
        return None
    rows.add(checkpoint_row(header, asset, wrong))
    return header


def _graph(path: Path, asset: Asset) -> CheckRow:
    """Return the row of a file that holds a whole network."""
    try:
        if not asset.is_mindir:
            check_graph(path, asset.format)
            told = f"a graph in the format {asset.format}, which hubtool does not read; it is run by {asset.runner}"
            return passed(CHECKPOINT, (told,))
        inputs = read_inputs(path)
        operators.foreign(path)
    except CheckpointError as error:
        return failed(CHECKPOINT, str(error))
    told = ", ".join(f"{one.name} {one.dtype} {list(one.shape)}" for one in inputs) or "none"
    return passed(CHECKPOINT, (f"a MindIR graph; its inputs: {told}",))


def _graph_recipe(file: AssetBytes | None, facts: Facts) -> CheckRow:
    """Return the row of the recipe of a graph: it needs none, and perhaps consent to its operators."""
    if file is not None and file.path is not None and file.asset.is_mindir:
        # The file may be one that was given, which no resolution knows.
        found = operators.foreign(file.path)
        decision = trusts.decide_graph(file.digest, found, facts.trust, agreed_now=facts.agreed_now)
        if decision is not None and not decision.allowed:
            return impossible(RECIPE, f"{decision.why} ({decision.hint})")
    return passed(RECIPE, ("none is needed: the graph is the network",))


def _recipe(hub: Hub, resolution: Resolution, header: Header | None, *, checkout: str | None) -> CheckRow:
    """Take the recipe as far as no code runs: arguments against shapes, packages, code of the repository."""
    recipe = resolution.recipe
    problems = resolver.recipe_problems(resolution.card)
    if problems or recipe is None:
        return failed(RECIPE, "; ".join(problem.reason for problem in problems))
    details = [f"{recipe.provider} {recipe.entry}"]
    decision = resolution.decision
    refused = next((one.error for one in resolution.problems if one.stage == "code"), None)
    if decision is None and refused is not None:
        return failed(RECIPE, refused.message, details)
    if decision is not None and not decision.allowed:
        why = f"{decision.why} ({decision.hint})"
        return impossible(RECIPE, why, details)
    if recipe.provider == "repository":
        try:
            details.append(checkout or f"code of commit {workspaces.bring_code(hub, resolution.found)}")
        except (OfflineError, ForbiddenLinkError) as error:
            return impossible(RECIPE, error.message, details)
        except HubError as error:
            return failed(RECIPE, error.message, details)
    if recipe.provider == "builtin" and header is not None:
        from hubtool.networks.builtin import size_notes  # noqa: PLC0415 - for this one kind of network

        try:
            details.extend(size_notes(recipe.entry, recipe.arguments, renamed(header.shapes(), recipe.rename)))
        except RecipeError as error:
            return failed(RECIPE, error.message, details)
    return passed(RECIPE, details)


def _without(card: Card, main: Asset | None, assets: CheckRow) -> CheckRow:
    """Return the row of a checkpoint that is not there."""
    if main is None and card.values.get("mindspore-lite") is True and card.assets:
        return passed(CHECKPOINT, ("there is none: the card is for MindSpore Lite",))
    if main is None:
        return failed(CHECKPOINT, "the card names no checkpoint")
    return impossible(CHECKPOINT, f"see {assets.name!r}")
