"""UIDs: parse and format are inverses, and nothing dangerous is a UID."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from hubtool.errors import InvalidNameError
from hubtool.uid import MAX_PART, Uid
from tests.support import shared_folder

GOOD = [
    (
        "mindspore/1.9/bertfinetune_bilstmcrf_chinesener",
        ("mindspore", "1.9", "bertfinetune_bilstmcrf_chinesener", None),
    ),
    ("mindspore/1.10/resnet50_imagenet2012", ("mindspore", "1.10", "resnet50_imagenet2012", None)),
    ("noah-cvlab/gpu/1.0/resnet-0.65x_v1.0_oxford_pets", ("noah-cvlab", "1.0", "resnet-0.65x_v1.0_oxford_pets", "gpu")),
    ("mindspore/1.8/tacotron2_ljspeech1.1", ("mindspore", "1.8", "tacotron2_ljspeech1.1", None)),
    ("发布者/2.10/命名实体识别", ("发布者", "2.10", "命名实体识别", None)),
    ("a/2.0rc1/b+c", ("a", "2.0rc1", "b+c", None)),
]

BAD = [
    "", "/", "//", "a/b", "a/1.0/b/c/d", "../x", "../1.0/x", "a/../x", "a/1.0/..", "a/1.0/.", "/etc/passwd",
    "a/1.0/.hidden", "/a/1.0/b", "a/1.0/", "a//b", "a/1.0/b\0", "a/1.0/b\n", "a/1.0/\x1b[31m", "a/1.0/b c",
    "a\\1.0\\b", "C:/1.0/x", "a/1.0/-rf", "a/one/b", "a/1./b", "a/1.0/b.", "a/1.0/con", "a/1.0/NUL.txt", "a/1.0/" +
    "b" * (MAX_PART + 1), "a/1.0/b?", "a/1.0/b*", "a/1.0/b:c", "a/1.0/<b>", "a/1.0/~b", "a/1.0/%2e%2e",
    "a/1.0/\u202eb", "a/1.0/b\u200b", "https://example.org/a/1.0", "a" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts"), GOOD)
def test_parse_and_format_are_inverses(text: str, parts: tuple[str, str, str, str | None]) -> None:
    uid = Uid.parse(text)
    assert (uid.publisher, uid.version, uid.name, uid.backend) == parts
    assert str(uid) == text
    assert Uid.of_path(uid.path) == uid
    assert uid.path == PurePosixPath(f"{text}.md")


@pytest.mark.parametrize("text", BAD, ids=lambda text: ascii(text[:20]))
def test_what_is_no_uid_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        Uid.parse(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 2000


def test_every_card_of_the_corpus_has_a_uid() -> None:
    root = shared_folder() / "corpus" / "mindspore-hub"
    uids = {str(Uid.of_path(PurePosixPath(path.relative_to(root).as_posix()))) for path in root.rglob("*.md")}
    assert len(uids) == 2915
