"""What a mirror lacks. Pure: what the registries want and what the mirror holds go in, a plan comes out."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hubtool.digest import Digest
from hubtool.mirror.destination import UNIT

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from hubtool.mirror.index import Listed, Listing
    from hubtool.registry.entry import CardEntry


class WantedAsset(NamedTuple):
    """One asset as its card states it. A tuple: processes send one another many.

    Attributes:
        link: Its link, as the card writes it.
        digest: Its digest, perhaps short, or None if the card states none.
        size: Its bytes, where the card states them.
    """

    link: str
    digest: Digest | None
    size: int | None


class Wanted(NamedTuple):
    """One card that the mirror is to have.

    Attributes:
        uid: Its UID.
        entry: What the index says of it besides its assets; None if it cannot be read.
        assets: The assets that it names.
        problem: Why it cannot be read, or None.
    """

    uid: str
    entry: CardEntry | None
    assets: tuple[WantedAsset, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An asset that the mirror lacks.

    Attributes:
        digest: Its digest, perhaps short.
        size: Its bytes, where a card states them.
        sources: Where it can come from, in order: the UID of a card, and the link as that card writes it.
    """

    digest: Digest
    size: int | None
    sources: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """What tells it from other assets: its digest, and of a short one, which several files may have, its link."""
        return key_of(self.digest, self.sources[0][1])

    @property
    def unit(self) -> str:
        """The unit of work that it belongs to: what one worker claims at once."""
        return self.digest.hex[:UNIT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that could not be done, and why.

    Attributes:
        uid: The card.
        link: The asset's link, or None if the card itself is meant.
        digest: The digest that the card states, or None.
        reason: What is wrong, and what to do.
    """

    uid: str
    link: str | None
    digest: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is there, what is missing, and what can never be had.

    Attributes:
        wanted: Every card that was asked for and can be read.
        needs: The assets that are missing, in order of digests.
        there: Bytes of each asset that is wanted and there, by whole digest.
        cards: The UIDs of cards that are new or have changed.
        gone: The UIDs of cards that the mirror lists and the registries no longer have.
        failures: What is wrong with cards, whatever is done.
        unnamed: Bytes of each blob that no card of the mirror or of the registries names, by digest.
        loose: Bytes of each blob that none names when the cards that are gone are removed, by digest.
        wrong: Bytes of each blob that is there and has another digest than its name says, by that name; as good as
            missing.
    """

    wanted: tuple[Wanted, ...]
    needs: tuple[Need, ...]
    there: Mapping[str, int]
    cards: tuple[str, ...]
    gone: tuple[str, ...]
    failures: tuple[Failure, ...]
    unnamed: Mapping[str, int]
    loose: Mapping[str, int]
    wrong: Mapping[str, int]

    @property
    def known_bytes(self) -> int:
        """The bytes to move, as far as cards state them."""
        return sum(need.size or 0 for need in self.needs)

    @property
    def unknown_sizes(self) -> int:
        """How many missing assets have no stated size."""
        return sum(need.size is None for need in self.needs)

    def as_json(self) -> dict[str, object]:
        """Return the plan as JSON members."""
        return {
            "cards": {
                "wanted": len(self.wanted),
                "to_write": list(self.cards),
                "no_longer_in_registries": list(self.gone),
            },
            "assets": {
                "there": len(self.there),
                "bytes_there": sum(self.there.values()),
                "missing": len(self.needs),
                "bytes_missing": self.known_bytes,
                "sizes_unknown": self.unknown_sizes,
                "wrong": sorted(self.wrong),
                "unnamed": len(self.unnamed),
                "bytes_unnamed": sum(self.unnamed.values()),
            },
            "failures": [failure_json(failure) for failure in self.failures],
        }


def failure_json(failure: Failure) -> dict[str, object]:
    """Return a failure as JSON members."""
    return {"uid": failure.uid, "link": failure.link, "digest": failure.digest, "reason": failure.reason}


class Digests:
    """Whole digests, found by their beginnings."""

    def __init__(self, digests: Iterable[str]) -> None:
        self._sorted = sorted(set(digests))

    def matching(self, digest: Digest) -> tuple[str, ...]:
        """Return every whole digest that this one is, or is the beginning of."""
        at = bisect_left(self._sorted, digest.hex)
        found = []
        while at < len(self._sorted) and digest.matches(self._sorted[at]):
            found.append(self._sorted[at])
            at += 1
        return tuple(found)


def make(
    wanted: Sequence[Wanted],
    present: Mapping[str, int],
    listing: Listing,
    *,
    cards: Iterable[str],
    partial: bool = False,
    wrong: Container[str] = (),
) -> Plan:
    """Make the plan.

    Args:
        wanted: The cards that were asked for.
        present: Bytes of every blob that the mirror holds, by digest.
        listing: The mirror's index.
        cards: The UIDs of the card files that the mirror holds.
        partial: Whether only some of the registries' cards were asked for, so that others are not gone.
        wrong: The digests of the blobs that were found to have other bytes.
    """
    bad = {digest: size for digest, size in present.items() if digest in wrong}
    present = {digest: size for digest, size in present.items() if digest not in bad}
    failures = [Failure(uid=one.uid, link=None, digest=None, reason=one.problem) for one in wanted if one.problem]
    readable = {one.uid: one.entry for one in wanted if one.entry is not None}
    cards_wanted = tuple(one for one in wanted if one.entry is not None)
    stated = [asset.digest for one in cards_wanted for asset in one.assets if asset.digest is not None]
    whole = Digests([*present, *(digest.hex for digest in stated if not digest.is_short)])
    there: dict[str, int] = {}
    needs: dict[str, Need] = {}
    for one in cards_wanted:
        for asset in one.assets:
            if asset.digest is None:
                reason = (
                    "the card states no SHA-256, so nothing could tell whether the right bytes came; add asset-sha256"
                )
                failures.append(Failure(uid=one.uid, link=asset.link, digest=None, reason=reason))
                continue
            digest = complete(asset.digest, listing.uids.get(one.uid), asset.link)
            if digest.hex in present:
                size = present[digest.hex]
                there[digest.hex] = size
                if asset.size is not None and asset.size != size:
                    reason = f"the card states {asset.size} bytes, and the mirror's blob has {size}; correct the card"
                    failures.append(Failure(uid=one.uid, link=asset.link, digest=digest.hex, reason=reason))
            else:
                key = key_of(digest, asset.link)
                before = needs.get(key)
                source = (one.uid, asset.link)
                needs[key] = Need(
                    digest=digest,
                    size=asset.size if before is None or before.size is None else before.size,
                    sources=(source,) if before is None else (*before.sources, source),
                )
    files = set(cards)
    changed = [
        uid
        for uid, entry in readable.items()
        if uid not in files or uid not in listing.uids or listing.uids[uid].digest != entry.digest
    ]
    asked = {one.uid for one in wanted}
    kept = [one for uid, one in listing.uids.items() if uid not in asked]
    short = [digest for digest in stated if digest.is_short]
    ours = {*there, *(full for digest in short for full in whole.matching(digest))}
    named = ours | {asset.digest for one in kept for asset in one.assets if asset.digest}
    left = named if partial else ours
    return Plan(
        wanted=cards_wanted,
        needs=tuple(needs[key] for key in sorted(needs)),
        there=there,
        cards=tuple(changed),
        gone=() if partial else tuple(sorted(one.uid for one in kept)),
        failures=tuple(failures),
        unnamed={digest: size for digest, size in present.items() if digest not in named},
        loose={digest: size for digest, size in present.items() if digest not in left},
        wrong=bad,
    )


def suspects(wanted: Sequence[Wanted], present: Mapping[str, int], listing: Listing) -> tuple[str, ...]:
    """Return the digests of the blobs that have not as many bytes as the mirror's index or a card says.

    The index says how many each had when it was put there. Whether blob or card is wrong is seen by hashing it.
    """
    odd = {
        asset.digest
        for one in listing.uids.values()
        for asset in one.assets
        if asset.digest in present and asset.size != present[asset.digest]
    }
    for one in wanted:
        for stated in one.assets:
            digest = "" if stated.digest is None else stated.digest.hex
            if stated.size is not None and present.get(digest, stated.size) != stated.size:
                odd.add(digest)
    return tuple(sorted(odd))


def key_of(digest: Digest, link: str) -> str:
    """Return what tells an asset from others: its digest, and of a short one its link too."""
    return f"{digest.hex} {link}" if digest.is_short else digest.hex


def complete(digest: Digest, listed: Listed | None, link: str) -> Digest:
    """Return the whole digest that a short one stands for, or the short one where that is not known.

    Only what the mirror's own index recorded for the same card and link decides: that came from the link. Another file
    whose digest begins in the same way proves nothing, because anyone can make one.
    """
    if digest.is_short:
        for asset in listed.assets if listed is not None else ():
            if asset.link == link and asset.digest and digest.matches(asset.digest):
                return Digest(asset.digest)
    return digest
