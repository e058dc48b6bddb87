"""What a caller may call a card: a UID, or the URL of the card on the public hub."""

from __future__ import annotations

import pytest

from hubtool.errors import InvalidNameError
from hubtool.resolution.finding import parse_name

ASSETS = "https://gitee.com/mindspore/hub/blob/master/mshub_res/assets"


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("mindspore/1.9/resnet50_imagenet2012", "mindspore/1.9/resnet50_imagenet2012"),
        (f"{ASSETS}/mindspore/1.3/alexnet_cifar10.md", "mindspore/1.3/alexnet_cifar10"),
        (f"{ASSETS}/mindspore/1.8/tacotron2_ljspeech1.1.md", "mindspore/1.8/tacotron2_ljspeech1.1"),
        (f"{ASSETS}/noah-cvlab/gpu/1.0/resnet50.md", "noah-cvlab/gpu/1.0/resnet50"),
        (
            "https://github.com/mindspore-ai/hub/raw/r1.9/mshub_res/assets/mindspore/1.9/a.md?x=1#y",
            "mindspore/1.9/a",
        ),
        ("HTTPS://gitee.com/a/b/c/mindspore/1.9/a.md", "mindspore/1.9/a"),
        ("https://www.mindspore.cn/resources/hub/details?MindSpore/1.9/bert_squad", "mindspore/1.9/bert_squad"),
        ("https://www.mindspore.cn/resources/hub/en/details?noah-cvlab/gpu/1.1/x_v1.0", "noah-cvlab/gpu/1.1/x_v1.0"),
    ],
)
def test_names_of_cards(name: str, uid: str) -> None:
    assert str(parse_name(name)) == uid


@pytest.mark.parametrize(
    "name",
    [
        "https://gitee.com/",
        "https://gitee.com/a.md",
        "https://gitee.com/mindspore/hub",
        f"{ASSETS}/mindspore/1.9/%2e%2e/x.md",
        f"{ASSETS}/mindspore/1.9/..%2f..%2fx.md",
        f"{ASSETS}/mindspore/1.9/\x00.md",
        "https://www.mindspore.cn/resources/hub/details?MindSpore/../1.9",
        "ftp://gitee.com/mindspore/1.9/a.md",
        "file:///etc/1.9/passwd",
    ],
)
def test_what_is_no_name_of_a_card(name: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_name(name)
