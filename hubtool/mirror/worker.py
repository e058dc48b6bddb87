"""Copy missing assets to a mirror; any number of workers may run at once.

Each worker walks the shards in an order of its own, so that workers seldom meet. What is there by then is skipped. On
one machine, or on one folder, the lock of a shard keeps workers apart. Between machines only conditional puts do: two
of them may fetch the same file, and one of them writes it.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hubtool.assets import local_asset
from hubtool.errors import AssetError, CardError, DigestError, HubError, MirrorError, OfflineError, StoreError
from hubtool.mirror import layout
from hubtool.mirror.cards import find_asset
from hubtool.mirror.layout import blob_name
from hubtool.mirror.plan import MirrorFailure
from hubtool.transfer.events import FetchRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hubtool.hub import Hub
    from hubtool.mirror.destination import Destination
    from hubtool.mirror.plan import MirrorPlan, MissingAsset
    from hubtool.store.records import Stored
    from hubtool.store.store import Store
    from hubtool.transfer.fetcher import Fetcher

_MAX_WRITE_FAILURES = 20
"""Failed writes in a row after which a sync stops: the mirror cannot be written."""
_BUSY_PAUSE_SECONDS = 0.1


class Events(Protocol):
    """Receives what happens during a sync. Called by several threads."""

    def planned(self, plan: MirrorPlan) -> None:
        """Take the plan, before anything is done."""
        ...

    def moved(self, digest: str, size: int, *, written: bool) -> None:
        """Take an asset that is there now; ``written`` says whether this worker wrote it."""
        ...

    def failed(self, failure: MirrorFailure) -> None:
        """Take a failure."""
        ...

    def warned(self, message: str) -> None:
        """Report that a source mirror was given up, and why."""
        ...

    def removing(self, name: str, size: int | None) -> None:
        """Take the name of a file that is about to be removed, and its size in bytes if it is known."""
        ...


@dataclass(slots=True)
class WorkerProgress:
    """Results for the missing assets so far, shared by the threads of one sync.

    Attributes:
        written: Size in bytes of each blob that this worker wrote, by digest.
        others: Size of each blob that another worker wrote.
        failures: Why an asset could not be brought, by its key.
        whole: The whole digest of each asset that is there now, by its key.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    written: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    write_failures: int = 0

    def failed(self, plan: MirrorPlan) -> Iterator[MirrorFailure]:
        """Yield a failure for each card that names an asset that did not come."""
        for asset in plan.missing:
            reason = self.failures.get(asset.key)
            if reason is None and asset.key not in self.whole:
                reason = "not tried: too many others failed before it"
            if reason is not None:
                for uid, link in asset.sources:
                    yield MirrorFailure(uid=uid, link=link, digest=asset.digest.hex, reason=reason)


class _StoppedError(Exception):
    """Work was stopped while an asset was on its way."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """Brings the missing assets of one shard at a time.

    Attributes:
        hub: The registries, the store that is looked in first, and the rules for links.
        fetcher: Fetches into the staging store.
        place: The mirror.
        staging: The store for assets on their way.
        events: Told what happens.
        wrong: Size of each blob to be replaced, by digest.
        progress: What became of the assets.
        stop: Set to end all threads.
    """

    hub: Hub
    fetcher: Fetcher
    place: Destination
    staging: Store
    events: Events | None
    wrong: Mapping[str, int]
    progress: WorkerProgress = field(default_factory=WorkerProgress)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, missing: Sequence[MissingAsset], jobs: int) -> None:
        """Bring all missing assets, with several threads.

        Raises:
            StoreError: If the staging store cannot be written.
            MirrorError: If it cannot be written, and is in the mirror's own folder.
        """
        shards: dict[str, list[MissingAsset]] = {}
        chance = random.SystemRandom()
        for asset in chance.sample(missing, len(missing)):
            shards.setdefault(asset.shard, []).append(asset)
        waiting = deque(shards)

        def work() -> None:
            while not self.stop.is_set():
                try:
                    shard = waiting.popleft()
                except IndexError:
                    return
                try:
                    with self._locked(shard) as is_ours:
                        if is_ours:
                            self._bring_shard(shard, shards[shard])
                            continue
                except BaseException:
                    self.stop.set()
                    raise
                waiting.append(shard)
                self.stop.wait(_BUSY_PAUSE_SECONDS)

        with ThreadPoolExecutor(jobs) as pool:
            try:
                for future in [pool.submit(work) for _ in range(min(jobs, len(shards)))]:
                    future.result()
            except BaseException:  # Ctrl-C; partial files stay for a later run
                self.stop.set()
                self.fetcher.end()
                raise

    @contextmanager
    def _locked(self, shard: str) -> Iterator[bool]:
        """Lock a shard; yield whether it is ours, and not another process's."""
        lock = self.staging.lock(shard, patience=0)
        try:
            lock.__enter__()
        except StoreError as error:
            if error.__cause__ is None:
                yield False
                return
            if self.place.is_folder:
                raise MirrorError(
                    error.message, hint="check the disk that the mirror is on, and your rights"
                ) from error
            raise
        try:
            yield True
        finally:
            lock.__exit__(None, None, None)

    def _bring_shard(self, shard: str, missing: Sequence[MissingAsset]) -> None:
        try:
            there = layout.blobs(self.place, shard)
            wrong = [digest for digest, size in there.items() if self.wrong.get(digest) == size]
            self.place.remove([blob_name(digest) for digest in wrong])
        except MirrorError as error:
            for asset in missing:
                self._fail(asset, error)
            return
        near = self.hub.store.list_group(shard)
        for asset in missing:
            if self.stop.is_set():
                return
            digest = asset.digest.hex
            # A short digest is never there: only its link tells which of the files that begin like it is meant.
            if digest in there and digest not in wrong:
                self._done(asset, digest, there[digest], written=False)
                continue
            try:
                if digest not in near or not self._copy(asset):
                    self._fetch(asset)
            except _StoppedError:
                return
            except HubError as error:
                self._fail(asset, error)

    def _copy(self, asset: MissingAsset) -> bool:
        """Copy a file of the user's store; return False if it is not there, or wrong."""
        found = self.hub.store.find_unverified(asset.digest.hex)
        if found is None:
            return False
        try:
            written = self.place.add(found)  # this hashes it
        except (DigestError, StoreError):
            self.hub.store.check(asset.digest.hex)
            return False
        self._done(asset, found.digest, found.size, written=written)
        return True

    def _fetch(self, asset: MissingAsset) -> None:
        """Fetch a file, unless another worker has written it."""
        size = None if asset.digest.is_short else self.place.size(blob_name(asset.digest.hex))
        if size is not None:
            self._done(asset, asset.digest.hex, size, written=False)
            return
        stored = self._obtain(asset)
        is_staged = stored.path.is_relative_to(self.staging.root)
        written = self.place.add(stored, move=is_staged)
        if is_staged and stored.path.exists():  # it was not moved
            with suppress(HubError):  # the next run finds or removes it
                self.staging.remove(stored.digest)
        self._done(asset, stored.digest, stored.size, written=written)

    def _obtain(self, asset: MissingAsset) -> Stored:
        """Return a verified file, from the first source that has it."""
        if asset.digest.is_short:
            found = self.hub.store.find(asset.digest, link=asset.sources[0][1])
            if found is not None:
                return found
        errors: list[HubError] = []
        for uid, link in asset.sources:
            try:
                if "://" in link and not asset.digest.is_short:  # the card says no more about it
                    return self._fetched(FetchRequest(link=link, digest=asset.digest, size=asset.size))
                card = self.hub.find(uid)
                named = find_asset(card.card.assets, asset.digest, link)
                if named is None:
                    continue  # the card has changed; the next run sees it
                if named.is_local:
                    return local_asset(self.hub, card, named)
                return self._fetched(FetchRequest(link=named.link, digest=named.digest, size=named.size))
            except HubError as error:
                if self.stop.is_set():
                    raise _StoppedError from error
                errors.append(error)
        if not errors:
            raise CardError(
                "the card no longer names it: it was changed while it was copied", hint="run the command again"
            )
        if len(errors) > 1:
            raise AssetError("; ".join(dict.fromkeys(error.message for error in errors)), hint=errors[0].hint)
        raise errors[0]

    def _fetched(self, wanted: FetchRequest) -> Stored:
        try:
            return self.fetcher.fetch(wanted)
        except OfflineError as error:
            # The user looks for it in the user's own store, not in the staging store.
            text = error.message.replace(str(self.staging.root), str(self.hub.store.root))
            raise OfflineError(text, hint="run the same where HUBTOOL_OFFLINE is not set") from None

    def _done(self, asset: MissingAsset, digest: str, size: int, *, written: bool) -> None:
        with self.progress.lock:
            self.progress.write_failures = 0
            self.progress.whole[asset.key] = digest
            if digest in self.progress.written:
                return
            (self.progress.written if written else self.progress.others)[digest] = size
        if self.events is not None:
            self.events.moved(digest, size, written=written)

    def _fail(self, asset: MissingAsset, error: HubError) -> None:
        reason = str(error).replace("\nhint: ", "; ")
        with self.progress.lock:
            self.progress.failures[asset.key] = reason
            self.progress.write_failures += isinstance(error, MirrorError)
            if self.progress.write_failures >= _MAX_WRITE_FAILURES:
                self.stop.set()
        if self.events is not None:
            uid, link = asset.sources[0]
            self.events.failed(MirrorFailure(uid=uid, link=link, digest=asset.digest.hex, reason=reason))
