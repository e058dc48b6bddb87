"""Where an asset may come from: the mirrors in their order, and its link.

A mirror has files by their digest, at ``MIRROR/blobs/sha256/ab/<digest>``. It need not be trusted: what it sends is
hashed, and a mirror that sent wrong bytes is asked no more.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, unquote, urlsplit

from hubtool import settings
from hubtool.errors import ArgumentError, FetchError, SettingsError
from hubtool.links import AllowedLink, LinkPolicy, normal_host, shown
from hubtool.requirements import INSTALL_S3
from hubtool.transfer.http import HttpTransport
from hubtool.transfer.transport import FileTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.transfer.transport import Timeouts, Transport

MAX_FAILURES = 3
"""Failures, one after another, after which a mirror is asked no more."""

# Scheme -> module, its function from the base and the timeouts to a Transport, and the extra that brings what it needs.
_EXTRAS = {"s3": ("hubtool.transfer.s3", "open_transport", INSTALL_S3)}
_SCHEMES = ("https", "http", "file", *_EXTRAS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that an asset can come from.

    Attributes:
        link: Where exactly it is there.
        transport: How the bytes come from there.
        mirror: The mirror that this is, or None for the card's own link.
    """

    link: AllowedLink
    transport: Transport
    mirror: Mirror | None = None

    @property
    def name(self) -> str:
        """What names the link in the note beside a part; empty for a mirror, whose files are named by their digest."""
        if self.mirror is not None:
            return ""
        return hashlib.sha256(self.link.url.encode("utf-8", "surrogatepass")).hexdigest()


class Mirror:
    """A mirror, for one run.

    Attributes:
        base: Its address without a slash at the end: http(s), ``file:``, or another scheme that a transport exists for.
        fault: Why it is asked no more in this run, or None.
    """

    def __init__(self, base: str, make: Callable[[], Transport]) -> None:
        self.base = base
        self.fault: str | None = None
        self._make = make
        self._failures = 0
        self._lock = threading.Lock()
        self._transport: Transport | None = None

    @classmethod
    def of(cls, base: str, policy: LinkPolicy, timeouts: Timeouts | None, connections: int) -> Mirror:
        """Read a mirror's address.

        Args:
            base: The address, or the path of a folder.
            policy: Where its redirects may lead, besides to itself.
            timeouts: How long it may take.
            connections: How many connections are kept.

        Raises:
            ArgumentError: If it is none.
        """
        base = mirror_base(base)
        parts = urlsplit(base)

        def make() -> Transport:
            if parts.scheme == "file":
                return FileTransport()
            if parts.scheme in _EXTRAS:
                module, function, install = _EXTRAS[parts.scheme]
                try:
                    opened = getattr(importlib.import_module(module), function)(base, timeouts)
                except ImportError:
                    raise SettingsError(f"the package for the mirror {base} is not installed", hint=install) from None
                return cast("Transport", opened)
            own = LinkPolicy.of([f"{parts.scheme}://{parts.netloc}"])
            return HttpTransport(policy.joined(own), timeouts, connections=connections)

        return cls(base, make)

    @property
    def name(self) -> str:
        """What to call it."""
        return shown(self.base)

    @property
    def is_local(self) -> bool:
        """Whether it needs no network."""
        return self.base.startswith("file:")

    @property
    def is_absent(self) -> bool:
        """Whether it is a folder that is not there."""
        return self.is_local and not Path(unquote(urlsplit(self.base).path, errors="surrogateescape")).is_dir()

    def source(self, digest: str) -> Source:
        """Return where this mirror has a file."""
        return self._at(f"blobs/sha256/{digest[:2]}/{digest}")

    def _at(self, name: str) -> Source:
        with self._lock:
            if self._transport is None:
                self._transport = self._make()
        # The user configured the address, and the name below it is quoted.
        link = AllowedLink.of(f"{self.base}/{quote(name, safe='/+')}")
        return Source(link=link, transport=self._transport, mirror=self)

    def small(self, name: str, limit: int) -> bytes | None:
        """Return a small file of the mirror, such as a card or its index; None if it has none of this name.

        Args:
            name: The name below the mirror's address.
            limit: The most bytes that it may have.

        Raises:
            FetchError: If the mirror cannot be asked, or sends more.
        """
        source = self._at(name)
        data = b""
        try:
            with source.transport.open(source.link) as body:
                for block in body:
                    data += block
                    if len(data) > limit:
                        break
        except FetchError as error:
            if error.status in (404, 410):
                return None
            raise
        if len(data) > limit:
            raise FetchError(f"{source.link.shown}: more than {limit:,} bytes came", hint="check the mirror's address")
        return data

    def transport(self) -> Transport | None:
        """Return the transport if it was used."""
        return self._transport

    def helped(self) -> None:
        """Note that it had a file."""
        self._failures = 0

    def failed(self) -> bool:
        """Note that it failed; return whether it did so too often, one time after another."""
        self._failures += 1
        return self._failures >= MAX_FAILURES

    def give_up(self, why: str) -> bool:
        """Ask this mirror no more; return whether that is news."""
        with self._lock:
            news, self.fault = self.fault is None, self.fault or why
            return news

    def close(self) -> None:
        """Close its connections."""
        if self._transport is not None:
            self._transport.close()


def mirror_base(text: str) -> str:
    """Read the address of a mirror, or the path of its folder, into the form in which links begin with it.

    Raises:
        ArgumentError: If it is neither, or holds a login.
    """
    text = text.strip()
    scheme, separator, _ = text.partition("://")
    if not separator:
        if not text or "\0" in text:
            raise ArgumentError("a mirror without an address", hint="give an https:// address or a folder")
        return f"file://{quote(os.fsencode(settings.expand_user(text).absolute().as_posix()))}"
    base = scheme.lower() + text[len(scheme) :].rstrip("/")
    try:
        parts = urlsplit(base)
        wrong = parts.port == 0
    except ValueError:
        raise ArgumentError(f"the mirror {shown(text)} cannot be read", hint="correct its address") from None
    if wrong or parts.scheme not in _SCHEMES or parts.query or parts.fragment:
        raise ArgumentError(
            f"the mirror {shown(text)} is not an address that files can come from",
            hint=f"an address begins with {', '.join(f'{one}://' for one in _SCHEMES)}, or is a folder",
        )
    if parts.scheme in ("http", "https") and normal_host(parts.hostname or "") is None:
        raise ArgumentError(f"the mirror {shown(text)} has no valid host", hint="correct its address")
    if "@" in parts.netloc:
        raise ArgumentError(f"the mirror {shown(text)} holds a login", hint="put it into ~/.netrc")
    return base
