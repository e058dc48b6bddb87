"""Copying registries with their assets to a mirror: plan, then act.

The blobs go first, then the cards, then the index: a reader of a card always finds its assets.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from hubtool.assets import local_asset
from hubtool.errors import (
    AssetError,
    CardError,
    CardNotFoundError,
    DigestError,
    HubError,
    MirrorError,
    OfflineError,
    StoreError,
)
from hubtool.mirror import cards as cards_of
from hubtool.mirror import index, plan
from hubtool.mirror.destination import ClaimLostError, blob_name, card_name
from hubtool.mirror.index import Listed, ListedAsset, Listing
from hubtool.mirror.plan import Failure, Need, Plan
from hubtool.mirror.verify import look_into
from hubtool.registry.entry import digest_of
from hubtool.store.temporary import KEEP_PARTIAL_SECONDS
from hubtool.transfer.events import FetchRequest
from hubtool.transfer.fetcher import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from hubtool.card.model import Asset
    from hubtool.digest import Digest
    from hubtool.hub import Hub
    from hubtool.mirror.destination import Claim, Destination
    from hubtool.store.records import Stored
    from hubtool.store.store import Store
    from hubtool.transfer.events import Event
    from hubtool.transfer.fetcher import Fetcher

JOBS = 8
GRACE = 3600.0
"""Seconds for which a blob that no card names stays, because another worker may be about to name it."""

_ENOUGH = 20
_CARDS_IN_MEMORY = 500


class Events(Protocol):
    """What is told of a sync as it goes on. Called by several threads."""

    def planned(self, plan: Plan) -> None:
        """Take the plan, before anything is done."""
        ...

    def moved(self, digest: str, size: int, *, written: bool) -> None:
        """Take an asset that is there now; ``written`` says whether we wrote it, or another worker did."""
        ...

    def failed(self, failure: Failure) -> None:
        """Take a failure."""
        ...

    def warned(self, message: str) -> None:
        """Take what nobody may miss: that a mirror, from which files come, is asked no more, and why."""
        ...

    def removing(self, name: str, size: int | None) -> None:
        """Take a file that is about to be removed: its name in the mirror, and its bytes where they are known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a sync did.

    Attributes:
        plan: What it set out to do.
        written: Bytes of each blob that this worker put in, by digest.
        others: Bytes of each missing blob that another worker put in meanwhile.
        cards: The UIDs of the cards that were written.
        kept: The UIDs of the cards whose earlier version stays, because an asset of the new one is not there.
        indexed: Whether the index was rewritten.
        pruned: Bytes of each blob that was removed.
        failures: What could not be done, and why.
        seconds: How long it took.
    """

    plan: Plan
    written: Mapping[str, int]
    others: Mapping[str, int]
    cards: tuple[str, ...]
    kept: tuple[str, ...]
    indexed: bool
    pruned: Mapping[str, int]
    failures: tuple[Failure, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether the mirror has every card and every asset that was asked for."""
        return not self.failures

    def as_json(self) -> dict[str, object]:
        """Return the report as JSON members."""
        return {
            "complete": self.complete,
            "plan": self.plan.as_json(),
            "written": dict(sorted(self.written.items())),
            "bytes_written": sum(self.written.values()),
            "written_by_others": sorted(self.others),
            "cards_written": list(self.cards),
            "cards_kept": list(self.kept),
            "index_written": self.indexed,
            "pruned": sorted(self.pruned),
            "failures": [plan.failure_json(failure) for failure in self.failures],
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class _Progress:
    """What came of the needs so far, shared by the threads of one sync."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    written: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0


def look(hub: Hub, place: Destination, patterns: Sequence[str] = ()) -> tuple[Plan, Listing]:
    """Say what a sync would do; nothing is written.

    Args:
        hub: The registries.
        place: Where the mirror is, or is going to be.
        patterns: Only cards whose UIDs match one of these (``*``, ``?`` and ``[...]`` as in file names).

    Returns:
        The plan, and the mirror's index as it is.

    Raises:
        CardNotFoundError: If no card matches the patterns, or there is none at all.
        MirrorError: If the mirror cannot be read.
    """
    with ExitStack() as end:
        if place.is_folder:  # which is listed at once
            blobs: Callable[[], dict[str, int]] = place.blobs
            cards: Callable[[], set[str]] = place.cards
        else:  # the two long lists come at once, and while the cards are read
            pool = end.enter_context(ThreadPoolExecutor(2))
            blobs, cards = pool.submit(place.blobs).result, pool.submit(place.cards).result
        listing = index.load(place)
        wanted = cards_of.wanted(hub.registries, listing, lambda uid: matches(uid, patterns))
        if patterns and not wanted:
            raise CardNotFoundError(f"no card matches {', '.join(patterns)}", hint="see `hubtool list`")
        if not wanted:
            raise CardNotFoundError(
                "the registries have no card that can be used, so there is nothing to mirror",
                hint="check HUBTOOL_REGISTRY, and --registry; see `hubtool registry list`",
            )
        present = blobs()
        wrong = [one for one in plan.suspects(wanted, present, listing) if look_into(place, one)]
        todo = plan.make(wanted, present, listing, cards=cards(), partial=bool(patterns), wrong=wrong)
    return todo, listing


def matches(uid: str, patterns: Sequence[str]) -> bool:
    """Whether a UID is asked for: all are where there are no patterns."""
    return not patterns or any(fnmatchcase(uid, pattern) for pattern in patterns)


def sync(
    hub: Hub,
    place: Destination,
    *,
    patterns: Sequence[str] = (),
    jobs: int = JOBS,
    prune: bool = False,
    grace: float = GRACE,
    rate: float | None = None,
    events: Events | None = None,
) -> Report:
    """Bring a mirror up to date.

    Any number of processes may do this on one mirror at the same time; they share the work, and each ends when all of
    it is done. What cannot be fetched does not stop the rest.

    Args:
        hub: The registries, the store that is looked in first, and the rules for links.
        place: Where the mirror is, or is going to be.
        patterns: Only cards whose UIDs match one of these.
        jobs: How many assets move at once.
        prune: Whether cards that the registries no longer have, and blobs that no card names, are removed at the end.
        grace: Seconds for which a blob that no card names stays after it was written.
        rate: The most bytes per second that come from links and mirrors, in all.
        events: Told of what happens.

    Raises:
        CardNotFoundError: If there are patterns, and no card matches any.
        MirrorError: If the mirror cannot be read or written.
        StoreError: If the store cannot be read or written.
    """
    start = time.monotonic()
    todo, listing = look(hub, place, patterns)
    if events is not None:
        events.planned(todo)
    progress = _Progress()
    staging = place.staging(hub.store.root)
    if todo.needs:
        warn = None if events is None else Warnings(events.warned)
        with replace(hub, store=staging).fetcher(connections=max(jobs, CONNECTIONS), rate=rate, watch=warn) as fetcher:
            worker = Worker(
                hub=hub,
                fetcher=fetcher,
                place=place,
                staging=staging,
                progress=progress,
                events=events,
                wrong=todo.wrong,
            )
            _move(worker, todo, jobs)
    failures = [*todo.failures, *_failures(todo, progress)]
    if prune and events is not None:
        for uid in todo.gone:
            events.removing(card_name(uid), None)
    written, kept, indexed = _publish(hub, place, todo, listing, progress, jobs=jobs, prune=prune)
    pruned: dict[str, int] = {}
    if prune:
        pruned = unnamed(place, grace=grace)
        if events is not None:
            for digest, size in sorted(pruned.items()):
                events.removing(blob_name(digest), size)
        remove(place, pruned, grace=grace)
    place.tidy()
    _tidy(staging)
    return Report(
        plan=todo,
        written=progress.written,
        others=progress.others,
        cards=written,
        kept=kept,
        indexed=indexed,
        pruned=pruned,
        failures=tuple(failures),
        seconds=time.monotonic() - start,
    )


class Warnings:
    """A watcher of a run that hands on what nobody may miss.

    Attributes:
        kinds: The kinds of events that it takes.
    """

    kinds = frozenset({"mirror-skipped"})

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._warn(event.message)


class _StoppedError(Exception):
    """Work was stopped while an asset was on its way."""


_Step = tuple[Need, str, int, bool]
"""What was wanted, the digest and the bytes of the file that is there for it now, and whether we put it there."""


# -- blobs ---------------------------------------------------------------------------------------------------------


class Worker:
    """Moves the assets of one unit at a time."""

    def __init__(
        self,
        *,
        hub: Hub,
        fetcher: Fetcher,
        place: Destination,
        staging: Store,
        progress: _Progress,
        events: Events | None,
        wrong: Mapping[str, int],
    ) -> None:
        self.is_folder = place.is_folder
        self._hub = hub
        self._fetcher = fetcher
        self._place = place
        self._staging = staging
        self._progress = progress
        self._events = events
        self._wrong = wrong
        self.stop = threading.Event()

    def unit(self, unit: str, needs: Sequence[Need]) -> bool:
        """Bring the files of a unit, and make them visible; return whether it is done, by us or by others."""
        done: list[_Step] = []
        is_done = True
        try:
            with self._place.claim(unit) as claim:
                # Since the plan was made, and while we waited for the claim, another worker may have done it.
                there = self._without_wrong(self._place.blobs(unit), claim)
                rest = [need for need in needs if not self._found(need, there)]
                if claim is None:
                    return not rest
                near = self._hub.store.list_group(unit) if rest else frozenset()
                with self._staging.lock(unit) if rest else nullcontext():  # once, and not for each
                    for need in rest:
                        is_done = self._step(need, claim, done, near) and is_done
                    claim.settle()
        except ClaimLostError:
            is_done = False
        except MirrorError as error:
            for need, _, _, _ in done:  # what was on its way may not be there
                self._fail(need, error)
            return True
        for _, digest, size, written in done:
            self._moved(digest, size, written=written)
        return is_done

    def _without_wrong(self, there: dict[str, int], claim: Claim | None) -> dict[str, int]:
        """Return the blobs that are there and right, and remove the wrong ones that nobody has replaced meanwhile."""
        wrong = [digest for digest, size in there.items() if self._wrong.get(digest) == size]
        if wrong and claim is not None:
            self._place.remove([blob_name(digest) for digest in wrong])
        return {digest: size for digest, size in there.items() if digest not in wrong} if wrong else there

    def _step(self, need: Need, claim: Claim, done: list[_Step], near: Container[str]) -> bool:
        """Copy or fetch a file; return whether that is all that there is to do, well or badly."""
        if self.stop.is_set():
            return False
        if need.digest.hex in near and self._copy(need, claim, done):
            return True
        return self._bring(need, claim, done)

    def _copy(self, need: Need, claim: Claim, done: list[_Step]) -> bool:
        """Copy a file of our store; return whether that is all that there is to do, well or badly."""
        near = self._hub.store.find_unverified(need.digest.hex)
        if near is None:
            return False
        try:
            # Adding a file hashes it, so what is stored need not be verified before.
            written = claim.add(near)
        except (DigestError, StoreError):
            self._hub.store.check(need.digest.hex)
            return False
        except HubError as error:
            self._fail(need, error)
            return True
        with self._progress.lock:
            self._progress.in_a_row = 0
            self._progress.whole[need.key] = near.digest
        done.append((need, near.digest, near.size, written))
        return True

    def _found(self, need: Need, there: Mapping[str, int]) -> bool:
        digest = need.digest.hex
        if digest not in there:  # a short digest never is: whether what begins like it is meant, only its link tells
            return False
        with self._progress.lock:
            self._progress.whole[need.key] = digest
        self._moved(digest, there[digest], written=False)
        return True

    def _bring(self, need: Need, claim: Claim, done: list[_Step]) -> bool:
        """Bring a file from its sources; return whether that is all that there is to do, well or badly."""
        try:
            stored, staged = self._obtain(need)
            written = claim.add(stored, move=staged)
        except _StoppedError:
            return False
        except HubError as error:
            self._fail(need, error)
            return True
        if staged and (not written or not self.is_folder):  # else it was moved
            with suppress(HubError):  # what stays there is found again, or removed, by the next run
                self._staging.remove(stored.digest)
        with self._progress.lock:
            self._progress.in_a_row = 0
            self._progress.whole[need.key] = stored.digest
        done.append((need, stored.digest, stored.size, written))
        return True

    def _obtain(self, need: Need) -> tuple[Stored, bool]:
        """Return a verified file, and whether it is in the staging store."""
        # Of a whole digest it is known that our store does not have it: it would have been copied.
        link = need.sources[0][1]
        found = self._hub.store.find(need.digest, link=link) if need.digest.is_short else None
        if found is not None:
            return found, False
        errors: list[HubError] = []
        for uid, link in need.sources:
            try:
                if "://" in link and not need.digest.is_short:  # nothing that the card would tell more of
                    return self._fetch(FetchRequest(link=link, digest=need.digest, size=need.size))
                card = self._hub.find(uid)
                asset = asset_of(card.card.assets, need.digest, link)
                if asset is None:
                    continue  # the card was changed meanwhile; the next run sees it
                if asset.is_local:  # it is read where it is
                    return local_asset(self._hub, card, asset), False
                return self._fetch(FetchRequest(link=asset.link, digest=asset.digest, size=asset.size))
            except HubError as error:
                if self.stop.is_set():
                    raise _StoppedError from error
                errors.append(error)
        if not errors:
            raise CardError("the card no longer names it: it was changed meanwhile", hint="run the same again")
        if len(errors) > 1:
            raise AssetError("; ".join(dict.fromkeys(error.message for error in errors)), hint=errors[0].hint)
        raise errors[0]

    def _fetch(self, wanted: FetchRequest) -> tuple[Stored, bool]:
        try:
            stored = self._fetcher.fetch(wanted)
        except OfflineError as error:
            # It was not in the staging store, of course; what is meant is the user's own.
            text = error.message.replace(str(self._staging.root), str(self._hub.store.root))
            raise OfflineError(text, hint="run the same where HUBTOOL_OFFLINE is not set") from None
        return stored, stored.path.is_relative_to(self._staging.root)

    def end(self) -> None:
        """Stop at once; what was on its way is left to a later run."""
        self.stop.set()
        self._fetcher.end()

    def _moved(self, digest: str, size: int, *, written: bool) -> None:
        with self._progress.lock:
            if digest in self._progress.written:
                return
            (self._progress.written if written else self._progress.others)[digest] = size
        if self._events is not None:
            self._events.moved(digest, size, written=written)

    def _fail(self, need: Need, error: HubError) -> None:
        with self._progress.lock:
            self._progress.in_a_row += isinstance(error, MirrorError)
            if self._progress.in_a_row >= _ENOUGH:
                self.stop.set()
        self._failed(need, str(error).replace("\nhint: ", "; "))

    def _failed(self, need: Need, reason: str) -> None:
        with self._progress.lock:
            self._progress.failures[need.key] = reason
        if self._events is not None:
            uid, link = need.sources[0]
            self._events.failed(Failure(uid=uid, link=link, digest=need.digest.hex, reason=reason))


def _move(worker: Worker, todo: Plan, jobs: int) -> None:
    """Move every missing asset, or see others do it."""
    units: dict[str, list[Need]] = {}
    for need in todo.needs:
        units.setdefault(need.unit, []).append(need)
    order = list(units)
    # Workers that start together should not all ask for the same unit.
    random.SystemRandom().shuffle(order)
    lock = threading.Lock()

    def run(waiting: deque[str]) -> None:
        pause = 0.05
        while not worker.stop.is_set():
            with lock:
                unit = waiting.popleft() if waiting else None
            if unit is None:
                return
            try:
                done = worker.unit(unit, units[unit])
            except BaseException:
                worker.stop.set()
                raise
            if done:
                pause = 0.05
                continue
            with lock:
                waiting.append(unit)
                busy = len(waiting)
            # Every other unit was asked for before this one comes up again.
            if busy <= jobs or pause > 0.05:
                worker.stop.wait(pause)
            pause = min(pause * 2, 1.0)

    rest = deque(order)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in [pool.submit(run, rest) for _ in range(min(jobs, len(rest)))]:
                future.result()
        except BaseException:  # Ctrl-C
            worker.end()
            raise


def _tidy(staging: Store) -> None:
    """Remove what was left in the staging store, and no run of a week has asked for."""
    with suppress(HubError):
        for digest, found in staging.blobs():
            if time.time() - found.st_mtime > KEEP_PARTIAL_SECONDS:
                with suppress(HubError):
                    staging.remove(digest)


def _failures(todo: Plan, progress: _Progress) -> Iterable[Failure]:
    for need in todo.needs:
        reason = progress.failures.get(need.key)
        if reason is None and need.key not in progress.whole:
            reason = "not tried: too many others failed before it"
        if reason is not None:
            for uid, link in need.sources:
                yield Failure(uid=uid, link=link, digest=need.digest.hex, reason=reason)


# -- cards and index -----------------------------------------------------------------------------------------------


def _publish(
    hub: Hub, place: Destination, todo: Plan, listing: Listing, progress: _Progress, *, jobs: int, prune: bool
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Write the cards that changed, then the index; return what was written and what was kept."""
    there = {**todo.there, **progress.written, **progress.others}
    mine: dict[str, Listed] = {}
    kept: list[str] = []
    for one in todo.wanted:
        assets = []
        for asset in one.assets:
            found = ""
            if asset.digest is not None:
                came = progress.whole.get(plan.key_of(asset.digest, asset.link))
                found = came or plan.complete(asset.digest, listing.uids.get(one.uid), asset.link).hex
                found = found if found in there else ""
            assets.append(ListedAsset(link=asset.link, digest=found, size=there.get(found)))
        if one.entry is None:
            continue
        listed = Listed(entry=one.entry, assets=tuple(assets))
        before = listing.uids.get(one.uid)
        if before is not None and before.digest != listed.digest and listed.lacks and not before.lacks:
            kept.append(one.uid)
        else:
            mine[one.uid] = listed
    changed = [uid for uid in todo.cards if uid in mine]
    gone = todo.gone if prune else ()
    with place.publishing():
        # A card that was edited or removed since it was planned waits for the next run, as its assets do.
        written: set[str] = set()
        for at in range(0, len(changed), _CARDS_IN_MEMORY):
            files = cards_of.read_many(hub.registries, changed[at : at + _CARDS_IN_MEMORY], jobs)
            cards = {uid: data for uid, data in files.items() if digest_of(data) == mine[uid].digest}
            place.write_all({card_name(uid): data for uid, data in cards.items()}, jobs)
            written |= cards.keys()
        done = tuple(uid for uid in changed if uid in written)
        missed = {*changed} - {*done}
        mine = {uid: one for uid, one in mine.items() if uid not in missed}
        indexed = write_index(place, mine, gone)
        if gone:
            place.remove([card_name(uid) for uid in gone])
    return done, tuple(kept), indexed


def write_index(place: Destination, mine: Mapping[str, Listed], gone: Iterable[str]) -> bool:
    """Put our cards into the index, beside those that other workers put in meanwhile; return whether it changed."""
    away = set(gone)
    for _ in range(50):
        current = index.load(place)
        merged = {uid: one for uid, one in current.uids.items() if uid not in away}
        merged.update({uid: _fuller(one, current.uids.get(uid)) for uid, one in mine.items()})
        written = index.write(place, merged, current)
        if written is not None:
            return written
        time.sleep(random.SystemRandom().uniform(0.01, 0.2))
    raise MirrorError(
        f"{place.name}/{index.NAME} was changed by others each time that we tried to write it",
        hint="let the other workers end, and run the same again",
    )


def _fuller(ours: Listed, theirs: Listed | None) -> Listed:
    """Return what we know of a card, and of its assets what another worker has brought and we have not."""
    if theirs is None or theirs.digest != ours.digest or len(theirs.assets) != len(ours.assets):
        return ours
    assets = tuple(one if one.digest else other for one, other in zip(ours.assets, theirs.assets, strict=True))
    return replace(ours, assets=assets)


# -- pruning -------------------------------------------------------------------------------------------------------


def removable(place: Destination, todo: Plan, *, grace: float = GRACE) -> tuple[tuple[str, ...], dict[str, int]]:
    """Say what a sync that prunes would remove: the UIDs of cards, and the bytes of blobs by digest.

    Raises:
        MirrorError: If the mirror cannot be read.
    """
    return todo.gone, _older(place, todo.loose, grace)


def unnamed(place: Destination, *, grace: float = GRACE) -> dict[str, int]:
    """Return the bytes of each blob that no card in the mirror's index names, and that was there for longer than that.

    Raises:
        MirrorError: If the mirror cannot be read, has no index, or one that is damaged.
    """
    listing = index.load(place)
    if listing.faults:
        raise MirrorError(
            f"the index of {place.name} is damaged, so that not all that it names is known",
            hint="run `hubtool mirror sync` first",
        )
    if listing.mark is None:
        raise MirrorError(
            f"{place.name} has no index, so no card names any blob", hint="run `hubtool mirror sync` first"
        )
    named = listing.digests
    return _older(place, {digest: size for digest, size in place.blobs().items() if digest not in named}, grace)


def _older(place: Destination, blobs: Mapping[str, int], grace: float) -> dict[str, int]:
    """Return those of some blobs that were written so many seconds ago."""
    ages = place.ages([blob_name(digest) for digest in blobs])
    return {digest: size for digest, size in blobs.items() if ages.get(blob_name(digest), 0.0) >= grace}


def remove(place: Destination, digests: Iterable[str], *, grace: float = GRACE) -> None:
    """Remove blobs, and the shards of earlier indexes that are older than ``grace`` seconds.

    Raises:
        MirrorError: If the mirror cannot be read or written.
    """
    place.remove([blob_name(digest) for digest in sorted(digests)])
    # A client may have read the index before this one, and another worker may be about to write the next.
    old = sorted(place.shards() - index.load(place).shards)
    ages = place.ages(old)
    place.remove([name for name in old if ages.get(name, 0.0) >= grace])


def asset_of(assets: Iterable[Asset], digest: Digest, link: str) -> Asset | None:
    """Return the asset of a card that is meant by a digest and a link, or None if the card names it no more.

    Args:
        assets: The card's assets; a registry elsewhere made the links of those beside the card absolute.
        digest: The digest that the card states, or the whole one that it stands for.
        link: The link as the card writes it.
    """
    found = [one for one in assets if one.digest is not None and one.digest.matches(digest.hex)]
    return next(
        (one for one in found if one.link == link or one.link.endswith(f"/{link}")), found[0] if found else None
    )
