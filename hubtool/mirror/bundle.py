"""Bundles: cards and their assets in one tar archive, to cross a gap between networks.

An archive holds a mirror in this order: blobs, cards, shards of the index, index. So a reader has verified everything
before the index lists it, and an archive that was cut off has no index.
"""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from hubtool import files as disk
from hubtool.assets import local_asset
from hubtool.card import document
from hubtool.digest import Digest
from hubtool.errors import CardError, CardNotFoundError, HubError, MirrorError, StoreError
from hubtool.mirror import cards as cards_of
from hubtool.mirror import index, layout, plan
from hubtool.mirror.index import ListedAsset, ListedCard, MirrorIndex
from hubtool.mirror.layout import INDEX, blob_name, card_name, is_index_shard, parse_blob, parse_card
from hubtool.mirror.plan import MirrorFailure, MissingAsset, WantedAsset
from hubtool.registry.entry import digest_of
from hubtool.store.store import MAX_BYTES
from hubtool.transfer.events import FetchOutcome, FetchRequest, Labels
from hubtool.transfer.fetcher import CONNECTIONS
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hubtool.hub import Hub
    from hubtool.mirror.destination import Destination
    from hubtool.store.records import Stored
    from hubtool.store.store import Store
    from hubtool.transfer.events import EventCallback
    from hubtool.transfer.fetcher import Fetcher

BLOCK_BYTES = 1 << 20
MAX_MEMBERS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleReport:
    """What a bundle contains.

    Attributes:
        cards: Number of cards.
        blobs: Number of assets.
        bytes: Their size in bytes.
        unknown: The UIDs of cards that no registry here has.
        failures: What could not be fetched; then no bundle was written.
    """

    cards: int
    blobs: int
    bytes: int
    unknown: tuple[str, ...] = ()
    failures: tuple[MirrorFailure, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.failures

    def as_json(self) -> dict[str, object]:
        """Return the result as JSON members."""
        return {
            "cards": self.cards,
            "assets": self.blobs,
            "bytes": self.bytes,
            "unknown": list(self.unknown),
            "failures": [plan.failure_json(failure) for failure in self.failures],
        }


# -- writing -------------------------------------------------------------------------------------------------------


def bundle(
    hub: Hub,
    file: Path,
    *,
    patterns: Sequence[str] = (),
    connections: int = CONNECTIONS,
    rate: float | None = None,
    watch: EventCallback | None = None,
) -> BundleReport:
    """Write a bundle; what is not stored is fetched first.

    Args:
        hub: The registries and the store.
        file: The archive. An existing one is replaced when the new one is complete.
        patterns: Only cards whose UIDs match one of these.
        connections: Largest number of connections at once.
        rate: Largest number of bytes per second, all connections together.
        watch: Told what happens while assets are fetched.

    Returns:
        What the bundle contains, or why none was written.

    Raises:
        CardNotFoundError: If no card matches.
        MirrorError: If the archive cannot be written.
    """
    wanted = cards_of.wanted(hub.registries, MirrorIndex(), patterns)
    if not wanted:
        raise CardNotFoundError(f"no card matches {', '.join(patterns) or 'anything'}", hint="see `hubtool list`")
    todo = plan.make(wanted, {}, MirrorIndex(), cards=())
    with hub.fetcher(connections=connections, rate=rate, watch=watch) as run:
        brought, failed = _bring(hub, run, todo.missing)
    failures = [*todo.failures, *failed]
    files = {stored.digest: stored for stored in brought.values()}
    if not failures:
        listing = MirrorIndex(
            uids={
                one.uid: ListedCard(entry=one.entry, assets=tuple(_listed(asset, brought) for asset in one.assets))
                for one in todo.wanted
                if one.entry is not None
            }
        )
        _write(hub, file, files, listing)
    return BundleReport(
        cards=len(todo.wanted),
        blobs=len(files),
        bytes=sum(stored.size for stored in files.values()),
        failures=tuple(failures),
    )


def _bring(hub: Hub, run: Fetcher, missing: Sequence[MissingAsset]) -> tuple[dict[str, Stored], list[MirrorFailure]]:
    """Find assets in the store, or fetch them into it; return them by their keys, and the failures.

    If the link of one card fails, that of the next card is tried.
    """
    brought: dict[str, Stored] = {}
    errors: dict[str, list[HubError]] = {asset.key: [] for asset in missing}
    labels = Labels()
    at, left = 0, [*missing]
    while left:
        looked = [(asset, _look(hub, asset, at)) for asset in left]
        came = iter(run.fetch_all([labels.label(found) for _, found in looked if isinstance(found, FetchRequest)]))
        at += 1
        left = []
        for asset, found in looked:
            outcome = next(came) if isinstance(found, FetchRequest) else found
            if outcome.stored is not None:
                brought[asset.key] = outcome.stored
                del errors[asset.key]
                continue
            if outcome.error is not None:
                errors[asset.key].append(outcome.error)
            if at < len(asset.sources):
                left.append(asset)
    failures = []
    for asset in missing:
        if asset.key in errors:
            reasons = (str(error).replace("\nhint: ", "; ") for error in errors[asset.key])
            reason = "; ".join(dict.fromkeys(reasons))
            failures += [
                MirrorFailure(uid=uid, link=link, digest=asset.digest.hex, reason=reason) for uid, link in asset.sources
            ]
    return brought, failures


def _look(hub: Hub, asset: MissingAsset, at: int) -> FetchRequest | FetchOutcome:
    """Return what to fetch for an asset according to one of its cards, or the outcome if there is nothing to fetch.

    The asset may be stored already, or stand beside its card (where it may be wrong), or be named no longer.
    """
    uid, link = asset.sources[at]
    wanted = FetchRequest(link=link, digest=asset.digest, size=asset.size)
    try:
        stored = hub.store.find(asset.digest, link=link)
        if stored is not None:
            return FetchOutcome(wanted=wanted, stored=stored)
        card = hub.find(uid)
        named = cards_of.find_asset(card.card.assets, asset.digest, link)
        if named is None:
            raise CardError(
                f"the card {uid} no longer names it: it was changed while it was bundled", hint="run the command again"
            )
        if named.is_local:
            return FetchOutcome(wanted=wanted, stored=local_asset(hub, card, named))
    except HubError as error:
        return FetchOutcome(wanted=wanted, error=error)
    return FetchRequest(link=named.link, digest=named.digest, size=named.size, name=named.file_name, uid=uid)


def _listed(asset: WantedAsset, brought: dict[str, Stored]) -> ListedAsset:
    found = None if asset.digest is None else brought.get(plan.key_of(asset.digest, asset.link))
    if found is None:
        return ListedAsset(link=asset.link, digest="", size=None)
    return ListedAsset(link=asset.link, digest=found.digest, size=found.size)


def _write(hub: Hub, file: Path, files: dict[str, Stored], listing: MirrorIndex) -> None:
    try:
        # Nothing about this machine goes in: the same cards and assets give the same archive.
        with (
            disk.replacing(file) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for digest in sorted(files):
                with files[digest].path.open("rb") as source:
                    archive.addfile(_member(blob_name(digest), files[digest].size), source)
            for uid in sorted(listing.uids):
                data = cards_of.read_bytes(hub.registries, Uid.parse(uid))
                if digest_of(data) != listing.uids[uid].digest:
                    raise MirrorError(f"the card {uid} was changed while it was bundled", hint="run the command again")
                archive.addfile(_member(card_name(uid), len(data)), io.BytesIO(data))
            data, shards = index.render(listing.uids, listing.serial)
            for shard, own in shards:
                archive.addfile(_member(shard.path, len(own)), io.BytesIO(own))
            archive.addfile(_member(INDEX, len(data)), io.BytesIO(data))
    except OSError as error:
        found = disk.store_error(error, file)
        raise MirrorError(found.message, hint="choose another place for the bundle") from error


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o444
    return member


# -- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One file in an archive.

    Attributes:
        name: Its name, one that a mirror has.
        size: Its size in bytes.
        stream: Its content.
    """

    name: str
    size: int
    stream: BinaryIO


class _Bounded:
    """Reads an archive in small pieces: tarfile asks for as much as a header says, and headers may lie."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream = stream
        self._where = where

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= BLOCK_BYTES:
            raise MirrorError(f"{self._where} has a header of {size} bytes: it is not a bundle", hint="get it again")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _members(file: Path) -> Iterator[Iterator[_Member]]:
    """Read a bundle, member by member.

    Raises:
        MirrorError: If it cannot be read, is damaged, or holds anything that a mirror does not.
    """

    def refuse(name: str, why: str) -> MirrorError:
        return MirrorError(f"{file}: {name[:200]!a} {why}", hint="this is not a bundle of hubtool; do not trust it")

    def walk(stream: BinaryIO) -> Iterator[_Member]:
        seen: set[str] = set()
        end = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        with tarfile.open(fileobj=cast("BinaryIO", _Bounded(stream, str(file))), mode="r:") as archive:
            for member in archive:
                # The list of members is dropped: an archive of many empty ones would fill memory with it.
                vars(archive)["members"] = []
                name = member.name
                if INDEX in seen:
                    raise refuse(name, "comes after the index")
                if not member.isreg() or member.issparse():
                    raise refuse(name, "is not a plain file")
                known = name == INDEX or parse_blob(name) or parse_card(name) or is_index_shard(name)
                if not known:
                    raise refuse(name, "is not a file of a mirror")
                if name in seen:
                    raise refuse(name, "is there twice")
                if len(seen) >= MAX_MEMBERS:
                    raise refuse(name, "is one file too many")
                if not 0 <= member.size <= end - member.offset_data:
                    raise MirrorError(f"{file} is cut off within {name[:200]!a}", hint="copy it again")
                content = archive.extractfile(member)
                if content is None:
                    raise refuse(name, "is not a plain file")
                seen.add(name)
                yield _Member(name=name, size=member.size, stream=cast("BinaryIO", content))
        if INDEX not in seen:
            raise MirrorError(f"{file} has no index: it is cut off, or not a bundle", hint="copy it again")

    try:
        with file.open("rb") as stream:
            yield walk(stream)
    except (tarfile.TarError, RecursionError, ValueError, EOFError) as error:
        raise MirrorError(f"{file} is not a bundle, or is damaged: {error}", hint="copy it again") from None
    except OSError as error:
        raise MirrorError(f"{file} cannot be read: {error.strerror or error}", hint="copy it again") from error


def into_store(hub: Hub, file: Path) -> BundleReport:
    """Put a bundle's assets into the store.

    Raises:
        MirrorError: If the bundle cannot be read, is damaged, or holds anything that a mirror does not.
        DigestError: If the bytes of an asset do not have the digest in its name.
        StoreError: If the store cannot be written.
    """
    listing, sizes = _read(file, hub.store, None)
    known = {str(uid) for uid in hub.registries.uids()}
    unknown = tuple(uid for uid in sorted(listing.uids) if uid not in known)
    return BundleReport(cards=len(listing.uids), blobs=len(sizes), bytes=sum(sizes.values()), unknown=unknown)


def into_mirror(hub: Hub, file: Path, place: Destination) -> BundleReport:
    """Put a bundle's cards and assets into a mirror.

    Raises:
        MirrorError: If the bundle cannot be read, is damaged, or holds anything that a mirror does not; or if the
            mirror cannot be written.
        DigestError: If the bytes of an asset do not have the digest in its name.
    """
    listing, sizes = _read(file, place.staging(hub.store.root), place)
    with _members(file) as members:
        for member in members:
            uid = parse_card(member.name)
            if uid is not None:
                data = member.stream.read(document.MAX_BYTES)
                if digest_of(data) != listing.uids[uid].digest:
                    raise MirrorError(f"{file} was changed while it was read", hint="run the command again")
                place.write({card_name(uid): data})
    index.update(place, listing.uids, ())
    return BundleReport(cards=len(listing.uids), blobs=len(sizes), bytes=sum(sizes.values()))


def _read(file: Path, store: Store, place: Destination | None) -> tuple[MirrorIndex, dict[str, int]]:
    """Read a bundle to its end, and store its assets; return its index, and the sizes of its assets by digest."""
    sizes: dict[str, int] = {}
    digests: dict[str, str] = {}
    shards: dict[str, bytes] = {}
    listing = MirrorIndex()
    there = {} if place is None else layout.blobs(place)
    with _members(file) as members:
        for member in members:
            digest, uid = parse_blob(member.name), parse_card(member.name)
            if digest is not None:
                sizes[digest] = member.size
                if digest not in there:
                    stored = _store(store, digest, member, file)
                    if place is not None:
                        place.add(stored, move=True)
                        with suppress(StoreError):  # a sync works on this shard; the next one removes the file
                            store.remove(digest)
            elif uid is not None:
                if member.size > document.MAX_BYTES:
                    raise MirrorError(f"{file}: {member.name} is too large for a card", hint="copy it again")
                digests[uid] = digest_of(member.stream.read(document.MAX_BYTES))
            else:
                if member.size > index.MAX_BYTES:
                    raise MirrorError(f"{file}: the index is too large", hint="copy it again")
                data = b"".join(iter(partial(member.stream.read, BLOCK_BYTES), b""))
                if member.name != INDEX:
                    shards[member.name] = data
                else:
                    listing = _listing(data, shards, file)
    named = listing.digests
    if digests != {uid: one.digest for uid, one in listing.uids.items()} or sizes != named:
        raise MirrorError(f"{file}: its index names other cards or assets than it holds", hint="copy it again")
    return listing, sizes


def _listing(data: bytes, shards: dict[str, bytes], file: Path) -> MirrorIndex:
    head = index.parse(data, f"{file}: {INDEX}")
    uids: dict[str, ListedCard] = {}
    for shard in head.shards:
        cards, fault = index.parse_cards(shards.pop(shard.path, b""), shard)
        if fault is not None:
            raise MirrorError(f"{file}: {shard.path}: {fault}", hint="copy it again")
        uids.update((one.uid, one) for one in cards)
    if shards:
        raise MirrorError(f"{file}: {next(iter(shards))} belongs to no index", hint="copy it again")
    return MirrorIndex(uids=uids)


def _store(store: Store, digest: str, member: _Member, file: Path) -> Stored:
    found = store.find(Digest(digest))
    if found is not None:
        return found
    source = f"{file}: {member.name}"
    with store.writer(Digest(digest), source=source, size=member.size, limit=MAX_BYTES) as writer:
        while block := member.stream.read(BLOCK_BYTES):
            writer.write(block)
        return writer.commit()
