"""What one command works with: the settings, the registries, the store, and the rules for links, put together.

Where the settings name a lock, nothing is found but what it pins: see :mod:`hubtool.lockfile.pins`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool import settings
from hubtool.card.repository import place_of
from hubtool.errors import (
    ArgumentError,
    AssetError,
    CardError,
    CardNotFoundError,
    CheckpointError,
    DigestError,
    ForbiddenLinkError,
    InvalidNameError,
    LockError,
    OfflineError,
    RecipeError,
    SettingsError,
    StoreError,
)
from hubtool.links import shown
from hubtool.registry import Registries
from hubtool.registry.folder import read_card
from hubtool.store.store import Store
from hubtool.uid import Uid

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Asset, Card, Recipe
    from hubtool.checkpoint.coverage import Fit
    from hubtool.digest import Digest
    from hubtool.links import LinkPolicy
    from hubtool.lockfile.pins import Pin
    from hubtool.registry import Other
    from hubtool.resolve.resolver import Resolution
    from hubtool.resolve.trust import Decision
    from hubtool.settings import Settings
    from hubtool.store.store import Stored
    from hubtool.transfer.events import Progress, Watcher
    from hubtool.transfer.fetcher import Fetcher

SOURCES = ("gitee", "github", "local")
_URL = re.compile(r"https?://", re.IGNORECASE)
# No UID begins with one of these.
_PATH_STARTS = ("/", "./", "../", "~/", ".\\", "..\\", "~\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCard:
    """A card, and where it was found.

    Attributes:
        card: The card.
        root: The folder that its local assets must be in; None if it has none.
        registry: The registry that it is of, or None for a card outside a registry.
        others: Later registries that have its UID too, with other bytes; of a pinned card, every registry.
        pin: What the lock says of it that it is held to; None where there is no lock.
    """

    card: Card
    root: Path | None
    registry: str | None = None
    others: tuple[Other, ...] = ()
    pin: Pin | None = None


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
        from hubtool.links import LinkPolicy  # noqa: PLC0415

        current = settings.load() if current is None else current
        return cls(
            settings=current,
            registries=Registries.open(current),
            store=Store(current.home, shared=current.stores),
            policy=LinkPolicy.configured(current),
        )

    @property
    def mirrors(self) -> tuple[str, ...]:
        """Where files are looked for by their digest: the mirrors of the settings, then published registries."""
        return tuple(dict.fromkeys((*self.settings.mirrors, *self.registries.mirrors)))

    def find(self, name: str, *, source: str = "gitee") -> FoundCard:
        """Find a card by its UID, by its URL on the public hub, or by its path.

        Where the settings name a lock, the card is the one that it pins, with its whole digests.

        Args:
            name: The name; what it is a name of, ``source`` says: a path if ``local``, else a UID or a URL. A path that
                ends in ``.md`` and exists is a path in any case.
            source: One of :data:`SOURCES`.

        Raises:
            InvalidNameError: If the name is malformed.
            CardNotFoundError: If there is no such card.
            CardError: If it cannot be read.
            LockError: If there is a lock, and it does not have the card, or what is there is not what it pins.
        """
        path = settings.expand_user(name) if "\0" not in name else None
        is_path = source == "local" or (
            name.endswith(".md") and not _URL.match(name) and path is not None and path.is_file()
        )
        if is_path or (name.endswith(".md") and not _URL.match(name)):
            if path is None or not path.is_file():
                raise CardError(f"there is no card at {ascii(name)[1:-1]}", hint="give the path of a card's .md file")
            if self.settings.lock is not None:
                raise LockError(
                    f"{path} is a card outside a registry, which no lock pins",
                    hint=f"{self.settings.lock} is in force; unset HUBTOOL_LOCK (or 'lock' in hubtool.toml) to use it",
                )
            return FoundCard(card=read_card(path.absolute(), None), root=path.absolute().parent)
        if name.startswith(_PATH_STARTS):
            raise InvalidNameError(
                f"{name[:200]!a} is not a UID, and no card: there is no file of that path that ends in .md",
                hint="give the path of a card's .md file, or a UID: publisher/version/name",
            )
        uid = parse_name(name)
        if self.settings.lock is not None:
            return self.find_pinned(uid, self.settings.lock)
        card, registry = self.registries.read(uid)
        others = self.registries.others(uid, registry)
        return FoundCard(card=card, root=registry.root, registry=registry.name, others=others)

    def with_lock(self, path: Path | None) -> Hub:
        """Return the same, held to a lock; None frees it from any."""
        return replace(self, settings=replace(self.settings, lock=path))

    def find_pinned(self, uid: Uid, path: Path) -> FoundCard:
        """Find the card that a lock pins: in the registries, or as ``hubtool sync`` stored it.

        Its assets have the whole digests and the sizes of the lock.

        Raises:
            LockError: If the lock does not have it, contradicts it, or nothing here is what it pins.
        """
        from hubtool.lockfile import pins  # noqa: PLC0415 - most runs have no lock

        pin = pins.pin(uid, path)
        found = pins.find(uid, pin, self.registries, self.store)
        return FoundCard(card=found.card, root=found.root, registry=found.registry, others=found.others, pin=pin)

    def resolve(self, name: str, *, device: str = "auto", source: str = "gitee") -> Resolution:
        """Resolve a card; nothing is fetched and nothing is run.

        Raises:
            InvalidNameError: If the name is malformed.
            CardNotFoundError: If there is no such card.
            CardError: If it cannot be read.
            ArgumentError: If there is no such device.
        """
        return self.resolve_found(self.find(name, source=source), device=device)

    def resolve_found(self, found: FoundCard, *, device: str = "auto") -> Resolution:
        """Resolve a card that was found already, as :meth:`resolve` does; it is not read again.

        Raises:
            ArgumentError: If there is no such device.
        """
        from hubtool.resolve import (
            machine,
            resolver,
        )

        return resolver.resolve(
            found.card,
            locate=lambda asset: self._located(asset, found),
            forbidden=self._forbidden,
            machine=machine.probe(),
            offline=self.settings.offline,
            device=device,
            registry=found.registry,
            others=found.others,
            pinned=found.pin is not None,
            more_reasons=(
                *self._pin_reasons(found),
                *_missing(found.card.recipe),
                *self._untrusted(found),
                *self._code_missing(found),
            ),
            consent=self.consent(found),
            compare=_compare,
        )

    def decide(self, found: FoundCard) -> Decision | None:
        """Return whether the code that a card chooses may run; None if nothing in it needs the user's consent.

        Raises:
            ArgumentError: If its repo-link does not name a repository.
            CheckpointError: If it is a MindIR whose operators cannot be read.
            RecipeError: If the arguments of its recipe are too large.
            SettingsError: If the user's trust list cannot be read.
        """
        from hubtool.resolve import trust as trusts  # noqa: PLC0415 (not needed to fetch)
        from hubtool.resolve.resolver import choose_graph  # noqa: PLC0415 - as above

        graph = choose_graph(found.card)
        if graph is not None:
            stored = self.stored(found, graph) if graph.is_mindir else None
            if stored is None:
                return None
            return trusts.decide_graph(stored.path, stored.digest, trusts.read(), agreed_now=trusts.agreed_by())
        recipe = found.card.recipe
        if recipe is None or recipe.provider not in ("package", "repository"):
            return None
        if recipe.provider == "package":
            return trusts.decide_call(recipe, trusts.read(), agreed_now=trusts.agreed_by())
        place = place_of(found.card)
        return None if place is None else trusts.decide(place.url, trusts.read(), agreed_now=trusts.agreed_by())

    def consent(self, found: FoundCard) -> str | None:
        """Say what the user still has to agree to before a card is loaded; None if there is nothing."""
        try:
            decision = self.decide(found)
        except (ArgumentError, CheckpointError, RecipeError):
            return None
        if decision is None or decision.allowed or decision.entry is None:
            return None
        return f"{decision.why}; {decision.hint}"

    def _untrusted(self, found: FoundCard) -> tuple[str, ...]:
        try:
            decision = self.decide(found)
        except ArgumentError as error:
            return (f"its network is built with code of a repository, and {error.message}",)
        except (CheckpointError, RecipeError) as error:
            return (error.message,)
        if decision is None or decision.entry is not None:
            return ()
        return (f"{decision.why}; {decision.hint}",)

    def _code_missing(self, found: FoundCard) -> tuple[str, ...]:
        """Say that the code of a repository is not stored, where it cannot be fetched."""
        if not self.settings.offline or found.card.recipe is None or found.card.recipe.provider != "repository":
            return ()
        from hubtool.git.code import CodeStore  # noqa: PLC0415 (not needed to fetch)

        try:
            place = place_of(found.card)
        except ArgumentError:
            return ()  # said already
        if place is None:
            return ()
        place = place if found.pin is None else found.pin.place(place)
        if CodeStore(self.store, self.policy, offline=True).find(place) is not None:
            return ()
        why = f"the code of {shown(place.url)} is not stored, and the network may not be used"
        return (f"{why}: 'hubtool load' fetches it where HUBTOOL_OFFLINE is not set",)

    def _pin_reasons(self, found: FoundCard) -> tuple[str, ...]:
        """Say why what is pinned does not load here, beyond what holds for every card.

        Raises:
            LockError: If the code that is stored for the locked commit is not the locked code.
        """
        if found.pin is None:
            return ()
        from hubtool.resolve import machine  # noqa: PLC0415 (not needed to fetch)

        version = machine.probe().mindspore
        why = found.pin.check_machine(version)
        from hubtool.lockfile.lockfile import code_place  # noqa: PLC0415 - most runs have no lock

        place = code_place(found.card)
        if place is not None:
            from hubtool.git.code import CodeStore  # noqa: PLC0415 - most runs have no lock

            code = CodeStore(self.store, self.policy, offline=True).find(found.pin.place(place))
            if code is not None:
                found.pin.check_tree(code.tree)
        return () if why is None else (why,)

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
            return self.local(found, asset)
        from hubtool.transfer.fetcher import fetch  # noqa: PLC0415

        try:
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
        except DigestError as error:
            if found.pin is None:
                raise
            raise found.pin.error(error.message, hint=error.hint) from error

    def references(self) -> dict[Digest, tuple[str, ...]]:
        """Return the digests that the cards of the registries state, whole or short, with the cards' UIDs.

        What the lock of the settings pins counts too, although registries may have moved on. Cards that cannot be read
        name nothing; ``hubtool validate`` reports them.

        Raises:
            LockError: If there is a lock that cannot be read: then what it needs is not known.
        """
        found: dict[Digest, list[str]] = {}
        if self.settings.lock is not None:
            from hubtool.digest import Digest  # noqa: PLC0415 - most runs have no lock
            from hubtool.lockfile.lockfile import read  # noqa: PLC0415 - as above

            for card in read(self.settings.lock).cards:
                for locked in card.assets:
                    found.setdefault(Digest(locked.sha256), []).append(card.uid)
        # What a registry elsewhere has, and no one here has asked for, has no asset here.
        registries = Registries.open(replace(self.settings, offline=True))
        for uid in registries.uids():
            with suppress(CardError, CardNotFoundError, OfflineError):
                for asset in registries.read(uid)[0].assets:
                    if asset.digest is not None:
                        found.setdefault(asset.digest, []).append(str(uid))
        return {digest: tuple(dict.fromkeys(uids)) for digest, uids in found.items()}

    def fetcher(
        self, *, connections: int | None = None, rate: float | None = None, watch: Watcher | None = None
    ) -> Fetcher:
        """Begin a run of fetching many assets; see :class:`hubtool.transfer.fetcher.Fetcher`.

        Args:
            connections: The most connections at once; the usual number, unless given.
            rate: The most bytes per second, all connections together.
            watch: Told what happens.

        Raises:
            SettingsError: If the address of a mirror of the settings cannot be one.
            ArgumentError: If that of another mirror cannot.
        """
        from hubtool.transfer.fetcher import CONNECTIONS, Fetcher  # noqa: PLC0415
        from hubtool.transfer.mirrors import mirror_base  # noqa: PLC0415

        try:
            for mirror in self.settings.mirrors:
                mirror_base(mirror)
        except ArgumentError as error:
            raise SettingsError(f"{self.settings.called('mirrors')}: {error.message}", hint=error.hint) from None
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
        """Verify an asset that stands beside its card; one that a lock pins may also be in the store, or in a mirror.

        Raises:
            AssetError: If it is not there, or is another file.
        """
        if asset.digest is None:
            raise AssetError(
                f"{asset.file_name} has no SHA-256 digest on its card, so its bytes cannot be verified",
                hint="add 'asset-sha256' to the card",
            )
        if found.pin is None:
            return fitting(found, asset, self.store.adopt(_local_path(asset, found), asset.digest, size=asset.size))
        stored = self.beside(found, asset) or self.store.find(asset.digest)
        if stored is not None:
            return fitting(found, asset, stored)
        from hubtool.transfer.events import Wanted  # noqa: PLC0415 - as in `bring`

        with (
            suppress(ForbiddenLinkError, OfflineError),
            self.fetcher() as run,
        ):  # its own link is not one that can be fetched
            return run.fetch(Wanted(link=asset.link, digest=asset.digest, size=asset.size, name=asset.file_name))
        raise found.pin.error(
            f"the asset {asset.link}, with the SHA-256 {asset.digest}, stands beside its card, and neither a registry, "
            "the store nor a mirror has it",
            hint="name a mirror that has it (HUBTOOL_MIRRORS), or the registry as it was",
        )

    def beside(self, found: FoundCard, asset: Asset) -> Stored | None:
        """Return an asset that stands beside the card of a pinned UID in any registry, if it is the right one."""
        if asset.digest is None or found.card.uid is None:
            return None
        for member in self.registries.members:
            if member.root is not None:
                near = replace(
                    found, root=member.root, card=replace(found.card, path=member.root / found.card.uid.path)
                )
                with suppress(AssetError):
                    return self.store.adopt(_local_path(asset, near), asset.digest)
        return None

    def stored_weights(self, name: str) -> Path:
        """Return the stored checkpoint of a card.

        Raises:
            AssetError: If the card names none, or it is not stored.
        """
        resolution = self.resolve(name)
        weights = resolution.weights
        if weights is None:
            raise AssetError(f"the card {resolution.uid} names no checkpoint")
        if not weights.asset.is_weights:
            raise AssetError(
                f"{weights.asset.file_name} of {resolution.uid} is not a checkpoint but a graph in the format "
                f"{weights.asset.format}, run by {weights.asset.runner}",
                hint=f"'hubtool load {resolution.uid}' loads it",
            )
        if weights.stored is None:
            if weights.asset.is_local:
                found = self.find(name)
                return self.bring(found, weights.asset).path  # it fails, and says why
            raise AssetError(
                f"the checkpoint of {resolution.uid} is not stored",
                hint=f"fetch it with 'hubtool fetch {resolution.uid}'",
            )
        return weights.stored

    def stored(self, found: FoundCard, asset: Asset) -> Stored | None:
        """Return the verified file of an asset if it is here; nothing is fetched."""
        if asset.digest is None:
            return None
        if not asset.is_local:
            return self.store.find(asset.digest)
        if found.pin is not None:
            return self.beside(found, asset) or self.store.find(asset.digest)
        try:
            return self.store.adopt(_local_path(asset, found), asset.digest, size=asset.size)
        except AssetError:
            return None

    def _located(self, asset: Asset, found: FoundCard) -> Path | None:
        if asset.digest is None:
            return None
        try:
            if not asset.is_local:
                stored = self.store.find(asset.digest, link=asset.link)
            elif found.pin is not None:
                stored = self.beside(found, asset) or self.store.find(asset.digest)
            else:
                stored = self.store.adopt(_local_path(asset, found), asset.digest, size=asset.size)
            return None if stored is None else fitting(found, asset, stored).path
        except StoreError:
            if not asset.is_local:
                raise
            return None
        except (AssetError, LockError):
            return None  # the resolver says so; `fetch` and `load` say why

    def _forbidden(self, link: str) -> str | None:
        try:
            self.policy.check(link)
        except ForbiddenLinkError as error:
            return error.message
        return None


def fitting(found: FoundCard, asset: Asset, stored: Stored) -> Stored:
    """Return a file if it has as many bytes as the card or the lock states.

    Raises:
        AssetError: If the card states another size.
        LockError: If the lock does.
    """
    if stored.fits(asset.size):
        return stored
    problem = f"{asset.file_name} is stated to have {asset.size:,} bytes, and the file with its SHA-256 has "
    problem += f"{stored.size:,}"
    if found.pin is not None:
        raise found.pin.error(problem)
    raise AssetError(found.card.blame(problem), hint="correct 'asset-size' on the card")


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


def _missing(recipe: Recipe | None) -> tuple[str, ...]:
    """Say which of the distributions that a recipe needs are not installed, or not in a version that it takes."""
    from hubtool import requirements  # noqa: PLC0415 (not needed to fetch)

    try:
        wanting = requirements.unmet(() if recipe is None else recipe.requires)
    except RecipeError as error:
        return (error.message,)
    return tuple(f"{why}: pip install '{text}'" for text, why in wanting)


def _compare(path: Path, recipe: Recipe) -> Fit | None:
    """Compare a stored checkpoint with the parameters that a recipe recorded; None where nothing can be compared."""
    if recipe.parameters_digest is None:
        return None
    from hubtool.checkpoint import coverage  # noqa: PLC0415 - only for what is stored
    from hubtool.checkpoint.header import read_header  # noqa: PLC0415 - as above

    try:
        shapes = read_header(path).shapes()
    except CheckpointError:
        return None  # loading it says what is wrong with the file
    return coverage.compare(
        shapes,
        digest=recipe.parameters_digest,
        count=recipe.parameters,
        ignore=recipe.ignore,
        arguments=recipe.arguments,
    )
