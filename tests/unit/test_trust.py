"""Trust: who may run code here, decided without touching anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubtool import trust
from hubtool.errors import ArgumentError, SettingsError
from hubtool.trust import TrustList, decide

if TYPE_CHECKING:
    from pathlib import Path

HUB = "https://gitee.com/mindspore/models"


def test_by_default_the_hubs_organisations_are_listed_and_nothing_is_agreed_to() -> None:
    decision = decide(HUB, TrustList())
    assert decision.entry == "gitee.com/mindspore"
    assert not decision.allowed
    assert "have not agreed" in decision.why
    assert decision.hint is not None
    assert "hubtool trust add gitee.com/mindspore" in decision.hint
    assert decide(HUB, TrustList(), agreed_now=True).allowed
    assert decide(HUB, TrustList().agree("gitee.com/mindspore")).allowed


@pytest.mark.parametrize(
    "url",
    [
        "https://gitee.com/mindspore-evil/models",
        "https://gitee.com.evil.example/mindspore/models",
        "https://evil.example/gitee.com/mindspore/models",
        "https://github.com/someone/mindspore-ai",
        "file:///gitee.com/mindspore/models",
    ],
)
def test_what_only_looks_like_the_hub_is_not_trusted_even_if_the_user_agrees(url: str) -> None:
    decision = decide(url, TrustList(), agreed_now=True)
    assert decision.entry is None
    assert not decision.allowed


def test_adding_is_agreeing_and_removing_takes_both_back() -> None:
    added = TrustList().add("https://github.com/me/models.git")
    assert "github.com/me/models" in added.entries
    assert decide("https://github.com/me/models", added).allowed
    assert not decide("https://github.com/me/other", added).allowed
    assert not decide("https://github.com/me/models", added.remove("github.com/me/models")).allowed


def test_a_default_may_be_removed_and_added_again() -> None:
    without = TrustList().remove("gitee.com/mindspore")
    assert not decide(HUB, without, agreed_now=True).allowed
    assert decide(HUB, without.add("gitee.com/mindspore")).allowed


@pytest.mark.parametrize(
    "text", ["", "gitee.com", "gitee.com/", "*", "gitee.com/*", "a b/c", "gitee.com/../x", "--all"]
)
def test_what_is_no_entry(text: str) -> None:
    with pytest.raises(ArgumentError):
        TrustList().add(text)


def test_removing_what_is_not_there() -> None:
    with pytest.raises(ArgumentError, match="not on the trust list"):
        TrustList().remove("github.com/me")


def test_the_lists_survive_being_written(tmp_path: Path) -> None:
    path = tmp_path / "below" / "trust.json"
    assert trust.read(path) == TrustList()
    lists = TrustList().add("github.com/me").remove("gitee.com/mindspore").agree("github.com/mindspore-ai")
    trust.write(lists, path)
    assert trust.read(path) == lists
    assert [item.name for item in path.parent.iterdir()] == ["trust.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"agreed": "all"}', '{"agreed": [1]}', "\udcff"])
def test_a_damaged_list_trusts_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=r"trust\.json"):
        trust.read(path)


@pytest.mark.parametrize(("value", "agreed"), [("1", True), ("yes", True), ("0", False), ("", False), ("maybe", False)])
def test_the_variable(value: str, agreed: bool) -> None:
    assert trust.agreed_by({"HUBTOOL_TRUST": value}) is agreed
