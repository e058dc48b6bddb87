"""How bytes come from a link: one small interface, and HTTP(S) behind it.

A transport takes a link and a range of bytes, and gives a stream. It knows nothing of digests and of the store.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import urlsplit

from hubtool.assets.links import LinkPolicy, is_loopback, shown
from hubtool.errors import FetchError
from hubtool.version import __version__

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import requests
    from urllib3.connection import HTTPConnection
    from urllib3.response import HTTPResponse

BLOCK = 64 << 10
MAX_REDIRECTS = 8

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ADVICE = {
    401: "the server asks for a login: put it into ~/.netrc",
    403: "the server does not give this file to you: ask the publisher, or put a login into ~/.netrc",
    404: "the file is no longer there: check the card's asset-link, or ask the publisher",
    407: "the proxy asks for a login: put it into HTTPS_PROXY",
    410: "the publisher took the file away",
    429: "the server has had too many requests: try again later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a server may take, in seconds.

    Attributes:
        connect: To accept a connection.
        read: To send anything at all while we wait for it.
        stall: To send its answer's head, and then to send ``floor`` bytes each time.
        floor: The bytes that must come in each ``stall`` seconds, lest the transfer take forever.
    """

    connect: float = 15.0
    read: float = 30.0
    stall: float = 60.0
    floor: int = 64 << 10


class Body(Protocol):
    """The bytes that a link gave.

    Attributes:
        start: The offset in the whole file of the first byte that comes.
        size: The bytes of the whole file, or None where the server does not say.
        kind: The media type that the server states, perhaps empty.
    """

    start: int
    size: int | None
    kind: str

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in blocks.

        Raises:
            FetchError: If they stop coming before their end.
        """
        ...


class Transport(Protocol):
    """Where bytes come from."""

    def open(self, link: str, *, start: int = 0, end: int | None = None) -> AbstractContextManager[Body]:
        """Ask for the bytes of a link from ``start`` up to and without ``end``.

        A server may ignore the range: look at the body's ``start``.

        Raises:
            FetchError: If they cannot be had.
        """
        ...


class HttpTransport:
    """HTTP and HTTPS by requests: certificates verified, the usual proxy and CA variables honoured, redirects checked.

    Threads may share one. Close it (``contextlib.closing``) to close its connections.
    """

    def __init__(self, policy: LinkPolicy | None = None, timeouts: Timeouts | None = None) -> None:
        self.policy = policy or LinkPolicy()
        self.timeouts = timeouts or Timeouts()
        self._session: requests.Session | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    @contextmanager
    def open(self, link: str, *, start: int = 0, end: int | None = None) -> Iterator[Body]:
        """Ask for the bytes of a link; see :class:`Transport`.

        Raises:
            ForbiddenLinkError: If the link, or where it redirects to, may not be followed.
            FetchError: If the server cannot be reached, does not answer, or answers with an error.
        """
        guard = _Guard(self.timeouts)
        try:
            response = self._request(self.policy.check(link), start, end, guard)
            try:
                yield _HttpBody(response, guard, start)
            finally:
                response.close()
        finally:
            guard.close()

    def _request(self, link: str, start: int, end: int | None, guard: _Guard) -> requests.Response:
        """Ask, and follow redirects by hand, so that each one is checked before it is followed."""
        first = link
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(link, start, end, guard)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or location is None:
                break
            response.close()
            with suppress(UnicodeError):  # header bytes arrive as Latin-1, and mean UTF-8
                location = location.encode("latin-1").decode("utf-8")
            link = self.policy.follow(link, location)
        else:
            raise FetchError(
                f"{shown(first)}: more than {MAX_REDIRECTS} redirects, the last one to {shown(link)}",
                hint="the server sends us in circles: open the link in a browser, or ask the publisher",
            )
        status = response.status_code
        if status != 200 and not (status == 206 and (start or end is not None)):
            response.close()
            by = "" if link == first else f" (from {shown(link)})"
            raise FetchError(
                f"{shown(first)}: the server answered {status} {_reason(response.reason)}{by}".rstrip(),
                hint=_ADVICE.get(
                    status, "try again later" if status in (408, 425) or status >= 500 else "check the link"
                ),
            )
        return response

    def _ask(self, link: str, start: int, end: int | None, guard: _Guard) -> requests.Response:
        import requests  # noqa: PLC0415 (heavy, and not needed for what is stored)
        import urllib3  # noqa: PLC0415 (the same)

        if self._session is None:
            self._session = _new_session()
        # The bytes as they are: a digest is that of the file, not of a compressed form of it.
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        host = urlsplit(link).hostname or ""
        # A proxy cannot reach what is on this machine.
        proxies = {"no_proxy": host} if is_loopback(host) else {}
        try:
            request = self._session.prepare_request(requests.Request("GET", link, headers=headers))
            settings = self._session.merge_environment_settings(link, proxies, stream=True, verify=None, cert=None)
            with guard.watching():
                # Not by Session.send: that reads the whole body of a redirect, however long it is.
                return self._session.get_adapter(link).send(
                    request,
                    stream=True,
                    timeout=(self.timeouts.connect, self.timeouts.read),
                    verify=settings["verify"] or True,  # True, or the file of a private CA; never off
                    cert=settings["cert"],
                    proxies=settings["proxies"],
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            _fail(error, link, guard)


class _HttpBody:
    """The body of one HTTP response."""

    def __init__(self, response: requests.Response, guard: _Guard, start: int) -> None:
        self._response = response
        self._guard = guard
        self._link = response.url
        self.kind = response.headers.get("Content-Type", "")
        self.start = 0
        self.size: int | None = None
        self._length = _content_length(response)
        if response.status_code == 206:
            match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != start:
                raise FetchError(
                    f"{shown(self._link)}: the server sent another part of the file than byte {start} and after",
                    hint="try again; the whole file will be asked for",
                )
            self.start = start
            self._length = int(match[2]) + 1 - start
            self.size = None if match[3] == "*" else int(match[3])
        else:
            self.size = self._length

    def __iter__(self) -> Iterator[bytes]:
        import urllib3  # noqa: PLC0415 (heavy, and not needed for what is stored)

        received = 0
        stream = self._response.raw.stream(BLOCK, decode_content=False)
        while True:
            try:
                block = next(stream, b"")
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not self._guard.fired and isinstance(error, (urllib3.exceptions.ProtocolError, ConnectionError)):
                    self._cut(received)
                _fail(error, self._link, self._guard)
            if not block:
                break
            received += len(block)
            # What the caller does with the block is not the server's fault.
            self._guard.pause(len(block))
            yield block
            self._guard.resume()
        if self._guard.fired:
            self._guard.fail(self._link)
        if self._length is not None and received != self._length:
            self._cut(received)

    def _cut(self, received: int) -> NoReturn:
        of = "" if self._length is None else f" of {self._length}"
        raise FetchError(
            f"{shown(self._link)}: the connection ended after {received}{of} bytes",
            hint="try again; if it stays so, the server or a proxy cuts the file off",
        )


def _content_length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    if "chunked" in response.headers.get("Transfer-Encoding", "").lower() or not text.isascii() or not text.isdigit():
        return None
    return int(text[:20])


def _reason(reason: object) -> str:
    """What the server says about a status: its words, so nothing but a short printable line of them."""
    return reason[:60] if isinstance(reason, str) and reason.isprintable() else ""


class _Guard:
    """Ends a transfer that does not get on.

    Timeouts of sockets are for one wait each: a server that sends a byte every few seconds never runs into one, not
    while it sends its header either. This thread shuts the connection down when too little came in too long.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._seconds = timeouts.stall
        self._floor = timeouts.floor
        self._changed = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._got = 0
        self._deadline: float | None = time.monotonic() + self._seconds
        self._paused = self._seconds
        self._closed = False
        self.fired = False
        self._thread = threading.Thread(target=self._run, name="hubtool-guard", daemon=True)
        self._thread.start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the connections that this thread opens or reuses."""
        self._restart()
        _current.guard = self
        try:
            yield
        finally:
            _current.guard = None
            self._restart()

    def watch(self, twin: socket.socket) -> None:
        """Watch a connection; the twin of its socket is duplicated once more, to be closed by us."""
        with self._changed:
            if self.fired:
                _shut(twin)
            else:
                self._sockets.append(twin.dup())

    def pause(self, count: int) -> None:
        """Count some bytes, and stop the clock."""
        with self._changed:
            self._got += count
            if self._got >= self._floor:
                self._got = 0
                self._paused = self._seconds
            elif self._deadline is not None:
                self._paused = self._deadline - time.monotonic()
            self._deadline = None

    def resume(self) -> None:
        """Start the clock where it stopped."""
        with self._changed:
            self._deadline = time.monotonic() + self._paused
            self._changed.notify()

    def _restart(self) -> None:
        with self._changed:
            self._got = 0
            self._deadline = time.monotonic() + self._seconds
            self._changed.notify()

    def close(self) -> None:
        """Stop watching, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for twin in self._sockets:
            twin.close()

    def fail(self, link: str) -> NoReturn:
        """Raise the error of a transfer that did not get on."""
        raise FetchError(
            f"{shown(link)}: fewer than {self._floor} bytes came in {self._seconds:g} seconds",
            hint="the server or the connection is too slow or hangs: try again later",
        )

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    self.fired = True
                    for twin in self._sockets:
                        _shut(twin)
                    return
                self._changed.wait(left)


class _Current(threading.local):
    """The guard of the request that this thread is making."""

    guard: _Guard | None = None


_current = _Current()


def _shut(twin: socket.socket) -> None:
    with suppress(OSError):
        twin.shutdown(2)  # both directions: whoever waits for this connection is woken up


def _watched(base: type[HTTPConnection]) -> type[HTTPConnection]:
    """Derive from one of urllib3's connection classes one whose sockets a guard can shut down."""

    class Watched(base):  # type: ignore[misc, valid-type]  # which class this is, is known at run time only
        hubtool_twin: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()
            # TLS takes the socket itself away, so a second handle of the same connection is kept.
            self._drop_twin()
            self.hubtool_twin = sock.dup()
            self._tell_guard()
            return sock

        def getresponse(self) -> HTTPResponse:
            self._tell_guard()  # here a connection that was kept open comes under a new guard
            response: HTTPResponse = super().getresponse()
            return response

        def close(self) -> None:
            super().close()
            self._drop_twin()

        def _tell_guard(self) -> None:
            if _current.guard is not None and self.hubtool_twin is not None:
                _current.guard.watch(self.hubtool_twin)

        def _drop_twin(self) -> None:
            if self.hubtool_twin is not None:
                self.hubtool_twin.close()
                self.hubtool_twin = None

    return Watched


def _new_session() -> requests.Session:
    import requests  # noqa: PLC0415 (heavy, and not needed for what is stored)
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 (the same)

    classes: dict[type[HTTPConnection], type[HTTPConnection]] = {}

    class Adapter(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (passed through)
            # Typed as its base, which lacks the attribute that urllib3 documents for the pools that there are.
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            base = pool.ConnectionCls
            if base not in classes.values():
                if base not in classes:
                    classes[base] = _watched(base)
                pool.ConnectionCls = classes[base]
            return pool

    session = requests.Session()
    session.headers["User-Agent"] = f"hubtool/{__version__}"
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
    return session


def _fail(error: Exception, link: str, guard: _Guard) -> NoReturn:
    """Say why a request failed, in our words: those of the libraries quote the link with its query."""
    import ssl  # noqa: PLC0415 (heavy, and not needed for what is stored)

    import requests  # noqa: PLC0415 (the same)
    import urllib3  # noqa: PLC0415 (the same)

    if guard.fired:
        guard.fail(link)
    chain = list(_causes(error))

    def among(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in chain if isinstance(cause, kinds)), None)

    system = next((cause for cause in chain if isinstance(cause, OSError) and cause.strerror and cause.errno), None)
    tls = among(ssl.SSLError)
    hint = "try again later; check the network, and HTTPS_PROXY where there is a proxy"
    if among(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        why, hint = "the proxy cannot be used", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    elif isinstance(tls, ssl.SSLCertVerificationError):
        why = f"the server's certificate is not accepted: {tls.verify_message}"
        hint = "if the server is behind a private CA, name that in REQUESTS_CA_BUNDLE"
    elif tls is not None or among(requests.exceptions.SSLError, urllib3.exceptions.SSLError):
        why = f"TLS with the server failed: {getattr(tls, 'reason', None) or 'no reason given'}"
    elif among(urllib3.exceptions.NewConnectionError) and system is not None:
        why = f"the server cannot be reached: {system.strerror}"
    elif among(requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        why = "the server does not accept a connection in time"
    elif among(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        why = "the server does not answer in time"
    elif among(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError):
        why, hint = "this is not a link that can be requested", "correct the card's asset-link"
    elif system is not None:
        why = f"the connection failed: {system.strerror}"
    else:
        why = "the server closed the connection, or sent what is not HTTP"
    raise FetchError(f"{shown(link)}: {why}", hint=hint) from None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of; the libraries wrap one another in several ways."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
