"""Writing a registry as static files: its cards, the files beside them, and the index."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hubtool import files, mismatch, regular
from hubtool.card import document as documents
from hubtool.card import empty_folder, model
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, CardError
from hubtool.links import scheme_of
from hubtool.registry.entry import CardEntry, digest_of
from hubtool.registry.folder import FolderRegistry
from hubtool.registry.published.index import (
    INDEX,
    MAX_SERIAL,
    PublishedIndex,
    Shard,
    index_bytes,
    read_index,
    shard_bytes,
    shard_name,
    width_for,
)
from hubtool.uid import Uid

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Asset


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """What a publication wrote.

    Attributes:
        serial: The serial of its index.
        cards: How many cards the registry has.
        written: How many files were new or changed.
        removed: How many files were removed, because no card names them.
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


def publish(folder: Path, to: Path, *, serial: int | None = None) -> SiteReport:
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

    def run(self) -> SiteReport:
        """Write assets and cards, then the shards, then the index; then remove what nothing names."""
        uids = sorted(map(str, self.registry.uids()))
        width = width_for(len(uids))
        by_shard: dict[str, list[str]] = {}
        for uid in uids:
            by_shard.setdefault(shard_name(uid, width), []).append(uid)
        shards = [shard for name in sorted(by_shard) if (shard := self._shard(name, by_shard[name]))]
        before = read_index(_site_bytes(self.to / INDEX)) or PublishedIndex()
        old = {shard.path for shard in before.shards}
        serial = before.serial
        if (before.width, before.shards) != (width, tuple(shards)):
            serial = before.serial + 1 if self.serial is None else self.serial
            if not before.serial < serial <= MAX_SERIAL:
                raise ArgumentError(
                    f"the serial {serial} does not rise: the index in {self.to} has {before.serial}",
                    hint=f"give --serial {before.serial + 1} or more, or leave it out",
                )
        # What the index names is on the disk before the index is: not one by one, which takes ten times as long.
        if hasattr(os, "sync"):
            os.sync()
        self._put(INDEX, index_bytes(shards, width, serial))
        # A client that has just read the old index still finds the old shards; those before them go.
        return SiteReport(
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


def _site_bytes(path: Path) -> bytes | None:
    """Return what stands in a site; several people may write it."""
    try:
        return regular.read_bytes(path)
    except OSError:
        return None
