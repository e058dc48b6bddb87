"""Fetch small files of a registry over HTTP(S) or from a bucket, with conditional requests and limits of size and time.

The transports of assets are used, which check each redirect and each address before they follow it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import FetchError, ForbiddenLinkError, MirrorError
from hubtool.links import AllowedLink, LinkPolicy, shown
from hubtool.requirements import INSTALL_S3
from hubtool.transfer.http import HttpTransport
from hubtool.transfer.transport import Timeouts

if TYPE_CHECKING:
    from hubtool.transfer.s3 import S3Transport
    from hubtool.transfer.transport import Body

_TIMEOUTS = Timeouts(connect=15.0, read=30.0, stall=30.0)
_MAX_SECONDS = 120.0
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallFile:
    """The answer of a server.

    Attributes:
        status: 200 with the file, 304 if it has not changed, 404 if there is none.
        data: The bytes of the file; empty unless the status is 200.
        etag: The entity tag for the next request, or None.
    """

    status: int
    data: bytes
    etag: str | None


class RegistryClient:
    """Fetches small files; connections stay open until it is closed."""

    def __init__(self, policy: LinkPolicy, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._web = HttpTransport(policy, timeouts)
        self._bucket: S3Transport | None = None

    def close(self) -> None:
        """Close all connections."""
        self._web.close()

    def get(self, link: str, *, limit: int, etag: str | None = None) -> SmallFile:
        """Fetch a file, unless it still has the entity tag.

        Args:
            link: Its link.
            limit: The most bytes allowed.
            etag: The entity tag of the copy on this machine.

        Raises:
            ForbiddenLinkError: If the link or a redirect is not allowed.
            FetchError: If the server cannot be reached, fails, or sends too much.
        """
        deadline = time.monotonic() + _MAX_SECONDS
        try:
            if link.startswith("s3://"):
                with self._open_bucket(link).open(AllowedLink.of(link)) as body:
                    found, unchanged = body.validator, etag is not None and body.validator == etag
                    data = b"" if unchanged else _read(body, link, limit, deadline)
            else:
                with self._web.open(self._web.policy.check(link), etag=etag) as answer:
                    found, unchanged = answer.etag, answer.is_unchanged
                    data = b"" if unchanged else _read(answer, link, limit, deadline)
        except FetchError as error:
            if error.status in _GONE:
                return SmallFile(status=404, data=b"", etag=None)
            # The transports' hints are about cards and their assets.
            if isinstance(error, ForbiddenLinkError) or error.status in (None, 401, 403, 407):
                raise
            hint = "try again later; if it still fails, check the registry's address"
            raise FetchError(error.message, hint=hint, status=error.status, passing=error.passing) from None
        return SmallFile(status=304 if unchanged else 200, data=data, etag=etag if unchanged else found)

    def _open_bucket(self, link: str) -> S3Transport:
        """Open the bucket that the user named as a registry."""
        if self._bucket is None:
            try:
                from hubtool.transfer.s3 import open_transport  # noqa: PLC0415 - an extra

                self._bucket = open_transport(link, None)
            except ImportError:
                raise FetchError(
                    f"{shown(link)}: the package for reading buckets is not installed", hint=INSTALL_S3
                ) from None
            except MirrorError as error:
                raise FetchError(f"{shown(link)}: {error.message}", hint=error.hint) from error
        return self._bucket


def _read(body: Body, link: str, limit: int, deadline: float) -> bytes:
    """Read a body; stop if it is too large or takes too long."""
    hint = "this is not the file of a registry"
    if body.size is not None and body.size > limit:
        raise FetchError(f"{shown(link)}: it has {body.size:,} bytes, more than {limit:,}", hint=hint)
    data = bytearray()
    for block in body:
        data += block
        if len(data) > limit:
            raise FetchError(f"{shown(link)}: it sent more than {limit:,} bytes", hint=hint)
        if time.monotonic() > deadline:
            raise FetchError(
                f"{shown(link)}: it did not arrive within {_MAX_SECONDS:g} seconds", hint="try again later"
            )
    return bytes(data)
