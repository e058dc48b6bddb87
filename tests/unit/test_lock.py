"""Lockfiles: parse and format are inverses, and what is not a lockfile is refused with its place."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import InvalidNameError, LockfileError
from hubtool.lockfile import lockfile as locks
from hubtool.lockfile.lockfile import LockedAsset, LockedCard, LockedCode, Lockfile
from hubtool.uid import Uid

A, B = "a" * 64, "b" * 64
CODE = LockedCode(repository="https://gitee.com/mindspore/models", commit="c" * 40, folder="official/nlp/bert", tree=B)
CARD = LockedCard(
    uid="a/1.9/b",
    sha256=A,
    registry="packaged",
    mindspore=">=2.7,<3",
    assets=(LockedAsset(link="https://gitee.com/x.ckpt", sha256=A, size=5),),
    code=CODE,
)

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
codes = st.builds(
    LockedCode,
    repository=texts,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    folder=st.from_regex(r"|[\w +-]{1,9}(/[\w+-]{1,9}){0,2}", fullmatch=True),
    tree=digests,
)


def _is_uid(text: str) -> bool:
    """Whether no part is a name that Windows has for a device."""
    try:
        Uid.parse(text)
    except InvalidNameError:
        return False
    return True


cards = st.builds(
    LockedCard,
    uid=st.from_regex(r"[a-z]{1,5}/[1-9]\.[0-9]{1,2}/[a-z]{1,8}", fullmatch=True).filter(_is_uid),
    sha256=digests,
    registry=texts,
    mindspore=st.sampled_from([None, ">=2.7,<3", "==2.10.0", ""]),
    assets=st.lists(st.builds(LockedAsset, link=texts, sha256=digests, size=st.integers(0, 2**50)), max_size=3).map(
        tuple
    ),
    code=st.one_of(st.none(), codes),
)


@settings(deadline=None)  # the first example imports jsonschema
@given(st.lists(cards, max_size=4, unique_by=lambda card: card.uid))
def test_parse_and_format_are_inverses(items: list[LockedCard]) -> None:
    text = locks.format_lockfile(Lockfile(cards=tuple(items)))
    lock = locks.parse(text)
    assert set(lock.cards) == set(items)
    assert locks.format_lockfile(lock) == text


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("lock-version = 1", "lock-version = 2", "format 2"),
        ("lock-version = 1", "", "'lock-version' is a required property"),
        ("lock-version = 1", "lock-version = 1\nother = 2", "other"),
        (A, "a" * 63, "card/0/"),
        ("size = 5", "size = -1", "card/0/asset/0/size"),
        ("size = 5", 'size = "5"', "card/0/asset/0/size"),
        ("c" * 40, "main", "card/0/code/commit"),
        ("[[card]]", "[[card", "is not TOML"),
        ("a/1.9/b", "../1.9/b", "'..' is not a name"),
        ("official/nlp/bert", "official/../../bert", "leads out"),
        ("official/nlp/bert", "/etc", "leads out"),
        (">=2.7,<3", "all of them", "not a range"),
        ("[[card]]", f'[[card]]\nuid = "a/1.9/b"\nsha256 = "{A}"\nregistry = ""\n[[card]]', "listed twice"),
    ],
)
def test_what_is_not_a_lock(old: str, new: str, part: str) -> None:
    text = locks.format_lockfile(Lockfile(cards=(CARD,)))
    assert old in text
    with pytest.raises(LockfileError) as caught:
        locks.parse(text.replace(old, new, 1), path="hub.lock")
    assert part in caught.value.message
    assert "hub.lock" in caught.value.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_or_a_device_is_not_a_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(LockfileError, match="not a regular file"):
            locks.read(path)


def test_differences_are_named() -> None:
    assert locks.differences(CARD, replace(CARD, registry="elsewhere")) == ()
    other = LockedAsset(link="https://gitee.com/x.ckpt", sha256=B, size=5)
    (one,) = locks.differences(CARD, replace(CARD, assets=(other,)))
    assert A in one
    assert B in one
    assert locks.differences(CARD, replace(CARD, sha256=B)) == (f"the card has the SHA-256 {B}, not {A}",)
    assert (
        "has the bytes 2, not 5" in locks.differences(CARD, replace(CARD, assets=(replace(CARD.assets[0], size=2),)))[0]
    )
    assert "is gone" in locks.differences(CARD, replace(CARD, assets=()))[0]
    assert "is new" in locks.differences(replace(CARD, assets=()), CARD)[0]
    (code,) = locks.differences(CARD, replace(CARD, code=None))
    assert "its code is none" in code
