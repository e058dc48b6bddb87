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
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin

from hubtool import files, mismatch, ownership, regular
from hubtool.card import document as documents
from hubtool.card import empty_folder, model
from hubtool.card.status import WITHDRAWN
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, CardError, FetchError, OfflineError, RegistryWarning, RollbackError
from hubtool.links import scheme_of
from hubtool.registry import publishers
from hubtool.registry.changes import Changes
from hubtool.registry.entry import CardEntry, core_of, digest_of
from hubtool.registry.folder import FolderRegistry
from hubtool.registry.http import Client
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Asset, Card
    from hubtool.links import LinkPolicy
    from hubtool.registry.sources import RegistrySource

VERSION = 1
INDEX = "index.json"
# So many cards are in a shard at most, on average: a client that wants one card's facts fetches no more than these.
_SHARD_CARDS = 512
_MAX_WIDTH = 3
# A reader refuses what is larger before it reads on; the public hub has 3,000 cards.
_MAX_INDEX_BYTES = 2 << 20
_MAX_SHARD_BYTES = 16 << 20
_MAX_ALL_SHARDS_BYTES = 256 << 20
_MAX_CARDS = 200_000
_MAX_SERIAL = (1 << 63) - 1
_MAX_SYNC_SECONDS = 900.0
# A registry that failed is not asked again by each command; `hubtool registry sync` asks it at once.
_REST_SECONDS = 300.0
_SEEN, _HELD, _FAILED = "seen.json", "held.json", "failed.json"
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
        serial: The serial of its index.
        cards: How many cards the registry has.
        written: How many files were new or changed.
        removed: How many files were removed, because no card names them any more.
        passed_over: The UIDs of cards that cannot be read as cards, or whose assets beside them are not those they
            name, and why.
    """

    serial: int
    cards: int
    written: int
    removed: int
    passed_over: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool registry publish --json`` prints."""
        return {
            "serial": self.serial,
            "cards": self.cards,
            "written": self.written,
            "removed": self.removed,
            "passed_over": [{"uid": uid, "reason": reason} for uid, reason in self.passed_over],
        }


# -- writing --------------------------------------------------------------------------------------------------------


def publish(folder: Path, to: Path, *, serial: int | None = None) -> Published:
    """Write a registry folder as static files. The index comes last; a run that is killed leaves the old one valid.

    Args:
        folder: The registry.
        to: Where the files go; made if it is not there.
        serial: The serial of the index if it changes; by default one more than that of the index that is there. A
            build that starts from an empty folder each time has to give it, because clients refuse to go back.

    Raises:
        ArgumentError: If the registry is not a folder or has no card, one of the two is within the other, or the serial
            does not rise.
        StoreError: If a file cannot be written.
    """
    if scheme_of(str(to)):
        raise ArgumentError(
            f"{str(to)[:200]!a} is a URL, and a registry is published into a folder",
            hint="publish into a folder and copy that, index.json last; or have `hubtool mirror sync s3://...` write a "
            "mirror, which clients can add as a registry too",
        )
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder", hint="give the folder of a registry")
    if not any(True for _ in FolderRegistry(folder).uids()):
        why, hint = empty_folder.explain(folder)
        raise ArgumentError(why, hint=hint)
    source, target = folder.resolve(), to.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise ArgumentError(f"{to} and {folder} are within each other", hint="publish to a folder of its own")
    try:
        return _Publication(FolderRegistry(folder), to, serial).run()
    except OSError as error:
        raise files.store_error(error, to) from error


@dataclass(slots=True)
class _Publication:
    registry: FolderRegistry
    to: Path
    serial: int | None = None
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
        before = read_index(_site_bytes(self.to / INDEX)) or Index()
        old = {shard.path for shard in before.shards}
        serial = before.serial
        if (before.width, before.shards) != (width, tuple(shards)):
            serial = before.serial + 1 if self.serial is None else self.serial
            if not before.serial < serial <= _MAX_SERIAL:
                raise ArgumentError(
                    f"the serial {serial} does not rise: the index in {self.to} has {before.serial}",
                    hint=f"give --serial {before.serial + 1} or more, or leave it out",
                )
        # What the index names is on the disk before the index is: not one by one, which takes ten times as long.
        if hasattr(os, "sync"):
            os.sync()
        self._put(INDEX, index_bytes(shards, width, serial))
        # A client that has just read the old index still finds the old shards; those before them go.
        return Published(
            serial=serial,
            cards=sum(shard.cards for shard in shards),
            written=self.written,
            removed=self._remove(old),
            passed_over=tuple(self.passed_over),
        )

    def _shard(self, name: str, uids: list[str]) -> Shard | None:
        entries = [entry for uid in uids if (entry := self._card(Uid.parse(uid)))]
        if not entries:
            return None
        shard, data = shard_bytes(name, [entry.as_published() for entry in entries])
        self._put(shard.path, data)
        return shard

    def _card(self, uid: Uid) -> CardEntry | None:
        try:
            path = self.registry.path(uid)
            data = b"" if path is None else regular.read_bytes(path, documents.MAX_BYTES + 1)
            card = model.read(data, uid=uid, path=path)
            for asset in card.assets:
                if asset.is_local:
                    self._asset(asset, uid)
        except CardError as error:
            self.passed_over.append((str(uid), error.message))
            return None
        self._put(f"cards/{uid}.md", data)
        return CardEntry.of_card(card, uid, digest_of(data))

    def _asset(self, asset: Asset, uid: Uid) -> None:
        relative = PurePosixPath(uid.path).parent / unquote(asset.link)
        path = self.registry.root / relative
        if ".." in relative.parts or relative.is_absolute() or not path.is_file():
            raise CardError(f"the asset {asset.link!a} is not beside the card")
        if not path.resolve().is_relative_to(self.registry.root.resolve()):
            raise CardError(f"the asset {asset.link!a} is a link that leads out of the registry")
        if asset.digest is None or not asset.digest.matches(digest_file(path)):
            why = mismatch.explain(path, asset.digest, asset.size)
            what = "does not match the digest on the card" if why is None else f"is {why.what}; {why.hint}"
            raise CardError(f"the asset {asset.link!a} {what}")
        name = f"cards/{relative}"
        self.keep.add(name)
        target = self.to / name
        if not target.is_file() or digest_file(target) != digest_file(path):
            self._put(name, regular.read_bytes(path))

    def _put(self, name: str, data: bytes) -> None:
        self.keep.add(name)
        path = self.to / name
        if _site_bytes(path) == data:
            return  # its time stays, and with it the entity tag that servers make from it
        files.write_atomically(path, data, durable=False, parents=True)
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


def index_bytes(shards: Sequence[Shard], width: int, serial: int) -> bytes:
    """Return the bytes of an index of shards, which are given in order of names."""
    return _json(
        {
            "version": VERSION,
            "serial": serial,
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


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")


def _site_bytes(path: Path) -> bytes | None:
    """Return what stands in a site; several people may write it."""
    try:
        return regular.read_bytes(path)
    except OSError:
        return None


# -- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What an index says: its serial, how many cards there are, how many digits name a shard, and the shards.

    The serial rises with each change. Indexes that were written before there were serials count as 0.
    """

    serial: int = 0
    cards: int = 0
    width: int = 0
    shards: tuple[Shard, ...] = ()


def read_index(data: bytes | None) -> Index | None:
    """Read an index, which may come from anywhere; None if it is not one of this version, or larger than any is."""
    if data is not None and len(data) > _MAX_INDEX_BYTES:
        return None
    try:
        value = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return None
    width, cards, listed = value.get("width"), value.get("cards"), value.get("shards")
    serial = value.get("serial", 0)
    if not isinstance(width, int) or not 0 <= width <= _MAX_WIDTH or not isinstance(listed, list):
        return None
    if not isinstance(serial, int) or isinstance(serial, bool) or not 0 <= serial <= _MAX_SERIAL:
        return None
    if len(listed) > 16**width:
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
        if not 0 <= size <= _MAX_SHARD_BYTES or not 0 <= count <= _MAX_CARDS:
            return None
        shards.append(Shard(name=name, path=path, digest=digest, size=size, cards=count))
    if len({shard.name for shard in shards}) < len(shards):
        return None
    if sum(shard.size for shard in shards) > _MAX_ALL_SHARDS_BYTES or sum(one.cards for one in shards) > _MAX_CARDS:
        return None
    return Index(serial=serial, cards=cards if isinstance(cards, int) else 0, width=width, shards=tuple(shards))


@lru_cache(maxsize=8)
def _cached_index(path: Path, *_stamp: int) -> Index | None:
    return read_index(ownership.read_own(path))


@lru_cache(maxsize=8)
def _cached_held(path: Path, *_stamp: int) -> dict[str, CardEntry]:
    try:
        entries = [CardEntry.of_json(one) for one in json.loads(ownership.read_own(path) or b"[]")]
    except (ValueError, RecursionError, TypeError):
        return {}
    return {str(one.uid): one for one in entries if one is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync brought.

    Attributes:
        serial: The serial of its index.
        cards: How many cards the registry has.
        shards: How many shards came.
        changed: Whether its index has changed.
        changes: What became of the cards that were known before.
    """

    serial: int
    cards: int
    shards: int
    changed: bool
    changes: Changes


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

    source: RegistrySource
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
        own = f"published {self.folder}"
        return f"{own} of {','.join(self.source.publishers)}" if self.source.publishers else own

    @property
    def root(self) -> None:
        """None: the links of its cards' assets are made absolute when they are read."""
        return

    def sync(self, *, allow_rollback: bool = False, accept_changes: bool = False) -> Synced:
        """Fetch the index, and the shards that are not here yet.

        Args:
            allow_rollback: Whether an index is taken that is older than the one that was seen last.
            accept_changes: Whether cards are taken that load or run something else than before under the same UID.

        Raises:
            OfflineError: If the network may not be used.
            RollbackError: If the index is older than the one that was seen last, or contradicts it.
            FetchError: If the registry cannot be reached, or is none.
            StoreError: If what came cannot be kept.
        """
        index, data, etag = self._fetch_index(allow_rollback=allow_rollback)
        client = Client(self.policy)
        came = 0
        deadline = time.monotonic() + _MAX_SYNC_SECONDS
        try:
            for shard in index.shards:
                if self._shard_path(shard).is_file():
                    continue
                if time.monotonic() > deadline:
                    raise FetchError(
                        f"{self.source.location}: its index did not come within {_MAX_SYNC_SECONDS:g} seconds",
                        hint="try again later: what came is kept",
                    )
                shard_data = client.get(_join(self.source.location, shard.path), limit=shard.size).data
                if digest_of(shard_data) != shard.digest:
                    raise FetchError(
                        f"{self.source.location}{shard.path} does not have the digest that the index states",
                        hint="the registry is being published, or a proxy changes files: try again",
                    )
                self._keep(self._shard_path(shard), shard_data)
                came += 1
            after = (one for shard in index.shards for one in self._read_shard(shard, held=False))
            changes = self._compare(after, client, accept=accept_changes)
        finally:
            client.close()
        # Last, so that a sync that ends early changes nothing.
        changed = data is not None
        if data is not None:
            self._keep(self.folder / INDEX, data, etag)
        current = {self._shard_path(shard).name for shard in index.shards}
        for path in (self.folder / "index").glob("*.json"):
            if path.name not in current:
                with suppress(OSError):
                    path.unlink()
        return Synced(serial=index.serial, cards=index.cards, shards=came, changed=changed, changes=changes)

    def check(self, *, allow_rollback: bool = False) -> tuple[Index, bool]:
        """Fetch the index if it has changed; return it, and whether it has.

        Raises:
            OfflineError: If the network may not be used.
            RollbackError: If it is older than the one that was seen last, or contradicts it.
            FetchError: If the registry cannot be reached, or is none.
            StoreError: If it cannot be kept.
        """
        index, data, etag = self._fetch_index(allow_rollback=allow_rollback)
        if data is not None:
            self._keep(self.folder / INDEX, data, etag)
        return index, data is not None

    def _fetch_index(self, *, allow_rollback: bool) -> tuple[Index, bytes | None, str | None]:
        """Return the index of today, and if it changed its bytes and entity tag."""
        if self.offline:
            raise OfflineError(
                f"{self.source.location} cannot be fetched: the network may not be used", hint="unset HUBTOOL_OFFLINE"
            )
        path = self.folder / INDEX
        client = Client(self.policy)
        try:
            kept = ownership.read_own(path)
            old = read_index(kept)
            etag = self._etag(path) if old else None
            with self._noting_failure():
                answer = client.get(_join(self.source.location, INDEX), limit=_MAX_INDEX_BYTES, etag=etag)
        finally:
            client.close()
        if answer.status == 304 and old is not None:
            return old, None, None
        index = read_index(answer.data)
        if index is None:
            raise FetchError(
                f"{self.source.location} is not a published registry: its {INDEX} is missing or of another version",
                hint="give the address of the folder that 'hubtool registry publish' wrote; for git, end it in .git",
            )
        if old is not None and not allow_rollback:
            self._refuse_rollback(old, index)
        return index, None if answer.data == kept else answer.data, answer.etag

    def _refuse_rollback(self, old: Index, new: Index) -> None:
        hint = f"ask its publisher; if this is meant: hubtool registry sync {self.name} --allow-rollback"
        if new.serial < old.serial:
            raise RollbackError(
                f"the registry {self.name} goes back: its index has the serial {new.serial}, and {old.serial} was "
                "seen before",
                hint=hint,
            )
        # Indexes from before there were serials all have 0.
        if new.serial == old.serial > 0 and (new.width, new.shards) != (old.width, old.shards):
            raise RollbackError(
                f"the registry {self.name} has two indexes with the serial {new.serial}: the one that was seen before "
                f"has other cards; each change has to raise the serial {old.serial}",
                hint=hint,
            )

    def _compare(self, after: Iterator[CardEntry], client: Client, *, accept: bool) -> Changes:
        """Tell what changed since the last sync, and note which earlier cards stay in use.

        A card that loads or runs something else than the one that was seen before under its UID is another card. Text
        may be mended, and a card may be withdrawn, at any time.
        """
        known, gone = self._seen()
        first = not known
        found: dict[str, list[str]] = {key: [] for key in Changes.__slots__}
        held: dict[str, CardEntry] = {}
        there = set()
        for new in after:
            uid = str(new.uid)
            there.add(uid)
            if len(there) > _MAX_CARDS:
                raise FetchError(
                    f"{self.source.location} lists more than {_MAX_CARDS:,} cards", hint="ask its publisher"
                )
            old = known.get(uid) or self._kept_entry(new.uid)
            known[uid] = new
            if old is None:
                if not first:
                    found["added"].append(uid)
            elif old.digest == new.digest:
                known[uid] = old
                # The index said of these very bytes what they load: it cannot take that back.
                if old.core not in ("", new.core):
                    held[uid] = old
                if uid in gone:
                    found["back"].append(uid)
            else:
                core = old.core or self._core(self._kept(old))
                now = (new.core or self._core(self._try(new, client))) if core else new.core
                moved = core not in ("", now)
                if moved and not accept:
                    known[uid] = replace(new, core=core)
                    if new.status != WITHDRAWN:
                        known[uid] = held[uid] = replace(old, core=core)
                        found["refused"].append(uid)
                        continue
                else:
                    known[uid] = replace(new, core=now)
                if WITHDRAWN in (old.status, new.status) and old.status != new.status:
                    found["withdrawn" if new.status == WITHDRAWN else "back"].append(uid)
                elif uid in gone:
                    found["back"].append(uid)
                else:
                    found["accepted" if moved else "texts"].append(uid)
        found["gone"] += known.keys() - there - gone
        seen = {"gone": sorted(known.keys() - there), "cards": [one.as_published() for one in known.values()]}
        self._keep(self.folder / _SEEN, _json(seen))
        self._keep(self.folder / _HELD, _json([one.as_published() for one in held.values()]))
        return Changes(**{key: tuple(sorted(uids)) for key, uids in found.items()})

    def _seen(self) -> tuple[dict[str, CardEntry], set[str]]:
        """Return the cards that were seen by their UIDs, as they were used last, and the UIDs that were gone then."""
        try:
            value = json.loads(ownership.read_own(self.folder / _SEEN) or b"")
            entries = [CardEntry.of_json(one) for one in value["cards"]]
            return {str(one.uid): one for one in entries if one is not None}, set(map(str, value["gone"]))
        except (ValueError, RecursionError, KeyError, TypeError):  # before the first sync by this version
            index = self._index()
            entries = [one for shard in (index.shards if index else ()) for one in self._read_shard(shard)]
            return {str(one.uid): one for one in entries if one is not None}, set()

    def _kept(self, entry: CardEntry) -> bytes | None:
        data = ownership.read_own(self._card_path(entry.uid))
        return data if data is not None and digest_of(data) == entry.digest else None

    def _kept_entry(self, uid: Uid) -> CardEntry | None:
        data = ownership.read_own(self._card_path(uid))
        try:
            return None if data is None else CardEntry.of_card(model.read(data, uid=uid), uid, digest_of(data))
        except CardError:
            return None

    @staticmethod
    def _core(data: bytes | None) -> str:
        """Return what :func:`core_of` says of a card; empty if there is none, or it cannot be read."""
        try:
            return "" if data is None else core_of(model.read(data))
        except CardError:
            return ""

    def _try(self, entry: CardEntry, client: Client) -> bytes | None:
        """Fetch a card whose index does not say what it loads; None if it is not the one that the index states."""
        try:
            data = client.get(self._link(entry.uid), limit=documents.MAX_BYTES).data
        except FetchError:
            return None
        return data if digest_of(data) == entry.digest else None

    def _held(self) -> dict[str, CardEntry]:
        """Return the cards that stay in use although the registry has others now, by UID."""
        path = self.folder / _HELD
        try:
            stat = path.stat()
        except OSError:
            return {}
        return _cached_held(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)

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
        if self.objection(uid) is not None:
            return None
        path = self._card_path(uid)
        kept = ownership.read_own(path)
        known, entry = self._known(uid)
        digest, core = (None, "") if entry is None else (entry.digest, entry.core)
        if known and digest is None:
            return None
        if kept is not None and (self.offline or digest_of(kept) == digest):
            return self._card(uid, kept, core if digest_of(kept) == digest else "")
        if self.offline:
            if digest is None:
                return None
            raise OfflineError(
                f"the card {uid} of the registry {self.name} is not here, and the network may not be used",
                hint="run the command once where HUBTOOL_OFFLINE is not set",
            )
        data = self._fetch(uid, path, kept, digest)
        return None if data is None else self._card(uid, data, core)

    def _fetch(self, uid: Uid, path: Path, kept: bytes | None, digest: str | None) -> bytes | None:
        client = Client(self.policy)
        try:
            self._check_rested()
            etag = self._etag(path) if kept is not None else None
            with self._noting_failure():
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
        if str(uid) in self._held() and digest_of(answer.data) != digest:
            raise FetchError(
                f"the card {uid} of the registry {self.name} loads or runs something else than the one that was seen "
                "before, which is not here",
                hint=f"look at it, and if it is meant: hubtool registry sync {self.name} --accept-changes",
            )
        if digest is not None and digest_of(answer.data) != digest:
            raise FetchError(
                f"the card {uid} of the registry {self.name} is not the one that its index states",
                hint=f"it was published anew: run 'hubtool registry sync {self.name}'",
            )
        if digest is None and kept is not None and self._moved(uid, kept, answer.data):
            warnings.warn(
                f"the card {uid} of the registry {self.name} loads or runs something else now than the one that was "
                f"seen before, which stays in use; to use the new one: hubtool registry sync {self.name} "
                "--accept-changes",
                RegistryWarning,
                stacklevel=2,
            )
            return kept
        self._keep(path, answer.data, answer.etag)
        return answer.data

    def _check_rested(self) -> None:
        """Refuse to ask a registry that failed a moment ago: one that is slow must not slow every command.

        Raises:
            FetchError: If it did.
        """
        try:
            failed = json.loads(ownership.read_own(self.folder / _FAILED) or b"")
            ago, message = time.time() - float(failed["time"]), str(failed["message"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return
        if 0 <= ago < _REST_SECONDS:
            raise FetchError(
                f"the registry {self.name} failed {ago:.0f} seconds ago and is not asked again yet: {message}",
                hint=f"to ask it now: hubtool registry sync {self.name}",
            )

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Note that the registry failed, or that it works again."""
        path = self.folder / _FAILED
        try:
            yield
        except FetchError as error:
            with suppress(OSError):  # where nothing can be kept, it is asked each time
                files.write_atomically(
                    path, _json({"time": time.time(), "message": error.message[:1000]}), durable=False, parents=True
                )
            raise
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def _moved(self, uid: Uid, old: bytes, new: bytes) -> bool:
        """Whether a card loads or runs something else than before; one that is withdrawn does neither."""
        before, now = model.read(old, uid=uid), model.read(new, uid=uid)
        return core_of(before) != core_of(now) and not (now.status is not None and now.status.is_withdrawn)

    def _card(self, uid: Uid, data: bytes, core: str = "") -> Card:
        card = model.read(data, uid=uid, path=self._card_path(uid))
        if core not in ("", core_of(card)):
            raise CardError(
                f"the card {uid} of the registry {self.name} loads or runs something else than its index states",
                hint="ask the publisher of the registry",
            )
        link = self._link(uid)
        # What an index of a mirror says of a short digest is not taken: only the card's own link completes it.
        assets = (replace(one, link=_join(link, one.link)) if one.is_local else one for one in card.assets)
        return replace(card, assets=tuple(assets))

    def digest(self, uid: Uid) -> str | None:
        """Return the digest of a card if that is known here, without the network; else None."""
        if self.objection(uid) is not None:
            return None
        known, entry = self._known(uid)
        if known:
            return None if entry is None else entry.digest
        kept = ownership.read_own(self._card_path(uid))
        return None if kept is None else digest_of(kept)

    def uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards that are known here, without the network."""
        for group, _ in self.groups():
            for entry in self.entries(group):
                yield entry.uid

    def groups(self) -> Iterator[tuple[str, str]]:
        """Yield the shards that are here, with their digests."""
        index = self._index()
        if index is None:
            return
        held: dict[str, list[str]] = {}
        for uid, entry in sorted(self._held().items()):
            held.setdefault(shard_name(uid, index.width), []).append(entry.digest)
        for shard in index.shards:
            if self._shard_path(shard).is_file():
                yield shard.name, ":".join([shard.digest, *held.get(shard.name, ())])

    def entries(self, group: str) -> list[CardEntry]:
        """Return the entries of a shard."""
        index = self._index()
        shard = next((one for one in index.shards if one.name == group), None) if index else None
        found = [] if shard is None else self._read_shard(shard)
        return [entry for entry in found if self.objection(entry.uid) is None]

    def objection(self, uid: Uid) -> str | None:
        """Say why a card is not used, whether it is there or not; None if it may be."""
        return publishers.objection(uid.publisher, self.source.publishers)

    def all_uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards that are known here, also of those that are not used."""
        index = self._index()
        return (entry.uid for shard in (index.shards if index else ()) for entry in self._read_shard(shard))

    def _known(self, uid: Uid) -> tuple[bool, CardEntry | None]:
        """Return whether the index here says which cards there are, and what it states of one."""
        index = self._index()
        if index is None:
            return False, None
        name = shard_name(str(uid), index.width)
        shard = next((one for one in index.shards if one.name == name), None)
        if shard is None:
            return True, None
        if not self._shard_path(shard).is_file():
            return False, None
        return True, next((entry for entry in self._read_shard(shard) if entry.uid == uid), None)

    def _read_shard(self, shard: Shard, *, held: bool = True) -> list[CardEntry]:
        stay = self._held() if held else {}
        entries = [CardEntry.of_json(item) for item in self._items(shard)]
        return [stay.get(str(entry.uid), entry) for entry in entries if entry is not None]

    def _items(self, shard: Shard) -> list[object]:
        data = ownership.read_own(self._shard_path(shard))
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
        data = ownership.read_own(path.with_name(f"{path.name}.etag"))
        return None if data is None else data.decode("latin-1")

    def _keep(self, path: Path, data: bytes, etag: str | None = None) -> None:
        tag = path.with_name(f"{path.name}.etag")
        try:
            # Without the tag first, a run that is killed in between would keep the old tag for the new bytes.
            tag.unlink(missing_ok=True)
            files.write_atomically(path, data, durable=False, parents=True)
            if etag:
                files.write_atomically(tag, etag.encode("latin-1", "replace"), durable=False, parents=True)
        except OSError as error:
            raise files.store_error(error, path) from error


def _join(base: str, name: str) -> str:
    """Return the link that a name means beside another one; what it was not made for, urljoin gives back as it is."""
    scheme, mark, rest = base.partition("://")
    if scheme != "s3":
        return urljoin(base, name)
    joined = urljoin(f"https://{rest}", name)
    # An asset may have a link of its own, with its own scheme.
    return f"{scheme}{mark}{joined.removeprefix('https://')}" if "://" not in name else name
