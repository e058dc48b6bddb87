"""Cards and assets as mirrors list them. Mirrors are not trusted: all bytes are hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import model
from hubtool.card import status as statuses
from hubtool.errors import FetchError
from hubtool.mirror import index
from hubtool.mirror.layout import INDEX, blob_name, card_name
from hubtool.registry.entry import digest_of
from hubtool.registry.published import index as published_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.card.model import Asset
    from hubtool.card.status import Status
    from hubtool.mirror.index import ListedCard
    from hubtool.registry.published.index import PublishedIndex
    from hubtool.transfer.mirrors import Mirror


class MirrorReader:
    """Reads cards and indexes of the mirrors of a run; a mirror that failed once is not asked again.

    Attributes:
        failures: The error of each mirror that failed, by its name.
        statuses: The status of each card that has one on a mirror, by its UID.
    """

    def __init__(self, mirrors: Sequence[Mirror], *, offline: bool) -> None:
        self._mirrors = [one for one in mirrors if one.is_local or not offline]
        self._indexes: dict[str, PublishedIndex | None] = {}
        self._shards: dict[tuple[str, str], dict[str, ListedCard]] = {}
        self.failures: dict[str, str] = {}
        self.statuses: dict[str, Status | None] = {}

    def card(self, uid: str, digest: str) -> tuple[bytes | None, list[str]]:
        """Return the card with this digest from the first mirror that has it, and notes on those with another card."""
        others: list[str] = []
        for mirror in self._mirrors:
            for name in (card_name(uid), blob_name(digest)):
                data = self._read(mirror, name, documents.MAX_BYTES)
                if data is None:
                    continue
                if digest_of(data) == digest:
                    return data, others
                # The card was deprecated or withdrawn after it was pinned; without that entry it is the right one.
                if digest_of(bare := statuses.without_status(data)) == digest:
                    self.statuses[uid] = model.read(data).status
                    return bare, others
                others.append(f"{mirror.name} has a card with the SHA-256 {digest_of(data)}")
        return None, others

    def asset(self, uid: str, asset: Asset) -> tuple[str, int] | None:
        """Return the whole digest and size of an asset from a mirror's index, or None."""
        for mirror in self._mirrors:
            listed = self._shard(mirror, uid).get(uid)
            for one in listed.assets if listed is not None else ():
                # In another version of the card, it can be another file.
                same = one.link == asset.link and asset.digest is not None and asset.digest.matches(one.digest)
                if same and one.size is not None:
                    return one.digest, one.size
        return None

    def _shard(self, mirror: Mirror, uid: str) -> dict[str, ListedCard]:
        if mirror.base not in self._indexes:
            self._indexes[mirror.base] = published_index.read_index(self._read(mirror, INDEX, index.MAX_BYTES))
        head = self._indexes[mirror.base]
        if head is None:
            return {}
        name = published_index.shard_name(uid, head.width)
        if (mirror.base, name) not in self._shards:
            shard = next((one for one in head.shards if one.name == name), None)
            data = None if shard is None else self._read(mirror, shard.path, index.MAX_BYTES)
            cards = index.parse_cards(data, shard)[0] if shard is not None and data is not None else []
            self._shards[mirror.base, name] = {one.uid: one for one in cards}
        return self._shards[mirror.base, name]

    def _read(self, mirror: Mirror, name: str, limit: int) -> bytes | None:
        if mirror.name in self.failures:
            return None
        try:
            return mirror.small(name, limit)
        except FetchError as error:
            self.failures[mirror.name] = error.message
            return None
