"""What is said where the network is at fault, and not the card: proxies, clocks, certificates, web pages."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hubtool.errors import DigestError, FetchError
from hubtool.store.store import Store
from hubtool.transfer import proxies, s3
from hubtool.transfer.fetcher import LinkPolicy
from tests.support.cards import write_card
from tests.support.fetching import CONTENT, SIZE, get
from tests.support.server import HTML, serving
from tests.support.tls import make_authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli

POLICY = LinkPolicy.of(["files.example.org", "http://files.example.org"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home", patience=20.0)


@contextmanager
def proxy(status: int, login: str = "") -> Iterator[str]:
    """Run a proxy that answers every request with one status; yields its address."""
    with serving() as server:
        server.default.fault = str(status)
        yield server.url.replace("://", f"://{login}")


def asked(store: Store, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str, value: str) -> FetchError:
    """Return how asking for a file ends where one variable names a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(FetchError) as caught:
        get(store, f"{scheme}://files.example.org/a.ckpt?token=SECRET", policy=POLICY)
    assert "asset-link" not in str(caught.value)
    assert "SECRET" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("scheme", "variable"),
    [("https", "HTTPS_PROXY"), ("http", "HTTP_PROXY"), ("https", "all_proxy"), ("http", "http_proxy")],
)
def test_a_proxy_that_asks_for_a_login_is_named_with_its_variable(
    store: Store, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str
) -> None:
    with proxy(407) as address:
        error = asked(store, monkeypatch, scheme, variable, address)
        place = address.removeprefix("http://")
        assert f"the proxy {address} asks for a login (407)" in error.message
        assert error.hint == f"put it into {variable}: http://NAME:PASSWORD@{place}"
    with proxy(407, "me:hidden@") as address:
        error = asked(store, monkeypatch, scheme, variable, address)
        assert "refuses the login (407)" in error.message
        assert error.hint == f"correct the login in {variable}"
        assert "hidden" not in str(error)


def test_a_proxy_that_refuses_or_is_not_there_is_told_apart(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(403) as address:
        error = asked(store, monkeypatch, "https", "HTTPS_PROXY", address)
        assert f"the proxy {address} answered 403" in error.message
    error = asked(store, monkeypatch, "https", "HTTPS_PROXY", "http://127.0.0.1:9")
    assert "the proxy http://127.0.0.1:9 cannot be used: Connection refused" in error.message
    assert error.hint is not None
    assert "check HTTPS_PROXY" in error.hint


def test_a_socks_proxy_without_its_package(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    error = asked(store, monkeypatch, "https", "HTTPS_PROXY", "socks5://127.0.0.1:1080")
    assert "the proxy socks5://127.0.0.1:1080 (HTTPS_PROXY) needs PySocks" in error.message
    assert error.hint == "pip install 'requests[socks]'"


@pytest.mark.parametrize("value", ["http://[bad", "ftp://me:hidden@lab:3", "http://lab:99999", "http://lab:x", "a b"])
def test_what_is_no_address_of_a_proxy_is_named_with_its_variable(
    store: Store, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    error = asked(store, monkeypatch, "https", "HTTPS_PROXY", value)
    assert "HTTPS_PROXY is '" in error.message
    assert "which is not the address of a proxy" in error.message
    assert "hidden" not in str(error)
    assert "attempts" not in error.message
    monkeypatch.setenv("NO_PROXY", "files.example.org")
    with pytest.raises(FetchError) as caught:
        get(store, "https://files.example.org/a.ckpt", policy=POLICY)
    assert "address of a proxy" not in str(caught.value)


def test_doctor_looks_at_proxies(cli: Cli) -> None:
    done = cli("doctor", HTTPS_PROXY="http://me:hidden@127.0.0.1:9", HTTP_PROXY="", NO_PROXY="")
    assert "http://127.0.0.1:9 (HTTPS_PROXY)" in done.out
    assert "hidden" not in done.out
    assert cli("doctor", "--json", https_proxy="http://lab:1").json["proxies"]["https"] == "http://lab:1"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"https_proxy": "a:1", "HTTPS_PROXY": "b:1"}, "https_proxy"),
        ({"HTTPS_PROXY": "b:1", "ALL_PROXY": "c:1"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": "c:1"}, "ALL_PROXY"),
        ({"HTTP_PROXY": "c:1"}, None),
        ({}, None),
    ],
)
def test_which_variable_counts(environ: dict[str, str], variable: str | None) -> None:
    found = proxies.of_scheme("https", environ)
    assert (found and found.variable) == variable


@pytest.mark.parametrize("days", [0, 2])
def test_a_certificate_that_expired_is_no_passing_fault(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    authority, certificate = make_authority(tmp_path, days=days)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with serving(certificate=certificate) as server:
        link = server.put("/a.ckpt", CONTENT)
        if days:
            assert get(store, link).size == SIZE
            return
        time.sleep(1.1)  # a certificate of 0 days expires in the second after this one
        with pytest.raises(FetchError, match="certificate has expired") as caught:
            get(store, link)
    assert not caught.value.passing
    assert caught.value.hint is not None
    assert re.search(r"this machine's clock says 20\d\d-\d\d-\d\d", caught.value.hint)


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "RequestExpired"])
def test_a_clock_that_is_off_is_no_wrong_login(code: str) -> None:
    said = s3.of_clock(OSError(f"403: <Error><Code>{code}</Code></Error>"))
    assert said is not None
    assert "this machine's clock says 20" in said
    assert s3.of_clock(OSError("403: <Error><Code>AccessDenied</Code></Error>")) is None


@pytest.mark.parametrize("stated", [None, 6_000_000, 300_000, 20])
def test_a_web_page_in_place_of_the_file_is_named(store: Store, stated: int | None) -> None:
    with serving() as server:
        link = server.put("/a.ckpt", CONTENT, "html")
        with pytest.raises(FetchError if stated else Exception) as caught:
            get(store, link, size=stated)
    assert "sent a web page (text/html" in str(caught.value)
    assert "open the link in a browser" in str(caught.value)
    assert HTML.decode() not in str(caught.value)


PAGES = {
    "a page called bytes": b"\n\n <html><body>sign in</body></html>",
    "a page behind a comment": b"\xef\xbb\xbf<!-- a -->\n<!doctype HTML><title>Log in</title>",
}


@pytest.mark.parametrize("stated", [None, SIZE])
@pytest.mark.parametrize("name", PAGES)
def test_a_web_page_that_is_not_called_one_is_named(store: Store, name: str, stated: int | None) -> None:
    with serving() as server, pytest.raises((FetchError, DigestError)) as caught:
        get(store, server.put("/a.ckpt", PAGES[name]), size=stated)
    assert "the server sent a web page" in str(caught.value)


@pytest.mark.parametrize("stated", [None, SIZE])
def test_a_pointer_in_place_of_the_file_is_named(store: Store, stated: int | None) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n".encode()
    with serving() as server, pytest.raises((FetchError, DigestError)) as caught:
        get(store, server.put("/raw/a.ckpt", pointer), size=stated)
    assert "the server sent a Git LFS pointer and not the file itself" in str(caught.value)
    assert "link the file itself" in str(caught.value)
    assert not list(store.root.rglob("*.part"))


def test_a_file_that_its_server_calls_a_web_page_arrives(store: Store) -> None:
    """What is right is right, whatever the server calls it."""
    with serving() as server:
        assert get(store, server.put("/a.html", CONTENT), size=SIZE).size == SIZE


def test_the_command_says_the_same(cli: Cli) -> None:
    with serving() as server:
        write_card(cli.registry, "tests/1.9/net", link=server.put("/a.ckpt", CONTENT, "html"), content=CONTENT)
        path = cli.registry / "tests/1.9/net.md"
        path.write_text(path.read_text().replace("    asset-sha256", "    asset-size: 6000000\n    asset-sha256"))
        done = cli("fetch", "tests/1.9/net")
    assert done.code == 1
    assert "sent a web page" in done.err
