"""A card without a recipe borrows that of a card of the same network: which one, or why none.

Of the cards that the registries know, one lends its recipe that names the same asset by its whole digest, else by its
link, else one of the same folder of a repository, model and data set. Of several registries the first decides, and what
only looks alike is refused: see :func:`borrow`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from hubtool import resources
from hubtool.card import likeness
from hubtool.card.repo_link import parse_repo_link, place_of
from hubtool.errors import ArgumentError, HubError, StoreError
from hubtool.links import shown
from hubtool.lockfile import pins
from hubtool.registry.folder import FolderRegistry
from hubtool.registry.index import SearchIndex
from hubtool.resolution.choice import choose_graph
from hubtool.resolution.finding import Loan
from hubtool.resolution.resolver import recipe_problems
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.card.likeness import Likeness, LikenessKind
    from hubtool.card.model import Card, Recipe
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.lockfile.pins import Pin
    from hubtool.registry import Registries, Registry
    from hubtool.resolution.finding import FoundCard
    from hubtool.store.store import Store

# Each of them is read: a registry with more cards of one kind must not make a command slow.
_MOST = 64
_WHY: dict[LikenessKind, str] = {
    "digest": "it names the same asset, by its whole digest",
    "link": "it names the same asset, by its link",
    "folder": "it is of the same folder of the repository, model and data set; its asset is another file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lender:
    """A card whose recipe fits: its registry, and where the code of that recipe is."""

    card: Card
    registry: Registry
    place: RepositoryPlace | None

    @property
    def recipe(self) -> Recipe | None:
        return self.card.recipe

    @property
    def network(self) -> tuple[Recipe | None, RepositoryPlace | None]:
        """What builds the network: what is known of what it computes is no part of that."""
        recipe = self.recipe
        plain = None if recipe is None else replace(recipe, known_answer=None, weights_answer=None)
        return plain, self.place

    def __str__(self) -> str:
        return f"{self.card.uid} of {_called(self.registry)}"


def borrow(found: FoundCard, registries: Registries, store: Store) -> FoundCard:
    """Return a card with the recipe that a registry knows for its network; as it is if it has one, or is a graph.

    A card's own recipe always counts, also one that cannot be read. A registry that the user added lends nothing to the
    cards of the settings' own registries. Code of a repository is only run for a card that names the same repository,
    folder and revision, so that what a user agreed to stays what it was.

    Args:
        found: The card.
        registries: The registries in their order.
        store: The store, which has the cards of lockfiles.

    Raises:
        LockfileError: If the lockfile in force pins a recipe for the card, and no place has it.
    """
    card = found.card
    if found.loan is not None or "network" in card.values or card.recipe is not None or choose_graph(card) is not None:
        return found
    if found.pin is not None:
        return _pinned(found, found.pin, registries, store)
    known_by = likeness.of_card(card)
    if not known_by:
        return replace(found, unlent="the card states neither a checkpoint nor a folder, model and data set")
    try:
        return _ask(found, known_by, registries)
    except HubError as error:
        # Not the next best: which recipe is borrowed must not depend on what can be read today.
        return replace(found, unlent=f"the registries cannot be asked for one: {error.message}")


def _pinned(found: FoundCard, pin: Pin, registries: Registries, store: Store) -> FoundCard:
    lender = pins.lender(pin, registries, store)
    if lender is None:
        return replace(found, unlent=f"{pin.path} pins none for it, and nothing else may be used")
    theirs, _ = lender
    recipe, place = theirs.recipe, None
    if recipe is not None and recipe.provider == "repository":
        try:
            place = _place(found.card, theirs, exact=True)
        except ArgumentError as error:
            raise pins.contradiction(pin, (f"the recipe of {theirs.uid} is for other code: {error.message}",)) from None
    loan = Loan(kind="lock", why=f"borrowed from {theirs.uid}, as {pin.path} pins it", uid=str(theirs.uid), place=place)
    return replace(found, card=replace(found.card, recipe=recipe), loan=loan)


def _lending_to(found: FoundCard, registries: Registries) -> tuple[Registry, ...]:
    own = next((one for one in registries.members if one.name == found.registry), None)
    if own is None or not _is_of_settings(own):
        return registries.members
    return tuple(one for one in registries.members if _is_of_settings(one))


def _is_of_settings(registry: Registry) -> bool:
    return isinstance(registry, FolderRegistry) and registry.publishers is None


def _ask(found: FoundCard, known_by: Sequence[Likeness], registries: Registries) -> FoundCard:
    """Return the card with the recipe of the first card that lends one, or with the reason why none does.

    Raises:
        HubError: If the index, or a card that may lend, cannot be read.
    """
    card, home = found.card, registries.home
    if home is None:
        raise StoreError("there is no home folder for an index of the cards")
    refused: list[str] = []
    with SearchIndex.open(home, registries.members) as index:
        for kind, why in _WHY.items():
            pairs = [pair for one in known_by if one.kind == kind for pair in index.lenders(one, _MOST + 1)]
            for member in _lending_to(found, registries):
                uids = sorted({uid for key, uid in pairs if key == member.key})
                if len(uids) > _MOST:
                    raise StoreError(f"more than {_MOST} cards of {_called(member)} could lend theirs")
                asked = [_lender(card, member, Uid.parse(uid), kind, known_by) for uid in uids]
                refused += [one for one in asked if isinstance(one, str)]
                fitting = [one for one in asked if isinstance(one, _Lender)]
                if not fitting:
                    continue
                # Of several with one recipe, the one that is told is the most like this card.
                fitting.sort(key=partial(_unlike, card))
                first = fitting[0]
                other = next((one for one in fitting if one.network != first.network), None)
                if other is not None:
                    unlent = f"two different ones fit, that of {first} and that of {other}"
                    return replace(found, unlent=unlent, contested=True)
                loan = Loan(
                    kind=kind,
                    why=f"borrowed from {first}: {why}",
                    uid=str(first.card.uid),
                    registry=member.name,
                    place=first.place,
                )
                return replace(found, card=replace(card, recipe=first.recipe), loan=loan)
    unlent = _listed(refused) or "no registry knows one for its asset, or for its folder, model and data set"
    return replace(found, unlent=unlent)


def _unlike(card: Card, one: _Lender) -> tuple[bool, bool, bool]:
    """Return what tells a lender from a card, the weightiest first; of several lenders the least is told."""
    theirs = one.card
    return (
        theirs.uid != card.uid,
        _links(card).isdisjoint(_links(theirs)),
        theirs.mindspore_version != card.mindspore_version,
    )


def _links(card: Card) -> set[str]:
    return {asset.link for asset in card.assets if asset.is_weights}


def _lender(
    card: Card, registry: Registry, uid: Uid, kind: LikenessKind, known_by: Sequence[Likeness]
) -> _Lender | str | None:
    """Return a card that the index names if it lends its recipe, or why not; None if it has nothing to lend.

    Raises:
        HubError: If it cannot be read.
    """
    theirs = registry.read(uid)
    # The index can be older than the card.
    shared = [] if theirs is None else [one for one in likeness.of_card(theirs) if one.kind == kind and one in known_by]
    if theirs is None or not shared or theirs.recipe is None or (theirs.status and theirs.status.is_withdrawn):
        return None
    if recipe_problems(theirs):
        return None
    called = f"that of {uid} of {_called(registry)}"
    if kind == "link" and (link := _contradicted(card, theirs)) is not None:
        return f"{called} is for other bytes of {shown(link)}, as the digests say"
    place = None
    if theirs.recipe.provider == "repository":
        try:
            place = _place(card, theirs, exact=_is_of_settings(registry))
        except ArgumentError as error:
            return f"{called} runs code of a repository, and {error.message}"
    return _Lender(card=theirs, registry=registry, place=place)


def _contradicted(card: Card, theirs: Card) -> str | None:
    """Return a link under which two cards mean different bytes; None if there is none."""
    stated = {asset.link: asset.digest for asset in theirs.assets if asset.is_weights}
    for asset in card.assets:
        ours, other = asset.digest, stated.get(asset.link)
        if asset.is_weights and ours is not None and other is not None:
            short, long = sorted((ours.hex, other.hex), key=len)
            if not long.startswith(short):
                return asset.link
    return None


def _place(card: Card, theirs: Card, *, exact: bool) -> RepositoryPlace:
    """Return where the code of a borrowed recipe is: in the repository and at the revision of the card that borrows.

    Args:
        card: The card that borrows.
        theirs: The card that lends.
        exact: Whether a commit that the lender states counts where both name the same branch: the recipe was made for
            that commit. Of a registry that the user added it does not: the commit could be of any branch.

    Raises:
        ArgumentError: If the cards name different code.
    """
    own, other = place_of(card), place_of(theirs)
    if own is None or other is None:
        raise ArgumentError("the card names none")
    if (own.url, own.folder) != (other.url, other.folder):
        raise ArgumentError(f"the card names other code: {_told(own)}, not {_told(other)}")
    if own.revision == other.revision:
        return own
    linked = other if theirs.repo_link is None else parse_repo_link(theirs.repo_link)
    if own.is_pinned or own.revision != linked.revision:
        ours, theirs_at = (one.revision or "its default branch" for one in (own, linked))
        raise ArgumentError(f"the card names {ours} of it, not {theirs_at}")
    return other if exact else own


def _told(place: RepositoryPlace) -> str:
    return f"{shown(place.url)}, folder {place.folder or 'of the top'}"


def _called(registry: Registry) -> str:
    return "the packaged registry" if registry.root == resources.registry_folder() else registry.name


def _listed(refused: Sequence[str]) -> str:
    every = list(dict.fromkeys(refused))
    return "; ".join([*every[:2], *([f"{len(every) - 2} more are refused likewise"] if len(every) > 2 else [])])
