"""The resolver: decides from a card and its facts what loading it takes. Pure.

The facts come from :mod:`hubtool.resolution.facts`.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hubtool.card import placeholder
from hubtool.card.caller_arguments import caller_arguments
from hubtool.card.model import BUILTIN_ENTRIES
from hubtool.errors import (
    ArgumentError,
    AssetError,
    DeviceError,
    HubError,
    NetworkError,
    OfflineError,
    RecipeError,
    RequirementError,
    WithdrawnError,
)
from hubtool.links import shown
from hubtool.requirements import INSTALL_MINDSPORE
from hubtool.resolution import trust as trusts
from hubtool.resolution.choice import choose_graph, choose_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from hubtool.card.model import Asset, Card, Recipe
    from hubtool.checkpoint.coverage import Fit
    from hubtool.registry import ShadowedCard
    from hubtool.resolution.facts import Facts
    from hubtool.resolution.finding import FoundCard, Loan
    from hubtool.resolution.trust import TrustDecision

DEVICES = ("auto", "CPU", "GPU", "Ascend")
# The versions that hubtool's own networks are tested with; NumPy 2 breaks the PyNative mode of MindSpore 2.7 to 2.10.
BUILTIN_REQUIRES: Mapping[str, str] = {"mindspore": ">=2.7,<3", "numpy": "<2"}
_OLDEST = (2, 7)

Stage = Literal["status", "weights", "recipe", "mindspore", "device", "lock", "packages", "code", "consent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a card does not load here.

    Attributes:
        stage: The stage of loading that fails.
        error: The error that loading the card raises for it.
        reason: The reason in one sentence, as ``hubtool resolve`` prints it.
    """

    stage: Stage
    error: HubError
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedAsset:
    """One asset of a card, and its stored file.

    Attributes:
        asset: The asset on the card.
        stored: The file with the verified bytes, or None if it has to be fetched.
        weights: Whether this is the file that is loaded: the checkpoint or, on a card without one, the graph.
    """

    asset: Asset
    stored: Path | None
    weights: bool

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool resolve --json`` prints."""
        return {
            "format": self.asset.format,
            "link": self.asset.link,
            "digest": self.asset.digest.hex if self.asset.digest else None,
            "size": self.asset.size,
            "stored": str(self.stored) if self.stored else None,
            "weights": self.weights,
            **({"weak": self.asset.weakness} if self.asset.weakness else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The answer of the resolver for one card.

    Attributes:
        found: The card, and where it was found.
        facts: The facts behind the decision.
        assets: Its assets.
        requires: The distributions that must be installed, with version ranges.
        device: The device target that is chosen: ``CPU``, ``GPU`` or ``Ascend``.
        problems: Why it cannot be loaded, including missing consent; empty if it can.
        decision: Whether the code that the card chooses can run; None if it needs no consent, or if that is only known
            once a graph is fetched.
    """

    found: FoundCard
    facts: Facts
    assets: tuple[ResolvedAsset, ...]
    requires: Mapping[str, str]
    device: str
    problems: tuple[Problem, ...]
    decision: TrustDecision | None = None

    @property
    def uid(self) -> str:
        """The UID, or the path of a card outside a registry."""
        return self.found.name

    @property
    def card(self) -> Card:
        """The card."""
        return self.found.card

    @property
    def recipe(self) -> Recipe | None:
        """The recipe of its network, its own or a borrowed one; None if there is neither."""
        return self.found.card.recipe

    @property
    def loan(self) -> Loan | None:
        """Where the recipe comes from if it is not the card's own; None if it is."""
        return self.found.loan

    @property
    def registry(self) -> str | None:
        """The registry of the card, or None."""
        return self.found.registry

    @property
    def others(self) -> tuple[ShadowedCard, ...]:
        """Later registries with other bytes under the UID, which are not used."""
        return self.found.others

    @property
    def pinned(self) -> bool:
        """Whether a lockfile pins the card."""
        return self.found.pin is not None

    @property
    def fit(self) -> Fit | None:
        """How the stored checkpoint compares with the recorded parameters; None if that is not known."""
        return self.facts.fit

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it cannot be loaded, one sentence each; empty if it can."""
        return tuple(problem.reason for problem in self.problems)

    @property
    def consent(self) -> str | None:
        """What the user still has to agree to, and how, in one sentence; None if nothing."""
        return next((problem.reason for problem in self.problems if problem.stage == "consent"), None)

    def refuse(self, *stages: Stage) -> None:
        """Raise the error of the first problem of these stages; do nothing if there is none.

        Raises:
            HubError: The error that loading the card would raise.
        """
        for stage in stages:
            for problem in self.problems:
                if problem.stage == stage:
                    raise problem.error

    @property
    def loadable(self) -> bool:
        """Whether the card can be loaded as far as is known, including the user's consent."""
        return not self.reasons

    @property
    def ready(self) -> bool:
        """Whether only the user's consent is missing, if anything is."""
        return all(problem.stage == "consent" for problem in self.problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about the card that do not prevent loading."""
        return tuple(asset.asset.weakness for asset in self.assets if asset.asset.weakness)

    @property
    def weights(self) -> ResolvedAsset | None:
        """The file that is loaded: the checkpoint, else the graph; None if the card has neither."""
        return next((asset for asset in self.assets if asset.weights), None)

    @property
    def handed_over(self) -> bool:
        """Whether the file is a graph that MindSpore does not run: loading it returns its path."""
        weights = self.weights
        return weights is not None and weights.asset.runner is not None and not weights.asset.is_mindir

    @property
    def python(self) -> tuple[str, ...]:
        """The Python lines that load the network, with the arguments and the consent that it needs."""
        arguments = [json.dumps(self.uid, ensure_ascii=False)]
        arguments += [] if self.card.uid else ['source="local"']
        if self.fit is not None:
            arguments += [f"{name}={value!r}" for name, value in self.fit.arguments.items()]
        if self.recipe is not None and not recipe_problems(self.card):
            arguments += [f"{one.name}={one.name}" for one in caller_arguments(self.recipe.arguments)]
        arguments += ["trust=True"] if self.consent else []
        call = f"hubtool.load({', '.join(arguments)})"
        if self.handed_over:
            return ("import hubtool", "", f"path = {call}")
        lines = ["import mindspore", "import hubtool", ""]
        lines.append(f'mindspore.set_device("{self.device}")')
        lines.append(f"network = {call}")
        lines.append("network.set_train(False)")
        return tuple(lines)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool resolve --json`` prints."""
        network: dict[str, object] | None = None
        if self.recipe is not None:
            network = {
                "provider": self.recipe.provider,
                "entry": self.recipe.entry,
                "arguments": dict(self.recipe.arguments),
                "ignore": list(self.recipe.ignore),
                "rename": dict(self.recipe.rename),
                "python": list(self.python),
                **({"borrowed": self.loan.as_json()} if self.loan else {}),
            }
        return {
            "uid": self.uid,
            "card": {
                "path": str(self.card.path) if self.card.path else None,
                "title": self.card.title,
                "summary": self.card.text("summary"),
                "mindspore-version": self.card.mindspore_version,
                "repo-link": self.card.repo_link,
                "faults": list(self.card.faults),
                "registry": self.registry,
                "others": [other.as_json() for other in self.others],
                "pinned": self.pinned,
                "status": self.card.status.as_json() if self.card.status else None,
            },
            "assets": [asset.as_json() for asset in self.assets],
            "network": network,
            "requires": dict(self.requires),
            "device": self.device,
            "consent": self.consent,
            "fit": self.fit.as_json() if self.fit else None,
            "loadable": self.loadable,
            "reasons": list(self.reasons),
        }


def resolve(found: FoundCard, facts: Facts, *, device: str = "auto", overridden: Collection[str] = ()) -> Resolution:
    """Return what loading a card takes, and whether it is possible here.

    Args:
        found: The card.
        facts: The facts about it on this machine.
        device: One of :data:`DEVICES`; ``auto`` is Ascend where there is one, else CPU.
        overridden: Names of arguments that the user's own call replaces.

    Raises:
        ArgumentError: If the device is not one of these.
    """
    card, machine = found.card, facts.machine
    device = parse_device(device)
    weights = choose_weights(card) or choose_graph(card)
    assets = tuple(
        ResolvedAsset(asset=asset, stored=None if stored is None else stored.path, weights=asset is weights)
        for asset, stored in zip(card.assets, facts.stored, strict=True)
    )
    # `auto` does not choose a GPU: MindSpore 2.10 has no GPU build, so a device node alone means nothing.
    chosen = ("Ascend" if "Ascend" in machine.devices else "CPU") if device == "auto" else device
    decision, refused = _decide(found, facts, overridden)
    problems = [
        *_status_problems(found),
        *([_no_weights(card)] if weights is None else _asset_problems(found, facts)),
        *(recipe_problems(card, found.unlent) if weights is None or weights.is_weights else ()),
        *(_machine_problems(facts, chosen) if weights is None or _is_for_mindspore(weights) else ()),
        *_lock_problems(found, facts),
        *(Problem(stage="packages", error=RequirementError(one), reason=one) for one in facts.unmet),
        *refused,
        *_code_problems(facts),
    ]
    if decision is not None and not decision.allowed:
        error = NetworkError(decision.why, hint=decision.hint)
        stage: Stage = "code" if decision.entry is None else "consent"
        problems.append(Problem(stage=stage, error=error, reason=f"{decision.why}; {decision.hint}"))
    return Resolution(
        found=found,
        facts=facts,
        assets=assets,
        requires=requires(card.recipe),
        device=chosen,
        problems=tuple(problems),
        decision=decision,
    )


def _decide(
    found: FoundCard, facts: Facts, overridden: Collection[str]
) -> tuple[TrustDecision | None, tuple[Problem, ...]]:
    """Decide whether the code that a card chooses can run; also return problems that no consent solves."""
    recipe, graph = found.card.recipe, choose_graph(found.card)
    if graph is not None:
        stored = facts.stored[found.card.assets.index(graph)]
        if facts.operators_error is not None:
            return None, (_problem("code", facts.operators_error),)
        if stored is None or not graph.is_mindir:
            return None, ()
        return trusts.decide_graph(stored.digest, facts.operators, facts.trust, agreed_now=facts.agreed_now), ()
    if recipe is not None and recipe.provider == "package":
        try:
            return trusts.decide_call(recipe, facts.trust, overridden=overridden, agreed_now=facts.agreed_now), ()
        except RecipeError as error:
            return None, (_problem("code", error),)
    if facts.place_error is not None:
        reason = f"its network is built with code of a repository, and {facts.place_error.message}"
        return None, (Problem(stage="code", error=facts.place_error, reason=reason),)
    if facts.place is None:
        return None, ()
    return trusts.decide(facts.place.url, facts.trust, agreed_now=facts.agreed_now), ()


def _problem(stage: Stage, error: HubError) -> Problem:
    return Problem(stage=stage, error=error, reason=error.message)


def requires(recipe: Recipe | None) -> Mapping[str, str]:
    """Return the requirements of a recipe as distribution names and version ranges; empty without a recipe."""
    if recipe is None:
        return {}
    more = (re.match(r"([\w.-]+)(.*)", text) for text in recipe.requires)
    return {**BUILTIN_REQUIRES, **{match[1]: match[2].strip() for match in more if match}}


def parse_device(device: str) -> str:
    """Return a device target in MindSpore's own spelling.

    Raises:
        ArgumentError: If there is no such device target.
    """
    for known in DEVICES:
        if device.lower() == known.lower():
            return known
    raise ArgumentError(f"there is no device {device!r}", hint=f"the devices are {', '.join(DEVICES)}")


def _is_for_mindspore(asset: Asset) -> bool:
    return asset.is_weights or asset.is_mindir


def _no_weights(card: Card) -> Problem:
    if card.assets:
        formats = ", ".join(dict.fromkeys(asset.format or "?" for asset in card.assets))
        text = card.blame(f"the card names no checkpoint: its assets are {formats}")
    else:
        text = card.blame("the card names no assets: there is no checkpoint to load")
    return _problem("weights", AssetError(text, hint="load it with pretrained=False"))


def _status_problems(found: FoundCard) -> list[Problem]:
    """Return the problem of a withdrawn card, unless a lockfile pins it."""
    status = found.card.status
    if status is None or not status.is_withdrawn or found.pin is not None:
        return []
    locked = "with a lockfile that pins it, it still loads"
    hint = locked if status.successor is None else f"load {status.successor}; {locked}"
    return [_problem("status", WithdrawnError(status.describe(found.name), hint=hint))]


def recipe_problems(card: Card, unlent: str | None = None) -> list[Problem]:
    """Return why the recipe of a card cannot build its network; empty if it can.

    Args:
        card: The card.
        unlent: Why it borrows no recipe; None if none was looked for.
    """
    recipe = card.recipe
    hint = None
    if recipe is None:
        text = card.blame("the card has no recipe (a 'network:' entry), so how its network is built is not known")
        text += "" if unlent is None else f"; none was borrowed: {unlent}"
        hint = f"'hubtool resolve {card.uid or card.path}' says what is known"
        if unlent is not None:
            hint = (
                f"'hubtool fetch {card.uid or card.path}' stores its checkpoint; if its tensors fit a network of "
                "hubtool itself, it loads then"
            )
    elif recipe.provider == "repository" and not card.repo_link:
        text = "its network is built with code of a repository, and the card has no repo-link"
    elif recipe.provider not in ("builtin", "package", "repository"):
        text = f"there is no network provider {recipe.provider!r}: there are builtin, package and repository"
    elif recipe.provider == "builtin" and recipe.entry not in BUILTIN_ENTRIES:
        near = difflib.get_close_matches(recipe.entry, BUILTIN_ENTRIES, n=1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(BUILTIN_ENTRIES)}"
        text = f"hubtool has no built-in network {recipe.entry!r}: {known}"
    else:
        try:
            asked = caller_arguments(recipe.arguments)
        except RecipeError as error:
            return [_problem("recipe", error)]
        if not asked or (recipe.provider != "builtin" and not recipe.entry.endswith(".py")):
            return []
        text = f"the recipe asks the caller for {asked[0].name}, which a built-in network or a script does not take"
        hint = "only a callable of a package or a repository can be given a tensor"
    return [_problem("recipe", RecipeError(text, hint=hint))]


def _asset_problems(found: FoundCard, facts: Facts) -> list[Problem]:
    asset = choose_weights(found.card) or choose_graph(found.card)
    if asset is None:
        return []
    at = found.card.assets.index(asset)
    name = asset.file_name
    if asset.digest is None:
        text = f"{name} has no SHA-256 digest on the card, so its bytes cannot be checked"
    elif facts.stored[at] is not None:
        return []
    elif asset.is_local:
        text = f"{asset.link} is not beside the card, or not with the digest that the card states"
    elif placeholder.is_unpublished(asset.link):
        text = placeholder.not_published(name)
    elif (forbidden := facts.forbidden[at]) is not None:
        text = forbidden
    elif facts.offline:
        text = f"{name} is not stored, and the network may not be used (offline)"
    else:
        return []
    return [_problem("weights", AssetError(text))]


def _machine_problems(facts: Facts, device: str) -> list[Problem]:
    machine, problems = facts.machine, []
    if device not in machine.devices:
        text = f"there is no {device} on this machine; there is {', '.join(machine.devices)}"
        hint = 'to load on CPU: mindspore.set_device("CPU") in Python, --device CPU on the command line'
        problems.append(_problem("device", DeviceError(text, hint=hint)))
    if machine.mindspore is None:
        error = RequirementError("MindSpore is not installed", hint=INSTALL_MINDSPORE)
        problems.append(Problem(stage="mindspore", error=error, reason=f"{error.message}: {INSTALL_MINDSPORE}"))
    elif (match := re.match(r"([0-9]+)\.([0-9]+)", machine.mindspore)) and (int(match[1]), int(match[2])) < _OLDEST:
        text = f"MindSpore {machine.mindspore} is installed, but {BUILTIN_REQUIRES['mindspore']} is needed: "
        problems.append(_problem("packages", RequirementError(f"{text}{INSTALL_MINDSPORE}")))
    return problems


def _lock_problems(found: FoundCard, facts: Facts) -> list[Problem]:
    why = None if found.pin is None else found.pin.check_machine(facts.machine.mindspore)
    return [] if found.pin is None or why is None else [Problem(stage="lock", error=found.pin.error(why), reason=why)]


def _code_problems(facts: Facts) -> list[Problem]:
    """Return the problem of code that is not stored and cannot be fetched."""
    if not facts.offline or facts.place is None or facts.code_stored:
        return []
    why = f"the code of {shown(facts.place.url)} is not stored, and the network may not be used"
    hint = "'hubtool load' fetches it where HUBTOOL_OFFLINE is not set"
    return [Problem(stage="weights", error=OfflineError(why, hint=hint), reason=f"{why}: {hint}")]
