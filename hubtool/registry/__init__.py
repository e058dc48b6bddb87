"""Registries: sets of cards, and where they come from.

Registries are asked in order; the first that has a card decides.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hubtool import settings
from hubtool.errors import CardNotFoundError, HubError, SettingsError, StoreError
from hubtool.registry.folder import FolderRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.model import Card
    from hubtool.registry.entry import CardEntry
    from hubtool.registry.sources import RegistrySource
    from hubtool.settings import Settings
    from hubtool.uid import Uid

__all__ = ["FolderRegistry", "Registries", "Registry", "ShadowedCard", "open_source"]

_SHORTEST = 3  # letters and digits of a name that others are like
ADDED_FILE_NAME = "registries.toml"
"""The file with the added registries, beside the user's settings."""


class Registry(Protocol):
    """A set of cards, wherever it comes from."""

    @property
    def name(self) -> str:
        """The name of the registry."""
        ...

    @property
    def key(self) -> str:
        """The registry's identity in the index."""
        ...

    @property
    def root(self) -> Path | None:
        """The folder that assets with relative links must be in; None if links are never relative."""
        ...

    def read(self, uid: Uid) -> Card | None:
        """Read a card, or return None if the registry does not have it.

        Raises:
            CardError: If the card is there and cannot be read.
            FetchError: If it has to be fetched, and that fails.
        """
        ...

    def digest(self, uid: Uid) -> str | None:
        """Return the digest of a card's bytes if it is known without the network, else None."""
        ...

    def objection(self, uid: Uid) -> str | None:
        """Return why a card of this UID is not used, or None if it can be."""
        ...

    def uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards that are known without the network."""
        ...

    def groups(self) -> Iterator[tuple[str, str]]:
        """Yield the names of groups of cards that change together, each with a stamp that changes when they do."""
        ...

    def entries(self, group: str) -> list[CardEntry]:
        """Return the entries of a group's cards, for lists and searches."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedCard:
    """A registry that has other bytes under the UID of the card that is used."""

    registry: str
    digest: str

    def as_json(self) -> dict[str, str]:
        """Return the members that ``hubtool resolve --json`` prints."""
        return {"registry": self.registry, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Registries:
    """Registries in the order in which they are asked.

    Attributes:
        members: The registries.
        home: The home folder, whose index gives close matches; None for none.
    """

    members: tuple[Registry, ...]
    home: Path | None = None

    @classmethod
    def of_folders(cls, folders: tuple[Path, ...], home: Path | None = None) -> Registries:
        """Open registry folders.

        Raises:
            SettingsError: If one of them is not a folder.
        """
        for folder in folders:
            if not folder.is_dir():
                raise SettingsError(
                    f"the registry {folder} is not a folder",
                    hint="see 'hubtool settings' for where the path comes from",
                )
        return cls(tuple(FolderRegistry(folder) for folder in folders), home)

    @classmethod
    def open(cls, current: Settings) -> Registries:
        """Open the registries of the settings, then the added ones.

        Raises:
            SettingsError: If one of them cannot be used.
        """
        folders = cls.of_folders(current.registry, current.home)
        path = settings.user_file().with_name(ADDED_FILE_NAME)
        if not path.is_file():
            return folders
        from hubtool.registry import sources  # noqa: PLC0415 - most users have added none

        added = [open_source(source, current) for source in sources.load(path)]
        return cls((*folders.members, *added), current.home)

    def read(self, uid: Uid) -> tuple[Card, Registry]:
        """Return a card from the first registry that has it, and that registry.

        Raises:
            CardNotFoundError: If no registry has it; the error has close matches.
            CardError: If the card cannot be read.
            FetchError: If it has to be fetched, and that fails.
        """
        for member in self.members:
            card = member.read(uid)
            if card is not None:
                return card, member
        objected = [(one.name, why) for one in self.members if (why := one.objection(uid)) is not None]
        if objected:
            raise CardNotFoundError(
                f"no card has the UID {uid}; {objected[0][0]} was not asked, because {objected[0][1]}",
                hint=f"to use its cards, remove it and add it again with --allow-publisher {uid.publisher}",
            )
        matches = self.close_matches(uid)
        where = ", ".join(member.name for member in self.members)
        raise CardNotFoundError(
            f"no card has the UID {uid} (looked in {where})",
            matches=matches,
            hint=f"did you mean {' or '.join(matches)}?" if matches else None,
        )

    def others(self, uid: Uid, used: Registry) -> tuple[ShadowedCard, ...]:
        """Return the later registries that have other bytes under a UID than the registry whose card is used."""
        later = self.members[self.members.index(used) + 1 :]
        found = [
            ShadowedCard(registry=one.name, digest=digest) for one in later if (digest := one.digest(uid)) is not None
        ]
        # Most cards are in one registry only; then their bytes need not be read again.
        own = used.digest(uid) if found else None
        return tuple(other for other in found if other.digest != own)

    @property
    def mirrors(self) -> tuple[str, ...]:
        """The addresses of published registries, which can be mirrors and have the assets too."""
        # A mirror in a folder was added by its folder of cards: its assets are beside that.
        folders = [
            one.root.parent for one in self.members if isinstance(one, FolderRegistry) and one.publishers is not None
        ]
        near = [
            place.absolute().as_uri()
            for place in folders
            if (place / "blobs").is_dir() and (place / "index.json").is_file()
        ]
        if all(isinstance(one, FolderRegistry) for one in self.members):
            return tuple(near)
        from hubtool.registry.published.client import PublishedRegistry  # noqa: PLC0415 - most users have added none

        return (*near, *(one.source.location for one in self.members if isinstance(one, PublishedRegistry)))

    def uids(self) -> Iterator[Uid]:
        """Yield every UID once, in the order of the registries."""
        seen = set()
        for member in self.members:
            for uid in member.uids():
                if uid not in seen:
                    seen.add(uid)
                    yield uid

    def unnamed(self) -> Iterator[tuple[str, str]]:
        """Yield the paths of cards in folders that no UID can name, and why."""
        for member in self.members:
            if isinstance(member, FolderRegistry):
                yield from member.unnamed()

    def named(self, name: str) -> tuple[Uid, ...]:
        """Return the UIDs of a model's name, those of one publisher together, the newest version first.

        Upper and lower case do not matter. Publishers stand in the order of the registries; withdrawn cards are not
        among them.
        """
        from hubtool.registry.words import newness  # noqa: PLC0415 - most names are whole

        found = [uid for uid in self.uids() if uid.name.lower() == name.lower()]
        publishers = [uid.publisher for uid in found]
        found.sort(key=lambda uid: (publishers.index(uid.publisher), -newness(uid.version), str(uid)))
        return tuple(uid for uid in found if not self._is_withdrawn(uid))

    def like(self, name: str, count: int = 3) -> tuple[Uid, ...]:
        """Return the newest UIDs of the models whose names are most like one that no model has, best first.

        Args:
            name: A name without publisher and version, such as ``resnet50``.
            count: The most that are returned.
        """
        from hubtool.card.vocabulary import fold  # noqa: PLC0415 - only an error needs it
        from hubtool.registry.words import newness  # noqa: PLC0415 - the same

        asked = fold(name)
        if len(asked) < _SHORTEST:
            return ()
        newest: dict[str, Uid] = {}
        for uid in sorted(self.uids(), key=lambda uid: newness(uid.version)):
            newest[uid.name] = uid

        def order(one: str) -> tuple[bool, bool, int, int, str]:
            """Put 'resnet50_cifar10' before 'resnet50bam_cifar10', then 'seresnet50_cifar10'; newer first."""
            begins = fold(one).startswith(asked)
            return fold(one.partition("_")[0]) != asked, not begins, -newness(newest[one].version), len(one), one

        holding = sorted((one for one in newest if asked in fold(one)), key=order)
        near = holding or difflib.get_close_matches(name.lower()[:100], list(newest), n=2 * count, cutoff=0.6)
        return tuple(newest[one] for one in near if not self._is_withdrawn(newest[one]))[:count]

    def _is_withdrawn(self, uid: Uid) -> bool:
        """Return whether a folder says that a card is withdrawn; nothing is fetched for that."""
        for member in self.members:
            try:
                card = member.read(uid) if isinstance(member, FolderRegistry) else None
            except HubError:
                return False  # what is wrong with it is said when it is asked for
            if card is not None:
                return card.status is not None and card.status.is_withdrawn
        return False

    def close_matches(self, uid: Uid, count: int = 3) -> tuple[str, ...]:
        """Return the UIDs that are closest to one that does not exist, best first."""
        asked = str(uid).lower()
        by_lower = {known.lower(): known for known in self._candidates(uid)}
        found = difflib.get_close_matches(asked, by_lower, n=count, cutoff=0.6)
        # The same model name under another version or publisher is always close.
        same_name = [text for lower, text in by_lower.items() if lower.rpartition("/")[2] == uid.name.lower()]
        best = [*(by_lower[lower] for lower in found), *same_name]
        return tuple(dict.fromkeys(best))[:count]

    def _candidates(self, uid: Uid) -> list[str]:
        """Return the UIDs to compare: those of the index that share letters, or all if there is no index."""
        from hubtool.registry import index, index_file  # noqa: PLC0415 - sqlite3, which only an error needs here

        if self.home is not None and index_file.file(self.home).is_file():
            try:
                with index.SearchIndex.open(self.home, self.members, refresh=False) as opened:
                    near = opened.near(str(uid))
            except StoreError:
                near = []
            if near:
                return near
        return [str(known) for known in self.uids()]


def open_source(source: RegistrySource, current: Settings) -> Registry:
    """Open an added registry; its fetched files are in the home folder."""
    if source.kind == "folder":
        return FolderRegistry(Path(source.location), source.name, publishers=source.publishers)
    folder = source.folder(current.home)
    if source.kind == "git":
        from hubtool.registry import git  # noqa: PLC0415 - most users have added none

        return git.open_registry(source, folder)
    from hubtool.links import LinkPolicy  # noqa: PLC0415 - as above
    from hubtool.registry.published.client import PublishedRegistry  # noqa: PLC0415 - as above

    policy = LinkPolicy.configured(current)
    return PublishedRegistry(source, folder, policy, current.offline)
