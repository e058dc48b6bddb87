"""One command reads a card once, and what was agreed to is compared with what would run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hubtool import loader
from hubtool.card.repo_link import RepositoryPlace
from hubtool.cli import app
from hubtool.errors import CardError, InvalidNameError, NetworkError
from hubtool.hub import Hub
from hubtool.publish import check, check_rows
from hubtool.registry import Registries
from hubtool.resolution import trust
from hubtool.resolution.trust import Agreement
from hubtool.verification import card_file
from tests.support.cards import write_card

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.registry import Registry
    from hubtool.resolution.finding import FoundCard
    from hubtool.uid import Uid

UID = "tests/1.9/net"
STRANGER = "https://github.com/stranger/models/tree/main/net"


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Uid]:
    """Set up a registry with a card of repository code, and return what is read of it."""
    path = write_card(tmp_path / "registry", UID, link="https://github.com/x/net.ckpt", content=b"x")
    text = path.read_text("utf-8").replace("provider: builtin", "provider: repository")
    link = f"repo-link: {STRANGER}\n"
    path.write_text(text.replace("network:\n", f"{link}network:\n"), encoding="utf-8")
    monkeypatch.setenv("HUBTOOL_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.setenv("HUBTOOL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    seen: list[Uid] = []
    read = Registries.read

    def counted(self: Registries, uid: Uid) -> tuple[Card, Registry]:
        seen.append(uid)
        return read(self, uid)

    monkeypatch.setattr(Registries, "read", counted)
    return seen


@pytest.mark.parametrize(
    "arguments", [("load", UID), ("export", UID, "net.mindir"), ("resolve", UID), ("resolve", UID, "--explain")]
)
def test_a_command_reads_a_card_once(reads: list[Uid], arguments: tuple[str, ...]) -> None:
    app.run(list(arguments))
    assert [str(uid) for uid in reads] == [UID]


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("arguments", [("load", UID), ("export", UID, "net.mindir"), ("resolve", UID, "--explain")])
def test_a_command_reads_the_trust_list_once(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    read, seen = trust.read, []

    def counted(path: Path | None = None) -> trust.TrustList:
        seen.append(path)
        return read(path)

    monkeypatch.setattr(trust, "read", counted)
    app.run(list(arguments))
    assert seen == [None]


@pytest.mark.usefixtures("reads")
def test_another_recipe_repository_or_folder_than_agreed_to_is_refused() -> None:
    hub = Hub.open()
    found = hub.find(UID)
    recipe = found.card.recipe
    assert recipe is not None
    place = RepositoryPlace(url="https://github.com/stranger/models", revision="0" * 40, folder="net")
    others = (
        Agreement(recipe=replace(recipe, entry="other:make"), place=place),
        Agreement(recipe=replace(recipe, arguments={"x": 1}), place=place),
    )
    for agreement in others:
        with pytest.raises(NetworkError, match="not the code that you agreed to"):
            loader.load(hub, hub.resolve(found), agreement=agreement)
    for other in (replace(place, url="https://github.com/mindspore-ai/models"), replace(place, folder="x")):
        card = found.card
        values = {**card.values, "repo-link": f"{other.url}/tree/main/{other.folder}"}
        trusted = replace(
            found,
            card=replace(card, values={**values, "repo-link": "https://github.com/mindspore-ai/models/tree/a/net"}),
        )
        agreement = Agreement(recipe=recipe, place=replace(other, url="https://github.com/mindspore-ai/other"))
        with pytest.raises(NetworkError, match="not the code that you agreed to"):
            loader.load(hub, hub.resolve(trusted, trust=True), agreement=agreement)


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("name", ["./gone", "../gone", "/gone/card", "~/gone"])
def test_a_path_that_is_no_card_is_said_to_be_a_path(name: str) -> None:
    with pytest.raises(InvalidNameError, match="there is no file of that path"):
        Hub.open().find(name)


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("name", ["./gone.md", "/gone/card.md", "gone.md", "~/gone.md", "a/1.0/gone.md"])
def test_a_path_that_does_not_exist_is_said_to_be_one(name: str) -> None:
    with pytest.raises(CardError, match="there is no card at"):
        Hub.open().find(name)


@pytest.mark.usefixtures("reads")
def test_a_card_that_changes_while_it_is_checked_or_tried_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry answers differently the second time: first with a trusted repository, then with another one."""
    find = Hub.find

    def changing(self: Hub, name: str, *, local: bool = False) -> FoundCard:
        found = find(self, name, local=local)
        if found.card.path is not None and found.card.repo_link == STRANGER:
            text = found.card.path.read_text("utf-8")
            found.card.path.write_text(text.replace("stranger", "another"), encoding="utf-8")
        return found

    hub = Hub.open()
    path, local = card_file.card_file(hub, UID)
    monkeypatch.setattr(Hub, "find", changing)
    with pytest.raises(CardError, match="changed while it was read"):
        card_file.read_once(hub, UID, path, local=local)
    path.write_text(path.read_text("utf-8").replace("another", "stranger"), encoding="utf-8")
    report = check.check_card(hub, path, trust=True)
    assert report.row(check_rows.RECIPE).reason == "the card cannot be read"
