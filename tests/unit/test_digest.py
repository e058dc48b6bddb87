"""Digests: parsed, compared, computed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest, digest_file
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

FULL = hashlib.sha256(b"x").hexdigest()


def test_a_digest_is_lower_case_and_knows_its_length() -> None:
    assert Digest.parse(FULL.upper()) == Digest(FULL)
    assert not Digest.parse(FULL).is_short
    assert Digest.parse(FULL[:8]).is_short


@pytest.mark.parametrize("text", ["", FULL[:7], FULL + "0", "g" * 64, "0x" + FULL[:62], FULL[:32] + " " + FULL[32:63]])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        Digest.parse(text)


def test_a_short_digest_matches_what_begins_with_it() -> None:
    assert Digest.parse(FULL[:9]).matches(FULL)
    assert not Digest.parse("0" * 9).matches(FULL)
    assert not Digest.parse(FULL).matches(FULL[:63] + "x")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
def test_a_file_is_hashed_whole(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"y" * (size % 256)
    (tmp_path / "f").write_bytes(data)
    assert digest_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()
