"""Fetching: assets by their links into the store; a file becomes visible once its digest is checked.

A :class:`Fetcher` is one run: its files share connections, limits and what it learned about mirrors.
:func:`fetch` is a run of one file.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool.card import placeholder
from hubtool.digest import FULL_LENGTH
from hubtool.errors import FetchError, HubError
from hubtool.links import DEFAULT_HOSTS, LinkPolicy, host_of, is_loopback, shown
from hubtool.store.partial_file import PartialFile
from hubtool.store.records import Stored
from hubtool.store.store import MAX_BYTES
from hubtool.transfer.context import FetchContext
from hubtool.transfer.download import AssetDownload
from hubtool.transfer.events import EventCallback, FetchOutcome, FetchRequest, ProgressCallback
from hubtool.transfer.http import HttpTransport
from hubtool.transfer.limits import RetryPolicy
from hubtool.transfer.mirrors import Mirror, Source
from hubtool.transfer.transport import Timeouts, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from hubtool.digest import Digest
    from hubtool.store.store import Store
    from hubtool.transfer.events import FetchEvent

__all__ = [
    "CONNECTIONS",
    "DEFAULT_HOSTS",
    "Fetcher",
    "LinkPolicy",
    "RetryPolicy",
    "Stored",
    "Timeouts",
    "fetch",
]

CONNECTIONS = 8
"""The most connections at once, unless told otherwise."""

FILES_AT_ONCE = 4
"""The most files at once."""


class Fetcher:
    """One run of fetching: a context manager, whose end closes all connections.

    Threads may share one. Of several processes and threads that want the same asset, one fetches it and the others
    wait for it.
    """

    def __init__(
        self,
        store: Store,
        *,
        policy: LinkPolicy | None = None,
        mirrors: Sequence[str] = (),
        offline: bool = False,
        connections: int = CONNECTIONS,
        rate: float | None = None,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
        transport: Transport | None = None,
        watch: EventCallback | None = None,
    ) -> None:
        """Begin a run.

        Args:
            store: Where assets go.
            policy: Where links and redirects may lead; the default hosts only, unless given.
            mirrors: Addresses or folders of mirrors, in the order in which they are asked, before an asset's own link.
            offline: Whether the network may not be used; mirrors in folders are not the network.
            connections: The most connections at once.
            rate: The most bytes per second, all connections together.
            timeouts: How long a server may take.
            retries: What is tried again, and when.
            transport: How bytes come from links; HTTP(S) under ``policy`` and ``timeouts``, unless given.
            watch: Told what happens; of all kinds of events, or of those in its attribute ``kinds`` if it has one.

        Raises:
            ArgumentError: If a mirror's address cannot be one.
        """
        policy = policy or LinkPolicy()
        self.store = store
        self.mirrors = tuple(Mirror.of(base, policy, timeouts, connections) for base in mirrors)
        self._context = FetchContext(
            store=store,
            policy=policy,
            transport=transport or HttpTransport(policy, timeouts, connections=connections),
            offline=offline,
            connections=connections,
            rate=rate,
            retries=retries or RetryPolicy(),
            watch=watch,
        )
        self._cleaned = False

    def __enter__(self) -> Fetcher:  # noqa: PYI034 (typing has Self from Python 3.11 on; it has no subclasses)
        """Return the run itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self._context.transport.close()
        for mirror in self.mirrors:
            mirror.close()

    def end(self) -> None:
        """End all transfers, from any thread; a later run resumes what it can."""
        self._context.end()
        for transport in (self._context.transport, *(mirror.transport() for mirror in self.mirrors)):
            if transport is not None:
                transport.abort()

    # -- files -------------------------------------------------------------------------------------------------------

    def fetch_all(self, wanted: Iterable[FetchRequest], *, force: bool = False) -> list[FetchOutcome]:
        """Fetch assets, several at once; one that fails does not stop the others.

        Args:
            wanted: The assets.
            force: Whether to fetch them even if they are stored.

        Returns:
            How it went with each, in their order.
        """
        todo = [*wanted]
        at_once = min(FILES_AT_ONCE, self._context.connections.count)
        return [one for one in self._by_threads(todo, at_once, force=force) if one is not None]

    def _by_threads(self, todo: Sequence[FetchRequest], at_once: int, *, force: bool) -> list[FetchOutcome | None]:
        """Fetch assets by a number of threads; None stands for those that were not begun because the run ended."""
        outcomes: list[FetchOutcome | None] = [None] * len(todo)
        waiting = iter(range(len(todo)))
        taking = threading.Lock()
        failures: list[BaseException] = []

        def work(finished: threading.Event) -> None:
            try:
                while not self._context.is_ended:
                    with taking:
                        index = next(waiting, None)
                    if index is None:
                        return
                    outcomes[index] = self.outcome(todo[index], force=force)
            except BaseException as error:  # noqa: BLE001 (raised again, in the caller's thread)
                failures.append(error)
                self.end()
            finally:
                finished.set()

        running: list[threading.Event] = []
        try:
            for _ in range(min(at_once, len(todo))):
                finished = threading.Event()
                threading.Thread(target=work, args=(finished,), name="hubtool-fetch", daemon=True).start()
                running.append(finished)
            # Not by Thread.join: an interrupt in there makes it take a running thread for a finished one
            # (Python 3.10 to 3.12). With a time limit, so that an interrupt is noticed on every system.
            for finished in running:
                while not finished.wait(1.0):
                    pass
        except BaseException:
            self.end()
            deadline = time.monotonic() + 10.0
            for finished in running:
                finished.wait(max(0.0, deadline - time.monotonic()))
            raise
        if failures:
            raise failures[0]
        return outcomes

    def outcome(self, wanted: FetchRequest, *, force: bool = False) -> FetchOutcome:
        """Fetch an asset, and say how it went; see :meth:`fetch`."""
        try:
            return FetchOutcome(wanted=wanted, stored=self.fetch(wanted, force=force))
        except HubError as error:
            return FetchOutcome(wanted=wanted, error=error)

    def fetch(self, wanted: FetchRequest, *, force: bool = False, max_bytes: int | None = None) -> Stored:
        """Return an asset from the store, and fetch it first if it is not there.

        Args:
            wanted: The asset.
            force: Whether to fetch it even if it is stored. Offline, what is stored is returned all the same: its
                digest says that no other bytes could come.
            max_bytes: The most bytes to take; unless given, the asset's size, or 64 GiB.

        Raises:
            OfflineError: If it is not stored, and the network may not be used.
            ForbiddenLinkError: If the link or a redirect may not be followed.
            FetchError: If the download fails, or the card states no digest.
            DigestError: If the bytes do not match the card; they are deleted.
            StoreError: If the store cannot be written or read.
        """
        try:
            stored = self._fetch(wanted, force=force, max_bytes=max_bytes)
        except HubError as error:
            if isinstance(error, FetchError):
                self._context.hosts.note(host_of(wanted.link), reached=error.reached)
            self._context.tell(wanted.event("failed", size=wanted.size, message=error.message))
            raise
        if self._context.wants("done"):
            self._context.tell(wanted.event("done", received=stored.size, size=stored.size, stored=stored))
        return stored

    def _fetch(self, wanted: FetchRequest, *, force: bool, max_bytes: int | None) -> Stored:
        link, digest = wanted.link, wanted.digest
        if digest is None:
            raise FetchError(
                f"{shown(link)}: the card states no SHA-256, so the download could not be verified",
                hint="add asset-sha256 to the card",
            )
        found = self._stored(wanted, digest)
        if found is not None and (self._context.offline or not force):
            return found
        if placeholder.is_unpublished(link):
            what = placeholder.not_published(unquote(link.rpartition("/")[2]))
            raise FetchError(
                what, hint="'hubtool check' and 'try' take the file with --asset; 'hubtool publish' puts it up"
            )
        mirrors = [] if digest.is_short else [one for one in self.mirrors if one.is_local or not self._context.offline]
        if self._context.offline and not mirrors:
            raise self._context.offline_error(link, digest)
        if digest.is_short:
            _check_secure(link, digest)
        if not mirrors:
            self._context.policy.check(link)
        limit = max_bytes if max_bytes is not None else max(wanted.size or 0, MAX_BYTES)
        held = self.store.holds(digest.hex)
        with self.store.lock(digest.hex) as lock:
            # While we waited, another process may have fetched it.
            found = None if force or held else self._stored(wanted, digest)
            if found is not None:
                return found
            if not self._cleaned:
                self._cleaned = True
                self.store.clean()
            part = PartialFile(
                self.store,
                digest,
                source=shown(link),
                size=wanted.size,
                limit=limit,
                exclusive=lock.exclusive,
                only=Source(link=self._context.policy.check(link), transport=self._context.transport).name
                if digest.is_short
                else None,
            )
            try:
                return AssetDownload(self._context, wanted, digest, part, mirrors).run()
            finally:
                if part.keep():
                    self._context.tell(wanted.event("kept", received=part.position, size=part.info.size))

    def _stored(self, wanted: FetchRequest, digest: Digest) -> Stored | None:
        """Return a stored asset, or None.

        Raises:
            FetchError: If it has another size than the card or the lock states.
        """
        found = self.store.find(digest, link=wanted.link)
        if found is not None and not found.fits(wanted.size):
            raise FetchError(
                f"{shown(wanted.link)}: {wanted.size:,} bytes are stated, and the stored file with this SHA-256 has "
                f"{found.size:,}",
                hint="correct 'asset-size' on the card; if a lock states it, find out who changed that lock",
            )
        return found


def _check_secure(link: str, digest: Digest) -> None:
    """Refuse to complete a short digest from a link whose bytes anyone on the way can replace."""
    parts = urlsplit(link)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise FetchError(
            f"{shown(link)}: the card states {len(digest.hex)} of the {FULL_LENGTH} digits of the SHA-256, and the "
            "link is plain http, so nothing proves which file is meant",
            hint="state the whole SHA-256 on the card, or use an https link",
        )


def fetch(
    link: str,
    *,
    digest: Digest | None,
    store: Store,
    size: int | None = None,
    policy: LinkPolicy | None = None,
    mirrors: Sequence[str] = (),
    offline: bool = False,
    force: bool = False,
    progress: ProgressCallback | None = None,
    timeouts: Timeouts | None = None,
    retries: RetryPolicy | None = None,
    max_bytes: int | None = None,
    transport: Transport | None = None,
) -> Stored:
    """Return an asset from the store, and fetch it first if it is not there: a run of one file.

    What is stored is returned without touching the network.

    Args:
        link: Where it is.
        digest: What the card states; without one, nothing is fetched.
        store: Where it goes.
        size: Its bytes, if the card states them.
        policy: Which links may be followed; the default hosts, unless given.
        mirrors: Addresses that are asked before the link.
        offline: Whether the network may not be used.
        force: Whether to fetch it even if it is stored.
        progress: Called with the bytes that have come and the bytes in all, or None where that is not known.
        timeouts: How long a server may take.
        retries: How often and when something is tried again.
        max_bytes: The most bytes that are taken.
        transport: What opens links; the usual one, unless given.

    Raises:
        OfflineError: If it is not stored, and ``offline`` is set.
        ForbiddenLinkError: If the link or a redirect may not be followed.
        FetchError: If the server fails, or sends too little or too much; also without a digest.
        DigestError: If the bytes do not match the card; they are deleted.
        StoreError: If the store cannot be written or read.
    """

    def watch(event: FetchEvent) -> None:
        if progress is not None and event.kind == "progress":
            progress(event.received, event.size)

    with Fetcher(
        store,
        policy=policy,
        mirrors=mirrors,
        offline=offline,
        timeouts=timeouts,
        retries=retries,
        transport=transport,
        watch=None if progress is None else watch,
    ) as run:
        return run.fetch(FetchRequest(link=link, digest=digest, size=size), force=force, max_bytes=max_bytes)
