"""What a card says about using its network, and what is missing on it."""

from __future__ import annotations

from typing import Any

import pytest

from hubtool.card.model import Asset, Card
from hubtool.digest import Digest
from hubtool.errors import RecipeError
from hubtool.pipelines import use

PICTURES: dict[str, Any] = {
    "task": "image-classification",
    "preprocessing": [{"color": "RGB"}, {"resize": {"size": [8, 8]}}],
    "outputs": [{"kind": "features"}, {"kind": "scores", "axes": "NK"}],
    "labels": "cifar-10",
}
TEXTS: dict[str, Any] = {
    "task": "token-classification",
    "preprocessing": [{"tokenize": {"tokenizer": "characters", "vocabulary": "vocab.txt", "length": 64}}],
    "outputs": [{"kind": "class-indices"}],
    "labels": {"asset": "labels.txt"},
}


def card(values: dict[str, Any], *files: str) -> Card:
    assets = tuple(Asset(format="txt", link=f"m/{name}", digest=Digest("0" * 64)) for name in files)
    return Card(uid=None, path=None, title="m", body="", values=values, assets=assets, recipe=None, faults=())


def test_what_a_card_of_pictures_says() -> None:
    found = use.read(card(PICTURES), "m")
    assert (found.task, found.output, found.kind) == ("image-classification", 1, "scores")
    assert found.steps == (("color", "RGB"), ("resize", {"size": [8, 8]}))
    assert found.labels is not None
    assert found.labels[:2] == ("airplane", "automobile")
    named = use.read(card({**PICTURES, "labels": ["a", "b"]}), "m")
    assert named.labels == ("a", "b")


def test_what_a_card_of_texts_says() -> None:
    found = use.read(card(TEXTS, "vocab.txt", "labels.txt"), "m")
    assert found.labels is None
    assert found.labels_asset is not None
    assert found.vocabulary_asset is not None
    assert (found.labels_asset.file_name, found.vocabulary_asset.file_name) == ("labels.txt", "vocab.txt")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "does not say its 'task'"),
        ({**PICTURES, "task": "object-detection"}, "is for object-detection, and hubtool runs"),
        ({"task": "image-classification"}, "no preprocessing and no outputs and no labels"),
        ({**PICTURES, "labels": None}, "it has no labels"),
        ({**PICTURES, "outputs": [{"kind": "boxes"}]}, "no output of the kind"),
        ({**PICTURES, "labels": "no-such"}, "no such list"),
        ({**PICTURES, "labels": {"asset": "x.txt"}}, "no such asset"),
        ({**PICTURES, "preprocessing": TEXTS["preprocessing"]}, "which no picture can take"),
        ({**TEXTS, "preprocessing": PICTURES["preprocessing"]}, "a text takes one: tokenize"),
        (TEXTS, "for its vocabulary|for its labels"),
    ],
)
def test_what_is_missing(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        use.read(card(values), "m")
    assert "m" in caught.value.message


def test_pieces_of_words_give_no_entities() -> None:
    step = {**TEXTS["preprocessing"][0]["tokenize"], "tokenizer": "bert"}
    with pytest.raises(RecipeError, match="by characters only"):
        use.read(card({**TEXTS, "preprocessing": [{"tokenize": step}]}, "vocab.txt", "labels.txt"), "m")
