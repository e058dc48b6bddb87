"""Checking that a mirror is complete, and its bytes right."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hubtool.card import document, model
from hubtool.errors import CardError, MirrorError
from hubtool.mirror import index, layout
from hubtool.mirror.layout import INDEX, blob_name, card_name, parse_blob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubtool.mirror.destination import Destination
    from hubtool.mirror.index import ListedCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is missing or wrong.

    Attributes:
        name: The file, relative to the mirror.
        reason: What is wrong with it.
        wrong: Whether it was read, and has other bytes than it should have.
    """

    name: str
    reason: str
    wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a check of a mirror found.

    Attributes:
        cards: How many cards the index names.
        blobs: How many blobs it names.
        bytes: Their size in bytes.
        deep: Whether the blobs were read and hashed.
        faults: What is missing or wrong.
        unnamed: How many blobs no card names.
        seconds: How long it took.
    """

    cards: int
    blobs: int
    bytes: int
    deep: bool
    faults: tuple[Fault, ...]
    unnamed: int
    seconds: float

    @property
    def right(self) -> bool:
        """Whether nothing is missing or wrong."""
        return not self.faults

    def as_json(self) -> dict[str, object]:
        """Return the result as JSON members."""
        return {
            "right": self.right,
            "deep": self.deep,
            "cards": self.cards,
            "blobs": self.blobs,
            "bytes": self.bytes,
            "unnamed": self.unnamed,
            "faults": [{"name": fault.name, "reason": fault.reason} for fault in self.faults],
            "seconds": round(self.seconds, 3),
        }


def verify(place: Destination, *, deep: bool = False, jobs: int = 8) -> VerifyReport:
    """Check every card, and every asset that the index names.

    Args:
        place: Where the mirror is.
        deep: Whether blobs are read and hashed; else only their sizes are compared.
        jobs: Number of files that are read at once.

    Raises:
        MirrorError: If the mirror cannot be read at all, or has no index.
    """
    start = time.monotonic()
    listing = index.load(place)
    if listing.etag is None:
        raise MirrorError(f"{place.name} has no {INDEX}: it is not a mirror", hint="run `hubtool mirror sync` first")
    blobs = layout.blobs(place)
    faults = [Fault(name=name, reason=reason) for name, reason in sorted(listing.faults.items())]
    named: dict[str, int] = {}
    for one in listing.uids.values():
        for asset in one.assets:
            if not asset.digest:
                faults.append(Fault(name=card_name(one.uid), reason=f"the mirror lacks its asset {asset.link}"))
            else:
                named[asset.digest] = asset.size or 0
    with ThreadPoolExecutor(jobs) as pool:
        faults += [fault for fault in pool.map(partial(_card, place), listing.uids.values()) if fault]
        for digest, size in sorted(named.items()):
            if digest not in blobs:
                faults.append(Fault(name=blob_name(digest), reason="it is missing"))
            elif blobs[digest] != size:
                faults.append(Fault(name=blob_name(digest), reason=f"it has {blobs[digest]} bytes instead of {size}"))
        if deep:  # the unnamed blobs as well: a later card may name them
            faults += [fault for fault in pool.map(partial(look_into, place), sorted(blobs)) if fault]
    return VerifyReport(
        cards=len(listing.uids),
        blobs=len(named),
        bytes=sum(named.values()),
        deep=deep,
        faults=tuple(faults),
        unnamed=len(blobs.keys() - named.keys()),
        seconds=time.monotonic() - start,
    )


def remove_wrong(place: Destination, faults: Iterable[Fault]) -> tuple[str, ...]:
    """Remove the cards and blobs that were found wrong, so that a sync replaces them; return their names.

    A blob that a worker has replaced in the meantime stays.

    Raises:
        MirrorError: If the mirror cannot be written.
    """
    removed = []
    for name in (fault.name for fault in faults if fault.wrong):
        digest = parse_blob(name)
        if digest is None or look_into(place, digest):
            place.remove([name])
            removed.append(name)
    return tuple(removed)


def _card(place: Destination, listed: ListedCard) -> Fault | None:
    name = card_name(listed.uid)
    try:
        found = place.read(name, document.MAX_BYTES)
        if found is None:
            return Fault(name=name, reason="it is missing")
        data = found[0]
        if hashlib.sha256(data).hexdigest() != listed.digest:
            return Fault(name=name, reason="it is not the card that the index names", wrong=True)
        stated = {asset.link: asset.digest for asset in model.read(data).assets}
    except (MirrorError, CardError) as error:
        return Fault(name=name, reason=error.message)
    for asset in listed.assets:
        digest = stated.get(asset.link)
        if asset.digest and (digest is None or not digest.matches(asset.digest)):
            return Fault(name=name, reason=f"the index gives its asset {asset.link} another digest than the card does")
    return None


def look_into(place: Destination, digest: str) -> Fault | None:
    """Read and hash a blob; return what is wrong with it, or None."""
    hasher = hashlib.sha256()
    try:
        with place.blob(digest) as blocks:
            for block in blocks:
                hasher.update(block)
    except MirrorError as error:
        return Fault(name=blob_name(digest), reason=error.message)
    if hasher.hexdigest() != digest:
        reason = f"its bytes have the SHA-256 {hasher.hexdigest()}"
        return Fault(name=blob_name(digest), reason=reason, wrong=True)
    return None
