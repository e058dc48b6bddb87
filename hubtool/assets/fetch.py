"""Fetching: assets by their links into the store, their digests checked before anybody can see them.

A :class:`Fetcher` is one run: it shares connections, limits and what it learnt about mirrors among all its files.
:func:`fetch` is a run of one file.
"""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from hubtool import processes
from hubtool.assets import segments
from hubtool.assets.limits import Rate, Reach, Retries, Slots
from hubtool.assets.links import DEFAULT_HOSTS, LinkPolicy, shown
from hubtool.assets.mirrors import Mirror, Source
from hubtool.assets.part import WORTH, Origin, Part
from hubtool.assets.store import MAX_BYTES, Stored
from hubtool.assets.transport import HttpTransport, Timeouts, Transport
from hubtool.errors import DigestError, FetchError, HubError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from types import TracebackType

    from hubtool.assets.segments import Piece, Segments
    from hubtool.assets.store import Store
    from hubtool.assets.transport import Body
    from hubtool.digest import Digest

__all__ = [
    "CONNECTIONS",
    "DEFAULT_HOSTS",
    "Event",
    "Fetcher",
    "LinkPolicy",
    "Outcome",
    "Progress",
    "Retries",
    "Stored",
    "Timeouts",
    "Wanted",
    "fetch",
]

CONNECTIONS = 8
"""The most connections at once, unless told otherwise."""

PROGRESS = 256 << 10
"""Bytes that an attempt must have brought, for the attempts after it to be counted anew."""

AT_ONCE = 4
"""The most files at once."""

MANY = 64
"""So many files are fetched by several processes, if they are small."""

SMALL = 8 << 20
"""Bytes up to which, on the average, files count as small."""


Kind = Literal["started", "progress", "retried", "turned", "mirror-skipped", "done", "failed", "kept"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
"""What can happen to an asset; :class:`Event` says what each means."""


class Progress(Protocol):
    """What is told of a transfer's progress."""

    def __call__(self, received: int, size: int | None) -> None:
        """Take the bytes received so far, and those of the whole file where they are known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One asset to fetch.

    Attributes:
        link: Where it is.
        digest: Its digest as the card states it, whole or short.
        size: Its bytes, where the card states them.
        name: What to call it in events; its link, unless given.
    """

    link: str
    digest: Digest | None
    size: int | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or shown(self.link)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an asset.

    Attributes:
        kind: ``started`` (bytes begin to come), ``progress``, ``retried`` (an attempt failed, another one follows),
            ``turned`` (a mirror could not help, the next place is asked), ``mirror-skipped`` (a mirror is asked no
            more in this run), ``done``, ``failed``, ``kept`` (a part is left to a later run).
        name: The asset.
        source: Where the bytes come from, without credentials or query.
        received: Bytes that are there.
        size: Bytes of the whole file, where known.
        message: What went wrong, where something did.
        wait: Seconds until the next attempt.
        stored: The verified file, at the end.
    """

    kind: Kind
    name: str
    source: str = ""
    received: int = 0
    size: int | None = None
    message: str = ""
    wait: float | None = None
    stored: Stored | None = None


class Watcher(Protocol):
    """What is told what happens; called from several threads, by one of them at a time."""

    def __call__(self, event: Event, /) -> None:
        """Take an event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went with one asset: one of the two is None."""

    wanted: Wanted
    stored: Stored | None = None
    error: HubError | None = None


class _EndedError(FetchError):
    """The run was ended from outside."""


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
            wanted: The assets.
            again: Whether to fetch them even if they are stored.

        Returns:
            How it went with each, in their order.
        """
        todo = list(wanted)
        at_once = min(AT_ONCE, self.slots.count)
        self.small = self.small or are_small([wanted.size for wanted in todo])
        if not self._worth_processes(todo, again=again):
            return [one for one in self.by_threads(todo, at_once, again=again) if one is not None]
        from hubtool.assets import forked  # noqa: PLC0415 (only for many files)

        outcomes = forked.fetch_all(self, todo, at_once, again=again)
        left = [index for index, one in enumerate(outcomes) if one is None]
        rest = self.by_threads([todo[index] for index in left], at_once, again=again)
        for index, one in zip(left, rest, strict=True):
            outcomes[index] = one
        return [one for one in outcomes if one is not None]

    def _worth_processes(self, todo: Sequence[Wanted], *, again: bool) -> bool:
        """Whether several processes are quicker, and can keep to what was asked for."""
        if not self.small or self._rate is not None or self.slots.count < 2 or not self._own_transport:
            return False
        if processes.cores() < 2 or not processes.can_fork():
            return False
        return sum(again or not self._is_there(wanted) for wanted in todo) >= MANY

    def _is_there(self, wanted: Wanted) -> bool:
        """Whether an asset is stored, as far as a look tells."""
        digest = wanted.digest
        return digest is not None and not digest.is_short and self.store.peek(digest.hex) is not None

    def share(self) -> None:
        """Have all processes that are forked from here on know which mirrors one of them gave up."""
        import mmap  # noqa: PLC0415 (only for many files)

        given_up = memoryview(mmap.mmap(-1, max(1, len(self.mirrors))))
        for number, mirror in enumerate(self.mirrors):
            mirror.share(given_up[number : number + 1])

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
                self.reach.note(_host(wanted.link), reached=error.reached)
            self.tell(Event(kind="failed", name=wanted.label, message=error.message))
            raise
        if self.wants("done"):
            self.tell(Event(kind="done", name=wanted.label, received=stored.size, size=stored.size, stored=stored))
        return stored

    def _fetch(self, wanted: Wanted, *, again: bool, max_bytes: int | None) -> Stored:
        link, digest = wanted.link, wanted.digest
        if digest is None:
            raise FetchError(
                f"{shown(link)}: the card states no SHA-256, so nothing could tell whether the right bytes came",
                hint="add asset-sha256 to the card",
            )
        found = self.store.find(digest)
        if found is not None and (self.offline or not again):
            return found
        mirrors = [] if digest.is_short else [one for one in self.mirrors if one.is_local or not self.offline]
        if self.offline and not mirrors:
            raise self.offline_error(link)
        if not mirrors:
            self.policy.check(link)
        limit = max_bytes if max_bytes is not None else max(wanted.size or 0, MAX_BYTES)
        with self.store.lock(digest.hex) as lock:
            # While we waited, another process may have fetched it.
            found = None if again else self.store.find(digest)
            if found is not None:
                return found
            if not self._cleaned:
                self._cleaned = True
                self.store.clean()
            with ExitStack() as end:
                first = None
                if self.small and not self.store.has_parts(digest):
                    first = self._ask_small(wanted, digest, mirrors, end)
                stored = None if first is None else self._store_small(wanted, digest, first, limit)
                if stored is not None:
                    return stored
                part = Part(self.store, digest, source=shown(link), size=wanted.size, limit=limit, sure=lock.sure)
                try:
                    return _Transfer(self, wanted, digest, part, mirrors, first=first).run()
                finally:
                    if part.keep():
                        size = part.origin.size
                        self.tell(Event(kind="kept", name=wanted.label, received=part.position, size=size))

    def _ask_small(self, wanted: Wanted, digest: Digest, mirrors: Sequence[Mirror], end: ExitStack) -> _First | None:
        """Ask the first of the places that a file comes from, in the hope that it comes whole with the answer.

        Then it needs no part in which it grows, nor anything else that takes longer than a small file does. If it does
        not, the answer is the first of the transfer.
        """
        mirror = next((one for one in mirrors if one.fault is None), None)
        if mirror is None and self.offline:
            return None
        source = self.origin(wanted.link) if mirror is None else mirror.source(digest.hex)
        slot = end.enter_context(ExitStack())
        slot.enter_context(self.slots.one())
        self.check_ended()
        opened = end.enter_context(ExitStack())
        try:
            body = opened.enter_context(source.transport.open(source.link, small=True))
        except FetchError as error:
            return _First(source=source, answer=error, slot=slot, opened=opened)
        return _First(source=source, answer=body, slot=slot, opened=opened)

    def _store_small(self, wanted: Wanted, digest: Digest, first: _First, limit: int) -> Stored | None:
        """Store a file that came whole, if it is the right one."""
        data = None if isinstance(first.answer, FetchError) else first.answer.whole
        if data is None or len(data) > limit or wanted.size not in (None, len(data)):
            return None
        if self._rate is not None:
            self.pace(len(data))
        stored = self.store.put(digest, data)
        if stored is not None:
            if first.source.mirror is not None:
                first.source.mirror.helped()
            else:
                self.reach.note(_host(wanted.link), reached=True)
            if self.wants("started"):
                source = shown(first.source.link)
                self.tell(Event(kind="started", name=wanted.label, source=source, size=stored.size))
        return stored

    def origin(self, link: str) -> Source:
        """Return a link as a source.

        Raises:
            ForbiddenLinkError: If it may not be followed.
            FetchError: If its host has been out of reach for so long that it is asked no more.
        """
        link = self.policy.check(link)
        away = self.reach.given_up(_host(link))
        if away is not None:
            raise FetchError(
                f"{shown(link)}: not asked for, because its server could not be reached for {away:.0f} seconds",
                hint="check the network, and run the same again later; what came already is kept",
                reached=False,
            )
        name = hashlib.sha256(link.encode("utf-8", "surrogatepass")).hexdigest()
        return Source(link=link, transport=self.transport, name=name)

    # -- what transfers share ----------------------------------------------------------------------------------------

    def offline_error(self, link: str) -> OfflineError:
        """Say that an asset is not stored while the network may not be used."""
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
            raise _EndedError("the transfer was ended", hint="start it again: it goes on from there")


@dataclass(slots=True, kw_only=True)
class _First:
    """What the first source answered, before it was known whether a part is needed.

    Attributes:
        source: The source.
        answer: Its answer, or why there is none.
        slot: Holds its connection among those that there may be.
        opened: Holds its answer open.
    """

    source: Source
    answer: Body | FetchError
    slot: ExitStack
    opened: ExitStack

    @contextmanager
    def open(self) -> Iterator[Body]:
        """Give the answer, as the source's transport would."""
        with self.opened:
            if isinstance(self.answer, FetchError):
                raise self.answer
            yield self.answer


class _Transfer:
    """One asset's way from its sources into its part."""

    def __init__(
        self,
        run: Fetcher,
        wanted: Wanted,
        digest: Digest,
        part: Part,
        mirrors: Sequence[Mirror],
        *,
        first: _First | None,
    ) -> None:
        self._run = run
        self._wanted = wanted
        self._digest = digest
        self._part = part
        self._mirrors = mirrors
        self._first = first
        self._kind = ""
        # Answers were put together and the file was wrong: from here on, one answer must bring the whole file.
        self._whole = False
        self._splits = True
        self._pieces: Segments | None = None
        self._before_pieces = 0
        self._refused: list[str] = []

    # -- sources -----------------------------------------------------------------------------------------------------

    def run(self) -> Stored:
        """Ask one source after the other, the asset's own link last."""
        error: FetchError | None = None
        for mirror in self._mirrors:
            while mirror.fault is None:
                source = mirror.source(self._digest.hex)
                try:
                    self._receive(source)
                    stored = self._part.commit()
                except DigestError as wrong:
                    if self._was_put_together():
                        continue
                    self._part.restart()
                    self._skip(mirror, f"it sent wrong bytes for {self._wanted.label} (SHA-256 {wrong.actual})")
                except _EndedError:
                    raise
                except FetchError as failed:
                    error = failed
                    self._turn_from(mirror, source, failed)
                    break
                else:
                    mirror.helped()
                    return stored
        if self._run.offline:
            raise error or self._run.offline_error(self._wanted.link)
        return self._from_link()

    def _from_link(self) -> Stored:
        source = self._run.origin(self._wanted.link)
        try:
            try:
                self._receive(source)
                return self._part.commit()
            except DigestError:
                if not self._was_put_together():
                    raise
            self._receive(source)
            return self._part.commit()
        except DigestError as error:
            self._part.drop()
            if "html" not in self._kind.lower():
                raise
            raise DigestError(
                f"{error.message}; the server says that it sent a web page ({self._kind[:40]})",
                expected=error.expected,
                actual=error.actual,
                hint="open the link in a browser: it may have moved, or ask for a login",
            ) from None
        except FetchError as error:
            if self._refused and not isinstance(error, _EndedError):
                error.message += f"; and no mirror helped ({'; '.join(self._refused)})"
            raise

    def _was_put_together(self) -> bool:
        """Whether the wrong bytes may come from putting several answers together; if so, all are thrown away.

        A server may mistake its ranges, a mirror may have sent a wrong beginning, the disk may have lost what was
        written before a power failure. Who is to blame, only a file in one answer tells.
        """
        together = self._part.resumed
        if together:
            self._whole = True
            self._part.restart()
        return together

    def _turn_from(self, mirror: Mirror, source: Source, failed: FetchError) -> None:
        why = f"it answered {failed.status}" if failed.status else failed.message.partition(": ")[2] or failed.message
        self._refused.append(f"{mirror.name}: {why}")
        self._tell("turned", source, message=failed.message)
        if failed.status != 404 and mirror.failed():
            self._skip(mirror, f"it failed too often, at last: {failed.message}")

    def _skip(self, mirror: Mirror, why: str) -> None:
        self._refused.append(f"{mirror.name}: {why}")
        if mirror.give_up(why):
            self._tell("mirror-skipped", message=f"the mirror {mirror.name} is asked no more: {why}")

    # -- attempts ----------------------------------------------------------------------------------------------------

    def _receive(self, source: Source) -> None:
        """Bring the rest of the file from one source, with several attempts if need be."""
        retries, part = self._run.retries, self._part
        most = retries.attempts if source.mirror is None else retries.mirror_attempts
        if self._whole and part.position:
            part.restart()
        tries, best = 0, part.position
        while (error := self._try(source)) is not None:
            if part.position >= best + PROGRESS:
                tries, best = 0, part.position
            tries += 1
            if tries >= most or (error.wait is not None and source.mirror is not None):
                if most > 1 and tries >= most:
                    error.message += f" ({most} attempts)"
                raise error
            wait = max(retries.pause(tries), error.wait or 0.0)
            if wait > max(retries.patience, retries.longest):
                raise FetchError(
                    f"{error.message}; it asks to be left alone for {wait:.0f} seconds",
                    hint="try again then; what came already is kept",
                    status=error.status,
                ) from None
            self._tell("retried", source, message=error.message, wait=wait)
            self._run.sleep(wait)

    def _try(self, source: Source) -> FetchError | None:
        """Make an attempt; return what it failed of, if another one may help."""
        try:
            self._attempt(source)
        except FetchError as error:
            self._run.check_ended()
            if error.status in (206, 416) and self._part.position:
                # The server and we do not mean the same file: from its beginning, then.
                self._part.restart()
            elif not error.passing:
                raise
            return error
        return None

    def _attempt(self, source: Source) -> None:
        """Ask once, and take what comes."""
        part = self._part
        if part.position and not self._goes_on(source):
            part.restart()
        start, origin = part.position, part.origin
        if start and start == origin.size:
            return  # an earlier run got all of it, and was ended before it could say so
        proof = origin.proof if start and source.name == origin.link else None
        first, self._first = self._first, None
        if first is not None and (start or first.source.link != source.link):  # a mirror was given up meanwhile
            first.opened.close()
            first.slot.close()
            first = None
        try:
            with self._run.slots.one() if first is None else first.slot:
                if first is None:  # what came with it already is not to be lost
                    self._run.check_ended()
                open_ = source.transport.open
                with open_(source.link, start=start, proof=proof) if first is None else first.open() as body:
                    self._begin(source, body, start)
                    self._stream(source, body)
                if self._pieces is not None:
                    self._finish(source, self._pieces)
        except BaseException:
            if self._pieces is not None:
                self._pieces.stop(source.transport.abort)
                part.close_gaps()
            raise
        finally:
            self._pieces = None
        size = part.origin.size if self._wanted.size is None else self._wanted.size
        if size is not None and part.position < size:
            raise FetchError(
                f"{shown(source.link)}: {part.position} bytes came, and {_whose(size, self._wanted)}",
                hint="try again; if it stays so, the file was cut off: ask its publisher",
                passing=True,
            )

    def _goes_on(self, source: Source) -> bool:
        """Whether the rest may come from this source: by the digest, or as the same version of the same link."""
        origin = self._part.origin
        if self._whole or origin.size is None:
            return False
        if source.mirror is not None or not origin.link:
            return True
        return origin.link == source.name and origin.proof is not None

    def _begin(self, source: Source, body: Body, start: int) -> None:
        """Look at the head of an answer."""
        part = self._part
        self._kind = body.kind
        if source.mirror is None:
            self._run.reach.note(_host(self._wanted.link), reached=True)
        if start and body.start == start:
            if body.size not in (None, part.origin.size):
                raise FetchError(
                    f"{shown(source.link)}: the file has {body.size} bytes now, and had {part.origin.size}",
                    hint="try again; the whole file will be asked for",
                    status=206,
                    passing=True,
                )
            part.resumed = True
            part.expect(part.origin.size)
            if source.mirror is None and not part.origin.link:
                # Mirrors' bytes, and the link's after them: only this version of the link can go on with them.
                part.note(replace(part.origin, link=source.name, proof=body.proof))
        else:
            if part.position:
                part.restart()
            part.expect(body.size)
            origin = Origin(size=body.size, link=source.name, proof=body.proof, host=platform.node())
            if body.size is not None and body.size >= WORTH and (source.mirror is not None or body.proof is not None):
                part.note(origin)
            else:
                part.origin = origin
        self._tell("started", source)

    def _stream(self, source: Source, body: Body) -> None:
        """Take the bytes of an answer; where several connections may be faster, go over to pieces."""
        run, part = self._run, self._part
        size = part.origin.size
        proven = source.mirror is not None or body.proof is not None
        splits = self._splits and not self._whole and body.ranges and proven and run.slots.count > 1
        since, mark = time.monotonic(), part.position
        piece: Piece | None = None
        for block in body:
            pieces = self._pieces
            if pieces is None or piece is None:
                part.write(block)
                run.pace(len(block))
                self._tell("progress", source)
                took = time.monotonic() - since
                if splits and size is not None and took >= segments.WINDOW:
                    speed = (part.position - mark) / took
                    since, mark = time.monotonic(), part.position
                    if segments.worth(size - part.position, speed):
                        piece = self._split(source, size, speed, body.proof)
                continue
            run.pace(len(block))
            rest = block
            while rest:
                rest = rest[pieces.write(piece, rest) :]
                if rest and not pieces.extend(piece):
                    return
            self._tell("progress", source)
        if self._pieces is not None and piece is not None:
            self._pieces.give_back(piece)

    def _split(self, source: Source, size: int, speed: float, proof: str | None) -> Piece | None:
        """Go over to pieces; return the first one, which the answer that is coming goes on to bring."""
        part = self._part
        part.note(replace(part.origin, prefix=part.position))
        part.resumed = True
        self._before_pieces = part.position

        def bring(piece: Piece, pieces: Segments) -> None:
            self._bring(source, proof, size, piece, pieces)

        self._pieces = segments.Segments(part, size=size, speed=speed, bring=bring, slots=self._run.slots)
        piece = self._pieces.take()
        self._pieces.grow()
        return piece

    def _bring(self, source: Source, proof: str | None, size: int, piece: Piece, pieces: Segments) -> None:
        with source.transport.open(source.link, start=piece.at, end=piece.end, proof=proof) as body:
            if body.start != piece.at or body.size not in (None, size):
                raise FetchError(
                    f"{shown(source.link)}: the file changed while it was fetched, or its server gives no parts of it",
                    hint="try again; the whole file will be asked for",
                    passing=True,
                )
            for block in body:
                self._run.pace(len(block))
                if pieces.write(piece, block) < len(block):
                    return
                self._tell("progress", source)

    def _finish(self, source: Source, pieces: Segments) -> None:
        """Bring the pieces that are left, beside the helpers."""
        proof, size = self._part.origin.proof, self._part.origin.size
        while True:
            self._run.check_ended()
            piece = pieces.take()
            if piece is None:
                if not pieces.wait():
                    return
                continue
            try:
                self._bring(source, proof if source.mirror is None else None, size or 0, piece, pieces)
            except FetchError as error:
                # What was brought from the front on stays, and one connection goes on from there.
                self._splits = False
                error.status = None
                raise
            finally:
                pieces.give_back(piece)

    # -- events ------------------------------------------------------------------------------------------------------

    def _tell(
        self,
        kind: Literal["started", "progress", "retried", "turned", "mirror-skipped"],
        source: Source | None = None,
        *,
        message: str = "",
        wait: float | None = None,
    ) -> None:
        if not self._run.wants(kind):
            return
        pieces = self._pieces
        received = self._part.position if pieces is None else self._before_pieces + pieces.received
        size = self._part.origin.size
        self._run.tell(
            Event(
                kind=kind,
                name=self._wanted.label,
                source="" if source is None else shown(source.link),
                received=received,
                size=self._wanted.size if size is None else size,
                message=message,
                wait=wait,
            )
        )


def _host(link: str) -> str:
    """Return what tells the server of a link from others."""
    return link.partition("://")[2].partition("/")[0].lower()


def are_small(sizes: Sequence[int | None]) -> bool:
    """Whether files of these sizes are many, and small on the average, as far as they are known."""
    known = [size for size in sizes if size is not None]
    return len(sizes) >= MANY and (not known or sum(known) < len(known) * SMALL)


def _whose(size: int, wanted: Wanted) -> str:
    return f"the card says {size}" if wanted.size is not None else f"there are to be {size}"


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
