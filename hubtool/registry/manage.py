"""Add, list, sync and remove registries."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.errors import ArgumentError, FetchError
from hubtool.registry import Registries, open_source, sources
from hubtool.registry.folder import FolderRegistry
from hubtool.registry.index import SearchIndex
from hubtool.registry.published.client import PublishedRegistry
from hubtool.registry.published.index import INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.registry import Registry
    from hubtool.registry.changes import Changes
    from hubtool.registry.index import Conflict
    from hubtool.registry.sources import RegistrySource
    from hubtool.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredPublisher:
    """A publisher of an added registry whose cards are not used: their number, and why."""

    publisher: str
    cards: int
    reason: str

    def as_json(self) -> dict[str, object]:
        """Return the members that JSON outputs have."""
        return {"publisher": self.publisher, "cards": self.cards, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRegistry:
    """One registry as ``hubtool registry list`` shows it.

    Attributes:
        name: Its name; for a registry of the settings, its folder.
        kind: ``folder``, ``git`` or ``published``.
        location: Its folder, repository or address.
        origin: The file or variable that names it.
        cards: The number of cards known on this machine.
        revision: The commit of the last sync of a repository, or None.
        synced: Whether its cards or its index were fetched; always true for a folder.
        source: The added source, or None for a registry of the settings.
        ignored: The publishers whose cards are not used.
    """

    name: str
    kind: str
    location: str
    origin: str
    cards: int
    revision: str | None
    synced: bool
    source: RegistrySource | None
    ignored: tuple[IgnoredPublisher, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool registry list --json`` prints."""
        added = {} if self.source is None else self.source.as_json()
        return {
            "name": self.name,
            "kind": self.kind,
            "source": self.location,
            "origin": self.origin,
            "revision": added.get("revision"),
            "subfolder": added.get("subfolder"),
            "commit": self.revision,
            "synced": self.synced,
            "cards": self.cards,
            "ignored": [one.as_json() for one in self.ignored],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """The result of syncing one registry.

    Attributes:
        name: The registry.
        cards: The number of its cards.
        revision: The commit of a repository, or None.
        passed_over: The number of skipped files of a repository.
        serial: The serial of the index of a published registry, or None.
        changes: What changed since the last sync; None for a folder.
        ignored: The publishers whose cards are not used.
        error: Why it could not be synced, or None.
        hint: What to do about the error, or None.
    """

    name: str
    cards: int = 0
    revision: str | None = None
    passed_over: int = 0
    serial: int | None = None
    changes: Changes | None = None
    ignored: tuple[IgnoredPublisher, ...] = ()
    error: str | None = None
    hint: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool registry sync --json`` prints."""
        return {
            "name": self.name,
            "cards": self.cards,
            "commit": self.revision,
            "passed_over": self.passed_over,
            "serial": self.serial,
            "changes": None if self.changes is None else self.changes.as_json(),
            "ignored": [one.as_json() for one in self.ignored],
            "error": self.error,
        }


def add(source: RegistrySource, current: Settings) -> SyncResult:
    """Add a registry after the others, and fetch what it needs: all of that, or nothing is added.

    The cards of a repository are fetched; of a published registry only the index, and cards one by one later. For a
    folder that is a mirror or a published registry, its folder ``cards`` is added.

    Raises:
        ArgumentError: If the name is taken, or the source has no cards where they should be.
        SettingsError: If it cannot be saved.
        FetchError: If it cannot be fetched.
        StoreError: If the fetched files cannot be saved.
    """
    path = sources.file()
    known = sources.load(path)
    taken = [one for one in known if one.name == source.name]
    if taken:
        raise ArgumentError(
            f"there is a registry {source.name} already, from {taken[0].location}",
            hint=f"choose another name, or remove it: hubtool registry remove {source.name}",
        )
    if source.kind == "folder":
        source = _with_cards(source)
    brought = bring(source, current, whole=source.kind == "git")
    sources.save(path, (*sources.load(path), source))
    return brought


def _with_cards(source: RegistrySource) -> RegistrySource:
    """Return the source of the folder that has the cards.

    Raises:
        ArgumentError: If it has no cards; the hint names the folder that has.
    """
    from hubtool.card import empty_folder  # noqa: PLC0415 - only adding needs it

    folder = Path(source.location)
    if (folder / INDEX).is_file() and any(True for _ in FolderRegistry(folder / "cards").uids()):
        return replace(source, location=str(folder / "cards"))
    uids = list(FolderRegistry(folder).uids())
    if not uids:
        why, hint = empty_folder.explain(folder)
        raise ArgumentError(why, hint=hint)
    above = sources.misplaced(uids)
    if above:
        raise ArgumentError(
            f"{folder} is one level above the cards: they would be {uids[0]}", hint=f"give {folder / above}"
        )
    return source


def bring(
    source: RegistrySource,
    current: Settings,
    *,
    whole: bool = True,
    allow_rollback: bool = False,
    accept_changes: bool = False,
) -> SyncResult:
    """Fetch a registry again.

    Args:
        source: The registry.
        current: The settings.
        whole: Whether to fetch everything that lists and searches need, not only the head of an index.
        allow_rollback: Whether to accept an earlier index of a published registry.
        accept_changes: Whether to accept cards that load or run something else than before.

    Raises:
        RollbackError: If its index is older than the one that was seen last.
        FetchError: If it cannot be fetched.
        StoreError: If the fetched files cannot be saved.
    """
    opened = open_source(source, current)
    if isinstance(opened, PublishedRegistry):
        if not whole:
            index = opened.check(allow_rollback=allow_rollback)[0]
            return SyncResult(name=source.name, cards=index.cards, serial=index.serial, ignored=ignored(opened))
        done = opened.sync(allow_rollback=allow_rollback, accept_changes=accept_changes)
        return SyncResult(
            name=source.name, cards=done.cards, serial=done.serial, changes=done.changes, ignored=ignored(opened)
        )
    if source.kind == "git":
        from hubtool.links import LinkPolicy  # noqa: PLC0415 - folders do without
        from hubtool.registry import git  # noqa: PLC0415 - as above

        policy = LinkPolicy.configured(current)
        synced = git.sync(
            source,
            source.folder(current.home),
            policy=policy,
            offline=current.offline,
            accept_changes=accept_changes,
        )
        return SyncResult(
            name=source.name,
            cards=synced.cards,
            revision=synced.revision,
            passed_over=synced.passed_over,
            changes=synced.changes,
            ignored=ignored(open_source(source, current)),
        )
    return SyncResult(name=source.name, cards=sum(1 for _ in opened.uids()), ignored=ignored(opened))


def ignored(registry: Registry) -> tuple[IgnoredPublisher, ...]:
    """Return the publishers of a registry whose cards are not used, among the cards known on this machine."""
    if not isinstance(registry, (FolderRegistry, PublishedRegistry)):
        return ()
    why: dict[str, list[str]] = {}
    for uid in registry.all_uids():
        reason = registry.objection(uid)
        if reason is not None:
            why.setdefault(uid.publisher, []).append(reason)
    return tuple(IgnoredPublisher(publisher=one, cards=len(all_), reason=all_[0]) for one, all_ in sorted(why.items()))


def sync(
    names: Sequence[str], current: Settings, *, allow_rollback: bool = False, accept_changes: bool = False
) -> tuple[list[SyncResult], list[Conflict]]:
    """Fetch added registries again; a registry that fails keeps its cards, and its result says why.

    Args:
        names: The registries to sync; all if empty.
        current: The settings.
        allow_rollback: Whether to accept an earlier index of a published registry.
        accept_changes: Whether to accept cards that load or run something else than before.

    Returns:
        The results, and the UIDs under which registries have different cards.

    Raises:
        ArgumentError: If there is no registry of a name.
    """
    brought = []
    for source in [_named(name) for name in names] if names else sources.load(sources.file()):
        try:
            brought.append(bring(source, current, allow_rollback=allow_rollback, accept_changes=accept_changes))
        except FetchError as error:  # noqa: PERF203 - one failure must not stop the others
            brought.append(SyncResult(name=source.name, error=error.message, hint=error.hint))
    with SearchIndex.open(current.home, Registries.open(current).members) as index:
        return brought, index.conflicts()


def remove(name: str, current: Settings) -> None:
    """Remove an added registry and its fetched files. An added folder itself stays unchanged.

    Raises:
        ArgumentError: If there is no registry of this name.
        SettingsError: If the list of registries cannot be saved.
    """
    source = _named(name)
    path = sources.file()
    sources.save(path, [one for one in sources.load(path) if one.name != name])
    if source.kind != "folder":
        shutil.rmtree(source.folder(current.home), ignore_errors=True)


def listing(current: Settings) -> tuple[list[ListedRegistry], list[Conflict]]:
    """Return all registries in the order in which they are asked, and the UIDs with different cards in several."""
    registries = Registries.open(current)
    added = {source.name: source for source in sources.load(sources.file())}
    found = []
    with SearchIndex.open(current.home, registries.members) as index:
        for at, registry in enumerate(registries.members):
            source = added.get(registry.name) if at >= len(current.registry) else None
            found.append(
                ListedRegistry(
                    name=registry.name,
                    kind="folder" if source is None else source.kind,
                    location=str(registry.root) if source is None else source.location,
                    origin=current.origins["registry"] if source is None else str(sources.file()),
                    cards=_cards(registry, index),
                    revision=_revision(source, current),
                    synced=_synced(registry),
                    source=source,
                    ignored=ignored(registry) if source is not None else (),
                )
            )
        return found, index.conflicts()


def _cards(registry: object, index: SearchIndex) -> int:
    if isinstance(registry, PublishedRegistry):
        return registry.synced() or 0
    return index.count(registry) if isinstance(registry, FolderRegistry) else 0


def _synced(registry: object) -> bool:
    if isinstance(registry, PublishedRegistry):
        return registry.synced() is not None
    return isinstance(registry, FolderRegistry) and registry.root.is_dir()


def _revision(source: RegistrySource | None, current: Settings) -> str | None:
    if source is None or source.kind != "git":
        return None
    from hubtool.registry import git  # noqa: PLC0415 - most users have none

    synced = git.synced(source.folder(current.home))
    return synced.revision if synced else None


def _named(name: str) -> RegistrySource:
    known = sources.load(sources.file())
    for source in known:
        if source.name == name:
            return source
    if not known:
        raise ArgumentError(f"there is no registry {name[:64]!a}: none was added", hint="see 'hubtool registry list'")
    raise ArgumentError(
        f"there is no registry {name[:64]!a}", hint=f"the added ones are {', '.join(one.name for one in known)}"
    )


def narrowed(registries: Registries, names: Sequence[str]) -> Registries:
    """Return only the registries of these names; all if there are none.

    Raises:
        ArgumentError: If there is no registry of a name.
    """
    known = {one.name: one for one in registries.members}
    for name in names:
        if name not in known:
            raise ArgumentError(f"there is no registry {name[:200]!a}", hint=f"there are {', '.join(known)}")
    return replace(registries, members=tuple(one for one in registries.members if one.name in names or not names))


def ages(registries: Registries, current: Settings) -> list[str]:
    """Return one sentence for each added registry that is synced: how old its copy on this machine is."""
    added = {source.name: source for source in sources.load(sources.file()) if source.kind != "folder"}
    said = []
    for registry in registries.members:
        source = added.get(registry.name)
        if source is None:
            continue
        folder = source.folder(current.home)
        renews = f"`hubtool registry sync {source.name}` renews it"
        try:
            # Each sync rewrites these files.
            then = (folder / ("seen.json" if source.kind == "published" else "state.json")).stat().st_mtime
        except OSError:
            said.append(f"registry {source.name}: not synced yet; {renews}")
            continue
        days = int(max(0.0, time.time() - then) // 86400)
        ago = "today" if days == 0 else "1 day ago" if days == 1 else f"{days:,} days ago"
        said.append(f"registry {source.name}: as of {time.strftime('%Y-%m-%d', time.localtime(then))}, {ago}; {renews}")
    return said
