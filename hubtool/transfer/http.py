"""Bytes from HTTP and HTTPS links, and what servers say of links without their bytes."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from hubtool.errors import FetchError, UnknownHostError
from hubtool.links import LinkPolicy, is_loopback, shown
from hubtool.transfer import proxies
from hubtool.transfer.guard import Watchdog, watched
from hubtool.transfer.transport import BLOCK, Timeouts
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import requests
    from urllib3.connection import HTTPConnection
    from urllib3.response import BaseHTTPResponse

    from hubtool.transfer.guard import Guard

MAX_REDIRECTS = 8

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)\Z")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,500}"\Z')
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # where requests looks for CAs, in this order
_AGENT = f"hubtool/{__version__}"
# The bytes as they are: a digest is that of the file, not of a compressed form of it.
_HEADERS = {"Accept-Encoding": "identity", "Accept": "*/*"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# What servers answer to HEAD that would give the file: the method is not known, or a signed link is for GET alone.
_NO_HEAD = frozenset({400, 403, 404, 405, 501})
_OF_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED
_ADVICE = {
    401: "the server asks for a login: put it into ~/.netrc",
    403: "the server does not give this file to you: ask the publisher, or put a login into ~/.netrc",
    404: "the file is no longer there: check the card's asset-link, or ask the publisher",
    410: "the publisher took the file away",
    416: "the file at the link is shorter than it was: ask its publisher",
    429: "the server has had too many requests: try again later, or use fewer --connections",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a link answered that was only looked at.

    Attributes:
        link: Where it led in the end.
        size: The bytes of the file, or None where the server does not say.
        proof: What names this very version of the file (a strong ETag, or else a Last-Modified), or None.
    """

    link: str
    size: int | None
    proof: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a server says of a link, without its bytes.

    Attributes:
        status: The HTTP status.
        location: Where a redirect leads, absolute and checked, or None.
        size: The bytes of the file, where the server says so.
        etag: What names this version of the file, in the server's own words; empty if it says nothing.
        modified: When it was changed last, in the server's own words; empty if it says nothing.
        wait: The seconds after which the server asks to be tried again, or None.
    """

    status: int
    location: str | None = None
    size: int | None = None
    etag: str = ""
    modified: str = ""
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """What all requests to one scheme, host and port have in common: finding out proxies, CAs and netrc takes time."""

    pool: Any  # urllib3's pool of connections; requests hands it out untyped
    headers: Mapping[str, str]
    absolute: bool  # whether a proxy wants the whole link


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
        self._services: dict[tuple[str, str], _Service] = {}
        self._lock = threading.Lock()
        self._watchdog = Watchdog(self.timeouts)

    def close(self) -> None:
        """Close all connections, and end the thread that watches them."""
        self._watchdog.close()
        with self._lock:
            # A session leaves it to the moment at which nothing refers to a pool any more, be it the frame of an error.
            for service in self._services.values():
                service.pool.close()
            self._services.clear()
            if self._session is not None:
                self._session.close()
                self._session = None

    def abort(self, threads: Collection[int] | None = None) -> None:
        """End what these threads are receiving; see :class:`Transport`."""
        self._watchdog.abort(threads)

    @contextmanager
    def open(
        self, link: str, *, start: int = 0, end: int | None = None, proof: str | None = None, etag: str | None = None
    ) -> Iterator[HttpBody]:
        """Ask for the bytes of a link; see :class:`Transport`.

        Args:
            link: The link.
            start: As :class:`Transport` has it.
            end: As :class:`Transport` has it.
            proof: As :class:`Transport` has it.
            etag: The entity tag of a copy that is here; if the file still has it, the body is empty and
                ``is_unchanged``.

        Raises:
            ForbiddenLinkError: If the link, or where it redirects to, may not be followed.
            FetchError: If the server cannot be reached, does not answer, or answers with an error.
        """
        headers = {} if etag is None else {"If-None-Match": etag}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if proof is not None:
                headers["If-Range"] = proof
        guard = self._watchdog.guard()
        try:
            link, response = self._request(self.policy.check(link), headers, guard)
            try:
                yield HttpBody(response, guard, link=link, start=start, end=end, proof=proof)
            finally:
                # A connection whose body was read to its end went back to be used again; this closes the others.
                response.close()
        finally:
            guard.close()

    def look(self, link: str) -> Seen:
        """Ask a link whether it answers, with what size, and where it leads, without its bytes.

        The method is HEAD; a server that does not know it, or refuses it, is asked by GET, which is then cut off.

        Raises:
            ForbiddenLinkError: If the link, or where it redirects to, may not be followed.
            FetchError: If the server cannot be reached, does not answer, or answers with an error.
        """
        for method in ("HEAD", "GET"):
            guard = self._watchdog.guard()
            try:
                last, response = self._request(self.policy.check(link), {}, guard, method=method)
                response.close()
                return Seen(link=last, size=_content_length(response.headers), proof=_proof(response.headers))
            except FetchError as error:
                if method == "GET" or error.status not in _NO_HEAD:
                    raise
            finally:
                guard.close()
        raise AssertionError(link)  # the loop returned or raised

    def head(self, link: str, *, method: str = "HEAD") -> Head:
        """Ask what a server says of a link; no redirect is followed, and no bytes are taken.

        Args:
            link: The link.
            method: ``HEAD``, or ``GET`` for servers that know nothing else; then one byte is asked for.

        Raises:
            ForbiddenLinkError: If the link, or where it redirects to, may not be followed.
            UnknownHostError: If nobody knows its host.
            FetchError: If the server cannot be reached, or does not answer.
        """
        link = self.policy.check(link)
        guard = self._watchdog.guard()
        try:
            response = self._ask(link, {} if method == "HEAD" else {"Range": "bytes=0-0"}, guard, method=method)
            try:
                headers = response.headers
                size = _content_length(headers)
                if response.status == 206:
                    match = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
                    size = int(match[3]) if match is not None and match[3] != "*" else None
                location = headers.get("Location") if response.status in _REDIRECTS else None
                return Head(
                    status=response.status,
                    location=None if location is None else self.policy.follow(link, _as_text(location)),
                    size=size if response.status in (200, 206) else None,
                    etag=headers.get("ETag", "").strip()[:500],
                    modified=headers.get("Last-Modified", "").strip()[:100],
                    wait=_retry_after(headers.get("Retry-After")),
                )
            finally:
                # What has no body leaves its connection to be used again.
                if method == "HEAD":
                    response.drain_conn()
                    response.release_conn()
                response.close()
        finally:
            guard.close()

    def _request(
        self, link: str, headers: dict[str, str], guard: Guard, *, method: str = "GET"
    ) -> tuple[str, BaseHTTPResponse]:
        """Ask, and follow redirects by hand, so that each one is checked before it is followed."""
        first = link
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(link, headers, guard, method=method)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                break
            response.close()
            link = self.policy.follow(link, _as_text(location))
        else:
            raise FetchError(
                f"{shown(first)}: more than {MAX_REDIRECTS} redirects, the last one to {shown(link)}",
                hint="the server sends us in circles: open the link in a browser, or ask the publisher",
            )
        status = response.status
        if status != 200 and {206: "Range", 304: "If-None-Match"}.get(status) not in headers:
            response.close()
            by = "" if link == first else f" (from {shown(link)})"
            if status == 407:
                why, hint = proxies.login_asked(link)
                raise FetchError(f"{shown(first)}: {why}", hint=hint, status=status)
            passing = status in _PASSING
            raise FetchError(
                f"{shown(first)}: the server answered {status} {_reason(response.reason)}{by}".rstrip(),
                hint=_ADVICE.get(status, "try again later" if passing or status >= 500 else "check the link"),
                status=status,
                passing=passing,
                wait=_retry_after(response.headers.get("Retry-After")) if passing else None,
            )
        return link, response

    def _ask(self, link: str, headers: dict[str, str], guard: Guard, *, method: str = "GET") -> BaseHTTPResponse:
        import urllib3  # noqa: PLC0415 (heavy, and not needed for what is stored)

        parts = urlsplit(link)
        try:
            service = self._service(link, parts.scheme, parts.netloc)
            target = link if service.absolute else parts.path + (f"?{parts.query}" if parts.query else "")
            guard.begin(self.policy)
            try:
                response: BaseHTTPResponse = service.pool.urlopen(
                    method,
                    target,
                    headers={**service.headers, **headers},
                    redirect=False,
                    assert_same_host=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                    timeout=urllib3.Timeout(connect=self.timeouts.connect, read=self.timeouts.read),
                )
                return response
            finally:
                guard.end()
        except Exception as error:
            if _is_of_libraries(error):
                _fail(error, link, guard)
            raise

    def _service(self, link: str, scheme: str, netloc: str) -> _Service:
        """Find out how a service is asked: by which proxy, with which CAs and which login."""
        service = self._services.get((scheme, netloc))
        if service is not None:
            return service
        with self._lock:
            service = self._services.get((scheme, netloc)) or self._find_out(link)
            self._services[scheme, netloc] = service
            return service

    def _find_out(self, link: str) -> _Service:
        """Have requests say how a service is asked."""
        import requests  # noqa: PLC0415 (heavy, and not needed for what is stored)

        if self._session is None:
            self._session = _new_session(self._connections)
        request = self._session.prepare_request(requests.Request("GET", link, headers=_HEADERS))
        host = urlsplit(link).hostname or ""
        # A proxy cannot reach what is on this machine.
        proxies = {"no_proxy": host} if is_loopback(host) else {}
        settings = self._session.merge_environment_settings(link, proxies, stream=True, verify=None, cert=None)
        if isinstance(settings["verify"], str) and link.startswith("https:"):
            _check_authorities(settings["verify"], link)
        adapter: Any = self._session.get_adapter(link)
        pool = adapter.get_connection_with_tls_context(
            request,
            settings["verify"] or True,  # True, or the file of a private CA; never off
            proxies=settings["proxies"],
            cert=settings["cert"],
        )
        absolute = not adapter.request_url(request, settings["proxies"]).startswith("/")
        kept = {name: str(value) for name, value in request.headers.items() if name.lower() != "cookie"}
        return _Service(pool=pool, headers=kept, absolute=absolute)


class HttpBody:
    """The body of one HTTP response.

    Attributes:
        etag: Its entity tag, strong or weak, or None.
        is_unchanged: Whether the server says that the file still has the entity tag that was asked with.
    """

    def __init__(
        self,
        response: BaseHTTPResponse,
        guard: Guard,
        *,
        link: str,
        start: int = 0,
        end: int | None = None,
        proof: str | None = None,
    ) -> None:
        self._response = response
        self._guard = guard
        self._link = link
        headers = response.headers
        self.kind = headers.get("Content-Type", "")
        self.proof = _proof(headers)
        self.etag = headers.get("ETag")
        self.is_unchanged = response.status == 304
        self.ranges = response.status == 206 or headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        self.start = 0
        self.size: int | None = None
        self._length = _content_length(headers)
        if response.status == 206:
            match = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
            last = -1 if match is None else int(match[2])
            if match is None or int(match[1]) != start or last < start or (end is not None and last >= end):
                raise FetchError(
                    f"{shown(link)}: the server sent another part of the file than byte {start} and after",
                    hint="try again; the whole file will be asked for",
                    status=206,
                    passing=True,
                )
            if proof is not None and proof[0] == '"' and headers.get("ETag", proof).strip() != proof:
                raise FetchError(
                    f"{shown(link)}: the file changed while it was fetched",
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
        self._guard.resume()
        while True:
            try:
                # As much as has come, so that what is slow can be told from what hangs.
                block = self._response.read1(BLOCK, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                # ValueError: http.client's of a chunk whose length is no number.
                if not self._guard.fired and not isinstance(
                    error, (urllib3.exceptions.TimeoutError, urllib3.exceptions.SSLError, TimeoutError)
                ):
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
            passing=True,
        )


def _as_text(header: str) -> str:
    """Read a header: its bytes arrive as Latin-1, and mean UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _proof(headers: Mapping[str, str]) -> str | None:
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


def _new_session(connections: int) -> requests.Session:
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
                    classes[base] = watched(base)
                pool.ConnectionCls = classes[base]
            return pool

    session = requests.Session()
    session.headers["User-Agent"] = _AGENT
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter(pool_maxsize=connections))
    return session


def _check_authorities(place: str, link: str) -> None:
    """Look at the CAs that a variable names: what is wrong with them, OpenSSL would say only as it connects, and badly.

    Raises:
        FetchError: If there are none; the message names the variable and the file.
    """
    import ssl  # noqa: PLC0415 (heavy, and not needed for what is stored)

    try:
        if not os.path.isdir(place):  # noqa: PTH112 (a text, as the variable holds it); of a folder, nothing is read yet
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=place)
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        name = next((name for name in _AUTHORITIES if os.environ.get(name) == place), _AUTHORITIES[0])
        raise FetchError(
            f"{shown(link)}: the CAs that {name} names cannot be read: {place}: {why}",
            hint=f"have {name} name a file with certificates in PEM form, or a folder of them, or unset it",
        ) from None


def _is_of_libraries(error: Exception) -> bool:
    """Whether an error is one by which requests, urllib3 or the system say that a request failed."""
    # Imported here, and not for every file.
    import requests  # noqa: PLC0415 (heavy, and not needed for what is stored)
    import urllib3  # noqa: PLC0415 (the same)

    return isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError, OSError))


def _fail(error: Exception, link: str, guard: Guard) -> NoReturn:
    """Say why a request failed, in our words: those of the libraries quote the link with its query."""
    import socket  # noqa: PLC0415 (not needed for what is stored)
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
    passing = reached = True
    socks = proxies.needs_socks(link) if "SOCKS" in str(error) else None
    direct = is_loopback(urlsplit(link).hostname or "") or requests.utils.should_bypass_proxies(link, None)
    wrong = None if direct else proxies.no_address(link)
    if wrong is not None or socks is not None:
        why, hint = wrong or socks or ("", "")
        passing = False
    elif among(requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL, urllib3.exceptions.ProxyError):
        reason = None if system is None else system.strerror
        why, hint = proxies.refusal(link, " ".join(map(str, chain)), reason)
        passing = False
    elif isinstance(tls, ssl.SSLCertVerificationError) and tls.verify_code in _OF_TIME:
        why = f"the server's certificate is not accepted: {tls.verify_message}"
        hint = f"this machine's clock says {time.strftime('%Y-%m-%d')}: set it if that is wrong"
        passing = False
    elif isinstance(tls, ssl.SSLCertVerificationError):
        why = f"the server's certificate is not accepted: {tls.verify_message}"
        hint = "if the server is behind a private CA, name that in REQUESTS_CA_BUNDLE"
        passing = False
    elif tls is not None or among(requests.exceptions.SSLError, urllib3.exceptions.SSLError):
        why = f"TLS with the server failed: {getattr(tls, 'reason', None) or 'no reason given'}"
    elif isinstance(unknown := among(socket.gaierror), OSError):
        why, reached = f"the server cannot be reached: {unknown.strerror}", False
        if unknown.errno != socket.EAI_AGAIN:
            raise UnknownHostError(f"{shown(link)}: {why}", hint=hint, reached=False) from None
    elif among(urllib3.exceptions.NewConnectionError) and system is not None:
        why, reached = f"the server cannot be reached: {system.strerror}", False
    elif among(requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        why, reached = "the server does not accept a connection in time", False
    elif among(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        why = "the server does not answer in time"
    elif among(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError):
        why, hint = "this is not a link that can be requested", "correct the card's asset-link"
        passing = False
    elif system is not None:
        why = f"the connection failed: {system.strerror}"
    else:
        why = "the server closed the connection, or sent what is not HTTP"
    raise FetchError(f"{shown(link)}: {why}", hint=hint, passing=passing, reached=reached) from None


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
