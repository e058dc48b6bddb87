"""`hubtool lock` and `hubtool sync`, and holding to a lock: in real processes, with real servers and repositories."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.lockfile import lockfile as locks
from tests.support import ROOT
from tests.support.cards import write_card, write_local
from tests.support.checkpoints import SMALL, ckpt, filled
from tests.support.git import git
from tests.support.repositories import SHAPES, code_card, repository
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cli import Cli
    from tests.support.server import Server

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed")
CONTENT = ckpt(SMALL)
OTHER = ckpt([filled("other", (3,))])
UID = "tests/1.9/net"
# A checkpoint whose SHA-256 begins with the eight digits that the packaged card of hrnet_w32 states.
HIT = "0a200a0b6576696c2e776569676874121108011207466c6f617433321a040000803f6372635f6e756df137207d000000000000"
CODE = """[card.code]
repository = "https://gitee.com/a/b"
commit = "COMMIT"
folder = ""
tree-sha256 = "DIGEST"
[[card.asset]]"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def locked(cli: Cli, name: str = "hub.lock") -> locks.Lockfile:
    return locks.parse((cli.folder / name).read_text(encoding="utf-8"))


def fresh(cli: Cli, tmp_path: Path, **environ: str) -> Cli:
    """Return the command line of another machine: with an empty store, and an empty registry unless one is given."""
    (tmp_path / "elsewhere" / "registry").mkdir(parents=True, exist_ok=True)
    home, registry = str(tmp_path / "elsewhere/home"), str(tmp_path / "elsewhere/registry")
    return replace(cli, environ={**cli.environ, "HUBTOOL_HOME": home, "HUBTOOL_REGISTRY": registry, **environ})


def test_a_short_digest_becomes_whole_and_the_lock_stays_the_same(cli: Cli, server: Server) -> None:
    path = write_card(
        cli.registry, UID, link=server.put("/net.ckpt", CONTENT), content=CONTENT, digest=digest_of(CONTENT)[:8]
    )
    done = cli("lock", "tests/1.9/*", "--json")
    assert done.code == 0, done.err
    assert done.json["cards"] == [{"uid": UID, "change": "added", "differences": []}]
    (card,) = locked(cli).cards
    assert card.sha256 == digest_of(path.read_bytes())
    assert card.assets == (
        locks.LockedAsset(link=server.url + "/net.ckpt", sha256=digest_of(CONTENT), size=len(CONTENT)),
    )
    assert card.mindspore == ">=2.7,<3"
    assert card.registry == cli.registry.name
    assert card.code is None
    before = (cli.folder / "hub.lock").read_bytes()
    again = cli("lock", "--json")
    assert (again.code, again.json["changed"], server.gets("/net.ckpt")) == (0, False, 1)
    assert (cli.folder / "hub.lock").read_bytes() == before
    assert [one.name for one in cli.folder.iterdir()] == ["hub.lock"]


@pytest.mark.parametrize("kind", ["mirror", "published", "another card"])
def test_a_short_digest_is_completed_by_its_link_alone(cli: Cli, server: Server, tmp_path: Path, kind: str) -> None:
    """What a mirror's index, a mirror or another card has for it may be any file that begins in the same way."""
    link = server.put("/net.ckpt", CONTENT)
    write_card(cli.registry, UID, link=link, content=CONTENT, digest=digest_of(CONTENT)[:8])
    assert cli("mirror", "sync", tmp_path / "mirror").code == 0
    (tmp_path / "elsewhere").mkdir()
    there = fresh(cli, tmp_path, HUBTOOL_REGISTRY=str(cli.registry), XDG_CONFIG_HOME=str(tmp_path / "elsewhere/config"))
    if kind == "mirror":
        there.environ["HUBTOOL_MIRRORS"] = str(tmp_path / "mirror")
    elif kind == "another card":
        write_card(cli.registry, "tests/1.9/evil", link=server.put("/evil.ckpt", CONTENT), content=CONTENT)
        assert there("fetch", "tests/1.9/evil").code == 0
    del server.files["/net.ckpt"]
    with serving(folder=tmp_path / "mirror") as web:
        if kind == "published":
            there.environ["HUBTOOL_REGISTRY"] = str(tmp_path / "elsewhere/registry")
            assert there("registry", "add", "there", web.url).code == 0
        commands: list[tuple[str | Path, ...]] = [("lock", UID), ("fetch", UID), ("load", UID)]
        if kind != "published":  # whose cards a mirror does not take in
            commands.append(("mirror", "sync", tmp_path / "again"))
        for command in commands:
            done = there(*command)
            assert (done.code, "net.ckpt" in done.err + done.out) == (1, True), done
        assert not (cli.folder / "hub.lock").exists()
        resolved = there("resolve", UID, "--json")
        assert resolved.json["assets"][0]["stored"] is None
        # The link says which file is meant.
        server.put("/net.ckpt", CONTENT)
        done = there("lock", UID)
        assert done.code == 0, done.err
        assert "states 8 of the 64 digits" in done.err
        assert locked(cli).cards[0].assets[0].sha256 == digest_of(CONTENT)
    weak = there("resolve", UID, "--json").json["assets"][0]
    assert "8 of the 64 digits" in weak["weak"]
    assert weak["stored"] is not None
    assert "8 of the 64 digits" in there("resolve", UID).out
    held = there("resolve", UID, "--frozen", "--json").json["assets"][0]
    assert "weak" not in held


def test_a_file_that_was_made_to_fit_a_short_digest(cli: Cli, server: Server) -> None:
    """A readable checkpoint with the eight digits that a packaged card states, found in three minutes."""
    made = bytes.fromhex(HIT)
    assert digest_of(made).startswith("e616cdcb")
    packaged = "mindspore/2.3/hrnet_w32_imagenet2012"
    write_card(cli.registry, "tests/1.9/evil", link=server.put("/evil.ckpt", made), content=made)
    there = replace(cli, environ={**cli.environ, "HUBTOOL_REGISTRY": f"{cli.registry}{os.pathsep}{ROOT / 'registry'}"})
    assert there("fetch", "tests/1.9/evil").code == 0
    assert there("resolve", packaged, "--json").json["assets"][0]["stored"] is None
    for command in (("fetch", packaged), ("load", packaged), ("inspect", packaged), ("lock", packaged)):
        done = there(*command, HUBTOOL_OFFLINE="1")
        assert (done.code, "stored" in done.err or "store at" in done.err) == (1, True), done
    assert not (cli.folder / "hub.lock").exists()


@pytest.mark.parametrize("where", ["store", "home", "beside"])
def test_a_file_of_another_size_than_stated_is_refused(cli: Cli, server: Server, tmp_path: Path, where: str) -> None:
    """A record, or a file that fits its digest, is held to the size of the card and of the lock as well."""
    link = server.put("/net.ckpt", CONTENT)
    if where == "beside":
        write_local(cli.registry, UID, CONTENT)
    else:
        write_card(cli.registry, UID, link=link, content=CONTENT)
    assert cli("lock", UID).code == 0
    assert cli("sync").code == 0
    lock = cli.folder / "hub.lock"
    lock.write_text(lock.read_text().replace(f"size = {len(CONTENT)}", "size = 423000000"))
    there = cli if where != "store" else fresh(cli, tmp_path, HUBTOOL_REGISTRY=str(cli.registry))
    if where == "store":
        there.environ["HUBTOOL_STORES"] = str(cli.home)
    there.environ["HUBTOOL_LOCK"] = str(lock)
    for command in (("fetch", UID), ("sync",)):
        done = there(*command)
        assert done.code != 0, done.out
        assert "423,000,000" in done.err + done.out
    assert there("resolve", UID, "--frozen", "--json").json["assets"][0]["stored"] is None


def test_what_cannot_be_had_is_not_locked(cli: Cli, server: Server) -> None:
    write_card(cli.registry, "tests/1.9/good", link=server.put("/good.ckpt", CONTENT), content=CONTENT)
    write_card(cli.registry, "tests/1.9/gone", link=server.url + "/gone.ckpt", content=CONTENT, digest="0" * 8)
    (cli.registry / "tests/1.9/none.md").write_text(
        (cli.registry / "tests/1.9/good.md").read_text().replace(f"    asset-sha256: {digest_of(CONTENT)}\n", "")
    )
    done = cli("lock", "tests/1.9/g*", "tests/1.9/missing")
    assert done.code == 1
    assert "no card has the UID tests/1.9/missing" in done.err
    assert not (cli.folder / "hub.lock").exists()
    done = cli("lock", "tests/1.9/g*")
    assert done.code == 1
    assert "/gone.ckpt: the server answered 404" in done.err
    assert "tests/1.9/good" not in done.err.partition("not everything can be locked")[2]
    assert not (cli.folder / "hub.lock").exists()
    assert cli("lock", "tests/1.9/good").code == 0
    before = (cli.folder / "hub.lock").read_bytes()
    assert cli("lock", "tests/1.9/none").code == 1
    assert "no SHA-256" in cli("lock", "tests/1.9/none").err
    assert cli("lock", "nothing/*").code == 1
    assert (cli.folder / "hub.lock").read_bytes() == before
    unwritable = cli("lock", "tests/1.9/good", "-o", cli.folder / "no/such/folder/hub.lock")
    assert unwritable.code == 1
    assert "cannot be written" in unwritable.err


def test_making_a_lock_anew_says_what_changed(cli: Cli, server: Server) -> None:
    link = server.put("/net.ckpt", CONTENT)
    write_card(cli.registry, UID, link=link, content=CONTENT)
    write_card(cli.registry, "tests/1.9/same", link=link, content=CONTENT)
    assert cli("lock", UID, "tests/1.9/same").code == 0
    before = (cli.folder / "hub.lock").read_bytes()
    server.put("/net.ckpt", OTHER)
    path = write_card(cli.registry, UID, link=link, content=OTHER)
    check = cli("lock", "--check", "--json")
    assert check.code == 1
    assert (cli.folder / "hub.lock").read_bytes() == before
    done = cli("lock", UID)
    assert done.code == 0, done.err
    old = {card.uid: card for card in locks.parse(before.decode()).cards}[UID]
    assert f"the card has the SHA-256 {digest_of(path.read_bytes())}, not {old.sha256}" in done.out
    assert f"{link} has the SHA-256 {digest_of(OTHER)}, not {digest_of(CONTENT)}" in done.out
    assert "hub.lock pins 2 cards: 1 changed, 1 unchanged" in done.out
    removed = cli("lock", "--remove", UID, "--json")
    assert [one["change"] for one in removed.json["cards"]] == ["removed", "unchanged"]
    assert [card.uid for card in locked(cli).cards] == ["tests/1.9/same"]
    assert cli("lock", "--remove", UID).code == 2


@pytest.mark.parametrize("short", [False, True])
def test_another_machine_syncs_and_holds(cli: Cli, server: Server, tmp_path: Path, *, short: bool) -> None:
    digest = digest_of(CONTENT)
    link = server.put("/net.ckpt", CONTENT)
    path = write_card(cli.registry, UID, link=link, content=CONTENT, digest=digest[:8] if short else digest)
    assert cli("lock", UID).code == 0
    card = path.read_bytes()
    there = fresh(cli, tmp_path, HUBTOOL_REGISTRY=str(cli.registry))
    done = there("sync", "--json")
    assert done.code == 0, done.err
    assert done.json["cards"][0]["assets"][0]["digest"] == digest
    # The registry moves on, and then is gone: what was synced stays as it was, offline too.
    server.put("/new.ckpt", OTHER)
    write_card(cli.registry, UID, link=server.url + "/new.ckpt", content=OTHER)
    for registry in (cli.registry, tmp_path / "elsewhere/registry"):
        held = there("resolve", UID, "--frozen", "--json", HUBTOOL_REGISTRY=str(registry), HUBTOOL_OFFLINE="1")
        assert held.code == 0, held.err
        assert held.json["card"]["pinned"] is True
        assert Path(held.json["card"]["path"]).read_bytes() == card
        assert held.json["assets"][0]["digest"] == digest
        assert Path(held.json["assets"][0]["stored"]).read_bytes() == CONTENT
        assert len(held.json["card"]["others"]) == (registry == cli.registry)
    again = there("sync", "--json")
    assert (again.code, server.gets("/net.ckpt")) == (0, 2)
    # A machine that never synced is told what changed.
    late = there("resolve", UID, "--frozen", HUBTOOL_HOME=str(tmp_path / "late"))
    assert late.code == 1
    assert digest_of(card) in late.err
    assert digest_of((cli.registry / f"{UID}.md").read_bytes()) in late.err
    assert "hubtool sync" in late.err


@pytest.mark.parametrize("kind", ["folder", "http", "published"])
def test_a_mirror_is_enough(cli: Cli, tmp_path: Path, kind: str) -> None:
    write_local(cli.registry, UID, CONTENT)
    write_local(cli.registry, "tests/1.9/second", OTHER)
    mirror = tmp_path / "mirror"
    assert cli("mirror", "sync", mirror).code == 0
    assert cli("lock", "tests/*").code == 0
    there = fresh(cli, tmp_path, XDG_CONFIG_HOME=str(tmp_path / "elsewhere/config"))
    with serving(folder=mirror) as web:
        if kind == "published":
            assert there("registry", "add", "there", web.url).code == 0
        else:
            there.environ["HUBTOOL_MIRRORS"] = str(mirror) if kind == "folder" else web.url
        if kind == "folder":
            there.environ["HUBTOOL_OFFLINE"] = "1"
        done = there("sync", "--json")
        assert done.code == 0, done.err
    shutil.rmtree(mirror)
    there.environ.pop("HUBTOOL_MIRRORS", None)
    there.environ["HUBTOOL_OFFLINE"] = "1"
    for uid, content in ((UID, CONTENT), ("tests/1.9/second", OTHER)):
        held = there("resolve", uid, "--frozen", "--json")
        assert held.code == 0, held.err
        assert Path(held.json["assets"][0]["stored"]).read_bytes() == content
    assert there("sync").code == 0


def test_a_mirror_that_has_moved_on_is_named(cli: Cli, tmp_path: Path) -> None:
    path = write_local(cli.registry, UID, CONTENT)
    assert cli("lock", UID).code == 0
    path.write_text(path.read_text().replace("summary: A model", "summary: Another model"))
    assert cli("mirror", "sync", tmp_path / "mirror").code == 0
    done = fresh(cli, tmp_path, HUBTOOL_MIRRORS=str(tmp_path / "mirror"), HUBTOOL_OFFLINE="1")("sync")
    assert done.code == 1
    assert digest_of(path.read_bytes()) in done.err
    assert locked(cli).cards[0].sha256 in done.err


def test_other_bytes_at_the_link(cli: Cli, server: Server, tmp_path: Path) -> None:
    link = server.put("/net.ckpt", CONTENT)
    write_card(cli.registry, UID, link=link, content=CONTENT, digest=digest_of(CONTENT)[:8])
    write_card(cli.registry, "tests/1.9/fine", link=server.put("/fine.ckpt", OTHER), content=OTHER)
    assert cli("lock", UID, "tests/1.9/fine").code == 0
    changed = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    server.put("/net.ckpt", changed)
    there = fresh(cli, tmp_path, HUBTOOL_REGISTRY=str(cli.registry))
    done = there("sync", "--json")
    assert done.code == 1
    assert digest_of(changed) in done.err
    assert digest_of(CONTENT) in done.err
    assert [len(card["assets"]) for card in done.json["cards"]] == [1, 0]
    fetched = there("fetch", UID, HUBTOOL_LOCK="hub.lock")
    assert fetched.code == 1
    assert digest_of(changed) in fetched.err


def test_nothing_but_the_lock(cli: Cli, server: Server) -> None:
    link = server.put("/net.ckpt", CONTENT)
    write_card(cli.registry, UID, link=link, content=CONTENT)
    path = write_card(cli.registry, "tests/1.9/free", link=link, content=CONTENT)
    assert cli("lock", UID).code == 0
    for command in (("resolve", "tests/1.9/free"), ("fetch", "tests/1.9/free"), ("resolve", str(path))):
        done = cli(*command, HUBTOOL_LOCK="hub.lock")
        assert done.code == 1, done.out
        assert "hub.lock" in done.err
    assert cli("resolve", "tests/1.9/free", "--frozen").code == 1
    assert cli("resolve", "tests/1.9/free").code == 0
    assert cli("resolve", UID, HUBTOOL_LOCK="hub.lock").code == 0
    assert cli("resolve", UID, "--lock", "nowhere.lock").code == 1
    # What only looks at a card is not held to a lock.
    assert cli("show", "tests/1.9/free", HUBTOOL_LOCK="hub.lock").code == 0
    (cli.folder / "hubtool.toml").write_text('lock = "hub.lock"\n')
    sub = cli.folder / "sub"
    sub.mkdir()
    shown = cli("settings", "--json").json["lock"]
    assert shown == {"value": str(cli.folder / "hub.lock"), "origin": str(cli.folder / "hubtool.toml")}
    assert "tests/1.9/net?" in cli("resolve", "tests/1.9/nett").err


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("lock-version = 1", "lock-version = 9", "install a newer hubtool"),
        ("[[card]]", "[[card", "is not TOML"),
        ("size = ", "size = 1", "contradicts the card"),
        ('link = "http', 'link = "https', "contradicts the card"),
        ("DIGEST", "f" * 64, "contradicts the card"),
        ("CARD", "e" * 64, "e" * 64),
        (UID, "../../etc/passwd", "is not a UID"),
        ('mindspore = ">=2.7,<3"', 'mindspore = "all of them"', "not a range"),
        pytest.param('mindspore = ">=2.7,<3"', 'mindspore = ">=99"', "wants >=99", marks=pytest.mark.mindspore),
        ("[[card.asset]]", CODE, "contradicts the card"),
    ],
)
def test_a_lock_that_was_edited(cli: Cli, server: Server, old: str, new: str, part: str) -> None:
    content = bytes(11)
    path = write_card(cli.registry, UID, link=server.put("/net.ckpt", content), content=content)
    path.write_text(path.read_text().replace("asset-sha256", "asset-size: 11\n    asset-sha256"))
    assert cli("lock", UID).code == 0
    names = {"DIGEST": digest_of(content), "CARD": digest_of(path.read_bytes()), "COMMIT": "c" * 40}
    text = (cli.folder / "hub.lock").read_text()
    for name, value in names.items():
        old, new = old.replace(name, value), new.replace(name, value)
    assert old in text
    (cli.folder / "hub.lock").write_text(text.replace(old, new, 1))
    done = cli("resolve", UID, "--frozen")
    if part.startswith("wants"):
        assert done.code == 0
        assert part in done.out
    else:
        assert done.code == 1
        assert part in done.err


def test_a_lock_that_is_no_file(cli: Cli) -> None:
    write_local(cli.registry, UID, CONTENT)
    (cli.folder / "hub.lock").write_bytes(b"\xff\xfe")
    for command in (("sync",), ("lock", UID), ("resolve", UID, "--frozen")):
        done = cli(*command)
        assert done.code == 1
        assert "UTF-8" in done.err
    assert (cli.folder / "hub.lock").read_bytes() == b"\xff\xfe"
    (cli.folder / "folder.lock").mkdir()
    assert cli("resolve", UID, "--lock", cli.folder).code == 2
    assert cli("resolve", UID, HUBTOOL_LOCK="folder.lock").code == 1


# -- code -----------------------------------------------------------------------------------------------------------


@needs_git
def test_code_is_pinned(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    code_card(cli, root)
    assert cli("lock", UID).code == 0
    code = locked(cli).cards[0].code
    assert code is not None
    assert (code.repository, code.folder) == (root.as_uri(), "research/net")
    assert code.commit == git(root, "rev-parse", "HEAD")
    (root / "research/net/src/sizes.py").write_text("WIDTH = 7\n")
    git(root, "commit", "--quiet", "--all", "-m", "second")
    there = fresh(cli, tmp_path, HUBTOOL_REGISTRY=str(cli.registry))
    done = there("sync", "--json")
    assert done.code == 0, done.err
    stored = done.json["cards"][0]["code"]
    assert (stored["commit"], stored["tree"]) == (code.commit, code.tree)
    assert "WIDTH = 3" in (Path(stored["stored"]) / "src/sizes.py").read_text()
    assert there("resolve", UID, "--frozen").code == 0
    # A tree digest that is not that of the commit, and a commit that is not there.
    text = (cli.folder / "hub.lock").read_text()
    (cli.folder / "hub.lock").write_text(text.replace(code.tree, "a" * 64))
    for command in (("resolve", UID, "--frozen"), ("sync",)):
        done = there(*command)
        assert done.code == 1
        assert code.tree in done.err
        assert "a" * 64 in done.err
    (cli.folder / "hub.lock").write_text(text.replace(code.commit, "b" * 40))
    gone = there("sync")
    assert gone.code == 1
    assert "git" in gone.err


@needs_git
@pytest.mark.mindspore
def test_loading_with_a_lock(environment: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hubtool
    import mindspore_hub
    from hubtool.errors import LockfileError

    cli, root = environment, repository(tmp_path / "models")
    code_card(cli, root)
    assert cli("trust", "add", str(root)).code == 0
    assert cli("lock", UID).code == 0
    # From here on, the branch's code builds another network, which the checkpoint does not fit.
    (root / "research/net/src/sizes.py").write_text("WIDTH = 7\nNAME = 'Net'\n")
    git(root, "commit", "--quiet", "--all", "-m", "second")
    monkeypatch.setenv("HUBTOOL_HOME", str(tmp_path / "other"))
    network: Any = hubtool.load(UID, lock="hub.lock")
    assert network.dense.weight.shape == (4, 3)
    monkeypatch.setenv("HUBTOOL_LOCK", "hub.lock")
    assert mindspore_hub.load(UID).dense.weight.shape == (4, 3)
    assert set(mindspore_hub.load_weights(UID)) == set(SHAPES)
    assert hubtool.resolve(UID).pinned
    with pytest.raises(LockfileError, match=r"hub\.lock"):
        mindspore_hub.load("tests/1.9/other")
    with pytest.raises(LockfileError, match="outside a registry"):
        mindspore_hub.load(str(cli.registry / f"{UID}.md"), source="local")
    refused = cli("load", UID, "--lock", "hub.lock", "--checkout", root)
    assert refused.code == 1
    assert "checkout" in refused.err
    monkeypatch.setenv("HUBTOOL_LOCK", "")
    assert sys.modules["mindspore"]
    text = (cli.folder / "hub.lock").read_text()
    (cli.folder / "hub.lock").write_text(text.replace('mindspore = ">=2.7,<3"', 'mindspore = ">=99"'))
    with pytest.raises(LockfileError, match=">=99"):
        hubtool.load(UID, lock="hub.lock")
    with pytest.raises(TypeError):
        hubtool.load(UID, lock=3)  # type: ignore[call-overload]  # what a caller may get wrong


def test_what_is_pinned_is_not_pruned(cli: Cli, server: Server) -> None:
    path = write_card(cli.registry, UID, link=server.put("/net.ckpt", CONTENT), content=CONTENT)
    assert cli("lock", UID).code == 0
    assert cli("sync").code == 0
    path.unlink()
    prune = ("cache", "prune", "--unreferenced", "--even-recent", "--json")
    kept = cli(*prune, HUBTOOL_LOCK="hub.lock")
    assert kept.code == 0, kept.err
    assert cli("resolve", UID, "--frozen", "--json", HUBTOOL_OFFLINE="1").json["assets"][0]["stored"]
    # A lock that cannot be read may need anything.
    (cli.folder / "bad.lock").write_text("lock-version = 2")
    assert cli(*prune, HUBTOOL_LOCK="bad.lock").code == 1
    assert cli("resolve", UID, "--frozen", "--json", HUBTOOL_OFFLINE="1").json["assets"][0]["stored"]
    assert cli(*prune).code == 0
    assert cli("resolve", UID, "--frozen", "--json", HUBTOOL_OFFLINE="1").json["assets"][0]["stored"] is None


@pytest.mark.usefixtures("environment")
def test_the_example_in_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/pinning.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    monkeypatch.delenv("HUBTOOL_REGISTRY")
    exec(compile(code, "docs/pinning.md", "exec"), {})  # noqa: S102 - our own page
