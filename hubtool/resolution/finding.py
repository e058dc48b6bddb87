"""Find a card by its UID, its URL on the public hub, or its path.

If a lockfile is in force, the card is the one that it pins: see :mod:`hubtool.lockfile.pins`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool import settings
from hubtool.card.repo_link import place_of
from hubtool.errors import CardError, InvalidNameError, LockfileError
from hubtool.registry.folder import read_card
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.lockfile.pins import Pin
    from hubtool.registry import Registries, ShadowedCard
    from hubtool.store.store import Store

_LONGEST_NAME = 128  # of what models are searched for by
_URL = re.compile(r"https?://", re.IGNORECASE)
# No UID begins with one of these.
_PATH_STARTS = ("/", "./", "../", "~/", ".\\", "..\\", "~\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """Where the recipe of a card that states none comes from.

    Attributes:
        kind: By what it was found: ``digest`` or ``link`` of an asset, ``folder`` (and model and data set), ``lock``
            where a lockfile pins it, or ``tensors`` for a network of hubtool itself that a stored checkpoint fits.
        why: All of it in one sentence, which begins with where the recipe comes from.
        uid: The card that lends it, or None.
        registry: The registry of that card, or None.
        place: Where its code is; None if it needs no code of a repository.
    """

    kind: str
    why: str
    uid: str | None = None
    registry: str | None = None
    place: RepositoryPlace | None = None

    def as_json(self) -> dict[str, object]:
        """Return the ``borrowed`` member of ``hubtool resolve --json``."""
        return {"match": self.kind, "uid": self.uid, "registry": self.registry, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCard:
    """A card, and where it was found.

    Attributes:
        card: The card.
        root: The folder that its local assets must be in; None if it has none.
        registry: Its registry, or None for a card outside a registry.
        others: Later registries (for a pinned card, all) that have other bytes under its UID.
        pin: Its entry in the lockfile in force, or None.
        loan: Where its recipe comes from if that is not its own; see :mod:`hubtool.resolution.lending`.
        unlent: Why it has no recipe although one was looked for, in one sentence; None if it has, or none was.
        contested: Whether that is because two different ones fit.
    """

    card: Card
    root: Path | None
    registry: str | None = None
    others: tuple[ShadowedCard, ...] = ()
    pin: Pin | None = None
    loan: Loan | None = None
    unlent: str | None = None
    contested: bool = False

    @property
    def place(self) -> RepositoryPlace | None:
        """Where the code of its network is, as the card or the one that lends its recipe says; None without any.

        Raises:
            ArgumentError: If the repo-link does not name a repository, or ``repo-revision`` is not a revision.
        """
        return place_of(self.card) if self.loan is None else self.loan.place

    @property
    def name(self) -> str:
        """The UID, or the path of a card outside a registry."""
        return str(self.card.uid or self.card.path)


def find(name: str, *, registries: Registries, store: Store, lock: Path | None, local: bool = False) -> FoundCard:
    """Find a card.

    Args:
        name: A UID, the URL of a card on the public hub, or a path that ends in ``.md``.
        registries: The registries.
        store: The store, which can have pinned cards.
        lock: The lockfile in force, or None.
        local: Whether the name is always a path.

    Raises:
        InvalidNameError: If the name is malformed.
        CardNotFoundError: If there is no such card.
        CardError: If it cannot be read.
        LockfileError: If a lockfile is in force that does not list the card, or no place has the pinned bytes.
    """
    path = settings.expand_user(name) if "\0" not in name else None
    if local or (name.endswith(".md") and not _URL.match(name)):
        if path is None or not path.is_file():
            raise CardError(f"there is no card at {ascii(name)[1:-1]}", hint="give the path of a card's .md file")
        if lock is not None:
            raise LockfileError(
                f"{path} is a card outside a registry, which no lockfile pins",
                hint=f"{lock} is in force; unset HUBTOOL_LOCK (or 'lock' in hubtool.toml) to use it",
            )
        return FoundCard(card=read_card(path.absolute(), None), root=path.absolute().parent)
    if name.startswith(_PATH_STARTS):
        raise InvalidNameError(
            f"{name[:200]!a} is not a UID, and no card: there is no file of that path that ends in .md",
            hint="give the path of a card's .md file, or a UID: publisher/version/name",
        )
    uid = whole_name(name, registries)
    if lock is not None:
        return find_pinned(uid, lock, registries=registries, store=store)
    card, registry = registries.read(uid)
    others = registries.others(uid, registry)
    return FoundCard(card=card, root=registry.root, registry=registry.name, others=others)


def whole_name(name: str, registries: Registries) -> Uid:
    """Parse a UID, or the URL of a card; see :func:`parse_name`.

    Raises:
        InvalidNameError: If it is neither; of the mere name of a model, or one like it, it offers UIDs.
    """
    try:
        return parse_name(name)
    except InvalidNameError as error:
        alone = name.rpartition("/")[2]  # 'publisher/name', without the version, is asked for as well
        if not 0 < len(alone) <= _LONGEST_NAME or _URL.match(name):
            raise
        named = registries.named(alone)
        if not named:
            near = registries.like(alone)
            offer = f"did you mean {' or '.join(map(str, near))}? To find more"
            hint = offer if near else f"{error.hint}; to find models" if error.hint else "to find models"
            raise InvalidNameError(error.message, hint=f"{hint}: hubtool search {shlex.quote(alone)}") from None
        newest = " or ".join(str(uid) for uid in newest_of_each(named))
        raise InvalidNameError(error.message, hint=f"did you mean {newest}? ({len(named)} of this name)") from None


def newest_named(name: str, registries: Registries) -> tuple[str, int]:
    """Return the UID of the newest version of a model that is named alone, and how many versions there are.

    Any other name is returned as it is, and then there are none.

    Args:
        name: What the user typed.
        registries: The registries.

    Raises:
        InvalidNameError: If several publishers have a model of this name.
    """
    named = () if "/" in name or name.endswith(".md") else registries.named(name)
    if not named:
        return name, 0
    newest = newest_of_each(named)
    if len(newest) > 1:
        raise InvalidNameError(
            f"{name!a} is a model of {len(newest)} publishers", hint=f"say which: {', '.join(map(str, newest))}"
        )
    return str(newest[0]), len(named)


def newest_of_each(named: Iterable[Uid]) -> list[Uid]:
    """Return the first UID of each publisher, of those that :meth:`hubtool.registry.Registries.named` gives."""
    return list({uid.publisher: uid for uid in reversed(tuple(named))}.values())[::-1]


def find_pinned(uid: Uid, lock: Path, *, registries: Registries, store: Store) -> FoundCard:
    """Find the card that a lockfile pins: in the registries, or as ``hubtool sync`` stored it.

    Its assets get the whole digests and sizes of the lockfile.

    Args:
        uid: The UID.
        lock: The lockfile.
        registries: The registries.
        store: The store, which can have pinned cards.

    Raises:
        LockfileError: If the lockfile does not list it or contradicts it, or no place has the pinned bytes.
    """
    from hubtool.lockfile import pins  # noqa: PLC0415 - most runs have no lockfile

    pin = pins.pin(uid, lock)
    found = pins.find(uid, pin, registries, store)
    return FoundCard(card=found.card, root=found.root, registry=found.registry, others=found.others, pin=pin)


def parse_name(name: str) -> Uid:
    """Parse a UID, or the URL of a card on the public hub.

    A URL is that of a card's file (``.../mshub_res/assets/mindspore/1.9/NAME.md``) or of its page
    (``...?MindSpore/1.9/NAME``).

    Raises:
        InvalidNameError: If it is neither.
    """
    if not _URL.match(name):
        return Uid.parse(name)
    try:
        url = urlsplit(name)
    except ValueError:
        raise InvalidNameError(f"{name[:200]!a} is not a URL", hint="correct it, or give a UID") from None
    path = unquote(url.path)
    if url.query and not path.endswith(".md"):
        publisher, slash, rest = unquote(url.query).partition("/")
        path = publisher.lower() + slash + rest
    path = path.rpartition("/assets/")[2] if "/assets/" in path else path
    parts = [part for part in path.removesuffix(".md").split("/") if part]
    for count in (4, 3):
        if len(parts) == count or (len(parts) > count == 3):
            return Uid.parse("/".join(parts[-count:]))
    raise InvalidNameError(
        f"{name[:200]!a} is not the URL of a card",
        hint="such a URL ends in publisher/version/name.md; or give the UID, publisher/version/name",
    )
