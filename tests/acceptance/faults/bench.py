"""Every fault against every path of the client, and what must hold after each."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from hubtool.digest import Digest, digest_file
from hubtool.errors import HubError
from hubtool.hub import Hub
from hubtool.locking import FileLock
from hubtool.mirror.layout import blobs
from hubtool.mirror.open import open_destination
from hubtool.mirror.sync import sync
from hubtool.mirror.verify import verify
from hubtool.registry.entry import digest_of
from hubtool.store.store import Store
from hubtool.transfer import segments
from hubtool.transfer.events import EventCallback, FetchEvent, FetchRequest
from hubtool.transfer.fetcher import Fetcher, LinkPolicy, RetryPolicy, Timeouts
from tests.support import wait_until
from tests.support.cards import write_card
from tests.support.server import always, nothing, refusing, serving
from tests.support.tls import make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.seaweed import Bucket
    from tests.support.server import Request, Server

CONTENT = random.Random(7).randbytes(1_500_000)  # noqa: S311 (no secret)
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())
SMALL = CONTENT[:100_000]
TIMEOUTS = Timeouts(connect=3.0, read=0.5, stall=0.6, floor=1 << 15)
RETRIES = RetryPolicy(attempts=3, mirror_attempts=1, first_seconds=0.01, patience_seconds=1.5)
POLICY = LinkPolicy(hosts=frozenset({"intranet.example", "other.example"}))

FAULTS = {
    "refuse": "nobody listens",
    "reset": "reset after half of the bytes",
    "stall": "silence after half of the bytes",
    "trickle": "16 bytes every 50 ms",
    "truncate": "the connection ends after half of the bytes",
    "append": "four bytes too many, and a length that says so",
    "flip": "one bit is another one",
    "wrong-length": "Content-Length is 1,000 too large",
    "no-length": "no Content-Length",
    "gzip": "gzip on top",
    "wrong-range": "206 with another range",
    "no-ranges": "200 to a range",
    "etag-changed": "the ETag changes between ranges",
    "301 /a?token=SECRET": "301 in a circle",
    "301 file:///etc/passwd": "redirect to file://",
    "301 ftp://other.example/a": "redirect to ftp://",
    "301 https://intranet.example/a": "redirect to a name with a private address",
    "301 https://me:SECRET@other.example/a": "redirect to another host, with a login",
    "401": "401",
    "403": "403",
    "404": "404",
    "408": "408",
    "416": "416",
    "429": "429",
    "429 1": "429, Retry-After: 1",
    "429 9999": "429, Retry-After: 9999",
    "500": "500",
    "503": "503",
    "503 1": "503, Retry-After: 1",
    "tls-name": "TLS for another name",
    "html": "a web page instead of the file",
}

PATHS = {
    "fresh": "a first run; every answer is faulty",
    "once": "a first run; the first answer is faulty, and the others are right",
    "resumed": "a second run, after one that was broken off in the middle; every answer is faulty",
    "parallel": "several connections for one file; the answer to the first is right, those to the others are faulty",
    "mirror": "the mirror is faulty, the card's link is right",
    "continued": "the mirror breaks off in the middle, and the card's link, which is to go on, is faulty",
    "folder": "a mirror is made in a folder; of its two assets' links, one is faulty",
    "bucket": "the same, in an object store (SeaweedFS)",
}
SYNCED = ("folder", "bucket")


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        error: What was raised, or None where the right file came.
        kept: Whether a part is kept.
        requests: How many requests it took of the server that is faulty.
    """

    error: HubError | None
    kept: bool
    requests: int

    def __str__(self) -> str:
        if self.error is None:
            return "arrives"
        what = "named" if type(self.error) is HubError else type(self.error).__name__
        return f"{what}, {'part kept' if self.kept else 'nothing kept'}"


def applicable(fault: str, path: str) -> bool:
    """Whether this fault can be met on this path: each can."""
    return fault in FAULTS and path in PATHS


class _Trouble:
    """A fault, and a server that has it on a path: in its answers, in its certificate, or in that nobody listens.

    Attributes:
        certificate: The right certificate, if the server shows any.
    """

    def __init__(self, fault: str, folder: Path, stack: ExitStack) -> None:
        self.certificate: Path | None = None
        self._fault = fault
        if fault == "tls-name":
            self.certificate = make_certificate(folder, "DNS:localhost")
            self._wrong = make_certificate(folder)
            bundle = folder / "bundle.pem"
            bundle.write_bytes(self.certificate.read_bytes() + self._wrong.read_bytes())
            stack.enter_context(mock.patch.dict(os.environ, {"REQUESTS_CA_BUNDLE": str(bundle)}))

    def base(self, server: Server) -> str:
        """Return the address by which it is to be asked."""
        return server.url if self.certificate is None else server.url.replace("127.0.0.1", "localhost")

    def begin(self, server: Server, path: str) -> None:
        """Let it be met from now on."""
        asked = len(server.requests)
        if self._fault not in ("refuse", "tls-name"):
            server.default.fault, server.default.applies = self._fault, _applies(path, asked)
        elif path != "parallel":
            self._switch(server, faulty=True)
        else:
            once = threading.Lock()

            def meanwhile(_: int) -> None:  # the first answer is on its way
                if len(server.requests) > asked and once.acquire(blocking=False):
                    self._switch(server, faulty=True)

            server.meanwhile = meanwhile

    def retried(self, server: Server, path: str) -> None:
        """Let the answers after the first be right, where they are to be."""
        if path == "once" and self._fault in ("refuse", "tls-name"):
            self._switch(server, faulty=False)

    def end(self, server: Server) -> None:
        """Take it away."""
        server.default.fault, server.meanwhile = "", nothing
        self._switch(server, faulty=False)

    def _switch(self, server: Server, *, faulty: bool) -> None:
        if self._fault == "refuse":
            server.listen(not faulty)
        elif self._fault == "tls-name":
            assert server.context is not None
            assert self.certificate is not None
            server.context.load_cert_chain(self._wrong if faulty else self.certificate)


def run(fault: str, path: str, folder: Path, bucket: Bucket | None = None) -> Outcome:
    """Meet a fault on a path, check what must hold, and return how it ended; on one path, in an object store."""
    if path in SYNCED:
        return _run_sync(fault, path, folder, bucket)
    store = Store(folder / "home", patience=10.0)
    with ExitStack() as stack:
        stack.enter_context(_names())
        trouble = _Trouble(fault, folder, stack)
        bad = stack.enter_context(serving(CONTENT, certificate=trouble.certificate))
        good = stack.enter_context(serving(CONTENT))
        base = trouble.base(bad)
        mirrors: tuple[str, ...] = ()
        link = f"{base}/a?token=SECRET"
        if path == "mirror":
            mirrors, link = (base,), f"{good.url}/a?token=SECRET"
        wanted = FetchRequest(link=link, digest=DIGEST)
        warm_up(FetchRequest(link=f"{good.url}/warm", digest=DIGEST), folder)
        before = descriptors()
        if path in ("resumed", "continued"):
            break_off(store, bad if path == "resumed" else good, wanted, path)
        asked = len(bad.requests)
        trouble.begin(bad, path)
        with parallel(bad) if path == "parallel" else ExitStack():
            outcome = _meet(store, wanted, mirrors, lambda: trouble.retried(bad, path))
        outcome = replace(outcome, requests=len(bad.requests) - asked)
        _check(store, wanted, outcome, before)
        # Whatever happened, once the server is right, the file comes; and with it what was kept.
        trouble.end(bad)
        asked = len(bad.requests)
        if not mirrors:
            get(store, wanted, ())
            assert outcome.error is None or (bad.requests[asked].start > 0) == outcome.kept
            assert parts_of(store) == []
        return outcome


def _run_sync(fault: str, path: str, folder: Path, bucket: Bucket | None) -> Outcome:
    """Make a mirror of a registry with two cards: the link of one of them is faulty."""
    registry, root = folder / "registry", folder / "mirror"
    environ = {"HUBTOOL_REGISTRY": str(registry), "HUBTOOL_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder)}
    with ExitStack() as stack:
        stack.enter_context(_names())
        trouble = _Trouble(fault, folder, stack)
        bad = stack.enter_context(serving(CONTENT, certificate=trouble.certificate))
        good = stack.enter_context(serving(SMALL))
        base = trouble.base(bad)
        link = f"{base}/a?token=SECRET"
        trouble.begin(bad, path)
        write_card(registry, "tests/1.9/bad", link=link, content=CONTENT)
        write_card(registry, "tests/1.9/good", link=f"{good.url}/a", content=SMALL)
        where = str(root)
        if path == "bucket":
            assert bucket is not None
            where = f"s3://mirrors/{folder.name}"
            environ.update(bucket.environ)
        stack.enter_context(mock.patch.dict(os.environ, environ))
        stack.enter_context(mock.patch.object(Hub, "fetcher", impatient))
        place = open_destination(where)
        before = descriptors()
        report = sync(Hub.open(), place)
        right = {digest_of(SMALL)}
        error: HubError | None = None
        if report.failures:
            (failure,) = report.failures
            assert (failure.uid, failure.digest) == ("tests/1.9/bad", DIGEST.hex)
            assert "SECRET" not in failure.reason
            assert base in failure.reason or "private address" in failure.reason
            error = HubError(failure.reason)  # a report names it; what kind it was, the words say
        else:
            right.add(DIGEST.hex)
        # Nothing wrong is visible, the index says what is missing, and nobody is at work any more.
        assert set(blobs(place)) == right
        for digest in right:
            hasher = hashlib.sha256()
            with place.blob(digest) as blocks:
                for block in blocks:  # each stands where the one before it stood
                    hasher.update(block)
            assert hasher.hexdigest() == digest
        assert len(verify(place, deep=True).faults) == len(report.failures)
        ours = {thread.name for thread in threading.enumerate() if thread.name.startswith("hubtool-")}
        assert not ours
        wait_until(lambda: path == "bucket" or descriptors() <= before + 2, 20)  # or a descriptor is left open
        staging = place.staging(folder / "home")
        kept = len(parts_of(staging)) == 2
        assert kept or parts_of(staging) == []
        # Once the server is right, the next run brings what is left, and nothing else; what was kept is gone on with.
        asked = len(bad.requests)
        trouble.end(bad)
        again = sync(Hub.open(), place)
        assert again.failures == ()
        assert set(again.written) == ({DIGEST.hex} if report.failures else set())
        assert (len(bad.requests) > asked) == bool(report.failures)
        assert not report.failures or (bad.requests[asked].start > 0) == kept
        assert parts_of(staging) == []
        return Outcome(error, kept, asked)


def impatient(self: Hub, **_: Any) -> Fetcher:
    """Begin a run that does not wait for as long as a real one does."""
    return Fetcher(self.store, policy=POLICY, connections=4, timeouts=TIMEOUTS, retries=RETRIES)


def _meet(store: Store, wanted: FetchRequest, mirrors: tuple[str, ...], retried: Callable[[], None]) -> Outcome:
    events: list[FetchEvent] = []
    error: HubError | None = None

    def watch(event: FetchEvent) -> None:
        events.append(event)
        if event.kind == "retried":
            retried()

    started = time.monotonic()
    try:
        get(store, wanted, mirrors, watch)
    except HubError as failed:
        error = failed
    assert time.monotonic() - started < 45
    return Outcome(error, any(event.kind == "kept" for event in events), 0)


def get(store: Store, wanted: FetchRequest, mirrors: tuple[str, ...], watch: EventCallback | None = None) -> None:
    """Fetch a file, and see that it is the right one."""
    with Fetcher(
        store, policy=POLICY, mirrors=mirrors, timeouts=TIMEOUTS, retries=RETRIES, watch=watch, connections=4
    ) as one:
        stored = one.fetch(wanted)
    assert wanted.digest is not None
    assert digest_file(stored.path) == wanted.digest.hex


def warm_up(wanted: FetchRequest, folder: Path) -> None:
    """Import everything and open everything once, so that descriptors can be counted."""
    with Fetcher(Store(folder / "warm"), timeouts=TIMEOUTS) as one:
        one.fetch(wanted)


def break_off(store: Store, server: Server, wanted: FetchRequest, path: str) -> None:
    """Leave a part, of the link or of a mirror."""
    server.default.fault, server.default.applies = "reset", always
    retries = RetryPolicy(attempts=1, mirror_attempts=1)
    mirrors = (server.url,) if path == "continued" else ()
    target = f"{refusing()}/a" if path == "continued" else wanted.link
    with Fetcher(store, mirrors=mirrors, timeouts=TIMEOUTS, retries=retries) as one, suppress(HubError):
        one.fetch(FetchRequest(link=target, digest=wanted.digest))
    assert len(parts_of(store)) == 2, "a part and the note beside it"
    server.default.fault = ""


def _applies(path: str, asked: int) -> Any:
    def first(request: Request) -> bool:
        return request.number == asked

    def later(request: Request) -> bool:
        return request.number > asked

    return {"once": first, "parallel": later}.get(path, always)


@contextmanager
def parallel(server: Server) -> Iterator[None]:
    """Make even this small file worth several connections."""
    server.default.pause, server.default.block = 0.004, 1 << 14
    with mock.patch.multiple(
        segments,
        WINDOW_SECONDS=0.06,
        MIN_REMAINING_SECONDS=0.0,
        MIN_PIECE_BYTES=1 << 17,
        MAX_PIECE_BYTES=1 << 17,
        _REPORT_BYTES=1 << 16,
    ):
        yield
    server.default.pause, server.default.block = 0.0, 1 << 15


@contextmanager
def _names() -> Iterator[None]:
    """Let a public name stand for a private address; nothing here can make a real name server say so."""
    real = socket.getaddrinfo

    def lookup(host: Any, *rest: Any, **more: Any) -> Any:
        if host == b"intranet.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 443))]
        return real(host, *rest, **more)

    with mock.patch.object(socket, "getaddrinfo", lookup):
        yield


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def parts_of(store: Store) -> list[Path]:
    return sorted((store.root / "temporary").glob("*"))


def _check(store: Store, wanted: FetchRequest, outcome: Outcome, before: int) -> None:
    """Check that nothing wrong is visible, and that nothing is left behind."""
    for path in store.root.glob("blobs/sha256/*/*"):
        assert digest_file(path) == path.name
    assert wanted.digest is not None
    assert (store.path(wanted.digest) is not None) == (outcome.error is None)
    check_left(store, before)
    parts = [path for path in parts_of(store) if path.suffix == ".part"]
    assert len(parts) == int(outcome.kept)
    assert len(parts_of(store)) == 2 * int(outcome.kept)
    if outcome.error is not None:
        text = str(outcome.error)
        assert "SECRET" not in text
        assert outcome.error.hint
        assert wanted.link.partition("?")[0] in text or "private address" in text


def check_left(store: Store, before: int) -> None:
    """Check that no thread, descriptor or lock is left."""
    # Of the client; the server's threads may take a moment to see that it is gone.
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("hubtool-")]
    wait_until(lambda: descriptors() <= before + 2, 20)  # or one is left open; two may be the server's
    for path in store.root.glob("locks/*.lock"):
        lock = FileLock(path)
        assert lock.acquire(0), "a lock is left"
        lock.release()
