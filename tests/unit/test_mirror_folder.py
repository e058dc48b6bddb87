"""What a mirror's folder shows of files on their way, and what becomes of those that it does not show."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.errors import MirrorError
from hubtool.mirror.folder import FolderDestination
from hubtool.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.store.records import Stored

CONTENTS = {hashlib.sha256(text).hexdigest(): text for text in (f"{number}".encode() for number in range(3000))}
UNIT = "ab"
FILES = {digest: text for digest, text in CONTENTS.items() if digest.startswith(UNIT)}


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
    with staging.lock(UNIT):
        return [stored(staging, text) for text in FILES.values()]


def temporary(place: FolderDestination) -> list[Path]:
    return list((place.root / ".hubtool").glob("temporary/**/*"))


def test_what_is_staged_is_moved_when_it_is_shown(place: FolderDestination) -> None:
    files = staged(place)
    assert len(files) == len(FILES) > 3
    with place.claim(UNIT) as claim:
        assert claim is not None
        assert all(claim.add(one, move=True) for one in files)
        assert place.blobs(UNIT) == {}  # nothing is visible before it is flushed
        claim.settle()
        assert not claim.add(files[0], move=True)
    assert place.blobs(UNIT) == {digest: len(text) for digest, text in FILES.items()}
    assert not any(one.path.exists() for one in files)
    assert temporary(place) == []


def test_what_was_not_shown_is_still_staged(place: FolderDestination) -> None:
    files = staged(place)

    class EndedError(Exception):
        pass

    def broken_off() -> None:
        with place.claim(UNIT) as claim:
            assert claim is not None
            claim.add(files[0], move=True)
            claim.add(files[1])  # a copy, of which nothing must stay
            raise EndedError

    with pytest.raises(EndedError):
        broken_off()
    assert place.blobs(UNIT) == {}
    assert all(one.path.read_bytes() == FILES[one.digest] for one in files)
    assert temporary(place) == []
    staging = place.staging(place.root)
    assert staging.find(Digest(files[0].digest)) == files[0]


def test_a_staged_file_that_is_gone_is_an_error(place: FolderDestination) -> None:
    files = staged(place)
    files[0].path.unlink()
    with place.claim(UNIT) as claim:
        assert claim is not None
        with pytest.raises(MirrorError):
            claim.add(files[0], move=True)
        claim.add(files[1], move=True)
        files[1].path.unlink()
        with pytest.raises(MirrorError):
            claim.settle()
    assert place.blobs(UNIT) == {}


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 5, (3 << 20) - 1])
def test_a_copy_has_every_byte(place: FolderDestination, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    digest = hashlib.sha256(content).hexdigest()
    file = stored(Store(tmp_path / "home"), content)
    with place.claim(digest[:2]) as claim:
        assert claim is not None
        assert claim.add(file)
        claim.settle()
    assert (place.root / "blobs" / "sha256" / digest[:2] / digest).read_bytes() == content
