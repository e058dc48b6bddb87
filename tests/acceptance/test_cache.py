"""`hubtool cache` in real processes."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.cli import render
from hubtool.digest import Digest
from hubtool.errors import FetchError
from hubtool.store.store import Store
from hubtool.transfer.fetcher import RetryPolicy, fetch
from tests.support import wait_until
from tests.support.cards import write_card
from tests.support.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.server import Server

UID = "tests/1.9/one"
CONTENT = b"weights of one"
LARGE = random.Random(3).randbytes(600_000)  # noqa: S311 (no secret)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def filled(cli: Cli) -> Store:
    """Fill the store with an asset that a card names, used a day ago, and one that none names."""
    store = Store(cli.home)
    write_card(cli.registry, UID, link="https://example.org/one.ckpt", content=CONTENT)
    for content in (CONTENT, b"of nobody"):
        digest = hashlib.sha256(content).hexdigest()
        with store.writer(Digest(digest)) as writer:
            writer.write(content)
            old = writer.commit().path
        os.utime(old, (1e9, 1e9))
        assert store.find(Digest(digest)) is not None
        os.utime(cli.home / "records" / "blobs" / digest[:2] / f"{digest}.json", (1e9, 1e9))
    return store


def test_listing(cli: Cli) -> None:
    assert cli("cache", "ls").out.startswith("0 assets")
    filled(cli)
    done = cli("cache", "ls", "--json")
    assert done.code == 0
    assert {one["digest"]: one["uids"] for one in done.json["assets"]} == {
        DIGEST: [UID],
        hashlib.sha256(b"of nobody").hexdigest(): [],
    }
    assert done.json["assets"][0]["used"] == "2001-09-09T01:46:40Z"
    text = cli("cache", "ls").out
    assert UID in text
    assert "2 assets, 23 bytes" in text
    assert cli("cache", "dir", HUBTOOL_STORES="/shared").out.split() == [str(cli.home), "/shared"]


def test_verifying(cli: Cli) -> None:
    store = filled(cli)
    assert cli("cache", "verify").code == 0
    path = store.path(Digest(DIGEST))
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"weights of two")
    dry = cli("cache", "verify", "--dry-run")
    assert (dry.code, path.exists()) == (1, True)
    assert "is wrong\n" in dry.out
    with store.lock(DIGEST):
        held = cli("cache", "verify")
        assert (held.code, path.exists()) == (1, True)
        assert "is wrong, and still there: another process holds" in held.out
    done = cli("cache", "verify", "--json")
    assert done.code == 1
    assert [(one["digest"], one["quarantined"], one["fate"]) for one in done.json["wrong"]] == [(DIGEST, True, None)]
    assert done.json["quarantined"]
    assert not path.exists()
    assert cli("cache", "verify").code == 0
    assert "1 wrong file in quarantine" in cli("cache", "ls").out
    assert cli("cache", "prune", "--quarantine", "--dry-run", "--json").json["bytes"] == 14
    pruned = cli("cache", "prune", "--quarantine")
    assert (pruned.code, pruned.out.splitlines()[-1]) == (0, "removed 1 file, 14 bytes")
    assert store.quarantined() == ()


def test_verifying_where_nothing_can_be_moved(cli: Cli) -> None:
    store = filled(cli)
    path = store.path(Digest(DIGEST))
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"weights of two")
    (cli.home / "quarantine").write_bytes(b"a file where a folder belongs")
    done = cli("cache", "verify")
    assert done.code == 1
    assert f"{DIGEST}  the asset is wrong, and still there: " in done.out
    assert "moved" not in done.out
    done = cli("cache", "verify", "--json")
    assert (done.code, done.json["quarantined"]) == (1, False)
    (wrong,) = done.json["wrong"]
    assert (wrong["digest"], wrong["quarantined"], wrong["error"]) == (DIGEST, False, None)
    assert "still there: " in wrong["fate"]
    assert path.read_bytes() == b"weights of two"
    (cli.home / "quarantine").unlink()
    done = cli("cache", "verify")
    assert (done.code, path.exists()) == (1, False)
    assert "was wrong, and was moved into quarantine" in done.out


def test_pruning(cli: Cli) -> None:
    store = filled(cli)
    assert cli("cache", "prune").code == 2
    assert cli("cache", "prune", "--max-size", "lots").code == 2
    dry = cli("cache", "prune", "--unreferenced", "--dry-run")
    assert "would remove 1 file" in dry.out
    assert len(list(store.blobs())) == len(list(store.root.glob("locks/*.lock"))) == 2
    done = cli("cache", "prune", "--unreferenced", "--json")
    assert [one["reason"] for one in done.json["removed"]] == ["no card names it"]
    assert [digest for digest, _ in store.blobs()] == [DIGEST]
    with store.lock(DIGEST):  # nobody else's business
        assert "removed 0 files" in cli("cache", "prune", "--max-size", "1k").out
        assert [one.name for one in store.root.glob("locks/*")] == [f"{DIGEST[:8]}.lock"]
    assert "not used for" in cli("cache", "prune", "--older-than", "30d").out
    assert list(store.blobs()) == []


def broken_off(store: Store, server: Server) -> Path:
    """Leave a part of the large file."""
    server.default.fault = "truncate"
    digest = Digest(hashlib.sha256(LARGE).hexdigest())
    with pytest.raises(FetchError):
        fetch(f"{server.url}/a.ckpt", digest=digest, store=store, retries=RetryPolicy(attempts=1))
    server.default.fault = ""
    (part,) = (store.root / "temporary").glob("*.part")
    return part


def test_unfinished_fetches(cli: Cli) -> None:
    store = filled(cli)
    uid = "tests/1.9/large"
    with serving(LARGE) as server:
        write_card(cli.registry, uid, link=f"{server.url}/a.ckpt", content=LARGE)
        part = broken_off(store, server)
        size = sum(path.stat().st_size for path in (cli.home / "temporary").iterdir())
        assert size > part.stat().st_size == len(LARGE) // 2
        shown = render.size(size)
        assert f"1 unfinished fetch, {shown}; `hubtool fetch` resumes" in cli("cache", "ls").out
        (listed,) = cli("cache", "ls", "--json").json["unfinished"]
        assert (listed["digest"], listed["size"]) == (hashlib.sha256(LARGE).hexdigest(), size)
        # Neither too old, nor used too long ago, nor named by no card.
        done = cli("cache", "prune", "--older-than", "1d", "--unreferenced", "--max-size", "1", "--json")
        assert (len(done.json["removed"]), done.json["unfinished"]) == (2, [])
        assert [one["digest"] for one in done.json["kept"]] == [listed["digest"]]
        assert list(store.blobs()) == []
        dry = cli("cache", "prune", "--unfinished", "--dry-run")
        assert f"would remove unfinished {listed['digest']}  {shown}  not finished" in dry.out
        with store.lock(listed["digest"]):  # somebody goes on with it
            held = cli("cache", "prune", "--unfinished")
        assert (held.code, held.out) == (1, "removed 0 files, 0 bytes\n")
        assert f"kept unfinished {listed['digest']}  {shown}  another process holds" in held.err
        assert part.exists()
        assert cli("fetch", uid).code == 0
        assert server.requests[-1].start == len(LARGE) // 2
        assert cli("cache", "ls", "--json").json["unfinished"] == []
        assert cli("cache", "rm", uid).code == 0
        broken_off(store, server)
        old = time.time() - 3 * 86400
        for path in (cli.home / "temporary").iterdir():
            os.utime(path, (old, old))
        assert "removed 0 files" in cli("cache", "prune", "--older-than", "4d").out
        aged = cli("cache", "prune", "--older-than", "2d")
        assert "not finished, nor resumed for 3.0 days" in aged.out
        assert aged.out.splitlines()[-1] == f"removed 1 file, {shown}"
        assert list((cli.home / "temporary").iterdir()) == []


def test_a_fetch_under_way_is_listed_and_not_pruned(cli: Cli) -> None:
    uid = "tests/1.9/large"
    with serving(LARGE) as server:
        write_card(cli.registry, uid, link=f"{server.url}/a.ckpt", content=LARGE)
        pruned_at_last = threading.Event()
        server.meanwhile = lambda sent: sent < len(LARGE) // 2 or pruned_at_last.wait(60)
        process = subprocess.Popen([sys.executable, "-m", "hubtool", "fetch", uid], cwd=cli.folder, env=cli.environ)
        try:
            wait_until(lambda: list((cli.home / "temporary").glob("*.part.json")))
            assert "1 unfinished fetch" in cli("cache", "ls").out
            pruned = cli("cache", "prune", "--unfinished", "--older-than", "0", "--max-size", "0", "--even-recent")
            assert (pruned.code, pruned.out) == (1, "removed 0 files, 0 bytes\n")
            pruned_at_last.set()
            assert process.wait(timeout=60) == 0
        finally:
            pruned_at_last.set()
            process.kill()
            process.wait()
    assert len(list(Store(cli.home).blobs())) == 1
    assert len(server.requests) == 1


def test_removing(cli: Cli) -> None:
    store = filled(cli)
    assert cli("cache", "rm", "tests/1.9/two").code == 2
    assert cli("cache", "rm", UID, "--dry-run").code == 0
    assert store.path(Digest(DIGEST)) is not None
    # Used just now; but whoever names a card means it.
    assert f"removed {DIGEST}" in cli("cache", "rm", UID).out
    assert store.path(Digest(DIGEST)) is None
    assert cli("cache", "rm", UID).code == 2


def test_a_shared_store(cli: Cli, tmp_path: Path) -> None:
    filled(cli)
    done = cli("fetch", UID, "--json", HUBTOOL_HOME=str(tmp_path / "own"), HUBTOOL_STORES=str(cli.home))
    assert done.json["assets"][0]["stored"] == str(cli.home / "blobs" / "sha256" / DIGEST[:2] / DIGEST)
    # A store that moved or was copied has other inodes than its records say; then the file is hashed.
    moved = cli.home.rename(tmp_path / "moved")
    done = cli("fetch", UID, "--json", HUBTOOL_HOME=str(tmp_path / "own"), HUBTOOL_STORES=str(moved))
    assert done.json["assets"][0]["stored"].startswith(str(moved))
