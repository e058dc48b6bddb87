"""Look at a link: one request to its server, and with ``deep`` all bytes, hashed and discarded.

The result is a mapping that can be saved as JSON::

    fault    the kind of finding, if the file could not be reached; with
    message  what happened
    moved    the target of a permanent redirect
    place    where the bytes are, if the link redirects (without the query, which may hold a new signature each time)
    size     the bytes of the file
    etag     the server's name for this version of the file
    modified the time of its last change, from the server
    sha256   the digest of the bytes that came (deep)
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hubtool.errors import FetchError, ForbiddenLinkError, UnknownHostError
from hubtool.links import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.links import AllowedLink
    from hubtool.transfer.http import HttpTransport, Probe

_GONE = frozenset({404, 410})

Seen = dict[str, object]


def probe_link(transport: HttpTransport, link: str, *, deep: bool, pace: Callable[[], None] = lambda: None) -> Seen:
    """Look at a link.

    Args:
        transport: The HTTP client.
        link: The link.
        deep: Whether its bytes are hashed.
        pace: Called before each block of bytes; raises to stop.

    Raises:
        FetchError: If another attempt may help; its ``wait`` is the delay in seconds.
    """
    try:
        found = transport.probe(transport.policy.check(link))
        seen: Seen = {} if found.moved is None else {"moved": found.moved.url}
        if found.link.url != link:
            seen["place"] = found.link.shown
        if found.error is not None:
            return {**seen, **_refused(link, found)}
        facts = {"size": found.size, "etag": found.etag or None, "modified": found.modified or None}
        seen.update({name: value for name, value in facts.items() if value is not None})
        if deep:
            seen.update(_hash(transport, found.link, pace))
    except ForbiddenLinkError as error:
        return {"fault": "link-forbidden", "message": error.message}
    except UnknownHostError as error:
        return {"fault": "link-gone", "message": error.message}
    except FetchError as error:
        if error.passing:
            raise
        return {"fault": "link-unreachable", "message": error.message}
    return seen


def _refused(link: str, found: Probe) -> Seen:
    message = f"the server answered {found.status}"
    if found.link.url != link:
        message += f" (from {found.link.shown})"
    if found.status in _GONE:
        return {"fault": "link-gone", "message": message}
    if found.error is not None and (found.error.passing or found.status >= 500):
        wait = found.error.wait
        raise FetchError(f"{shown(link)}: {message}", passing=True, wait=wait, status=found.status)
    return {"fault": "link-refused", "message": message}


def _hash(transport: HttpTransport, link: AllowedLink, pace: Callable[[], None]) -> Seen:
    digester, size = hashlib.sha256(), 0
    with transport.open(link) as body:
        for block in body:
            pace()
            digester.update(block)
            size += len(block)
    return {"sha256": digester.hexdigest(), "size": size}
