"""Trust: who may run code here, decided without touching anything."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.errors import ArgumentError, SettingsError
from hubtool.registry import sources
from hubtool.resolution import trust
from hubtool.resolution.trust import TrustList, decide

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
        "file:gitee.com/mindspore/models",
        "gitee.com/mindspore/../evil/models",
        "https://gitee.com/mindspore/../evil",
        "https://gitee.com/mindspore/%2e%2e/evil",
        "https://gitee.com/mindspore/%252e%252e%252fevil/x",
        "https://gitee.com/mindspore//x",
        "https://gitee.com/mindspore/./x",
        "https://gitee.com/mindspore/x?y",
        "https://gitee.com/mindspore/x#y",
        "https://gitee.com/mindspore/x\\..\\y",
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
    "text",
    [
        "",
        "gitee.com",
        "gitee.com/",
        "*",
        "gitee.com/*",
        "a b/c",
        "gitee.com/../x",
        "--all",
        "gitee.com/./x",
        "gitee.com//x",
        "gitee.com/x?y",
        "gitee.com/x#y",
        "gitee.com/a\\b",
        "gitee.com/%2e%2e/x",
        "file:host/x",
        "gitee.com/-x",
        "gitee.com/.x",
        "/srv/../etc",
    ],
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


def test_groups_within_groups() -> None:
    lists = TrustList().add("https://gitlab.example/group/sub")
    assert decide("https://gitlab.example/group/sub/name", lists).allowed
    assert not decide("https://gitlab.example/group/other/name", lists).allowed
    assert decide("https://gitlab.example/group/sub/name", TrustList().add("gitlab.example/group/sub/name")).allowed


def test_what_is_asked_for_is_said() -> None:
    decision = decide(HUB, TrustList())
    assert "trusted by default, but" not in decision.why
    assert "code of gitee.com/mindspore/models" in decision.why
    assert "hubtool.load(..., trust=True)" in str(decision.hint)
    assert "HUBTOOL_TRUST=1" in str(decision.hint)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_lists_that_others_could_have_written_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config" / "trust.json"
    before = os.umask(0o002)
    try:
        trust.write(TrustList().add("github.com/me"), path)
    finally:
        os.umask(before)
    assert trust.read(path).added == ("github.com/me",)
    for mode in (0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(SettingsError, match=r"other users can write the trust list, .*trust\.json") as caught:
            trust.read(path)
        assert "chmod go-w" in str(caught.value.hint)
    path.chmod(0o600)
    path.parent.chmod(0o777)
    with pytest.raises(SettingsError, match="can write the folder of the trust list"):
        trust.read(path)
    path.parent.chmod(0o1777)
    assert trust.read(path).added == ("github.com/me",)
    sources.save(path.with_name("registries.toml"), ())
    path.with_name("registries.toml").chmod(0o666)
    with pytest.raises(SettingsError, match="other users can write the list of registries"):
        sources.load(path.with_name("registries.toml"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_lists_that_are_no_files_are_refused(tmp_path: Path) -> None:
    pipe, device, folder = tmp_path / "pipe", tmp_path / "device", tmp_path / "folder"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    folder.mkdir()
    for path in (pipe, device, folder):
        with pytest.raises(SettingsError, match="is not a regular file"):
            trust.read(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file to another user")
def test_lists_of_another_user_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trust.write(TrustList(), path)
    os.chown(path, 12345, -1)
    with pytest.raises(SettingsError, match="belongs to another user"):
        trust.read(path)


def test_a_long_path_is_judged_at_once() -> None:
    before = time.monotonic()
    for text in ("/" + "a" * 5000 + "!", "host" + "/a.b-c" * 5000 + "!", "h" * 5000 + "!"):
        assert not decide(text, TrustList(), agreed_now=True).allowed
    assert time.monotonic() - before < 1
