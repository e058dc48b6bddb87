"""A registry as static files, which any web server or object store can serve; written here, and read over HTTP(S).

::

    index.json                     how many cards there are, and the list of the shards
    index/<shard>-<digest>.json    what lists and searches say of a part of the cards
    cards/<uid>.md                 the cards, and beside them the assets that they name by relative links

A card's shard is told by the first hexadecimal digits of the SHA-256 of its UID; there are as many shards as it takes
for each to have some hundred cards. A shard's name has its digest: shards never change, and a client fetches those that
it does not have. The index comes last and names only what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin

from hubtool.assets import disk
from hubtool.card import document as documents
from hubtool.card import model
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, CardError, FetchError, OfflineError
from hubtool.registry.entry import Entry, digest_of
from hubtool.registry.folder import FolderRegistry
from hubtool.registry.http import Client
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hubtool.assets.links import LinkPolicy
    from hubtool.card.model import Asset, Card
    from hubtool.registry.sources import Source

VERSION = 1
INDEX = "index.json"
# So many cards are in a shard at most, on average: a client that wants one card's facts fetches no more than these.
_SHARD_CARDS = 512
_MAX_WIDTH = 6
_MAX_INDEX = 64 << 20
_SHARD = re.compile(r"(?P<name>all|[0-9a-f]{1,6})-(?P<digest>[0-9a-f]{16})\.json\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One part of a published index: its name, file, digest, and how many bytes and cards it has."""

    name: str
    path: str
    digest: str
    size: int
    cards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication wrote.

    Attributes:
        cards: How many cards the registry has.
        written: How many files were new or changed.
        removed: How many files were removed, because no card names them any more.
        passed_over: The UIDs of cards that cannot be read as cards, or whose assets beside them are not those they
            name, and why.
    """

    cards: int
    written: int
    removed: int
    passed_over: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool registry publish --json`` prints."""
        return {
            "cards": self.cards,
            "written": self.written,
            "removed": self.removed,
            "passed_over": [{"uid": uid, "reason": reason} for uid, reason in self.passed_over],
        }


# -- writing --------------------------------------------------------------------------------------------------------


def publish(folder: Path, to: Path) -> Published:
    """Write a registry folder as static files. The index comes last; a run that is killed leaves the old one valid.

    Args:
        folder: The registry.
        to: Where the files go; made if it is not there.

    Raises:
        ArgumentError: If the registry is not a folder, or one of the two is within the other.
        StoreError: If a file cannot be written.
    """
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder", hint="give the folder of a registry")
    source, target = folder.resolve(), to.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise ArgumentError(f"{to} and {folder} are within each other", hint="publish to a folder of its own")
    try:
        return _Publication(FolderRegistry(folder), to).run()
    except OSError as error:
        raise disk.store_error(error, to) from error


@dataclass(slots=True)
class _Publication:
    registry: FolderRegistry
    to: Path
    written: int = 0
    keep: set[str] = field(default_factory=set)
    passed_over: list[tuple[str, str]] = field(default_factory=list)

    def run(self) -> Published:
        """Write assets and cards, then the shards, then the index; then remove what nothing names any more."""
        uids = sorted(map(str, self.registry.uids()))
        width = width_for(len(uids))
        by_shard: dict[str, list[str]] = {}
        for uid in uids:
            by_shard.setdefault(shard_name(uid, width), []).append(uid)
        shards = [shard for name in sorted(by_shard) if (shard := self._shard(name, by_shard[name]))]
        old = {shard.path for shard in (read_index(_bytes(self.to / INDEX)) or Index()).shards}
        # What the index names is on the disk before the index is: not one by one, which takes ten times as long.
        if hasattr(os, "sync"):
            os.sync()
        self._put(INDEX, index_bytes(shards, width))
        # A client that has just read the old index still finds the old shards; those before them go.
        return Published(
            cards=sum(shard.cards for shard in shards),
            written=self.written,
            removed=self._remove(old),
            passed_over=tuple(self.passed_over),
        )

    def _shard(self, name: str, uids: list[str]) -> Shard | None:
        entries = [entry for uid in uids if (entry := self._card(Uid.parse(uid)))]
        if not entries:
            return None
        shard, data = shard_bytes(name, [entry.as_json() for entry in entries])
        self._put(shard.path, data)
        return shard

    def _card(self, uid: Uid) -> Entry | None:
        try:
            path = self.registry.path(uid)
            data = b"" if path is None else path.read_bytes()[: documents.MAX_BYTES + 1]
            card = model.read(data, uid=uid, path=path)
            for asset in card.assets:
                if asset.is_local:
                    self._asset(asset, uid)
        except CardError as error:
            self.passed_over.append((str(uid), error.message))
            return None
        self._put(f"cards/{uid}.md", data)
        return Entry.of_card(card, uid, digest_of(data))

    def _asset(self, asset: Asset, uid: Uid) -> None:
        relative = PurePosixPath(uid.path).parent / unquote(asset.link)
        path = self.registry.root / relative
        if ".." in relative.parts or relative.is_absolute() or not path.is_file():
            raise CardError(f"the asset {asset.link!a} is not beside the card")
        if not path.resolve().is_relative_to(self.registry.root.resolve()):
            raise CardError(f"the asset {asset.link!a} is a link that leads out of the registry")
        if asset.digest is None or not asset.digest.matches(digest_file(path)):
            raise CardError(f"the asset {asset.link!a} has not the digest that the card states")
        name = f"cards/{relative}"
        self.keep.add(name)
        target = self.to / name
        if not target.is_file() or digest_file(target) != digest_file(path):
            self._put(name, path.read_bytes())

    def _put(self, name: str, data: bytes) -> None:
        self.keep.add(name)
        path = self.to / name
        if _bytes(path) == data:
            return  # its time stays, and with it the entity tag that servers make from it
        put(path, data)
        self.written += 1

    def _remove(self, old: set[str]) -> int:
        removed = 0
        for folder in ("cards", "index"):
            for path in sorted((self.to / folder).rglob("*")):
                name = path.relative_to(self.to).as_posix()
                if path.is_file() and name not in self.keep and name not in old:
                    path.unlink()
                    removed += 1
        return removed


def width_for(cards: int) -> int:
    """Return how many digits name a shard where there are so many cards."""
    width = 0
    while cards > _SHARD_CARDS * 16**width and width < _MAX_WIDTH:
        width += 1
    return width


def shard_bytes(name: str, cards: Sequence[Mapping[str, object]]) -> tuple[Shard, bytes]:
    """Return a shard and its bytes.

    Args:
        name: Its name, as :func:`shard_name` gives it.
        cards: The members of each card, in order of UIDs.
    """
    # One card a line: that reads well, and is written ten times as fast as with an indent.
    lines = ",\n".join(json.dumps(card, ensure_ascii=False, sort_keys=True) for card in cards)
    data = f'{{"version": {VERSION}, "cards": [\n{lines}\n]}}\n'.encode()
    digest = digest_of(data)
    path = f"index/{name}-{digest[:16]}.json"
    return Shard(name=name, path=path, digest=digest, size=len(data), cards=len(cards)), data


def index_bytes(shards: Sequence[Shard], width: int) -> bytes:
    """Return the bytes of an index of shards, which are given in order of names."""
    return _json(
        {
            "version": VERSION,
            "cards": sum(shard.cards for shard in shards),
            "width": width,
            "shards": [
                {"name": one.name, "path": one.path, "digest": one.digest, "size": one.size, "cards": one.cards}
                for one in shards
            ],
        }
    )


def shard_name(uid: str, width: int) -> str:
    """Return the name of the shard that a card is in."""
    return hashlib.sha256(uid.encode("utf-8")).hexdigest()[:width] or "all"


def put(path: Path, data: bytes) -> None:
    """Write a file so that nobody sees half of it.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        stream = disk.create(temporary)
        with stream:
            disk.write_all(stream, data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


# -- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What an index says: how many cards there are, how many digits name a shard, and the shards."""

    cards: int = 0
    width: int = 0
    shards: tuple[Shard, ...] = ()


def read_index(data: bytes | None) -> Index | None:
    """Read an index, which may come from anywhere; None if it is not one of this version."""
    try:
        value = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return None
    width, cards, listed = value.get("width"), value.get("cards"), value.get("shards")
    if not isinstance(width, int) or not 0 <= width <= _MAX_WIDTH or not isinstance(listed, list):
        return None
    shards = []
    for item in listed:
        if not isinstance(item, dict):
            return None
        name, path, digest, size, count = (item.get(key) for key in ("name", "path", "digest", "size", "cards"))
        if not isinstance(name, str) or not isinstance(path, str) or not isinstance(digest, str):
            return None
        match = _SHARD.match(path.removeprefix("index/"))
        if not match or match["name"] != name or not _HEX64.match(digest) or match["digest"] != digest[:16]:
            return None
        if not isinstance(size, int) or not isinstance(count, int):
            return None
        shards.append(Shard(name=name, path=path, digest=digest, size=size, cards=count))
    return Index(cards=cards if isinstance(cards, int) else 0, width=width, shards=tuple(shards))


@lru_cache(maxsize=8)
def _cached_index(path: Path, *_stamp: int) -> Index | None:
    return read_index(_bytes(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync brought.

    Attributes:
        cards: How many cards the registry has.
        shards: How many shards came.
        changed: Whether its index has changed.
    """

    cards: int
    shards: int
    changed: bool


@dataclass(frozen=True, slots=True)
class PublishedRegistry:
    """A published registry, and what of it is kept here.

    A card that is asked for by its UID is fetched alone. Once the index has been synced, what it says decides which
    cards there are and whether those kept here are the current ones, without asking again; before that, a card kept
    here is asked for again by its entity tag.

    Attributes:
        source: Where it is.
        folder: Where what was fetched is kept.
        policy: Which hosts may be asked.
        offline: Whether the network may not be used.
    """

    source: Source
    folder: Path
    policy: LinkPolicy
    offline: bool = False

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.source.name

    @property
    def key(self) -> str:
        """What tells this registry from others in the index."""
        return f"published {self.folder}"

    @property
    def root(self) -> None:
        """None: the links of its cards' assets are made absolute when they are read."""
        return

    def sync(self) -> Synced:
        """Fetch the index, and the shards that are not here yet.

        Raises:
            OfflineError: If the network may not be used.
            FetchError: If the registry cannot be reached, or is none.
            StoreError: If what came cannot be kept.
        """
        index, changed = self.check()
        client = Client(self.policy)
        came = 0
        try:
            for shard in index.shards:
                if self._shard_path(shard).is_file():
                    continue
                data = client.get(_join(self.source.location, shard.path), limit=_MAX_INDEX).data
                if digest_of(data) != shard.digest:
                    raise FetchError(
                        f"{self.source.location}{shard.path} has not the digest that the index states",
                        hint="the registry is being published, or a proxy changes files: try again",
                    )
                self._keep(self._shard_path(shard), data)
                came += 1
        finally:
            client.close()
        current = {self._shard_path(shard).name for shard in index.shards}
        for path in (self.folder / "index").glob("*.json"):
            if path.name not in current:
                with suppress(OSError):
                    path.unlink()
        return Synced(cards=index.cards, shards=came, changed=changed)

    def check(self) -> tuple[Index, bool]:
        """Fetch the index if it has changed; return it, and whether it has.

        Raises:
            OfflineError: If the network may not be used.
            FetchError: If the registry cannot be reached, or is none.
            StoreError: If it cannot be kept.
        """
        if self.offline:
            raise OfflineError(
                f"{self.source.location} cannot be fetched: the network may not be used", hint="unset HUBTOOL_OFFLINE"
            )
        path = self.folder / INDEX
        client = Client(self.policy)
        try:
            kept = _bytes(path)
            etag = self._etag(path) if read_index(kept) else None
            answer = client.get(_join(self.source.location, INDEX), limit=_MAX_INDEX, etag=etag)
        finally:
            client.close()
        data = kept if answer.status == 304 else answer.data
        index = read_index(data)
        if index is None or data is None:
            raise FetchError(
                f"{self.source.location} is not a published registry: its {INDEX} is missing or of another version",
                hint="give the address of the folder that 'hubtool registry publish' wrote; for git, end it in .git",
            )
        if data != kept:
            self._keep(path, data, answer.etag)
        return index, data != kept

    def synced(self) -> int | None:
        """Return how many cards the index has that was fetched last, or None before the first."""
        index = self._index()
        return None if index is None else index.cards

    def read(self, uid: Uid) -> Card | None:
        """Return a card, fetched if it is not here or not the current one.

        Raises:
            CardError: If it cannot be read as a card.
            OfflineError: If it is not here, and the network may not be used.
            FetchError: If it cannot be fetched.
        """
        path = self._card_path(uid)
        kept = _bytes(path)
        known, digest = self._known(uid)
        if known and digest is None:
            return None
        if kept is not None and (self.offline or digest_of(kept) == digest):
            return self._card(uid, kept)
        if self.offline:
            if digest is None:
                return None
            raise OfflineError(
                f"the card {uid} of the registry {self.name} is not here, and the network may not be used",
                hint="run the command once where HUBTOOL_OFFLINE is not set",
            )
        data = self._fetch(uid, path, kept, digest)
        return None if data is None else self._card(uid, data)

    def _fetch(self, uid: Uid, path: Path, kept: bytes | None, digest: str | None) -> bytes | None:
        client = Client(self.policy)
        try:
            etag = self._etag(path) if kept is not None else None
            answer = client.get(self._link(uid), limit=documents.MAX_BYTES, etag=etag)
        except FetchError:
            # Nothing says that what is kept is out of date; a registry that is down must not take it away.
            if kept is not None and digest is None:
                return kept
            raise
        finally:
            client.close()
        if answer.status == 304:
            return kept
        if answer.status == 404:
            return None
        if digest is not None and digest_of(answer.data) != digest:
            raise FetchError(
                f"the card {uid} of the registry {self.name} is not the one that its index states",
                hint=f"it was published anew: run 'hubtool registry sync {self.name}'",
            )
        self._keep(path, answer.data, answer.etag)
        return answer.data

    def _card(self, uid: Uid, data: bytes) -> Card:
        card = model.read(data, uid=uid, path=self._card_path(uid))
        link = self._link(uid)
        # What an index of a mirror says of a short digest is not taken: only the card's own link completes it.
        assets = (replace(one, link=_join(link, one.link)) if one.is_local else one for one in card.assets)
        return replace(card, assets=tuple(assets))

    def digest(self, uid: Uid) -> str | None:
        """Return the digest of a card if that is known here, without the network; else None."""
        known, digest = self._known(uid)
        if known:
            return digest
        kept = _bytes(self._card_path(uid))
        return None if kept is None else digest_of(kept)

    def uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards that are known here, without the network."""
        for group, _ in self.groups():
            for entry in self.entries(group):
                yield entry.uid

    def groups(self) -> Iterator[tuple[str, str]]:
        """Yield the shards that are here, with their digests."""
        index = self._index()
        for shard in index.shards if index else ():
            if self._shard_path(shard).is_file():
                yield shard.name, shard.digest

    def entries(self, group: str) -> list[Entry]:
        """Return the entries of a shard."""
        index = self._index()
        shard = next((one for one in index.shards if one.name == group), None) if index else None
        return [] if shard is None else self._read_shard(shard)

    def _known(self, uid: Uid) -> tuple[bool, str | None]:
        """Return whether the index here says which cards there are, and the digest that it states for one."""
        index = self._index()
        if index is None:
            return False, None
        name = shard_name(str(uid), index.width)
        shard = next((one for one in index.shards if one.name == name), None)
        if shard is None:
            return True, None
        if not self._shard_path(shard).is_file():
            return False, None
        found = (entry.digest for entry in self._read_shard(shard) if entry.uid == uid)
        return True, next(found, None)

    def _read_shard(self, shard: Shard) -> list[Entry]:
        entries = [Entry.of_json(item) for item in self._items(shard)]
        return [entry for entry in entries if entry is not None]

    def _items(self, shard: Shard) -> list[object]:
        data = _bytes(self._shard_path(shard))
        if data is None or digest_of(data) != shard.digest:
            return []
        try:
            cards = json.loads(data)["cards"]
        except (ValueError, RecursionError, KeyError, TypeError):
            return []
        return cards if isinstance(cards, list) else []

    def _index(self) -> Index | None:
        path = self.folder / INDEX
        try:
            stat = path.stat()
        except OSError:
            return None
        return _cached_index(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def _link(self, uid: Uid) -> str:
        return _join(self.source.location, "cards/" + quote(str(uid.path), safe="/+"))

    def _card_path(self, uid: Uid) -> Path:
        return self.folder / "cards" / uid.path

    def _shard_path(self, shard: Shard) -> Path:
        return self.folder / shard.path

    def _etag(self, path: Path) -> str | None:
        data = _bytes(path.with_name(f"{path.name}.etag"))
        return None if data is None else data.decode("latin-1")

    def _keep(self, path: Path, data: bytes, etag: str | None = None) -> None:
        tag = path.with_name(f"{path.name}.etag")
        try:
            # Without the tag first, a run that is killed in between would keep the old tag for the new bytes.
            tag.unlink(missing_ok=True)
            put(path, data)
            if etag:
                put(tag, etag.encode("latin-1", "replace"))
        except OSError as error:
            raise disk.store_error(error, path) from error


def _join(base: str, name: str) -> str:
    """Return the link that a name means beside another one; what it was not made for, urljoin gives back as it is."""
    scheme, mark, rest = base.partition("://")
    if scheme != "s3":
        return urljoin(base, name)
    joined = urljoin(f"https://{rest}", name)
    # An asset may have a link of its own, with its own scheme.
    return f"{scheme}{mark}{joined.removeprefix('https://')}" if "://" not in name else name
