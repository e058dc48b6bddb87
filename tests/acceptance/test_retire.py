"""`hubtool deprecate` and `hubtool withdraw`, and what they mean to those who depend on a card."""

from __future__ import annotations

import re
import shutil
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.card import status as statuses
from tests.support import ROOT
from tests.support.cards import write_card, write_local
from tests.support.checkpoints import SMALL, ckpt
from tests.support.git import git
from tests.support.publishing import Maintainer, maintainer_at
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli

OLD, NEW = "tests/1.9/old", "tests/1.9/new"
CONTENT = ckpt(SMALL)
TOYNER = "hubtool/2.10/tinybert_bilstmcrf_toyner"


@pytest.fixture
def desk(cli: Cli, tmp_path: Path) -> Iterator[Maintainer]:
    """Return a desk whose registry has two cards."""
    with maintainer_at(cli, tmp_path) as one:
        mate = one.clone("mate")
        for uid in (OLD, NEW):
            write_local(mate / "registry", uid, CONTENT)
        git(mate, "add", "--all")
        git(mate, "commit", "--quiet", "--message=Two cards")
        git(mate, "push", "--quiet", "origin", "main")
        yield replace(
            one, cli=replace(one.cli, environ={**one.cli.environ, "HUBTOOL_REGISTRY": str(mate / "registry")})
        )


@pytest.fixture
def two(cli: Cli) -> Cli:
    """Return a command line whose registry folder, without git, has two cards."""
    for uid in (OLD, NEW):
        write_local(cli.registry, uid, CONTENT)
    return cli


def retire(cli: Cli, verb: str, *more: str | Path, reason: str = "it is worse") -> Any:
    return cli(verb, OLD, "--reason", reason, *more)


@pytest.mark.parametrize(("verb", "kind"), [("deprecate", "deprecated"), ("withdraw", "withdrawn")])
def test_a_card_is_changed_on_a_branch_and_nowhere_else(desk: Maintainer, verb: str, kind: str) -> None:
    (desk.checkout / "README.md").write_text("Being edited.\n")
    before = desk.state()
    arguments = ("--superseded-by", NEW, "--registry", desk.checkout, "--push")
    done = retire(desk.cli, verb, *arguments, "--json")
    assert done.code == 0, done.err
    branch = f"{verb}/tests-1.9-old"
    assert (done.json["branch"], done.json["pushed"], done.json["made"]) == (branch, True, True)
    diff = git(desk.origin, "diff", "--unified=0", "main", branch).splitlines()
    assert [line for line in diff if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        f"+status: {kind}",
        f"+superseded-by: {NEW}",
        "+status-reason: it is worse",
    ]
    message = git(desk.origin, "log", "-1", "--format=%B", branch)
    assert message == f"{verb.capitalize()} {OLD}\n\nit is worse\n\nSuperseded by {NEW}"
    assert (desk.state(), desk.left()) == (before, [])
    again = retire(desk.cli, verb, *arguments)
    assert (again.code, "was committed before" in again.out) == (0, True)
    other = retire(desk.cli, verb, *arguments, reason="another reason")
    assert (other.code, "with another text" in other.err) == (1, True)
    desk.merge(branch)
    merged = retire(desk.cli, verb, *arguments)
    assert (merged.code, "the registry has this already" in merged.out) == (0, True)
    # The registry with the changed card is one without errors.
    git(desk.checkout, "checkout", "--quiet", "--", ".")
    git(desk.checkout, "pull", "--quiet", "origin", "main")
    assert desk.cli("validate", desk.checkout / "registry").code == 0


def test_what_is_refused(desk: Maintainer) -> None:
    registry = ("--registry", desk.checkout)
    for more, told in (
        (("--superseded-by", "tests/1.9/absent"), "no card tests/1.9/absent"),
        (("--superseded-by", OLD), "cannot supersede itself"),
        (("--superseded-by", "nonsense"), "not a UID"),
        (("--in-place", "--push"), "--in-place uses no git"),
    ):
        done = retire(desk.cli, "deprecate", *more, *registry)
        assert done.code in (1, 2)
        assert told in done.err
    assert "is empty" in retire(desk.cli, "deprecate", *registry, reason=" ").err
    secret = retire(desk.cli, "deprecate", *registry, reason="see https://me:SECRET@example.org")
    assert (secret.code, "SECRET" in secret.err) == (2, False)
    absent = desk.cli("withdraw", "tests/1.9/absent", "--reason", "x", *registry)
    assert "has no card tests/1.9/absent" in absent.err
    assert desk.branches() == desk.branches(desk.checkout) == ["main"]
    # A successor that was withdrawn is none.
    assert desk.cli("withdraw", NEW, "--reason", "x", *registry, "--push").code == 0
    desk.merge("withdraw/tests-1.9-new")
    assert "is withdrawn itself" in retire(desk.cli, "deprecate", *registry, "--superseded-by", NEW).err


def test_in_place(two: Cli) -> None:
    path = two.registry / f"{OLD}.md"
    before = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(before)
    done = retire(two, "deprecate", "--superseded-by", NEW, "--in-place")
    assert done.code == 0, done.err
    after = path.read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n") == before.count(b"\n") + 3
    assert statuses.without_status(after) == before
    assert "already so" in retire(two, "deprecate", "--superseded-by", NEW, "--in-place").out
    assert retire(two, "withdraw", "--in-place").code == 0
    assert b"superseded-by" not in path.read_bytes()
    assert statuses.without_status(path.read_bytes()) == before
    assert retire(two, "withdraw", "--in-place", "--registry", two.folder).code == 1
    assert "git checkout" in retire(two, "withdraw").err


def test_who_looks_is_told(two: Cli) -> None:
    assert retire(two, "deprecate", "--superseded-by", NEW, "--in-place").code == 0
    shown = two("resolve", OLD)
    assert re.search(rf"status +it is deprecated: it is worse; use {NEW} instead", shown.out)
    resolved = two("resolve", OLD, "--json").json
    status = {"status": "deprecated", "reason": "it is worse", "superseded-by": NEW}
    assert resolved["card"]["status"] == status
    assert not any("deprecated" in reason for reason in resolved["reasons"])
    assert two("resolve", NEW, "--json").json["card"]["status"] is None
    assert "superseded-by" in two("show", OLD).out
    listed = two("list").out.splitlines()
    assert listed[1].endswith(f"(deprecated; use {NEW})")
    found = two("search", "model", "--json").json
    assert [one["uid"] for one in found] == [NEW, OLD]  # what has a status comes last
    assert (found[1]["status"], found[1]["successor"]) == ("deprecated", NEW)
    assert "status" not in found[0]
    assert retire(two, "withdraw", "--in-place", reason="its data were private").code == 0
    resolved = two("resolve", OLD, "--json").json
    assert resolved["loadable"] is False
    assert resolved["reasons"][0] == f"{OLD} is withdrawn: its data were private"
    for command in (("list",), ("search", "model")):
        assert [one["uid"] for one in two(*command, "--json").json] == [NEW]
        assert {one["uid"] for one in two(*command, "--all", "--json").json} == {OLD, NEW}
    assert two("list", "--all", "--loadable", "--json").json == [
        one for one in two("list", "--json").json if one["loadable"]
    ]
    checked = two("check", OLD, "--json")
    assert checked.code == 0
    assert {row["state"] for row in checked.json["rows"][1:]} == {"not possible here"}


def test_a_published_registry_tells_it_on(two: Cli, tmp_path: Path) -> None:
    assert retire(two, "withdraw", "--superseded-by", NEW, "--in-place").code == 0
    assert two("registry", "publish", two.registry, "--to", tmp_path / "site").code == 0
    (tmp_path / "empty").mkdir()
    there = replace(two, environ={**two.environ, "HUBTOOL_REGISTRY": str(tmp_path / "empty")})
    with serving(folder=tmp_path / "site") as web:
        assert there("registry", "add", "site", web.url).code == 0
        assert there("registry", "sync", "site").code == 0
        assert [one["uid"] for one in there("list", "--json").json] == [NEW]
        everything = there("list", "--all", "--json").json
    assert [(one["uid"], one.get("status")) for one in everything] == [(NEW, None), (OLD, "withdrawn")]


def test_what_was_locked_stays(two: Cli, tmp_path: Path) -> None:
    """A lock from before goes on working, for machines that synced and for those that never did."""
    mirror = tmp_path / "mirror"
    assert two("lock", OLD).code == 0
    assert two("sync").code == 0
    before = (two.folder / "hub.lock").read_bytes()
    for verb in ("deprecate", "withdraw"):
        assert retire(two, verb, "--superseded-by", NEW, "--in-place").code == 0
        assert two("mirror", "sync", mirror).code == 0
        (tmp_path / verb).mkdir()
        fresh = replace(
            two,
            environ={
                **two.environ,
                "HUBTOOL_HOME": str(tmp_path / verb),
                "HUBTOOL_REGISTRY": str(tmp_path / verb),
                "HUBTOOL_MIRRORS": str(mirror),
                "HUBTOOL_OFFLINE": "1",
            },
        )
        for one in (two, fresh, replace(fresh, environ={**fresh.environ, "HUBTOOL_REGISTRY": str(two.registry)})):
            synced = one("sync")
            assert synced.code == 0, synced.err
            held = one("resolve", OLD, "--frozen", "--json")
            assert held.code == 0, held.err
            assert held.json["card"]["pinned"] is True
            assert not any("withdrawn" in reason for reason in held.json["reasons"])
        status = two("resolve", OLD, "--frozen", "--json").json["card"]["status"]
        assert status["status"] == {"deprecate": "deprecated", "withdraw": "withdrawn"}[verb]
        # Making the lock anew changes nothing, and says what became of the card; a withdrawn one needs a look.
        again = two("lock", "--check")
        assert (again.code, f"note: {OLD} is" in again.err) == ({"deprecate": 0, "withdraw": 1}[verb], True)
    assert (two.folder / "hub.lock").read_bytes() == before
    # Any other change still is one.
    path = two.registry / f"{OLD}.md"
    path.write_text(path.read_text().replace("summary: A model", "summary: Another model"))
    assert two("resolve", OLD, "--frozen", HUBTOOL_HOME=str(tmp_path / "late")).code == 1


def test_a_withdrawn_card_is_added_to_no_lock(two: Cli) -> None:
    assert two("lock", OLD).code == 0
    assert retire(two, "withdraw", "--superseded-by", NEW, "--in-place").code == 0
    for arguments in (("lock", OLD, "-o", "other.lock"), ("lock", "tests/*", "-o", "other.lock")):
        done = two(*arguments)
        assert (done.code, f"{OLD} is withdrawn" in done.err, f"pin {NEW} instead" in done.err) == (1, True, True)
        assert not (two.folder / "other.lock").exists()
    # Where it is pinned already, it stays, and says so.
    again = two("lock", OLD, "--json")
    assert (again.code, again.json["changed"], again.json["statuses"][0]["status"]) == (0, False, "withdrawn")
    # Other bytes under its UID would be a new pin.
    path = two.registry / f"{OLD}.md"
    path.write_text(path.read_text().replace("summary: A model", "summary: Another model"))
    done = two("lock", OLD)
    assert (done.code, f"{OLD} is withdrawn" in done.err) == (1, True)


def test_many_locks_are_checked(two: Cli) -> None:
    assert two("lock", OLD, "-o", "old.lock").code == 0
    assert two("lock", NEW, "-o", "new.lock").code == 0
    assert two("lock", OLD, NEW, "-o", "both.lock").code == 0
    every = ("old.lock", "new.lock", "both.lock")
    fine = two("lock", "--check", *every, "--json")
    assert (fine.code, fine.json["good"], [one["affected"] for one in fine.json["locks"]]) == (0, True, [[], [], []])
    assert retire(two, "deprecate", "--superseded-by", NEW, "--in-place").code == 0
    told = two("lock", "--check", *every)
    assert (told.code, told.out.count(f"deprecated: {OLD}")) == (0, 2)
    assert retire(two, "withdraw", "--superseded-by", NEW, "--in-place").code == 0
    before = {name: (two.folder / name).read_bytes() for name in every}
    done = two("lock", "--check", *every, "--json", HUBTOOL_OFFLINE="1")
    assert (done.code, done.json["good"]) == (1, False)
    assert {one["lock"]: [card["uid"] for card in one["affected"]] for one in done.json["locks"]} == {
        "old.lock": [OLD],
        "new.lock": [],
        "both.lock": [OLD],
    }
    assert [one["good"] for one in done.json["locks"]] == [False, True, False]
    assert done.json["locks"][0]["affected"][0]["state"] == "withdrawn"
    told = two("lock", "--check", *every)
    assert (told.code, f"both.lock: withdrawn: {OLD} is withdrawn" in told.out) == (1, True)
    assert {name: (two.folder / name).read_bytes() for name in every} == before
    # A lock that cannot be read does not hide the others, nor is it good.
    (two.folder / "broken.lock").write_text("x")
    done = two("lock", "--check", "broken.lock", "new.lock", "gone.lock", "--json")
    assert (done.code, [one["good"] for one in done.json["locks"]]) == (1, [False, True, False])
    # A card that its registry published anew is another one.
    path = two.registry / f"{NEW}.md"
    path.write_text(path.read_text().replace("summary: A model", "summary: Another model"))
    done = two("lock", "--check", "new.lock", "--json")
    assert (done.code, done.json["locks"][0]["affected"][0]["state"]) == (1, "changed")
    assert two("lock", "--check", "new.lock", OLD).code == 2


def test_sync_says_what_it_fetched_and_what_was_withdrawn(two: Cli, tmp_path: Path) -> None:
    assert two("lock", OLD, NEW).code == 0
    assert retire(two, "withdraw", "--superseded-by", NEW, "--in-place").code == 0
    fresh = replace(two, environ={**two.environ, "HUBTOOL_HOME": str(tmp_path / "fresh")})
    first = fresh("sync")
    assert first.code == 0, first.err
    assert f"note: {OLD} is withdrawn" in first.err
    # Both cards name the same bytes, which came with the first.
    assert [line.split(":")[0] for line in first.out.splitlines()[:2]] == [f"fetched {NEW}", f"stored  {OLD}"]
    assert "1 asset fetched, 1 already stored" in first.out
    again = fresh("sync")
    assert [line.split(":")[0] for line in again.out.splitlines()[:2]] == [f"stored  {NEW}", f"stored  {OLD}"]
    assert "0 assets fetched, 2 already stored" in again.out
    found = {card["uid"]: card for card in fresh("sync", "--json").json["cards"]}
    assert found[OLD]["status"]["status"] == "withdrawn"
    assert found[NEW]["status"] is None
    assert [one["brought"] for card in found.values() for one in card["assets"]] == [False, False]


@pytest.mark.mindspore
def test_loading_warns_or_fails(environment: Cli) -> None:
    import hubtool
    import mindspore_hub
    from hubtool.errors import CardStatusWarning, WithdrawnError

    cli = environment
    source = ROOT / "registry" / f"{TOYNER}.md"
    path = cli.registry / f"{TOYNER}.md"
    path.parent.mkdir(parents=True)
    shutil.copy(source, path)
    shutil.copytree(source.with_suffix(""), path.with_suffix(""))
    write_card(cli.registry, NEW, link="https://gitee.com/a/b.ckpt", content=b"x")
    with warnings.catch_warnings():
        warnings.simplefilter("error", CardStatusWarning)
        hubtool.load(TOYNER)
    assert cli("lock", TOYNER).code == 0
    assert cli("deprecate", TOYNER, "--reason", "it is a toy", "--superseded-by", NEW, "--in-place").code == 0
    told = f"{TOYNER} is deprecated: it is a toy; use {NEW} instead"
    with pytest.warns(CardStatusWarning) as caught:
        hubtool.load(TOYNER)
    assert str(caught[0].message) == told
    assert caught[0].filename == __file__  # the line that is to be changed
    with pytest.warns(CardStatusWarning):
        mindspore_hub.load_weights(TOYNER)
    loaded = cli("load", TOYNER)
    assert loaded.code == 0
    assert f"it is a toy; use {NEW} instead" in loaded.out
    assert cli("load", TOYNER, "--json").json["status"]["superseded-by"] == NEW
    assert cli("withdraw", TOYNER, "--reason", "it tags nonsense", "--in-place").code == 0
    for load in (hubtool.load, hubtool.load_weights):
        with pytest.raises(WithdrawnError, match="it tags nonsense"):
            load(TOYNER)
    refused = cli("load", TOYNER)
    assert (refused.code, "is withdrawn: it tags nonsense" in refused.err) == (1, True)
    with pytest.warns(CardStatusWarning, match="withdrawn"):
        assert hubtool.load(TOYNER, lock="hub.lock") is not None
