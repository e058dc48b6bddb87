"""Choose the provider that builds a card's network, once its code is there and may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.errors import NetworkError
from hubtool.git.code import CodeStore

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Recipe
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.git.code import Code
    from hubtool.hub import Hub
    from hubtool.networks.provider import Provider
    from hubtool.resolution.resolver import Resolution
    from hubtool.resolution.trust import Agreement, TrustDecision

CHANGED = "the code that would run is not the code that you agreed to: the card has changed since"


def choose_provider(
    hub: Hub, resolution: Resolution, recipe: Recipe, *, checkout: Path | None, agreement: Agreement | None
) -> tuple[Provider, tuple[str, ...]]:
    """Return the provider that builds a card's network, and notes about its code, which is fetched if it is not stored.

    Args:
        hub: Settings and store.
        resolution: The resolver's answer for the card.
        recipe: The recipe of its network.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        agreement: What the user agreed to when asked; other code is refused.

    Raises:
        NetworkError: If the code may not run, or is not what the user agreed to.
        AssetError: If the code cannot be fetched.
        LockfileError: If it is not the code that the lockfile in force pins.
    """
    check_allowed(resolution.decision, agreement)
    if recipe.provider == "builtin":
        from hubtool.networks.builtin.provider import BuiltinProvider  # noqa: PLC0415

        return BuiltinProvider(), ()
    if recipe.provider == "package":
        from hubtool.networks.package import PackageProvider  # noqa: PLC0415

        return PackageProvider(), ()
    from hubtool.networks import checkout as checkouts  # noqa: PLC0415
    from hubtool.networks.repository import CodeFolder, RepositoryProvider  # noqa: PLC0415

    if checkout is not None:
        if resolution.found.pin is not None:
            raise resolution.found.pin.error(
                "a checkout in place of its code is not what is pinned", hint="leave --checkout out"
            )
        place = _agreed_place(resolution, agreement)
        root = checkouts.root_of(place, checkout)
        note = checkouts.compare(CodeStore(hub.store, hub.policy, offline=True), place, checkout)
        return RepositoryProvider(place=CodeFolder(root=root, folder="", identity=str(checkout.resolve()))), (note,)
    code = fetch_code(hub, resolution, agreement)
    return RepositoryProvider(place=CodeFolder(root=code.path, folder="", identity=code.tree)), ()


def fetch_code(hub: Hub, resolution: Resolution, agreement: Agreement | None) -> Code:
    """Return the code of a card's repository as it would run: that of the lockfile, or that the user agreed to.

    Args:
        hub: Settings and store.
        resolution: The resolver's answer for a card whose network needs code of a repository.
        agreement: What the user agreed to when asked.

    Raises:
        NetworkError: If it is not what the user agreed to.
        AssetError: If it cannot be fetched.
        LockfileError: If it is not the code that the lockfile in force pins.
    """
    tree = None if agreement is None else agreement.tree
    store = CodeStore(hub.store, hub.policy, offline=hub.settings.offline)
    code = store.fetch(_agreed_place(resolution, agreement), tree=tree)
    if resolution.found.pin is not None:
        resolution.found.pin.check_tree(code.tree)
    return code


def _agreed_place(resolution: Resolution, agreement: Agreement | None) -> RepositoryPlace:
    place = resolution.facts.place
    if place is None:
        raise AssertionError  # the resolver refused it
    if agreement is None or agreement.place is None:
        return place
    if (agreement.place.url, agreement.place.folder) != (place.url, place.folder):
        raise NetworkError(CHANGED, hint="look at the card again, and run the command again")
    return agreement.place


def check_allowed(decision: TrustDecision | None, agreement: Agreement | None) -> None:
    """Refuse code that the user has not agreed to.

    Args:
        decision: The resolver's decision; None if no code needs consent.
        agreement: What the user agreed to when asked.

    Raises:
        NetworkError: If the decision is no, and the user did not agree to this code.
    """
    if decision is None or decision.allowed:
        return
    if agreement is None or agreement.entry is None or agreement.entry != decision.entry:
        raise NetworkError(decision.why, hint=decision.hint)
