"""The facts that decide whether a card loads here, gathered once: the machine, the store, the trust list."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hubtool import requirements
from hubtool.errors import (
    ArgumentError,
    AssetError,
    CheckpointError,
    ForbiddenLinkError,
    LockfileError,
    RecipeError,
    StoreError,
)
from hubtool.resolution import machine as machines
from hubtool.resolution import trust as trusts
from hubtool.resolution.choice import choose_graph, choose_weights
from hubtool.resolution.stored import stored_asset

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Asset, Recipe
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.checkpoint.coverage import Fit
    from hubtool.links import LinkPolicy
    from hubtool.registry import Registries
    from hubtool.resolution.finding import FoundCard
    from hubtool.resolution.machine import Machine
    from hubtool.resolution.trust import TrustList
    from hubtool.store.records import Stored
    from hubtool.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts about one card on this machine.

    Attributes:
        machine: What this machine has.
        offline: Whether hubtool must not use the network.
        stored: The verified file of each asset, in the card's order; None where it has to be fetched.
        forbidden: Why the link of each asset is not allowed; None where it is.
        unmet: Requirements of the recipe that are not installed, one sentence each, with the command that installs
            them.
        trust: The user's trust list; empty if the card runs no code from elsewhere.
        agreed_now: Whether the user agrees, for this run, to code that the card chooses.
        operators: The operators of a stored MindIR that can run code from elsewhere.
        operators_error: Why the operators of a stored MindIR cannot be read.
        place: The repository, revision and folder of the network's code, at the commit of a lockfile in force.
        place_error: Why the card's repo-link names no code.
        code_stored: Whether that code is stored; None if no code of a repository is needed.
        fit: How the stored checkpoint compares with the recorded parameters; None if that cannot be compared or was not
            asked for.
    """

    machine: Machine
    offline: bool
    stored: tuple[Stored | None, ...]
    forbidden: tuple[str | None, ...]
    unmet: tuple[str, ...] = ()
    trust: TrustList = field(default_factory=trusts.TrustList)
    agreed_now: bool = False
    operators: tuple[str, ...] = ()
    operators_error: CheckpointError | None = None
    place: RepositoryPlace | None = None
    place_error: ArgumentError | None = None
    code_stored: bool | None = None
    fit: Fit | None = None


def gather(
    found: FoundCard,
    *,
    registries: Registries,
    store: Store,
    policy: LinkPolicy,
    offline: bool,
    trust: bool = False,
    loading: bool = False,
    code: bool = True,
) -> Facts:
    """Gather the facts about a card, without fetching or running anything.

    Args:
        found: The card.
        registries: The registries, with the files beside their cards.
        store: The store.
        policy: Which links are allowed.
        offline: Whether hubtool must not use the network.
        trust: Whether the user agrees, for this run, to code that the card chooses.
        loading: Whether the card is going to be loaded: then only the file that is loaded is looked at, and nothing is
            compared or hashed that loading hashes anyway.
        code: Whether the network's code matters; without it, the trust list is not read.

    Raises:
        LockfileError: If the stored code of a pinned commit is not the code that the lockfile pins.
        SettingsError: If the user's trust list is needed and cannot be read.
        StoreError: If the store cannot be read, unless the card is going to be loaded: then loading says so.
    """
    card = found.card
    graph, weights = choose_graph(card), choose_weights(card)
    stored = tuple(
        None
        if loading and asset is not (weights or graph)
        else _stored(found, asset, registries, store, loading=loading)
        for asset in card.assets
    )
    forbidden = tuple(None if asset.is_local else _forbidden(policy, asset.link) for asset in card.assets)
    recipe = card.recipe if code and graph is None else None
    operators: tuple[str, ...] = ()
    operators_error, place, place_error, code_stored = None, None, None, None
    if graph is not None and graph.is_mindir and (file := stored[card.assets.index(graph)]) is not None:
        operators, operators_error = _operators(file.path)
    if recipe is not None and recipe.provider == "repository":
        try:
            place = found.place
        except ArgumentError as error:
            place_error = error
        if place is not None:
            place = place if found.pin is None else found.pin.place(place)
            code_stored = None if loading else _code_stored(found, place, store, policy)
    needs_trust = (graph is not None and graph.is_mindir) or (
        recipe is not None and recipe.provider in ("package", "repository")
    )
    file = None if weights is None else stored[card.assets.index(weights)]
    return Facts(
        machine=machines.probe(),
        offline=offline,
        stored=stored,
        forbidden=forbidden,
        unmet=_unmet(card.recipe),
        trust=trusts.read() if needs_trust else trusts.TrustList(),
        agreed_now=trust or trusts.agreed_by(),
        operators=operators,
        operators_error=operators_error,
        place=place,
        place_error=place_error,
        code_stored=code_stored,
        fit=None if loading or file is None or recipe is None else _fit(file.path, recipe),
    )


def _stored(found: FoundCard, asset: Asset, registries: Registries, store: Store, *, loading: bool) -> Stored | None:
    try:
        return stored_asset(found, asset, registries=registries, store=store)
    except StoreError:
        if not (asset.is_local or loading):
            raise
        return None
    except (AssetError, LockfileError):
        return None  # the resolver reports it as missing; fetching and loading say why


def _forbidden(policy: LinkPolicy, link: str) -> str | None:
    try:
        policy.check(link)
    except ForbiddenLinkError as error:
        return error.message
    return None


def _operators(graph: Path) -> tuple[tuple[str, ...], CheckpointError | None]:
    from hubtool.checkpoint import operators  # noqa: PLC0415 - few cards are graphs

    try:
        return tuple(operators.foreign(graph)), None
    except CheckpointError as error:
        return (), error


def _code_stored(found: FoundCard, place: RepositoryPlace, store: Store, policy: LinkPolicy) -> bool:
    from hubtool.git.code import CodeStore  # noqa: PLC0415 - most commands need no code

    code = CodeStore(store, policy, offline=True).find(place)
    if code is not None and found.pin is not None:
        found.pin.check_tree(code.tree)
    return code is not None


def _unmet(recipe: Recipe | None) -> tuple[str, ...]:
    try:
        wanting = requirements.unmet(() if recipe is None else recipe.requires)
    except RecipeError as error:
        return (error.message,)
    return tuple(f"{why}: pip install '{text}'" for text, why in wanting)


def _fit(path: Path, recipe: Recipe) -> Fit | None:
    if recipe.parameters_digest is None:
        return None
    from hubtool.checkpoint import coverage  # noqa: PLC0415 - only for what is stored
    from hubtool.checkpoint.reading import read_header  # noqa: PLC0415 - as above

    try:
        shapes = coverage.renamed(read_header(path).shapes(), recipe.rename)
    except (CheckpointError, RecipeError):
        return None  # loading reports what is wrong with the file, or with the rules
    return coverage.compare(
        shapes,
        digest=recipe.parameters_digest,
        count=recipe.parameters,
        ignore=recipe.ignore,
        arguments=recipe.arguments,
    )
