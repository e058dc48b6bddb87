"""Pieces of one file: who brings what when a server turns the further connections away."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.errors import FetchError
from hubtool.store.partial_file import PartialFile
from hubtool.store.store import Store
from hubtool.transfer.limits import ConnectionLimit
from hubtool.transfer.segments import MIN_PIECE_BYTES, Piece, Segments

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * (3 * MIN_PIECE_BYTES // 256)
BLOCK = 1 << 20


@pytest.fixture
def part(tmp_path: Path) -> PartialFile:
    digest = Digest(hashlib.sha256(CONTENT).hexdigest())
    part = PartialFile(
        Store(tmp_path), digest, source="the test", size=len(CONTENT), limit=len(CONTENT), exclusive=True
    )
    part.expect(len(CONTENT))
    return part


def bring_nothing(_piece: Piece, _pieces: Segments) -> None:
    raise FetchError("turned away")


def write(pieces: Segments, piece: Piece) -> None:
    while piece.at < piece.end:
        pieces.write(piece, CONTENT[piece.at : piece.at + BLOCK])


def test_the_first_connection_takes_over_what_a_helper_has_not_begun(part: PartialFile) -> None:
    # How long a server takes to turn a helper away must not decide whether the file arrives.
    pieces = Segments(part, size=len(CONTENT), bring=bring_nothing, connections=ConnectionLimit(4))
    first, helpers = pieces.take(), pieces.take()
    assert first is not None
    assert helpers is not None
    write(pieces, first)
    assert pieces.extend(first)
    assert first.end == 2 * MIN_PIECE_BYTES
    assert pieces.write(helpers, CONTENT[helpers.at : helpers.at + BLOCK]) == 0
    pieces.give_back(helpers)
    write(pieces, first)
    assert pieces.extend(first)
    write(pieces, first)
    assert not pieces.extend(first)
    assert pieces.take() is None
    assert not pieces.wait()
    assert part.commit().path.read_bytes() == CONTENT


def test_what_a_helper_has_begun_stays_its_own(part: PartialFile) -> None:
    pieces = Segments(part, size=len(CONTENT), bring=bring_nothing, connections=ConnectionLimit(4))
    first, helpers = pieces.take(), pieces.take()
    assert first is not None
    assert helpers is not None
    pieces.write(helpers, CONTENT[helpers.at : helpers.at + BLOCK])
    write(pieces, first)
    assert not pieces.extend(first)
    write(pieces, helpers)
    assert pieces.extend(helpers)
    write(pieces, helpers)
    assert part.commit().path.read_bytes() == CONTENT
