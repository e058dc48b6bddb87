"""Ends requests that receive too few bytes for too long, and connects to addresses that the link policy allows only.

A socket timeout bounds one wait: a server that sends a byte every few seconds never runs into one, neither in its
header nor in its body. One thread per transport shuts down the connections of such requests. The sockets belong to
urllib3, so :func:`watched` derives a connection class from each of urllib3's own.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from hubtool.errors import FetchError

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterator

    from urllib3.connection import HTTPConnection
    from urllib3.response import HTTPResponse

    from hubtool.links import AllowedLink, LinkPolicy
    from hubtool.transfer.transport import Timeouts

_MAX_INTERIM_HEADERS = 8  # of one response, the final one included


class _Connecting(threading.local):
    """The request for which this thread opens or reuses a connection."""

    request: WatchedRequest | None = None


_connecting = _Connecting()


class WatchedRequest:
    """One request: its connections, and the time that is left for the next bytes.

    Attributes:
        thread: The identifier of the thread that makes the request.
        ended: Whether its connections were shut down.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.thread = threading.get_ident()
        self.ended = False
        self._aborted = False
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._restart()

    def _restart(self) -> None:
        self._received = 0
        self._seconds_left = self._timeouts.stall
        self._deadline: float | None = time.monotonic() + self._timeouts.stall

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Watch the connections that this thread opens or reuses within this context."""
        self._restart()
        _connecting.request = self
        try:
            yield
        finally:
            _connecting.request = None
            self._restart()

    def add(self, connection: socket.socket) -> None:
        """Watch a connection by a handle of our own.

        TLS takes the original socket away, and http.client closes its own before the body has come.
        """
        import socket  # noqa: PLC0415 (not needed for what is stored)

        with self._lock:
            self._handles.append(socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM))
        if self.ended:
            self.end()

    def pause(self, count: int) -> None:
        """Count received bytes and stop the clock while the caller processes them."""
        self._received += count
        if self._received >= self._timeouts.floor:
            self._restart()
        elif self._deadline is not None:
            self._seconds_left = self._deadline - time.monotonic()
        self._deadline = None

    def resume(self) -> None:
        """Start the clock where it stopped."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._seconds_left

    def is_overdue(self) -> bool:
        """Whether too few bytes came in time."""
        deadline = self._deadline
        return not self.ended and deadline is not None and deadline <= time.monotonic()

    def end(self, *, aborted: bool = False) -> None:
        """Shut its connections down in both directions, which wakes the waiting thread."""
        with self._lock:
            self.ended = True
            self._aborted = self._aborted or aborted
            for handle in self._handles:
                with suppress(OSError):
                    handle.shutdown(2)

    def close(self) -> None:
        """Close the handles; the connections themselves stay as they are."""
        with self._lock:
            while self._handles:
                self._handles.pop().close()

    def fail(self, link: AllowedLink) -> NoReturn:
        """Raise the error of a request that was ended."""
        if self._aborted:
            raise FetchError(f"{link.shown}: the transfer was ended", hint="start it again: it resumes from there")
        raise FetchError(
            f"{link.shown}: fewer than {self._timeouts.floor} bytes came in {self._timeouts.stall:g} seconds",
            hint="the server or the connection is too slow or hangs: try again later",
            passing=True,
        )


class StallMonitor:
    """One thread that ends the overdue requests of a transport."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._changed = threading.Condition()
        self._requests: set[WatchedRequest] = set()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self) -> Iterator[WatchedRequest]:
        """Watch a request of this thread."""
        request = WatchedRequest(self._timeouts)
        with self._changed:
            self._requests.add(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hubtool-stall-monitor", daemon=True)
                self._thread.start()
        try:
            yield request
        finally:
            with self._changed:
                self._requests.discard(request)
            request.close()

    def abort(self, threads: Collection[int] | None) -> None:
        """End the requests of these threads, or all."""
        with self._changed:
            for request in self._requests:
                if threads is None or request.thread in threads:
                    request.end(aborted=True)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with self._changed:
            while self._thread is threading.current_thread():
                for request in self._requests:
                    if request.is_overdue():
                        request.end()
                self._changed.wait(min(0.25, self._timeouts.stall / 8))


def watched(base: type[HTTPConnection], policy: LinkPolicy) -> type[HTTPConnection]:
    """Derive a connection class whose sockets are watched, and whose addresses the policy allows.

    A name is resolved once, and what was checked is what is connected to: a name that is resolved a second time may
    stand for another address. Behind a proxy, the proxy resolves the name; the user named the proxy.
    """
    import socket  # noqa: PLC0415 (not needed for what is stored)
    from http.client import BadStatusLine  # noqa: PLC0415 (the same)
    from http.client import HTTPResponse as Response  # noqa: PLC0415 (the same)

    from urllib3 import exceptions  # noqa: PLC0415 (the same)

    class Bounded(Response):
        """Python skips any number of "100 Continue" responses; this ends the wait after a few."""

        hubtool_headers = 0

        def _read_status(self) -> tuple[str, int, str]:
            self.hubtool_headers += 1
            if self.hubtool_headers > _MAX_INTERIM_HEADERS:
                raise BadStatusLine("too many interim responses")
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not part of the stubs
            return status

    class Watched(base):  # type: ignore[misc, valid-type]  # which class this is, is known at run time only
        response_class = Bounded
        _dns_host: str  # urllib3's name for what is resolved, where `host` is what TLS checks

        def _new_conn(self) -> socket.socket:
            connection: socket.socket = super()._new_conn() if self.proxy is not None else self._connect_checked()
            self._watch(connection)
            return connection

        def _connect_checked(self) -> socket.socket:
            name = self._dns_host
            host = name.strip("[]")
            try:
                # A checked host is ASCII. For a text, Python would import the tables of IDNA.
                entries = socket.getaddrinfo(host.encode("ascii"), self.port, type=socket.SOCK_STREAM)
            except socket.gaierror as error:
                raise exceptions.NameResolutionError(self.host, self, error) from error
            addresses = dict.fromkeys(str(address[0]) for *_, address in entries)
            for text in addresses:
                policy.check_address(host, self.port, text)
            failed: Exception = exceptions.NewConnectionError(self, "the name has no address")
            for address in addresses:
                self._dns_host = address
                try:
                    connection: socket.socket = super()._new_conn()
                except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
                    failed = error
                else:
                    return connection
                finally:
                    self._dns_host = name
            raise failed

        def getresponse(self) -> HTTPResponse:
            self._watch(self.sock)  # a connection that was kept open now belongs to another request
            response: HTTPResponse = super().getresponse()
            return response

        def _watch(self, connection: socket.socket) -> None:
            if _connecting.request is not None:
                _connecting.request.add(connection)

    return Watched
