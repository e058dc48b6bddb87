"""What a mirror lacks: computed from the cards of the registries and the contents of the mirror, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hubtool.digest import Digest
from hubtool.mirror.layout import SHARD_DIGITS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from hubtool.mirror.index import ListedCard, MirrorIndex
    from hubtool.registry.entry import CardEntry


class WantedAsset(NamedTuple):
    """One asset as its card states it. A tuple, because worker processes pickle many of them.

    Attributes:
        link: Its link, as the card writes it.
        digest: Its digest, perhaps short, or None if the card states none.
        size: Its bytes, where the card states them.
    """

    link: str
    digest: Digest | None
    size: int | None


class WantedCard(NamedTuple):
    """One card that the mirror should have.

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
class MissingAsset:
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
        """What identifies it: its digest, and with a short digest, which several files may have, its link as well."""
        return key_of(self.digest, self.sources[0][1])

    @property
    def shard(self) -> str:
        """The first digits of its digest; one worker brings all that is missing of a shard."""
        return self.digest.hex[:SHARD_DIGITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFailure:
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
class MirrorPlan:
    """What a mirror has, what it lacks, and what cannot be fetched.

    Attributes:
        wanted: Every card that was selected and can be read.
        missing: The assets that are missing, in order of digests.
        there: Size in bytes of each wanted asset that the mirror has, by whole digest.
        cards: The UIDs of cards that are new or have changed.
        gone: The UIDs of cards that the mirror lists and the registries no longer have.
        failures: What is wrong with the cards themselves.
        unnamed: Size of each blob that no card of the mirror or of the registries names, by digest.
        unreferenced_after: Size of each blob that no card names once the cards in ``gone`` are removed, by digest.
        wrong: Size of each blob whose bytes do not have the digest in its name, by that digest; it counts as missing.
    """

    wanted: tuple[WantedCard, ...]
    missing: tuple[MissingAsset, ...]
    there: Mapping[str, int]
    cards: tuple[str, ...]
    gone: tuple[str, ...]
    failures: tuple[MirrorFailure, ...]
    unnamed: Mapping[str, int]
    unreferenced_after: Mapping[str, int]
    wrong: Mapping[str, int]

    @property
    def known_bytes(self) -> int:
        """The bytes to move, as far as cards state them."""
        return sum(asset.size or 0 for asset in self.missing)

    @property
    def unknown_sizes(self) -> int:
        """How many missing assets have no stated size."""
        return sum(asset.size is None for asset in self.missing)

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
                "missing": len(self.missing),
                "bytes_missing": self.known_bytes,
                "sizes_unknown": self.unknown_sizes,
                "wrong": sorted(self.wrong),
                "unnamed": len(self.unnamed),
                "bytes_unnamed": sum(self.unnamed.values()),
            },
            "failures": [failure_json(failure) for failure in self.failures],
        }


def failure_json(failure: MirrorFailure) -> dict[str, object]:
    """Return a failure as JSON members."""
    return {"uid": failure.uid, "link": failure.link, "digest": failure.digest, "reason": failure.reason}


def make(
    wanted: Sequence[WantedCard],
    present: Mapping[str, int],
    listing: MirrorIndex,
    *,
    cards: Iterable[str],
    partial: bool = False,
    wrong: Container[str] = (),
) -> MirrorPlan:
    """Make the plan.

    Args:
        wanted: The selected cards.
        present: Size in bytes of every blob in the mirror, by digest.
        listing: The mirror's index.
        cards: The UIDs of the card files in the mirror.
        partial: Whether only some of the registries' cards were selected, so that the others are not gone.
        wrong: The digests of the blobs that were found to have other bytes.
    """
    bad = {digest: size for digest, size in present.items() if digest in wrong}
    present = {digest: size for digest, size in present.items() if digest not in bad}
    failures = [MirrorFailure(uid=one.uid, link=None, digest=None, reason=one.problem) for one in wanted if one.problem]
    readable = {one.uid: one.entry for one in wanted if one.entry is not None}
    cards_wanted = tuple(one for one in wanted if one.entry is not None)
    stated = [asset.digest for one in cards_wanted for asset in one.assets if asset.digest is not None]
    there: dict[str, int] = {}
    missing: dict[str, MissingAsset] = {}
    for one in cards_wanted:
        for asset in one.assets:
            if asset.digest is None:
                reason = "the card states no SHA-256, so the bytes could not be verified; add asset-sha256"
                failures.append(MirrorFailure(uid=one.uid, link=asset.link, digest=None, reason=reason))
                continue
            digest = complete(asset.digest, listing.uids.get(one.uid), asset.link)
            if digest.hex in present:
                size = present[digest.hex]
                there[digest.hex] = size
                if asset.size is not None and asset.size != size:
                    reason = f"the card states {asset.size} bytes, and the mirror's blob has {size}; correct the card"
                    failures.append(MirrorFailure(uid=one.uid, link=asset.link, digest=digest.hex, reason=reason))
            else:
                key = key_of(digest, asset.link)
                before = missing.get(key)
                source = (one.uid, asset.link)
                missing[key] = MissingAsset(
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
    # A blob that begins like a short digest may be the right one: it is not pruned.
    short = {digest.hex for digest in stated if digest.is_short}
    lengths = {len(text) for text in short}
    ours = {*there, *(digest for digest in present if any(digest[:length] in short for length in lengths))}
    named = ours | {asset.digest for one in kept for asset in one.assets if asset.digest}
    left = named if partial else ours
    return MirrorPlan(
        wanted=cards_wanted,
        missing=tuple(missing[key] for key in sorted(missing)),
        there=there,
        cards=tuple(changed),
        gone=() if partial else tuple(sorted(one.uid for one in kept)),
        failures=tuple(failures),
        unnamed={digest: size for digest, size in present.items() if digest not in named},
        unreferenced_after={digest: size for digest, size in present.items() if digest not in left},
        wrong=bad,
    )


def suspects(wanted: Sequence[WantedCard], present: Mapping[str, int], listing: MirrorIndex) -> tuple[str, ...]:
    """Return the digests of the blobs whose size differs from the one in the mirror's index or on a card.

    Only hashing tells whether the blob or the card is wrong.
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
    """Return what identifies an asset: its digest, and with a short digest its link as well."""
    return f"{digest.hex} {link}" if digest.is_short else digest.hex


def complete(digest: Digest, listed: ListedCard | None, link: str) -> Digest:
    """Return the whole digest that a short one stands for, or the short one if that is not known.

    Only the mirror's own index decides, which recorded what came from this link of this card. Another file whose digest
    begins in the same way proves nothing, because anyone can make one.
    """
    if digest.is_short:
        for asset in listed.assets if listed is not None else ():
            if asset.link == link and asset.digest and digest.matches(asset.digest):
                return Digest(asset.digest)
    return digest
