"""What an added registry can do to a client, and what stops it: serials, changed cards, publishers, slow servers."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

import hubtool
from hubtool.errors import FetchError, ForbiddenLinkError, HubError, RegistryWarning
from hubtool.links import LinkPolicy
from hubtool.registry import publishers
from hubtool.registry.http import RegistryClient
from hubtool.registry.published import index as published_index
from hubtool.registry.published import site
from hubtool.transfer.http import HttpTransport
from hubtool.transfer.transport import Timeouts
from tests.support.cards import CONTENT, write_cards, write_local
from tests.support.git import git
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.server import Server

LINK = "https://download.mindspore.cn/models/model.ckpt"
QUICK = Timeouts(connect=2.0, read=2.0, stall=1.0)


# -- the client -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    made = RegistryClient(LinkPolicy(), QUICK)
    yield made
    made.close()


def test_the_endless_body_of_a_redirect_is_not_read(server: Server, client: RegistryClient) -> None:
    server.put("/card.md", b"the card")
    link = server.put("/moved", b"", "302 /card.md endless")
    started = time.monotonic()
    assert client.get(link, limit=100).data == b"the card"
    assert time.monotonic() - started < 30


def test_a_redirect_into_a_private_network_is_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # No name server here says so; the rest, the connection included, is what runs everywhere.
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return real("10.1.2.3" if name == "gitee.com" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    link = server.put("/index.json", b"", "302 https://gitee.com/index.json")
    client = RegistryClient(LinkPolicy(), QUICK)
    with pytest.raises(ForbiddenLinkError, match=r"private address 10\.1\.2\.3"):
        client.get(link, limit=100)
    client.close()
    far = server.put("/far", b"", "302 https://evil.example/index.json")
    with pytest.raises(ForbiddenLinkError, match="not an allowed host"):
        client.get(far, limit=100)
    client.close()


def test_a_server_that_drips_its_header_is_given_up(server: Server, client: RegistryClient) -> None:
    link = server.put("/index.json", b"x", "trickled-head")
    started = time.monotonic()
    with pytest.raises(FetchError, match="fewer than"):
        client.get(link, limit=100)
    assert time.monotonic() - started < 30


def test_a_server_that_only_promises_an_answer_is_given_up(server: Server, client: RegistryClient) -> None:
    link = server.put("/index.json", b"x", "interim")
    started = time.monotonic()
    with pytest.raises(FetchError, match="did not answer in HTTP"):
        client.get(link, limit=100)
    transport = HttpTransport(LinkPolicy(), QUICK)
    with pytest.raises(FetchError, match="did not answer in HTTP"), transport.open(transport.policy.check(link)):
        pass
    transport.close()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("fault", ["", "chunked", "endless"])
def test_an_answer_that_is_too_large_is_left(server: Server, client: RegistryClient, fault: str) -> None:
    link = server.put("/index.json", bytes(1 << 20), fault)
    with pytest.raises(FetchError, match=r"more than 1,000"):
        client.get(link, limit=1000)


def test_what_has_not_changed_does_not_come_again(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes(b"first")
    with serving(folder=tmp_path) as web:
        client = RegistryClient(LinkPolicy())
        first = client.get(web.url + "/index.json", limit=100)
        assert (first.status, first.data) == (200, b"first")
        again = client.get(web.url + "/index.json", limit=100, etag=first.etag)
        assert (again.status, again.data) == (304, b"")
        (tmp_path / "index.json").write_bytes(b"second")
        assert client.get(web.url + "/index.json", limit=100, etag=first.etag).data == b"second"
        assert client.get(web.url + "/absent", limit=100, etag=first.etag).status == 404
        client.close()


# -- serials ----------------------------------------------------------------------------------------------------------


def test_the_serial_rises_with_each_change_only(tmp_path: Path) -> None:
    origin, to = write_cards(tmp_path / "origin", "tests/1.9/a"), tmp_path / "site"
    assert site.publish(origin, to).serial == 1
    assert site.publish(origin, to).serial == 1
    write_cards(origin, "tests/1.9/b")
    assert site.publish(origin, to).serial == 2
    assert json.loads((to / "index.json").read_bytes())["serial"] == 2
    # An index from before there were serials counts as 0.
    index = json.loads((to / "index.json").read_bytes())
    del index["serial"]
    (to / "index.json").write_text(json.dumps(index))
    write_cards(origin, "tests/1.9/c")
    assert site.publish(origin, to).serial == 1
    write_cards(origin, "tests/1.9/d")
    assert site.publish(origin, to, serial=40).serial == 40
    write_cards(origin, "tests/1.9/e")
    with pytest.raises(HubError, match="does not rise"):
        site.publish(origin, to, serial=40)


def test_an_index_that_goes_back_is_refused_unless_told(cli: Cli) -> None:
    origin, to = write_cards(cli.folder / "origin", "tests/1.9/a"), cli.folder / "site"
    site.publish(origin, to)
    with serving(folder=to) as web:
        assert cli("registry", "add", "site", web.url).code == 0
        old = (to / "index.json").read_bytes()
        write_cards(origin, "tests/1.9/b")
        site.publish(origin, to)
        assert cli("registry", "sync").code == 0
        new = (to / "index.json").read_bytes()
        (to / "index.json").write_bytes(old)
        back = cli("registry", "sync")
        assert back.code == 1
        assert "serial 1" in back.err
        assert "2 was seen" in back.err
        assert "--allow-rollback" in back.err
        assert len(cli("list", "--json").json) == 2
        # Nor is an index without a serial taken after one with it.
        bare = json.loads(new)
        del bare["serial"]
        (to / "index.json").write_text(json.dumps(bare))
        assert cli("registry", "sync").code == 1
        # The same serial with other cards is no better.
        (to / "index.json").write_text(json.dumps({**json.loads(old), "serial": 2}))
        twice = cli("registry", "sync")
        assert twice.code == 1
        assert "two indexes with the serial 2" in twice.err
        (to / "index.json").write_bytes(old)
        assert cli("registry", "sync", "--allow-rollback").code == 0
        assert [one["uid"] for one in cli("list", "--json").json] == ["tests/1.9/a"]


def test_a_sync_says_what_became_of_thewrite_cards(cli: Cli) -> None:
    origin = write_cards(cli.folder / "origin", *(f"tests/1.9/{name}" for name in "abcd"))
    to = cli.folder / "site"
    site.publish(origin, to)
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        first = cli("registry", "sync", "--json").json["registries"][0]
        assert not any(first["changes"].values())
        path = origin / "tests/1.9/a.md"
        path.write_text(path.read_text() + "\nOne more sentence.\n")
        assert cli("withdraw", "tests/1.9/b", "--reason", "it is wrong", "--in-place", "--registry", origin).code == 0
        (origin / "tests/1.9/c.md").unlink()
        write_cards(origin, "tests/1.9/e")
        site.publish(origin, to)
        done = cli("registry", "sync", "--json")
        assert done.code == 0
        one = done.json["registries"][0]
        assert one["serial"] == 2
        assert {key: uids for key, uids in one["changes"].items() if uids} == {
            "added": ["tests/1.9/e"],
            "texts": ["tests/1.9/a"],
            "withdrawn": ["tests/1.9/b"],
            "gone": ["tests/1.9/c"],
        }
        write_cards(origin, "tests/1.9/b", "tests/1.9/c")
        site.publish(origin, to)
        back = cli("registry", "sync")
        assert "tests/1.9/b: there again" in back.out
        assert "tests/1.9/c: there again" in back.out


def test_a_card_that_loads_something_else_is_refused_unless_told(cli: Cli) -> None:
    origin, to = write_cards(cli.folder / "origin", "tests/1.9/a", "tests/1.9/b"), cli.folder / "site"
    site.publish(origin, to)
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        cli("registry", "sync")
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert"
        write_cards(origin, "tests/1.9/a", "tests/1.9/b", entry="bert-ner")
        site.publish(origin, to)
        done = cli("registry", "sync")
        assert done.code == 1
        assert "refused: tests/1.9/a: its assets, recipe or repositories changed" in done.err
        assert "--accept-changes" in done.err
        # The card that was here stays in use; the one that was never here cannot be had any more.
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert"
        lost = cli("resolve", "tests/1.9/b")
        assert lost.code == 1
        assert "--accept-changes" in lost.err
        # It stays refused, also when the card goes and comes again.
        assert cli("registry", "sync").code == 1
        (origin / "tests/1.9/a.md").unlink()
        site.publish(origin, to)
        cli("registry", "sync")
        assert cli("resolve", "tests/1.9/a").code == 1
        write_cards(origin, "tests/1.9/a", entry="bert-ner")
        site.publish(origin, to)
        assert "refused: tests/1.9/a" in cli("registry", "sync").err
        accepted = cli("registry", "sync", "--accept-changes")
        assert accepted.code == 0
        assert "as you accepted" in accepted.out
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert-ner"
        assert cli("resolve", "tests/1.9/b", "--json").json["network"]["entry"] == "bert-ner"
        assert cli("registry", "sync").code == 0


def test_a_repository_is_told_and_held_as_a_published_registry_is(cli: Cli, tmp_path: Path) -> None:
    """Another card under a UID of a repository is refused, even by way of being away for a while."""
    work = write_cards(tmp_path / "work", "tests/1.9/first", "tests/1.9/second", "tests/1.9/third")
    git(work, "init", "--quiet", "--initial-branch=main")

    def commit() -> None:
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--allow-empty", "--message=Change cards")

    def sync(*more: str) -> tuple[int, dict[str, list[str]]]:
        done = cli("registry", "sync", "lab", *more, "--json")
        changes = done.json["registries"][0]["changes"]
        return done.code, {key: uids for key, uids in changes.items() if uids}

    def entry(name: str) -> str:
        return str(cli("resolve", f"tests/1.9/{name}", "--json").json["network"]["entry"])

    commit()
    assert cli("registry", "add", "lab", work.as_uri()).code == 0
    assert sync() == (0, {})
    first, second = (work / f"tests/1.9/{name}.md" for name in ("first", "second"))
    old = second.read_text()
    first.write_text(first.read_text().replace("summary: A model", "summary: A better text"))
    second.write_text(old.replace("entry: bert", "entry: bert-ner"))
    write_cards(work, "tests/1.9/new")
    commit()
    assert sync() == (1, {"added": ["tests/1.9/new"], "texts": ["tests/1.9/first"], "refused": ["tests/1.9/second"]})
    assert (entry("second"), "A better text" in cli("show", "tests/1.9/first").out) == ("bert", True)
    assert sync()[1] == {"refused": ["tests/1.9/second"]}
    second.unlink()
    commit()
    assert sync() == (0, {"gone": ["tests/1.9/second"]})
    second.write_text(old.replace("entry: bert", "entry: bert-ner"))
    commit()
    assert sync() == (1, {"refused": ["tests/1.9/second"]})
    assert cli("resolve", "tests/1.9/second").code == 1
    (listed,) = [one for one in cli("registry", "list", "--json").json["registries"] if one["name"] == "lab"]
    assert listed["cards"] == 3
    assert sync("--accept-changes") == (0, {"back": ["tests/1.9/second"]})
    assert entry("second") == "bert-ner"
    assert cli("withdraw", "tests/1.9/third", "--reason", "it is wrong", "--in-place", "--registry", work).code == 0
    commit()
    assert sync() == (0, {"withdrawn": ["tests/1.9/third"]})


def test_without_a_sync_a_changed_card_is_not_taken_either(cli: Cli) -> None:
    origin, to = write_cards(cli.folder / "origin", "tests/1.9/a"), cli.folder / "site"
    site.publish(origin, to)
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert"
        write_cards(origin, "tests/1.9/a", entry="bert-ner")
        site.publish(origin, to)
        again = cli("resolve", "tests/1.9/a", "--json")
        assert json.loads(again.out)["network"]["entry"] == "bert"
        assert "stays in use" in again.err
        assert cli("registry", "sync").code == 1
        assert cli("registry", "sync", "--accept-changes").code == 0
        assert cli("resolve", "tests/1.9/a", "--json").json["network"]["entry"] == "bert-ner"


def test_an_index_that_hides_what_a_card_loads_is_found_out(cli: Cli) -> None:
    origin, to = write_cards(cli.folder / "origin", "tests/1.9/a"), cli.folder / "site"
    site.publish(origin, to)
    with serving(folder=to) as web:
        cli("registry", "add", "site", web.url)
        cli("registry", "sync")
        core = json.loads(next((to / "index").iterdir()).read_bytes())["cards"][0]["core"]
        write_cards(origin, "tests/1.9/a", entry="bert-ner")
        site.publish(origin, to)
        index = json.loads((to / "index.json").read_bytes())
        cards = json.loads((to / index["shards"][0]["path"]).read_bytes())["cards"]
        for lie in {"core": core}, {"core": ""}:
            shard, data = published_index.shard_bytes("all", [{**cards[0], **lie}])
            (to / shard.path).write_bytes(data)
            index["serial"] += 1
            (to / "index.json").write_bytes(published_index.index_bytes([shard], 0, index["serial"]))
            assert cli("registry", "sync").code == 0
            lying = cli("resolve", "tests/1.9/a")
            assert lying.code == 1
            assert "something else than its index states" in lying.err


# -- publishers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("publisher", "refused"),
    [
        ("mindspore", True),
        ("hubtool", True),
        ("noah-cvlab", True),
        ("MindSpore", True),
        ("m\u0456ndspore", True),
        ("mindsp\u043ere", True),
        ("\uff4dindspore", True),
        ("m\u00efndspore", True),
        ("hubt00l", True),
        ("noah_cvlab", True),
        ("l\u0430b", True),
        ("mindsp\u00f8re", True),  # Latin letters that Unicode does not take apart
        ("\u0271in\u0111spore", True),
        ("\u1d0d\u026a\u0274\u1d05\ua731\u1d18\u1d0f\u0280\u1d07", True),
        ("rnindspore", True),
        ("mindspore\u3164", True),  # Hangul letters that show nothing
        ("mind\u115fspore", True),
        ("\ua4df\ua4f2\ua4e0\ua4d3\ua4e2\ua4d1\ua4f3\ua4e3\ua4f0", True),  # Lisu letters alone
        ("\u2c99\u2c93\u2c9b\u2c87\u2ca5", True),  # Coptic ones
        ("\u00f8rsted", False),
        ("\u0627\u0644\u0645\u062e\u062a\u0628\u0631", False),
        ("\uc5f0\uad6c\uc2e4", False),
        ("lab", False),
        ("mindspore-lab", False),
        ("\u534e\u4e3a", False),
        ("\u534e\u4e3anoah", False),
        ("\u043b\u0430\u0431", False),
    ],
)
def test_which_publishers_an_added_registry_may_have(publisher: str, refused: bool) -> None:
    assert (publishers.objection(publisher) is not None) is refused
    assert publishers.objection(publisher, (publisher,)) is None


@pytest.mark.parametrize("kind", ["folder", "git", "published"])
def test_reserved_publishers_are_not_used_unless_allowed(cli: Cli, kind: str) -> None:
    origin = cli.folder / "origin"
    uids = ("mindspore/1.9/fake", "m\u0456ndspore/1.9/fake", "lab/1.9/own")
    write_cards(origin, *uids)
    if kind == "git":
        git(origin, "init", "--quiet", "--initial-branch=main")
        git(origin, "add", "--all")
        git(origin, "commit", "--quiet", "--message=Add cards")
    site.publish(origin, cli.folder / "site")
    with serving(folder=cli.folder / "site") as web:
        source = {"folder": str(origin), "git": origin.as_uri(), "published": web.url}[kind]
        added = cli("registry", "add", "other", source)
        assert added.code == 0, added.err
        synced = cli("registry", "sync")
        for said in (synced.err, *([] if kind == "published" else [added.err])):
            assert "the publisher mindspore is reserved" in said
            assert "looks like mindspore" in said
            assert "--allow-publisher mindspore" in said
        assert [one["uid"] for one in cli("list", "--json").json] == ["lab/1.9/own"]
        assert cli("resolve", uids[0]).code == 1
        assert cli("resolve", uids[1]).code == 1
        assert cli("resolve", "lab/1.9/own").code == 0
        listed = cli("registry", "list", "--json").json["registries"][1]
        assert [one["publisher"] for one in listed["ignored"]] == ["mindspore", "m\u0456ndspore"]
        cli("registry", "remove", "other")
        assert cli("registry", "add", "other", source, "--allow-publisher", "mindspore").code == 0
        cli("registry", "sync")
        assert cli("resolve", uids[0]).code == 0
        assert [one["uid"] for one in cli("list", "--json").json] == ["lab/1.9/own", "mindspore/1.9/fake"]


def test_registries_of_the_settings_may_have_any_publisher(cli: Cli) -> None:
    write_cards(cli.registry, "mindspore/1.9/own")
    assert cli("resolve", "mindspore/1.9/own").code == 0


def test_python_warns_once_of_a_card_that_another_registry_has_too(environment: Cli) -> None:
    cli = environment
    write_cards(cli.registry, "tests/1.9/twice")
    other = write_cards(cli.folder / "other", "tests/1.9/twice", entry="bert-ner")
    assert cli("registry", "add", "other", other).code == 0
    with pytest.warns(RegistryWarning, match="other has another card of this UID"), pytest.raises(HubError):
        hubtool.load_weights("tests/1.9/twice")
    with pytest.raises(HubError):  # a second warning would be an error
        hubtool.load_weights("tests/1.9/twice")


# -- hostile and slow registries --------------------------------------------------------------------------------------


def test_a_huge_index_is_refused_as_it_comes(cli: Cli, server: Server) -> None:
    shard = {"name": "all", "path": f"index/all-{'0' * 16}.json", "digest": "0" * 64, "size": 1, "cards": 1}
    text = json.dumps(shard).encode()
    huge = b'{"version": 1, "width": 0, "cards": 1, "shards": [' + b",".join([text] * 400_000) + b"]}"
    for fault in "", "chunked":
        server.put("/index.json", huge, fault)
        started = time.monotonic()
        done = cli("registry", "add", "site", server.url)
        assert done.code == 1
        assert "more than 2,097,152" in done.err
        assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "lie",
    [
        {"shards": 2},
        {"size": 17 << 20},
        {"size": -1},
        {"cards": 200_001},
        {"serial": -1},
        {"serial": "2"},
        {"serial": True},
        {"serial": 1 << 63},
    ],
)
def test_an_index_that_promises_too_much_is_refused(lie: dict[str, Any]) -> None:
    shard = {"name": "all", "path": f"index/all-{'0' * 16}.json", "digest": "0" * 64, "size": 1, "cards": 1}
    value = {"version": 1, "serial": 1, "width": 0, "cards": 1, "shards": [shard]}
    assert published_index.read_index(json.dumps(value).encode()) is not None
    shard.update({key: text for key, text in lie.items() if key in ("size", "cards")})
    value.update({key: text for key, text in lie.items() if key == "serial"})
    value["shards"] = [shard] * lie.get("shards", 1)
    assert published_index.read_index(json.dumps(value).encode()) is None


def test_a_registry_that_failed_is_not_asked_by_each_command(cli: Cli, server: Server) -> None:
    site.publish(write_cards(cli.folder / "origin", "tests/1.9/a"), cli.folder / "site")
    server.put("/index.json", (cli.folder / "site/index.json").read_bytes())
    card = "/cards/tests/1.9/a.md"
    server.put(card, (cli.folder / "site" / card[1:]).read_bytes())
    assert cli("registry", "add", "site", server.url).code == 0
    assert cli("resolve", "tests/1.9/a").code == 0
    server.put(card, b"", "500")
    server.put("/cards/tests/1.9/b.md", b"", "500")
    # What is here is used without a word; what is not here is an error, which names the registry.
    before = server.gets(card)
    assert cli("resolve", "tests/1.9/a").code == 0
    assert server.gets(card) == before + 1
    for _ in range(2):
        assert cli("resolve", "tests/1.9/a").code == 0
        other = cli("resolve", "tests/1.9/b")
        assert other.code == 1
        assert "the registry site failed" in other.err
        assert "hubtool registry sync site" in other.err
    assert server.gets(card) == before + 1
    assert server.gets("/cards/tests/1.9/b.md") == 0
    # A sync asks it at once.
    for shard in (cli.folder / "site/index").iterdir():
        server.put(f"/index/{shard.name}", shard.read_bytes())
    server.put(card, (cli.folder / "site" / card[1:]).read_bytes())
    assert cli("registry", "sync").code == 0
    assert cli("resolve", "tests/1.9/a").code == 0


# -- what is no registry, and mirrors ---------------------------------------------------------------------------------


def test_a_bucket_is_no_folder(cli: Cli) -> None:
    origin = write_cards(cli.folder / "origin", "tests/1.9/a")
    done = cli("registry", "publish", origin, "--to", "s3://bucket/site")
    assert done.code == 2
    assert "mirror sync" in done.err
    assert cli.maintain("import", "s3://bucket/hub").code == 2
    assert cli.maintain("import", str(origin), "--into", "s3:/bucket").code == 2
    for arguments in (
        ("mirror", "sync", "s3:/bucket"),
        ("mirror", "bundle", "s3://bucket/a.tar"),
        ("validate", "https://example.org/a.md"),
    ):
        refused = cli(*arguments)
        assert refused.code == 2, arguments
        assert refused.err
    assert [path.name for path in cli.folder.iterdir()] == ["origin"]


HUGGING_FACE = "---\nlicense: mit\ntags:\n- pytorch\n---\n\n# my-model\n"
MODELSCOPE = "---\nlicense: Apache License 2.0\ntasks:\n- ocr\nframeworks:\n- pytorch\n---\n\n# Model\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HUGGING_FACE, "README.md is a Hugging Face model card"),
        (MODELSCOPE, "README.md is a ModelScope model card"),
        ("# A folder\n", "README.md is not a card"),
        (None, "no card in"),
    ],
)
@pytest.mark.parametrize(
    "command", [("validate",), ("fmt",), ("import",), ("registry", "add", "x"), ("registry", "publish")]
)
def test_no_card_is_no_pass(cli: Cli, command: tuple[str, ...], text: str | None, said: str) -> None:
    folder = cli.folder / "folder"
    folder.mkdir()
    if text is not None:
        (folder / "README.md").write_text(text)
    more = ("--to", str(cli.folder / "to")) if command[-1] == "publish" else ()
    done = (cli.maintain if command == ("import",) else cli)(*command, folder, *more)
    assert done.code == 2
    assert said in done.err
    assert "<publisher>/<version>/<name>.md" in done.err
    assert not (cli.folder / "to").exists()


def test_the_right_folder_is_named(cli: Cli) -> None:
    top = cli.folder / "checkout"
    write_cards(top / "registry", "tests/1.9/a")
    write_cards(cli.folder / "deep/docs/cards", "tests/1.9/a")
    # One level too high, a card looks like one with a backend.
    for folder, right in (top, top / "registry"), (cli.folder / "deep", cli.folder / "deep/docs/cards"):
        done = cli("registry", "add", "x", folder)
        assert done.code == 2
        assert str(right) in done.err
    below = cli("registry", "add", "x", top / "registry/tests")
    assert below.code == 2
    assert f"give {top / 'registry'}" in below.err
    git(top, "init", "--quiet", "--initial-branch=main")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message=Add cards")
    from_git = cli("registry", "add", "x", top.as_uri())
    assert from_git.code == 1
    assert "--subfolder registry" in from_git.err
    assert cli("registry", "add", "x", top.as_uri(), "--subfolder", "registry").code == 0


def test_a_mirror_in_a_folder_is_a_registry(cli: Cli) -> None:
    origin, mirror = cli.folder / "origin", cli.folder / "mirror"
    write_local(origin, "lab/1.9/own", CONTENT)
    write_cards(cli.registry, "tests/1.9/public")
    assert cli("registry", "add", "lab", origin).code == 0
    # Of the lab's registry only, and not of all.
    assert cli("mirror", "sync", mirror, "--registry", "other").code == 2
    done = cli("mirror", "sync", mirror, "--registry", "lab")
    assert done.code == 0, done.err
    assert [path.name for path in (mirror / "cards").rglob("*.md")] == ["own.md"]
    assert json.loads((mirror / "index.json").read_bytes())["serial"] == 1
    assert cli("mirror", "status", mirror, "--registry", "lab").code == 0
    lacking = cli("mirror", "status", mirror)
    assert lacking.code == 1
    assert "1 of them new or changed" in lacking.out
    absent = cli("mirror", "status", cli.folder / "absent")
    assert absent.code == 1
    assert "there is no mirror" in absent.err
    noted = cli("mirror", "sync", mirror, "--uid", "lab/*", "--prune")
    assert noted.code == 0
    assert "--prune removes no card" in noted.err
    cli("registry", "remove", "lab")
    assert cli("registry", "add", "copy", mirror).code == 0
    assert cli("resolve", "lab/1.9/own", "--json").json["card"]["registry"] == "copy"


def test_a_mirror_run_says_how_old_a_registry_is(cli: Cli) -> None:
    origin, to = cli.folder / "origin", cli.folder / "site"
    write_local(origin, "lab/1.9/own", CONTENT)
    site.publish(origin, to)
    with serving(folder=to) as web:
        cli("registry", "add", "lab", web.url)
        assert "registry lab: not synced yet" in cli("mirror", "status", cli.folder / "mirror").err
        cli("registry", "sync")
        (seen,) = cli.home.rglob("seen.json")
        week = time.time() - 7 * 86400
        os.utime(seen, (week, week))
        done = cli("mirror", "sync", cli.folder / "mirror", "--registry", "lab")
        assert done.code == 0, done.err
        day = time.strftime("%Y-%m-%d", time.localtime(week))
        assert f"registry lab: as of {day}, 7 days ago; `hubtool registry sync lab` renews it" in done.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--task", "foo", "'foo' is not a task"),
        ("--dataset", "foo", "no card has --dataset 'foo'"),
        ("--version", "1.99", "no card has --version '1.99'"),
        ("--publisher", "test", "did you mean --publisher tests?"),
        ("--format", "pickle", "no card has --format 'pickle'"),
    ],
)
def test_a_filter_that_no_card_has_is_named(cli: Cli, option: str, value: str, said: str) -> None:
    write_cards(cli.registry, "tests/1.9/a")
    done = cli("list", option, value)
    assert done.out == ""
    assert said in done.err
    assert said in cli("list", option, value, "--json").err


@pytest.mark.root
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("kind", ["git", "published"])
def test_what_another_user_put_into_the_home_is_not_believed(cli: Cli, kind: str) -> None:
    origin = write_cards(cli.folder / "origin", "tests/1.9/a")
    git(origin, "init", "--quiet", "--initial-branch=main")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message=cards")
    site.publish(origin, cli.folder / "site")
    with serving(folder=cli.folder / "site") as web:
        assert cli("registry", "add", "lab", origin.as_uri() if kind == "git" else web.url).code == 0
        assert cli("registry", "sync").code == 0
        assert cli("show", "tests/1.9/a").code == 0
    assert cli("show", "tests/1.9/a", HUBTOOL_OFFLINE="1").code == 0
    (folder,) = (cli.home / "registries").iterdir()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 12345, -1)
    assert cli("show", "tests/1.9/a", HUBTOOL_OFFLINE="1").code == 1


@pytest.mark.root
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file to another user")
def test_the_serial_rises_over_an_index_of_another_maintainer(tmp_path: Path) -> None:
    """A site is not a home: several people may write it, and its serial must not begin anew."""
    origin, to = write_cards(tmp_path / "origin", "tests/1.9/a"), tmp_path / "site"
    site.publish(origin, to)
    for path in (to, *to.rglob("*")):
        os.chown(path, 12345, -1)
    write_cards(origin, "tests/1.9/b")
    site.publish(origin, to)
    index = published_index.read_index((to / "index.json").read_bytes())
    assert index is not None
    assert (index.serial, index.cards) == (2, 2)
