"""Looking at a link: one question to its server, and with ``deep`` all its bytes, hashed and thrown away.

What was seen is a mapping that can be kept as JSON::

    fault    the kind of finding, if the link could not be followed to its end; with
    message  what happened
    moved    where the link leads for good, if it does
    place    where the bytes are, if the link redirects (without query, which may be signed anew each time)
    size     the bytes of the file
    etag     the server's name for this version of the file
    modified when it was changed last, as the server says
    sha256   the digest of the bytes that came (deep)
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hubtool.errors import FetchError, ForbiddenLinkError, UnknownHostError
from hubtool.links import shown
from hubtool.transfer.http import MAX_REDIRECTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.transfer.http import Head, HttpTransport

_GONE = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_FOR_GOOD = frozenset({301, 308})
# Servers that know no HEAD, or sign links for GET only.
_ASK_OTHERWISE = frozenset({400, 403, 405, 501})

Seen = dict[str, object]


def look(transport: HttpTransport, link: str, *, deep: bool, pace: Callable[[], None] = lambda: None) -> Seen:
    """Look at a link.

    Args:
        transport: Asks.
        link: The link.
        deep: Whether its bytes are hashed.
        pace: Called before each block of bytes is taken; raises to stop.

    Raises:
        FetchError: If another attempt may help; its ``wait`` says when.
    """
    try:
        place, head, moved = _follow(transport, link)
        seen: Seen = {"moved": moved} if moved else {}
        if place != link:
            seen["place"] = shown(place)
        if head.status in _GONE:
            return {**seen, "fault": "link-gone", "message": f"the server answered {head.status}{_by(link, place)}"}
        if head.status not in (200, 206):
            return {**seen, **_refused(link, place, head)}
        facts = {"size": head.size, "etag": head.etag or None, "modified": head.modified or None}
        seen.update({name: value for name, value in facts.items() if value is not None})
        if deep:
            seen.update(_hash(transport, place, pace))
    except ForbiddenLinkError as error:
        return {"fault": "link-forbidden", "message": error.message}
    except UnknownHostError as error:
        return {"fault": "link-gone", "message": error.message}
    except FetchError as error:
        if error.passing:
            raise
        return {"fault": "link-unreachable", "message": error.message}
    return seen


def _follow(transport: HttpTransport, link: str) -> tuple[str, Head, str]:
    """Follow redirects; return the last link, what its server says, and where the link leads for good, or empty."""
    place, moved, for_good = link, "", True
    for _ in range(MAX_REDIRECTS + 1):
        head = transport.head(place)
        if head.status in _ASK_OTHERWISE:
            head = transport.head(place, method="GET")
        if head.location is None:
            return place, head, moved
        # What follows a passing redirect is a matter of the moment.
        for_good = for_good and head.status in _FOR_GOOD
        moved = head.location if for_good else moved
        place = head.location
    raise FetchError(f"{shown(link)}: more than {MAX_REDIRECTS} redirects, the last one to {shown(place)}")


def _refused(link: str, place: str, head: Head) -> Seen:
    message = f"the server answered {head.status}{_by(link, place)}"
    if head.status in _PASSING or head.status >= 500:
        raise FetchError(f"{shown(link)}: {message}", passing=True, wait=head.wait, status=head.status)
    return {"fault": "link-refused", "message": message}


def _by(link: str, place: str) -> str:
    return "" if link == place else f" (from {shown(place)})"


def _hash(transport: HttpTransport, link: str, pace: Callable[[], None]) -> Seen:
    digester, size = hashlib.sha256(), 0
    with transport.open(link) as body:
        for block in body:
            pace()
            digester.update(block)
            size += len(block)
    return {"sha256": digester.hexdigest(), "size": size}
