"""Copying registries with their assets to a mirror: plan, then act.

The blobs go first, then the cards, then the index: a reader of a card always finds its assets.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hubtool.errors import CardNotFoundError, HubError
from hubtool.mirror import cards as cards_of
from hubtool.mirror import index, layout, plan
from hubtool.mirror import prune as pruning
from hubtool.mirror.index import ListedAsset, ListedCard, MirrorIndex
from hubtool.mirror.layout import blob_name, card_name
from hubtool.mirror.verify import look_into
from hubtool.mirror.worker import Worker, WorkerProgress
from hubtool.registry.entry import digest_of
from hubtool.store.temporary import KEEP_PARTIAL_SECONDS
from hubtool.transfer.fetcher import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubtool.hub import Hub
    from hubtool.mirror.destination import Destination
    from hubtool.mirror.plan import MirrorFailure, MirrorPlan
    from hubtool.mirror.worker import Events
    from hubtool.store.store import Store
    from hubtool.transfer.events import FetchEvent

JOBS = 8
_CARDS_IN_MEMORY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did.

    Attributes:
        plan: What there was to do.
        written: Size in bytes of each blob that this worker wrote, by digest.
        others: Size of each missing blob that another worker wrote.
        cards: The UIDs of the cards that were written.
        kept: The UIDs of the cards whose earlier version stays, because an asset of the new one is not there.
        indexed: Whether the index was rewritten.
        pruned: Size of each blob that was removed.
        failures: What could not be done, and why.
        seconds: How long it took.
    """

    plan: MirrorPlan
    written: Mapping[str, int]
    others: Mapping[str, int]
    cards: tuple[str, ...]
    kept: tuple[str, ...]
    indexed: bool
    pruned: Mapping[str, int]
    failures: tuple[MirrorFailure, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether the mirror has every selected card and all its assets."""
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


def look(
    hub: Hub, place: Destination, patterns: Sequence[str] = (), *, trust_index: bool = True
) -> tuple[MirrorPlan, MirrorIndex]:
    """Return what a sync would do; nothing is written.

    Args:
        hub: The registries.
        place: The mirror, which need not exist.
        patterns: Only cards whose UIDs match one of these (``*``, ``?`` and ``[...]`` as in file names).
        trust_index: Whether the index of a published registry is believed about the assets of its cards; else the
            cards are fetched.

    Returns:
        The plan, and the mirror's index as it is.

    Raises:
        CardNotFoundError: If no card matches the patterns, or the registries have none.
        MirrorError: If the mirror cannot be read.
    """
    with ThreadPoolExecutor(2) as pool:
        # The two long lists come while the cards are read. A folder is listed quickly, and later: beside another
        # thread, no processes can be forked to read the cards.
        blobs = None if place.is_folder else pool.submit(layout.blobs, place)
        cards = None if place.is_folder else pool.submit(layout.cards, place)
        listing = index.load(place)
        wanted = cards_of.wanted(hub.registries, listing, patterns, trust_index=trust_index)
        if patterns and not wanted:
            raise CardNotFoundError(f"no card matches {', '.join(patterns)}", hint="see `hubtool list`")
        if not wanted:
            raise CardNotFoundError(
                "the registries have no card that can be used, so there is nothing to mirror",
                hint="check HUBTOOL_REGISTRY, and --registry; see `hubtool registry list`",
            )
        present = layout.blobs(place) if blobs is None else blobs.result()
        wrong = [one for one in plan.suspects(wanted, present, listing) if look_into(place, one)]
        files = layout.cards(place) if cards is None else cards.result()
        todo = plan.make(wanted, present, listing, cards=files, partial=bool(patterns), wrong=wrong)
    return todo, listing


def sync(
    hub: Hub,
    place: Destination,
    *,
    patterns: Sequence[str] = (),
    jobs: int = JOBS,
    prune: bool = False,
    grace: float = pruning.GRACE_SECONDS,
    rate: float | None = None,
    events: Events | None = None,
) -> SyncReport:
    """Bring a mirror up to date.

    Any number of processes may do this on one mirror at the same time; they share the work, and each ends when all of
    it is done. An asset that cannot be fetched does not stop the rest.

    Args:
        hub: The registries, the store that is looked in first, and the rules for links.
        place: The mirror, which need not exist.
        patterns: Only cards whose UIDs match one of these.
        jobs: Number of assets that move at once.
        prune: Whether cards that the registries no longer have, and blobs that no card names, are removed at the end.
        grace: Seconds for which a blob that no card names stays after it was written.
        rate: Largest number of bytes per second that come from links and mirrors, in all.
        events: Told what happens.

    Returns:
        What was done.

    Raises:
        CardNotFoundError: If no card matches the patterns, or the registries have none.
        MirrorError: If the mirror cannot be read or written.
        StoreError: If the store cannot be read or written.
    """
    start = time.monotonic()
    todo, listing = look(hub, place, patterns, trust_index=False)
    if events is not None:
        events.planned(todo)
    progress = WorkerProgress()
    staging = place.staging(hub.store.root)

    def warn(event: FetchEvent) -> None:
        if events is not None and event.kind == "mirror-skipped":
            events.warned(event.message)

    if todo.missing:
        with replace(hub, store=staging).fetcher(connections=max(jobs, CONNECTIONS), rate=rate, watch=warn) as fetcher:
            worker = Worker(
                hub=hub,
                fetcher=fetcher,
                place=place,
                staging=staging,
                events=events,
                wrong=todo.wrong,
                progress=progress,
            )
            worker.run(todo.missing, jobs)
    if prune and events is not None:
        for uid in todo.gone:
            events.removing(card_name(uid), None)
    # One worker of a folder, or of a machine, at a time: another one's older card must not follow a newer index.
    with staging.lock("publish"):
        written, kept, indexed = _publish(hub, place, todo, listing, progress, prune=prune)
    pruned: dict[str, int] = {}
    if prune:
        pruned = pruning.unnamed(place, grace=grace)
        if events is not None:
            for digest, size in sorted(pruned.items()):
                events.removing(blob_name(digest), size)
        pruning.remove(place, pruned, grace=grace)
    _remove_old(staging)
    return SyncReport(
        plan=todo,
        written=progress.written,
        others=progress.others,
        cards=written,
        kept=kept,
        indexed=indexed,
        pruned=pruned,
        failures=(*todo.failures, *progress.failed(todo)),
        seconds=time.monotonic() - start,
    )


def _remove_old(staging: Store) -> None:
    """Remove what has been in the staging store for a week."""
    with suppress(HubError):
        for digest, found in staging.blobs():
            if time.time() - found.st_mtime > KEEP_PARTIAL_SECONDS:
                with suppress(HubError):
                    staging.remove(digest)


def _publish(
    hub: Hub, place: Destination, todo: MirrorPlan, listing: MirrorIndex, progress: WorkerProgress, *, prune: bool
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Write the cards that changed, then the index.

    Args:
        hub: The registries.
        place: The mirror.
        todo: The plan.
        listing: The mirror's index when the plan was made.
        progress: What became of the missing assets.
        prune: Whether the cards that the registries no longer have are removed.

    Returns:
        The UIDs of the cards that were written, those of the cards whose earlier version stays, and whether the index
        changed.
    """
    ours, kept = _our_cards(todo, listing, progress)
    changed = [uid for uid in todo.cards if uid in ours]
    written: list[str] = []
    for at in range(0, len(changed), _CARDS_IN_MEMORY):
        files = cards_of.read_many(hub.registries, changed[at : at + _CARDS_IN_MEMORY])
        # A card that was edited or removed since the plan was made waits for the next run, as its assets do.
        cards = {uid: data for uid, data in files.items() if digest_of(data) == ours[uid].digest}
        place.write({card_name(uid): data for uid, data in cards.items()})
        written += cards
    missed = {*changed} - {*written}
    gone = todo.gone if prune else ()
    indexed = index.update(place, {uid: one for uid, one in ours.items() if uid not in missed}, gone)
    place.remove([card_name(uid) for uid in gone])
    return tuple(written), kept, indexed


def _our_cards(
    todo: MirrorPlan, listing: MirrorIndex, progress: WorkerProgress
) -> tuple[dict[str, ListedCard], tuple[str, ...]]:
    """Return the cards for the index, and the UIDs of those that stay as they are because the new ones lack assets."""
    there: Mapping[str, int] = {**todo.there, **progress.written, **progress.others}
    ours: dict[str, ListedCard] = {}
    kept: list[str] = []
    for one in todo.wanted:
        if one.entry is None:
            continue
        before = listing.uids.get(one.uid)
        assets = []
        for asset in one.assets:
            found = ""
            if asset.digest is not None:
                came = progress.whole.get(plan.key_of(asset.digest, asset.link))
                found = came or plan.complete(asset.digest, before, asset.link).hex
            assets.append(ListedAsset(link=asset.link, digest=found if found in there else "", size=there.get(found)))
        listed = ListedCard(entry=one.entry, assets=tuple(assets))
        if before and before.digest != listed.digest and listed.is_incomplete and not before.is_incomplete:
            kept.append(one.uid)
        else:
            ours[one.uid] = listed
    return ours, tuple(kept)
