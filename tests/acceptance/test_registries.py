"""Registries that users add: folders, git repositories, published registries; and publishing one."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from hubtool.errors import ArgumentError, FetchError
from hubtool.links import LinkPolicy
from hubtool.registry import git as git_registry
from hubtool.registry import sources
from hubtool.registry.published import client, site
from hubtool.registry.published import index as published_index
from tests.support.cards import CONTENT, write_cards, write_local
from tests.support.git import git, serving_git
from tests.support.server import serving

if TYPE_CHECKING:
    from tests.support.cli import Cli

LINK = "https://download.mindspore.cn/models/model.ckpt"
SCHEMA = Path(__file__).parents[2] / "schemas" / "registry-index.schema.json"


def _repository(folder: Path, subfolder: str, *uids: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    write_cards(folder / subfolder, *uids)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Add cards")
    return folder


# -- adding, listing, removing ----------------------------------------------------------------------------------------


def test_a_folder_is_added_after_the_others_and_removed(cli: Cli) -> None:
    write_cards(cli.registry, "tests/1.9/first")
    mine = write_cards(cli.folder / "mine", "tests/1.9/first", "tests/1.9/second", entry="bert-ner")
    assert cli("registry", "add", "mine", mine).code == 0
    assert cli("resolve", "tests/1.9/second", "--json").json["card"]["registry"] == "mine"
    # The first registry decides, and the other card is told of.
    first = cli("resolve", "tests/1.9/first", "--json").json
    assert first["network"]["entry"] == "bert"
    digest = hashlib.sha256((mine / "tests/1.9/first.md").read_bytes()).hexdigest()
    assert first["card"]["others"] == [{"registry": "mine", "digest": digest}]
    assert first["reasons"] == []
    assert "mine has this UID too" in cli("resolve", "tests/1.9/first").out
    listed = cli("registry", "list", "--json").json
    assert [(one["name"], one["cards"]) for one in listed["registries"]] == [(str(cli.registry), 1), ("mine", 2)]
    assert [(one["uid"], one["other"], one["other_digest"]) for one in listed["conflicts"]] == [
        ("tests/1.9/first", "mine", digest)
    ]
    assert "tests/1.9/first: mine has another card" in cli("registry", "list").err
    assert f"mine ({mine})" in cli("settings").out
    assert [one["uid"] for one in cli("list", "--json").json] == ["tests/1.9/first", "tests/1.9/second"]
    assert cli("registry", "remove", "mine").code == 0
    assert cli("resolve", "tests/1.9/second").code == 1
    assert (mine / "tests/1.9/second.md").is_file()


def test_the_same_card_in_two_registries_is_no_conflict(cli: Cli) -> None:
    write_cards(cli.registry, "tests/1.9/first")
    mine = write_cards(cli.folder / "mine", "tests/1.9/first")
    cli("registry", "add", "mine", mine)
    assert cli("registry", "list", "--json").json["conflicts"] == []
    assert cli("resolve", "tests/1.9/first", "--json").json["card"]["others"] == []


@pytest.mark.parametrize(
    ("name", "source", "options"),
    [
        ("a", "ext::sh -c 'touch pwned'", []),
        ("a", "git+ext::sh -c 'touch pwned'", []),
        ("a", "ssh://example.org/x.git", []),
        ("a", "git@example.org:x.git", ["--revision", "main"]),
        ("a", "--upload-pack=touch pwned", []),
        ("a", "/absent", []),
        ("../a", ".", []),
        ("a/b", ".", []),
        ("", ".", []),
        ("a", ".", ["--revision", "--upload-pack=x"]),
        ("a", ".", ["--revision", "main:refs/heads/x"]),
        ("a", ".", ["--revision", "a..b"]),
        ("a", ".", ["--subfolder", "../.."]),
        ("a", ".", ["--subfolder", "/etc"]),
        ("a", "file://example.org/share", []),
    ],
)
def test_hostile_sources_are_refused_before_anything_runs(cli: Cli, name: str, source: str, options: list[str]) -> None:
    done = cli("registry", "add", *options, "--", name, source)
    assert done.code == 2
    assert done.err
    assert list(cli.folder.iterdir()) == []
    assert cli("registry", "list", "--json").json["registries"][1:] == []


@pytest.mark.parametrize(
    "source", ["https://evil.example/hub.git", "http://example.org/hub.git", "https://evil.example/hub/"]
)
def test_hosts_that_are_not_allowed_are_not_asked(cli: Cli, source: str) -> None:
    done = cli("registry", "add", "other", source)
    assert done.code == 1
    assert "not an allowed host" in done.err or "plain http" in done.err
    assert cli("registry", "list", "--json").json["registries"][1:] == []


def test_a_name_is_taken_once_and_unknown_names_are_named(cli: Cli) -> None:
    mine = write_cards(cli.folder / "mine", "tests/1.9/a")
    assert cli("registry", "remove", "mine").code == 2
    cli("registry", "add", "mine", mine)
    done = cli("registry", "add", "mine", mine)
    assert done.code == 2
    assert "there is a registry mine already" in done.err
    assert "the added ones are mine" in cli("registry", "sync", "other").err


def test_the_file_of_added_registries_may_be_wrong(cli: Cli) -> None:
    path = Path(cli.environ["XDG_CONFIG_HOME"]) / "hubtool" / "registries.toml"
    path.parent.mkdir(parents=True)
    for text in (
        "nonsense",
        "registry = 1",
        "[[registry]]\nname = 'a'",
        "[[registry]]\nname = 'a'\nkind = 'git'\nsource = 'ext::sh -c id'",
        "[[registry]]\nname = '../a'\nkind = 'folder'\nsource = '/tmp'",
        "[[registry]]\nname = 'a'\nkind = 'git'\nsource = 'https://gitee.com/a/b'\nsubfolder = '../x'",
    ):
        path.write_text(text)
        done = cli("registry", "list")
        assert done.code == 1, text
        assert "registries.toml" in done.err


# -- git --------------------------------------------------------------------------------------------------------------


def test_a_repository_on_this_machine_with_subfolder_and_revision(cli: Cli) -> None:
    origin = _repository(cli.folder / "origin", "mshub_res/assets", "tests/1.9/old")
    git(origin, "tag", "v1")
    write_cards(origin / "mshub_res/assets", "tests/1.9/new")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message=Add one")
    link = origin.as_uri()
    old = cli("registry", "add", "old", link, "--revision", "v1", "--subfolder", "mshub_res/assets", "--json")
    assert old.json["cards"] == 1
    assert old.json["commit"] == git(origin, "rev-parse", "v1")
    assert cli("resolve", "tests/1.9/new").code == 1
    new = cli("registry", "add", "new", link, "--subfolder", "mshub_res/assets", "--json")
    assert new.json["cards"] == 2
    assert cli("resolve", "tests/1.9/new", "--json").json["card"]["registry"] == "new"
    # The repository is not needed any more, and syncing says what is wrong and keeps what is there.
    origin.rename(cli.folder / "gone")
    done = cli("registry", "sync", "new")
    assert done.code == 1
    assert "error" in done.err
    assert cli("resolve", "tests/1.9/new", HUBTOOL_OFFLINE="1").code == 0


def test_sync_brings_changes_and_the_index_follows(cli: Cli) -> None:
    origin = _repository(cli.folder / "origin", "", "tests/1.9/a", "tests/1.9/b")
    cli("registry", "add", "origin", origin.as_uri())
    assert cli("list", "--json").json[0]["uid"] == "tests/1.9/a"
    (origin / "tests/1.9/a.md").unlink()
    write_cards(origin, "tests/1.9/c")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message=Change")
    assert [one["uid"] for one in cli("list", "--json").json] == ["tests/1.9/a", "tests/1.9/b"]
    assert cli("registry", "sync", "--json").json["registries"][0]["cards"] == 2
    assert [one["uid"] for one in cli("list", "--json").json] == ["tests/1.9/b", "tests/1.9/c"]
    for _ in range(3):
        cli("registry", "sync")
    trees = list((cli.home / "registries").glob("origin-*/tree-*"))
    assert len(trees) <= 2


def test_a_repository_over_http(cli: Cli) -> None:
    _repository(cli.folder / "work", "cards", "tests/1.9/a")
    (cli.folder / "served").mkdir()
    git(cli.folder, "clone", "--quiet", "--bare", "work", "served/hub.git")
    with serving_git(cli.folder / "served") as web:
        done = cli("registry", "add", "hub", f"{web.url}/hub.git", "--subfolder", "cards")
        assert done.code == 0, done.err
        assert cli("resolve", "tests/1.9/a", HUBTOOL_OFFLINE="1").code == 0
        assert cli("registry", "add", "none", f"{web.url}/absent.git").code == 1
        assert cli("registry", "sync", HUBTOOL_OFFLINE="1").code == 1
        missing = cli("registry", "add", "none", f"{web.url}/hub.git", "--subfolder", "absent")
        assert missing.code == 1
        assert "hint" in missing.err
    assert web.requests


def test_what_is_hostile_in_a_repository_is_passed_over(cli: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("secret")
    origin = _repository(cli.folder / "origin", "", "tests/1.9/good")
    write_local(origin, "tests/1.9/local", CONTENT)
    (origin / "tests/1.9/link.md").symlink_to(secret)
    (origin / "tests/2.0").symlink_to(tmp_path, target_is_directory=True)
    (origin / "tests/1.9/huge.md").write_bytes(b"x" * (5 << 20))
    (origin / "tests/1.9/GOOD.md").write_text("# another on some systems\n")
    (origin / "tests/1.9/-dash.md").write_text("x")
    (origin / "tests/1.9/local" / "con").write_text("a device on Windows")
    (origin / ".gitattributes").write_text("*.md filter=evil\n")
    (origin / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::touch pwned\n')
    hook = origin / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch pwned\n")
    hook.chmod(0o755)
    git(origin, "config", "filter.evil.smudge", "touch pwned; cat")
    git(origin, "add", "--all")
    commit = git(origin, "rev-parse", "HEAD")
    git(origin, "update-index", "--add", "--cacheinfo", f"160000,{commit},tests/1.9/module.md")
    git(origin, "commit", "--quiet", "--message=Evil")
    done = cli("registry", "add", "origin", origin.as_uri(), "--json")
    assert done.json["cards"] == 2
    assert done.json["passed_over"] >= 8
    # Of two names that differ in case only, one is taken.
    assert sorted(one["uid"].lower() for one in cli("list", "--json").json) == ["tests/1.9/good", "tests/1.9/local"]
    tree = next((cli.home / "registries").glob("origin-*/tree-*"))
    assert not [path for path in tree.rglob("*") if path.is_symlink() or path.name == "con"]
    assert not list(cli.folder.rglob("pwned")) + list(cli.home.rglob("pwned"))
    # The asset beside a card has come with it, and is verified as any other.
    assert cli("resolve", "tests/1.9/local", "--json").json["loadable"] is not None
    assert cli("fetch", "tests/1.9/local", "--json").json["assets"][0]["size"] == len(CONTENT)


def test_git_is_ended_when_it_takes_too_long_or_too_much(tmp_path: Path) -> None:
    origin = _repository(tmp_path / "origin", "", "tests/1.9/a")
    (origin / "large").write_bytes(os.urandom(3 << 20))
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message=Large")
    source = sources.parse("origin", origin.as_uri())
    for limits, why in (
        (git_registry.TreeLimits(seconds=0.0), "longer than"),
        (git_registry.TreeLimits(bytes=100), "more than 100 bytes"),
        (git_registry.TreeLimits(files=1), "more than 1 files"),
    ):
        with pytest.raises(FetchError, match=why):
            git_registry.sync(source, tmp_path / "home", policy=LinkPolicy(), limits=limits)
        assert git_registry.synced(tmp_path / "home") is None
        assert list(git_registry.open_registry(source, tmp_path / "home").uids()) == []
    assert git_registry.sync(source, tmp_path / "home", policy=LinkPolicy()).cards == 1
    assert not list((tmp_path / "home").glob("fetch-*"))


def test_git_reads_no_settings_of_the_user(cli: Cli) -> None:
    origin = _repository(cli.folder / "origin", "", "tests/1.9/a")
    home = cli.folder / "userhome"
    home.mkdir()
    (home / ".gitconfig").write_text(
        '[url "ext::sh -c touch%20pwned "]\n\tinsteadOf = file\n[core]\n\thooksPath = /x\n'
    )
    done = cli("registry", "add", "origin", origin.as_uri(), HOME=str(home), GIT_DIR="/nowhere", GIT_TRACE="1")
    assert done.code == 0, done.err
    assert not list(cli.folder.rglob("pwned"))


def test_a_repository_that_redirects_elsewhere_is_not_followed(cli: Cli) -> None:
    from tests.support.server import serving

    with serving() as elsewhere, serving() as server:
        path = "/hub.git/info/refs"
        server.put(path, b"", f"302 {elsewhere.url}{path}")
        done = cli("registry", "add", "hub", f"{server.url}/hub.git")
        assert done.code == 1
        assert elsewhere.requests == []


# -- published --------------------------------------------------------------------------------------------------------


def test_a_published_registry_serves_one_card_by_one_request(cli: Cli) -> None:
    origin = write_cards(cli.folder / "origin", *(f"tests/1.9/model{number}" for number in range(30)))
    to = cli.folder / "site"
    assert cli("registry", "publish", origin, "--to", to, "--json").json["cards"] == 30
    with serving(folder=to) as web:
        assert cli("registry", "add", "site", web.url).code == 0
        assert web.paths() == ["/index.json"]
        web.requests.clear()
        assert cli("resolve", "tests/1.9/model7", "--json").json["card"]["registry"] == "site"
        assert web.paths() == ["/cards/tests/1.9/model7.md"]
        # Without the shards, the card is asked for again, by its entity tag.
        assert cli("resolve", "tests/1.9/model7").code == 0
        assert web.paths(status=304) == ["/cards/tests/1.9/model7.md"]
        assert cli("registry", "sync", "site").code == 0
        web.requests.clear()
        # With them, what is here is known to be current, and what there is not is known too.
        assert cli("resolve", "tests/1.9/model7").code == 0
        absent = cli("resolve", "tests/1.9/model99")
        assert absent.code == 1
        assert "did you mean tests/1.9/model" in absent.err
        assert len(cli("list", "--json").json) == 30
        assert cli("search", "model7", "--json").json[0]["uid"] == "tests/1.9/model7"
        assert web.requests == []
        offline = cli("resolve", "tests/1.9/model8", HUBTOOL_OFFLINE="1")
        assert offline.code == 1
        assert "may not be used" in offline.err
        assert web.requests == []
    # The server is gone.
    assert cli("show", "tests/1.9/model7").code == 0
    down = cli("show", "tests/1.9/model8")
    assert down.code == 1
    assert "cannot be reached" in down.err


def test_a_card_that_was_published_anew_is_fetched_anew(cli: Cli) -> None:
    origin = write_cards(cli.folder / "origin", "tests/1.9/a", "tests/1.9/b")
    to = cli.folder / "site"
    site.publish(origin, to)
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        cli("registry", "sync")
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert"
        cli("resolve", "tests/1.9/b")
        write_cards(origin, "tests/1.9/a", entry="bert-ner")
        (origin / "tests/1.9/b.md").unlink()
        site.publish(origin, to)
        # What was synced is used until the next sync.
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert"
        web.requests.clear()
        assert cli("registry", "sync", "--accept-changes").code == 0
        assert web.paths(status=304) == []
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert-ner"
        assert cli("resolve", "tests/1.9/b").code == 1
        web.requests.clear()
        assert cli("registry", "sync").code == 0
        assert web.paths() == web.paths("GET", 304) == ["/index.json"]


def test_a_card_that_is_not_the_one_of_the_index_is_refused(cli: Cli) -> None:
    to = cli.folder / "site"
    site.publish(write_cards(cli.folder / "origin", "tests/1.9/a"), to)
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        cli("registry", "sync")
        path = to / "cards/tests/1.9/a.md"
        path.write_text(path.read_text().replace("bert", "evil"))
        done = cli("resolve", "tests/1.9/a")
        assert done.code == 1
        assert "not the one that its index states" in done.err
        assert not list(cli.home.rglob("a.md"))


def _index(**changes: object) -> bytes:
    shard = {"name": "all", "path": f"index/all-{'0' * 16}.json", "digest": "0" * 64, "size": 1, "cards": 1}
    return json.dumps({"version": 1, "width": 0, "cards": 1, "shards": [{**shard, **changes}]}).encode()


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        b'{"version": 2, "width": 0, "shards": []}',
        b'{"version": 1, "width": 9, "shards": []}',
        b'{"version": 1, "width": 0, "shards": [1]}',
        _index(path="../../x"),
        _index(path=f"index/../../all-{'0' * 16}.json"),
        _index(path=f"https://example.org/all-{'0' * 16}.json"),
        _index(digest="1" * 64),
        _index(name="../x"),
        _index(size="1"),
    ],
)
def test_what_is_no_published_registry_is_refused(cli: Cli, index: bytes) -> None:
    (cli.folder / "site").mkdir()
    (cli.folder / "site" / "index.json").write_bytes(index)
    with serving(folder=cli.folder / "site") as web:
        done = cli("registry", "add", "site", web.url)
    assert done.code == 1
    assert "is not a published registry" in done.err
    assert cli("registry", "list", "--json").json["registries"][1:] == []


def test_a_shard_with_a_wrong_digest_or_hostile_entries_is_not_taken(cli: Cli) -> None:
    to = cli.folder / "site"
    site.publish(write_cards(cli.folder / "origin", "tests/1.9/a"), to)
    shard = next((to / "index").iterdir())
    good = shard.read_bytes()
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        shard.write_bytes(good.replace(b"tests/1.9/a", b"tests/1.9/b"))
        done = cli("registry", "sync")
        assert done.code == 1
        assert "digest" in done.err
        # A registry may lie consistently: what is no UID is passed over.
        value = json.loads(good)
        value["cards"] += [{"uid": "../../x", "digest": "0" * 64}, {"uid": 1}, 2, {"uid": "a/1/b"}, None]
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (to / f"index/all-{digest[:16]}.json").write_bytes(data)
        index = json.loads((to / "index.json").read_bytes())
        index["serial"] += 1
        index["shards"][0].update(path=f"index/all-{digest[:16]}.json", digest=digest, size=len(data))
        (to / "index.json").write_text(json.dumps(index))
        assert cli("registry", "sync").code == 0
        assert [one["uid"] for one in cli("list", "--json").json] == ["tests/1.9/a"]


def test_publishing_writes_what_the_schema_says_and_nothing_twice(tmp_path: Path) -> None:
    origin = write_cards(tmp_path / "origin", *(f"tests/1.9/model{number}" for number in range(700)))
    write_local(origin, "tests/1.9/local", CONTENT)
    (origin / "tests/1.9/broken.md").write_text("no card")
    write_local(origin, "tests/1.9/wrong", CONTENT, digest="0" * 64)
    to = tmp_path / "site"
    done = site.publish(origin, to)
    assert done.cards == 701
    assert {uid for uid, _ in done.passed_over} == {"tests/1.9/broken", "tests/1.9/wrong"}
    index = json.loads((to / "index.json").read_bytes())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(index)
    assert index["width"] == 1
    assert sum(shard["cards"] for shard in index["shards"]) == 701
    for shard in index["shards"]:
        data = (to / shard["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard["digest"]
        for card in json.loads(data)["cards"]:
            assert published_index.shard_name(card["uid"], 1) == shard["name"]
            assert hashlib.sha256((to / "cards" / f"{card['uid']}.md").read_bytes()).hexdigest() == card["digest"]
    assert (to / "cards/tests/1.9/local/local.ckpt").read_bytes() == CONTENT
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*") if path.is_file()}
    again = site.publish(origin, to)
    assert (again.written, again.removed) == (0, 0)
    assert before == {path: path.stat().st_mtime_ns for path in to.rglob("*") if path.is_file()}
    (origin / "tests/1.9/model0.md").unlink()
    third = site.publish(origin, to)
    assert third.written == 2  # one shard, and the index
    assert not (to / "cards/tests/1.9/model0.md").exists()
    with pytest.raises(ArgumentError):
        site.publish(origin, origin / "site")


def test_the_asset_beside_a_published_card_is_fetched_and_verified(cli: Cli) -> None:
    write_local(cli.folder / "origin", "tests/1.9/local", CONTENT)
    site.publish(cli.folder / "origin", cli.folder / "site")
    with serving(folder=cli.folder / "site") as web:
        cli("registry", "add", "site", web.url)
        done = cli("fetch", "tests/1.9/local", "--json")
        assert done.code == 0, done.err
        assert done.json["assets"][0]["digest"] == hashlib.sha256(CONTENT).hexdigest()
        assert "/cards/tests/1.9/local/local.ckpt" in web.paths(status=200)


def test_clients_read_while_a_registry_is_published_again_and_again(tmp_path: Path) -> None:
    origin, to, home = tmp_path / "origin", tmp_path / "site", tmp_path / "home"
    write_cards(origin, *(f"tests/1.9/model{number}" for number in range(20)))
    site.publish(origin, to)
    stop = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            write_cards(origin, "tests/1.9/model3", entry=("bert", "bert-ner")[turn % 2])
            try:
                site.publish(origin, to)
            except BaseException as error:  # the thread's error is the test's
                failed.append(error)
                raise
            time.sleep(0.02)

    with serving(folder=to) as web:
        source = sources.parse("site", web.url)
        registry = client.PublishedRegistry(source, home, LinkPolicy())
        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(20):
                registry.sync()
                assert len(list(registry.uids())) == 20
                time.sleep(0.01)
        finally:
            stop.set()
            thread.join()
    assert not failed
