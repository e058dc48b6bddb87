"""What tells that two cards are of one network: the same asset, or the same folder, model and data set. Pure.

A card without a recipe borrows that of a card which is like it in one of these; see
:mod:`hubtool.resolution.lending`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from hubtool.card import vocabulary
from hubtool.card.repo_link import parse_repo_link
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from hubtool.card.model import Card
    from hubtool.digest import Digest

LikenessKind = Literal["digest", "link", "folder"]


class Likeness(NamedTuple):
    """One thing that cards of one network have in common: of which kind, and its text, which is compared as it is."""

    kind: LikenessKind
    text: str


def of_asset(link: str, digest: Digest | None) -> tuple[Likeness, ...]:
    """Return by what a card with this asset is known: the whole digest, and the link if it is one of the web.

    A short digest says nothing here, as anyone can make another file for it, and nor does a path beside a card.
    """
    found = [] if digest is None or digest.is_short else [Likeness("digest", digest.hex)]
    return (*found, Likeness("link", link)) if "://" in link else tuple(found)


def of_folder(repo_link: str | None, model: str | None, datasets: str | None) -> tuple[Likeness, ...]:
    """Return by what a card of this model, data set and folder of a repository is known; nothing unless all three are.

    The revision does not count: whether the code is the same is asked where a recipe needs it.
    """
    name, sets = vocabulary.fold(model or ""), datasets or ""
    if repo_link is None or not name or vocabulary.says_nothing(sets):
        return ()
    try:
        place = parse_repo_link(repo_link)
    except ArgumentError:
        return ()
    trained = sorted(vocabulary.fold(known or written) for written, known in vocabulary.datasets(sets))
    if not place.folder or not all(trained):
        return ()
    return (Likeness("folder", f"{place.url} {place.folder} {name} {'|'.join(trained)}"),)


def of_card(card: Card) -> tuple[Likeness, ...]:
    """Return all that a card is known by, the strongest kind first."""
    every = [one for asset in card.assets if asset.is_weights for one in of_asset(asset.link, asset.digest)]
    folder = of_folder(card.repo_link, card.text("model-name"), card.text("train-dataset"))
    order = ("digest", "link", "folder")
    return tuple(sorted(dict.fromkeys((*every, *folder)), key=lambda one: order.index(one.kind)))
