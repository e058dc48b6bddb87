"""Bytes from HTTP and HTTPS links, and what servers say of links without their bytes."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

from hubtool.errors import FetchError
from hubtool.links import LinkPolicy
from hubtool.transfer import proxies
from hubtool.transfer.http_errors import fail
from hubtool.transfer.stall_monitor import StallMonitor, watched
from hubtool.transfer.transport import BLOCK_BYTES, Timeouts
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import requests
    from urllib3.connection import HTTPConnection
    from urllib3.response import BaseHTTPResponse

    from hubtool.links import AllowedLink
    from hubtool.transfer.stall_monitor import WatchedRequest

MAX_REDIRECTS = 8

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)\Z")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,500}"\Z')
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT_REDIRECTS = frozenset({301, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# What servers answer to HEAD that would give the file: the method is not known, or a signed link is for GET alone.
_NO_HEAD = frozenset({400, 403, 404, 405, 501})
_ADVICE = {
    401: "the server asks for a login: put it into ~/.netrc",
    403: "the server does not give this file to you: ask the publisher, or put a login into ~/.netrc",
    404: "the file is no longer there: check the card's asset-link, or ask the publisher",
    410: "the publisher took the file away",
    416: "the file at the link is shorter than it was: ask its publisher",
    429: "the server has had too many requests: try again later, or use fewer --connections",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a server says of a link, without its bytes.

    Attributes:
        link: Where the link led in the end, after all redirects.
        moved: Where it leads for good (by permanent redirects from the first on), or None.
        status: The HTTP status there.
        size: The bytes of the file, where the server says so.
        etag: The entity tag, in the server's own words; empty if it states none.
        modified: When the file was changed last, in the server's own words; empty if it states nothing.
        validator: Identifier of this version of the file (a strong ETag, or else a Last-Modified), or None.
        error: What an error status means, or None.
    """

    link: AllowedLink
    moved: AllowedLink | None
    status: int
    size: int | None
    etag: str
    modified: str
    validator: str | None
    error: FetchError | None

    def raise_for_status(self) -> None:
        """Raise the error if there is one.

        Raises:
            FetchError: If the status is one of an error.
        """
        if self.error is not None:
            raise self.error


class HttpTransport:
    """HTTP and HTTPS: certificates verified, the usual proxy and CA variables honoured, redirects checked.

    Threads may share one. Close it (``contextlib.closing``) to close its connections. The login that ~/.netrc holds
    for a host is sent to that host only.
    """

    def __init__(
        self, policy: LinkPolicy | None = None, timeouts: Timeouts | None = None, *, connections: int = 16
    ) -> None:
        self.policy = policy or LinkPolicy()
        self.timeouts = timeouts or Timeouts()
        self._connections = connections
        self._session: requests.Session | None = None
        self._lock = threading.Lock()
        self._monitor = StallMonitor(self.timeouts)

    def close(self) -> None:
        """Close all connections, and end the thread that watches them."""
        self._monitor.close()
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def abort(self, threads: Collection[int] | None = None) -> None:
        """End what these threads are receiving; see :class:`Transport`."""
        self._monitor.abort(threads)

    @contextmanager
    def open(
        self,
        link: AllowedLink,
        *,
        start: int = 0,
        end: int | None = None,
        validator: str | None = None,
        etag: str | None = None,
    ) -> Iterator[HttpBody]:
        """Ask for the bytes of a link; see :class:`Transport`.

        Args:
            link: The link.
            start: As :class:`Transport` has it.
            end: As :class:`Transport` has it.
            validator: As :class:`Transport` has it.
            etag: The entity tag of a copy that is here; if the file still has it, the body is empty and
                ``is_unchanged``.

        Raises:
            ForbiddenLinkError: If a redirect may not be followed.
            FetchError: If the server cannot be reached, does not answer, or answers with an error.
        """
        headers = {} if etag is None else {"If-None-Match": etag}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if validator is not None:
                headers["If-Range"] = validator
        with self._monitor.watch() as request:
            last, _, response = self._request(link, headers, request, "GET")
            try:
                expected = {206: "Range", 304: "If-None-Match"}.get(response.status) in headers
                if response.status != 200 and not expected:
                    raise _status_error(link, last, response)
                yield HttpBody(response, request, link=last, start=start, end=end, validator=validator)
            finally:
                # A connection whose body was read to its end went back to be used again; this closes the others.
                response.close()

    def probe(self, link: AllowedLink, *, method: str = "HEAD") -> Probe:
        """Ask what a server says of a link, and follow its redirects; no bytes are taken.

        Args:
            link: The link.
            method: ``HEAD``, or ``GET`` for services that know nothing else. A server that refuses HEAD is asked by
                GET for one byte.

        Raises:
            ForbiddenLinkError: If a redirect may not be followed.
            UnknownHostError: If no name server knows the host.
            FetchError: If the server cannot be reached, or does not answer.
        """
        with self._monitor.watch() as request:
            last, moved, response = self._request(link, {}, request, method)
            headers, status = response.headers, response.status
            size = _content_length(headers)
            if status == 206:
                match = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
                size = int(match[3]) if match is not None and match[3] != "*" else None
            _release(response)
            return Probe(
                link=last,
                moved=moved,
                status=status,
                size=size if status in (200, 206) else None,
                etag=headers.get("ETag", "").strip()[:500],
                modified=headers.get("Last-Modified", "").strip()[:100],
                validator=_validator(headers),
                error=None if status in (200, 206) else _status_error(link, last, response),
            )

    def _request(
        self, link: AllowedLink, headers: dict[str, str], request: WatchedRequest, method: str
    ) -> tuple[AllowedLink, AllowedLink | None, BaseHTTPResponse]:
        """Ask, and follow redirects by hand, so that each one is checked before it is followed.

        Returns:
            The last link, the link to which permanent redirects lead (or None), and the response.
        """
        first, moved, for_good = link, None, True
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(link, headers, request, method)
            if method == "HEAD" and response.status in _NO_HEAD:
                response.close()  # a server without HEAD may send a body after all, which the next request would read
                response = self._ask(link, {"Range": "bytes=0-0"}, request, "GET")
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return link, moved, response
            _release(response)
            link = self.policy.follow(link, _as_text(location))
            # Where a temporary redirect leads may be another place tomorrow.
            for_good = for_good and response.status in _PERMANENT_REDIRECTS
            moved = link if for_good else moved
        raise FetchError(
            f"{first.shown}: more than {MAX_REDIRECTS} redirects, the last one to {link.shown}",
            hint="the server sends us in circles: open the link in a browser, or ask the publisher",
        )

    def _ask(
        self, link: AllowedLink, headers: dict[str, str], request: WatchedRequest, method: str
    ) -> BaseHTTPResponse:
        """Send one request; the response's body is not read yet.

        ``Session.send`` would read the whole body of a redirect, and follow it; the adapter does neither, and keeps no
        cookies.
        """
        import requests  # noqa: PLC0415 (heavy, and not needed for what is stored)
        import urllib3  # noqa: PLC0415 (the same)

        # A proxy cannot reach what is on this machine.
        proxies = {"no_proxy": link.host} if link.is_loopback else {}
        try:
            session = self._open_session()
            prepared = session.prepare_request(requests.Request(method, link.url, headers=headers))
            settings = session.merge_environment_settings(link.url, proxies, stream=True, verify=None, cert=None)
            settings["verify"] = settings["verify"] or True  # True, or the file of a private CA; never off
            timeouts = (self.timeouts.connect, self.timeouts.read)
            with request.connecting():
                response = session.get_adapter(link.url).send(prepared, timeout=timeouts, **cast("Any", settings))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            fail(error, link, request)
        raw: BaseHTTPResponse = response.raw
        return raw

    def _open_session(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = _new_session(self.policy, self._connections)
            return self._session


class HttpBody:
    """The body of one HTTP response.

    Attributes:
        etag: Its entity tag, strong or weak, or None.
        is_unchanged: Whether the server says that the file still has the entity tag that was asked with.
    """

    def __init__(
        self,
        response: BaseHTTPResponse,
        request: WatchedRequest,
        *,
        link: AllowedLink,
        start: int = 0,
        end: int | None = None,
        validator: str | None = None,
    ) -> None:
        self._response = response
        self._request = request
        self._link = link
        headers = response.headers
        self.content_type = headers.get("Content-Type", "")
        self.validator = _validator(headers)
        self.etag = headers.get("ETag")
        self.is_unchanged = response.status == 304
        self.accepts_ranges = response.status == 206 or headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        self.start = 0
        self.size: int | None = None
        self._length = _content_length(headers)
        if response.status == 206:
            match = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
            last = -1 if match is None else int(match[2])
            if match is None or int(match[1]) != start or last < start or (end is not None and last >= end):
                raise FetchError(
                    f"{link.shown}: the server sent another part of the file than byte {start} and after",
                    hint="try again; the whole file will be asked for",
                    status=206,
                    passing=True,
                )
            if validator is not None and validator[0] == '"' and headers.get("ETag", validator).strip() != validator:
                raise FetchError(
                    f"{link.shown}: the file changed while it was fetched",
                    hint="try again; the whole file will be asked for",
                    status=206,
                    passing=True,
                )
            self.start = start
            self._length = last + 1 - start
            self.size = None if match[3] == "*" else int(match[3])
        else:
            self.size = self._length

    def __iter__(self) -> Iterator[bytes]:
        import urllib3  # noqa: PLC0415 (heavy, and not needed for what is stored)

        received = 0
        self._request.resume()
        while True:
            try:
                # As much as has come, so that what is slow can be told from what hangs.
                block = self._response.read1(BLOCK_BYTES, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                # ValueError: http.client's of a chunk whose length is no number.
                if not self._request.ended and not isinstance(
                    error, (urllib3.exceptions.TimeoutError, urllib3.exceptions.SSLError, TimeoutError)
                ):
                    self._cut(received)
                fail(error, self._link, self._request)
            if not block:
                break
            received += len(block)
            # What the caller does with the block is not the server's fault.
            self._request.pause(len(block))
            yield block
            self._request.resume()
        if self._request.ended:
            self._request.fail(self._link)
        if self._length is not None and received != self._length:
            self._cut(received)

    def _cut(self, received: int) -> NoReturn:
        of = "" if self._length is None else f" of {self._length}"
        raise FetchError(
            f"{self._link.shown}: the connection ended after {received}{of} bytes",
            hint="try again; if it stays so, the server or a proxy cuts the file off",
            passing=True,
        )


def _as_text(header: str) -> str:
    """Read a header: its bytes arrive as Latin-1, and mean UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what may stand in If-Range: a strong ETag, or a Last-Modified that is one (RFC 9110, 8.8.2.2)."""
    etag = headers.get("ETag", "").strip()
    if _STRONG_ETAG.match(etag):
        return etag
    modified, now = _date(headers.get("Last-Modified")), _date(headers.get("Date"))
    # A file that was written in the second in which it was sent may have been written again in it.
    if etag or modified is None or now is None or now - modified < 1:
        return None
    return headers["Last-Modified"].strip()


def _date(text: str | None) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 (not needed for what is stored)

    try:
        return None if text is None else parsedate_to_datetime(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _retry_after(text: str | None) -> float | None:
    """Read a Retry-After, which is a number of seconds or a date, as seconds from now."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    when = _date(text)
    return None if when is None else max(0.0, when - time.time())


def _content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    if "chunked" in headers.get("Transfer-Encoding", "").lower() or not text.isascii() or not text.isdigit():
        return None
    return int(text[:20])


def _reason(reason: object) -> str:
    """What the server says about a status: its words, so nothing but a short printable line of them."""
    return reason[:60] if isinstance(reason, str) and reason.isprintable() else ""


def _release(response: BaseHTTPResponse) -> None:
    """Leave a response: without a body its connection is used again, else it is cut off."""
    if response.length_remaining == 0:
        response.drain_conn()
        response.release_conn()
    response.close()


def _status_error(first: AllowedLink, last: AllowedLink, response: BaseHTTPResponse) -> FetchError:
    """Return the error of an HTTP status."""
    status = response.status
    if status == 407:
        why, hint = proxies.login_asked(last.url)
        return FetchError(f"{first.shown}: {why}", hint=hint, status=status)
    by = "" if last == first else f" (from {last.shown})"
    passing = status in _PASSING
    return FetchError(
        f"{first.shown}: the server answered {status} {_reason(response.reason)}{by}".rstrip(),
        hint=_ADVICE.get(status, "try again later" if passing or status >= 500 else "check the link"),
        status=status,
        passing=passing,
        wait=_retry_after(response.headers.get("Retry-After")) if passing else None,
    )


def _new_session(policy: LinkPolicy, connections: int) -> requests.Session:
    """Make a session whose connections are watched, and lead where the policy allows."""
    import requests  # noqa: PLC0415 (heavy, and not needed for what is stored)
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 (the same)

    classes: dict[type[HTTPConnection], type[HTTPConnection]] = {}
    pools: dict[int, Any] = {}

    class Adapter(HTTPAdapter):
        def close(self) -> None:
            # Else a pool stays open as long as anything refers to it, such as the frame of an error.
            while pools:
                pools.popitem()[1].close()
            super().close()

        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (passed through)
            # Typed as its base, which lacks the attribute that urllib3 documents for the pools that there are.
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            pools[id(pool)] = pool
            base = pool.ConnectionCls
            if base not in classes.values():
                if base not in classes:
                    classes[base] = watched(base, policy)
                pool.ConnectionCls = classes[base]
            return pool

    session = requests.Session()
    # The bytes as they are: a digest is that of the file, not of a compressed form of it.
    session.headers.update({"User-Agent": f"hubtool/{__version__}", "Accept-Encoding": "identity", "Accept": "*/*"})
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter(pool_maxsize=connections))
    return session
