"""Fetching from a real server that does everything wrong that a server can."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.errors import DigestError, FetchError, ForbiddenLinkError, OfflineError, StoreError
from hubtool.store.store import Store
from hubtool.transfer.fetcher import LinkPolicy, RetryPolicy, Timeouts
from hubtool.transfer.http import HttpTransport
from tests.support import wait_until
from tests.support.fetching import CONTENT, DIGEST, SIZE, get
from tests.support.server import serving
from tests.support.tls import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.errors import HubError
    from tests.support.server import Server
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home", patience=20.0)


def files(store: Store) -> list[str]:
    """Every file in the store but the locks."""
    if not store.root.exists():
        return []
    return sorted(
        str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def test_an_asset_is_fetched_once(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT)
    seen: list[tuple[int, int | None]] = []
    stored = get(store, f"<{link}>", progress=lambda received, size: seen.append((received, size)))
    assert stored.path.read_bytes() == CONTENT
    assert (stored.digest, stored.size) == (DIGEST.hex, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [received for received, _ in seen] == sorted({received for received, _ in seen})
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[0].headers["user-agent"].startswith("hubtool/")
    assert get(store, link) == stored
    assert get(store, link, digest=Digest(DIGEST.hex[:8])) == stored
    assert get(store, "https://nowhere.example/a", offline=True) == stored
    assert server.paths() == ["/a.ckpt"]
    assert get(store, link, force=True) == stored
    assert server.gets("/a.ckpt") == 2


def test_a_short_digest_is_checked_and_the_whole_one_returned(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT)
    assert get(store, link, digest=Digest(DIGEST.hex[:8]), size=len(CONTENT)).digest == DIGEST.hex
    with pytest.raises(DigestError):
        get(store, link, digest=Digest("01234567"))


def test_offline_and_absent(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT)
    with pytest.raises(OfflineError, match="not in the store") as caught:
        get(store, link, offline=True)
    assert "hubtool fetch" in str(caught.value)
    assert server.requests == []
    assert files(store) == []


def test_without_a_digest_nothing_is_fetched(store: Store, server: Server) -> None:
    with pytest.raises(FetchError, match="no SHA-256"):
        get(store, server.put("/a.ckpt", CONTENT), digest=None)
    assert server.requests == []


FAULTS: dict[str, tuple[str, dict[str, object], type[HubError], str]] = {
    "404": ("404", {}, FetchError, "answered 404"),
    "403": ("403", {}, FetchError, "answered 403"),
    "429": ("429", {}, FetchError, "answered 429"),
    "500": ("500", {}, FetchError, "answered 500"),
    "204": ("204", {}, FetchError, "answered 204"),
    "206 unasked": ("206", {}, FetchError, "answered 206"),
    "304": ("304", {}, FetchError, "answered 304"),
    "wrong bytes": ("wrong", {}, DigestError, DIGEST.hex),
    "one bit": ("flip", {"size": SIZE}, DigestError, DIGEST.hex),
    "a web page": ("html", {}, DigestError, "sent a web page"),
    "a web page, size known": ("html", {"size": SIZE}, FetchError, f"the card says {SIZE}"),
    "half": ("truncate", {}, FetchError, f"ended after {SIZE // 2} of {SIZE} bytes"),
    "half, size known": ("truncate", {"size": SIZE}, FetchError, f"ended after {SIZE // 2} of {SIZE} bytes"),
    "half, no length": ("truncate no-length", {}, DigestError, DIGEST.hex),
    "half, no length, size known": ("truncate no-length", {"size": SIZE}, FetchError, f"received {SIZE // 2} bytes"),
    "half, chunked": ("truncate chunked", {}, FetchError, "connection ended after"),
    "twice": ("twice", {}, DigestError, DIGEST.hex),
    "twice, size known": ("twice", {"size": SIZE}, FetchError, f"{2 * SIZE} bytes are offered"),
    "twice, bounded": ("twice", {"max_bytes": SIZE}, FetchError, f"{SIZE} are the most"),
    "twice, no length": ("twice no-length", {"size": SIZE}, FetchError, f"sends more than the {SIZE} bytes"),
    "endless": ("endless", {"max_bytes": 10 * SIZE}, FetchError, f"{10 * SIZE} are the most"),
    "redirect to a file": ("302 file:///etc/passwd", {}, ForbiddenLinkError, "is a file: link"),
    "redirect to ftp": ("302 ftp://127.0.0.1/a", {}, ForbiddenLinkError, "is a ftp: link"),
    "redirect elsewhere": ("302 https://evil.example/a?key=SECRET", {}, ForbiddenLinkError, "evil.example"),
    "redirect to plain http": ("302 http://gitee.com/a", {}, ForbiddenLinkError, "plain http"),
    "redirect with password": ("302 https://me:SECRET@gitee.com/", {}, ForbiddenLinkError, "password"),
    "redirect loop": ("302 /a.ckpt?key=SECRET", {}, FetchError, "more than 8 redirects"),
    "no answer": ("silent", {}, FetchError, "does not answer in time"),
    "no answer, long timeout": ("silent", {"timeouts": Timeouts(read=60, stall=1)}, FetchError, "fewer than"),
    "connection closed": ("no-answer", {}, FetchError, "closed the connection|connection failed"),
    "not http": ("not-http", {}, FetchError, "did not answer in HTTP"),
    "trickled head": ("trickled-head", {}, FetchError, "fewer than 20000 bytes came in 2 seconds"),
    "trickle": ("trickle", {}, FetchError, "fewer than 20000 bytes came in 2 seconds"),
    "trickle, no length": ("trickle no-length", {}, FetchError, "fewer than 20000 bytes came in 2 seconds"),
    "stall": ("stall", {}, FetchError, "does not answer in time"),
    "stall, long timeout": ("stall", {"timeouts": Timeouts(read=60, stall=1)}, FetchError, "fewer than"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_ends_in_a_clear_error_and_leaves_nothing(store: Store, server: Server, case: str) -> None:
    fault, arguments, kind, words = FAULTS[case]
    link = server.put("/a.ckpt", CONTENT, fault) + "?token=SECRET"
    started = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        get(store, link, **arguments)
    assert type(caught.value) is kind
    assert time.monotonic() - started < 45  # and not the 60 seconds of a long timeout
    assert caught.value.hint
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None or "SECRET" not in str(caught.value.__cause__)
    assert "/a.ckpt" in str(caught.value)
    assert files(store) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "hubtool-stall-monitor"]
    server.put("/a.ckpt", CONTENT)
    assert get(store, link).path.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["no-length", "chunked", "bad-length", "gzip-label"])
def test_unusual_but_right_answers_are_taken(store: Store, server: Server, fault: str) -> None:
    stored = get(store, server.put("/a.ckpt", CONTENT, fault))
    assert stored.path.read_bytes() == CONTENT


def test_a_redirect_is_followed(store: Store, server: Server) -> None:
    server.put("/b.ckpt", CONTENT, "302 c.ckpt?x=1")
    server.put("/c.ckpt", CONTENT)
    assert get(store, server.put("/a.ckpt", b"", "302 /b.ckpt")).size == SIZE
    assert server.paths() == ["/a.ckpt", "/b.ckpt", "/c.ckpt?x=1"]


def test_the_body_of_a_redirect_is_not_read(store: Store, server: Server) -> None:
    server.put("/b.ckpt", CONTENT)
    assert get(store, server.put("/a.ckpt", b"", "302 /b.ckpt endless")).size == SIZE


def test_a_slow_server_that_gets_on_is_waited_for(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT, block=40_000, pause=0.4)  # three seconds, with a stall of two
    assert get(store, link).size == SIZE


def test_a_slow_reader_is_not_the_servers_fault(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT)
    calls = []

    def progress(received: int, size: int | None) -> None:
        calls.append((received, size))
        time.sleep(2.5 if len(calls) == 1 else 0)

    assert get(store, link, timeouts=Timeouts(read=1, stall=1, floor=1 << 20), progress=progress).size == SIZE


def test_nobody_listens(store: Store, server: Server) -> None:
    link = server.url.replace("127.0.0.1", "127.0.0.2") + "/a?token=SECRET"
    with pytest.raises(FetchError, match="cannot be reached: Connection refused") as caught:
        get(store, link)
    assert "SECRET" not in str(caught.value)


def test_an_unknown_host(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    policy = LinkPolicy.allowing(more=["no-such-host.invalid"])
    with pytest.raises(FetchError, match=r"cannot be reached: .*(name|Name)"):
        get(store, "https://no-such-host.invalid/a", policy=policy)


def test_a_forbidden_link_is_not_asked(store: Store) -> None:
    with pytest.raises(ForbiddenLinkError, match="not an allowed host"):
        get(store, "https://example.org/a.ckpt")
    assert files(store) == []


def test_a_proxy_that_the_environment_names_is_not_asked_for_this_machine(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert get(store, server.put("/a.ckpt", CONTENT)).size == SIZE
    policy = LinkPolicy.allowing(more=["files.example.org"])
    with pytest.raises(FetchError, match=r"the proxy http://127\.0\.0\.1:9 cannot be used: Connection refused"):
        get(store, "https://files.example.org/a", policy=policy, digest=Digest("0" * 64))


def test_a_certificate_is_verified(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    with serving(certificate=certificate) as server:
        link = server.put("/a.ckpt", CONTENT)
        with pytest.raises(FetchError, match=r"certificate is not accepted: self.signed certificate"):
            get(store, link)
        assert server.requests == []
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(certificate))
        wrong_name = link.replace("127.0.0.1", "localhost")
        with pytest.raises(FetchError, match=r"certificate is not accepted: .*ostname"):
            get(store, wrong_name)
        assert get(store, link).path.read_bytes() == CONTENT
        # The guard must reach through TLS, too.
        server.put("/b.ckpt", CONTENT, "trickle")
        with pytest.raises(FetchError, match="fewer than 20000 bytes"):
            get(store, f"{server.url}/b.ckpt", digest=Digest("0" * 64))


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b"", "no certif"), (b"a", "no certif")])
def test_cas_that_cannot_be_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, content: bytes | None, why: str
) -> None:
    place = tmp_path / "cas.pem"
    if content is not None:
        place.write_bytes(content)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, str(place))
    with serving(certificate=make_certificate(tmp_path)) as server:
        link = server.put("/a.ckpt", CONTENT)
        with pytest.raises(FetchError, match=f"the CAs that {name} names cannot be read: {place}: .*{why}") as caught:
            get(store, f"{link}?token=SECRET", retries=RetryPolicy())
        assert not caught.value.passing
        assert "attempts" not in str(caught.value)
        assert "SECRET" not in str(caught.value)
        assert server.requests == []
        # Without TLS, nobody needs them.
        with serving() as plain:
            assert get(store, plain.put("/a.ckpt", CONTENT)).size == len(CONTENT)


def test_a_server_that_accepts_and_says_nothing_in_tls(store: Store, server: Server) -> None:
    # A plain server never answers the greeting of TLS as it should.
    with pytest.raises(FetchError, match=r"TLS with the server failed|does not answer|closed the connection"):
        get(store, server.url.replace("http:", "https:") + "/a.ckpt")


def test_ranges_reach_the_server(server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT)
    transport = HttpTransport()
    try:
        for start, end in ((100, None), (0, 10), (0, None)):
            with transport.open(transport.policy.check(link), start=start, end=end) as body:
                # This server ignores ranges, and the body says so.
                assert (body.start, body.size) == (0, SIZE)
                assert b"".join(body) == CONTENT
        assert server.headers("range") == ["bytes=100-", "bytes=0-9", None]
    finally:
        transport.close()


def test_asking_for_the_head_alone_takes_no_body(server: Server) -> None:
    # This server refuses HEAD, ignores the range of the GET that follows, and sends for ever.
    server.answer = lambda request: (501, {}, b"") if request.method == "HEAD" else None
    link = server.put("/a.ckpt", CONTENT, "endless")
    moved = server.put("/moved", b"", f"302 {link} endless")
    transport = HttpTransport(timeouts=Timeouts(connect=5.0, read=5.0, stall=600.0, floor=1))
    try:
        for one in (link, moved):
            assert transport.probe(transport.policy.check(one)).status == 200
    finally:
        transport.close()


FETCH = """
import sys, time
from pathlib import Path
from hubtool.transfer.fetcher import fetch
from hubtool.store.store import Store
from hubtool.digest import Digest
root, link, digest, at = sys.argv[1:]
time.sleep(max(0.0, float(at) - time.time()))
stored = fetch(link, digest=Digest.parse(digest), store=Store(Path(root)))
print(stored.path)
"""


def run(store: Store, link: str, digest: str = DIGEST.hex, at: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, str(store.root), link, digest, str(at)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_eight_processes_make_one_download(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT, block=30_000, pause=0.1)
    start = time.time() + 3.0
    # Half of them know the short digest only: it is the same asset.
    digests = [DIGEST.hex, DIGEST.hex[:8]] * 4
    processes = [run(store, link, digest, start) for digest in digests]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, results
    assert len({out for out, _ in results}) == 1
    assert server.gets("/a.ckpt") == 1
    assert [name for name in files(store) if name.startswith("temporary")] == []


def test_threads_make_one_download(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT, block=60_000, pause=0.1)
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(get(store, link).path)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 6
    assert server.gets("/a.ckpt") == 1


def test_when_the_holder_fails_the_next_one_tries(store: Store, server: Server) -> None:
    link = server.put("/a.ckpt", CONTENT, "wrong", block=30_000, pause=0.1)
    first = run(store, link)
    wait_until(lambda: server.paths(status=200))
    server.put("/a.ckpt", CONTENT)
    second = run(store, link)
    assert first.communicate(timeout=30)[1].count("hubtool.errors.DigestError") == 1
    assert second.communicate(timeout=30)[1] == ""
    assert server.gets("/a.ckpt") == 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_kill_during_a_fetch(store: Store, server: Server, share: float) -> None:
    link = server.put("/a.ckpt", CONTENT, block=20_000)
    killed = threading.Event()
    server.meanwhile = lambda sent: sent < 0.9 * SIZE or killed.wait(60)  # the end does not come before
    process = run(store, link)

    def written() -> int:
        return sum(path.stat().st_size for path in store.root.glob("temporary/*.blob.part"))

    wait_until(lambda: list(store.root.glob("temporary/*.blob.part")) and written() >= share * SIZE)
    process.kill()
    process.communicate()
    killed.set()
    assert store.path(DIGEST) is None
    assert len(list(store.root.glob("temporary/*.part"))) == 1
    other = hashlib.sha256(b"other").hexdigest()
    assert get(store, server.put("/b", b"other"), digest=Digest(other)).size == 5  # any later run cleans up
    assert list(store.root.glob("temporary/*")) == []
    server.put("/a.ckpt", CONTENT)
    started = time.monotonic()
    assert get(store, link).path.read_bytes() == CONTENT
    assert time.monotonic() - started < 15  # and does not wait for the lock, for which it would wait for 20 seconds
    assert list(store.root.glob("temporary/*")) == []


def test_an_interrupt_leaves_nothing(store: Store, server: Server) -> None:
    def interrupt(received: int, size: int | None) -> None:
        del received, size
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(store, server.put("/a.ckpt", CONTENT), progress=interrupt)
    assert files(store) == []


def test_no_descriptor_is_left(store: Store, server: Server) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system does not list the descriptors of a process")
    get(store, server.put("/warm", CONTENT))
    server.put("/bad", CONTENT, "truncate")
    server.put("/good", b"other")
    before = len(list(folder.iterdir()))
    for _ in range(5):
        with pytest.raises(FetchError):
            get(store, f"{server.url}/bad", digest=Digest("0" * 64))
        get(store, f"{server.url}/good", digest=Digest(hashlib.sha256(b"other").hexdigest()), force=True)
    wait_until(lambda: not server.open_connections)  # which are in this process too
    assert len(list(folder.iterdir())) <= before + 1


def test_a_store_that_is_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(StoreError):
        get(Store(tmp_path / "home"), server.put("/a.ckpt", CONTENT))
