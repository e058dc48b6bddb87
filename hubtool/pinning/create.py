"""Make a lockfile: short digests become whole, branches become commits, and changes are reported.

Unknown sizes and digests come from the store, then from the index of a mirror, and last from fetching the file. A short
digest is completed only with bytes from the card's own link. Nothing is written unless everything is known.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hubtool import resources
from hubtool.assets import local_asset
from hubtool.card import model
from hubtool.card import status as statuses
from hubtool.errors import ArgumentError, AssetError, CardError, CardNotFoundError, HubError, LockfileError
from hubtool.git.code import CodeStore
from hubtool.links import shown
from hubtool.lockfile import lockfile as locks
from hubtool.lockfile.lockfile import LockedAsset, LockedCard, LockedCode, LockedRecipe, Lockfile
from hubtool.pinning.mirrored import MirrorReader
from hubtool.registry.entry import digest_of
from hubtool.registry.published.client import PublishedRegistry
from hubtool.resolution import resolver
from hubtool.resolution.finding import whole_name
from hubtool.store import cards
from hubtool.transfer.events import FetchRequest, Labels, total
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hubtool.card.model import Asset
    from hubtool.hub import Hub
    from hubtool.registry import Registries
    from hubtool.resolution.finding import FoundCard
    from hubtool.store.records import Stored
    from hubtool.transfer.events import EventCallback
    from hubtool.transfer.fetcher import Fetcher

_GLOB = frozenset("*?[")


@dataclass(slots=True, kw_only=True)
class _Item:
    """One card on its way into the lockfile, with what is known about each asset, in the card's order."""

    uid: str
    found: FoundCard
    raw: tuple[Asset, ...]
    digest: str
    recipe: LockedRecipe | None
    known: list[LockedAsset | None]


def expand(registries: Registries, names: Iterable[str]) -> list[str]:
    """Return the UIDs that names and patterns (``mindspore/1.9/*``) stand for, each once, in their order.

    Raises:
        InvalidNameError: If a name is neither a UID nor the URL of a card.
        CardNotFoundError: If no card matches a pattern.
    """
    every: list[str] | None = None
    found: list[str] = []
    for name in names:
        if _GLOB.isdisjoint(name) or "://" in name:
            found.append(str(whole_name(name, registries)))
            continue
        if every is None:
            every = sorted(map(str, registries.uids()))
        matching = [uid for uid in every if fnmatchcase(uid, name)]
        if not matching:
            raise CardNotFoundError(f"no card's UID matches {name}", hint="'hubtool list' shows what there is")
        found += matching
    return list(dict.fromkeys(found))


def lock(
    hub: Hub,
    uids: Sequence[str],
    *,
    before: Lockfile | None = None,
    update: bool = False,
    watch: EventCallback | None = None,
    expect: Callable[[int, int | None], None] | None = None,
) -> tuple[LockedCard, ...]:
    """Return what UIDs stand for, to the byte. The cards themselves are kept in the store.

    Assets are fetched if their size or whole digest is not known; code is always fetched.

    Args:
        hub: The registries and the store; a lockfile in its settings is ignored.
        uids: The UIDs.
        before: The previous lockfile. A withdrawn card can stay in it, but cannot be added.
        update: Whether to look up the commits of branches and tags again. Otherwise they keep the commits of their
            first fetch on this machine, which is also what loads without a lockfile.
        watch: Receives the events of fetching.
        expect: Receives the number of files to fetch, and their bytes if every card states them.

    Raises:
        LockfileError: If a card cannot be locked; every problem is named.
        HubError: If the store or a mirror cannot be used.
    """
    hub = hub.with_lock(None)
    problems: list[str] = []
    items: list[_Item] = []
    with hub.fetcher(watch=watch) as run:
        mirrors = MirrorReader(run.mirrors, offline=hub.settings.offline)
        for uid in uids:
            with _noted(uid, problems):
                items.append(_item(hub, uid, mirrors, before or Lockfile(cards=())))
        if not problems:
            problems += _fetch(run, items, expect)
    made = []
    codes = CodeStore(hub.store, hub.policy, offline=hub.settings.offline)
    for item in items if not problems else ():
        with _noted(item.uid, problems):
            made.append(_locked(hub, item, _code(item, codes, update=update)))
    if problems:
        more = f" (and {len(problems) - 20} more)" if len(problems) > 20 else ""
        raise LockfileError(
            "not everything can be locked: " + "; ".join(problems[:20]) + more,
            hint="nothing was written; fix these, or leave these UIDs out",
        )
    return tuple(made)


def merged(before: Lockfile, made: Iterable[LockedCard], *, remove: Iterable[str] = ()) -> Lockfile:
    """Return a lockfile with some cards renewed or added, some removed, and the others unchanged.

    Raises:
        ArgumentError: If a UID to remove is not in it.
    """
    cards_by_uid = {card.uid: card for card in before.cards}
    for uid in remove:
        if cards_by_uid.pop(uid, None) is None:
            raise ArgumentError(
                f"{uid} is not in the lockfile, so it cannot be removed", hint="open it to see what is in it"
            )
    cards_by_uid.update((card.uid, card) for card in made)
    return Lockfile(cards=tuple(cards_by_uid[uid] for uid in locks.in_order(cards_by_uid)))


@contextmanager
def _noted(uid: str, problems: list[str]) -> Iterator[None]:
    """Collect an error instead of raising it."""
    try:
        yield
    except HubError as error:
        message = error.message if uid in error.message else f"{uid}: {error.message}"
        problems.append(message if error.hint is None else f"{message} ({error.hint})")


def _item(hub: Hub, uid: str, mirrors: MirrorReader, before: Lockfile) -> _Item:
    """Read a card, and collect what is known about its assets without fetching them."""
    found = hub.borrow(hub.find(uid))
    path = found.card.path
    if found.card.uid is None or path is None:
        raise LockfileError(f"{uid} is a card outside a registry, which cannot be locked", hint="give its UID")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    raw = model.read(data, uid=found.card.uid, path=path)
    if raw.values != found.card.values:
        raise CardError(f"the card {uid} changed while it was read", hint="run the command again")
    if raw.faults and not raw.assets:
        raise CardError(raw.blame(f"the card {uid} names no assets"), hint="fix the card")
    # The published bytes are pinned; a status entry can come and change later.
    data = statuses.without_status(data)
    status, pinned = found.card.status, before.card(uid)
    if status is not None and status.is_withdrawn and (pinned is None or pinned.sha256 != digest_of(data)):
        raise LockfileError(
            f"{status.describe(uid)}: a withdrawn card is not pinned again",
            hint=f"pin {status.successor} instead" if status.successor else "pin another card",
        )
    cards.keep(hub.store, data)
    known = [
        _known(hub, found, asset, here, mirrors) for asset, here in zip(raw.assets, found.card.assets, strict=True)
    ]
    return _Item(
        uid=str(found.card.uid),
        found=found,
        raw=raw.assets,
        digest=digest_of(data),
        recipe=_recipe(hub, found),
        known=known,
    )


def _recipe(hub: Hub, found: FoundCard) -> LockedRecipe | None:
    """Keep the card whose recipe this one borrows, and return its entry; None if it borrows none."""
    if found.loan is None or found.loan.uid is None:
        return None
    uid = Uid.parse(found.loan.uid)
    card = next((one.read(uid) for one in hub.registries.members if one.name == found.loan.registry), None)
    if card is None or card.path is None or card.recipe != found.card.recipe:
        raise CardError(f"the card {uid} changed while it was read", hint="run the command again")
    data = statuses.without_status(card.path.read_bytes())
    cards.keep(hub.store, data)
    return LockedRecipe(uid=str(uid), sha256=digest_of(data))


def _known(hub: Hub, found: FoundCard, asset: Asset, here: Asset, mirrors: MirrorReader) -> LockedAsset | None:
    """Return the entry of an asset if it is known without fetching the file.

    Args:
        hub: The store.
        found: The card.
        asset: The asset as written on the card.
        here: The asset as the registry returns it: with an absolute link, perhaps with a whole digest.
        mirrors: The indexes of mirrors.
    """
    if asset.digest is None or here.digest is None:
        raise AssetError(
            f"{asset.file_name} has no SHA-256 digest on the card, so its bytes cannot be pinned",
            hint="add 'asset-sha256' to the card",
        )
    stored = local_asset(hub, found, here) if here.is_local else hub.store.find(here.digest, link=here.link)
    if stored is not None:
        return _fitting(asset, stored.digest, stored.size)
    if not here.digest.is_short and asset.size is not None:
        return LockedAsset(link=asset.link, sha256=here.digest.hex, size=asset.size)
    # A short digest is completed only with bytes from the card's own link.
    listed = None if here.digest.is_short else mirrors.asset(str(found.card.uid), asset)
    return None if listed is None else _fitting(asset, *listed)


def _fitting(asset: Asset, digest: str, size: int) -> LockedAsset:
    if asset.size is not None and asset.size != size:
        raise AssetError(
            f"the card says that {asset.file_name} has {asset.size:,} bytes, and the file with its digest has {size:,}",
            hint="correct 'asset-size' on the card",
        )
    return LockedAsset(link=asset.link, sha256=digest, size=size)


def _fetch(run: Fetcher, items: list[_Item], expect: Callable[[int, int | None], None] | None) -> list[str]:
    """Fetch the assets that are not known yet; return the problems."""
    missing = [(item, at) for item in items for at, known in enumerate(item.known) if known is None]
    labels = Labels()
    wanted = [labels.label(_wanted(item.found.card.assets[at], item.uid)) for item, at in missing]
    if expect is not None:
        expect(len(wanted), total(wanted))
    problems: list[str] = []
    for (item, at), outcome in zip(missing, run.fetch_all(wanted), strict=True):
        asset = item.raw[at]
        with _noted(item.uid, problems):
            if outcome.error is not None:
                raise outcome.error
            stored = _stored(outcome.stored)
            item.known[at] = _fitting(asset, stored.digest, stored.size)
    return problems


def _stored(stored: Stored | None) -> Stored:
    if stored is None:
        raise AssetError("the asset was not fetched")
    return stored


def _wanted(asset: Asset, uid: str) -> FetchRequest:
    return FetchRequest(link=asset.link, digest=asset.digest, size=asset.size, name=asset.file_name, uid=uid)


def _code(item: _Item, codes: CodeStore, *, update: bool) -> LockedCode | None:
    place = locks.code_place(item.found.card) if item.found.loan is None else item.found.place
    if place is None:
        return None
    code = codes.refresh(place) if update else codes.fetch(place)
    return LockedCode(repository=place.url, commit=code.commit, folder=place.folder, tree=code.tree)


def _locked(hub: Hub, item: _Item, code: LockedCode | None) -> LockedCard:
    return LockedCard(
        uid=item.uid,
        sha256=item.digest,
        registry=_registry(hub, item.found.registry),
        mindspore=resolver.requires(item.found.card.recipe).get("mindspore"),
        assets=tuple(known for known in item.known if known is not None),
        code=code,
        recipe=item.recipe,
    )


def _registry(hub: Hub, name: str | None) -> str:
    """Return the name of a registry in lockfiles, which means something on every machine."""
    member = next((one for one in hub.registries.members if one.name == name), None)
    if isinstance(member, PublishedRegistry):
        return shown(member.source.location)
    if name == str(resources.registry_folder()):
        return "packaged"
    # The name of a folder in the settings is its path, which means something on one machine only.
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] if name else ""
