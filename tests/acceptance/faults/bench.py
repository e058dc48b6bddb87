"""Every fault against every path of the client, and what must hold after each."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from hubtool.assets import segments
from hubtool.assets.events import Event, Wanted
from hubtool.assets.fetch import Fetcher, LinkPolicy, Retries, Timeouts
from hubtool.assets.locks import Lock
from hubtool.assets.store import Store
from hubtool.digest import Digest, digest_file
from hubtool.errors import HubError
from hubtool.hub import Hub
from hubtool.mirror.destination import open_destination
from hubtool.mirror.sync import sync
from hubtool.mirror.verify import verify
from hubtool.registry.entry import digest_of
from tests.acceptance.faults.server import always, refusing, serving
from tests.acceptance.servers import make_certificate
from tests.cards import write_card

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.faults.server import Request, Server
    from tests.acceptance.seaweed import Bucket

CONTENT = random.Random(7).randbytes(1_500_000)  # noqa: S311 (no secret)
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())
SMALL = CONTENT[:100_000]
TIMEOUTS = Timeouts(connect=3.0, read=0.5, stall=0.6, floor=1 << 15)
RETRIES = Retries(attempts=3, mirror_attempts=1, first=0.01, patience=1.5)
POLICY = LinkPolicy(hosts=frozenset({"intranet.example", "other.example"}))
ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "faults.md"
NOT_APPLICABLE = "n/a"

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
    "redirect:/a?token=SECRET": "301 in a circle",
    "redirect:file:///etc/passwd": "redirect to file://",
    "redirect:ftp://other.example/a": "redirect to ftp://",
    "redirect:https://intranet.example/a": "redirect to a name with a private address",
    "redirect:https://me:SECRET@other.example/a": "redirect to another host, with a login",
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
    "small": "one of many small files, which are asked for in a quicker way; every answer is faulty",
    "small-once": "one of many small files; the first answer is faulty, and the others are right",
    "small-mirror": "one of many small files; the mirror is faulty, the card's link is right",
    "folder": "a mirror is made in a folder; of its two assets' links, one is faulty",
    "bucket": "the same, in an object store (SeaweedFS)",
}
SYNCED = ("folder", "bucket")


# Where the moment decides, both ends stand on the page.
EITHER = {("gzip", "parallel"): "arrives, or DigestError, nothing kept"}


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
    """Whether this fault can be met on this path."""
    if fault in ("refuse", "tls-name"):
        # On the others, the same server has answered already.
        return path in ("fresh", "mirror", "small", "small-mirror", *SYNCED)
    return True


def run(fault: str, path: str, folder: Path, bucket: Bucket | None = None) -> Outcome:
    """Meet a fault on a path, check what must hold, and return how it ended; on one path, in an object store."""
    if path in SYNCED:
        return _run_sync(fault, path, folder, bucket)
    store = Store(folder / "home", patience=10.0)
    content = SMALL if path.startswith("small") else CONTENT
    digest = Digest(hashlib.sha256(content).hexdigest())
    with ExitStack() as stack:
        stack.enter_context(_names())
        certificate = None
        if fault == "tls-name":
            certificate = make_certificate(folder)
            stack.enter_context(mock.patch.dict(os.environ, {"REQUESTS_CA_BUNDLE": str(certificate)}))
        bad = stack.enter_context(serving(content, certificate))
        good = stack.enter_context(serving(content))
        base = bad.url
        if fault == "tls-name":
            base = base.replace("127.0.0.1", "localhost")  # the certificate is for the address
        if fault == "refuse":
            base = refusing()
        mirrors: tuple[str, ...] = ()
        link = f"{base}/a?token=SECRET"
        if path in ("mirror", "small-mirror"):
            mirrors, link = (base,), f"{good.url}/a?token=SECRET"
        wanted = Wanted(link=link, digest=digest)
        _fetch(Wanted(link=f"{good.url}/warm", digest=digest), folder)
        before = _descriptors()
        if path in ("resumed", "continued"):
            _break_off(store, bad if path == "resumed" else good, wanted, path)
        bad.fault, asked = fault, len(bad.requests)
        bad.applies = _applies(path, asked)
        with _parallel(bad) if path == "parallel" else ExitStack():
            outcome = _meet(store, wanted, mirrors, bad, asked, small=path.startswith("small"))
        _check(store, wanted, outcome, before)
        # Whatever happened, once the server is right, the file comes; and with it what was kept.
        bad.fault, asked = "", len(bad.requests)
        if applicable(fault, "once") and not mirrors:
            _get(store, wanted, ())
            assert outcome.error is None or (bad.requests[asked].start > 0) == outcome.kept
            assert _parts(store) == []
        return outcome


def _run_sync(fault: str, path: str, folder: Path, bucket: Bucket | None) -> Outcome:
    """Make a mirror of a registry with two cards: the link of one of them is faulty."""
    registry, root = folder / "registry", folder / "mirror"
    environ = {"HUBTOOL_REGISTRY": str(registry), "HUBTOOL_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder)}
    with ExitStack() as stack:
        stack.enter_context(_names())
        certificate = None
        if fault == "tls-name":
            certificate = make_certificate(folder)
            environ["REQUESTS_CA_BUNDLE"] = str(certificate)
        bad = stack.enter_context(serving(CONTENT, certificate))
        good = stack.enter_context(serving(SMALL))
        base = {"refuse": refusing(), "tls-name": bad.url.replace("127.0.0.1", "localhost")}.get(fault, bad.url)
        bad.fault, link = fault, f"{base}/a?token=SECRET"
        write_card(registry, "tests/1.9/bad", link=link, content=CONTENT)
        write_card(registry, "tests/1.9/good", link=f"{good.url}/a", content=SMALL)
        where = str(root)
        if path == "bucket":
            assert bucket is not None
            where = f"s3://mirrors/{folder.name}"
            environ.update(bucket.environ)
        stack.enter_context(mock.patch.dict(os.environ, environ))
        stack.enter_context(mock.patch.object(Hub, "fetcher", _impatient))
        place = stack.enter_context(closing(open_destination(where)))
        before = _descriptors()
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
        assert set(place.blobs()) == right
        for digest in right:
            hasher = hashlib.sha256()
            with place.blob(digest) as blocks:
                for block in blocks:  # each stands where the one before it stood
                    hasher.update(block)
            assert hasher.hexdigest() == digest
        assert len(verify(place, deep=True).faults) == len(report.failures)
        assert place.claims() == []
        ours = {thread.name for thread in threading.enumerate() if thread.name.startswith("hubtool-")}
        assert ours <= {"hubtool-claims"}, "the destination's own, until it is closed"
        deadline = time.monotonic() + 3
        while path == "folder" and _descriptors() > before + 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path == "bucket" or _descriptors() <= before + 2, "a descriptor is left open"
        staging = place.staging(folder / "home")
        kept = len(_parts(staging)) == 2
        assert kept or _parts(staging) == []
        # Once the server is right, the next run brings what is left, and nothing else; what was kept is gone on with.
        asked, bad.fault = len(bad.requests), ""
        if fault in ("refuse", "tls-name"):
            return Outcome(error, kept, asked)
        again = sync(Hub.open(), place)
        assert again.failures == ()
        assert set(again.written) == ({DIGEST.hex} if report.failures else set())
        assert (len(bad.requests) > asked) == bool(report.failures)
        assert not report.failures or (bad.requests[asked].start > 0) == kept
        assert _parts(staging) == []
        return Outcome(error, kept, asked)


def _impatient(self: Hub, **_: Any) -> Fetcher:
    """Begin a run that does not wait for as long as a real one does."""
    return Fetcher(self.store, policy=POLICY, connections=4, timeouts=TIMEOUTS, retries=RETRIES)


def _meet(store: Store, wanted: Wanted, mirrors: tuple[str, ...], bad: Server, asked: int, *, small: bool) -> Outcome:
    events: list[Event] = []
    error: HubError | None = None
    started = time.monotonic()
    try:
        _get(store, wanted, mirrors, events, small=small)
    except HubError as failed:
        error = failed
    assert time.monotonic() - started < 20
    kept = any(event.kind == "kept" for event in events)
    return Outcome(error, kept, len(bad.requests) - asked)


def _get(
    store: Store, wanted: Wanted, mirrors: tuple[str, ...], events: list[Event] | None = None, *, small: bool = False
) -> None:
    watch = None if events is None else events.append
    with Fetcher(
        store, policy=POLICY, mirrors=mirrors, timeouts=TIMEOUTS, retries=RETRIES, watch=watch, connections=4
    ) as one:
        one.small = small
        stored = one.fetch(wanted)
    assert wanted.digest is not None
    assert digest_file(stored.path) == wanted.digest.hex


def _fetch(wanted: Wanted, folder: Path) -> None:
    """Import everything and open everything once, so that descriptors can be counted."""
    with Fetcher(Store(folder / "warm"), timeouts=TIMEOUTS) as one:
        one.fetch(wanted)


def _break_off(store: Store, server: Server, wanted: Wanted, path: str) -> None:
    """Leave a part, of the link or of a mirror."""
    server.fault, server.applies = "reset", always
    retries = Retries(attempts=1, mirror_attempts=1)
    mirrors = (server.url,) if path == "continued" else ()
    target = f"{refusing()}/a" if path == "continued" else wanted.link
    with Fetcher(store, mirrors=mirrors, timeouts=TIMEOUTS, retries=retries) as one, suppress(HubError):
        one.fetch(Wanted(link=target, digest=wanted.digest))
    assert len(_parts(store)) == 2, "a part and the note beside it"
    server.fault = ""


def _applies(path: str, asked: int) -> Any:
    def first(request: Request) -> bool:
        return request.number == asked

    def later(request: Request) -> bool:
        return request.number > asked

    return {"once": first, "small-once": first, "parallel": later}.get(path, always)


@contextmanager
def _parallel(server: Server) -> Iterator[None]:
    """Make even this small file worth several connections."""
    server.pause, server.block = 0.004, 1 << 14
    with mock.patch.multiple(segments, WINDOW=0.06, LONG=0.0, SMALLEST=1 << 17, _LARGEST=1 << 17, _STEP=1 << 16):
        yield
    server.pause, server.block = 0.0, 1 << 15


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


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _parts(store: Store) -> list[Path]:
    return sorted((store.root / "temporary").glob("*"))


def _check(store: Store, wanted: Wanted, outcome: Outcome, before: int) -> None:
    """Check that nothing wrong is visible, and that nothing is left behind."""
    for path in store.root.glob("blobs/sha256/*/*"):
        assert digest_file(path) == path.name
    assert wanted.digest is not None
    assert (store.path(wanted.digest) is not None) == (outcome.error is None)
    # Of the client; the server's threads may take a moment to see that it is gone.
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("hubtool-")]
    deadline = time.monotonic() + 3
    while _descriptors() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _descriptors() <= before + 2, "a descriptor is left open (two may be the server's)"
    for path in store.root.glob("locks/*.lock"):
        lock = Lock(path)
        assert lock.acquire(0), "a lock is left"
        lock.release()
    parts = [path for path in _parts(store) if path.suffix == ".part"]
    assert len(parts) == int(outcome.kept)
    assert len(_parts(store)) == 2 * int(outcome.kept)
    if outcome.error is not None:
        text = str(outcome.error)
        assert "SECRET" not in text
        assert outcome.error.hint
        assert wanted.link.partition("?")[0] in text or "private address" in text


def table(outcomes: dict[tuple[str, str], str]) -> str:
    """Return docs/faults.md."""
    lines = [
        "# Faults, and how each one ends",
        "",
        "Made by `python -m tests.acceptance.faults`, which runs every fault against every path of the client;",
        "the tests hold that this page is current. A real server on this machine misbehaves, and after each case it",
        "is checked: no wrong byte is visible, what is kept of the file is resumable and the rest is gone, the error",
        "names the link and a remedy and no secret, and no thread, file descriptor or lock is left. Then the fault is",
        "taken away, and the file comes; what was kept is gone on with.",
        "",
        "*arrives*: the right file came all the same. Otherwise: the error, and whether a part is kept for a later",
        "run. *Named*: the report of the sync names the asset, its link and what is wrong, the mirror's index says",
        "that it is missing, all others are there, and the next run brings it. Where two ends are named, chance",
        "decides: whether the first connection still brings bytes when the answers to the others are found faulty.",
        "",
        *(f"- **{name}**: {text}." for name, text in PATHS.items()),
        "",
        "An attempt is made three times here (five by default), and a server may ask to wait for 1.5 seconds",
        "(two minutes by default).",
        "",
        "| fault | " + " | ".join(PATHS) + " |",
        "|---|" + "---|" * len(PATHS),
    ]
    for fault, text in FAULTS.items():
        cells = [EITHER.get((fault, path)) or outcomes.get((fault, path), NOT_APPLICABLE) for path in PATHS]
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def documented() -> dict[tuple[str, str], str]:
    """Return what docs/faults.md says."""
    rows = [line.strip("|").split("|") for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[2:]}
    names = {text: fault for fault, text in FAULTS.items()}
    return {
        (names.get(text, text), path): cell
        for text, row in cells.items()
        for path, cell in zip(PATHS, row, strict=True)
    }
