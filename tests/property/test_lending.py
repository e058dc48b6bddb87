"""Whatever cards the registries have: one recipe, of the strongest likeness and the first registry, or none."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.registry import FolderRegistry, Registries
from hubtool.registry.folder import read_card
from hubtool.resolution import lending
from hubtool.resolution.finding import FoundCard
from hubtool.store.store import Store
from tests.support.lending import BERT, DIGEST, LINK, NER, OTHER_DIGEST, OTHER_LINK, write

WITHDRAWN = "status: withdrawn\nstatus-reason: It was wrong.\n"


@dataclass(frozen=True)
class Lender:
    """A card of a registry, by what it has in common with the one that borrows."""

    registry: int
    kind: str
    recipe: str | None
    withdrawn: bool


lenders = st.builds(
    Lender,
    registry=st.integers(0, 1),
    kind=st.sampled_from(["digest", "link", "folder", "none"]),
    recipe=st.sampled_from([NER, BERT, None]),
    withdrawn=st.booleans(),
)


def written(root: Path, number: int, one: Lender) -> None:
    write(
        root,
        f"tests/1.9/n{number}",
        recipe=one.recipe,
        link=LINK if one.kind == "link" else OTHER_LINK,
        digest=DIGEST if one.kind == "digest" else DIGEST[:8] if one.kind == "link" else OTHER_DIGEST,
        model="bert_finetune" if one.kind == "folder" else "other",
        more=WITHDRAWN if one.withdrawn else "",
    )


@settings(deadline=None)
@given(st.lists(lenders, max_size=6))
def test_one_recipe_or_none(cards: list[Lender]) -> None:
    with tempfile.TemporaryDirectory() as name:
        roots = (Path(name, "first"), Path(name, "second"))
        for root in roots:
            root.mkdir()
        for number, one in enumerate(cards):
            written(roots[one.registry], number, one)
        card = read_card(write(Path(name, "own"), "tests/1.9/card"), None)
        store = Store(Path(name, "home"))
        registries = Registries(tuple(FolderRegistry(root) for root in roots), store.root)
        found = lending.borrow(FoundCard(card=card, root=None), registries, store)

    active = [one for one in cards if one.recipe is not None and not one.withdrawn]
    groups = [
        {one.recipe for one in active if (one.kind, one.registry) == (kind, at)}
        for kind in ("digest", "link", "folder")
        for at in range(2)
    ]
    recipes = next((group for group in groups if group), set())
    assert found.contested == (len(recipes) > 1)
    if len(recipes) != 1:
        assert found.card.recipe is None
        assert found.loan is None
        assert found.unlent
        return
    assert found.card.recipe is not None
    assert f"entry: {found.card.recipe.entry}\n" in str(*recipes)
    assert found.loan is not None
    lender = cards[int(str(found.loan.uid).removeprefix("tests/1.9/n"))]
    assert (lender.kind, lender.recipe in recipes, lender.withdrawn) == (found.loan.kind, True, False)
