"""The hub: settings, registries, store and link policy, opened together for one command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hubtool import settings
from hubtool.errors import ArgumentError, SettingsError
from hubtool.registry import Registries
from hubtool.resolution import finding
from hubtool.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from hubtool.links import LinkPolicy
    from hubtool.resolution.finding import FoundCard
    from hubtool.resolution.resolver import Resolution
    from hubtool.settings import Settings
    from hubtool.transfer.events import EventCallback
    from hubtool.transfer.fetcher import Fetcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What a command works with.

    Attributes:
        settings: The settings in force.
        registries: The registries that the settings name.
        store: The store of assets.
        policy: Which links may be followed.
    """

    settings: Settings
    registries: Registries
    store: Store
    policy: LinkPolicy

    @classmethod
    def open(cls, current: Settings | None = None) -> Hub:
        """Open the registries and the store that the settings name.

        Raises:
            SettingsError: If a setting cannot be used.
        """
        from hubtool.links import LinkPolicy  # noqa: PLC0415

        current = settings.load() if current is None else current
        return cls(
            settings=current,
            registries=Registries.open(current),
            store=Store(current.home, shared=current.stores),
            policy=LinkPolicy.configured(current),
        )

    @property
    def mirrors(self) -> tuple[str, ...]:
        """The mirrors to ask for files by their digest: those of the settings, then published registries."""
        return tuple(dict.fromkeys((*self.settings.mirrors, *self.registries.mirrors)))

    def with_lock(self, path: Path | None) -> Hub:
        """Return the same hub with another lockfile in force, or with none."""
        return replace(self, settings=replace(self.settings, lock=path))

    def find(self, name: str, *, local: bool = False) -> FoundCard:
        """Find a card by UID, URL or path, as the lockfile in force pins it.

        Args:
            name: As :func:`hubtool.resolution.finding.find` takes it.
            local: Whether the name is always a path.

        Raises:
            HubError: As :func:`hubtool.resolution.finding.find`.
        """
        return finding.find(name, registries=self.registries, store=self.store, lock=self.settings.lock, local=local)

    def borrow(self, found: FoundCard) -> FoundCard:
        """Return a card with the recipe that a registry knows for its network; as it is if it has one.

        Args:
            found: The card; see :func:`hubtool.resolution.lending.borrow`.

        Raises:
            LockfileError: If the lockfile in force pins a recipe for the card, and no place has it.
        """
        if found.card.recipe is not None:
            return found
        from hubtool.resolution import lending  # noqa: PLC0415 - sqlite3, which most cards do without

        return lending.borrow(found, self.registries, self.store)

    def resolve(
        self,
        found: FoundCard,
        *,
        device: str = "auto",
        trust: bool = False,
        overridden: Collection[str] = (),
        loading: bool = False,
        code: bool = True,
        borrowing: bool = True,
    ) -> Resolution:
        """Return what it takes to load a card, without fetching or running anything.

        Args:
            found: The card.
            device: ``auto``, ``CPU``, ``GPU`` or ``Ascend``.
            trust: Whether the user agrees, for this run, to code that the card chooses.
            overridden: Names of arguments that the user's own call replaces.
            loading: Whether the card is going to be loaded: then only what that needs is looked at.
            code: Whether the network's code matters; without it, the trust list is not read.
            borrowing: Whether a card without a recipe borrows that of a card of the same network.

        Raises:
            ArgumentError: If there is no such device.
            LockfileError: If the stored code of a pinned commit is not the code that the lockfile pins, or no place has
                the recipe that it pins.
            SettingsError: If the user's trust list is needed and cannot be read.
        """
        from hubtool.resolution import facts, resolver  # noqa: PLC0415 (not needed to fetch)

        found = self.borrow(found) if code and borrowing else found
        gathered = facts.gather(
            found,
            registries=self.registries,
            store=self.store,
            policy=self.policy,
            offline=self.settings.offline,
            trust=trust,
            loading=loading,
            code=code,
        )
        return resolver.resolve(found, gathered, device=device, overridden=overridden)

    def fetcher(
        self, *, connections: int | None = None, rate: float | None = None, watch: EventCallback | None = None
    ) -> Fetcher:
        """Return a fetcher for many assets; see :class:`hubtool.transfer.fetcher.Fetcher`.

        Args:
            connections: The most connections at once; None for the default.
            rate: The most bytes per second, all connections together.
            watch: Receives the events.

        Raises:
            SettingsError: If a mirror of the settings has an invalid address.
            ArgumentError: If another mirror has one.
        """
        from hubtool.transfer.fetcher import CONNECTIONS, Fetcher  # noqa: PLC0415
        from hubtool.transfer.mirrors import mirror_base  # noqa: PLC0415

        try:
            for mirror in self.settings.mirrors:
                mirror_base(mirror)
        except ArgumentError as error:
            raise SettingsError(f"{self.settings.called('mirrors')}: {error.message}", hint=error.hint) from None
        return Fetcher(
            self.store,
            policy=self.policy,
            mirrors=self.mirrors,
            offline=self.settings.offline,
            connections=CONNECTIONS if connections is None else connections,
            rate=rate,
            watch=watch,
        )
