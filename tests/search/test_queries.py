"""Searches as people type them, over the registry that comes with hubtool."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool import resources
from hubtool.registry import FolderRegistry
from hubtool.registry.index import SearchIndex
from hubtool.toml import tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERIES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "queries.toml").read_text(encoding="utf-8"))["query"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchIndex]:
    """Return the index of the registry that comes with hubtool."""
    home = tmp_path_factory.mktemp("home")
    with SearchIndex.open(home, [FolderRegistry(resources.registry_folder())]) as opened:
        yield opened


def _place(index: SearchIndex, query: dict[str, Any]) -> int:
    """Return the place of the first right answer, from 1; 0 if it is not among the first five."""
    for place, model in enumerate(index.search(query["text"], 5).models, 1):
        if any(fnmatch.fnmatchcase(str(model.entry.uid), wanted) for wanted in query["first"]):
            return place
    return 0


def test_the_right_model_comes_first(index: SearchIndex) -> None:
    places = {query["text"]: _place(index, query) for query in QUERIES}
    assert len(places) == len(QUERIES) >= 80
    not_first = [text for text, place in places.items() if place != 1]
    not_in_five = [text for text, place in places.items() if place == 0]
    assert len(not_first) <= 0.10 * len(places), not_first
    assert len(not_in_five) <= 0.02 * len(places), not_in_five
