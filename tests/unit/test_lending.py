"""Which card lends its recipe to one that has none, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubtool.registry import FolderRegistry, Registries
from hubtool.registry.entry import CardEntry
from hubtool.registry.folder import read_card
from hubtool.registry.index import SearchIndex
from hubtool.resolution import lending
from hubtool.resolution.finding import FoundCard
from hubtool.store.store import Store
from hubtool.uid import Uid
from tests.support.lending import (
    BERT,
    CALL,
    DIGEST,
    FOLDER,
    LINK,
    NER,
    OTHER_DIGEST,
    OTHER_LINK,
    SCRIPT,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "1" * 40
COMMIT_LINE = f"repo-revision: '{COMMIT}'\n"
WITHDRAWN = "status: withdrawn\nstatus-reason: It was wrong.\n"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    (tmp_path / "first").mkdir()
    return tmp_path / "first"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    (tmp_path / "second").mkdir()
    return tmp_path / "second"


def borrow(card: Path, *members: Path | FolderRegistry, uid: str | None = None) -> FoundCard:
    """Ask registries, in order, for the recipe of a card: by its path, or by its UID in the first of them."""
    opened = tuple(one if isinstance(one, FolderRegistry) else FolderRegistry(one) for one in members)
    store = Store(card.parent.parent / "home")
    registries = Registries(opened, store.root)
    if uid is None:
        return lending.borrow(FoundCard(card=read_card(card, None), root=card.parent), registries, store)
    found, registry = registries.read(Uid.parse(uid))
    return lending.borrow(FoundCard(card=found, root=registry.root, registry=registry.name), registries, store)


def entry(found: FoundCard) -> tuple[str | None, str | None]:
    """Return the kind of match and the entry that was borrowed."""
    recipe = found.card.recipe
    assert (found.loan is None) == (recipe is None)
    assert (found.unlent is None) == (recipe is not None)
    return (None if found.loan is None else found.loan.kind), (None if recipe is None else recipe.entry)


@pytest.mark.parametrize(
    ("mine", "kind"),
    [
        ({}, "digest"),
        ({"link": OTHER_LINK, "model": "x", "repo_link": FOLDER + "x"}, "digest"),
        ({"link": f"<{LINK}>", "digest": DIGEST[:8], "model": "x"}, "link"),
        ({"link": OTHER_LINK, "digest": OTHER_DIGEST}, "folder"),
        ({"link": OTHER_LINK, "digest": OTHER_DIGEST, "dataset": "chinese-ner", "repo_link": f"<{FOLDER}>"}, "folder"),
    ],
)
def test_by_digest_then_by_link_then_by_folder(first: Path, tmp_path: Path, mine: dict[str, str], kind: str) -> None:
    write(first, "a/1.9/lender", recipe=NER)
    found = borrow(write(tmp_path / "own", "a/1.9/card", **mine), first)
    assert entry(found) == (kind, "bert-ner")
    assert found.loan is not None
    assert (found.loan.uid, found.loan.registry) == ("a/1.9/lender", str(first))
    assert found.loan.why.startswith(f"borrowed from a/1.9/lender of {first}: ")


@pytest.mark.parametrize(
    "mine",
    [
        {"dataset": "CLUENER"},
        {"model": "bert_base"},
        {"repo_link": "https://gitee.com/mindspore/models/tree/r1.9/official/nlp/gpt"},
        {"repo_link": "https://gitee.com/stranger/models/tree/r1.9/official/nlp/bert"},
        {"dataset": "'-'"},
        {"repo_link": "https://gitee.com/mindspore/models"},
    ],
)
def test_another_network_lends_nothing(first: Path, tmp_path: Path, mine: dict[str, str]) -> None:
    more = {key: value for key, value in mine.items() if value == "'-'"}
    write(first, "a/1.9/lender", recipe=NER, **more)
    card = write(tmp_path / "own", "a/1.9/card", link=OTHER_LINK, digest=OTHER_DIGEST, **mine)
    assert entry(borrow(card, first)) == (None, None)


def test_one_link_with_other_bytes_is_another_asset(first: Path, tmp_path: Path) -> None:
    write(first, "a/1.9/lender", recipe=NER, model="other")
    found = borrow(write(tmp_path / "own", "a/1.9/card", digest=OTHER_DIGEST), first)
    assert entry(found) == (None, None)
    assert f"is for other bytes of {LINK}" in str(found.unlent)


def test_a_short_digest_and_a_file_beside_the_card_name_no_asset(first: Path, tmp_path: Path) -> None:
    same = {"link": "net/net.ckpt", "digest": DIGEST[:8]}
    write(first, "a/1.9/lender", recipe=NER, model="other", **same)
    assert entry(borrow(write(tmp_path / "own", "a/1.9/card", **same), first)) == (None, None)


def test_two_different_recipes_are_both_named_and_neither_is_taken(first: Path, tmp_path: Path) -> None:
    write(first, "a/1.9/one", recipe=NER)
    write(first, "a/1.9/two", recipe=BERT)
    found = borrow(write(tmp_path / "own", "a/1.9/card"), first)
    assert entry(found) == (None, None)
    assert found.contested
    assert "that of a/1.9/one" in str(found.unlent)
    assert "that of a/1.9/two" in str(found.unlent)


def test_two_cards_with_one_recipe_agree_and_the_card_itself_is_told(first: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(first, f"a/1.9/{name}", recipe=NER, link=LINK if name == "b" else OTHER_LINK)
    found = borrow(write(tmp_path / "own", "a/1.9/card"), first)
    assert found.loan is not None
    assert found.loan.uid == "a/1.9/b"


def test_what_is_known_of_a_network_makes_no_other_recipe(first: Path, tmp_path: Path) -> None:
    """Of two cards with one network, one may state what it computes, and the other not yet."""
    answer = (
        "  known-answer: {rule: 1, source: script, mindspore: 2.10.0, device: CPU, date: 2026-11-30, outputs: []}\n"
    )
    write(first, "a/1.9/one", recipe=NER)
    write(first, "a/1.9/two", recipe=NER + answer)
    assert entry(borrow(write(tmp_path / "own", "a/1.9/card"), first)) == ("digest", "bert-ner")


def test_the_kind_of_match_comes_first_and_then_the_order_of_registries(
    first: Path, second: Path, tmp_path: Path
) -> None:
    card = write(tmp_path / "own", "a/1.9/card")
    write(first, "a/1.9/one", recipe=NER)
    write(second, "a/1.9/two", recipe=BERT)
    assert entry(borrow(card, first, second)) == ("digest", "bert-ner")
    assert entry(borrow(card, second, first)) == ("digest", "bert")
    write(first, "a/1.9/one", recipe=NER, digest=DIGEST[:8])
    assert entry(borrow(card, first, second)) == ("digest", "bert")


def test_a_card_without_a_recipe_borrows_that_of_its_own_uid_in_a_later_registry(first: Path, second: Path) -> None:
    card = write(first, "a/1.9/card")
    write(second, "a/1.9/card", recipe=NER)
    assert entry(borrow(card, first, second, uid="a/1.9/card")) == ("digest", "bert-ner")


@pytest.mark.parametrize("network", ["network: broken\n", "network:\n  provider: builtin\n"])
def test_a_recipe_of_its_own_counts_even_where_it_cannot_be_read(first: Path, tmp_path: Path, network: str) -> None:
    write(first, "a/1.9/lender", recipe=NER)
    found = borrow(write(tmp_path / "own", "a/1.9/card", more=network), first)
    assert found.loan is None
    assert found.card.recipe is None
    own = borrow(write(first, "a/1.9/own", recipe=BERT), first, uid="a/1.9/own")
    assert own.loan is None
    assert own.card.recipe is not None
    assert own.card.recipe.entry == "bert"


def test_a_graph_needs_no_recipe(first: Path, tmp_path: Path) -> None:
    write(first, "a/1.9/lender", recipe=NER)
    found = borrow(write(tmp_path / "own", "a/1.9/card", form="mindir"), first)
    assert (found.loan, found.unlent) == (None, None)


def test_what_is_withdrawn_lends_nothing_and_an_earlier_registry_can_withdraw(
    first: Path, second: Path, tmp_path: Path
) -> None:
    card = write(tmp_path / "own", "a/1.9/card")
    write(first, "a/1.9/lender", recipe=NER, more=WITHDRAWN)
    assert entry(borrow(card, first)) == (None, None)
    write(second, "a/1.9/lender", recipe=NER)
    assert entry(borrow(card, second)) == ("digest", "bert-ner")
    assert entry(borrow(card, first, second)) == (None, None)
    assert entry(borrow(card, second, first)) == ("digest", "bert-ner")


def test_a_card_that_was_withdrawn_since_the_index_was_made_lends_nothing(first: Path, tmp_path: Path) -> None:
    card = write(tmp_path / "own", "a/1.9/card")
    write(first, "a/1.9/lender", recipe=NER)
    assert entry(borrow(card, first)) == ("digest", "bert-ner")
    write(first, "a/1.9/lender", recipe=NER, more=WITHDRAWN)
    assert entry(borrow(card, first)) == (None, None)
    write(first, "a/1.9/lender", recipe=BERT)
    assert entry(borrow(card, first)) == ("digest", "bert")


def test_an_added_registry_lends_nothing_to_cards_of_the_settings(first: Path, second: Path, tmp_path: Path) -> None:
    added = FolderRegistry(second, "added", publishers=())
    write(first, "lab/1.9/card")
    write(second, "lab/1.9/lender", recipe=NER)
    assert entry(borrow(first / "lab/1.9/card.md", first, added, uid="lab/1.9/card")) == (None, None)
    assert entry(borrow(write(tmp_path / "own", "lab/1.9/x"), first, added)) == ("digest", "bert-ner")
    write(second, "lab/1.9/other")
    assert entry(borrow(first / "lab/1.9/card.md", first, added, uid="lab/1.9/other")) == ("digest", "bert-ner")
    write(first, "lab/1.9/lender", recipe=BERT)
    assert entry(borrow(first / "lab/1.9/card.md", first, added, uid="lab/1.9/card")) == ("digest", "bert")


def test_code_runs_of_the_same_repository_folder_and_revision_only(first: Path, tmp_path: Path) -> None:
    write(first, "a/1.9/lender", recipe=SCRIPT, more=COMMIT_LINE)
    own = tmp_path / "own"
    found = borrow(write(own, "a/1.9/card"), first)
    assert entry(found) == ("digest", "export.py")
    assert found.place is not None
    # The commit that the recipe was made for, of the branch that both name.
    assert (found.place.url, found.place.revision) == ("https://gitee.com/mindspore/models", COMMIT)
    for link, why in [
        (FOLDER.replace("mindspore/models", "stranger/models"), "names other code: https://gitee.com/stranger/models"),
        (FOLDER + "_thor", "folder official/nlp/bert_thor"),
        (FOLDER.replace("r1.9", "r1.8"), "the card names r1.8 of it, not r1.9"),
        ("''", "the card names none"),
        ("https://gitee.com/", "does not name a repository"),
    ]:
        found = borrow(write(own, "a/1.9/card", repo_link=link), first)
        assert entry(found) == (None, None)
        assert why in str(found.unlent)
    found = borrow(write(own, "a/1.9/card", more=f"repo-revision: '{'2' * 40}'\n"), first)
    assert entry(found) == (None, None)
    found = borrow(write(own, "a/1.9/card", more=COMMIT_LINE), first)
    assert found.place is not None
    assert found.place.revision == COMMIT


def test_an_added_registry_chooses_no_commit_for_other_cards(second: Path, tmp_path: Path) -> None:
    write(second, "lab/1.9/lender", recipe=SCRIPT, more=COMMIT_LINE)
    found = borrow(write(tmp_path / "own", "lab/1.9/card"), FolderRegistry(second, "added", publishers=()))
    assert entry(found) == ("digest", "export.py")
    assert found.place is not None
    assert found.place.revision == "r1.9"


def test_recipes_of_packages_are_lent(first: Path, tmp_path: Path) -> None:
    write(first, "a/2.3/lender", recipe=CALL)
    assert entry(borrow(write(tmp_path / "own", "a/2.3/card"), first)) == ("digest", "mindcv.models:create_model")


def test_too_many_lenders_are_not_read(first: Path, tmp_path: Path) -> None:
    for number in range(65):
        write(first, f"a/1.9/n{number}", recipe=NER)
    found = borrow(write(tmp_path / "own", "a/1.9/card"), first)
    assert entry(found) == (None, None)
    assert "more than 64 cards" in str(found.unlent)


@pytest.mark.parametrize("recipe", [NER, None])
def test_a_published_index_tells_what_its_cards_can_lend(first: Path, recipe: str | None) -> None:
    write(first, "a/1.9/lender", recipe=recipe)
    (entry,) = FolderRegistry(first).entries("a/1.9/lender")
    again = CardEntry.of_json(entry.as_published())
    assert again is not None
    assert again.lends == entry.lends
    assert [one.kind for one in entry.lends] == ([] if recipe is None else ["digest", "link", "folder"])


@pytest.mark.parametrize("recipe", [NER, None])
def test_a_published_card_that_is_withdrawn_lends_nothing(first: Path, recipe: str | None) -> None:
    write(first, "a/1.9/lender", recipe=recipe, more=WITHDRAWN)
    (entry,) = FolderRegistry(first).entries("a/1.9/lender")
    again = CardEntry.of_json(entry.as_published())
    assert again is not None
    assert again.lends == entry.lends == ()


@pytest.mark.parametrize(
    "lender",
    [
        {"recipe": NER, "more": WITHDRAWN},
        {"recipe": None},
        {"recipe": NER, "link": OTHER_LINK, "digest": OTHER_DIGEST, "model": "other"},
        {"recipe": "  provider: builtin\n  entry: no-such-network\n"},
    ],
)
def test_a_wrong_index_makes_no_lender(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lender: dict[str, str | None]
) -> None:
    write(first, "a/1.9/lender", **lender)  # type: ignore[arg-type] # its own arguments
    named = [(FolderRegistry(first).key, "a/1.9/lender"), (FolderRegistry(first).key, "a/1.9/gone")]
    monkeypatch.setattr(SearchIndex, "lenders", lambda *_: named)
    assert entry(borrow(write(tmp_path / "own", "a/1.9/card"), first)) == (None, None)
