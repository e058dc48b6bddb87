"""Numbers with what they count, and sizes, as commands print them."""

from __future__ import annotations

import pytest

from hubtool.cli import render


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 cards"), (1, "1 card"), (2, "2 cards"), (2906, "2,906 cards"), (1001, "1,001 cards")]
)
def test_numbers_and_nouns(number: int, text: str) -> None:
    assert render.count(number, "card") == text


def test_nouns_of_their_own() -> None:
    assert render.count(1, "registry", "registries") == "1 registry"
    assert render.count(3, "registry", "registries") == "3 registries"


def test_sizes() -> None:
    sizes = (None, 0, 1, 2, 1023, 1024, 423_000_000)
    assert [render.size(size) for size in sizes] == [
        "size not stated", "0 bytes", "1 byte", "2 bytes", "1023 bytes", "1.0 KiB", "403.4 MiB",
    ]  # fmt: skip
