"""Repeat the known answer of a card on this machine, in a program of its own."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hubtool.assets import fetch_asset
from hubtool.card import known_answer
from hubtool.card.known_answer import InputSpec, KnownAnswer
from hubtool.errors import ArgumentError, AssetError, CardError, HubError, NetworkError, RecipeError
from hubtool.networks.choose_provider import CHANGED, fetch_code
from hubtool.sandbox.limits import DEFAULT_LIMITS
from hubtool.verification import compare as comparing
from hubtool.verification import workspace as workspaces
from hubtool.verification.asset_file import match_files, put_asset
from hubtool.verification.card_file import card_file, read_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Asset, Recipe
    from hubtool.hub import Hub
    from hubtool.resolution.resolver import Resolution
    from hubtool.resolution.trust import Agreement
    from hubtool.sandbox.limits import ProgramLimits
    from hubtool.sandbox.run import ProgramResult
    from hubtool.verification.compare import OutputDifference
    from hubtool.verification.workspace import ProofWorkspace

EQUAL, DIFFERS, IMPOSSIBLE, NOTHING = "equal", "differs", "cannot run here", "nothing to compare"
#: The tolerance that a new answer gets: what float32 sums in another order differ by, over some hundred layers.
TOLERANCE: Final = 1e-4
#: The tolerance where cells compute in float16, with 11 significant bits, as their authors have set them.
FLOAT16_TOLERANCE: Final = 5e-3
_TELLING: Final = 3  # times the tolerance: by how much outputs have to change with the inputs
_NOISES: Final = 3  # times the noise of the few elements that are kept, which others exceed
_PROGRAM: Final = "hubtool.verification.measure_main"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """The result of repeating a known answer.

    Attributes:
        uid: The UID, or the path of a card outside a registry.
        verdict: ``equal``, ``differs``, ``cannot run here`` or ``nothing to compare``.
        reason: Why, in one sentence; empty for ``equal``.
        differences: The outputs that differ by more than the tolerance.
        largest: The greatest difference of all outputs as a part of their scales; None if none was measured.
        tolerance: What counted as equal; None if nothing was compared.
        source: What stands behind the known answer: a key of :data:`hubtool.card.known_answer.SOURCES`, or empty.
        weights: Whether the network had the weights of its checkpoint.
        mindspore: The version of MindSpore that ran it, or empty.
        device: The device.
        seconds: How long that took.
    """

    uid: str
    verdict: str
    reason: str = ""
    differences: tuple[OutputDifference, ...] = ()
    largest: float | None = None
    tolerance: float | None = None
    source: str = ""
    weights: bool = False
    mindspore: str = ""
    device: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return what ``hubtool verify --json`` prints, and what a report has as one line."""
        return {
            "uid": self.uid,
            "verdict": self.verdict,
            "reason": self.reason,
            "differences": [one.as_json() for one in self.differences],
            "largest": self.largest,
            "tolerance": self.tolerance,
            "source": self.source,
            "weights": self.weights,
            "mindspore": self.mindspore,
            "device": self.device,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a network computed.

    Attributes:
        outputs: Its outputs.
        inputs: What it was called with.
        digest: The digest of its parameter list.
        float16: Whether cells or outputs of it are in float16, whatever its inputs are.
        noise: By how much of their scale its kept outputs change when its inputs, or if these are whole numbers its
            parameters, change by one part in a million; 0 unless that was measured.
        apart: By how much they change with other inputs; infinite unless that was measured.
        mindspore: The version of MindSpore.
        device: The device.
        seconds: How long the program ran.
    """

    outputs: tuple[known_answer.OutputSummary, ...]
    inputs: tuple[InputSpec, ...]
    digest: str
    float16: bool
    noise: float
    apart: float
    mindspore: str
    device: str
    seconds: float

    def tolerance(self, *, float16: bool = False) -> float:
        """Return the tolerance that a known answer of this network gets.

        Rounding on another processor changes each layer's numbers as a small change of the inputs does; a network that
        multiplies such changes cannot be compared more closely.

        Args:
            float16: Whether what it is compared with is in float16, even if it is not.
        """
        least = FLOAT16_TOLERANCE if float16 or self.float16 else TOLERANCE
        return float(f"{max(least, min(_NOISES * self.noise, known_answer.MAX_TOLERANCE)):.2g}")

    def check_telling(self, tolerance: float) -> None:
        """Refuse outputs that hardly depend on the inputs: those of other networks would be equal to them.

        Raises:
            NoAnswerError: If they are such.
        """
        if self.apart <= _TELLING * tolerance:
            raise NoAnswerError("what is kept of its outputs is the same for other inputs, and would prove nothing")


def verify(
    hub: Hub,
    name: str,
    *,
    weights: bool = False,
    device: str = "auto",
    trust: bool = False,
    checkout: Path | None = None,
    assets: Sequence[Path] = (),
    agreement: Agreement | None = None,
    limits: ProgramLimits = DEFAULT_LIMITS,
) -> VerificationResult:
    """Repeat the known answer of a card.

    Args:
        hub: Settings, registries and store.
        name: The path of a card, or a UID.
        weights: Whether the answer with the weights of the checkpoint is repeated.
        device: ``auto``, ``CPU``, ``GPU`` or ``Ascend``.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        assets: Files that are assets of the card, where the checkpoint is not published yet.
        agreement: What the user agreed to when asked; other code is refused.
        limits: What the program may take.

    Raises:
        InvalidNameError: If the name is malformed.
        CardNotFoundError: If there is no such card.
        CardError: If the card cannot be read.
        ArgumentError: If there is no such device, the card needs no checkout, or a file is none of its assets.
    """
    found = hub.find(name, local=card_file(hub, name)[1])
    recipe = found.card.recipe
    stated = None if recipe is None else recipe.weights_answer if weights else recipe.known_answer
    key = "weights-answer" if weights else "known-answer"
    if recipe is None or stated is None:
        told = "the card has no recipe of its own" if recipe is None else f"its recipe has no '{key}'"
        return VerificationResult(uid=found.name, verdict=NOTHING, reason=told, weights=weights)
    try:
        answer = known_answer.parse(stated, provider=recipe.provider)
    except RecipeError as error:
        return VerificationResult(uid=found.name, verdict=NOTHING, reason=error.message, weights=weights)
    result = VerificationResult(uid=found.name, verdict=IMPOSSIBLE, source=answer.source, weights=weights)
    try:
        measured = measure(
            hub,
            name,
            inputs=(answer.inputs or recipe_inputs(recipe),),
            gain=answer.gain,
            arguments=answer.arguments,
            weights=weights,
            device=device,
            trust=trust,
            checkout=checkout,
            assets=assets,
            agreement=agreement,
            limits=limits,
        )
    except ArgumentError:
        raise
    except NoAnswerError as error:
        return replace(result, verdict=DIFFERS, reason=error.message)
    except HubError as error:
        return replace(result, reason=error.message)
    return judge(result, answer, recipe, measured)


def judge(result: VerificationResult, answer: KnownAnswer, recipe: Recipe, measured: Measurement) -> VerificationResult:
    """Return a result with the verdict on what was measured.

    Args:
        result: The card, and what stands behind its answer.
        answer: The answer.
        recipe: The card's recipe.
        measured: What its network computed.
    """
    seconds = round(measured.seconds, 2)
    result = replace(result, mindspore=measured.mindspore, device=measured.device, seconds=seconds)
    if recipe.parameters_digest is not None and measured.digest != recipe.parameters_digest:
        told = "it is another network: the names and shapes of its parameters are not those that the card states"
        return replace(result, verdict=DIFFERS, reason=told)
    tolerance = comparing.tolerance_on(measured.device, answer)
    differences = comparing.compare(answer, measured.outputs, tolerance=tolerance)
    first = f"output {differences[0].output}: {differences[0].what}" if differences else ""
    return replace(
        result,
        verdict=DIFFERS if differences else EQUAL,
        reason=first,
        differences=tuple(differences),
        largest=comparing.largest(answer.outputs, measured.outputs),
        tolerance=tolerance,
    )


class NoAnswerError(NetworkError):
    """A network that runs and has no answer: random numbers, NaN or infinite ones, or no tensor at all."""


def measure(
    hub: Hub,
    name: str,
    *,
    inputs: Sequence[Sequence[InputSpec]],
    gain: float = 1.0,
    arguments: Mapping[str, object] | None = None,
    weights: bool = False,
    device: str = "auto",
    trust: bool = False,
    checkout: Path | None = None,
    assets: Sequence[Path] = (),
    agreement: Agreement | None = None,
    recording: bool = False,
    once: bool = False,
    limits: ProgramLimits = DEFAULT_LIMITS,
) -> Measurement:
    """Run the network of a card on the values of the rule, in the sandbox.

    Args:
        hub: Settings, registries and store.
        name: The path of a card, or a UID.
        inputs: What it is called with; of several, the first that it accepts.
        gain: What the bounds of its parameters of two or more dimensions are multiplied by.
        arguments: Arguments that it is built with besides those of the recipe.
        weights: Whether its parameters have the values of the checkpoint.
        device: ``auto``, ``CPU``, ``GPU`` or ``Ascend``.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        assets: Files that are assets of the card, where the checkpoint is not published yet.
        agreement: What the user agreed to when asked; other code is refused.
        recording: Whether the outputs become a known answer: then they must depend on the inputs.
        once: Whether the network is run once on its inputs, as its outputs are compared with those of another program:
            then neither random numbers nor its noise are looked for.
        limits: What the program may take.

    Raises:
        NoAnswerError: If it runs, and its outputs are random, not finite, or none.
        ArgumentError: If the card needs no checkout, or a file is none of its assets.
        HubError: If it cannot be built or run; the subclasses say which stage failed.
    """
    path, local = card_file(hub, name)
    try:
        found, document = read_once(hub, name, path, local=local)
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    resolution = hub.resolve(found, device=device, trust=trust, loading=True)
    resolution.refuse("status", "recipe", "lock", "mindspore", "device", "packages", "code")
    _check_agreed(resolution, agreement)
    needs_code = resolution.facts.place is not None and checkout is None
    code = fetch_code(hub, resolution, agreement).path if needs_code else None
    if checkout is not None and resolution.facts.place is None:
        raise ArgumentError(
            "the card's network needs no code of a repository, so a checkout is of no use", hint="leave --checkout out"
        )
    asset = _weights_of(resolution) if weights else None
    file = _given(resolution, asset, assets)
    size = fetch_asset(hub, resolution.found, asset).size if asset is not None and file is None else 0
    agreed = trust or agreement is not None or resolution.facts.agreed_now
    with workspaces.open_workspace(hub, found, document, trust=agreed, checkout=checkout, code=code) as workspace:
        if asset is not None and file is not None:
            size = put_asset(workspace, asset, file).size
        return measure_in(
            workspace,
            inputs=inputs,
            gain=gain,
            arguments=arguments,
            weights=weights,
            device=resolution.device,
            recording=recording,
            once=once,
            limits=workspaces.with_room(limits, weights=size),
        )


def measure_in(
    workspace: ProofWorkspace,
    *,
    inputs: Sequence[Sequence[InputSpec]],
    arguments: Mapping[str, object] | None,
    weights: bool,
    device: str,
    limits: ProgramLimits,
    gain: float = 1.0,
    recording: bool = False,
    once: bool = False,
) -> Measurement:
    """Run the network of the card in a workspace, which has what it needs; see :func:`measure`.

    Args:
        workspace: The workspace.
        inputs: What the network is called with; of several, the first that it accepts.
        arguments: Arguments that it is built with besides those of the recipe.
        weights: Whether its parameters have the values of the checkpoint.
        device: ``CPU``, ``GPU`` or ``Ascend``.
        limits: What the program may take.
        gain: What the bounds of its parameters of two or more dimensions are multiplied by.
        recording: Whether the outputs become a known answer: then they must depend on the inputs.
        once: Whether the network is run once on its inputs, as its outputs are compared with those of another program:
            then neither random numbers nor its noise are looked for.

    Raises:
        NoAnswerError: If it runs, and its outputs are random, not finite, or none.
        NetworkError: If it cannot be built or run.
    """
    _check_inputs(inputs)
    told = {
        "name": str(workspace.uid or workspace.card),
        "device": device,
        "weights": weights,
        "arguments": dict(arguments or {}),
        "inputs": [[one.as_json() for one in each] for each in inputs],
        "gain": gain,
        "recording": recording,
        "once": once,
    }
    spec = workspace.root / "measure.json"
    spec.write_text(json.dumps(told), encoding="utf-8")
    return _measurement(workspace.run_program(_PROGRAM, str(spec), limits=limits), device)


def _check_agreed(resolution: Resolution, agreement: Agreement | None) -> None:
    """Refuse code that the user has not agreed to, or other code than was shown when the user was asked."""
    decision = resolution.decision
    if decision is None or decision.allowed:
        return
    if agreement is None or agreement.entry is None or agreement.entry != decision.entry:
        resolution.refuse("consent")
        raise NetworkError(decision.why, hint=decision.hint)
    if agreement.recipe != resolution.recipe:
        raise NetworkError(CHANGED, hint="look at the card again, and run the command again")


def _measurement(ended: ProgramResult, device: str) -> Measurement:
    """Read what the program answered.

    Raises:
        NoAnswerError: If it runs, and its outputs are random, not finite, or none.
        NetworkError: If it has no outputs to tell, or what it wrote cannot be read.
    """
    try:
        answer = json.loads(ended.answer)
        if "outputs" not in answer:
            kind = NoAnswerError if answer.get("ran") else NetworkError
            raise kind(str(answer.get("reason") or ended.reason or "the network did not run")[:1000])
        return Measurement(
            outputs=tuple(known_answer.parse_output(item) for item in answer["outputs"]),
            inputs=tuple(known_answer.parse_input(item) for item in answer["inputs"]),
            digest=str(answer["digest"]),
            noise=float(answer.get("noise", 0.0)),
            apart=float(answer.get("apart", math.inf)),
            float16=bool(answer["float16"]) or any(one["dtype"] == "float16" for one in answer["outputs"]),
            mindspore=str(answer["mindspore"]),
            device=device,
            seconds=ended.seconds,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        last = ended.output.strip().splitlines()[-1:] or [f"it ended with {ended.code}"]
        raise NetworkError(f"the network did not run: {ended.reason or last[0][:300]}") from None


def recorded(
    measured: Measurement, recipe: Recipe, *, arguments: Mapping[str, object], gain: float = 1.0
) -> KnownAnswer:
    """Return a known answer of what a recipe itself computed.

    Args:
        measured: What the network computed.
        recipe: The card's recipe; inputs that it states are not repeated.
        arguments: The arguments that it was built with besides those of the recipe.
        gain: What the bounds of its parameters were multiplied by.

    Raises:
        NoAnswerError: If its outputs hardly depend on its inputs.
    """
    tolerance = measured.tolerance()
    measured.check_telling(tolerance)
    return KnownAnswer(
        rule=known_answer.RULE_VERSION,
        inputs=() if measured.inputs == recipe_inputs(recipe) else measured.inputs,
        gain=gain,
        outputs=measured.outputs,
        tolerance=tolerance,
        source=known_answer.ITSELF,
        mindspore=measured.mindspore,
        device=measured.device,
        date=dt.datetime.now(dt.timezone.utc).date().isoformat(),
        equal_on=(measured.mindspore,),
        arguments=arguments,
    )


def recipe_inputs(recipe: Recipe) -> tuple[InputSpec, ...]:
    """Return the inputs that a recipe states."""
    return tuple(InputSpec(name=name, shape=shape, dtype=dtype) for name, shape, dtype in recipe.inputs)


def small_inputs(inputs: Sequence[InputSpec]) -> tuple[tuple[InputSpec, ...], ...]:
    """Return inputs as a batch of one, then as they are; only as they are if they are no batch of several."""
    whole = tuple(inputs)
    sizes = {one.shape[0] if one.shape else 1 for one in whole}
    if len(sizes) != 1 or sizes == {1}:
        return (whole,)
    single = tuple(
        InputSpec(
            name=one.name, shape=(1, *one.shape[1:]) if one.shape else (), dtype=one.dtype, low=one.low, high=one.high
        )
        for one in whole
    )
    return single, whole


def _check_inputs(inputs: Sequence[Sequence[InputSpec]]) -> None:
    for each in inputs:
        size = known_answer.inputs_size(each)
        if size > known_answer.MAX_INPUT_BYTES:
            raise RecipeError(
                f"the inputs would take {size / 2**30:,.0f} GiB, more than {known_answer.MAX_INPUT_BYTES >> 30}",
                hint="correct the shapes of 'inputs'",
            )


def _given(resolution: Resolution, asset: Asset | None, files: Sequence[Path]) -> Path | None:
    """Return the file that is given for the checkpoint; None if none is given."""
    if not files:
        return None
    found = match_files(resolution.card, files)
    if asset is None or len(found) != 1 or resolution.card.assets[next(iter(found))] is not asset:
        listed = ", ".join(str(path) for path in files)
        raise ArgumentError(f"{listed} is not the checkpoint of the card", hint="give the checkpoint alone")
    return next(iter(found.values()))


def _weights_of(resolution: Resolution) -> Asset:
    chosen = resolution.weights
    if chosen is None or not chosen.asset.is_weights:
        raise AssetError(f"the card {resolution.uid} names no checkpoint")
    return chosen.asset
