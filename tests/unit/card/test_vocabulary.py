"""The words of cards."""

from __future__ import annotations

import re

import pytest

from hubtool.card import document, schema, vocabulary
from tests.support import corpus


@pytest.mark.parametrize("name", ["tasks", "datasets", "licences", "keys"])
def test_no_spelling_stands_for_two_names(name: str) -> None:
    found = vocabulary.load(name)
    assert len(set(found.names)) == len(found.names)
    assert set(found.spellings.values()) == set(found.names)
    for entry in found.names:
        assert found.find(entry) == entry
    # Were a spelling listed twice, the later would win and this name would have lost it.
    import json

    from hubtool import resources

    entries = json.loads(resources.vocabulary_file(name).read_text(encoding="utf-8"))["entries"]
    folded = [vocabulary.fold(text) for entry in entries for text in (entry["name"], *entry.get("aliases", ()))]
    assert len(set(folded)) == len(folded)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("imagenet2012", "ImageNet2012"), ("ImageNet", "ImageNet2012"), ("ImageNet-2012", "ImageNet2012"),
        ("cifar10", "CIFAR-10"), ("squadv1.1", "SQuAD1.1"), ("SQuAD", "SQuAD"), ("bdqa", "DBQA"),
        ("百度自建数据集", "Baidu emotion corpus"),
        ("polarity_moviereview", "Sentence polarity v1.0_Movie Review Data"),
        ("MVtecAD_metal_nut", "MVTec AD metal nut"),
        ("ICDAR2013 | SCUT-FORU | CocoTextv2", "ICDAR2013_SCUT-FORU_CocoTextv2"),
        ("en-wiki-128_MNLI", "en-wiki-128_MNLI"),
        ("nothing like it", None), ("imagenet2012_nothing", None), ("x" * 10_000, None), ("", None), ("|", None),
    ],
)  # fmt: skip
def test_datasets(text: str, name: str | None) -> None:
    assert vocabulary.dataset(text) == name
    if name is not None:
        assert vocabulary.dataset(name) == name


def test_names_of_datasets_can_be_joined() -> None:
    for name in vocabulary.load("datasets").names:
        assert "_" not in name
        assert "|" not in name
        assert vocabulary.dataset(f"{name}_MNIST") == f"{name}_MNIST"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cv", "cv"), ("NLP", "nlp"), ("cv-super-resolution", "cv-super_resolution"),
        ("audio-TTS", "audio-text_to_speech"),
        ("cv-derain", "cv-deraining"), ("cv-nothing", None),
    ],
)  # fmt: skip
def test_tasks(text: str, name: str | None) -> None:
    assert vocabulary.task(text) == name


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("Apache2.0", "Apache-2.0"), ("Apache 2.0", "Apache-2.0"), ("apache-2.0", "Apache-2.0"), ("MIT", "MIT"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"), ("Tongyi Qianwen License", "LicenseRef-Tongyi-Qianwen"),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        ("LicenseRef-Own", "LicenseRef-Own"), ("my own", None), ("MIT OR", None),
        ("(MIT OR", None), ("", None), ("(" * 5000, None),
    ],
)  # fmt: skip
def test_licences(text: str, expression: str | None) -> None:
    assert vocabulary.licence(text) == expression


def test_nearest() -> None:
    assert vocabulary.load("datasets").nearest("UCF-10") == ("UCF101",)
    assert vocabulary.load("datasets").nearest("zzzzzz") == ()
    assert vocabulary.load("datasets").nearest("a" * 100_000) == ()


def test_keys_are_those_of_the_schema() -> None:
    known = {*schema.known_keys(), *schema.known_keys("asset")}
    assert set(vocabulary.load("keys").names) <= known
    assert vocabulary.key("用户ID") == "user-id"
    assert vocabulary.key("Model_Name") == "model-name"


def test_the_corpus_names_few_unknown_datasets() -> None:
    unknown = set()
    for path in corpus():
        found = re.search(
            r"^train-dataset[ \t]*[:：](.*)$", document.parse(path.read_bytes()).front_matter or "", re.MULTILINE
        )
        if found and not vocabulary.says_nothing(found[1]) and vocabulary.dataset(found[1].strip()) is None:
            unknown.add(found[1].strip())
    assert unknown == {"UCF-10", "vot2013vot2014"}


def test_how_many_classes_a_data_set_has() -> None:
    assert vocabulary.class_count("cifar10") == 10
    assert vocabulary.class_count("ImageNet-2012") == 1000
    assert vocabulary.class_count("COCO2017") is None  # tasks differ
    assert vocabulary.class_count("CIFAR-10_CIFAR-100") is None
    assert vocabulary.class_count("nothing like it") is None
