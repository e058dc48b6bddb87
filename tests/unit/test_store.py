"""The store: what is in it is verified, and what is wrong is not there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hubtool.assets import disk, upkeep
from hubtool.assets import store as store_module
from hubtool.assets.store import Store
from hubtool.digest import Digest, digest_file
from hubtool.errors import ArgumentError, DigestError, FetchError, StoreError

CONTENT = b"some weights" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home", patience=1.0)


def put(store: Store, content: bytes = CONTENT) -> Path:
    with store.writer(Digest(hashlib.sha256(content).hexdigest())) as writer:
        writer.write(content[:5])
        writer.write(content[5:])
        return writer.commit().path


def upper(path: Path) -> None:
    path.write_bytes(CONTENT.upper())


def elsewhere(path: Path) -> None:
    path.write_bytes(b"made here")


def leftovers(store: Store) -> list[str]:
    return [path.name for path in (store.root / "temporary").iterdir()]


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is hashed as a whole from now on; the hashing itself is the real one."""
    seen: list[Path] = []

    def counting(path: Path) -> str:
        seen.append(path)
        return digest_file(path)

    monkeypatch.setattr(store_module, "digest_file", counting)
    return seen


def test_what_is_written_is_found_and_not_hashed_again(store: Store, hashed: list[Path]) -> None:
    assert store.path(Digest(DIGEST)) is None
    path = put(store)
    assert path == store.root / "blobs" / "sha256" / DIGEST[:2] / DIGEST
    assert path.read_bytes() == CONTENT
    for one in (store, Store(store.root)):
        found = one.find(Digest(DIGEST))
        assert found is not None
        assert (found.path, found.digest, found.size) == (path, DIGEST, len(CONTENT))
    assert hashed == []
    assert leftovers(store) == []
    if os.name != "nt":
        assert path.stat().st_mode & 0o222 == 0


def test_a_touched_file_is_hashed_once(store: Store, hashed: list[Path]) -> None:
    path = put(store)
    os.utime(path, ns=(1, 1))
    for one in (Store(store.root), Store(store.root), store):
        assert one.path(Digest(DIGEST)) == path
    assert hashed == [path]


def test_a_moved_store_works(store: Store, tmp_path: Path) -> None:
    put(store)
    twin = store.derive(DIGEST, "upper", upper)
    moved = Store(tmp_path / "elsewhere")
    store.root.rename(moved.root)
    assert store.path(Digest(DIGEST)) is None
    assert moved.path(Digest(DIGEST)) == moved.root / "blobs" / "sha256" / DIGEST[:2] / DIGEST
    assert moved.derived(DIGEST, "upper") == moved.root / twin.relative_to(store.root)
    copied = Store(tmp_path / "copied")
    shutil.copytree(moved.root, copied.root)
    assert copied.path(Digest(DIGEST)) is not None


def test_blobs_alone_are_enough(store: Store, hashed: list[Path]) -> None:
    path = put(store)
    shutil.rmtree(store.root / "records")
    assert Store(store.root).path(Digest(DIGEST)) == path
    assert Store(store.root).path(Digest(DIGEST)) == path
    assert hashed == [path]


@pytest.mark.parametrize("record", [b"", b"[]", b"{", b'{"digest": "x"}', b"[" * 100_000, b'{"digest": "\xff"}'])
def test_a_damaged_record_costs_one_hashing(store: Store, hashed: list[Path], record: bytes) -> None:
    path = put(store)
    (store.root / "records" / "blobs" / DIGEST[:2] / f"{DIGEST}.json").write_bytes(record)
    assert Store(store.root).path(Digest(DIGEST)) == path
    assert hashed == [path]


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT.replace(b"s", b"z", 1)])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_changed_file_is_moved_away(store: Store, wrong: bytes, in_place: bool) -> None:
    path = put(store)
    before = path.stat()
    path.chmod(0o644)
    if in_place:
        path.write_bytes(wrong)
    else:
        (path.parent / "new").write_bytes(wrong)
        (path.parent / "new").replace(path)
        if len(wrong) == len(CONTENT):
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the inode alone tells
    assert store.find(Digest(DIGEST)) is None
    assert not path.exists()
    (aside,) = store.quarantined()
    assert aside.name.startswith(DIGEST)
    assert aside.read_bytes() == wrong
    assert put(store) == path
    assert store.path(Digest(DIGEST)) == path


LINK = "https://gitee.com/weights.ckpt"


def test_a_short_digest_finds_only_what_came_from_the_cards_link(store: Store) -> None:
    path = put(store)
    short = Digest(DIGEST[:8])
    assert store.find(short) is None
    assert store.find(short, link=LINK) is None
    assert store.came_from(LINK, DIGEST)
    for one in (store, Store(store.root)):
        assert one.path(short, link=LINK) == path
        assert one.path(Digest(DIGEST[:12]), link=f"<{LINK}>") == path
        assert one.find(short, link=f"{LINK}.evil") is None
        assert one.find(Digest(f"{DIGEST[:8]}0"), link=LINK) is None
        assert one.find(short) is None


@pytest.mark.parametrize("record", [b"", b"[]", b'{"link": 1}', b'{"link": "https://gitee.com/b", "digest": "x"}'])
def test_a_damaged_record_of_a_link_is_none(store: Store, record: bytes) -> None:
    put(store)
    store.came_from(LINK, DIGEST)
    (path,) = (store.root / "records" / "links").glob("*/*.json")
    path.write_bytes(record)
    assert store.find(Digest(DIGEST[:8]), link=LINK) is None


EVIL = CONTENT.upper()


def forge(root: Path, *, kind: str = "blobs") -> Path:
    """Put another file where an asset, or what was made of it, should be, with a record that vouches for it."""
    folder = root / ("blobs/sha256" if kind == "blobs" else f"derived/{kind}") / DIGEST[:2]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (DIGEST if kind == "blobs" else f"{DIGEST}.{kind}")
    path.unlink(missing_ok=True)
    path.write_bytes(EVIL)
    found = path.stat()
    own = DIGEST if kind == "blobs" else hashlib.sha256(EVIL).hexdigest()
    record = root / "records" / kind / DIGEST[:2] / f"{DIGEST}.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    times = {"mtime_ns": found.st_mtime_ns, "ctime_ns": found.st_ctime_ns, "inode": found.st_ino}
    record.write_text(json.dumps({"digest": own, "size": len(EVIL), **times, "source": DIGEST}))
    return path


def test_the_records_of_another_store_are_not_believed(tmp_path: Path, hashed: list[Path]) -> None:
    theirs = tmp_path / "theirs"
    evil = forge(theirs)
    forge(theirs, kind="upper")
    ours = Store(tmp_path / "ours", shared=[theirs])
    assert ours.find(Digest(DIGEST)) is None
    assert ours.derived(DIGEST, "upper") is None
    assert ours.derive(DIGEST, "upper", elsewhere).read_bytes() == b"made here"
    evil.unlink()
    evil.write_bytes(CONTENT)
    hashed.clear()
    for _ in range(3):  # hashed once, and remembered in our own home
        found = Store(tmp_path / "ours", shared=[theirs]).find(Digest(DIGEST))
        assert found is not None
        assert (found.path, found.size) == (evil, len(CONTENT))
    assert hashed == [evil]


def test_a_file_of_another_store_that_changes_under_its_old_times_is_hashed_again(tmp_path: Path) -> None:
    theirs = Store(tmp_path / "theirs")
    path = put(theirs)
    ours = Store(tmp_path / "ours", shared=[theirs.root])
    assert ours.find(Digest(DIGEST)) is not None
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(EVIL)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert ours.find(Digest(DIGEST)) is None


@pytest.mark.parametrize("kind", ["blobs", "upper"])
def test_the_records_of_a_copied_home_are_not_believed(tmp_path: Path, kind: str) -> None:
    forge(tmp_path / "forged", kind=kind)
    shutil.copytree(tmp_path / "forged", tmp_path / "home", copy_function=shutil.copy2)
    store = Store(tmp_path / "home")
    assert (store.find(Digest(DIGEST)) if kind == "blobs" else store.derived(DIGEST, kind)) is None


@pytest.mark.parametrize(
    "stated", [{"source": "0" * 64}, {"source": ""}, {"source": 7}, {"ctime_ns": 1}, {"inode": 1}, {"size": 1}]
)
def test_a_derived_file_is_bound_to_its_source_and_itself(store: Store, stated: dict[str, object]) -> None:
    store.derive(DIGEST, "upper", upper)
    record = store.root / "records" / "upper" / DIGEST[:2] / f"{DIGEST}.json"
    assert json.loads(record.read_text())["source"] == DIGEST
    record.write_text(json.dumps({**json.loads(record.read_text()), **stated}))
    fresh = Store(store.root)
    assert fresh.derived(DIGEST, "upper") is None
    upkeep.verify(fresh, quarantine=False)  # looking does not bless it
    assert fresh.derived(DIGEST, "upper") is None
    assert fresh.derive(DIGEST, "upper", upper).read_bytes() == EVIL
    assert fresh.derived(DIGEST, "upper") is not None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("kind", ["blobs", "upper"])
def test_records_of_another_user_in_ones_own_home_are_not_believed(store: Store, kind: str) -> None:
    path = forge(store.root, kind=kind)
    record = store.root / "records" / kind / DIGEST[:2] / f"{DIGEST}.json"
    os.chown(record, 12345, -1)
    assert (store.find(Digest(DIGEST)) if kind == "blobs" else store.derived(DIGEST, kind)) is None
    # Nor a derived file that another user owns, and so can change, even with a record of one's own.
    if kind == "upper":
        os.chown(record, 0, -1)
        path = forge(store.root, kind=kind)
        assert store.derived(DIGEST, kind) == path
        os.chown(path, 12345, -1)
        found = {**json.loads(record.read_text()), "ctime_ns": path.stat().st_ctime_ns}
        record.write_text(json.dumps(found))
        assert store.derived(DIGEST, kind) is None


def write(store: Store, content: bytes, *, size: int | None = None, limit: int = 1 << 40, offered: int = -1) -> None:
    with store.writer(Digest(DIGEST), source="somewhere", size=size, limit=limit) as writer:
        if offered >= 0:
            writer.expect(offered)
        writer.write(content)
        writer.commit()


def test_wrong_bytes_leave_nothing(store: Store) -> None:
    with pytest.raises(DigestError) as caught:
        write(store, b"other bytes")
    assert caught.value.expected == DIGEST
    assert caught.value.actual == hashlib.sha256(b"other bytes").hexdigest()
    assert caught.value.actual in str(caught.value)
    assert DIGEST in str(caught.value)
    assert "somewhere" in str(caught.value)
    assert leftovers(store) == []
    assert not (store.root / "blobs").exists()


def test_sizes_are_bounds(store: Store) -> None:
    with pytest.raises(FetchError, match="more bytes come than the 10"):
        write(store, bytes(11), size=10)
    with pytest.raises(FetchError, match="5 bytes came, and the card says 10"):
        write(store, bytes(5), size=10)
    with pytest.raises(FetchError, match="more bytes come, and 9 are the most"):
        write(store, bytes(10), limit=9)
    with pytest.raises(FetchError, match="10 bytes are offered, and 9"):
        write(store, b"", limit=9, offered=10)
    with pytest.raises(FetchError, match="11 bytes are offered, and the card says 10"):
        write(store, b"", size=10, offered=11)
    with pytest.raises(StoreError, match=rf"{1 << 60} bytes are needed.* \d+ bytes are free"):
        write(store, b"", size=1 << 60, limit=1 << 61)
    assert leftovers(store) == []


def test_a_closed_writer_takes_nothing(store: Store) -> None:
    with store.writer(Digest(DIGEST)) as writer:
        writer.discard()
        with pytest.raises(StoreError, match="closed"):
            writer.write(b"")
        with pytest.raises(StoreError, match="closed"):
            writer.commit()


def test_a_digest_that_is_a_path_is_refused(store: Store) -> None:
    with pytest.raises(ArgumentError):
        store.path(Digest("../" * 21 + "a"))
    for digest, kind in (("../x", "safetensors"), (DIGEST[:8], "safetensors"), (DIGEST, "../x")):
        with pytest.raises(ArgumentError):
            store.derived(digest, kind)


def test_a_derived_file_is_made_once_and_verified(store: Store, hashed: list[Path]) -> None:
    calls = []

    def make(path: Path) -> None:
        calls.append(path)
        path.write_bytes(CONTENT.upper())

    assert store.derived(DIGEST, "upper") is None
    path = store.derive(DIGEST, "upper", make)
    assert path == store.root / "derived" / "upper" / DIGEST[:2] / f"{DIGEST}.upper"
    assert len(hashed) == 1
    assert Store(store.root).derive(DIGEST, "upper", make) == path
    assert Store(store.root).derived(DIGEST, "upper") == path
    assert (len(calls), len(hashed)) == (1, 1)
    path.chmod(0o644)
    path.write_bytes(CONTENT)
    assert store.derived(DIGEST, "upper") is None
    assert store.derive(DIGEST, "upper", make).read_bytes() == CONTENT.upper()
    assert len(calls) == 2
    (store.root / "records" / "upper" / DIGEST[:2] / f"{DIGEST}.json").unlink()
    assert store.derived(DIGEST, "upper") is None
    assert leftovers(store) == []


def test_a_derived_file_that_fails_leaves_nothing(store: Store) -> None:
    def make(path: Path) -> None:
        path.write_bytes(b"half")
        path.with_name(f"{path.name}.more").write_bytes(b"half")
        raise DigestError("no", expected="", actual="")

    with pytest.raises(DigestError):
        store.derive(DIGEST, "upper", make)
    assert store.derived(DIGEST, "upper") is None
    assert leftovers(store) == []


def test_a_local_file_stays_where_it_is(store: Store, tmp_path: Path, hashed: list[Path]) -> None:
    path = tmp_path / "beside.ckpt"
    path.write_bytes(CONTENT)
    for one in (store, store, Store(store.root)):
        found = one.adopt(path, Digest(DIGEST[:8]))
        assert (found.path, found.digest, found.size) == (path, DIGEST, len(CONTENT))
    assert hashed == [path]
    assert not (store.root / "blobs").exists()
    with pytest.raises(DigestError) as caught:
        store.adopt(path, Digest("0" * 64))
    assert caught.value.actual == DIGEST
    path.write_bytes(b"changed")
    with pytest.raises(DigestError):
        store.adopt(path, Digest(DIGEST))
    assert path.read_bytes() == b"changed"
    with pytest.raises(StoreError, match="cannot be read"):
        store.adopt(tmp_path / "absent", Digest(DIGEST))


def test_orphans_are_removed_and_the_living_are_not(store: Store) -> None:
    folder = store.root / "temporary"
    folder.mkdir(parents=True)
    orphan = folder / f"{'1' * 64}.abcd.blob.part"
    orphan.write_bytes(b"half")
    living = folder / f"{'2' * 64}.abcd.blob.part"
    living.write_bytes(b"half")
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with Store(store.root).lock("2" * 64):
            ready.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        ready.wait(10)
        put(store)
        assert leftovers(store) == [living.name]
    finally:
        done.set()
        thread.join()
    store.clean()
    assert leftovers(store) == []


def test_a_lock_is_held_by_one_and_waited_for_with_patience(store: Store) -> None:
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock(DIGEST):
            ready.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        ready.wait(10)
        started = time.monotonic()
        with pytest.raises(StoreError, match="has not got on for 1 seconds"), store.lock(DIGEST[:8]):
            pass
        assert 0.9 < time.monotonic() - started < 5
        with store.lock("f" * 64):  # another digest is free
            pass
    finally:
        done.set()
        thread.join()
    with store.lock(DIGEST), store.lock(DIGEST[:8]):  # one thread may take it twice
        pass


def test_a_thread_knows_which_locks_it_holds(store: Store) -> None:
    other = DIGEST[:7] + ("0" if DIGEST[7] != "0" else "1") + DIGEST[8:]
    elsewhere: list[bool] = []
    assert not store.holds(DIGEST)
    with store.lock(DIGEST):
        assert store.holds(DIGEST)
        assert store.holds(DIGEST[:8])
        assert not store.holds(other)
        thread = threading.Thread(target=lambda: elsewhere.append(store.holds(DIGEST)))
        thread.start()
        thread.join()
    assert elsewhere == [False]
    assert not store.holds(DIGEST)


def test_what_is_present_is_seen_at_a_look_in_shared_stores_too(store: Store, tmp_path: Path) -> None:
    put(store)
    near = Store(tmp_path / "near", shared=[store.root, tmp_path / "away"])
    assert near.present(DIGEST[:2]) == store.present(DIGEST[:2]) == {DIGEST}
    store.path(Digest(DIGEST)).with_name("README").write_text("no blob")  # type: ignore[union-attr]
    assert store.present(DIGEST[:2]) == {DIGEST}
    assert store.present("00" if DIGEST[:2] != "00" else "01") == frozenset()


def test_a_waiter_has_patience_with_a_holder_that_gets_on(store: Store) -> None:
    ready = threading.Event()

    def hold() -> None:
        with store.writer(Digest(DIGEST)) as writer:
            ready.set()
            for at in range(0, len(CONTENT), 100):
                writer.write(CONTENT[at : at + 100])
                time.sleep(0.2)
            writer.commit()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(10)
    with store.lock(DIGEST):  # 2.4 seconds later, with a patience of one
        assert store.path(Digest(DIGEST)) is not None
    thread.join()


def test_a_place_that_cannot_be_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file")
    assert store.path(Digest(DIGEST)) is None
    assert store.quarantined() == ()
    with pytest.raises(StoreError):
        put(store)
    store.clean()


def test_half_a_record_is_none(store: Store) -> None:
    path = put(store)
    record = store._record_path("blobs", DIGEST)
    whole = record.read_bytes()
    for half in (b"", whole[: len(whole) // 2], whole[:-1]):
        record.write_bytes(half)
        assert Store(store.root).path(Digest(DIGEST)) == path
        assert record.read_bytes() == whole  # it was hashed again


def test_a_record_is_not_written_through_a_link(store: Store, tmp_path: Path) -> None:
    path = put(store)
    record = store._record_path("blobs", DIGEST)
    (tmp_path / "mine").write_text("precious")
    record.unlink()
    record.symlink_to(tmp_path / "mine")
    assert Store(store.root).path(Digest(DIGEST)) == path
    assert (tmp_path / "mine").read_text() == "precious"


def test_half_a_file_on_its_way_to_a_mirror_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path / "staging", durable=False)
    with store.lock(DIGEST):
        stored = store.put(Digest(DIGEST), CONTENT)
    assert stored is not None
    assert stored.path.read_bytes() == CONTENT
    assert not (store.root / "temporary").exists()
    for other in (CONTENT[:100], CONTENT + b"!"):
        stored.path.chmod(0o644)
        stored.path.write_bytes(other)
        fresh = Store(store.root, durable=False)
        assert fresh.find(Digest(DIGEST)) is None
        assert not stored.path.exists()
        assert fresh.quarantined() == ()
        with fresh.lock(DIGEST):
            assert fresh.put(Digest(DIGEST), CONTENT) == stored
    with store.lock(DIGEST):  # also over what is there
        assert store.put(Digest(DIGEST), CONTENT) == stored
    assert stored.path.read_bytes() == CONTENT


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.fixture(params=["without a name", "with a name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a small file is written: as the system lets us here, and as it does where it can do less."""
    if request.param == "with a name":
        monkeypatch.setattr(disk, "open_unnamed", lambda *_: None)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_a_small_file_is_put_there_whole(store: Store, hashed: list[Path]) -> None:
    with store.lock(DIGEST):
        assert store.put(Digest("0" * 64), CONTENT) is None
        stored = store.put(Digest(DIGEST), CONTENT)
        assert stored is not None
        assert stored.path.read_bytes() == CONTENT
        assert (stored.path.stat().st_mode & 0o777, stored.path.stat().st_nlink) == (0o444, 1)
        inode = stored.path.stat().st_ino
        assert store.put(Digest(DIGEST[:8]), CONTENT) == stored  # over what is there
        assert stored.path.stat().st_ino != inode
    assert store.find(Digest(DIGEST)) == stored
    assert hashed == []
    assert not (store.root / "temporary").exists() or leftovers(store) == []


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("fails", ["write", "fsync", "sync_folder"])
def test_a_small_file_that_the_disk_does_not_take_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = descriptors()
    with store.lock(DIGEST), monkeypatch.context() as patch:
        patch.setattr(os if fails == "fsync" else disk, fails, fail)
        with pytest.raises(StoreError, match="disk is full"):
            store.put(Digest(DIGEST), CONTENT)
    assert not (store.root / "temporary").exists() or leftovers(store) == []
    assert descriptors() == before
    found = Store(store.root).find(Digest(DIGEST))
    # Where the folder could not be flushed, the file is there and right.
    assert (found is not None) == (fails == "sync_folder")
    with store.lock(DIGEST):
        assert store.put(Digest(DIGEST), CONTENT) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files without a name")
def test_of_a_small_file_whose_writer_is_killed_nothing_stays(store: Store) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
from hubtool.assets import disk
from hubtool.assets.store import Store
from hubtool.digest import Digest
disk.give_name = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store = Store(Path(sys.argv[1]))
with store.lock({DIGEST!r}):
    store.put(Digest({DIGEST!r}), b"some weights" * 100)
"""
    done = subprocess.run([sys.executable, "-c", program, str(store.root)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == [f"{DIGEST[:8]}.lock"]


def test_no_file_is_named_over_another(tmp_path: Path) -> None:
    descriptor = disk.open_unnamed(str(tmp_path), 0o666)
    if descriptor is None:
        pytest.skip("this system has no files without a name")
    try:
        (tmp_path / "mine").write_text("precious")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        assert not disk.give_name(descriptor, str(tmp_path / "mine"))
        assert not disk.give_name(descriptor, str(tmp_path / "dangling"))
        assert (tmp_path / "mine").read_text() == "precious"
        assert disk.give_name(descriptor, str(tmp_path / "ours"))
    finally:
        os.close(descriptor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "mine", "ours"]


@pytest.mark.parametrize("number", ["EOPNOTSUPP", "EISDIR", "EINVAL"])
def test_a_system_that_has_no_files_without_a_name(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(getattr(errno, number), number)

    monkeypatch.setattr(os, "open", refuse)
    assert disk.open_unnamed("/tmp", 0o666) is None  # noqa: S108 (nothing is opened)


@pytest.mark.parametrize("number", ["EPERM", "EXDEV", "ENOSYS", "EOPNOTSUPP"])
def test_where_no_file_can_be_named_afterwards_it_has_a_name_before(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, number), number)

    monkeypatch.setattr(os, "link", refuse)
    with store.lock(DIGEST):
        stored = store.put(Digest(DIGEST), CONTENT)
    assert stored is not None
    assert stored.path.read_bytes() == CONTENT
    assert store.find(Digest(DIGEST)) == stored


def test_what_comes_to_the_temporary_files_is_seen(store: Store) -> None:
    folder = store.root / "temporary"
    digest = Digest(DIGEST)
    assert not store.has_parts(digest)
    folder.mkdir(parents=True)
    for age in (0.0, 100.0):  # changed just now, and long ago
        then = time.time() - age
        os.utime(folder, (then, then))
        assert not store.has_parts(digest)
        assert not store.has_parts(digest)
        part = folder / f"{DIGEST}.abcd.blob.part"
        part.write_bytes(b"some")
        assert store.has_parts(digest)
        part.unlink()
        assert not store.has_parts(digest)


def test_the_temporary_files_are_listed_once_where_none_come(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.root / "temporary"
    folder.mkdir(parents=True)
    (folder / "other.part").write_bytes(b"some")
    os.utime(folder, (time.time() - 100, time.time() - 100))
    listed: list[str] = []
    real = os.listdir

    def listing(place: str) -> list[str]:
        listed.append(place)
        return real(place)

    monkeypatch.setattr(os, "listdir", listing)
    assert [store.has_parts(Digest(DIGEST)) for _ in range(5)] == [False] * 5
    assert len(listed) == 1
