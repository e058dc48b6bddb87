"""The plan of an audit: each distinct link and repository that the cards name, once. Pure.

Findings that the cards alone show are made here too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hubtool.audit.finding import AuditFinding, AuditNote
from hubtool.errors import ArgumentError, ForbiddenLinkError
from hubtool.links import host_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hubtool.card.model import Asset
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What an audit needs to know about one card.

    Attributes:
        uid: Its UID.
        assets: Its assets, with absolute links.
        place: The repository, revision and folder of its code, or None.
        licence: Its licence, an SPDX identifier where that is known; empty if it states none.
        problems: What is wrong with it already: the kind of finding, the target, what is wrong.
    """

    uid: str
    assets: tuple[Asset, ...] = ()
    place: RepositoryPlace | None = None
    licence: str = ""
    problems: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one card says of a link."""

    uid: str
    digest: Digest | None
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTarget:
    """One distinct link.

    Attributes:
        link: The link, in the form in which it is requested.
        uses: The cards that name it.
    """

    link: str
    uses: tuple[Use, ...]

    @property
    def key(self) -> str:
        """Its key in the saved state."""
        return f"link {self.link}"

    @property
    def host(self) -> str:
        """The server that is asked."""
        return host_of(self.link)

    @property
    def uids(self) -> tuple[str, ...]:
        """The cards that name it."""
        return tuple(dict.fromkeys(use.uid for use in self.uses))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryTarget:
    """One distinct repository.

    Attributes:
        url: Its URL.
        revisions: Each commit, branch or tag that cards name ("" is the default branch), with the UIDs and licences of
            these cards.
    """

    url: str
    revisions: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    @property
    def key(self) -> str:
        """Its key in the saved state."""
        return f"repository {self.url}"

    @property
    def host(self) -> str:
        """The server that is asked."""
        return host_of(self.url)

    @property
    def uids(self) -> tuple[str, ...]:
        """The cards that name it."""
        return tuple(uid for _, cards in self.revisions for uid, _ in cards)


Target = LinkTarget | RepositoryTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What an audit has to look at.

    Attributes:
        cards: The number of cards.
        links: The distinct links.
        repositories: The distinct repositories.
        local: The number of assets beside their cards.
        findings: The findings that the cards alone show.
        notes: The notes that they show.
    """

    cards: int
    links: tuple[LinkTarget, ...] = ()
    repositories: tuple[RepositoryTarget, ...] = ()
    local: int = 0
    findings: tuple[AuditFinding, ...] = ()
    notes: tuple[AuditNote, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """Everything to look at; repositories first, because they take longest."""
        return (*self.repositories, *self.links)


@dataclass(slots=True)
class _Gathered:
    links: dict[str, list[Use]] = field(default_factory=dict)
    repositories: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    forbidden: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)


def make(
    cards: Iterable[CardFacts], *, check: Callable[[str], str], check_repository: Callable[[str], None]
) -> AuditPlan:
    """Make the plan.

    Args:
        cards: What the cards say.
        check: Returns a link in the form in which it is requested; raises ForbiddenLinkError if it is not allowed.
        check_repository: Raises ForbiddenLinkError or ArgumentError if a repository is not allowed.
    """
    gathered = _Gathered()
    listed = list(cards)
    local = 0
    for card in listed:
        for problem in card.problems:
            gathered.forbidden.setdefault(problem, []).append(card.uid)
        for asset in card.assets:
            if asset.is_local:
                local += 1
                continue
            try:
                link = check(asset.link)
            except ForbiddenLinkError as error:
                key = ("link-forbidden", shown(asset.link), error.message)
                gathered.forbidden.setdefault(key, []).append(card.uid)
            else:
                use = Use(uid=card.uid, digest=asset.digest, size=asset.size)
                gathered.links.setdefault(link, []).append(use)
        if card.place is not None:
            try:
                check_repository(card.place.url)
            except (ForbiddenLinkError, ArgumentError) as error:
                key = ("link-forbidden", shown(card.place.url), error.message)
                gathered.forbidden.setdefault(key, []).append(card.uid)
            else:
                revisions = gathered.repositories.setdefault(card.place.url, {})
                revisions.setdefault(card.place.revision or "", []).append((card.uid, card.licence))
    links = tuple(LinkTarget(link=link, uses=tuple(uses)) for link, uses in gathered.links.items())
    return AuditPlan(
        cards=len(listed),
        links=links,
        repositories=tuple(
            RepositoryTarget(url=url, revisions=tuple((name, tuple(uids)) for name, uids in revisions.items()))
            for url, revisions in gathered.repositories.items()
        ),
        local=local,
        findings=(
            *(
                AuditFinding(kind=kind, target=target, uids=tuple(dict.fromkeys(uids)), message=message)
                for (kind, target, message), uids in gathered.forbidden.items()
            ),
            *_disagreements(links),
        ),
        notes=tuple(_duplicates(links)),
    )


def _disagreements(links: Sequence[LinkTarget]) -> list[AuditFinding]:
    """Return the links for which cards state digests that cannot both be right."""
    found = []
    for target in links:
        digests = sorted(
            {use.digest.hex for use in target.uses if use.digest is not None}, key=lambda one: (-len(one), one)
        )
        # A short digest agrees with a whole one that begins with it.
        apart = [one for at, one in enumerate(digests) if not any(other.startswith(one) for other in digests[:at])]
        if len(apart) > 1:
            uids = tuple(use.uid for use in target.uses if use.digest is not None)
            message = f"cards state {len(apart)} digests for one link: {', '.join(sorted(apart))}"
            found.append(AuditFinding(kind="digests-disagree", target=shown(target.link), uids=uids, message=message))
    return found


def _duplicates(links: Sequence[LinkTarget]) -> list[AuditNote]:
    """Return the digests that are at several links: published twice, which is not wrong."""
    by_digest: dict[str, dict[str, list[str]]] = {}
    whole = sorted({use.digest.hex for one in links for use in one.uses if use.digest and not use.digest.is_short})
    for target in links:
        for use in target.uses:
            if use.digest is None:
                continue
            full = _full(use.digest, whole)
            by_digest.setdefault(full, {}).setdefault(target.link, []).append(use.uid)
    notes = []
    for digest, places in sorted(by_digest.items()):
        if len(places) > 1:
            uids = tuple(dict.fromkeys(uid for found in places.values() for uid in found))
            message = f"the same bytes at {len(places)} links: {', '.join(shown(link) for link in sorted(places))}"
            notes.append(AuditNote(kind="duplicate", target=digest, uids=uids, message=message))
    return notes


def _full(digest: Digest, whole: list[str]) -> str:
    from bisect import bisect_left  # noqa: PLC0415 - only short digests need it

    if not digest.is_short:
        return digest.hex
    at = bisect_left(whole, digest.hex)
    matching = [one for one in whole[at : at + 2] if digest.matches(one)]
    return matching[0] if len(matching) == 1 else digest.hex
