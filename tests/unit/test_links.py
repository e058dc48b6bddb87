"""Which links may be followed."""

from __future__ import annotations

import pytest

from hubtool.errors import ArgumentError, ForbiddenLinkError
from hubtool.links import DEFAULT_HOSTS, AllowedLink, LinkPolicy, bare, host_entry, is_loopback, normal_host, shown

POLICY = LinkPolicy.allowing(more=["files.example.org", "odd.example.org:8443", "bücher.example"])

ALLOWED = {
    "https://download.mindspore.cn/a/b.ckpt": "https://download.mindspore.cn/a/b.ckpt",
    "<https://download.mindspore.cn/a.ckpt>": "https://download.mindspore.cn/a.ckpt",
    " < https://gitee.com/x > ": "https://gitee.com/x",
    "HTTPS://GitHub.COM/a?b=c#part": "https://github.com/a?b=c",
    "https://github.com.": "https://github.com/",
    "https://github.com:444/a": "https://github.com:444/a",
    "https://odd.example.org:8443/": "https://odd.example.org:8443/",
    "https://bücher.example/模型.ckpt": "https://xn--bcher-kva.example/模型.ckpt",
    "https://XN--BCHER-KVA.example/": "https://xn--bcher-kva.example/",
    "http://127.0.0.1:8000/a": "http://127.0.0.1:8000/a",
    "http://127.8.9.1/a": "http://127.8.9.1/a",
    "http://localhost/a": "http://localhost/a",
    "https://[::1]:8443/a": "https://[::1]:8443/a",
}


@pytest.mark.parametrize(("link", "requested"), ALLOWED.items())
def test_allowed(link: str, requested: str) -> None:
    assert POLICY.check(link).url == requested
    assert POLICY.check(requested).url == requested


FORBIDDEN = {
    "": "has no scheme",
    "a/b.ckpt": "has no scheme",
    "//gitee.com/a": "has no scheme",
    "file:///etc/passwd": "is a file: link",
    "ftp://gitee.com/a": "is a ftp: link",
    "data:text/plain,abc": "is a data: link",
    "javascript:alert(1)": "is a javascript: link",
    "http://gitee.com/a": "is plain http",
    "http://localhost.example.org/a": "is plain http",
    "https://example.org/a": "leads to example.org, which is not an allowed host",
    "https://evil.gitee.com/a": "not an allowed host",
    "https://gitee.com.evil.org/a": "not an allowed host",
    "https://odd.example.org/a": "not an allowed host",
    "https://odd.example.org:8444/a": "not an allowed host",
    "https://10.0.0.1/a": "not an allowed host",
    "https://[fe80::1]/a": "not an allowed host",
    "https://2130706433/a": "not an allowed host",
    "https://0x7f.1/a": "not an allowed host",
    "https://user@gitee.com/a": "user name or password",
    "https://user:pw@gitee.com/a": "user name or password",
    "https://gitee.com@evil.org/a": "user name or password",
    "https://@gitee.com/a": "user name or password",
    "https://gitee.com\\@evil.org/a": "signs that no link has",
    "https://gitee.com/a b": "signs that no link has",
    "https://gitee.com/a\r\nHost: evil.org": "signs that no link has",
    "https://gitee.com/\u202eabc": "signs that no link has",
    "https:///a": "has no valid host",
    "https://:443/a": "has no valid host",
    "https://gitee..com/a": "has no valid host",
    "https://-gitee.com/a": "has no valid host",
    "https://git%65e.com/a": "has no valid host",
    "https://gitee.com:99999/a": "cannot be read",
    "https://gitee.com:port/a": "cannot be read",
    "https://[::1/a": "cannot be read",
    "https://gitee.com/" + "a" * 9000: "is longer than",
}


@pytest.mark.parametrize(("link", "why"), FORBIDDEN.items())
def test_forbidden(link: str, why: str) -> None:
    with pytest.raises(ForbiddenLinkError, match=why) as caught:
        POLICY.check(link)
    assert caught.value.hint
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b.ckpt", "https://gitee.com/x/b.ckpt"),
        ("/b.ckpt?v=1", "https://gitee.com/b.ckpt?v=1"),
        ("//github.com/b", "https://github.com/b"),
        ("https://files.example.org/b", "https://files.example.org/b"),
    ],
)
def test_redirects_that_may_be_followed(location: str, target: str) -> None:
    assert POLICY.follow(AllowedLink.of("https://gitee.com/x/a"), location).url == target


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("file:///etc/passwd", "is a file: link"),
        ("http://gitee.com/a", "is plain http"),
        ("http://127.0.0.1/a", "leads to this machine"),
        ("https://localhost/a", "leads to this machine"),
        ("https://example.org/a", "not an allowed host"),
        ("https://me:secret@gitee.com/a", "user name or password"),
        ("https://[bad/a", "cannot be read"),
    ],
)
def test_redirects_that_may_not(location: str, why: str) -> None:
    with pytest.raises(ForbiddenLinkError, match=why) as caught:
        POLICY.follow(AllowedLink.of("https://gitee.com/x/a"), location)
    assert "redirect from https://gitee.com/x/a" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_redirects_on_this_machine() -> None:
    assert POLICY.follow(AllowedLink.of("http://127.0.0.1:1/a"), "http://localhost:2/b").url == "http://localhost:2/b"


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("https://gitee.com/a?token=SECRET", "https://gitee.com/a?..."),
        ("https://gitee.com/a#SECRET", "https://gitee.com/a?..."),
        ("https://user:SECRET@gitee.com/a", "https://gitee.com/a"),
        ("https://user:SE@CRET@gitee.com/a@2", "https://gitee.com/a@2"),
        ("ftp://user:SECRET@gitee.com/a", "ftp://gitee.com/a"),
        ("https:\\\\user:SECRET@gitee.com/a", "...@gitee.com/a"),
        ("https://user:SECRET@[bad/a", "...@[bad/a"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
    ],
)
def test_what_is_shown_of_a_link(link: str, text: str) -> None:
    assert shown(link) == text
    assert "SECRET" not in shown(link)


@pytest.mark.parametrize(
    "entry", ["", "https://example.org", "example.org/a", "a b", "me@example.org", "h:x", "..", "a?b"]
)
def test_what_is_no_host(entry: str) -> None:
    with pytest.raises(ArgumentError, match="is not a host"):
        host_entry(entry)


def test_hosts_in_one_form() -> None:
    assert host_entry(" Example.ORG:8443 ") == "example.org:8443"
    assert host_entry("[::1]") == "::1"
    assert normal_host("LOCALHOST.") == "localhost"
    assert normal_host("a" * 64 + "ü") is None
    assert is_loopback("::1")
    assert not is_loopback("localhost.example.org")
    assert bare("<a>") == "a"
    assert "gitee.com" in DEFAULT_HOSTS


OWN = LinkPolicy.of(["http://Lab:8080", "https://store.lab", "https://10.0.0.5/", "files.example.org"])


@pytest.mark.parametrize(
    "link", ["http://lab:8080/a", "https://lab:8080/a", "https://store.lab/a", "https://10.0.0.5/a"]
)
def test_services_of_ones_own(link: str) -> None:
    assert OWN.check(link).url == link


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://lab/a", "is plain http"),
        ("http://lab:8081/a", "is plain http"),
        ("http://store.lab/a", "is plain http"),
        ("https://lab/a", "not an allowed host"),
        ("https://store.lab:444/a", "not an allowed host"),
    ],
)
def test_services_are_allowed_with_their_scheme_and_port_only(link: str, why: str) -> None:
    with pytest.raises(ForbiddenLinkError, match=why):
        OWN.check(link)


@pytest.mark.parametrize("entry", ["ftp://lab", "http://", "http://lab/a", "http://me@lab", "https://lab:x"])
def test_what_is_no_service(entry: str) -> None:
    with pytest.raises(ArgumentError, match="is not a host"):
        LinkPolicy.of([entry])


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("files.example.org", 443, "93.184.216.34"),
        ("files.example.org", 443, "2606:2800:220:1::1"),
        ("lab", 8080, "10.0.0.1"),
        ("store.lab", 443, "fd00::1"),
        ("10.0.0.5", 443, "10.0.0.5"),
        ("localhost", 80, "::1"),
        ("127.0.0.1", 80, "127.0.0.1"),
    ],
)
def test_addresses_that_may_be_connected_to(host: str, port: int, address: str) -> None:
    OWN.check_address(host, port, address)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "100.64.0.1"),  # noqa: S104 (an address to refuse)
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:0a00:0001::"),
    ],
)
def test_private_addresses_behind_a_public_name(address: str) -> None:
    with pytest.raises(ForbiddenLinkError, match="leads to the private address") as caught:
        OWN.check_address("files.example.org", 443, address)
    assert "HUBTOOL_ALLOWED_HOSTS=https://files.example.org:443" in str(caught.value)


def test_localhost_must_be_this_machine() -> None:
    with pytest.raises(ForbiddenLinkError, match="is not this machine"):
        OWN.check_address("localhost", 80, "93.184.216.34")


def test_no_redirect_gives_tls_up() -> None:
    with pytest.raises(ForbiddenLinkError, match="from https to plain http"):
        OWN.follow(AllowedLink.of("https://store.lab/a"), "http://lab:8080/a")
    assert OWN.follow(AllowedLink.of("http://lab:8080/a"), "https://store.lab/a").url == "https://store.lab/a"
