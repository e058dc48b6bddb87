"""Small files over HTTP(S) or out of a bucket: conditional requests, redirects checked, size and time bounded.

Assets, which are large, come by :mod:`hubtool.assets`; this is for cards and indexes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.assets.links import is_loopback, shown
from hubtool.errors import FetchError, MirrorError
from hubtool.requirements import INSTALL_S3
from hubtool.version import __version__

if TYPE_CHECKING:
    import requests

    from hubtool.assets.links import LinkPolicy
    from hubtool.assets.s3 import S3Transport

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_TIMEOUT = (15.0, 30.0)
_SECONDS = 120.0
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered.

    Attributes:
        status: 200 with the file, 304 if it has not changed, 404 if there is none.
        data: The bytes of the file; empty unless the status is 200.
        etag: What to ask with next time, or None.
    """

    status: int
    data: bytes
    etag: str | None


class Client:
    """Gets small files; connections are kept open until it is closed."""

    def __init__(self, policy: LinkPolicy) -> None:
        self._policy = policy
        self._session: requests.Session | None = None
        self._bucket: S3Transport | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def get(self, link: str, *, limit: int, etag: str | None = None) -> Answer:
        """Get a file, if it is not the one that the entity tag is of.

        Args:
            link: Where it is.
            limit: The most bytes that it may have.
            etag: The entity tag of the copy that is here already.

        Raises:
            ForbiddenLinkError: If the link or a redirect may not be followed.
            FetchError: If the server cannot be reached, fails, or sends too much.
        """
        if link.startswith("s3://"):
            return self._object(link, limit, etag)
        deadline = time.monotonic() + _SECONDS
        target = self._policy.check(link)
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._ask(target, etag)
            try:
                location = response.headers.get("Location")
                if response.status_code in _REDIRECTS and location:
                    target = self._policy.follow(target, location)
                    continue
                if response.status_code in (304, 404, 410):
                    return Answer(status=304 if response.status_code == 304 else 404, data=b"", etag=etag)
                if response.status_code != 200:
                    raise FetchError(
                        f"{shown(link)}: the server answered {response.status_code}",
                        hint="try again later; if it stays so, check the registry's address",
                    )
                data = self._body(response, link, limit, deadline)
                return Answer(status=200, data=data, etag=response.headers.get("ETag"))
            finally:
                response.close()
        raise FetchError(f"{shown(link)}: more than {_MAX_REDIRECTS} redirects", hint="check the registry's address")

    def _object(self, link: str, limit: int, etag: str | None) -> Answer:
        """Get a file out of a bucket that the user named as a registry."""
        try:
            from hubtool.assets.s3 import open_transport  # noqa: PLC0415 - an extra

            if self._bucket is None:
                self._bucket = open_transport(link, None)
        except ImportError:
            raise FetchError(f"{shown(link)}: what reads buckets is not installed", hint=INSTALL_S3) from None
        except MirrorError as error:
            raise FetchError(f"{shown(link)}: {error.message}", hint=error.hint) from error
        try:
            with self._bucket.open(link) as body:
                if etag is not None and body.proof == etag:
                    return Answer(status=304, data=b"", etag=etag)
                size, data = body.size or 0, b"".join(body) if (body.size or 0) <= limit else b""
                proof = body.proof
        except FetchError as error:
            if error.status != 404:
                raise
            return Answer(status=404, data=b"", etag=None)
        if size > limit:
            raise FetchError(
                f"{shown(link)}: it has more than {limit:,} bytes", hint="this is not the file of a registry"
            )
        return Answer(status=200, data=data, etag=proof)

    def _ask(self, link: str, etag: str | None) -> requests.Response:
        import requests  # noqa: PLC0415 - heavy, and what is cached does not need it

        if self._session is None:
            self._session = requests.Session()
            self._session.headers["User-Agent"] = f"hubtool/{__version__}"
        headers = {"If-None-Match": etag} if etag else {}
        host = link.split("/")[2].rpartition(":")[0].strip("[]") or link.split("/")[2]
        # A proxy cannot reach what is on this machine.
        proxies = {"http": "", "https": ""} if is_loopback(host) else None
        try:
            return self._session.get(
                link, headers=headers, stream=True, allow_redirects=False, timeout=_TIMEOUT, proxies=proxies
            )
        except (requests.RequestException, OSError) as error:
            raise _failed(link, error) from None

    @staticmethod
    def _body(response: requests.Response, link: str, limit: int, deadline: float) -> bytes:
        import requests  # noqa: PLC0415 - as above

        blocks: list[bytes] = []
        size = 0
        try:
            for block in response.iter_content(_BLOCK):
                size += len(block)
                blocks.append(block)
                if size > limit:
                    raise FetchError(
                        f"{shown(link)}: more than {limit:,} bytes came", hint="this is not the file of a registry"
                    )
                if time.monotonic() > deadline:
                    raise FetchError(
                        f"{shown(link)}: it did not come within {_SECONDS:g} seconds", hint="try again later"
                    )
        except (requests.RequestException, OSError) as error:
            raise _failed(link, error) from None
        return b"".join(blocks)


def _failed(link: str, error: Exception) -> FetchError:
    import requests  # noqa: PLC0415 - as above

    if isinstance(error, requests.exceptions.SSLError):
        why = "TLS with the server failed, or its certificate is not accepted"
    elif isinstance(error, requests.exceptions.Timeout):
        why = "the server does not answer in time"
    elif isinstance(error, requests.exceptions.ConnectionError):
        why = "the server cannot be reached"
    else:
        why = "the server closed the connection, or sent what is not HTTP"
    return FetchError(f"{shown(link)}: {why}", hint="try again later; check the registry's address and the network")
