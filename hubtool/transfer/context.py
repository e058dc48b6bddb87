"""What all transfers of one run share: connections, limits, the health of hosts, and where events go."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hubtool.digest import FULL_LENGTH
from hubtool.errors import FetchError, OfflineError, StoreError
from hubtool.links import shown
from hubtool.transfer.events import KINDS
from hubtool.transfer.limits import ConnectionLimit, HostHealth, RateLimiter
from hubtool.transfer.mirrors import Source

if TYPE_CHECKING:
    from collections.abc import Container

    from hubtool.digest import Digest
    from hubtool.links import LinkPolicy
    from hubtool.store.records import Stored
    from hubtool.store.store import Store
    from hubtool.transfer.events import EventCallback, FetchEvent, FetchRequest, Kind
    from hubtool.transfer.limits import RetryPolicy
    from hubtool.transfer.transport import Transport


class EndedError(FetchError):
    """The run was ended from outside."""


class FetchContext:
    """What the transfers of one run share. Threads share one.

    Attributes:
        store: Where assets go.
        policy: Where links and redirects may lead.
        transport: How bytes come from assets' own links.
        offline: Whether the network may not be used.
        connections: The connections that may be open at once.
        hosts: Which hosts are out of reach.
        retries: What is tried again, and when.
    """

    def __init__(
        self,
        *,
        store: Store,
        policy: LinkPolicy,
        transport: Transport,
        offline: bool,
        connections: int,
        rate: float | None,
        retries: RetryPolicy,
        watch: EventCallback | None,
    ) -> None:
        """Begin; the arguments are those of :class:`~hubtool.transfer.fetcher.Fetcher`."""
        self.store = store
        self.policy = policy
        self.transport = transport
        self.offline = offline
        self.connections = ConnectionLimit(max(1, connections))
        self.hosts = HostHealth(retries.unreached_seconds)
        self.retries = retries
        self._rate = None if rate is None else RateLimiter(rate)
        self._watch = watch
        self._kinds: Container[str] = () if watch is None else getattr(watch, "kinds", KINDS)
        self._telling = threading.Lock()
        self._ended = threading.Event()

    @property
    def is_ended(self) -> bool:
        """Whether the run was ended from outside."""
        return self._ended.is_set()

    def end(self) -> None:
        """Let the transfers stop where they look next."""
        self._ended.set()

    def came_from(self, wanted: FetchRequest, stored: Stored) -> None:
        """Record that an asset came from its own link, which completes the short digest of a card with that link.

        Raises:
            StoreError: If the digest is short, and the store cannot be written.
        """
        is_short = wanted.digest is not None and wanted.digest.is_short
        if (self.store.durable or is_short) and not self.store.came_from(wanted.link, stored.digest) and is_short:
            raise StoreError(
                f"the store at {self.store.root} cannot be written", hint="check its folder, and the room on its disk"
            )

    def origin(self, link: str) -> Source:
        """Return a link as a source.

        Raises:
            ForbiddenLinkError: If it may not be followed.
            FetchError: If its host has been out of reach for so long that it is asked no more.
        """
        checked = self.policy.check(link)
        away = self.hosts.given_up(checked.server)
        if away is not None:
            raise FetchError(
                f"{checked.shown}: not asked for, because its server could not be reached for {away:.0f} seconds",
                hint="check the network, and run the same again later; the partial file is kept",
                reached=False,
            )
        return Source(link=checked, transport=self.transport)

    def offline_error(self, link: str, digest: Digest | None = None) -> OfflineError:
        """Return the error for an asset that is not stored while the network may not be used."""
        if digest is not None and digest.is_short:
            return OfflineError(
                f"nothing in the store at {self.store.root} is known to come from {shown(link)}, and the network may "
                f"not be used; the card states {len(digest.hex)} of {FULL_LENGTH} digits, which name no file alone",
                hint="use a lock (`hubtool lock` where HUBTOOL_OFFLINE is not set), which holds the whole SHA-256",
            )
        return OfflineError(
            f"{shown(link)} is not in the store at {self.store.root}, and the network may not be used",
            hint="run `hubtool fetch` where HUBTOOL_OFFLINE is not set, or set HUBTOOL_HOME to a store that has it",
        )

    def wants(self, kind: Kind) -> bool:
        """Whether the watcher takes this kind of event."""
        return kind in self._kinds

    def tell(self, event: FetchEvent) -> None:
        """Tell the watcher what happened."""
        if self._watch is not None and event.kind in self._kinds:
            with self._telling:
                self._watch(event)

    def pace(self, count: int) -> None:
        """Count some bytes that came, and wait until they are due.

        Raises:
            FetchError: If the run was ended.
        """
        self.check_ended()
        if self._rate is not None:
            self._rate.take(count, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            FetchError: If the run was ended.
        """
        self._ended.wait(seconds)
        self.check_ended()

    def check_ended(self) -> None:
        """Stop if the run was ended.

        Raises:
            FetchError: If so.
        """
        if self._ended.is_set():
            raise EndedError("the transfer was ended", hint="start it again: it resumes from there")
