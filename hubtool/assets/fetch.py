"""Fetching: assets by their links into the store, their digests checked before anybody can see them.

A :class:`Fetcher` is one run: it shares connections, limits and what it learnt about mirrors among all its files.
:func:`fetch` is a run of one file.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, closing, nullcontext
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool import processes
from hubtool.assets.events import KINDS, Kind, Outcome, Progress, Wanted, Watcher
from hubtool.assets.limits import Rate, Reach, Retries, Slots
from hubtool.assets.links import DEFAULT_HOSTS, LinkPolicy, host_of, is_loopback, shown
from hubtool.assets.mirrors import Mirror, Source
from hubtool.assets.part import Part
from hubtool.assets.store import MAX_BYTES, Stored
from hubtool.assets.transfer import EndedError, First, Transfer
from hubtool.assets.transport import Timeouts, Transport, Whole
from hubtool.assets.web import HttpTransport
from hubtool.card import placeholder
from hubtool.digest import FULL_LENGTH
from hubtool.errors import FetchError, HubError, OfflineError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from types import TracebackType

    from hubtool.assets.events import Event
    from hubtool.assets.store import Store
    from hubtool.assets.transport import Body
    from hubtool.digest import Digest

__all__ = [
    "CONNECTIONS",
    "DEFAULT_HOSTS",
    "Fetcher",
    "LinkPolicy",
    "Retries",
    "Stored",
    "Timeouts",
    "fetch",
]

CONNECTIONS = 8
"""The most connections at once, unless told otherwise."""

AT_ONCE = 4
"""The most files at once."""

MANY = 64
"""So many files are fetched by several processes, if they are small."""

SMALL = 8 << 20
"""Bytes up to which, on the average, files count as small."""

_PREPARED = 8
"""So many services are prepared for processes; with more of them, each is asked for few files."""


class Fetcher:
    """One run of fetching: a context manager, whose end closes all connections.

    Threads may share one. Of several processes and threads that want the same asset, one fetches it and the others
    wait for it.

    Attributes:
        small: Whether most files are likely to be small, and are to be asked for as such; :meth:`fetch_all` sees that
            for itself.
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
        retries: Retries | None = None,
        transport: Transport | None = None,
        watch: Watcher | None = None,
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
        self.store = store
        self.policy = policy or LinkPolicy()
        self.offline = offline
        self.retries = retries or Retries()
        self.mirrors = tuple(Mirror.of(base, self.policy, timeouts, connections) for base in mirrors)
        self.small = False
        self._own_transport = transport is None
        self.transport = transport or HttpTransport(self.policy, timeouts, connections=connections)
        self.slots = Slots(max(1, connections))
        self.reach = Reach(self.retries.unreached)
        self._rate = None if rate is None else Rate(rate)
        self._watch = watch
        self._kinds: Container[str] = () if watch is None else getattr(watch, "kinds", KINDS)
        self._telling = threading.Lock()
        self._ended = threading.Event()
        self._cleaned = False
        self._ends: list[Callable[[], None]] = []

    def __enter__(self) -> Fetcher:  # noqa: PYI034 (typing has Self from Python 3.11 on; nobody derives from this)
        """Return the run itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.transport.close()
        for mirror in self.mirrors:
            mirror.close()

    def end(self) -> None:
        """End all transfers, from any thread; what came of them is left to a later run where that can go on."""
        self._ended.set()
        for end in self._ends:
            end()
        for transport in (self.transport, *(mirror.transport() for mirror in self.mirrors)):
            if transport is not None:
                transport.abort()

    def at_end(self, end: Callable[[], None]) -> None:
        """Have something called when the run is ended from outside."""
        self._ends.append(end)

    # -- files -------------------------------------------------------------------------------------------------------

    def fetch_all(self, wanted: Iterable[Wanted], *, again: bool = False) -> list[Outcome]:
        """Fetch assets, several at once; one that fails does not stop the others.

        Args:
            wanted: The assets. Where they are many, the first ones are fetched while the others are still being named.
            again: Whether to fetch them even if they are stored.

        Returns:
            How it went with each, in their order.
        """
        coming = iter(wanted)
        at_once = min(AT_ONCE, self.slots.count)
        todo, many = self._first_of(coming, again=again)
        if not many:
            todo += coming
            self.small = self.small or are_small([one.size for one in todo])
            return [one for one in self.by_threads(todo, at_once, again=again) if one is not None]
        from hubtool.assets import forked  # noqa: PLC0415 (only for many files)

        self.small = True
        outcomes = forked.fetch_all(self, todo, coming, at_once, again=again)
        left = [index for index, one in enumerate(outcomes) if one is None]
        rest = self.by_threads([todo[index] for index in left], at_once, again=again)
        for index, one in zip(left, rest, strict=True):
            outcomes[index] = one
        return [one for one in outcomes if one is not None]

    def _first_of(self, coming: Iterator[Wanted], *, again: bool) -> tuple[list[Wanted], bool]:
        """Take assets until so many are missing that several processes are quicker, and say whether they are.

        And whether processes can keep to what was asked for.
        """
        todo: list[Wanted] = []
        if self._rate is not None or self.slots.count < 2 or not self._own_transport:
            return todo, False
        if processes.cores() < 2 or not processes.can_fork():
            return todo, False
        missing = 0
        for wanted in coming:
            todo.append(wanted)
            if not again and self._is_there(wanted):
                continue
            missing += 1
            if missing == 1 and not self.offline and isinstance(self.transport, HttpTransport):
                # Now, while others are still being named: importing the libraries takes as long as naming hundreds.
                self.transport.prepare(wanted.link)
            if missing == MANY:
                return todo, self.small or are_small([one.size for one in todo])
        return todo, False

    def _is_there(self, wanted: Wanted) -> bool:
        """Whether an asset is stored, as far as a look tells."""
        digest = wanted.digest
        return digest is not None and not digest.is_short and self.store.peek(digest.hex) is not None

    def share(self, links: Iterable[str]) -> None:
        """Find out, before processes are forked, what each of them would find out for itself.

        All of them know from then on which mirrors one of them gave up.

        Args:
            links: Where most files come from.
        """
        import mmap  # noqa: PLC0415 (only for many files)

        given_up = memoryview(mmap.mmap(-1, max(1, len(self.mirrors))))
        for number, mirror in enumerate(self.mirrors):
            mirror.share(given_up[number : number + 1])
        mirrors = () if self.offline else self.mirrors
        # Not of an object store: its library has threads of its own.
        places = [mirror.source("0" * FULL_LENGTH) for mirror in mirrors if mirror.base.startswith("http")]
        by_host = {host_of(link): link for link in links if "://" in link}
        places += [Source(link=link, transport=self.transport) for link in by_host.values() if not self.offline]
        for place in islice(places, _PREPARED):
            if isinstance(place.transport, HttpTransport):
                place.transport.prepare(place.link)

    def divide(self, count: int, watch: Watcher | None) -> None:
        """Become one of several processes that share this run's connections, and tell another watcher."""
        self.slots = Slots(max(1, self.slots.count // count))
        self._watch = watch
        self._kinds = () if watch is None else self._kinds

    def by_threads(self, todo: Sequence[Wanted], at_once: int, *, again: bool) -> list[Outcome | None]:
        """Fetch assets, so many at once; None stands for those that were not begun because the run was ended."""
        outcomes: list[Outcome | None] = [None] * len(todo)
        waiting = iter(range(len(todo)))
        taking = threading.Lock()
        failures: list[BaseException] = []

        def work(finished: threading.Event) -> None:
            try:
                while not self._ended.is_set():
                    with taking:
                        index = next(waiting, None)
                    if index is None:
                        return
                    outcomes[index] = self.outcome(todo[index], again=again)
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

    def outcome(self, wanted: Wanted, *, again: bool = False) -> Outcome:
        """Fetch an asset, and say how it went; see :meth:`fetch`."""
        try:
            return Outcome(wanted=wanted, stored=self.fetch(wanted, again=again))
        except HubError as error:
            return Outcome(wanted=wanted, error=error)

    def fetch(self, wanted: Wanted, *, again: bool = False, max_bytes: int | None = None) -> Stored:
        """Return an asset from the store, and fetch it first if it is not there.

        Args:
            wanted: The asset.
            again: Whether to fetch it even if it is stored. Offline, what is stored is returned all the same: its
                digest says that no other bytes could come.
            max_bytes: The most bytes to take; unless given, the asset's size, or 64 GiB.

        Raises:
            OfflineError: If it is not stored, and the network may not be used.
            ForbiddenLinkError: If the link or a redirect may not be followed.
            FetchError: If it does not come; also without a digest.
            DigestError: If other bytes came than the card promises; they are deleted.
            StoreError: If the store cannot be written or read.
        """
        try:
            stored = self._fetch(wanted, again=again, max_bytes=max_bytes)
        except HubError as error:
            if isinstance(error, FetchError):
                self.reach.note(host_of(wanted.link), reached=error.reached)
            self.tell(wanted.event("failed", size=wanted.size, message=error.message))
            raise
        if self.wants("done"):
            self.tell(wanted.event("done", received=stored.size, size=stored.size, stored=stored))
        return stored

    def _fetch(self, wanted: Wanted, *, again: bool, max_bytes: int | None) -> Stored:
        link, digest = wanted.link, wanted.digest
        if digest is None:
            raise FetchError(
                f"{shown(link)}: the card states no SHA-256, so nothing could tell whether the right bytes came",
                hint="add asset-sha256 to the card",
            )
        found = self._stored(wanted, digest)
        if found is not None and (self.offline or not again):
            return found
        if placeholder.is_unpublished(link):
            what = placeholder.not_published(unquote(link.rpartition("/")[2]))
            raise FetchError(
                what, hint="'hubtool check' and 'try' take the file with --asset; 'hubtool publish' puts it up"
            )
        mirrors = [] if digest.is_short else [one for one in self.mirrors if one.is_local or not self.offline]
        if self.offline and not mirrors:
            raise self.offline_error(link, digest)
        if digest.is_short:
            _check_secure(link, digest)
        if not mirrors:
            self.policy.check(link)
        limit = max_bytes if max_bytes is not None else max(wanted.size or 0, MAX_BYTES)
        held = self.store.holds(digest.hex)
        with self.store.lock(digest.hex) as lock:
            # While we waited, another process may have fetched it.
            found = None if again or held else self._stored(wanted, digest)
            if found is not None:
                return found
            if not self._cleaned:
                self._cleaned = True
                self.store.clean()
            is_small = self.small and not self.store.has_parts(digest)
            first = self._fetch_small(wanted, digest, mirrors, limit) if is_small else None
            if isinstance(first, Stored):
                return first
            with nullcontext() if first is None else closing(first):
                part = Part(
                    self.store,
                    digest,
                    source=shown(link),
                    size=wanted.size,
                    limit=limit,
                    sure=lock.sure,
                    only=Source(link=self.policy.check(link), transport=self.transport).name
                    if digest.is_short
                    else None,
                )
                try:
                    return Transfer(self, wanted, digest, part, mirrors, first=first).run()
                finally:
                    if part.keep():
                        self.tell(wanted.event("kept", received=part.position, size=part.origin.size))

    def _stored(self, wanted: Wanted, digest: Digest) -> Stored | None:
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

    def came_from(self, wanted: Wanted, stored: Stored) -> None:
        """Record that an asset came from its own link, which completes the short digest of a card with that link.

        Raises:
            StoreError: If the digest is short, and the store cannot be written.
        """
        is_short = wanted.digest is not None and wanted.digest.is_short
        if (self.store.durable or is_short) and not self.store.came_from(wanted.link, stored.digest) and is_short:
            raise StoreError(
                f"the store at {self.store.root} cannot be written", hint="check its folder, and the room on its disk"
            )

    def _fetch_small(
        self, wanted: Wanted, digest: Digest, mirrors: Sequence[Mirror], limit: int
    ) -> Stored | First | None:
        """Ask the first of the places that a file comes from, in the hope that it comes whole with the answer.

        Then it needs no part in which it grows, nor anything else that takes longer than a small file does. If it does
        not, the answer is the first of the transfer. None if there is no place to ask.
        """
        mirror = next((one for one in mirrors if one.fault is None), None)
        if mirror is None and self.offline:
            return None
        source = self.origin(wanted.link) if mirror is None else mirror.source(digest.hex)
        first: First | None = None
        self.slots.take()
        try:
            self.check_ended()
            answer: Body | FetchError
            opened: ExitStack | None = None
            try:
                came = source.transport.open_small(source.link)
                if isinstance(came, Whole):
                    answer = came
                else:
                    opened = ExitStack()
                    answer = opened.enter_context(came)
            except FetchError as error:
                answer = error
            if isinstance(answer, Whole):
                stored = self._store_small(wanted, digest, source, answer, limit)
                if stored is not None:
                    return stored
            first = First(source=source, answer=answer, slots=self.slots, opened=opened or ExitStack())
            return first
        finally:
            if first is None:
                self.slots.give_back()

    def _store_small(self, wanted: Wanted, digest: Digest, source: Source, came: Whole, limit: int) -> Stored | None:
        """Store a file that came whole, if it is the right one."""
        data = came.data
        if len(data) > limit or wanted.size not in (None, len(data)):
            return None
        if self._rate is not None:
            self.pace(len(data))
        stored = self.store.put(digest, data)
        if stored is not None:
            if source.mirror is not None:
                source.mirror.helped()
            else:
                self.reach.note(host_of(wanted.link), reached=True)
                self.came_from(wanted, stored)
            if self.wants("started"):
                self.tell(wanted.event("started", source=shown(source.link), size=stored.size))
        return stored

    def origin(self, link: str) -> Source:
        """Return a link as a source.

        Raises:
            ForbiddenLinkError: If it may not be followed.
            FetchError: If its host has been out of reach for so long that it is asked no more.
        """
        link = self.policy.check(link)
        away = self.reach.given_up(host_of(link))
        if away is not None:
            raise FetchError(
                f"{shown(link)}: not asked for, because its server could not be reached for {away:.0f} seconds",
                hint="check the network, and run the same again later; what came already is kept",
                reached=False,
            )
        return Source(link=link, transport=self.transport)

    # -- what transfers share ----------------------------------------------------------------------------------------

    def offline_error(self, link: str, digest: Digest | None = None) -> OfflineError:
        """Say that an asset is not stored while the network may not be used."""
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

    @property
    def is_ended(self) -> bool:
        """Whether the run was ended from outside."""
        return self._ended.is_set()

    @property
    def is_watched(self) -> bool:
        """Whether somebody wants to know what happens."""
        return self._watch is not None

    @property
    def is_paced(self) -> bool:
        """Whether there is a most of bytes per second."""
        return self._rate is not None

    def wants(self, kind: Kind) -> bool:
        """Whether somebody wants to know of this kind of events."""
        return kind in self._kinds

    def tell(self, event: Event) -> None:
        """Say what happened."""
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
            raise EndedError("the transfer was ended", hint="start it again: it goes on from there")


def _check_secure(link: str, digest: Digest) -> None:
    """Refuse to complete a short digest from a link whose bytes anyone on the way can replace."""
    parts = urlsplit(link)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise FetchError(
            f"{shown(link)}: the card states {len(digest.hex)} of the {FULL_LENGTH} digits of the SHA-256, and the "
            "link is plain http, so nothing proves which file is meant",
            hint="state the whole SHA-256 on the card, or use an https link",
        )


def are_small(sizes: Sequence[int | None]) -> bool:
    """Whether files of these sizes are many, and small on the average, as far as they are known."""
    known = [size for size in sizes if size is not None]
    return len(sizes) >= MANY and (not known or sum(known) < len(known) * SMALL)


def fetch(
    link: str,
    *,
    digest: Digest | None,
    store: Store,
    size: int | None = None,
    policy: LinkPolicy | None = None,
    mirrors: Sequence[str] = (),
    offline: bool = False,
    again: bool = False,
    progress: Progress | None = None,
    timeouts: Timeouts | None = None,
    retries: Retries | None = None,
    max_bytes: int | None = None,
    transport: Transport | None = None,
) -> Stored:
    """Return an asset from the store, and fetch it first if it is not there: a run of one file.

    What is stored is returned without touching the network. The arguments are those of :class:`Fetcher`,
    :class:`Wanted` and :meth:`Fetcher.fetch`; ``progress`` is told about every block that came.

    Raises:
        OfflineError: If it is not stored, and ``offline`` is set.
        ForbiddenLinkError: If the link or a redirect may not be followed.
        FetchError: If the server fails, or sends too little or too much; also without a digest.
        DigestError: If other bytes came than the card promises; they are deleted.
        StoreError: If the store cannot be written or read.
    """

    def watch(event: Event) -> None:
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
        return run.fetch(Wanted(link=link, digest=digest, size=size), again=again, max_bytes=max_bytes)
