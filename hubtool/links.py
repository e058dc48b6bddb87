"""Which links are allowed. Pure: nothing here touches the network.

A link must use ``https``, lead to an allowed host, and hold no credentials. Plain ``http`` is for this machine
(loopback) and for hosts that the user named with ``http://``. Every redirect is checked too, and so is the address that
a host name resolves to: it must not be private, unless the user named the host with its scheme.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from hubtool import settings
from hubtool.errors import ArgumentError, ForbiddenLinkError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubtool.settings import Settings

DEFAULT_HOSTS = frozenset(settings.DEFAULT_HOSTS)
"""The hosts that the public hub's cards name."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_MAX_LINK_LENGTH = 8192
# URL parsers disagree about these characters, and a disagreement could bypass the list of hosts.
_STRANGE = re.compile(r"""[\x00-\x20\x7f\\<>"`{}|^]""")
# With one slash too, because pathlib shortens two; without a slash for names that no folder has.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/|(s3|gs|https?|file):", re.IGNORECASE)
_SSH_URL = re.compile(
    r"ssh://(?:[A-Za-z0-9_][\w.+-]*@)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/[\w.~+/-]+\Z", re.ASCII
)
_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address behind the network's translator


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedLink:
    """An allowed link: made by :class:`LinkPolicy`, or from an address that the user configured.

    Attributes:
        url: The link in the form in which it is requested: no fragment, the host in lower-case ASCII.
        scheme: Its scheme, lower-case.
        host: Its host without brackets and port; empty for a file.
    """

    url: str
    scheme: str
    host: str

    @classmethod
    def of(cls, url: str) -> AllowedLink:
        """Return an allowed link for a URL that was checked, or that the user configured."""
        parts = urlsplit(url)
        return cls(url=url, scheme=parts.scheme, host=parts.hostname or "")

    @property
    def shown(self) -> str:
        """The link for messages; see :func:`shown`."""
        return shown(self.url)

    @property
    def is_loopback(self) -> bool:
        """Whether its host is this machine."""
        return is_loopback(self.host)

    @property
    def server(self) -> str:
        """The server: host and port."""
        return host_of(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPolicy:
    """Which links are allowed.

    Attributes:
        hosts: The allowed hosts, each ``name`` (any port) or ``name:port``, in the form that :func:`host_entry`
            returns. A host does not include its subdomains. This machine (loopback) is always allowed.
        plain: The services, each ``name:port``, that are allowed over plain http.
        near: The services, each ``name:port``, that are allowed on a private address.
    """

    hosts: frozenset[str] = DEFAULT_HOSTS
    plain: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Iterable[str]) -> LinkPolicy:
        """Read a list of hosts as settings hold it.

        Each is ``name`` or ``name:port``. A service in the user's own network is ``https://name`` or ``http://name``,
        with or without a port: it is allowed on a private address, and with ``http://`` without TLS. A name can also be
        an IP address.

        Raises:
            ArgumentError: If an entry is not valid.
        """
        hosts, plain, near = set(), set(), set()
        for entry in entries:
            scheme, separator, rest = entry.strip().partition("://")
            if not separator:
                hosts.add(host_entry(entry))
                continue
            if scheme.lower() not in _PORTS:
                raise ArgumentError(
                    f"{entry[:200]!a} is not a host", hint="a service of your own is http://name:port or https://name"
                )
            service = _service(scheme.lower(), rest.removesuffix("/"))
            hosts.add(service)
            near.add(service)
            if scheme.lower() == "http":
                plain.add(service)
        return cls(hosts=frozenset(hosts), plain=frozenset(plain), near=frozenset(near))

    @classmethod
    def configured(cls, configuration: Settings) -> LinkPolicy:
        """Return the policy of the settings.

        Raises:
            SettingsError: If a host of the settings is not valid.
        """
        try:
            return cls.of(configuration.allowed_hosts)
        except ArgumentError as error:
            raise SettingsError(f"{configuration.called('allowed_hosts')}: {error.message}", hint=error.hint) from None

    def joined(self, other: LinkPolicy) -> LinkPolicy:
        """Return a policy that allows what either policy allows."""
        return LinkPolicy(hosts=self.hosts | other.hosts, plain=self.plain | other.plain, near=self.near | other.near)

    @classmethod
    def allowing(cls, *, more: Iterable[str]) -> LinkPolicy:
        """Return the default policy with more hosts.

        Raises:
            ArgumentError: If one of them is not a host.
        """
        return cls().joined(cls.of(more))

    def check(self, link: str) -> AllowedLink:
        """Check a link, and return it in the form in which it is requested.

        Angle brackets and the fragment are dropped, and the host becomes lower-case ASCII.

        Raises:
            ForbiddenLinkError: If it is not allowed; the message says why, without credentials or query.
        """
        return self._check(bare(link), "the link")

    def follow(self, link: AllowedLink, location: str) -> AllowedLink:
        """Check the target of a redirect.

        In addition to :meth:`check`, a redirect from another machine to this one is refused, and one from https to
        plain http on another machine.

        Args:
            link: The link that was requested.
            location: The target in the answer, perhaps relative.

        Raises:
            ForbiddenLinkError: If it is not allowed.
        """
        try:
            joined = urljoin(link.url, location)
        except ValueError:
            joined = location
        target = self._check(joined, f"the redirect from {link.shown}")
        if target.is_loopback and not link.is_loopback:
            raise ForbiddenLinkError(
                f"the redirect from {link.shown} leads to this machine: {target.shown}",
                hint="other servers must not redirect to services of this machine; ask the publisher",
            )
        if target.scheme == "http" and link.scheme == "https" and not target.is_loopback:
            raise ForbiddenLinkError(
                f"the redirect from {link.shown} leads from https to plain http: {target.shown}",
                hint="a request over TLS must not be answered without it; ask the publisher",
            )
        return target

    def check_address(self, host: str, port: int, address: str) -> None:
        """Refuse an address that a host name must not resolve to.

        Args:
            host: The host of a link, as :meth:`check` returned it.
            port: The port of the connection.
            address: The IP address that the name resolved to, before the connection is made.

        Raises:
            ForbiddenLinkError: If it is private and the user did not name the host with its scheme, or if ``localhost``
                is not this machine.
        """
        ip = _address(address)
        if is_loopback(host):
            if not ip.is_loopback:
                raise ForbiddenLinkError(
                    f"{host} is not this machine, but {ip}", hint="correct the entry of localhost in your hosts file"
                )
            return
        service = f"{host}:{port}"
        if service in self.near or _is_public(ip) or _is_address(host):
            return
        raise ForbiddenLinkError(
            f"{host} leads to the private address {ip}",
            hint=f"if this host is in your own network, allow it: HUBTOOL_ALLOWED_HOSTS=https://{service}",
        )

    def _check(self, link: str, what: str) -> AllowedLink:
        def refuse(why: str, hint: str) -> ForbiddenLinkError:
            return ForbiddenLinkError(f"{what} {why}: {shown(link)}", hint=hint)

        if len(link) > _MAX_LINK_LENGTH:
            raise refuse(f"is longer than {_MAX_LINK_LENGTH} characters", "correct the card's asset-link")
        if _STRANGE.search(link) or not (link.isascii() or all(sign.isascii() or sign.isprintable() for sign in link)):
            raise refuse("has spaces, control characters or signs that no link has", "percent-encode them")
        try:
            parts = urlsplit(link)
            port, raw_host = parts.port, parts.hostname or ""
        except ValueError:
            raise refuse("cannot be read", "correct the card's asset-link") from None
        if parts.scheme not in _PORTS:
            kind = f"is a {parts.scheme}: link" if parts.scheme else "has no scheme"
            raise refuse(kind, "use an https link, or a path relative to the card")
        if "@" in parts.netloc:
            raise refuse("holds a user name or password", "remove it from the link, and put it into ~/.netrc")
        host = normal_host(raw_host)
        if host is None:
            raise refuse("has no valid host", "correct the card's asset-link")
        service = f"{host}:{port or _PORTS[parts.scheme]}"
        if not is_loopback(host):
            if parts.scheme != "https" and service not in self.plain:
                raise refuse(
                    "is plain http",
                    f"use https; if {service} is in your own network, allow it: HUBTOOL_ALLOWED_HOSTS=http://{service}",
                )
            if not self.hosts & {host, service}:
                raise refuse(
                    f"leads to {host}, which is not an allowed host",
                    f"if you trust it, add it: HUBTOOL_ALLOWED_HOSTS={host}",
                )
        place = f"[{host}]" if ":" in host else host
        netloc = place if port is None else f"{place}:{port}"
        url = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
        return AllowedLink(url=url, scheme=parts.scheme, host=host)


def scheme_of(text: str) -> str:
    """Return the scheme of a URL in lower case; an empty text for a path.

    A single letter is a drive. A folder whose name looks like a scheme needs ``./`` before it.
    """
    match = _SCHEME.match(text)
    return (match[1] or match[2]).lower() if match else ""


def is_ssh(url: str) -> bool:
    """Return whether a text is an ssh address of a repository, with plain parts only."""
    return bool(_SSH_URL.match(url))


def bare(link: str) -> str:
    """Return a link without the white space and the angle brackets around it."""
    text = link.strip()
    return text[1:-1].strip() if text.startswith("<") and text.endswith(">") else text


def host_entry(text: str) -> str:
    """Parse an entry of a list of hosts, ``name`` or ``name:port``, into the form that is compared.

    Raises:
        ArgumentError: If it is not one.
    """
    hint = "write a host as example.org or example.org:8443, without https:// and without a path"
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = normal_host(parts.hostname or ""), parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    if host is None or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ArgumentError(f"{text[:200]!a} is not a host", hint=hint)
    return host if port is None else f"{host}:{port}"


def _service(scheme: str, place: str) -> str:
    """Return a service as ``name:port``, with the port of the scheme by default."""
    host_entry(place)
    parts = urlsplit(f"//{place.strip()}")
    return f"{normal_host(parts.hostname or '')}:{parts.port or _PORTS[scheme]}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an IP address; an IPv4 address inside an IPv6 one is extracted."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def normal_host(host: str) -> str | None:
    """Return a host name or address in lower-case ASCII, or None if it is neither."""
    name = host.lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        name = name.encode("idna").decode("ascii") if not name.isascii() else name
    except UnicodeError:
        return None
    return name if len(name) <= 253 and _NAME.match(name) else None


def host_of(link: str) -> str:
    """Return the host and port of a link, in lower case."""
    return link.partition("://")[2].partition("/")[0].lower()


def is_loopback(host: str) -> bool:
    """Return whether a host, as :func:`normal_host` returns it, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(link: str) -> str:
    """Return a link for messages: without credentials, and without its query, which can hold credentials."""
    head = re.split(r"[?#]", bare(link), maxsplit=1)[0]
    secret = len(head) < len(bare(link))
    try:
        parts = urlsplit(head)
    except ValueError:
        parts = None
    if parts is not None and parts.scheme and parts.netloc:
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    else:
        # In a link that cannot be parsed, the password cannot be located: nothing before an @ is shown.
        before, at, after = head.rpartition("@")
        where = f"...@{after}" if at else after or before
    where = where if where.isprintable() else ascii(where).strip("'")
    where = where if len(where) <= 300 else f"{where[:300]}..."
    return f"{where}?..." if secret else where
