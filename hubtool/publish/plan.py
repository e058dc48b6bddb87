"""The plan of a publication: where each file goes, what the card will say, and what is left to be done in git."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hubtool.card import document as documents
from hubtool.card import foreign, model
from hubtool.card import front_matter as front_matters
from hubtool.card.files import read_card_file, uid_of_path
from hubtool.errors import CardError, InvalidNameError, PublishError
from hubtool.git.checkout import Checkout, branch_of
from hubtool.links import shown
from hubtool.mirror.layout import blob_name
from hubtool.publish import blobs
from hubtool.publish.change import RegistryChange, decide, message, refuse_secrets
from hubtool.publish.check_rows import RowState
from hubtool.publish.write_links import PlacedAsset, link_of, write_links
from hubtool.verification.asset_file import check_digest, match, measure
from hubtool.verification.card_file import card_file
from hubtool.verification.workspace import named_uid
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.git.checkout import CheckoutState
    from hubtool.git.remotes import Remote
    from hubtool.hub import Hub
    from hubtool.publish.change import ChangeSteps
    from hubtool.publish.check_rows import CheckReport
    from hubtool.uid import Uid
    from hubtool.verification.asset_file import AssetFile

# What git registries bring beside a card; see hubtool.registry.git.
_MAX_BESIDE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file that goes to the folder or bucket.

    Attributes:
        file: The file.
        place: The name that messages and links give to where it goes, with its name there.
        link: Its link.
    """

    file: AssetFile
    place: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPlan:
    """What a publication is going to do.

    Attributes:
        checkout: The registry.
        source: The card that was given.
        change: The commit.
        uploads: The files that go to the folder or bucket.
        blobs: That folder or bucket, as the user writes it; None if nothing goes there.
        state: What the checkout and its remote have.
        todo: What is left to be done of the commit.
        notes: Notes for the user, one sentence each.
    """

    checkout: Checkout
    source: Path
    change: RegistryChange
    uploads: tuple[Upload, ...]
    blobs: str | None
    state: CheckoutState
    todo: ChangeSteps
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """What is going to be done, in order, one sentence each."""
        steps = [f"put {one.file.path.name} ({one.file.size:,} bytes) to {one.place}" for one in self.uploads]
        beside = [path for path in self.change.files if path != self.change.path]
        what = self.change.path + (f", and beside it {', '.join(beside)}" if beside else "")
        if self.todo.merged:
            steps.append(f"nothing in git: {self.state.base} has the card already")
        elif self.todo.commit is not None:
            steps.append(f"no commit: {self.todo.commit[:12]} has {what} already")
        else:
            steps.append(f"check {self.source.name}")
            steps.append(f"commit {what} on the branch {self.change.branch}, from {self.state.base}")
        if self.todo.push and self.state.remote is not None:
            steps.append(f"push {self.change.branch} to {self.state.remote.shown}")
        return tuple(steps)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool publish --dry-run --json`` prints."""
        return {
            "uid": str(self.change.uid),
            "branch": self.change.branch,
            "base": self.state.base,
            "card": self.change.path,
            "registry": str(self.checkout.top),
            "assets": [
                {"file": str(one.file.path), "digest": one.file.digest, "size": one.file.size, "link": one.link}
                for one in self.uploads
            ],
            "steps": list(self.steps),
            "notes": [*self.todo.notes, *self.notes],
        }


def make_plan(
    hub: Hub,
    name: str,
    *,
    files: Sequence[Path] = (),
    to: str | None = None,
    link_base: str | None = None,
    registry: Path | None = None,
    remote: str | None = None,
    push: bool = False,
) -> PublishPlan:
    """Plan the publication of a card. Only the remote's branches are fetched; nothing else changes.

    Args:
        hub: Settings and registries.
        name: The path of a card, or a UID.
        files: The files that are the card's assets and go to ``to``.
        to: A folder, or ``s3://bucket/prefix``; by default that of the settings.
        link_base: What the links of files there begin with; by default that of the settings, or the bucket's.
        registry: The registry's git checkout, or a folder in it; by default the one that the card is in, else the
            first registry of the settings.
        remote: The git remote; by default ``origin``, or the only one.
        push: Whether the branch is to be pushed.

    Raises:
        HubError: If the card cannot be published like this; the subclasses and messages say why.
    """
    path, _ = card_file(hub, name)
    try:
        data = read_card_file(str(path))[1]
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    card = model.read(data, path=path)
    _refuse_foreign(data, path)
    uid = _uid(path, data)
    to = to if to is not None else hub.settings.blobs
    base = link_base if link_base is not None else hub.settings.link_base
    placed, uploads, beside = _place(card, path, match(card, [measure(file) for file in files]), to, base)
    final = write_links(data, placed, name=str(path))
    refuse_secrets(final.decode("utf-8", "replace"), path)
    checkout = Checkout.open(registry if registry is not None else _registry(hub, path, uid))
    checkout.check_identity()
    found = checkout.remote(remote)
    notes = _look_at_links(hub, model.read(final, path=path), found)
    branch = branch_of("publish", uid)
    offline = hub.settings.offline
    with checkout.lock():
        state, card_path = checkout.look_for(branch, uid, remote=found, offline=offline)
    above = card_path.rpartition("/")[0]
    change = RegistryChange(
        uid=uid,
        verb="Publish",
        branch=branch,
        path=card_path,
        files={card_path: final, **{_below(above, link): content for link, content in beside.items()}},
        message="",
    )
    return PublishPlan(
        checkout=checkout,
        source=path,
        change=replace(change, message=commit_message(change, uploads, None)),
        uploads=uploads,
        blobs=to if uploads else None,
        state=state,
        todo=decide(change, state, push=push),
        notes=notes,
    )


def _look_at_links(hub: Hub, card: Card, remote: Remote | None) -> tuple[str, ...]:
    """Refuse links to this machine in a card for a registry that is elsewhere; return what to say of them otherwise.

    Raises:
        PublishError: If others read the registry, and the host is not among the allowed ones of the settings.
    """
    from hubtool.card.rules.assets import is_only_here  # noqa: PLC0415 - the rules are loaded by the check anyway

    hosts = frozenset(hub.settings.allowed_hosts)
    links = [asset.link for asset in card.assets if is_only_here(asset.link, hosts)]
    if not links or (remote is not None and remote.is_loopback):
        return ()  # a registry that this machine serves is read where the links lead
    said = f"the link {shown(links[0])} leads to this machine, where other users cannot fetch the file"
    if remote is None or remote.is_local:
        return (said,)
    raise PublishError(
        f"{said}, and {remote.shown} is a registry that others read",
        hint="give the public address with --link-base; if every reader has this service, name it in "
        "HUBTOOL_ALLOWED_HOSTS, such as http://127.0.0.1:8000",
    )


def _refuse_foreign(data: bytes, path: Path) -> None:
    document = documents.parse(data)
    text = document.front_matter
    whose = None if text is None else foreign.hub_of(front_matters.read(text, document.front_matter_offset))
    if whose is not None:
        raise CardError(f"{path} is a {whose} model card", hint=foreign.HINT)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _uid(path: Path, data: bytes) -> Uid:
    """Return the UID of a card: the one that its path gives, else the one that its usage block loads."""
    found = uid_of_path(path) or named_uid(documents.parse(data))
    if found is None:
        raise CardError(
            f"{path}: neither its path nor its usage block says which UID this card has",
            hint="put it at <publisher>/<version>/<name>.md",
        )
    return found


def _registry(hub: Hub, path: Path, uid: Uid) -> Path:
    """Return the registry to publish to where none is named: the one that the card is in, else that of the settings."""
    tried = []
    with contextlib.suppress(InvalidNameError):
        if uid_of_path(path) == uid:
            tried.append(path.parents[str(uid).count("/")])
    tried += [path.parent, *hub.settings.registry]
    for folder in tried:
        with contextlib.suppress(PublishError):
            Checkout.open(folder)
            return folder
    raise PublishError(
        "neither the card nor a registry of the settings is in a git checkout",
        hint="name the registry's git checkout with --registry",
    )


def _place(
    card: Card, path: Path, matched: Mapping[int, AssetFile], to: str | None, base: str | None
) -> tuple[list[PlacedAsset], tuple[Upload, ...], dict[str, bytes]]:
    """Return where each file of a card goes: to the folder or bucket with its link, or beside the card in git.

    Returns:
        What is written into the card; what goes to the folder or bucket; and the bytes of what goes beside the card, by
        its path from there.
    """
    placed: list[PlacedAsset] = []
    uploads: list[Upload] = []
    beside: dict[str, bytes] = {}
    link_base = None if to is None else blobs.link_base(to, base)
    for at, asset in enumerate(card.assets):
        file = matched.get(at)
        if file is not None:
            check_digest(asset, file)
            if to is None and not asset.is_local:
                raise PublishError(
                    f"it is not known where {file.path.name} goes",
                    hint="name a folder or a bucket with --blobs, or in 'blobs' of hubtool.toml",
                )
        if file is not None and to is not None:
            if link_base is None:
                raise PublishError(
                    f"what the links to files in {to} begin with is not known",
                    hint="say it with --link-base https://..., or in 'link-base' of hubtool.toml",
                )
            link = link_of(link_base, file, unquote(asset.file_name))
            uploads.append(Upload(file=file, place=f"{to.rstrip('/')}/{blob_name(file.digest)}", link=link))
            placed.append(PlacedAsset(asset=asset, file=file, link=link))
        elif asset.is_local:
            local, content = _beside(path, asset.link, file)
            check_digest(asset, local)
            placed.append(PlacedAsset(asset=asset, file=local, link=None))
            beside[unquote(asset.link)] = content
    return placed, tuple(uploads), beside


def _beside(card: Path, link: str, given: AssetFile | None) -> tuple[AssetFile, bytes]:
    """Read a file that goes beside the card in git."""
    relative = unquote(link)
    root = card.parent.resolve()
    source = given.path if given is not None else card.parent / relative
    parts = relative.split("/")
    if relative.startswith("/") or "\\" in relative or any(part in ("", ".", "..", ".git") for part in parts):
        raise PublishError(f"the asset {link!a} is not beside the card", hint="write a path without '..'")
    if given is None and not (source.is_file() and source.resolve().is_relative_to(root)):
        raise PublishError(f"{source} is not there", hint="put the file there, or correct the card")
    file = measure(source)
    if file.size > _MAX_BESIDE_BYTES:
        raise PublishError(
            f"{source} has {file.size:,} bytes, which is too much for git",
            hint=f"put it elsewhere: --asset {source} --blobs DEST",
        )
    return file, source.read_bytes()


def commit_message(change: RegistryChange, uploads: tuple[Upload, ...], report: CheckReport | None) -> str:
    """Return the message of the commit that publishes a card: its summary, its assets, and what the check found."""
    card = model.read(change.data, uid=change.uid)
    details = []
    for asset in card.assets:
        size = f"{asset.size:,} bytes, " if asset.size else ""
        details.append(f"Asset {unquote(asset.file_name)}: {size}sha256 {asset.digest}")
    if report is not None:
        by_state = {
            state: [row.name for row in report.rows if row.state is state]
            for state in (RowState.PASSED, RowState.IMPOSSIBLE)
        }
        told = f"Checked with hubtool {__version__}: passed {', '.join(by_state[RowState.PASSED])}"
        if by_state[RowState.IMPOSSIBLE]:
            told += f"; not possible: {', '.join(by_state[RowState.IMPOSSIBLE])}"
        details.append(told)
    details += [f"Stored as {one.link.partition('#')[0]}" for one in uploads]
    return message(change.verb, change.uid, card.text("summary") or "", tuple(details))
