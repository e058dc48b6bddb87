"""Mirrors: asked first, believed never; and logins, which stay where they belong."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.errors import ArgumentError, FetchError, ForbiddenLinkError, OfflineError
from hubtool.store.store import Store
from hubtool.transfer.events import FetchEvent, FetchRequest
from hubtool.transfer.fetcher import Fetcher, LinkPolicy, fetch
from tests.acceptance.faults.bench import CONTENT, DIGEST, RETRIES, TIMEOUTS
from tests.support.server import refusing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

OTHER = b"other bytes" * 50_000
LINK = "/a?token=SECRET"


@pytest.fixture
def origin() -> Iterator[Server]:
    with serving(CONTENT) as one:
        yield one


@pytest.fixture
def mirror() -> Iterator[Server]:
    with serving(CONTENT) as one:
        yield one


def run(store: Store, mirrors: list[str], events: list[FetchEvent], *, offline: bool = False) -> Fetcher:
    return Fetcher(store, mirrors=mirrors, timeouts=TIMEOUTS, retries=RETRIES, watch=events.append, offline=offline)


def test_a_mirror_comes_first_and_the_link_is_not_asked(tmp_path: Path, origin: Server, mirror: Server) -> None:
    with run(Store(tmp_path), [mirror.url + "/sub/"], []) as one:
        assert one.fetch(FetchRequest(link=origin.url + LINK, digest=DIGEST)).path.read_bytes() == CONTENT
        # A short digest names no file of a mirror.
        other = Digest(hashlib.sha256(OTHER).hexdigest()[:10])
        origin.default.content = OTHER
        one.fetch(FetchRequest(link=origin.url + LINK, digest=other))
    assert len(mirror.requests) == 1
    assert len(origin.requests) == 1


def test_a_mirror_with_wrong_bytes_is_reported_and_asked_no_more(
    tmp_path: Path, origin: Server, mirror: Server
) -> None:
    events: list[FetchEvent] = []
    mirror.default.content = OTHER
    with run(Store(tmp_path), [mirror.url], events) as one:
        one.fetch(FetchRequest(link=origin.url + LINK, digest=DIGEST))
        origin.default.content = b"second"
        one.fetch(FetchRequest(link=origin.url + LINK, digest=Digest(hashlib.sha256(b"second").hexdigest())))
    (skipped,) = [event for event in events if event.kind == "mirror-skipped"]
    assert mirror.url in skipped.message
    assert hashlib.sha256(OTHER).hexdigest() in skipped.message
    assert len(mirror.requests) == 1
    assert len(origin.requests) == 2


def test_the_next_mirror_goes_on_from_the_byte_reached_and_the_link_comes_last(
    tmp_path: Path, origin: Server, mirror: Server
) -> None:
    mirror.default.fault = "reset"
    with serving(CONTENT) as second, run(Store(tmp_path), [mirror.url, second.url], []) as one:
        second.default.fault = "truncate"
        one.fetch(FetchRequest(link=origin.url + LINK, digest=DIGEST))
        starts = [request.start for request in (*mirror.requests, *second.requests, *origin.requests)]
        assert mirror.requests
        assert second.requests
        assert len(origin.requests) == 1
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert starts[-1] > len(CONTENT) // 2


def test_a_mirror_whose_beginning_is_wrong_costs_a_second_asking(
    tmp_path: Path, origin: Server, mirror: Server
) -> None:
    events: list[FetchEvent] = []
    mirror.default.content = b"x" + CONTENT[1:]
    mirror.default.fault, mirror.default.applies = "reset", lambda request: request.start == 0
    with run(Store(tmp_path), [mirror.url], events) as one:
        stored = one.fetch(FetchRequest(link=origin.url + LINK, digest=DIGEST))
    assert stored.path.read_bytes() == CONTENT


def test_a_dead_mirror_is_given_up_after_some_files(tmp_path: Path, origin: Server) -> None:
    events: list[FetchEvent] = []
    with run(Store(tmp_path), [refusing()], events) as one:
        for number in range(5):
            origin.default.content = b"%d" % number
            one.fetch(
                FetchRequest(link=origin.url + LINK, digest=Digest(hashlib.sha256(origin.default.content).hexdigest()))
            )
    assert [event.kind for event in events].count("turned") == 3
    assert [event.kind for event in events].count("mirror-skipped") == 1


def test_a_folder_is_a_mirror_and_no_network(tmp_path: Path) -> None:
    base = tmp_path / "mirror with space"
    blob = base / "blobs" / "sha256" / DIGEST.hex[:2] / DIGEST.hex
    blob.parent.mkdir(parents=True)
    blob.write_bytes(CONTENT)
    wanted = FetchRequest(link="https://gitee.com/a?token=SECRET", digest=DIGEST)
    with run(Store(tmp_path / "home"), [str(base)], [], offline=True) as one:
        assert one.fetch(wanted).path.read_bytes() == CONTENT
    blob.write_bytes(OTHER)
    shutil.rmtree(tmp_path / "home")
    with run(Store(tmp_path / "home"), [str(base)], [], offline=True) as one, pytest.raises(OfflineError):
        one.fetch(wanted)


def test_a_folder_that_is_not_there_is_named_and_asked_no_more(tmp_path: Path, origin: Server) -> None:
    said: list[FetchEvent] = []
    with run(Store(tmp_path / "home"), [str(tmp_path / "nowhere")], said) as one:
        for _ in range(2):
            one.fetch(FetchRequest(link=f"{origin.url}/a", digest=DIGEST), force=True)
    skipped = [event.message for event in said if event.kind == "mirror-skipped"]
    assert len(skipped) == 1
    assert skipped[0].endswith("nowhere is asked no more: there is no such folder")


def test_when_all_fail_the_error_names_all(tmp_path: Path, origin: Server, mirror: Server) -> None:
    origin.default.fault, mirror.default.fault = "500", "404"
    with run(Store(tmp_path), [mirror.url], []) as one, pytest.raises(FetchError) as caught:
        one.fetch(FetchRequest(link=origin.url + LINK, digest=DIGEST))
    assert "answered 500" in str(caught.value)
    assert f"{mirror.url}: it answered 404" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("base", ["ftp://a.example/", "", "https://me:SECRET@a.example", "https://a.example/?x=SECRET"])
def test_what_is_no_mirror(tmp_path: Path, base: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Fetcher(Store(tmp_path), mirrors=[base])
    assert "SECRET" not in str(caught.value)


def test_a_login_does_not_follow_a_redirect(
    tmp_path: Path, origin: Server, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password SECRET\n")
    monkeypatch.setenv("NETRC", str(netrc))
    origin.default.fault = f"301 {mirror.url}/b"
    named = origin.url.replace("127.0.0.1", "localhost")
    fetch(named + "/a", digest=DIGEST, store=Store(tmp_path / "home"), timeouts=TIMEOUTS)
    assert "authorization" in origin.requests[0].headers
    assert "authorization" not in mirror.requests[0].headers


def test_a_private_address_is_for_hosts_that_were_named_so(
    tmp_path: Path, origin: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that stands for this machine, which no name server here can be made to say."""
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if host == b"lab" else host, *rest, **more)
    )
    port = origin.url.rpartition(":")[2]
    link = f"http://lab:{port}/a"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ForbiddenLinkError, match="plain http") as caught:
        fetch(link, digest=DIGEST, store=Store(tmp_path), policy=LinkPolicy.of(["lab"]), retries=RETRIES)
    assert f"HUBTOOL_ALLOWED_HOSTS=http://lab:{port}" in str(caught.value)
    policy = LinkPolicy(hosts=frozenset({"lab"}), plain=frozenset({f"lab:{port}"}))
    with pytest.raises(ForbiddenLinkError, match=r"private address 127\.0\.0\.1"):
        fetch(link, digest=DIGEST, store=Store(tmp_path), policy=policy, retries=RETRIES)
    assert origin.requests == []
    policy = LinkPolicy.of([f"http://lab:{port}"])
    assert fetch(link, digest=DIGEST, store=Store(tmp_path), policy=policy).path.read_bytes() == CONTENT
    # A mirror was named by the user, and needs no second naming.
    with run(Store(tmp_path / "second"), [f"http://lab:{port}"], []) as one:
        one.fetch(FetchRequest(link="https://gitee.com/a", digest=DIGEST))
