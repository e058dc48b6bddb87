"""Download exactly what a lockfile pins: cards and assets by their digests, code by its commits.

A card comes from any place with the pinned bytes: the store, a registry or a mirror. Everything is kept in the store,
so that pinned cards load later and offline, even if registries change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hubtool import regular
from hubtool.card import model
from hubtool.card import status as statuses
from hubtool.digest import Digest
from hubtool.errors import DigestError, HubError, LockfileError, StoreError
from hubtool.git.code import CodeStore
from hubtool.lockfile import pins
from hubtool.lockfile.lockfile import code_place, misfits
from hubtool.lockfile.pins import Pin
from hubtool.pinning import status
from hubtool.pinning.mirrored import MirrorReader
from hubtool.registry.entry import digest_of
from hubtool.resolution.stored import check_size, local_copy
from hubtool.store import cards
from hubtool.transfer.events import FetchRequest, Labels, total
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hubtool.card.model import Asset
    from hubtool.card.status import Status
    from hubtool.git.code import Code
    from hubtool.hub import Hub
    from hubtool.lockfile.lockfile import LockedAsset, Lockfile
    from hubtool.resolution.finding import FoundCard
    from hubtool.store.records import Stored
    from hubtool.store.store import Store
    from hubtool.transfer.events import EventCallback
    from hubtool.transfer.fetcher import Fetcher


@dataclass(slots=True, kw_only=True)
class SyncedCard:
    """The result for one card of a lockfile.

    Attributes:
        uid: Its UID.
        assets: The assets that are stored now: link, and verified file.
        code: Its code if that is stored now, or None.
        brought: The links of the assets, and the repository of the code, that were not stored before.
        status: Whether the card was deprecated or withdrawn since; None if that is not known or not so.
        errors: What is missing (a link, a repository, or the UID itself), and why.
    """

    uid: str
    assets: list[tuple[str, Stored]] = field(default_factory=list)
    code: Code | None = None
    brought: set[str] = field(default_factory=set)
    status: Status | None = None
    errors: list[tuple[str, HubError]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        value: dict[str, object] = {
            "uid": self.uid,
            "assets": [
                {
                    "link": link,
                    "digest": one.digest,
                    "size": one.size,
                    "stored": str(one.path),
                    "brought": link in self.brought,
                }
                for link, one in self.assets
            ],
            "status": None if self.status is None else self.status.as_json(),
        }
        if self.code is not None:
            value["code"] = {
                "repository": self.code.url,
                "commit": self.code.commit,
                "folder": self.code.folder,
                "tree": self.code.tree,
                "stored": str(self.code.path),
                "brought": self.code.url in self.brought,
            }
        if self.errors:
            value["failed"] = [{"link": link, "error": one.message, "hint": one.hint} for link, one in self.errors]
        return value


def sync(
    hub: Hub,
    lock: Lockfile,
    path: Path,
    *,
    connections: int | None = None,
    rate: float | None = None,
    watch: EventCallback | None = None,
    expect: Callable[[int, int | None], None] | None = None,
) -> list[SyncedCard]:
    """Download everything that a lockfile pins into the store; a missing file does not stop the rest.

    Args:
        hub: The registries, mirrors and the store; a lockfile in its settings is ignored.
        lock: The lockfile.
        path: Where the lockfile is, for messages.
        connections: The most connections at once; None for the default.
        rate: The most bytes per second, all connections together.
        watch: Receives the events.
        expect: Receives the numbers of files and bytes to fetch.

    Returns:
        The result for each card, in the lockfile's order.

    Raises:
        HubError: If the store or a mirror cannot be used at all.
    """
    hub = hub.with_lock(path)
    done: list[SyncedCard] = []
    wanted: list[tuple[SyncedCard, Pin, LockedAsset, FetchRequest]] = []
    labels = Labels()
    with hub.fetcher(connections=connections, rate=rate, watch=watch) as run:
        mirrors = MirrorReader(run.mirrors, offline=hub.settings.offline)
        pinned = []
        for locked in lock.cards:
            card, pin = SyncedCard(uid=locked.uid), Pin(path=path, card=locked)
            done.append(card)
            try:
                found = _bring_card(hub, pin, mirrors)
                _bring_lender(hub, pin, mirrors)
            except HubError as error:
                card.errors.append((locked.uid, error))
                continue
            card.status = found.card.status or status.of(hub, locked.uid) or mirrors.statuses.get(locked.uid)
            pinned.append((card, pin, found))
            for asset, one in zip(found.card.assets, locked.assets, strict=True):
                try:
                    # Before anything is fetched, so that `brought` is right.
                    if hub.store.find_unverified(one.sha256) is None:
                        card.brought.add(one.link)
                    stored = _copied(hub, found, asset) if asset.is_local else None
                except HubError as error:
                    card.errors.append((one.link, error))
                    continue
                if stored is not None:
                    card.assets.append((one.link, stored))
                else:
                    wanted.append((card, pin, one, labels.label(_wanted(asset, one, locked.uid))))
        _fetch(run, wanted, expect)
    codes = CodeStore(hub.store, hub.policy, offline=hub.settings.offline)
    for card, pin, found in pinned:
        _bring_code(card, pin, found, codes)
    return done


def _wanted(asset: Asset, locked: LockedAsset, uid: str) -> FetchRequest:
    digest = Digest(locked.sha256)
    return FetchRequest(link=asset.link, digest=digest, size=locked.size, name=asset.file_name, uid=uid)


def _bring_card(hub: Hub, pin: Pin, mirrors: MirrorReader) -> FoundCard:
    """Find the card with the pinned bytes, also in mirrors, and keep it."""
    uid, digest = Uid.parse(pin.card.uid), pin.card.sha256
    try:
        found = hub.with_lock(pin.path).find(pin.card.uid)
    except LockfileError as error:
        data, others = (None, []) if cards.find(hub.store, digest) else mirrors.card(pin.card.uid, digest)
        if data is None:
            error.message += "".join(f"; {other}" for other in dict.fromkeys(others))
            error.message += "".join(
                f"; the mirror {name} cannot be asked: {why}" for name, why in mirrors.failures.items()
            )
            raise
        # Checked before it is kept: a lockfile that contradicts its card must leave nothing in the store.
        wrong = misfits(pin.card, model.read(data, uid=uid))
        if wrong:
            raise pins.contradiction(pin, wrong) from None
        cards.keep(hub.store, data)
        return hub.with_lock(pin.path).find(pin.card.uid)
    if found.card.path is not None and found.registry is not None:
        try:
            data = found.card.path.read_bytes()
            cards.keep(hub.store, data if digest_of(data) == digest else statuses.without_status(data))
        except OSError as error:
            raise StoreError(f"{found.card.path} cannot be read: {error.strerror or error}") from error
    return found


def _bring_lender(hub: Hub, pin: Pin, mirrors: MirrorReader) -> None:
    """Keep the card whose recipe a pinned card borrows, also from mirrors."""
    recipe = pin.card.recipe
    if recipe is None:
        return
    try:
        found = pins.lender(pin, hub.registries, hub.store)
        data = None if found is None else found[1]
    except LockfileError:
        data, _ = mirrors.card(recipe.uid, recipe.sha256)
        if data is None:
            raise
    if data is not None:
        cards.keep(hub.store, data if digest_of(data) == recipe.sha256 else statuses.without_status(data))


def _copied(hub: Hub, found: FoundCard, asset: Asset) -> Stored | None:
    """Copy an asset beside its card into the store; None if it has to come from a mirror."""
    if asset.digest is None:
        return None
    stored = hub.store.find(asset.digest)
    if stored is not None:
        return check_size(found, asset, stored)
    beside = local_copy(found, asset, registries=hub.registries, store=hub.store)
    return None if beside is None else _copy(hub.store, check_size(found, asset, beside), asset.digest)


def _copy(store: Store, beside: Stored, digest: Digest) -> Stored:
    try:
        with (
            regular.open_file(beside.path) as stream,
            store.writer(digest, source=str(beside.path), size=beside.size) as writer,
        ):
            while block := stream.read(1 << 20):
                writer.write(block)
            return writer.commit()
    except OSError as error:
        raise StoreError(f"{beside.path} cannot be read: {error.strerror or error}") from error


def _fetch(
    run: Fetcher,
    wanted: list[tuple[SyncedCard, Pin, LockedAsset, FetchRequest]],
    expect: Callable[[int, int | None], None] | None,
) -> None:
    # A file that several cards pin is fetched once.
    first: dict[str, FetchRequest] = {}
    for _, _, one, asked in wanted:
        first.setdefault(one.sha256, asked)
    if expect is not None:
        expect(len(first), total(first.values()))
    outcomes = dict(zip(first, run.fetch_all(first.values()), strict=True))
    for card, pin, one, asked in wanted:
        outcome = outcomes[one.sha256]
        if outcome.error is not None and asked.link != first[one.sha256].link:
            outcome = run.fetch_all([asked])[0]  # the same bytes from this card's own link
        if outcome.stored is not None:
            card.assets.append((one.link, outcome.stored))
        elif outcome.error is not None:
            card.errors.append((one.link, _told(pin, one, outcome.error)))


def _told(pin: Pin, one: LockedAsset, error: HubError) -> HubError:
    if "://" not in one.link:
        return pin.error(
            f"the asset {one.link}, with the SHA-256 {one.sha256}, belongs beside its card, and neither a registry "
            "nor a mirror has it",
            hint="name a mirror that has it (HUBTOOL_MIRRORS), or the registry as it was",
        )
    return pin.error(error.message, hint=error.hint) if isinstance(error, DigestError) else error


def _bring_code(card: SyncedCard, pin: Pin, found: FoundCard, codes: CodeStore) -> None:
    borrows = pin.card.recipe is not None
    place = code_place(found.card) if not borrows else None if pin.card.code is None else found.place
    if place is None:
        return
    try:
        at = pin.place(place)
        was_there = codes.find(at) is not None
        code = codes.fetch(at)
        pin.check_tree(code.tree)
    except HubError as error:
        card.errors.append((place.url, error))
    else:
        card.code = code
        if not was_there:
            card.brought.add(code.url)
