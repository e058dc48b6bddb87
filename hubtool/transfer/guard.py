"""Connections that a guard can end: one that hangs, that gets on too slowly, or whose run is ended.

The sockets belong to urllib3. A connection class derived from each of its own tells the guard of the request that its
thread is making, and connects to addresses only that the link policy was asked about.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from hubtool.errors import FetchError
from hubtool.links import shown

if TYPE_CHECKING:
    import http.client
    import socket
    from collections.abc import Collection
    from typing import TypeAlias

    from urllib3.connection import HTTPConnection
    from urllib3.response import HTTPResponse

    from hubtool.links import LinkPolicy
    from hubtool.transfer.transport import Timeouts

    _Address: TypeAlias = tuple[Any, ...]

_MAX_HEADS = 8  # of one answer: interim ones and the final one


class Guard:
    """The clock of one request.

    Timeouts of sockets are for one wait each: a server that sends a byte every few seconds never runs into one, not
    while it sends its header either. The watchdog shuts the connection down when too little came in too long.
    """

    def __init__(self, watchdog: Watchdog, timeouts: Timeouts) -> None:
        self._watchdog = watchdog
        self._seconds = timeouts.stall
        self._floor = timeouts.floor
        self._lock = threading.Lock()
        self._twins: list[Twin] = []
        self._got = 0
        self._left = timeouts.stall
        self.deadline: float | None = time.monotonic() + timeouts.stall
        self.thread = threading.get_ident()
        self.fired = False
        self.aborted = False
        self.policy: LinkPolicy | None = None

    def begin(self, policy: LinkPolicy) -> None:
        """Watch the connections that this thread opens or reuses, and hold their addresses against the policy."""
        self._restart()
        self.policy = policy
        current.guard = self

    def end(self) -> None:
        """Watch no connections that are opened or reused from now on."""
        current.guard = None
        self._restart()

    def watch(self, twin: Twin) -> None:
        """Watch a connection."""
        with self._lock:
            if self.fired:
                twin.shut()
            elif twin.hold():
                self._twins.append(twin)

    def pause(self, count: int) -> None:
        """Count some bytes, and stop the clock."""
        deadline, self.deadline = self.deadline, None
        self._got += count
        if self._got >= self._floor:
            self._got = 0
            self._left = self._seconds
        elif deadline is not None:
            self._left = deadline - time.monotonic()

    def resume(self) -> None:
        """Start the clock where it stopped."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self._left

    def _restart(self) -> None:
        self._got = 0
        self._left = self._seconds
        self.deadline = time.monotonic() + self._seconds

    def fire(self, *, aborted: bool = False) -> None:
        """Shut the connections down."""
        with self._lock:
            self.fired = True
            self.aborted = self.aborted or aborted
            for twin in self._twins:
                twin.shut()

    def close(self) -> None:
        """Stop watching."""
        self._watchdog.forget(self)
        with self._lock:
            for twin in self._twins:
                twin.let_go()
            self._twins.clear()

    def fail(self, link: str) -> NoReturn:
        """Raise the error of a transfer that was ended."""
        if self.aborted:
            raise FetchError(f"{shown(link)}: the transfer was ended", hint="start it again: it goes on from there")
        raise FetchError(
            f"{shown(link)}: fewer than {self._floor} bytes came in {self._seconds:g} seconds",
            hint="the server or the connection is too slow or hangs: try again later",
            passing=True,
        )


class Twin:
    """A second handle of a connection, with which to shut it down; open as long as anybody holds it.

    TLS takes the socket itself away, and http.client closes its own before the body has come.
    """

    def __init__(self, socket: socket.socket) -> None:
        """Make a guard, held by its maker."""
        self._socket = socket.dup()
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> bool:
        """Hold it; return whether it is open still."""
        with self._lock:
            self._holders += self._holders > 0
            return self._holders > 0

    def let_go(self) -> None:
        """Hold it no longer."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._socket.close()

    def shut(self) -> None:
        """Shut the connection down in both directions, which wakes the waiting thread."""
        with self._lock, suppress(OSError):
            self._socket.shutdown(2)


class Watchdog:
    """One thread that looks after the clocks of all requests of a transport."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._pause = min(0.25, timeouts.stall / 8)
        self._changed = threading.Condition()
        self._guards: set[Guard] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def guard(self) -> Guard:
        """Begin to watch a request of this thread."""
        guard = Guard(self, self._timeouts)
        with self._changed:
            self._guards.add(guard)
            if self._thread is None:
                self._closed = False
                self._thread = threading.Thread(target=self._run, name="hubtool-guard", daemon=True)
                self._thread.start()
        return guard

    def forget(self, guard: Guard) -> None:
        """Watch a request no longer."""
        with self._changed:
            self._guards.discard(guard)

    def abort(self, threads: Collection[int] | None) -> None:
        """End the requests of these threads, or all."""
        with self._changed:
            for guard in self._guards:
                if threads is None or guard.thread in threads:
                    guard.fire(aborted=True)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._closed = True
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for guard in self._guards:
                    deadline = guard.deadline
                    if deadline is not None and deadline <= now and not guard.fired:
                        guard.fire()
                # Nobody wakes it up for a new request: that would cost a small file more than its bytes do.
                self._changed.wait(self._pause)


class _Current(threading.local):
    """What this thread is at.

    Attributes:
        guard: That of the request that it is making.
    """

    guard: Guard | None = None


current = _Current()


def addresses(name: str, port: int, policy: LinkPolicy) -> list[tuple[int, _Address]]:
    """Resolve a name, and return what it stands for: each address with its family, as sockets take them.

    What is returned is what is to be connected to: a name that is resolved once to be checked and once more to be used
    may stand for two things.

    Args:
        name: A host as a link has it, without brackets.
        port: The port.
        policy: Asked about each address.

    Raises:
        socket.gaierror: If nobody knows the name.
        ForbiddenLinkError: If the name must not stand for one of its addresses.
    """
    import socket  # noqa: PLC0415 (not needed for what is stored)

    # A checked host is ASCII. Of a text Python would make it once more, and import the tables for that.
    entries = socket.getaddrinfo(name.encode("ascii"), port, type=socket.SOCK_STREAM)
    found: dict[str, tuple[int, _Address]] = {}
    for family, _, _, _, address in entries:
        found.setdefault(str(address[0]), (family, address))
    for text in found:
        policy.check_address(name, port, text)
    return [*found.values()]


@cache
def _bounded() -> type[http.client.HTTPResponse]:
    """Derive from Python's answer one that ends the wait for the final answer after a few interim ones.

    Python skips any number of answers "100 Continue": a server that sends them without end would never be left.
    """
    from http.client import BadStatusLine, HTTPResponse  # noqa: PLC0415 (heavy, and not needed for what is stored)

    class Bounded(HTTPResponse):
        hubtool_heads = 0

        def _read_status(self) -> tuple[str, int, str]:
            self.hubtool_heads += 1
            if self.hubtool_heads > _MAX_HEADS:
                raise BadStatusLine("too many interim answers")
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not part of the stubs
            return status

    return Bounded


def watched(base: type[HTTPConnection]) -> type[HTTPConnection]:
    """Derive from one of urllib3's connection classes one whose sockets a guard can shut down.

    It also connects to addresses only that the link policy was asked about.
    """

    class Watched(base):  # type: ignore[misc, valid-type]  # which class this is, is known at run time only
        response_class = _bounded()
        hubtool_twin: Twin | None = None
        _dns_host: str

        def _new_conn(self) -> socket.socket:
            policy = None if current.guard is None else current.guard.policy
            # Behind a proxy the proxy resolves the name; where that stands, the user said.
            sock = super()._new_conn() if policy is None or self.proxy is not None else self._checked_conn(policy)
            self._drop_twin()
            self.hubtool_twin = Twin(sock)
            self.tell_guard()
            return sock

        def _checked_conn(self, policy: LinkPolicy) -> socket.socket:
            import socket  # noqa: PLC0415 (not needed for what is stored)

            import urllib3  # noqa: PLC0415 (the same)

            name: str = self._dns_host  # urllib3's name for what is resolved, where `host` is what TLS checks
            try:
                found = addresses(name.strip("[]"), self.port, policy)
            except socket.gaierror as error:
                raise urllib3.exceptions.NameResolutionError(self.host, self, error) from error
            failed: Exception | None = None
            for _, (address, *_) in found:
                self._dns_host = str(address)
                try:
                    sock: socket.socket = super()._new_conn()
                except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                    failed = error
                else:
                    return sock
                finally:
                    self._dns_host = name
            raise failed or urllib3.exceptions.NewConnectionError(self, "the name has no address")

        def getresponse(self) -> HTTPResponse:
            self.tell_guard()  # here a connection that was kept open comes under a new guard
            response: HTTPResponse = super().getresponse()
            return response

        def close(self) -> None:
            super().close()
            self._drop_twin()

        def tell_guard(self) -> None:
            if current.guard is not None and self.hubtool_twin is not None:
                current.guard.watch(self.hubtool_twin)

        def _drop_twin(self) -> None:
            if self.hubtool_twin is not None:
                self.hubtool_twin.let_go()
                self.hubtool_twin = None

    return Watched
