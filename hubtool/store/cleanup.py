"""Upkeep of a store: what is in it, whether it is still right, and what may go.

What may go is planned without touching anything (:func:`plan`), and only then done (:func:`carry_out`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hubtool import parallel
from hubtool.digest import Digest
from hubtool.errors import ArgumentError, StoreError
from hubtool.store.records import USE_STEP_SECONDS
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from hubtool.store.store import Store
    from hubtool.store.temporary import UnfinishedFetch

RECENT_SECONDS = 2 * USE_STEP_SECONDS
"""Seconds for which a use protects a file.

A use is recorded to the hour, so that every use protects for an hour at least: a load that has found the file has time
to open it.
"""


OTHERS_SECONDS = 30 * 86400.0
"""Seconds for which another user's use keeps a file that no card of this user's registries names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreItem:
    """One asset in a store, or what there is of one whose fetch was not finished.

    Attributes:
        digest: Its whole digest; of an unfinished fetch, as much of it as the card states.
        size: Its bytes.
        derived: Bytes of what was made from it.
        stored: When it was stored, in seconds since 1970; of an unfinished fetch, when it was written last.
        used: When it was used last, to the hour; of an unfinished fetch, the same as stored.
        others: When another user of the store used it last, as far as that is noted; 0 where it is not. Counted in
            ``used`` as well.
        uids: The cards that name it.
        unfinished: What there is of an unfinished fetch; None for an asset.
    """

    digest: str
    size: int
    derived: int
    stored: float
    used: float
    others: float = 0.0
    uids: tuple[str, ...] = ()
    unfinished: UnfinishedFetch | None = None

    @property
    def total(self) -> int:
        """The bytes that are free when it is gone."""
        return self.size + self.derived


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What goes, and what stays against the wish, each with the reason."""

    remove: tuple[tuple[StoreItem, str], ...]
    keep: tuple[tuple[StoreItem, str], ...]

    @property
    def freed(self) -> int:
        """The bytes that are free afterwards."""
        return sum(item.total for item, _ in self.remove)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """Result of hashing a stored file again.

    Attributes:
        digest: The asset's digest.
        kind: None for the asset itself, else the kind of the derived file.
        right: Whether it is what it should be.
        error: Why it could not be read, or None.
        moved: Whether it was wrong, and was moved into quarantine.
        fate: If it could be read, is not right, and was not moved: what is the matter with it, as in "it ...".
    """

    digest: str
    kind: str | None
    right: bool
    error: str | None = None
    moved: bool = False
    fate: str = ""


def items(store: Store, names: Mapping[Digest, tuple[str, ...]] | None = None) -> tuple[StoreItem, ...]:
    """Return every asset in a store, in order of digests; nothing is hashed.

    What was made from an asset of another store stands here alone: then the asset itself has no bytes.

    Args:
        store: The store; its shared folders are not listed.
        names: The UIDs of the cards that name a digest, whole or short.

    Raises:
        StoreError: If the store cannot be read.
    """
    derived: dict[str, int] = {}
    made: dict[str, float] = {}
    for kind in store.kinds():
        for digest, found in store.derived_files(kind):
            derived[digest] = derived.get(digest, 0) + found.st_size
            made[digest] = max(made.get(digest, 0.0), found.st_mtime)
    others = store.used_by_others()
    there = {digest: (found.st_size, found.st_mtime) for digest, found in store.blobs()}
    there.update((digest, (0, when)) for digest, when in made.items() if digest not in there)
    whole = {digest.hex: uids for digest, uids in (names or {}).items() if not digest.is_short}
    short = {digest.hex: uids for digest, uids in (names or {}).items() if digest.is_short}
    lengths = sorted({len(digest) for digest in short})
    result = []
    for digest, (size, stored) in sorted(there.items()):
        uids = {*whole.get(digest, ())}
        for length in lengths:
            uids.update(short.get(digest[:length], ()))
        used = store.used(digest)
        result.append(
            StoreItem(
                digest=digest,
                size=size,
                derived=derived.get(digest, 0),
                stored=stored,
                used=max(stored, used or 0.0, others.get(digest, 0.0)),
                others=others.get(digest, 0.0),
                uids=tuple(sorted(uids)),
            )
        )
    return tuple(result)


def unfinished(store: Store) -> tuple[StoreItem, ...]:
    """Return what there is in a store of fetches that were not finished; some may be under way.

    Raises:
        StoreError: If the store cannot be read.
    """
    return tuple(
        StoreItem(digest=one.digest, size=one.size, derived=0, stored=one.written, used=one.written, unfinished=one)
        for one in store.unfinished()
    )


def plan(
    there: Iterable[StoreItem],
    *,
    now: float,
    older_than: float | None = None,
    max_bytes: int | None = None,
    unreferenced: bool = False,
    broken_off: bool = False,
    recent: float = RECENT_SECONDS,
) -> Removal:
    """Return what a prune removes. Pure.

    A file goes if any of the four wishes says so. What was used within ``recent`` seconds stays: a load may be about
    to open it. With ``broken_off`` that does not matter: what is not finished is not loaded, and its writer holds its
    lock.

    Args:
        there: What is in the store, with what is not finished.
        now: Seconds since 1970.
        older_than: Remove what was not used for that many seconds.
        max_bytes: Remove what was used longest ago until the rest has no more bytes than these.
        unreferenced: Remove the assets that no card names.
        broken_off: Remove what is not finished.
        recent: Seconds for which a use protects a file.
    """
    rest: list[StoreItem] = []
    remove: list[tuple[StoreItem, str]] = []
    keep: list[tuple[StoreItem, str]] = []

    def drop(item: StoreItem, reason: str) -> bool:
        if now - item.used < recent:
            keep.append((item, f"{reason}, but it was used less than {recent / 3600:g} hours ago"))
            return False
        remove.append((item, reason))
        return True

    for item in sorted(there, key=lambda one: (one.used, one.digest)):
        reason = None
        if unreferenced and not item.uids and now - item.others < OTHERS_SECONDS:
            days = (now - item.others) / 86400
            keep.append((item, f"no card here names it, but another user used it {days:.1f} days ago"))
            continue
        if broken_off and item.unfinished is not None:
            remove.append((item, "not finished"))
            continue
        if unreferenced and not item.uids and item.unfinished is None:
            reason = "no card names it"
        elif older_than is not None and now - item.used >= older_than:
            what = "used" if item.unfinished is None else "finished, nor resumed"
            reason = f"not {what} for {(now - item.used) / 86400:.1f} days"
        if reason is None or not drop(item, reason):
            rest.append(item)
    if max_bytes is not None:
        total = sum(item.total for item in rest)
        judged = {id(item) for item, _ in keep}  # not by digests: an asset may be there, and a part of it as well
        for item in rest:
            if total <= max_bytes:
                break
            if id(item) not in judged and drop(item, "the store is larger than it may be"):
                total -= item.total
    return Removal(remove=tuple(remove), keep=tuple(keep))


def carry_out(store: Store, removal: Removal) -> Removal:
    """Remove what a plan says; return what really went, and what stayed.

    A file that was used since, that another process is writing, or that cannot be removed, stays, with the reason.
    """
    remove, keep = [], list(removal.keep)
    others = store.used_by_others()
    for item, reason in removal.remove:
        part = item.unfinished
        used = max(store.used(item.digest) or 0.0, others.get(item.digest, 0.0)) if part is None else 0.0
        if used > item.used:
            keep.append((item, "it is in use"))
            continue
        try:
            if store.remove(item.digest) if part is None else store.remove_unfinished(part):
                remove.append((item, reason))
        except StoreError as error:
            keep.append((item, error.message))
    return Removal(remove=tuple(remove), keep=tuple(keep))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedFile:
    """A wrong file that was moved into quarantine.

    Attributes:
        path: Where it is.
        size: Its bytes.
        error: Why it could not be removed, or None.
    """

    path: Path
    size: int
    error: str | None = None


def quarantined(store: Store) -> tuple[QuarantinedFile, ...]:
    """Return the wrong files that were moved into quarantine, with their sizes."""
    found = []
    for path in store.quarantined():
        with suppress(OSError):  # removed while we look
            found.append(QuarantinedFile(path=path, size=path.lstat().st_size))
    return tuple(found)


def remove_quarantined(store: Store, aside: Iterable[QuarantinedFile]) -> tuple[QuarantinedFile, ...]:
    """Remove wrong files; return them all, those that stay with the reason."""

    def remove(one: QuarantinedFile) -> QuarantinedFile:
        try:
            store.remove_quarantined(one.path)
        except StoreError as error:
            return replace(one, error=error.message)
        return one

    return tuple(map(remove, aside))


def verify(
    store: Store,
    *,
    workers: int = 2,
    quarantine: bool = True,
    report: Callable[[VerifyResult, int], None] | None = None,
) -> tuple[VerifyResult, ...]:
    """Hash every file of a store again, and move wrong ones into quarantine.

    Args:
        store: The store; its shared folders are not hashed.
        workers: Processes (or threads) that hash; each keeps one core busy.
        quarantine: Whether wrong files are moved into quarantine; else they are only reported.
        report: Told of every file, with its bytes, as soon as it is hashed; called by one thread at a time.

    Returns:
        What became of each file: the assets, then what was made from them.

    Raises:
        StoreError: If the store cannot be listed.
    """
    waiting: list[tuple[str, str | None, int]] = [(digest, None, found.st_size) for digest, found in store.blobs()]
    for kind in store.kinds():
        waiting += [(digest, kind, found.st_size) for digest, found in store.derived_files(kind)]

    def check(one: tuple[str, str | None, int]) -> VerifyResult:
        digest, kind, _ = one
        try:
            found = store.check(digest, kind=kind, quarantine=quarantine)
        except StoreError as error:
            return VerifyResult(digest=digest, kind=kind, right=False, error=error.message)
        right = found.stored is not None
        return VerifyResult(digest=digest, kind=kind, right=right, moved=found.moved, fate=found.reason)

    results = []
    for (_, _, size), result in zip(waiting, parallel.run(check, waiting, jobs=workers), strict=True):
        results.append(result)
        if report is not None:
            report(result, size)
    return tuple(results)


def choose(there: Iterable[StoreItem], targets: Iterable[str]) -> Removal:
    """Return what is removed when UIDs and digests are named. Pure.

    Args:
        there: What is in the store, with the cards that name it.
        targets: UIDs, and digests or beginnings of them.

    Raises:
        ArgumentError: If a target names nothing that is stored, or a short digest names several files.
    """
    chosen: dict[str, tuple[StoreItem, str]] = {}
    known = tuple(there)
    for target in targets:
        if "/" in target:
            uid = str(Uid.parse(target))
            found, reason = [item for item in known if uid in item.uids], f"an asset of {uid}"
        else:
            digest = Digest.parse(target)
            found, reason = [item for item in known if digest.matches(item.digest)], "named"
            if len(found) > 1:
                raise ArgumentError(f"{target} names {len(found)} stored files", hint="give more digits")
        if not found:
            raise ArgumentError(f"nothing of {target} is stored", hint="see `hubtool cache ls`")
        chosen.update((item.digest, (item, reason)) for item in found)
    return Removal(remove=tuple(chosen.values()), keep=())
