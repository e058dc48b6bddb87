"""Mirrors in a real object store: the work shared by processes, killed ones included."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.errors import MirrorError
from hubtool.mirror.layout import blobs
from hubtool.mirror.open import open_destination
from hubtool.store.records import Stored
from tests.support import wait_until
from tests.support.cards import write_card, write_local
from tests.support.seaweed import Watched, watching
from tests.support.tls import make_authority, tls_before

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.seaweed import Bucket

LARGE = 11 << 20


@pytest.fixture
def s3(environment: Cli, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a command line, and set up this process, so that both reach the object store."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
        environment.environ[name] = value
    return environment


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    return f"s3://mirrors/{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"


def bytes_of(size: int, seed: int) -> bytes:
    """Return bytes that look like chance, and are the same each time."""
    return random.Random(seed).randbytes(size)  # noqa: S311 (nothing is kept secret by them)


def fill(registry: Path, count: int, *, size: int = 3000) -> dict[str, bytes]:
    """Write cards with assets of their own, and one more card for the first asset; return the assets by digest."""
    assets = {}
    for at in range(count):
        content = bytes_of(size + at, at)
        assets[hashlib.sha256(content).hexdigest()] = content
        write_local(registry, f"tests/1.9/m{at}", content)
    write_local(registry, "tests/1.9/twin", next(iter(assets.values())))
    return assets


def start(cli: Cli, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hubtool", *arguments],
        cwd=cli.folder,
        env={**cli.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_mirror_in_a_bucket(s3: Cli, place: str) -> None:
    assets = fill(s3.registry, 12)
    large = bytes_of(LARGE, 2)
    write_local(s3.registry, "tests/1.9/large", large)
    dry = s3("mirror", "sync", place, "--dry-run", "--json")
    assert (dry.code, dry.json["assets"]["missing"]) == (0, 13)
    done = s3("mirror", "sync", place, "--json")
    assert done.code == 0, done.err
    assert len(done.json["written"]) == 13
    assert done.json["bytes_written"] == sum(map(len, assets.values())) + LARGE
    again = s3("mirror", "sync", place, "--json")
    assert (again.code, again.json["written"], again.json["cards_written"], again.json["index_written"]) == (
        0,
        {},
        [],
        False,
    )
    deep = s3("mirror", "verify", place, "--deep", "--json")
    assert (deep.code, deep.json["cards"], deep.json["blobs"]) == (0, 14, 13)
    bucket = open_destination(place)
    with bucket.blob(hashlib.sha256(large).hexdigest()) as blocks:
        assert b"".join(blocks) == large


def test_what_is_missing_or_wrong_is_named(s3: Cli, place: str) -> None:
    digests = sorted(fill(s3.registry, 4))
    assert s3("mirror", "sync", place, "-q").code == 0
    bucket = open_destination(place)
    bucket.remove([f"blobs/sha256/{digests[0][:2]}/{digests[0]}"])
    bucket.write({f"blobs/sha256/{digests[1][:2]}/{digests[1]}": b"short"})
    size = blobs(bucket)[digests[2]]
    bucket.write({f"blobs/sha256/{digests[2][:2]}/{digests[2]}": bytes(size)})
    bucket.write({"cards/tests/1.9/m1.md": b"another"})
    shallow = s3("mirror", "verify", place, "--json")
    assert shallow.code == 1
    assert {fault["name"].rpartition("/")[2] for fault in shallow.json["faults"]} == {*digests[:2], "m1.md"}
    deep = s3("mirror", "verify", place, "--deep", "--json")
    assert {fault["name"].rpartition("/")[2] for fault in deep.json["faults"]} == {*digests[:3], "m1.md"}


def test_what_is_wrong_is_replaced(s3: Cli, place: str) -> None:
    digests = sorted(fill(s3.registry, 3))
    assert s3("mirror", "sync", place, "-q").code == 0
    bucket = open_destination(place)
    bucket.write({f"blobs/sha256/{digests[0][:2]}/{digests[0]}": b"short"})
    size = blobs(bucket)[digests[1]]
    bucket.write({f"blobs/sha256/{digests[1][:2]}/{digests[1]}": bytes(size)})
    done = s3("mirror", "sync", place, "--json")
    assert (done.code, set(done.json["written"])) == (0, {digests[0]})
    removed = s3("mirror", "verify", place, "--deep", "--remove-wrong", "--json").json["removed"]
    assert [name.rpartition("/")[2] for name in removed] == [digests[1]]
    assert set(s3("mirror", "sync", place, "--json").json["written"]) == {digests[1]}
    assert s3("mirror", "verify", place, "--deep").code == 0


def test_an_object_store_is_the_network(s3: Cli, place: str) -> None:
    fill(s3.registry, 1)
    for command in (("sync", place), ("status", place), ("verify", place), ("prune", place)):
        done = s3("mirror", *command, HUBTOOL_OFFLINE="1")
        assert done.code == 1
        assert "the network may not be used" in done.err
    there = open_destination(place)
    assert blobs(there) == {}


def test_pruning_a_bucket(s3: Cli, place: str) -> None:
    fill(s3.registry, 3)
    assert s3("mirror", "sync", place, "-q").code == 0
    card = s3.registry / "tests/1.9/m2.md"
    card.unlink()
    assert s3("mirror", "sync", place, "--prune", "--json").json["pruned"] == []  # too new to be nobody's
    done = s3("mirror", "sync", place, "--prune", "--grace", "0s", "--json")
    assert len(done.json["pruned"]) == 1
    status = s3("mirror", "status", place, "--json").json
    assert (status["cards_listed"], status["assets"]["unnamed"], status["assets"]["missing"]) == (3, 0, 0)
    assert s3("mirror", "verify", place, "--deep").code == 0


def test_three_processes_share_the_work_and_one_is_killed(s3: Cli, bucket: Bucket, place: str) -> None:
    assets = fill(s3.registry, 150, size=20_000)
    large = hashlib.sha256(bytes_of(LARGE, 2)).hexdigest()
    write_local(s3.registry, "tests/1.9/large", bytes_of(LARGE, 2))
    with ExitStack() as stack:
        doors = [stack.enter_context(watching(bucket.endpoint)) for _ in range(3)]
        killed = threading.Event()

        def all_have_some() -> bool:
            return all(len(door.blobs()) > 5 for door in doors)

        def wait_for_the_others(method: str, path: str, door: Watched) -> int:
            if method == "PUT" and "/blobs/" in path and len(door.blobs()) > 5:
                wait_until(all_have_some)
                if door is doors[1]:
                    killed.wait(60)
            return 0

        for door in doors:
            door.fault = partial(wait_for_the_others, door=door)
        command = ("mirror", "sync", place, "--json", "--quiet", "--jobs", "2")
        workers = [
            start(s3, *command, HUBTOOL_HOME=str(s3.home.parent / f"home{number}"), AWS_ENDPOINT_URL=door.url)
            for number, door in enumerate(doors)
        ]
        try:
            wait_until(all_have_some, 120)
            assert workers[1].poll() is None
            workers[1].kill()
            killed.set()
            results = [worker.communicate(timeout=120) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    assert [worker.returncode for worker in workers] == [0, -9, 0], results
    reports = [json.loads(results[number][0]) for number in (0, 2)]
    # Each blob was written once, and the other workers finished what the killed one had begun. Only the large one
    # may have been written by two at the same time: an upload in parts cannot be conditional.
    times = sum((Counter(door.blobs()) for door in doors), Counter[str]())
    assert times.pop(large) in (1, 2, 3)
    assert dict(times) == dict.fromkeys(assets, 1)
    shares = [len(report["written"]) for report in reports]
    assert all(share > 5 for share in shares)
    assert sum(shares) < 151
    assert all(report["complete"] for report in reports)
    done = s3("mirror", "verify", place, "--deep", "--json")
    assert (done.code, done.json["cards"], done.json["blobs"]) == (0, 152, 151)
    status = s3("mirror", "status", place, "--json").json
    assert status["assets"]["missing"] == 0


@pytest.mark.usefixtures("s3")
def test_workers_that_add_one_blob_write_it_once(place: str, tmp_path: Path) -> None:
    content = bytes_of(300_000, 9)
    path = tmp_path / "file"
    path.write_bytes(content)
    file = Stored(path=path, digest=hashlib.sha256(content).hexdigest(), size=len(content))
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda _: open_destination(place).add(file), range(6))) == 1
    assert not open_destination(place).add(file)
    assert blobs(open_destination(place)) == {file.digest: file.size}


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("size", [100, LARGE])
def test_a_file_that_changed_is_not_put(place: str, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    file = Stored(path=path, digest="0" * 64, size=size)
    from hubtool.errors import DigestError

    bucket = open_destination(place)
    with pytest.raises(DigestError, match="changed after it was verified"):
        bucket.add(file)
    assert blobs(bucket) == {}


@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_object_store_that_fails(s3: Cli, bucket: Bucket, place: str, status: int) -> None:
    fill(s3.registry, 6)
    with watching(bucket.endpoint) as watched:
        seen: dict[str, int] = {}

        def fault(method: str, path: str) -> int:
            if method != "PUT" or "/blobs/" not in path:
                return 0
            with watched.lock:
                seen[path] = seen.get(path, 0) + 1
            # What fails once or twice is tried again; what may not be is not.
            return status if (status == 403 and path == min(seen)) or (status >= 500 and seen[path] <= 2) else 0

        watched.fault = fault
        done = s3("mirror", "sync", place, "--json", "-q", AWS_ENDPOINT_URL=watched.url)
    if status == 403:
        assert done.code == 1
        assert done.json["failures"]
        assert "AWS_ACCESS_KEY_ID" in done.json["failures"][0]["reason"]
        assert s3("mirror", "verify", place).code == 1
        assert s3("mirror", "sync", place, "-q").code == 0
    assert s3("mirror", "sync", place, "--json").json["written"] == {}
    assert s3("mirror", "verify", place, "--deep").code == 0


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "refuses the credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "object store failed"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "nobody"}, "no profile 'nobody'"),
        ({"AWS_ENDPOINT_URL": "not a link"}, "AWS_ENDPOINT_URL is not a link"),
    ],
)
def test_what_cannot_be_reached(s3: Cli, place: str, environ: dict[str, Any], message: str) -> None:
    fill(s3.registry, 1)
    done = s3("mirror", "sync", place, **environ)
    assert done.code == 1
    assert message in done.err
    assert "hint" in done.err
    assert "wrong-secret" not in done.err + done.out


def test_a_store_behind_a_private_ca(s3: Cli, bucket: Bucket, place: str, tmp_path: Path) -> None:
    assets = fill(s3.registry, 2)
    authority, certificate = make_authority(tmp_path)
    with tls_before(bucket.endpoint, certificate) as endpoint:
        s3.environ["AWS_ENDPOINT_URL"] = endpoint
        done = s3("mirror", "sync", place)
        assert done.code == 1
        assert "certificate is not accepted" in done.err
        assert "AWS_CA_BUNDLE" in done.err
        missing = s3("mirror", "sync", place, AWS_CA_BUNDLE=str(tmp_path / "nowhere"))
        assert missing.code == 1
        assert f"AWS_CA_BUNDLE names no file: {tmp_path / 'nowhere'}" in missing.err
        s3.environ["AWS_CA_BUNDLE"] = str(authority)
        done = s3("mirror", "sync", place, "--json")
        assert (done.code, set(done.json["written"])) == (0, set(assets))
        home = {"HUBTOOL_HOME": str(tmp_path / "home"), "HUBTOOL_MIRRORS": place}
        write_card(s3.registry, "tests/1.9/far", link="https://gitee.com/a", content=next(iter(assets.values())))
        far: Any = {**home, "HUBTOOL_ALLOWED_HOSTS": "gitee.com"}
        assert s3("fetch", "tests/1.9/far", "-q", **far).code == 0


def test_credentials_from_files(s3: Cli, place: str, bucket: Bucket, tmp_path: Path) -> None:
    fill(s3.registry, 1)
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
    none: Any = dict.fromkeys(keys, "")
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    own = bucket.environ
    credentials.write_text(
        f"[lab]\naws_access_key_id = {own[keys[0]]}\naws_secret_access_key = {own[keys[1]]}\n", encoding="utf-8"
    )
    config.write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {bucket.endpoint}\n", encoding="utf-8")
    files: Any = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "lab"}
    done = s3("mirror", "sync", place, **none, **files)
    assert done.code == 0, done.err


def test_places_that_are_none(s3: Cli) -> None:
    for text in ("ftp://x/y", "s3://", "s3://B/x", "s3://bucket/../x", "s3://bucket/a//b", "https://example.org/"):
        assert s3("mirror", "status", text).code == 2
    empty = open_destination("s3://mirrors/empty")
    assert empty.read("index.json", 100) is None
    with pytest.raises(MirrorError, match="no longer there"), empty.blob("0" * 64) as blocks:
        list(blocks)


@pytest.mark.slow
def test_a_client_whose_mirror_is_a_bucket(s3: Cli, place: str, tmp_path: Path) -> None:
    large, small = bytes_of(LARGE, 3), bytes_of(1000, 4)
    write_local(s3.registry, "tests/1.9/large", large)
    write_local(s3.registry, "tests/1.9/small", small)
    assert s3("mirror", "sync", place, "-q").code == 0
    # The same assets by links that lead nowhere.
    for name, content in (("large", large), ("small", small), ("other", b"other")):
        write_card(s3.registry, f"tests/1.9/{name}", link="https://127.0.0.1:9/x", content=content)
    own: Any = {"HUBTOOL_HOME": str(tmp_path / "own"), "HUBTOOL_MIRRORS": place}
    for name, content in (("large", large), ("small", small)):
        done = s3("fetch", f"tests/1.9/{name}", "--json", **own)
        assert done.code == 0, done.err
        assert hashlib.sha256(content).hexdigest() in done.out
    assert s3("fetch", "tests/1.9/other", **own).code == 1
    wrong: Any = {**own, "HUBTOOL_HOME": str(tmp_path / "third"), "AWS_SECRET_ACCESS_KEY": "wrong"}
    done = s3("fetch", "tests/1.9/small", **wrong)
    assert done.code == 1
    assert "Traceback" not in done.err


def test_a_client_that_has_only_a_bucket(s3: Cli, place: str, tmp_path: Path) -> None:
    contents = fill(s3.registry, 3)
    assert s3("mirror", "sync", place).code == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    own: Any = {
        "HUBTOOL_REGISTRY": str(empty),
        "HUBTOOL_HOME": str(tmp_path / "client"),
        "XDG_CONFIG_HOME": str(tmp_path / "client-config"),
    }
    added = s3("registry", "add", "lab", place, **own)
    assert added.code == 0, added.err
    assert s3("registry", "sync", "lab", **own).code == 0
    uids = [one["uid"] for one in s3("list", "--json", **own).json]
    assert len(uids) == 4
    done = s3("fetch", *uids, "--json", **own)
    assert done.code == 0, done.err
    assert all(digest in done.out for digest in contents)
    # What is there is known without the bucket, and asked for by its entity tag with it.
    assert s3("fetch", *uids, HUBTOOL_OFFLINE="1", **own).code == 0
    assert s3("registry", "sync", "lab", **own).code == 0
    # Another place in the bucket has no registry.
    assert s3("registry", "add", "none", f"{place}-none", **own).code == 1
