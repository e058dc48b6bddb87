"""The tables of architectures and of pipeline tasks."""

from __future__ import annotations

import pytest

from hubtool.card import architectures, vocabulary
from hubtool.card.vocabulary import fold


def test_entries_are_whole_and_refer_to_each_other() -> None:
    tasks = architectures.tasks()
    models: set[str] = set()
    for one in architectures.architectures().values():
        assert one.tasks
        assert set(one.tasks) <= set(tasks), one.name
        assert one.english.endswith(".")
        assert one.chinese.endswith("。")
        assert (one.year is None) or (one.paper and 1980 < one.year < 2027)
        assert not models & {fold(model) for model in one.models}, one.name
        models |= {fold(model) for model in one.models}
    known = vocabulary.load("tasks").names
    for task in tasks.values():
        assert task.english
        assert task.chinese
        assert all(task.input)
        assert all(task.output)
        assert set(task.aliases) <= set(known), task.name
    for name, made_for in architectures.dataset_tasks().items():
        assert set(made_for) <= set(tasks), name


def test_every_name_finds_its_own_entry() -> None:
    found = {name: architectures.find(name) for name in architectures.architectures()}
    assert {name for name, one in found.items() if one is None or one.name != name} == set()


@pytest.mark.parametrize(
    ("model", "backbone", "name"),
    [
        ("resnet50", "resnet", "ResNet"),
        ("ResNet-50", "", "ResNet"),
        ("yolov5s", "yolov5", "YOLOv5"),
        ("unet_nested", "unet", "UNet++"),
        ("DeepLabV3+", "", "DeepLabV3+"),
        ("deeplabv3", "", "DeepLabV3"),
        ("dbnet_resnet50", "resnet50", "DBNet"),  # the detector, not the network in it
        ("my own", "bert", "BERT"),
        ("my own", "", None),
        ("x" * 100_000, "", None),
    ],
)
def test_architecture_of_a_card(model: str, backbone: str, name: str | None) -> None:
    found = architectures.of_card(model, backbone)
    assert (None if found is None else found.name) == name


@pytest.mark.parametrize(
    ("architecture", "task", "dataset", "tasks"),
    [
        ("BERT", "nlp", "SQuAD1.1", ("question-answering",)),
        ("BERT", "nlp", "ChineseNER", ("token-classification",)),
        ("BERT", "nlp", "", ("fill-mask",)),
        ("BERT", "nlp-reading_comprehension", "ChineseNER", ("question-answering",)),  # what the card says counts first
        ("ResNet", "cv", "COCO2017", ("image-classification",)),  # no detector
        ("Mask R-CNN", "cv", "COCO2017", ("instance-segmentation", "object-detection")),
        (None, "cv-object_detection", "", ("object-detection",)),
        (None, "cv", "ImageNet2012", ()),
        (None, "", "", ()),
    ],
)
def test_tasks_of_a_card(architecture: str | None, task: str, dataset: str, tasks: tuple[str, ...]) -> None:
    found = None if architecture is None else architectures.find(architecture)
    assert architectures.tasks_of(found, task, dataset) == tasks


def test_a_close_spelling_is_named() -> None:
    assert architectures.nearest("resnte") == "ResNet"
    assert architectures.nearest("x" * 100_000) is None
    assert architectures.nearest("qqqqqq") is None
