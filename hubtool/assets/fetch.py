"""Fetching: an asset by its link into the store, its digest checked before anybody can see it."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Protocol

from hubtool.assets.links import DEFAULT_HOSTS, LinkPolicy, shown
from hubtool.assets.store import MAX_BYTES, Stored
from hubtool.assets.transport import HttpTransport, Timeouts, Transport
from hubtool.errors import DigestError, FetchError, OfflineError

if TYPE_CHECKING:
    from hubtool.assets.store import Store, Writer
    from hubtool.assets.transport import Body
    from hubtool.digest import Digest

__all__ = ["DEFAULT_HOSTS", "LinkPolicy", "Progress", "Stored", "Timeouts", "fetch"]


class Progress(Protocol):
    """What is told of a transfer's progress."""

    def __call__(self, received: int, size: int | None) -> None:
        """Take the bytes received so far, and those of the whole file where they are known."""
        ...


def fetch(
    link: str,
    *,
    digest: Digest | None,
    store: Store,
    size: int | None = None,
    policy: LinkPolicy | None = None,
    offline: bool = False,
    again: bool = False,
    progress: Progress | None = None,
    timeouts: Timeouts | None = None,
    max_bytes: int | None = None,
    transport: Transport | None = None,
) -> Stored:
    """Return an asset from the store, and fetch it first if it is not there.

    What is stored is returned without touching the network. Of several processes and threads that want the same asset,
    one fetches it and the others wait for it.

    Args:
        link: Where the asset is.
        digest: Its digest as the card states it, whole or short.
        store: Where it goes.
        size: Its bytes, where the card states them.
        policy: Where links and redirects may lead; the default hosts only, unless given.
        offline: Whether the network may not be used.
        again: Whether to fetch it even if it is stored. Offline, what is stored is returned all the same: its digest
            says that no other bytes could come.
        progress: Told about every block that came.
        timeouts: How long the server may take.
        max_bytes: The most bytes to take; unless given, the ``size``, or 64 GiB.
        transport: How the bytes come; HTTP(S) under ``policy`` and ``timeouts``, unless given.

    Raises:
        OfflineError: If it is not stored, and ``offline`` is set.
        ForbiddenLinkError: If the link or a redirect may not be followed.
        FetchError: If the server fails, or sends too little or too much; also without a digest.
        DigestError: If other bytes came than the card promises; they are deleted.
        StoreError: If the store cannot be written or read.
    """
    if digest is None:
        raise FetchError(
            f"{shown(link)}: the card states no SHA-256, so nothing could tell whether the right bytes came",
            hint="add asset-sha256 to the card",
        )
    found = store.find(digest)
    if found is not None and (offline or not again):
        return found
    if offline:
        raise OfflineError(
            f"{shown(link)} is not in the store at {store.root}, and the network may not be used",
            hint="run `hubtool fetch` where HUBTOOL_OFFLINE is not set, or set HUBTOOL_HOME to a store that has it",
        )
    policy = policy or LinkPolicy()
    plain = policy.check(link)
    limit = max_bytes if max_bytes is not None else max(size or 0, MAX_BYTES)
    with ExitStack() as stack:
        stack.enter_context(store.lock(digest.hex))
        # While we waited, another process may have fetched it.
        found = None if again else store.find(digest)
        if found is not None:
            return found
        if transport is None:
            transport = stack.enter_context(closing(HttpTransport(policy, timeouts)))
        body = stack.enter_context(transport.open(plain))
        writer = stack.enter_context(store.writer(digest, source=shown(plain), size=size, limit=limit))
        return _transfer(body, writer, size, progress)


def _transfer(body: Body, writer: Writer, size: int | None, progress: Progress | None) -> Stored:
    writer.expect(body.size)
    total = size if body.size is None else body.size
    for block in body:
        writer.write(block)
        if progress is not None:
            progress(writer.written, total)
    try:
        return writer.commit()
    except DigestError as error:
        if "html" not in body.kind.lower():
            raise
        raise DigestError(
            f"{error.message}; the server says that it sent a web page ({body.kind[:40]})",
            expected=error.expected,
            actual=error.actual,
            hint="open the link in a browser: it may have moved, or ask for a login",
        ) from None
