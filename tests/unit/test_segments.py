"""Pieces of one file: who brings what when a server turns the further connections away."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.errors import FetchError
from hubtool.store.partial_file import Part
from hubtool.store.store import Store
from hubtool.transfer.limits import Slots
from hubtool.transfer.segments import SMALLEST, Piece, Segments

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * (3 * SMALLEST // 256)
BLOCK = 1 << 20


@pytest.fixture
def part(tmp_path: Path) -> Part:
    digest = Digest(hashlib.sha256(CONTENT).hexdigest())
    part = Part(Store(tmp_path), digest, source="the test", size=len(CONTENT), limit=len(CONTENT), sure=True)
    part.expect(len(CONTENT))
    return part


def bring_nothing(_piece: Piece, _pieces: Segments) -> None:
    raise FetchError("turned away")


def write(pieces: Segments, piece: Piece) -> None:
    while piece.at < piece.end:
        pieces.write(piece, CONTENT[piece.at : piece.at + BLOCK])


def test_the_first_connection_takes_over_what_a_helper_has_not_begun(part: Part) -> None:
    # How long a server takes to turn a helper away must not decide whether the file arrives.
    pieces = Segments(part, size=len(CONTENT), speed=1.0, bring=bring_nothing, slots=Slots(4))
    first, helpers = pieces.take(), pieces.take()
    assert first is not None
    assert helpers is not None
    write(pieces, first)
    assert pieces.extend(first)
    assert first.end == 2 * SMALLEST
    assert pieces.write(helpers, CONTENT[helpers.at : helpers.at + BLOCK]) == 0
    pieces.give_back(helpers)
    write(pieces, first)
    assert pieces.extend(first)
    write(pieces, first)
    assert not pieces.extend(first)
    assert pieces.take() is None
    assert not pieces.wait()
    assert part.commit().path.read_bytes() == CONTENT


def test_what_a_helper_has_begun_stays_its_own(part: Part) -> None:
    pieces = Segments(part, size=len(CONTENT), speed=1.0, bring=bring_nothing, slots=Slots(4))
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
