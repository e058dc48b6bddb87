"""The remote of a registry, and the page on which a change is opened for review there. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from hubtool.links import is_loopback

# user@host:owner/name.git, as ssh takes it; a drive letter or a path is none.
_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]+):(?!//)(?P<path>[^\s\\]+)\Z")
_LOGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]*@", re.IGNORECASE)
_QUERY = re.compile(r"(?P<link>[a-z][a-z0-9+.-]*://[^\s?'\"]+)\?[^\s'\"]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A remote repository.

    Attributes:
        name: What git calls it here.
        url: Its URL, which may hold a login: never shown as it is.
    """

    name: str
    url: str

    @property
    def shown(self) -> str:
        """Its URL as a message may show it."""
        return without_secrets(self.url)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine's own file systems, so that no network is needed."""
        return self.url.startswith(("file://", "/", "./", "../")) or (
            "://" not in self.url and _SCP.match(self.url) is None
        )

    @property
    def is_loopback(self) -> bool:
        """Whether this machine serves it."""
        try:
            host = urlsplit(self.url).hostname or ""
        except ValueError:
            return False
        return is_loopback(host)


def without_secrets(text: str) -> str:
    """Return a text without the logins and the queries that URLs in it may hold."""
    return _QUERY.sub(r"\g<link>?...", _LOGIN.sub(r"\g<scheme>", text))


def review_link(url: str, branch: str, base: str) -> str | None:
    """Return the page on which a branch is opened for review; None for a server whose links are not known.

    The forms are those of Gitee (``/pull/new/``), GitLab (``/-/merge_requests/new``) and GitHub (``/compare/``), told
    by the host's name.

    Args:
        url: The repository's URL.
        branch: The branch with the change.
        base: The branch that it is meant for.
    """
    page = _web_page(url)
    if page is None:
        return None
    site, host, path = page
    place = f"{site}/{quote(path)}"
    if "gitee" in host:
        owner = quote(path.partition("/")[0])
        return f"{place}/pull/new/{owner}:{quote(branch)}...{owner}:{quote(base)}"
    if "gitlab" in host:
        source, target = quote(branch, safe=""), quote(base, safe="")
        wanted = f"merge_request%5Bsource_branch%5D={source}&merge_request%5Btarget_branch%5D={target}"
        return f"{place}/-/merge_requests/new?{wanted}"
    if "github" in host:
        return f"{place}/compare/{quote(base)}...{quote(branch)}?expand=1"
    return None


def _web_page(url: str) -> tuple[str, str, str] | None:
    """Return a repository's place on the web: the site, its host, and the path without ``.git``; or None if unknown."""
    match = _SCP.match(url)
    if "://" not in url and match is not None:
        host, path, site = match["host"], match["path"], f"https://{match['host']}"
    else:
        try:
            parts = urlsplit(url)
            host, path, port = parts.hostname or "", parts.path, parts.port
        except ValueError:
            return None
        if parts.scheme not in ("http", "https", "ssh", "git+ssh") or not host:
            return None
        # The port of ssh is not that of the web server.
        with_port = parts.scheme in ("http", "https") and port is not None
        site = f"{parts.scheme if with_port else 'https'}://{host}" + (f":{port}" if with_port else "")
    path = path.strip("/").removesuffix(".git")
    return (site, host.lower(), path) if "/" in path else None
