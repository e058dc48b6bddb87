"""One asset, and a fetch of it that gives up soon."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hubtool.digest import Digest
from hubtool.transfer.fetcher import RetryPolicy, Timeouts, fetch

if TYPE_CHECKING:
    from hubtool.store.records import Stored
    from hubtool.store.store import Store

CONTENT = bytes(range(256)) * 1200
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())
QUICK = Timeouts(connect=5.0, read=1.0, stall=2.0, floor=20_000)
ONCE = RetryPolicy(attempts=1)
SIZE = len(CONTENT)


def get(store: Store, link: str, **changes: object) -> Stored:
    arguments: dict[str, object] = {"digest": DIGEST, "store": store, "timeouts": QUICK, "retries": ONCE, **changes}
    return fetch(link, **arguments)  # type: ignore[arg-type]  # a table's arguments are checked by running it
