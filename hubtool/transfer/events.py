"""What a run of fetching is asked for, what happens in it, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from hubtool.links import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubtool.digest import Digest
    from hubtool.errors import HubError
    from hubtool.store.records import Stored

Kind = Literal["started", "progress", "retried", "turned", "mirror-skipped", "done", "failed", "kept"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
"""What can happen to an asset; :class:`FetchEvent` says what each means."""


class ProgressCallback(Protocol):
    """A function that is called with the progress of a transfer."""

    def __call__(self, received: int, size: int | None) -> None:
        """Take the bytes received so far, and those of the whole file where they are known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """One asset to fetch.

    Attributes:
        link: Where it is.
        digest: Its digest as the card states it, whole or short.
        size: Its bytes, where the card states them.
        name: What to call it in events; its link, unless given.
        uid: The card that it is of, where that is known.
    """

    link: str
    digest: Digest | None
    size: int | None = None
    name: str = ""
    uid: str = ""

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or shown(self.link)

    def event(
        self,
        kind: Kind,
        *,
        source: str = "",
        received: int = 0,
        size: int | None = None,
        message: str = "",
        wait: float | None = None,
        stored: Stored | None = None,
    ) -> FetchEvent:
        """Return what happened to it; the arguments are the attributes of :class:`FetchEvent`."""
        return FetchEvent(
            kind=kind,
            name=self.label,
            link=self.link,
            uid=self.uid,
            source=source,
            received=received,
            size=size,
            message=message,
            wait=wait,
            stored=stored,
        )


class Labels:
    """Gives each asset of a run a name that no other asset of the run has."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def label(self, wanted: FetchRequest) -> FetchRequest:
        """Return an asset by its own name if no other one has that; else with its UID, and with a number if need be."""
        name = wanted.label
        if name not in self._owners:
            self._owners[name] = wanted.uid
            return wanted
        mark = wanted.uid if wanted.uid != self._owners[name] else ""
        first = text = f"{name} ({mark})" if mark else name
        number = self._numbers.get(first, 1)
        while text in self._owners:
            number += 1
            text = f"{name} ({mark}, {number})" if mark else f"{name} ({number})"
        self._numbers[first] = number
        self._owners[text] = wanted.uid
        return FetchRequest(link=wanted.link, digest=wanted.digest, size=wanted.size, name=text, uid=wanted.uid)


def total(wanted: Iterable[FetchRequest]) -> int | None:
    """Return how many bytes assets have together; None unless their cards state it of each."""
    sizes = [one.size for one in wanted]
    return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchEvent:
    """Something that happened to an asset.

    Attributes:
        kind: ``started`` (bytes begin to come), ``progress``, ``retried`` (an attempt failed, another one follows),
            ``turned`` (a mirror could not help, the next place is asked), ``mirror-skipped`` (a mirror is asked no
            more in this run), ``done``, ``failed``, ``kept`` (a part is left to a later run).
        name: What the asset is called: in a run of a command, as no other one is.
        link: Its link as the card states it, which :func:`hubtool.links.shown` makes fit to be seen.
        uid: The card that it is of, where that is known.
        source: Where the bytes come from, without credentials or query.
        received: Bytes that are there.
        size: Bytes of the whole file, where known.
        message: What went wrong, where something did.
        wait: Seconds until the next attempt.
        stored: The verified file, at the end.
    """

    kind: Kind
    name: str
    link: str = ""
    uid: str = ""
    source: str = ""
    received: int = 0
    size: int | None = None
    message: str = ""
    wait: float | None = None
    stored: Stored | None = None


class EventCallback(Protocol):
    """A function that takes events; called from several threads, by one of them at a time."""

    def __call__(self, event: FetchEvent, /) -> None:
        """Take an event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """How it went with one asset: one of the two is None."""

    wanted: FetchRequest
    stored: Stored | None = None
    error: HubError | None = None
