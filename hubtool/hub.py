"""What one command works with: the settings, the registries, the store, and the rules for links, put together."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool import machine, resolver, settings
from hubtool.assets.store import Store
from hubtool.errors import AssetError, CardError, CardNotFoundError, ForbiddenLinkError, InvalidNameError, OfflineError
from hubtool.registry import Registries
from hubtool.registry.folder import read_card
from hubtool.uid import Uid

if TYPE_CHECKING:
    from hubtool.assets.fetch import Fetcher, Progress, Watcher
    from hubtool.assets.links import LinkPolicy
    from hubtool.assets.store import Stored
    from hubtool.card.model import Asset, Card
    from hubtool.digest import Digest
    from hubtool.registry import Other
    from hubtool.resolver import Resolution
    from hubtool.settings import Settings

SOURCES = ("gitee", "github", "local")
_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCard:
    """A card, and where it was found.

    Attributes:
        card: The card.
        root: The folder that its local assets must be in; None if it has none.
        registry: The registry that it is of, or None for a card outside a registry.
        others: Later registries that have its UID too, with other bytes.
    """

    card: Card
    root: Path | None
    registry: str | None = None
    others: tuple[Other, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Everything that stands around one card."""

    settings: Settings
    registries: Registries
    store: Store
    policy: LinkPolicy

    @classmethod
    def open(cls, current: Settings | None = None) -> Hub:
        """Open what the settings name.

        Raises:
            SettingsError: If a setting cannot be used.
        """
        from hubtool.assets.links import LinkPolicy  # noqa: PLC0415

        current = settings.load() if current is None else current
        return cls(
            settings=current,
            registries=Registries.open(current),
            store=Store(current.home, shared=current.stores),
            policy=LinkPolicy.of(current.allowed_hosts),
        )

    @property
    def mirrors(self) -> tuple[str, ...]:
        """Where files are looked for by their digest: the mirrors of the settings, then published registries."""
        return tuple(dict.fromkeys((*self.settings.mirrors, *self.registries.mirrors)))

    def find(self, name: str, *, source: str = "gitee") -> FoundCard:
        """Find a card by its UID, by its URL on the public hub, or by its path.

        Args:
            name: The name; what it is a name of, ``source`` says: a path if ``local``, else a UID or a URL. A path
            that ends
                in ``.md`` and exists is a path in any case.
            source: One of :data:`SOURCES`.

        Raises:
            InvalidNameError: If the name is malformed.
            CardNotFoundError: If there is no such card.
            CardError: If it cannot be read.
        """
        path = Path(name).expanduser() if "\0" not in name else None
        is_path = source == "local" or (
            name.endswith(".md") and not _URL.match(name) and path is not None and path.is_file()
        )
        if is_path:
            if path is None or not path.is_file():
                raise CardError(f"there is no card at {ascii(name)[1:-1]}", hint="give the path of a card's .md file")
            return FoundCard(card=read_card(path.absolute(), None), root=path.absolute().parent)
        uid = parse_name(name)
        card, registry = self.registries.read(uid)
        others = self.registries.others(uid, registry)
        return FoundCard(card=card, root=registry.root, registry=registry.name, others=others)

    def resolve(self, name: str, *, device: str = "auto", source: str = "gitee") -> Resolution:
        """Resolve a card; nothing is fetched and nothing is run.

        Raises:
            InvalidNameError: If the name is malformed.
            CardNotFoundError: If there is no such card.
            CardError: If it cannot be read.
            ArgumentError: If there is no such device.
        """
        found = self.find(name, source=source)
        return resolver.resolve(
            found.card,
            locate=lambda asset: self._located(asset, found),
            forbidden=self._forbidden,
            machine=machine.probe(),
            offline=self.settings.offline,
            device=device,
            registry=found.registry,
            others=found.others,
        )

    def bring(self, found: FoundCard, asset: Asset, *, again: bool = False, progress: Progress | None = None) -> Stored:
        """Return the verified file of an asset, fetching it if it is not stored.

        Args:
            found: The card that names the asset.
            asset: The asset.
            again: Whether to fetch it even if it is stored.
            progress: Called with the bytes that have come and the bytes in all, or None where that is not known.

        Raises:
            AssetError: If the asset cannot be had; the subclasses say why.
        """
        if asset.digest is None:
            raise AssetError(
                f"{asset.file_name} has no SHA-256 digest on its card, so its bytes cannot be verified",
                hint="add 'asset-sha256' to the card",
            )
        if asset.is_local:
            return self.store.adopt(_local_path(asset, found), asset.digest)
        from hubtool.assets.fetch import fetch  # noqa: PLC0415

        return fetch(
            asset.link,
            digest=asset.digest,
            size=asset.size,
            store=self.store,
            policy=self.policy,
            mirrors=self.mirrors,
            offline=self.settings.offline,
            again=again,
            progress=progress,
        )

    def references(self) -> dict[Digest, tuple[str, ...]]:
        """Return the digests that the cards of the registries state, whole or short, with the cards' UIDs.

        Cards that cannot be read name nothing; ``hubtool validate`` reports them.
        """
        found: dict[Digest, list[str]] = {}
        # What a registry elsewhere has, and no one here has asked for, has no asset here.
        registries = Registries.open(replace(self.settings, offline=True))
        for uid in registries.uids():
            with suppress(CardError, CardNotFoundError, OfflineError):
                for asset in registries.read(uid)[0].assets:
                    if asset.digest is not None:
                        found.setdefault(asset.digest, []).append(str(uid))
        return {digest: tuple(uids) for digest, uids in found.items()}

    def fetcher(
        self, *, connections: int | None = None, rate: float | None = None, watch: Watcher | None = None
    ) -> Fetcher:
        """Begin a run of fetching many assets; see :class:`hubtool.assets.fetch.Fetcher`.

        Args:
            connections: The most connections at once; the usual number, unless given.
            rate: The most bytes per second, all connections together.
            watch: Told what happens.

        Raises:
            ArgumentError: If a mirror's address cannot be one.
        """
        from hubtool.assets.fetch import CONNECTIONS, Fetcher  # noqa: PLC0415

        return Fetcher(
            self.store,
            policy=self.policy,
            mirrors=self.mirrors,
            offline=self.settings.offline,
            connections=CONNECTIONS if connections is None else connections,
            rate=rate,
            watch=watch,
        )

    def local(self, found: FoundCard, asset: Asset) -> Stored:
        """Verify an asset that stands beside its card.

        Raises:
            AssetError: If it is not there, or is another file.
        """
        if asset.digest is None:
            raise AssetError(
                f"{asset.file_name} has no SHA-256 digest on its card, so its bytes cannot be verified",
                hint="add 'asset-sha256' to the card",
            )
        return self.store.adopt(_local_path(asset, found), asset.digest)

    def stored_weights(self, name: str) -> Path:
        """Return the stored checkpoint of a card.

        Raises:
            AssetError: If the card names none, or it is not stored.
        """
        resolution = self.resolve(name)
        weights = resolution.weights
        if weights is None:
            raise AssetError(f"the card {resolution.uid} names no checkpoint")
        if weights.stored is None:
            raise AssetError(
                f"the checkpoint of {resolution.uid} is not stored",
                hint=f"fetch it with 'hubtool fetch {resolution.uid}'",
            )
        return weights.stored

    def _located(self, asset: Asset, found: FoundCard) -> Path | None:
        if asset.digest is None:
            return None
        if not asset.is_local:
            return self.store.path(asset.digest)
        try:
            return self.store.adopt(_local_path(asset, found), asset.digest).path
        except AssetError:
            return None  # the resolver says so; `fetch` and `load` say why

    def _forbidden(self, link: str) -> str | None:
        try:
            self.policy.check(link)
        except ForbiddenLinkError as error:
            return error.message
        return None


def _local_path(asset: Asset, found: FoundCard) -> Path:
    root = found.root
    base = found.card.path.parent if found.card.path else root
    path = None if base is None else base / unquote(asset.link)
    if path is None or root is None or not path.resolve().is_relative_to(root.resolve()):
        raise ForbiddenLinkError(
            f"the asset link {asset.link!a} leads out of the registry", hint="put the file beside the card"
        )
    return path


def parse_name(name: str) -> Uid:
    """Read a UID, or the URL of a card on the public hub.

    A URL is that of a card's file (``.../mshub_res/assets/mindspore/1.9/NAME.md``) or of its page
    (``...?MindSpore/1.9/NAME``).

    Raises:
        InvalidNameError: If it is neither.
    """
    if not _URL.match(name):
        return Uid.parse(name)
    url = urlsplit(name)
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
