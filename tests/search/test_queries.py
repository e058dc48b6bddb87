"""Searches as people type them, over the registry that comes with hubtool."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool import resources
from hubtool.card import architectures
from hubtool.registry import FolderRegistry
from hubtool.registry.index import SearchIndex
from hubtool.toml import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERIES: list[dict[str, Any]] = parse((Path(__file__).parent / "queries.toml").read_text(encoding="utf-8"))["query"]


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


def test_every_card_has_an_architecture_and_a_task(index: SearchIndex) -> None:
    for entry in index.entries():
        architecture = architectures.of_card(entry.model, entry.backbone)
        assert architecture is not None, entry.uid
        assert architectures.tasks_of(architecture, entry.task, entry.datasets), entry.uid


def test_a_model_is_found_once_with_all_its_versions(index: SearchIndex) -> None:
    found = index.search("resnet50 imagenet")
    best = found[0]
    assert best.uid == "mindspore/2.5/resnet50_imagenet2012"
    assert [uid.split("/")[1] for uid in best.versions] == [
        "2.5",
        "2.3",
        "1.10",
        "1.9",
        "1.8",
        "1.7",
        "1.6",
        "1.5",
        "1.3",
    ]
    assert len({model.versions for model in found}) == len(found)
    single = index.search("resnet50_imagenet2012", versions=True)
    assert [model.uid for model in single][:9] == list(best.versions)
    assert index.search("resnet50 imagenet", 3).count == found.count > 3
    assert len(index.search("resnet50 imagenet", 3)) == 3


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ("resnet50 imagenet pytorch", ("pytorch",)),
        ("pytorch resnet50", ("pytorch",)),
        ("deepspeech2 cityscapes", ("cityscapes",)),  # the name counts more than the data set
        ("resnet50 imagenet", ()),
    ],
)
def test_what_was_left_out_is_said(index: SearchIndex, text: str, dropped: tuple[str, ...]) -> None:
    found = index.search(text)
    assert found.dropped == dropped
    assert len(found) > 0
    assert bool(found.notes()) == bool(dropped)


@pytest.mark.parametrize("text", ["zzzqqq", "xyzzyfoo 文英文英", "*", "' OR 1=1 --", "resne_t99x"])
def test_nothing_never_stands_alone(index: SearchIndex, text: str) -> None:
    found = index.search(text)
    if not found:
        assert any(note.startswith("hint: ") for note in found.notes())


def test_what_was_corrected_is_said(index: SearchIndex) -> None:
    assert index.search("resnt50").corrected == (("resnt50", "resnet50"),)
    assert "'resnt50' was read as 'resnet50'" in index.search("resnt50").notes()
    assert index.search("resnet50").corrected == ()


def test_what_was_found_fits_a_screen(index: SearchIndex) -> None:
    text = repr(index.search("image classification", 10))
    assert len(text.splitlines()) == 11
    assert all(len(line) <= 125 for line in text.splitlines())
    assert "(10 of " in text
