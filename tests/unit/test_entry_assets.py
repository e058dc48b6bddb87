"""What a published index states of a card's assets: read as it was written, and not at all if any of it is damaged."""

from __future__ import annotations

import pytest

from hubtool.registry.entry import CardEntry, IndexedAsset
from hubtool.uid import Uid

DIGEST = "a" * 64
ASSETS = (IndexedAsset("x.ckpt", "b" * 64, 7), IndexedAsset("https://example.org/y", "c" * 9, None))


def test_stated_assets_are_read_as_they_were_written() -> None:
    entry = CardEntry(uid=Uid.parse("p/1/x"), digest=DIGEST, assets=ASSETS)
    found = CardEntry.of_json(entry.as_published())
    assert found is not None
    assert found.assets == ASSETS
    assert "stated" not in entry.as_json()


def test_an_older_index_states_nothing() -> None:
    found = CardEntry.of_json({"uid": "p/1/x", "digest": DIGEST})
    assert found is not None
    assert found.assets == ()


@pytest.mark.parametrize(
    "damaged",
    [
        1,
        {},
        "x",
        [1],
        [{"link": "x"}],
        [{"link": "x", "digest": "short"}],
        [{"link": 1, "digest": DIGEST}],
        [{"link": "x", "digest": DIGEST, "size": "7"}],
        [{"link": "x", "digest": DIGEST, "size": -1}],
        [{"link": "x", "digest": DIGEST}, {"link": "y", "digest": None}],
    ],
)
def test_damaged_assets_are_not_believed(damaged: object) -> None:
    found = CardEntry.of_json({"uid": "p/1/x", "digest": DIGEST, "stated": damaged})
    assert found is not None
    assert found.assets == ()
