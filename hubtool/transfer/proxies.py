"""Which proxy a link goes through, and which variable says so: what messages about proxies need."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


# None is taken for http; `requests` asks for PySocks where a proxy's scheme begins with "socks".
_SCHEMES = ("", "http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy of the environment.

    Attributes:
        variable: The variable that names it.
        shown: Its address without a login.
        scheme: Its scheme, such as ``http`` or ``socks5``; empty if none is written.
        has_login: Whether the address holds a login.
        is_address: Whether it is the address of a proxy at all.
    """

    variable: str
    shown: str
    scheme: str
    has_login: bool
    is_address: bool

    @property
    def is_socks(self) -> bool:
        """Whether it is a SOCKS proxy, which requests needs PySocks for."""
        return self.scheme.startswith("socks")


def of_scheme(scheme: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy that links of a scheme go through, or None.

    The variables are asked in the order of :func:`requests.utils.select_proxy`: that of the scheme, then that of all
    schemes; lower case comes first, as urllib has it.

    Args:
        scheme: ``http`` or ``https``.
        environ: The variables; by default those of this process.
    """
    environ = os.environ if environ is None else environ
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            value = environ.get(variable)
            if value:
                login, at, place = value.rpartition("@")
                kind, _, _ = value.partition("://") if "://" in value else ("", "", "")
                shown = f"{kind}://{place}" if at and kind else place if at else value
                return Proxy(
                    variable=variable,
                    shown=re.split(r"[?#]", shown, maxsplit=1)[0][:200],
                    scheme=kind.lower(),
                    has_login=bool(login),
                    is_address=_is_address(kind.lower(), value),
                )
    return None


def _is_address(scheme: str, value: str) -> bool:
    """Whether a variable's value is the address of a proxy: a scheme that requests knows or none, a host, a port."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return bool(parts.hostname) and parts.port != 0 and scheme in _SCHEMES and not re.search(r"\s", value)
    except ValueError:
        return False


def no_address(link: str) -> tuple[str, str] | None:
    """Return a message that a variable does not hold the address of a proxy; None if it does, or no variable counts."""
    proxy = of_scheme(urlsplit(link).scheme)
    if proxy is None or proxy.is_address:
        return None
    return (
        f"{proxy.variable} is {proxy.shown!r}, which is not the address of a proxy",
        f"write it as http://HOST:PORT, or unset {proxy.variable}",
    )


def refusal(link: str, said: str, reason: str | None) -> tuple[str, str]:
    """Return why a proxy cannot be used, and what to do.

    Args:
        link: The link that was asked for.
        said: What the libraries said, all of it.
        reason: What the system said, such as ``Connection refused``, or None.
    """
    proxy = of_scheme(urlsplit(link).scheme)
    if proxy is None:  # one of the system's own settings, which no variable names
        return "the proxy of this system cannot be used", "check the system's proxy settings"
    status = re.search(r"Tunnel connection failed: ([0-9]{3})", said)
    if status is not None and status[1] == "407":
        return login_asked(link)
    if status is not None:
        return (
            f"the proxy {proxy.shown} answered {status[1]}",
            f"ask who runs the proxy, or change {proxy.variable} (NO_PROXY names hosts that are asked without it)",
        )
    why = f": {reason}" if reason else ""
    return (
        f"the proxy {proxy.shown} cannot be used{why}",
        f"check {proxy.variable} (NO_PROXY names hosts that are asked without a proxy)",
    )


def login_asked(link: str) -> tuple[str, str]:
    """Return that a proxy asks for a login (407), and where to put it."""
    proxy = of_scheme(urlsplit(link).scheme)
    if proxy is None:
        return "the proxy of this system asks for a login (407)", "put it into the system's proxy settings"
    if proxy.has_login:
        return f"the proxy {proxy.shown} refuses the login (407)", f"correct the login in {proxy.variable}"
    example = f"{proxy.scheme or 'http'}://NAME:PASSWORD@{proxy.shown.rpartition('://')[2]}"
    return f"the proxy {proxy.shown} asks for a login (407)", f"put it into {proxy.variable}: {example}"


def needs_socks(link: str) -> tuple[str, str] | None:
    """Return that a SOCKS proxy needs PySocks; None if the link goes through none."""
    proxy = of_scheme(urlsplit(link).scheme)
    if proxy is None or not proxy.is_socks:
        return None
    return f"the proxy {proxy.shown} ({proxy.variable}) needs PySocks", "pip install 'requests[socks]'"
