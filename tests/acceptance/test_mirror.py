"""Mirrors in a folder: in real processes, killed at any instant, and with sources that fail."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.digest import Digest
from hubtool.mirror.layout import blob_name, blobs
from hubtool.mirror.open import open_destination
from hubtool.store.store import Store
from tests.support import wait_until
from tests.support.cards import write_card, write_local
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def bytes_of(size: int, seed: int) -> bytes:
    """Return bytes that look like chance, and are the same each time."""
    return random.Random(seed).randbytes(size)  # noqa: S311 (nothing is kept secret by them)


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fill(cli: Cli, count: int, size: int = 3000) -> dict[str, bytes]:
    """Write cards with assets beside them; return the assets by digest."""
    assets = {}
    for at in range(count):
        content = bytes_of(size + at, at)
        assets[digest_of(content)] = content
        write_local(cli.registry, f"tests/1.9/m{at}", content)
    return assets


def listed(root: Path) -> list[Any]:
    """Return the cards that a mirror's index names, read as any client does."""
    cards = []
    for shard in json.loads((root / "index.json").read_bytes())["shards"]:
        data = (root / shard["path"]).read_bytes()
        assert digest_of(data) == shard["digest"]
        cards += json.loads(data)["cards"]
    return cards


def check(root: Path, assets: dict[str, bytes] | None = None) -> set[str]:
    """Assert that nothing wrong is visible in a mirror; return the digests that are there."""
    found = set()
    for path in (root / "blobs").rglob("*"):
        if path.is_file():
            assert digest_of(path.read_bytes()) == path.name
            assert path.parent.name == path.name[:2]
            found.add(path.name)
    if (root / "index.json").exists():
        # What the index names is there.
        for card in listed(root):
            data = (root / "cards" / f"{card['uid']}.md").read_bytes()
            assert digest_of(data) == card["digest"]
            for asset in card["assets"]:
                if "digest" in asset:
                    assert asset["digest"] in found
    if assets is not None:
        assert found == set(assets)
    return found


def test_a_mirror_of_a_registry(cli: Cli, tmp_path: Path) -> None:
    assets = fill(cli, 10)
    write_local(cli.registry, "tests/1.9/twin", next(iter(assets.values())))
    root = tmp_path / "mirror"
    dry = cli("mirror", "sync", root, "--dry-run", "--json")
    assert (dry.code, dry.json["assets"]["missing"], len(dry.json["missing"])) == (0, 10, 10)
    assert not root.exists()
    done = cli("mirror", "sync", root, "--json")
    assert done.code == 0
    assert set(done.json["written"]) == set(assets)
    assert done.json["bytes_written"] == sum(map(len, assets.values()))
    assert len(done.json["cards_written"]) == 11
    check(root, assets)
    before = {
        path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and ".hubtool" not in path.parts
    }
    again = cli("mirror", "sync", root, "--json")
    assert (again.code, again.json["written"], again.json["index_written"]) == (0, {}, False)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert cli("mirror", "verify", root, "--deep").code == 0
    assert list((root / ".hubtool" / "temporary").iterdir()) == []


def test_from_the_network_and_the_store(cli: Cli, tmp_path: Path, server: Server) -> None:
    near, far = bytes_of(5000, 1), bytes_of(3_000_000, 2)
    write_card(cli.registry, "tests/1.9/near", link=server.put("/near.ckpt", near), content=near)
    write_card(cli.registry, "tests/1.9/far", link=server.put("/far.ckpt", far), content=far)
    write_card(cli.registry, "tests/1.9/again", link=server.put("/again.ckpt", far), content=far)
    assert cli("fetch", "tests/1.9/near").code == 0
    root = tmp_path / "mirror"
    done = cli("mirror", "sync", root, "--json")
    assert done.code == 0
    check(root, {digest_of(near): near, digest_of(far): far})
    # What was stored is not fetched again, two cards with one file bring it once, and the store does not grow.
    assert (server.gets("/near.ckpt"), server.gets("/far.ckpt") + server.gets("/again.ckpt")) == (1, 1)
    assert [digest for digest, _ in Store(cli.home).blobs()] == [digest_of(near)]
    assert list(Store(root / ".hubtool" / "staging").blobs()) == []


def test_a_failing_asset_does_not_stop_the_rest(cli: Cli, tmp_path: Path, server: Server) -> None:
    good, gone, wrong, page = (bytes_of(4000, seed) for seed in range(4))
    write_card(cli.registry, "tests/1.9/good", link=server.put("/good", good), content=good)
    write_card(cli.registry, "tests/1.9/gone", link=server.put("/gone", gone, "404"), content=gone)
    write_card(cli.registry, "tests/1.9/wrong", link=server.put("/wrong", wrong, "flip"), content=wrong)
    write_card(cli.registry, "tests/1.9/page", link=server.put("/page", page, "html"), content=page)
    write_card(cli.registry, "tests/1.9/bare", link="https://example.org/x", content=b"", digest="none")
    write_card(cli.registry, "tests/1.9/evil", link="https://evil.example/x", content=b"evil")
    (cli.registry / "tests/1.9/empty.md").write_bytes(b"")
    # Another card has the same file at a link that works.
    write_card(cli.registry, "tests/1.9/gone2", link=server.put("/gone2", b"second"), content=b"second")
    write_card(cli.registry, "tests/1.9/gone1", link=server.put("/gone1", b"second", "404"), content=b"second")
    root = tmp_path / "mirror"
    done = cli("mirror", "sync", root, "--json")
    assert done.code == 1
    reasons = {failure["uid"].rpartition("/")[2]: failure["reason"] for failure in done.json["failures"]}
    assert set(reasons) == {"gone", "wrong", "page", "bare", "evil", "empty"}
    assert "404" in reasons["gone"]
    assert "not the bytes that the card promises" in reasons["wrong"]
    assert "web page" in reasons["page"]
    assert "no SHA-256" in reasons["bare"]
    assert "not an allowed host" in reasons["evil"]
    check(root, {digest_of(good): good, digest_of(b"second"): b"second"})
    verified = cli("mirror", "verify", root, "--json")
    assert verified.code == 1
    assert len(verified.json["faults"]) == 5
    # Mended at the source, the next run does only what is left.
    server.put("/gone", gone)
    server.put("/wrong", wrong)
    count = len(server.requests)
    done = cli("mirror", "sync", root, "--json")
    assert set(done.json["written"]) == {digest_of(gone), digest_of(wrong)}
    asked = {*server.paths()[count:]}
    assert asked == {"/gone", "/wrong", "/page"}


def test_a_short_digest_becomes_whole(cli: Cli, tmp_path: Path, server: Server) -> None:
    content = bytes_of(4000, 5)
    link = server.put("/short.ckpt", content)
    write_card(cli.registry, "tests/1.9/short", link=link, content=content, digest=digest_of(content)[:9])
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    (card,) = listed(root)
    assert card["assets"] == [{"link": link, "digest": digest_of(content), "size": 4000}]
    assert cli("mirror", "sync", root, "--json").json["written"] == {}
    assert server.gets("/short.ckpt") == 1
    assert cli("mirror", "verify", root, "--deep").code == 0


def test_a_card_whose_new_asset_is_missing_keeps_its_old_one(cli: Cli, tmp_path: Path, server: Server) -> None:
    old, new = bytes_of(3000, 1), bytes_of(3000, 2)
    write_card(cli.registry, "tests/1.9/one", link=server.put("/old", old), content=old)
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    before = (root / "cards/tests/1.9/one.md").read_bytes()
    write_card(cli.registry, "tests/1.9/one", link=server.put("/new", new, "500"), content=new)
    done = cli("mirror", "sync", root, "--prune", "--grace", "0s", "--json")
    assert (done.code, done.json["cards_kept"]) == (1, ["tests/1.9/one"])
    assert (root / "cards/tests/1.9/one.md").read_bytes() == before
    check(root, {digest_of(old): old})
    server.put("/new", new)
    assert cli("mirror", "sync", root, "--prune", "--grace", "0s").code == 0
    check(root, {digest_of(new): new})


def test_only_some_cards(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 6)
    root = tmp_path / "mirror"
    done = cli("mirror", "sync", root, "--uid", "tests/1.9/m[0-2]", "--uid", "*/m5", "--json")
    assert len(done.json["written"]) == 4
    assert cli("mirror", "status", root, "--json").json["assets"]["missing"] == 2
    # A second part goes beside the first.
    assert len(cli("mirror", "sync", root, "--uid", "*/m3", "--prune", "--grace", "0s", "--json").json["written"]) == 1
    assert len(check(root)) == 5
    assert cli("mirror", "verify", root, "--json").json["cards"] == 5


def test_pruning(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 4)
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    shutil.rmtree(cli.registry / "tests/1.9/m1")
    (cli.registry / "tests/1.9/m1.md").unlink()
    # Without --prune, nothing is taken away.
    assert cli("mirror", "sync", root).code == 0
    assert len(check(root)) == 4
    gone = digest_of(bytes_of(3001, 1))
    assert cli("mirror", "sync", root, "--prune", "--json").json["pruned"] == []
    assert not (root / "cards/tests/1.9/m1.md").exists()
    assert f"would remove {gone}" in cli("mirror", "prune", root, "--grace", "0s", "--dry-run").out
    assert len(check(root)) == 4
    assert cli("mirror", "prune", root, "--grace", "0s", "--json").json["removed"] == [gone]
    assert gone not in check(root)
    assert cli("mirror", "verify", root, "--deep").code == 0
    # An empty registry is more likely a mistake than a wish.
    shutil.rmtree(cli.registry / "tests")
    assert cli("mirror", "sync", root, "--prune", "--grace", "0s").code == 1
    assert len(check(root)) == 3


def test_what_pruning_removes_is_said_before(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 4)
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    (cli.registry / "tests/1.9/m1.md").unlink()
    (cli.registry / "tests/1.9/m2.md").unlink()
    gone = {digest_of(bytes_of(3000 + at, at)) for at in (1, 2)}
    options = ("mirror", "sync", root, "--prune", "--grace", "0s")
    assert cli("mirror", "sync", root, "--prune", "--dry-run", "--json").json["prune"] == []  # these are new
    dry = cli(*options, "--dry-run", "--json")
    assert (dry.code, set(dry.json["prune"]), dry.json["prune_cards"]) == (0, gone, ["tests/1.9/m1", "tests/1.9/m2"])
    said = cli(*options, "--dry-run").out
    assert "would remove the card tests/1.9/m1\n" in said
    assert all(f"would remove {digest}" in said for digest in gone)
    # Some of the cards only: the others are not gone.
    assert cli(*options, "--uid", "*/m0", "--dry-run", "--json").json["prune"] == []
    assert len(check(root)) == 4
    done = cli(*options)
    assert done.code == 0
    assert "removing cards/tests/1.9/m2.md\n" in done.out
    assert all(f"removing {blob_name(digest)}" in done.out for digest in gone)
    assert "2 blobs removed" in done.out
    assert len(check(root)) == 2
    assert cli("mirror", "verify", root, "--deep").code == 0


def test_damaged_blobs_are_replaced(cli: Cli, tmp_path: Path) -> None:
    assets = fill(cli, 4)
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    short, flipped = sorted(assets)[:2]
    for digest, content in ((short, assets[short][:500]), (flipped, bytes(len(assets[flipped])))):
        (root / blob_name(digest)).chmod(0o644)
        (root / blob_name(digest)).write_bytes(content)
    (root / "cards/tests/1.9/m3.md").write_bytes(b"another")
    shallow = cli("mirror", "verify", root)
    assert (shallow.code, short in shallow.out, flipped in shallow.out) == (1, True, False)
    assert "replaces blobs of the wrong size" in shallow.out
    assert "1 blob there with wrong bytes" in cli("mirror", "status", root).out
    # What has another size than it had is seen to be wrong, and is replaced; the card is not blamed.
    dry = cli("mirror", "sync", root, "--dry-run", "--json")
    assert (dry.code, dry.json["assets"]["wrong"], dry.json["assets"]["missing"]) == (0, [short], 1)
    done = cli("mirror", "sync", root, "--json")
    assert (done.code, set(done.json["written"])) == (0, {short})
    assert cli("mirror", "verify", root).code == 1  # the card
    # Of what has the size that it had, only its bytes tell.
    assert cli("mirror", "verify", root, "--remove-wrong").code == 2
    deep = cli("mirror", "verify", root, "--deep")
    assert (deep.code, flipped in deep.out, "--remove-wrong" in deep.out) == (1, True, True)
    removed = cli("mirror", "verify", root, "--deep", "--remove-wrong", "--json")
    assert (removed.code, set(removed.json["removed"])) == (1, {blob_name(flipped), "cards/tests/1.9/m3.md"})
    assert not (root / blob_name(flipped)).exists()
    done = cli("mirror", "sync", root, "--json")
    assert (done.code, set(done.json["written"]), done.json["cards_written"]) == (0, {flipped}, ["tests/1.9/m3"])
    check(root, assets)
    assert cli("mirror", "verify", root, "--deep").code == 0


def test_a_card_that_states_a_wrong_size_is_blamed_and_no_blob(cli: Cli, tmp_path: Path, server: Server) -> None:
    content = bytes_of(5000, 1)
    card = write_card(cli.registry, "tests/1.9/m", link=server.put("/m", content), content=content)
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    text = card.read_text(encoding="utf-8").replace("    asset-sha256:", "    asset-size: 4000\n    asset-sha256:")
    card.write_text(text, encoding="utf-8")
    done = cli("mirror", "sync", root)
    assert done.code == 1
    assert "correct the card" in done.out
    check(root, {digest_of(content): content})


def test_uids_that_match_nothing(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 1)
    for command in (("mirror", "sync", tmp_path / "mirror"), ("mirror", "status", tmp_path / "mirror")):
        done = cli(*command, "--uid", "nothing/*")
        assert done.code == 1
        assert "no card matches nothing/*" in done.err
    assert not (tmp_path / "mirror").exists()


def test_a_plan_fetches_no_card_of_a_published_registry(cli: Cli, tmp_path: Path, server: Server) -> None:
    contents = [bytes_of(3000, at) for at in range(5)]
    for at, content in enumerate(contents):
        link = server.put(f"/m{at}", content)
        short = digest_of(content)[:12] if at == 0 else None
        write_card(cli.registry, f"tests/1.9/m{at}", link=link, content=content, digest=short)
    site = tmp_path / "site"
    assert cli("registry", "publish", cli.registry, "--to", site).code == 0
    for path in site.rglob("*"):
        if path.is_file():
            server.put(f"/site/{path.relative_to(site).as_posix()}", path.read_bytes())
    (tmp_path / "empty").mkdir()
    own: Any = {"HUBTOOL_REGISTRY": str(tmp_path / "empty"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert cli("registry", "add", "lab", f"{server.url}/site/", **own).code == 0
    assert cli("registry", "sync", "lab", **own).code == 0
    root = tmp_path / "mirror"
    for command in (("sync", root, "--dry-run"), ("status", root)):
        done = cli("mirror", *command, "--json", **own)
        assert (done.json["assets"]["missing"], len(done.json["cards"]["to_write"])) == (5, 5)
    assert not [path for path in server.paths() if path.startswith("/site/cards/")]
    assert cli("mirror", "sync", root, **own).code == 0
    check(root, {digest_of(content): content for content in contents})
    done = cli("mirror", "sync", root, "--dry-run", "--json", **own)
    assert (done.json["assets"]["missing"], done.json["cards"]["to_write"]) == (0, [])


def test_an_empty_registry_is_no_mirror(cli: Cli, tmp_path: Path) -> None:
    for more in ((), ("--prune",), ("--dry-run",)):
        done = cli("mirror", "sync", tmp_path / "mirror", *more)
        assert (done.code, "there is nothing to mirror" in done.err) == (1, True)
    assert not (tmp_path / "mirror").exists()


def test_a_mirror_that_lies_is_named(cli: Cli, tmp_path: Path, server: Server) -> None:
    content = bytes_of(5000, 1)
    write_card(cli.registry, "tests/1.9/m", link=server.put("/m", content), content=content)
    digest = digest_of(content)
    server.put(f"/lies/blobs/sha256/{digest[:2]}/{digest}", b"wrong")
    lies: Any = {"HUBTOOL_MIRRORS": f"{server.url}/lies"}
    done = cli("mirror", "sync", tmp_path / "mirror", "-q", **lies)
    assert done.code == 0
    assert done.err.count(f"warning: the mirror {server.url}/lies is asked no more") == 1
    check(tmp_path / "mirror", {digest: content})
    done = cli("mirror", "bundle", tmp_path / "gap.tar", "-q", **lies)
    assert done.code == 0
    assert done.err.count(f"warning: the mirror {server.url}/lies is asked no more") == 1


def test_a_rate_holds_for_all_that_comes(cli: Cli, tmp_path: Path, server: Server) -> None:
    for at in range(80):
        content = bytes_of(10_000, at)
        write_card(cli.registry, f"tests/1.9/m{at}", link=server.put(f"/m{at}", content), content=content)
    for command in (("sync", tmp_path / "mirror"), ("bundle", tmp_path / "gap.tar")):
        begun = time.monotonic()
        assert cli("mirror", *command, "-q", "--limit-rate", "400k").code == 0
        assert time.monotonic() - begun >= 800_000 / (400 * 1024) - 0.2


def test_three_processes_on_one_folder(cli: Cli, tmp_path: Path) -> None:
    assets = fill(cli, 300, 20_000)
    root = tmp_path / "mirror"
    command = [sys.executable, "-m", "hubtool", "mirror", "sync", str(root), "--json", "-q", "--jobs", "2"]
    workers = [
        subprocess.Popen(
            command,
            cwd=cli.folder,
            env={**cli.environ, "HUBTOOL_HOME": str(tmp_path / f"home{number}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    reports = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    written = [digest for report in reports for digest in report["written"]]
    assert sorted(written) == sorted(assets)  # each once
    check(root, assets)


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_any_instant(cli: Cli, tmp_path: Path, kills: int) -> None:
    assets = fill(cli, 120, 30_000)
    root = tmp_path / "mirror"
    command = [sys.executable, "-m", "hubtool", "mirror", "sync", str(root), "-q", "--jobs", "3"]
    chance = random.Random(7)  # noqa: S311 (it decides when, and that is no secret)
    start = time.monotonic()
    whole = tmp_path / "whole"
    assert cli("mirror", "sync", whole).code == 0
    seconds = time.monotonic() - start
    seen = []
    for _ in range(kills):
        worker = subprocess.Popen(command, cwd=cli.folder, env=cli.environ, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 1.0) * seconds)
        worker.kill()
        worker.wait()
        seen.append(len(check(root)) if root.exists() else 0)
        if seen[-1] == len(assets):
            # As if this one had never come so far.
            for path in random.Random(len(seen)).sample(sorted((root / "blobs").rglob("?" * 64)), 60):  # noqa: S311 (the same)
                path.unlink()
            (root / "index.json").unlink(missing_ok=True)
    assert cli("mirror", "sync", root).code == 0
    check(root, assets)
    assert cli("mirror", "verify", root, "--deep").code == 0


def test_readers_see_the_old_or_the_new(cli: Cli, tmp_path: Path) -> None:
    """While cards change again and again, whoever reads a card finds its asset, and the index is whole."""
    root = tmp_path / "mirror"
    write_local(cli.registry, "tests/1.9/one", b"first")
    assert cli("mirror", "sync", root).code == 0
    write_local(cli.registry, "tests/1.9/one", b"second")
    for at in range(100):
        write_local(cli.registry, f"tests/1.9/more{at}", bytes_of(1000, at))
    worker = subprocess.Popen(
        [sys.executable, "-m", "hubtool", "mirror", "sync", str(root), "-q"],
        cwd=cli.folder,
        env=cli.environ,
        stdout=subprocess.DEVNULL,
    )
    states = set()
    while worker.poll() is None:
        cards = listed(root)
        text = (root / "cards/tests/1.9/one.md").read_text(encoding="utf-8")
        digest = next(word for word in text.split() if len(word) == 64)
        assert (root / "blobs" / "sha256" / digest[:2] / digest).is_file()
        for card in cards[:5]:
            for asset in card["assets"]:
                assert (root / "blobs" / "sha256" / asset["digest"][:2] / asset["digest"]).is_file()
        states.add(len(cards))
    assert states <= {1, 101}
    assert worker.wait() == 0
    check(root)


def test_a_place_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 2)
    file = tmp_path / "file"
    file.write_bytes(b"")
    done = cli("mirror", "sync", file)
    assert done.code == 1
    assert "hint" in done.err
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "index.json").write_text('{"hello": 1}')
    done = cli("mirror", "sync", tmp_path / "foreign")
    assert (done.code, "not the index of a mirror" in done.err) == (1, True)
    assert cli("mirror", "verify", tmp_path / "nowhere").code == 1


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux", reason="small file systems are mounted on Linux only")
def test_a_full_disk(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("a small file system may not be mounted here")
    try:
        assets = fill(cli, 30, 60_000)
        done = cli("mirror", "sync", root, "--json")
        assert done.code == 1
        report = done.json if done.out else None
        assert "disk is full" in done.out + done.err
        assert 0 < len(check(root)) < len(assets)
        assert list((root / ".hubtool" / "temporary").iterdir()) == []
        assert report is None or not report["complete"]
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def interrupt(cli: Cli, server: Server, *command: str) -> tuple[int, str]:
    """Run a command on a slow asset, and interrupt it when that comes; return its exit code and what it said."""
    content = bytes_of(2_000_000, 1)
    link = server.put("/slow", content, block=10_000, pause=0.05)
    write_card(cli.registry, "tests/1.9/slow", link=link, content=content)
    worker = subprocess.Popen(
        [sys.executable, "-m", "hubtool", *command], cwd=cli.folder, env=cli.environ, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: server.gets("/slow") and server.sent > 100_000)
    worker.send_signal(signal.SIGINT)
    _, err = worker.communicate(timeout=60)
    return worker.returncode, err


def test_interrupted(cli: Cli, tmp_path: Path, server: Server) -> None:
    code, err = interrupt(cli, server, "mirror", "sync", str(tmp_path / "mirror"), "-q")
    assert (code, "Traceback" in err) == (130, False)
    assert check(tmp_path / "mirror") == set()


# -- bundles -------------------------------------------------------------------------------------------------------


def test_a_bundle_crosses_a_gap(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 5)
    file = tmp_path / "gap.tar"
    done = cli("mirror", "bundle", file, "--uid", "*/m[0-3]", "--json")
    assert (done.code, done.json["cards"], done.json["assets"]) == (0, 4, 4)
    first = file.read_bytes()
    assert cli("mirror", "bundle", file, "--uid", "*/m[0-3]").code == 0
    assert file.read_bytes() == first  # the same cards give the same archive
    with tarfile.open(file) as archive:
        assert len(archive.getnames()) == 10
    there: Any = {"HUBTOOL_HOME": str(tmp_path / "there"), "HUBTOOL_REGISTRY": str(tmp_path)}
    done = cli("mirror", "unbundle", file, "--json", **there)
    assert (done.code, len(done.json["unknown"])) == (0, 4)
    store = Store(tmp_path / "there")
    assert sorted(digest for digest, _ in store.blobs()) == sorted(
        digest_of(bytes_of(3000 + at, at)) for at in range(4)
    )
    root = tmp_path / "mirror"
    assert cli("mirror", "unbundle", file, "--to", root, **there).code == 0
    assert cli("mirror", "verify", root, "--deep", "--json").json["cards"] == 4
    check(root)
    # Into a mirror that has other cards, it goes beside them.
    assert cli("mirror", "sync", root, "--uid", "*/m4").code == 0
    assert cli("mirror", "unbundle", file, "--to", root).code == 0
    assert cli("mirror", "verify", root, "--deep", "--json").json["cards"] == 5


def test_a_bundle_takes_what_any_card_gives(cli: Cli, tmp_path: Path, server: Server) -> None:
    content = bytes_of(5000, 1)
    write_card(cli.registry, "tests/1.9/a", link=server.put("/gone", b"", "404"), content=content)
    write_card(cli.registry, "tests/1.9/b", link=server.put("/there", content), content=content)
    done = cli("mirror", "bundle", tmp_path / "gap.tar", "--json")
    assert (done.code, done.json["assets"], done.json["cards"]) == (0, 1, 2)


def test_an_interrupted_bundle(cli: Cli, tmp_path: Path, server: Server) -> None:
    code, err = interrupt(cli, server, "mirror", "bundle", str(tmp_path / "gap.tar"))
    assert (code, "Traceback" in err) == (130, False)
    assert "interrupted" in err
    assert not (tmp_path / "gap.tar").exists()


def test_no_bundle_without_everything(cli: Cli, tmp_path: Path, server: Server) -> None:
    fill(cli, 1)
    write_card(cli.registry, "tests/1.9/gone", link=server.put("/gone", b"x", "404"), content=b"x")
    done = cli("mirror", "bundle", tmp_path / "gap.tar")
    assert done.code == 1
    assert "404" in done.out
    assert list(tmp_path.glob("*.tar")) == []
    assert cli("mirror", "bundle", tmp_path / "gap.tar", "--uid", "no/*").code == 1


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_bundle_that_was_cut_off(cli: Cli, tmp_path: Path, part: float) -> None:
    fill(cli, 5)
    file = tmp_path / "gap.tar"
    assert cli("mirror", "bundle", file).code == 0
    whole = file.read_bytes().rstrip(b"\0")
    file.write_bytes(whole[: int(len(whole) * part)])
    root = tmp_path / "mirror"
    done = cli("mirror", "unbundle", file, "--to", root, HUBTOOL_HOME=str(tmp_path / "there"))
    assert done.code == 1
    assert "hint" in done.err
    assert not (root / "index.json").exists()
    check(root)


def test_a_bundle_with_a_flipped_bit(cli: Cli, tmp_path: Path) -> None:
    fill(cli, 3)
    file = tmp_path / "gap.tar"
    assert cli("mirror", "bundle", file).code == 0
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    done = cli("mirror", "unbundle", file, HUBTOOL_HOME=str(tmp_path / "there"))
    assert done.code == 1
    assert "SHA-256" in done.err
    assert len(list(Store(tmp_path / "there").blobs())) == 0


def hostile(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    if name == "link":
        member.name, member.type, member.linkname = "cards/p/1/x.md", tarfile.SYMTYPE, "/etc/passwd"
    elif name == "hard":
        member.name, member.type, member.linkname = "cards/p/1/x.md", tarfile.LNKTYPE, "index.json"
    elif name == "device":
        member.name, member.type = "cards/p/1/x.md", tarfile.CHRTYPE
    elif name == "folder":
        member.name, member.type = "blobs", tarfile.DIRTYPE
    return member


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "cards/../../x.md", f"blobs/sha256/aa/{'b' * 64}", "x", "link", "hard", "device", "folder"],
)
def test_hostile_archives(cli: Cli, tmp_path: Path, name: str) -> None:
    file = tmp_path / "hostile.tar"
    with tarfile.open(file, "w") as archive:
        archive.addfile(hostile(name))
    before = {path for path in tmp_path.rglob("*") if "home" not in path.parts}
    done = cli("mirror", "unbundle", file)
    assert done.code == 1
    assert "do not trust it" in done.err
    assert {path for path in tmp_path.rglob("*") if "home" not in path.parts} == before


@pytest.mark.parametrize("kind", ["pax", "longname", "sparse", "chain", "gzip", "twice", "not-tar"])
def test_archives_that_lie(cli: Cli, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "hostile.tar"
    content = b"x" * 100
    name = f"blobs/sha256/{digest_of(content)[:2]}/{digest_of(content)}"
    if kind == "not-tar":
        file.write_bytes(b"hello" * 1000)
    elif kind == "gzip":
        with tarfile.open(file, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("index.json"))
    elif kind == "twice":
        import io

        with tarfile.open(file, "w") as archive:
            for _ in range(2):
                member = tarfile.TarInfo(name)
                member.size = 100
                archive.addfile(member, io.BytesIO(content))
    else:
        member = tarfile.TarInfo(name)
        member.size = 8 << 30
        member.type = {"pax": b"x", "longname": b"L", "sparse": b"S", "chain": b"L"}[kind]
        block = member.tobuf(tarfile.GNU_FORMAT)[:512]
        if kind == "chain":
            member.size = 1
            block = (member.tobuf(tarfile.GNU_FORMAT)[:512] + b"a" + bytes(511)) * 3000
        with file.open("wb") as stream:
            stream.write(block)
            if kind != "chain":
                stream.truncate(9 << 30)  # a hole: it takes no room
    done = cli("mirror", "unbundle", file, timeout=60)
    file.unlink()
    assert done.code == 1
    assert "hint" in done.err


# -- a mirror as a second store ------------------------------------------------------------------------------------


def test_a_mirror_is_a_store_to_look_in(cli: Cli, tmp_path: Path) -> None:
    assets = fill(cli, 1)
    root = tmp_path / "mirror"
    assert cli("mirror", "sync", root).code == 0
    (digest,) = assets
    write_card(cli.registry, "tests/1.9/far", link="https://example.org/far.ckpt", content=assets[digest])
    done = cli("fetch", "tests/1.9/far", "--json", HUBTOOL_OFFLINE="1", HUBTOOL_STORES=str(root))
    assert done.json["assets"][0]["stored"] == str(root / "blobs" / "sha256" / digest[:2] / digest)


def test_stale_leftovers_are_removed(cli: Cli, tmp_path: Path) -> None:
    assets = fill(cli, 3)
    root = tmp_path / "mirror"
    temporary = root / ".hubtool" / "temporary"
    temporary.mkdir(parents=True)
    (temporary / "dead.part").write_bytes(b"half")
    os.utime(temporary / "dead.part", (time.time() - 7200,) * 2)
    staging = Store(root / ".hubtool" / "staging", durable=False)
    left = {}
    for days, content in ((1, b"young"), (8, b"old")):
        with staging.writer(Digest(digest_of(content))) as writer:
            writer.write(content)
            stored = writer.commit()
        os.utime(stored.path, (time.time() - days * 86400,) * 2)
        left[days] = stored.path
    assert cli("mirror", "sync", root).code == 0
    assert list(temporary.iterdir()) == []
    assert (left[1].exists(), left[8].exists()) == (True, False)
    place = open_destination(str(root))
    assert set(blobs(place)) == set(assets)
    assert all(0 <= time.time() - place.files("blobs")[blob_name(digest)].modified < 600 for digest in assets)
    assert Store(root).path(Digest(min(assets))) is not None
    assert os.access(root / "index.json", os.R_OK)
