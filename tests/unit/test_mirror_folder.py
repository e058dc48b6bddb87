"""Adding files to a mirror in a folder: each once, whole, and never half of one."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.errors import DigestError, MirrorError
from hubtool.mirror.folder import FolderDestination
from hubtool.mirror.layout import blob_name, blobs
from hubtool.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.store.records import Stored

CONTENTS = {hashlib.sha256(text).hexdigest(): text for text in (f"{number}".encode() for number in range(3000))}
SHARD = "ab"
FILES = {digest: text for digest, text in CONTENTS.items() if digest.startswith(SHARD)}


@pytest.fixture
def place(tmp_path: Path) -> FolderDestination:
    return FolderDestination(tmp_path / "mirror")


def stored(store: Store, content: bytes) -> Stored:
    with store.writer(Digest(hashlib.sha256(content).hexdigest())) as writer:
        writer.write(content)
        return writer.commit()


def staged(place: FolderDestination) -> list[Stored]:
    """Put the files into the staging store, as a fetch does."""
    staging = place.staging(place.root)
    with staging.lock(SHARD):
        return [stored(staging, text) for text in FILES.values()]


def temporary(place: FolderDestination) -> list[Path]:
    return list((place.root / ".hubtool").glob("temporary/**/*"))


def test_a_staged_file_is_moved(place: FolderDestination) -> None:
    files = staged(place)
    assert len(files) == len(FILES) > 3
    assert all(place.add(one, move=True) for one in files)
    assert not place.add(files[0], move=True)
    assert blobs(place, SHARD) == {digest: len(text) for digest, text in FILES.items()}
    assert not any(one.path.exists() for one in files)
    assert temporary(place) == []


def test_a_staged_file_that_is_gone_is_an_error(place: FolderDestination) -> None:
    files = staged(place)
    files[0].path.unlink()
    with pytest.raises(MirrorError):
        place.add(files[0], move=True)
    assert blobs(place) == {}


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 5, (3 << 20) - 1])
def test_a_copy_has_every_byte(place: FolderDestination, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    digest = hashlib.sha256(content).hexdigest()
    file = stored(Store(tmp_path / "home"), content)
    assert place.add(file)
    assert not place.add(file)
    assert (place.root / "blobs" / "sha256" / digest[:2] / digest).read_bytes() == content


def test_a_copy_of_a_file_that_changed_is_not_shown(place: FolderDestination, tmp_path: Path) -> None:
    file = stored(Store(tmp_path / "home"), b"a" * 3_000_000)
    file.path.chmod(0o644)
    file.path.write_bytes(b"b" * 3_000_000)
    with pytest.raises(DigestError):
        place.add(file)
    assert (blobs(place), temporary(place)) == ({}, [])


@pytest.mark.parametrize("kind", ["workers", "publications"])
def test_threads_that_add_one_file_add_it_once(place: FolderDestination, tmp_path: Path, kind: str) -> None:
    file = stored(Store(tmp_path / "home"), os.urandom(3_000_000))
    staging = place.staging(place.root)

    def add(_: int) -> bool:
        with staging.lock(file.digest) if kind == "workers" else nullcontext():
            return place.add(file)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(8))) == 1
    path = place.root / blob_name(file.digest)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.digest
    assert temporary(place) == []


def test_what_killed_processes_left_is_removed(place: FolderDestination, tmp_path: Path) -> None:
    folder = place.root / ".hubtool" / "temporary"
    folder.mkdir(parents=True)
    for name, age in (("old.part", 7200), ("new.part", 60)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    file = stored(Store(tmp_path / "home"), b"content")
    (folder / f"{file.digest}.single.0123abcd.part").write_bytes(b"cont")
    assert place.add(file)
    assert temporary(place) == [folder / "new.part"]


def test_links_and_folders_are_no_blobs(place: FolderDestination, tmp_path: Path) -> None:
    digest = min(FILES)
    path = place.root / blob_name(digest)
    path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"x")
    path.symlink_to(tmp_path / "elsewhere")
    (path.parent / ("0" * 64)).mkdir()
    assert blobs(place) == {}
    assert place.size(blob_name(digest)) is None
