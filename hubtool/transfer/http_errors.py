"""Why a request failed, in our words: those of the libraries quote the link with its query, which may hold a secret."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NoReturn

from hubtool.errors import FetchError, UnknownHostError
from hubtool.transfer import proxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.links import AllowedLink
    from hubtool.transfer.stall_monitor import WatchedRequest

_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # where requests looks for CAs, in this order
_OF_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED


def _check_authorities(link: AllowedLink) -> None:
    """Check the CA file that a variable names: what OpenSSL and requests say of a wrong one does not name it.

    Raises:
        FetchError: If it holds no certificates; the message names the variable and the file.
    """
    import ssl  # noqa: PLC0415 (heavy, and not needed for what is stored)

    name = next((name for name in _AUTHORITIES if os.environ.get(name)), None)
    if name is None or link.scheme != "https":
        return
    place = os.environ[name]
    try:
        if not os.path.isdir(place):  # noqa: PTH112 (a text, as the variable holds it); of a folder, nothing is read yet
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=place)
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise FetchError(
            f"{link.shown}: the CAs that {name} names cannot be read: {place}: {why}",
            hint=f"have {name} name a file with certificates in PEM form, or a folder of them, or unset it",
        ) from None


def fail(error: Exception, link: AllowedLink, request: WatchedRequest) -> NoReturn:
    """Raise the error of a failed request, in our words: those of the libraries quote the link with its query."""
    import socket  # noqa: PLC0415 (not needed for what is stored)
    import ssl  # noqa: PLC0415 (heavy, and not needed for what is stored)

    import requests  # noqa: PLC0415 (the same)
    import urllib3  # noqa: PLC0415 (the same)

    if request.ended:
        request.fail(link)
    _check_authorities(link)
    chain = list(_causes(error))

    def among(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in chain if isinstance(cause, kinds)), None)

    system = next((cause for cause in chain if isinstance(cause, OSError) and cause.strerror and cause.errno), None)
    tls = among(ssl.SSLError)
    hint = "try again later; check the network, and HTTPS_PROXY where there is a proxy"
    passing = reached = True
    socks = proxies.needs_socks(link.url) if "SOCKS" in str(error) else None
    direct = link.is_loopback or requests.utils.should_bypass_proxies(link.url, None)
    wrong = None if direct else proxies.no_address(link.url)
    if wrong is not None or socks is not None:
        why, hint = wrong or socks or ("", "")
        passing = False
    elif among(requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL, urllib3.exceptions.ProxyError):
        reason = None if system is None else system.strerror
        why, hint = proxies.refusal(link.url, " ".join(map(str, chain)), reason)
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
            raise UnknownHostError(f"{link.shown}: {why}", hint=hint, reached=False) from None
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
        why = "the server closed the connection or did not answer in HTTP"
    raise FetchError(f"{link.shown}: {why}", hint=hint, passing=passing, reached=reached) from None


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
