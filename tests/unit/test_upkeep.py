"""Upkeep of the store: what may go is planned first, and wrong files are found whatever their records say."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import pytest

from hubtool.cli import units
from hubtool.digest import Digest
from hubtool.errors import ArgumentError, StoreError
from hubtool.store import cleanup
from hubtool.store.cleanup import StoreItem
from hubtool.store.records import USE_STEP_SECONDS
from hubtool.store.store import Store
from hubtool.store.temporary import UnfinishedFetch
from tests.support.disks import bound_by_permissions

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0
NOW = 1000 * DAY


def item(letter: str, size: int = 10, days: float = 1.0, uids: tuple[str, ...] = ("a/1.0/b",)) -> StoreItem:
    used = NOW - days * DAY
    return StoreItem(digest=letter * 64, size=size, derived=0, stored=used, used=used, uids=uids)


def put(store: Store, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    with store.writer(Digest(digest)) as writer:
        writer.write(content)
        writer.commit()
    return digest


def upper(path: Path) -> None:
    path.write_bytes(b"made")


def spoil(path: Path) -> None:
    """Change a file as a failing disk does: size, times and inode stay, so that its record still fits."""
    before = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    with path.open("r+b") as stream:
        stream.write(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    # A disk leaves the time of the last change as it was, which a program cannot.
    kind = path.parents[1].name
    record = path.parents[3] / "records" / ("blobs" if kind == "sha256" else kind) / path.parent.name
    record /= f"{path.name.partition('.')[0]}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "ctime_ns": path.stat().st_ctime_ns}))


@pytest.mark.parametrize(
    ("wishes", "gone"),
    [
        ({"older_than": 5 * DAY}, "c"),
        ({"older_than": 2 * DAY}, "bc"),
        ({"max_bytes": 30}, "c"),
        ({"max_bytes": 29}, "bc"),
        ({"max_bytes": 0}, "abc"),
        ({"max_bytes": 60}, ""),
        ({"unreferenced": True}, "a"),
        ({"unreferenced": True, "older_than": 5 * DAY}, "ac"),
        ({"unreferenced": True, "max_bytes": 20}, "ac"),
    ],
)
def test_what_a_prune_removes(wishes: dict[str, float], gone: str) -> None:
    there = [item("a", 10, 1, ()), item("b", 20, 3), item("c", 30, 9)]
    plan = cleanup.plan(there, now=NOW, **wishes)  # type: ignore[arg-type] # a table's arguments are checked by running it
    assert sorted(one.digest[0] for one, _ in plan.remove) == sorted(gone)
    assert plan.freed == sum(one.size for one, _ in plan.remove)
    assert plan.keep == ()


def test_unfinished_fetches_are_pruned_as_assets_are() -> None:
    def part(letter: str, days: float) -> StoreItem:
        one = UnfinishedFetch(name=f"{letter * 64}.0.blob.part", size=20, written=NOW - days * DAY)
        return replace(item(letter, one.size, days, ()), unfinished=one)

    there = [item("a", 10, 4), part("a", 3), item("b", 10, 2), part("c", 1 / 24)]

    def gone(**wishes: float) -> list[tuple[str, bool]]:
        plan = cleanup.plan(there, now=NOW, **wishes)  # type: ignore[arg-type] # as above
        return [(one.digest[0], one.unfinished is not None) for one, _ in plan.remove]

    assert gone(unreferenced=True) == []
    assert gone(broken_off=True) == [("a", True), ("c", True)]
    assert gone(older_than=3 * DAY) == [("a", False), ("a", True)]
    assert gone(max_bytes=60) == []
    assert gone(max_bytes=50) == [("a", False)]
    assert gone(max_bytes=49) == [("a", False), ("a", True)]
    assert gone(max_bytes=0) == [("a", False), ("a", True), ("b", False)]
    assert gone(max_bytes=0, recent=0) == [("a", False), ("a", True), ("b", False), ("c", True)]


def test_a_part_that_was_gone_on_with_after_the_plan_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    part = tmp_path / "temporary" / f"{'a' * 64}.0.blob.part"
    part.parent.mkdir()
    for path in (part, part.with_name(f"{part.name}.json"), part.with_name("other"), part.with_name("x.blob.part")):
        path.write_bytes(b"bytes")
        os.utime(path, (1, 1))
    plan = cleanup.plan(cleanup.unfinished(store), now=time.time(), older_than=DAY)
    assert (len(plan.remove), plan.freed) == (1, 10)
    os.utime(part)
    done = cleanup.carry_out(store, plan)
    assert (done.remove, [reason for _, reason in done.keep]) == ((), ["it is in use"])
    os.utime(part, (1, 1))
    assert cleanup.carry_out(store, plan).freed == 10
    assert sorted(path.name for path in part.parent.iterdir()) == ["other", "x.blob.part"]
    assert cleanup.carry_out(store, plan).remove == ()


def test_quarantine_that_cannot_be_emptied(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = put(store, b"weights")
    spoil(store.path(Digest(digest)) or tmp_path)
    cleanup.verify(store)
    aside = cleanup.quarantined(store)
    assert [one.size for one in aside] == [7]
    (tmp_path / "quarantine").chmod(0o555)
    with bound_by_permissions():
        (one,) = cleanup.remove_quarantined(store, aside)
    (tmp_path / "quarantine").chmod(0o755)
    assert "may not be written" in (one.error or "")
    assert cleanup.remove_quarantined(store, aside) == aside
    assert cleanup.quarantined(store) == ()


def test_what_is_in_use_stays() -> None:
    there = [item("a", 10, 0.5 / 24), item("b", 10, 1.9 / 24), item("c", 10, 2.1 / 24)]
    plan = cleanup.plan(there, now=NOW, max_bytes=0)
    assert [one.digest[0] for one, _ in plan.remove] == ["c"]
    assert {one.digest[0] for one, _ in plan.keep} == {"a", "b"}
    assert all("used less than 2 hours ago" in reason for _, reason in plan.keep)
    assert len(cleanup.plan(there, now=NOW, max_bytes=0, recent=0).remove) == 3


def test_use_is_recorded_to_the_hour(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = put(store, b"weights")
    record = tmp_path / "records" / "blobs" / digest[:2] / f"{digest}.json"
    for age, moves in ((USE_STEP_SECONDS / 2, False), (USE_STEP_SECONDS + 60, True), (-1000.0, True)):
        then = time.time() - age
        os.utime(record, (then, then))
        assert store.find(Digest(digest)) is not None
        used = store.used(digest)
        assert used is not None
        assert (abs(used - then) > 1) == moves


def test_a_file_used_after_the_plan_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = put(store, b"weights")
    record = tmp_path / "records" / "blobs" / digest[:2] / f"{digest}.json"
    os.utime(record, (1, 1))
    os.utime(store.path(Digest(digest)) or tmp_path, (1, 1))
    os.utime(record, (1, 1))
    plan = cleanup.plan(cleanup.items(store), now=time.time(), max_bytes=0)
    assert len(plan.remove) == 1
    assert store.path(Digest(digest)) is not None  # a load begins
    done = cleanup.carry_out(store, plan)
    assert done.remove == ()
    assert [reason for _, reason in done.keep] == ["it is in use"]
    assert store.path(Digest(digest)) is not None


def test_what_another_process_writes_stays(tmp_path: Path) -> None:
    import threading

    store = Store(tmp_path)
    digest = put(store, b"weights")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with Store(tmp_path).lock(digest):
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        with pytest.raises(StoreError, match="another process"):
            store.remove(digest)
    finally:
        release.set()
        thread.join()
    assert store.remove(digest)
    assert not store.remove(digest)


def test_removing_takes_everything(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest, other = put(store, b"weights"), put(store, b"others")
    store.derive(digest, "upper", upper)
    (one, two) = sorted(cleanup.items(store), key=lambda each: -each.derived)
    assert (one.digest, one.size, one.derived, one.total) == (digest, 7, 4, 11)
    assert two.digest == other
    with (store.path(Digest(digest)) or tmp_path).open("rb") as stream:  # a load that is reading goes on
        assert store.remove(digest)
        assert stream.read() == b"weights"
    left = [path for path in tmp_path.rglob("*") if path.is_file() and digest in path.name]
    assert left == []
    assert store.path(Digest(other)) is not None


@pytest.mark.parametrize("quarantine", [True, False])
def test_rotten_files_are_found(tmp_path: Path, quarantine: bool) -> None:
    store = Store(tmp_path)
    good, bad = put(store, b"good weights"), put(store, b"bad weights")
    twin = store.derive(good, "upper", upper)
    path = store.path(Digest(bad))
    assert path is not None
    spoil(path)
    spoil(twin)
    assert store.path(Digest(bad)) == path  # its record says that nothing changed
    seen = []
    results = cleanup.verify(Store(tmp_path), quarantine=quarantine, report=lambda one, size: seen.append((one, size)))
    assert {(one.digest, one.kind): one.right for one in results} == {
        (good, None): True,
        (bad, None): False,
        (good, "upper"): False,
    }
    assert len(seen) == 3
    assert len(store.quarantined()) == (2 if quarantine else 0)
    fresh = Store(tmp_path)
    assert (fresh.path(Digest(bad)) is None) == quarantine
    assert (fresh.derived(good, "upper") is None) == quarantine
    assert fresh.path(Digest(good)) is not None


def test_what_cannot_be_moved_away_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    digest = put(store, b"weights")
    spoil(store.path(Digest(digest)) or tmp_path)
    folders = [store.root, *(path for path in store.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    with bound_by_permissions():
        (one,) = cleanup.verify(Store(store.root))
    for folder in folders:
        folder.chmod(0o755)
    assert (one.right, one.moved, one.error) == (False, False, None)
    assert one.fate.startswith("is wrong, and still there: ")
    assert "may not be written" in one.fate
    assert [found for found, _ in store.blobs()] == [digest]
    (one,) = cleanup.verify(Store(store.root))
    assert (one.right, one.moved, one.fate) == (False, True, "")


def test_what_is_not_there_to_be_checked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = put(store, b"weights")
    twin = store.derive(digest, "upper", upper)
    (tmp_path / "records" / "upper" / digest[:2] / f"{digest}.json").unlink()
    assert "is made anew" in store.check(digest, kind="upper").reason
    assert twin.exists()
    store.remove(digest)
    assert store.check(digest).reason == store.check(digest, quarantine=False).reason == "no longer exists"


def test_verifying_does_not_count_as_use(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = put(store, b"weights")
    record = tmp_path / "records" / "blobs" / digest[:2] / f"{digest}.json"
    os.utime(record, (5, 5))
    assert all(one.right for one in cleanup.verify(store))
    assert store.used(digest) == 5


def test_names_of_short_digests(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = put(store, b"weights")
    names = {Digest(digest[:9]): ("a/1.0/b",), Digest(digest): ("a/1.0/c", "a/1.0/b"), Digest("0" * 64): ("x/1/y",)}
    (one,) = cleanup.items(store, names)
    assert one.uids == ("a/1.0/b", "a/1.0/c")
    assert [chosen.digest for chosen, _ in cleanup.choose([one], ["a/1.0/c", digest[:8]]).remove] == [digest]
    with pytest.raises(ArgumentError, match="nothing of x/1/y is stored"):
        cleanup.choose([one], ["x/1/y"])


def test_a_shared_store_is_read_and_never_written(tmp_path: Path) -> None:
    theirs = Store(tmp_path / "shared")
    digest = put(theirs, b"weights")
    theirs.derive(digest, "upper", upper)
    before = sorted((path, path.stat().st_mtime_ns) for path in theirs.root.rglob("*"))
    ours = Store(tmp_path / "home", shared=(tmp_path / "gone", theirs.root))
    found = ours.find(Digest(digest))
    assert found is not None
    assert found.path == theirs.root / "blobs" / "sha256" / digest[:2] / digest
    assert ours.find(Digest(digest[:8])) is None  # which link it came from is not known here
    assert ours.derived(digest, "upper") is None  # what it was made from is its maker's word
    now = sorted((path, path.stat().st_mtime_ns) for path in theirs.root.rglob("*") if "used" not in path.parts)
    assert now == before  # but for a note that it was used
    assert cleanup.items(ours) == ()
    # Without a record of theirs it is hashed, and believed only if it is right.
    path = theirs.path(Digest(digest))
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"weightz")
    assert ours.find(Digest(digest)) is None
    assert path.exists()


def test_the_use_of_others_counts_where_a_store_is_pruned(tmp_path: Path) -> None:
    theirs = Store(tmp_path / "shared")
    used, idle = put(theirs, b"used by others"), put(theirs, b"used by nobody")
    now = time.time()
    for digest in (used, idle):
        for path in (theirs.root / "blobs/sha256" / digest[:2] / digest, theirs.record_path("blobs", digest)):
            os.utime(path, (now - 60 * DAY, now - 60 * DAY))
    ours = Store(tmp_path / "home", shared=[theirs.root])
    assert ours.find(Digest(used)) is not None
    (marker,) = (theirs.root / "used").iterdir()
    os.utime(marker, (now - DAY, now - DAY))  # that was yesterday
    there = cleanup.items(theirs)
    for wishes in ({"older_than": 30 * DAY}, {"unreferenced": True}, {"max_bytes": len(b"used by others")}):
        removal = cleanup.plan(there, now=now, **wishes)
        assert [item.digest for item, _ in removal.remove] == [idle], wishes
    # What is used between plan and act stays.
    removal = cleanup.plan(there, now=now, older_than=DAY / 2)
    assert {item.digest for item, _ in removal.remove} == {used, idle}
    assert ours.find(Digest(used)) is not None
    done = cleanup.carry_out(theirs, removal)
    assert ([item.digest for item, _ in done.remove], [why for _, why in done.keep]) == ([idle], ["it is in use"])
    # A time in the future keeps nothing for ever, and a link of somebody else's is not followed.
    os.utime(marker, (now + 99 * DAY, now + 99 * DAY))
    assert theirs.used_by_others()[used] <= time.time()
    marker.unlink()
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    os.utime(victim, (5, 5))
    marker.symlink_to(victim)
    assert ours.find(Digest(used)) is not None
    assert victim.stat().st_mtime == 5


def test_a_mirror_that_is_looked_in_is_not_written(tmp_path: Path) -> None:
    mirror = Store(tmp_path / "mirror", state=tmp_path / "mirror" / ".hubtool")
    digest = put(mirror, b"weights")
    assert Store(tmp_path / "home", shared=[mirror.root]).find(Digest(digest)) is not None
    assert sorted(path.name for path in mirror.root.iterdir()) == [".hubtool", "blobs"]


def test_what_was_made_of_another_stores_asset_is_listed_and_removed(tmp_path: Path) -> None:
    theirs = Store(tmp_path / "shared")
    digest = put(theirs, b"weights")
    ours = Store(tmp_path / "home", shared=[theirs.root])
    twin = ours.derive(digest, "upper", upper)
    (one,) = cleanup.items(ours, {Digest(digest): ("a/1.0/b",)})
    assert (one.digest, one.size, one.derived, one.uids) == (digest, 0, 4, ("a/1.0/b",))
    old = time.time() - 60 * DAY
    for path in (twin, ours.record_path("upper", digest)):
        os.utime(path, (old, old))
    (one,) = cleanup.items(ours)
    assert one.used == pytest.approx(old, abs=1)
    done = cleanup.carry_out(ours, cleanup.plan([one], now=time.time(), older_than=30 * DAY))
    assert [item.digest for item, _ in done.remove] == [digest]
    assert not twin.exists()
    assert cleanup.items(ours) == ()
    # By name as well; a use of the copy alone protects it.
    ours.derive(digest, "upper", upper)
    os.utime(ours.record_path("upper", digest), (old, old))
    assert ours.derived(digest, "upper") == twin
    assert time.time() - (ours.used(digest) or 0) < 60
    assert cleanup.carry_out(ours, cleanup.choose(cleanup.items(ours), [digest[:12]])).freed == 4
    assert theirs.find(Digest(digest)) is not None


def test_state_beside_the_blobs(tmp_path: Path) -> None:
    store = Store(tmp_path / "mirror", state=tmp_path / "mirror" / ".hubtool")
    digest = put(store, b"weights")
    assert sorted(path.name for path in (tmp_path / "mirror").iterdir()) == [".hubtool", "blobs"]
    assert store.path(Digest(digest)) is not None
    assert [found for found, _ in store.blobs()] == [digest]


@pytest.mark.parametrize(
    ("text", "value"), [("500", 500), ("10GiB", 10 << 30), ("1.5GB", 1_500_000_000), ("2 k", 2048), ("0", 0)]
)
def test_sizes(text: str, value: int) -> None:
    assert units.size(None, None, text) == value  # type: ignore[arg-type] # neither is looked at


@pytest.mark.parametrize(("text", "value"), [("30", 30 * DAY), ("12h", DAY / 2), ("45s", 45), ("2w", 14 * DAY)])
def test_ages(text: str, value: float) -> None:
    assert units.age(None, None, text) == value  # type: ignore[arg-type] # neither is looked at


@pytest.mark.parametrize("text", ["", "x", "-1", "1x", "1e3", "10 GiBs"])
def test_what_is_neither(text: str) -> None:
    for read in (units.size, units.age):
        with pytest.raises(click.BadParameter, match="is not a"):
            read(None, None, text)  # type: ignore[arg-type] # neither is looked at
