"""A registry that is served as static files, read over HTTP(S)."""

from __future__ import annotations

import json
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from hubtool import files, ownership
from hubtool.card import document as documents
from hubtool.card import model
from hubtool.card.status import WITHDRAWN
from hubtool.errors import CardError, FetchError, OfflineError, RegistryWarning, RollbackError
from hubtool.registry import publishers
from hubtool.registry.changes import Changes
from hubtool.registry.entry import CardEntry, core_of, digest_of
from hubtool.registry.http import RegistryClient
from hubtool.registry.published.index import (
    INDEX,
    MAX_CARDS,
    MAX_INDEX_BYTES,
    PublishedIndex,
    Shard,
    json_bytes,
    read_index,
    shard_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.links import LinkPolicy
    from hubtool.registry.sources import RegistrySource
    from hubtool.uid import Uid

_MAX_SYNC_SECONDS = 900.0
# A registry that failed is not asked again by each command; `hubtool registry sync` asks it at once.
_REST_SECONDS = 300.0
_SEEN, _HELD, _FAILED = "seen.json", "held.json", "failed.json"


# -- writing --------------------------------------------------------------------------------------------------------


# -- reading --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _cached_index(path: Path, *_stamp: int) -> PublishedIndex | None:
    return read_index(ownership.read_own(path))


@lru_cache(maxsize=8)
def _cached_held(path: Path, *_stamp: int) -> dict[str, CardEntry]:
    try:
        entries = [CardEntry.of_json(one) for one in json.loads(ownership.read_own(path) or b"[]")]
    except (ValueError, RecursionError, TypeError):
        return {}
    return {str(one.uid): one for one in entries if one is not None}


@lru_cache(maxsize=16)
def _cached_shard(path: Path, digest: str, *_stamp: int) -> dict[str, CardEntry]:
    entries = [CardEntry.of_json(item) for item in _items(path, digest)]
    return {str(one.uid): one for one in entries if one is not None}


def _items(path: Path, digest: str) -> list[object]:
    data = ownership.read_own(path)
    if data is None or digest_of(data) != digest:
        return []
    try:
        cards = json.loads(data)["cards"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return []
    return cards if isinstance(cards, list) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSync:
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

    def sync(self, *, allow_rollback: bool = False, accept_changes: bool = False) -> PublishedSync:
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
        client = RegistryClient(self.policy)
        came = 0
        deadline = time.monotonic() + _MAX_SYNC_SECONDS
        try:
            for shard in index.shards:
                if self._shard_path(shard).is_file():
                    continue
                if time.monotonic() > deadline:
                    raise FetchError(
                        f"{self.source.location}: its index did not come within {_MAX_SYNC_SECONDS:g} seconds",
                        hint="try again later: downloaded shards are kept",
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
        return PublishedSync(serial=index.serial, cards=index.cards, shards=came, changed=changed, changes=changes)

    def check(self, *, allow_rollback: bool = False) -> tuple[PublishedIndex, bool]:
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

    def _fetch_index(self, *, allow_rollback: bool) -> tuple[PublishedIndex, bytes | None, str | None]:
        """Return the index of today, and if it changed its bytes and entity tag."""
        if self.offline:
            raise OfflineError(
                f"{self.source.location} cannot be fetched: the network may not be used", hint="unset HUBTOOL_OFFLINE"
            )
        path = self.folder / INDEX
        client = RegistryClient(self.policy)
        try:
            kept = ownership.read_own(path)
            old = read_index(kept)
            etag = self._etag(path) if old else None
            with self._noting_failure():
                answer = client.get(_join(self.source.location, INDEX), limit=MAX_INDEX_BYTES, etag=etag)
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

    def _refuse_rollback(self, old: PublishedIndex, new: PublishedIndex) -> None:
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

    def _compare(self, after: Iterator[CardEntry], client: RegistryClient, *, accept: bool) -> Changes:
        """Tell what changed since the last sync, and note which earlier cards stay in use.

        A card that loads or runs something else than the one that was seen before under its UID is another card. Text
        may be corrected, and a card may be withdrawn, at any time.
        """
        known, gone = self._seen()
        first = not known
        found: dict[str, list[str]] = {key: [] for key in Changes.__slots__}
        held: dict[str, CardEntry] = {}
        there = set()
        for new in after:
            uid = str(new.uid)
            there.add(uid)
            if len(there) > MAX_CARDS:
                raise FetchError(
                    f"{self.source.location} lists more than {MAX_CARDS:,} cards", hint="ask its publisher"
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
        self._keep(self.folder / _SEEN, json_bytes(seen))
        self._keep(self.folder / _HELD, json_bytes([one.as_published() for one in held.values()]))
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

    def _try(self, entry: CardEntry, client: RegistryClient) -> bytes | None:
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
        client = RegistryClient(self.policy)
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
                    path,
                    json_bytes({"time": time.time(), "message": error.message[:1000]}),
                    durable=False,
                    parents=True,
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
        """Return why a card is not used, whether it is there or not; None if it may be."""
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
        path = self._shard_path(shard)
        try:
            stat = path.stat()
        except OSError:
            return False, None
        entry = _cached_shard(path, shard.digest, stat.st_mtime_ns, stat.st_size, stat.st_ino).get(str(uid))
        return True, None if entry is None else self._held().get(str(uid), entry)

    def _read_shard(self, shard: Shard, *, held: bool = True) -> list[CardEntry]:
        stay = self._held() if held else {}
        entries = [CardEntry.of_json(item) for item in _items(self._shard_path(shard), shard.digest)]
        return [stay.get(str(entry.uid), entry) for entry in entries if entry is not None]

    def _index(self) -> PublishedIndex | None:
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
