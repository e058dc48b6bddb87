"""The store: what is in it is verified, and what is wrong is not there."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest, digest_file
from hubtool.errors import ArgumentError, DigestError, FetchError, StoreError
from hubtool.store import cleanup
from hubtool.store import derived as derived_module
from hubtool.store import verified as verified_module
from hubtool.store.partial_file import PartialFile, PartialInfo
from hubtool.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

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


def test_what_a_fetch_left_is_not_part_of_a_file_that_is_written(store: Store) -> None:
    content = os.urandom(600_000)
    digest = Digest(hashlib.sha256(content).hexdigest())
    with store.lock(digest.hex):
        part = PartialFile(store, digest, source="a link", size=len(content), limit=len(content), exclusive=True)
        part.expect(len(content))
        part.save_info(PartialInfo(size=len(content), link="http://x/y", validator='"1"', host=platform.node()))
        part.write(content[:400_000])
        assert part.keep()
    with store.writer(digest, size=len(content)) as writer:
        writer.write(content)
        assert writer.commit().path.read_bytes() == content


@pytest.mark.parametrize("note", [b"[]", b"1", b'"x"', b"null", b"{}", b"not JSON"])
def test_a_note_of_a_partial_file_that_is_none_is_ignored(store: Store, note: bytes) -> None:
    folder = store.root / "temporary"
    folder.mkdir(parents=True)
    (folder / f"{DIGEST}.0123abcd.blob.part").write_bytes(CONTENT[:5])
    (folder / f"{DIGEST}.0123abcd.blob.part.json").write_bytes(note)
    with store.lock(DIGEST):
        part = PartialFile(store, Digest(DIGEST), source="a link", size=None, limit=10_000, exclusive=True)
        assert part.position == 0
        part.drop()


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

    for module in (verified_module, derived_module):
        monkeypatch.setattr(module, "digest_file", counting)
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
    cleanup.verify(fresh, quarantine=False)  # looking does not bless it
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
    with pytest.raises(FetchError, match="sends more than the 10 bytes"):
        write(store, bytes(11), size=10)
    with pytest.raises(FetchError, match="received 5 bytes; the card says 10"):
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
        writer.drop()
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
        found = one.verify_in_place(path, Digest(DIGEST[:8]))
        assert (found.path, found.digest, found.size) == (path, DIGEST, len(CONTENT))
    assert hashed == [path]
    assert not (store.root / "blobs").exists()
    with pytest.raises(DigestError) as caught:
        store.verify_in_place(path, Digest("0" * 64))
    assert caught.value.actual == DIGEST
    path.write_bytes(b"changed")
    with pytest.raises(DigestError):
        store.verify_in_place(path, Digest(DIGEST))
    assert path.read_bytes() == b"changed"
    with pytest.raises(StoreError, match="cannot be read"):
        store.verify_in_place(tmp_path / "absent", Digest(DIGEST))


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
        with pytest.raises(StoreError, match="has made no progress for 1 seconds"), store.lock(DIGEST[:8]):
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
    assert near.list_group(DIGEST[:2]) == store.list_group(DIGEST[:2]) == {DIGEST}
    store.path(Digest(DIGEST)).with_name("README").write_text("no blob")  # type: ignore[union-attr]
    assert store.list_group(DIGEST[:2]) == {DIGEST}
    assert store.list_group("00" if DIGEST[:2] != "00" else "01") == frozenset()


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
    record = store.record_path("blobs", DIGEST)
    whole = record.read_bytes()
    for half in (b"", whole[: len(whole) // 2], whole[:-1]):
        record.write_bytes(half)
        assert Store(store.root).path(Digest(DIGEST)) == path
        assert record.read_bytes() == whole  # it was hashed again


def test_a_record_is_not_written_through_a_link(store: Store, tmp_path: Path) -> None:
    path = put(store)
    record = store.record_path("blobs", DIGEST)
    (tmp_path / "mine").write_text("precious")
    record.unlink()
    record.symlink_to(tmp_path / "mine")
    assert Store(store.root).path(Digest(DIGEST)) == path
    assert (tmp_path / "mine").read_text() == "precious"


def test_half_a_file_on_its_way_to_a_mirror_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path / "staging", durable=False)
    path = put(store)
    assert path.read_bytes() == CONTENT
    assert [*(store.root / "temporary").iterdir()] == []
    for other in (CONTENT[:100], CONTENT + b"!"):
        path.chmod(0o644)
        path.write_bytes(other)
        fresh = Store(store.root, durable=False)
        assert fresh.find(Digest(DIGEST)) is None
        assert not path.exists()
        assert fresh.quarantined() == ()
        assert put(fresh) == path
    assert put(store) == path  # also over what is there
    assert path.read_bytes() == CONTENT


def test_what_comes_to_the_temporary_files_is_seen(store: Store) -> None:
    folder = store.root / "temporary"
    assert not store.temporary_files_of(DIGEST)
    folder.mkdir(parents=True)
    for age in (0.0, 100.0):  # changed just now, and long ago
        then = time.time() - age
        os.utime(folder, (then, then))
        assert not store.temporary_files_of(DIGEST)
        assert not store.temporary_files_of(DIGEST)
        part = folder / f"{DIGEST}.abcd.blob.part"
        part.write_bytes(b"some")
        assert store.temporary_files_of(DIGEST)
        part.unlink()
        assert not store.temporary_files_of(DIGEST)
