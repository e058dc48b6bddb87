"""Publishing a card: its files first, then its card, as one commit for review.

The order is what makes it safe to be ended anywhere: a file is visible under its digest when all of it is there, the
branch appears when the commit is right, and the remote has the branch when all of it was pushed. What was done is found
by the next run, which goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hubtool.card import document as documents
from hubtool.card import foreign, model
from hubtool.card import front_matter as front_matters
from hubtool.card.files import read_card_file, uid_of_path
from hubtool.errors import ArgumentError, CardError, FetchError, InvalidNameError, MirrorError, PublishError
from hubtool.git.checkout import Checkout, branch_of
from hubtool.links import shown
from hubtool.mirror.layout import blob_name
from hubtool.publish import bench, blobs, finishing, plan
from hubtool.publish.check import COVERAGE, FORWARD, USAGE, State, card_file, check_card
from hubtool.publish.measuring import measure
from hubtool.sandbox.confine import DEFAULT_LIMITS
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubtool.card.model import Card
    from hubtool.git.checkout import State as Found
    from hubtool.git.remotes import Remote
    from hubtool.hub import Hub
    from hubtool.mirror.destination import Destination
    from hubtool.publish.check import CheckReport, Row
    from hubtool.publish.finishing import Measured
    from hubtool.publish.plan import Change, Todo, Upload
    from hubtool.sandbox.confine import Limits
    from hubtool.uid import Uid

# What git registries bring beside a card; see hubtool.registry.git.
_MOST_BESIDE = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a publication is going to do.

    Attributes:
        checkout: The registry.
        source: The card that was given.
        change: The commit.
        uploads: The files that go to the folder or bucket.
        blobs: That folder or bucket, as the user writes it; None if nothing goes there.
        state: What the checkout and its remote have.
        todo: What is left to be done of the commit.
        notes: What people should know beforehand, one sentence each.
    """

    checkout: Checkout
    source: Path
    change: Change
    uploads: tuple[Upload, ...]
    blobs: str | None
    state: Found
    todo: Todo
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a publication did.

    Attributes:
        uid: The card.
        branch: The branch.
        path: The card's path within the checkout.
        commit: The commit with the card; of a card that is merged already, the default branch's.
        made: Whether this run made the commit.
        pushed: Whether the remote has it.
        already: Whether the default branch has the card already, so that there is nothing to review.
        written: Of each file that went to the folder or bucket, its link, and whether this run wrote it.
        next_step: What is to be done for the review.
        review: The page to open for that, or None where nobody knows it.
        notes: What people should know, one sentence each.
        report: What the check found; None where nothing was checked again.
    """

    uid: Uid
    branch: str
    path: str
    commit: str
    made: bool
    pushed: bool
    already: bool
    written: tuple[tuple[str, bool], ...] = ()
    next_step: str = ""
    review: str | None = None
    notes: tuple[str, ...] = ()
    report: CheckReport | None = None

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool publish --json`` prints."""
        return {
            "uid": str(self.uid),
            "branch": self.branch,
            "card": self.path,
            "commit": self.commit,
            "made": self.made,
            "pushed": self.pushed,
            "already": self.already,
            "assets": [{"link": link, "written": written} for link, written in self.written],
            "next": self.next_step,
            "review": self.review,
            "notes": list(self.notes),
            "check": None if self.report is None else self.report.as_json(),
        }


class CheckFailedError(PublishError):
    """A card that failed its check.

    Attributes:
        report: What the check found.
    """

    def __init__(self, message: str, *, report: CheckReport, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


# -- planning ----------------------------------------------------------------------------------------------------------


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
) -> Plan:
    """Find out what is to be done to publish a card; nothing is changed, but that the remote's branches are fetched.

    Args:
        hub: Settings and registries.
        name: The path of a card, or a UID.
        files: The files that are the card's assets and go to ``to``.
        to: A folder, or ``s3://bucket/prefix``; by default that of the settings.
        link_base: What the links of files there begin with; by default that of the settings, or told by the bucket.
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
    placed, uploads, beside = _place(card, path, finishing.match(card, [_measure(file) for file in files]), to, base)
    final = finishing.finish(data, placed, name=str(path))
    _refuse_secrets(final, path)
    checkout = Checkout.open(registry if registry is not None else _registry(hub, path, uid))
    checkout.check_identity()
    found = checkout.remote(remote)
    notes = _look_at_links(hub, model.read(final, path=path), found)
    branch = branch_of("publish", uid)
    offline = hub.settings.offline
    with checkout.lock():
        state, card_path = checkout.look_for(branch, uid, remote=found, offline=offline)
    above = card_path.rpartition("/")[0]
    change = plan.Change(
        uid=uid,
        verb="Publish",
        branch=branch,
        path=card_path,
        files={card_path: final, **{_below(above, link): content for link, content in beside.items()}},
        message="",
    )
    return Plan(
        checkout=checkout,
        source=path,
        change=replace(change, message=_message(change, uploads, None)),
        uploads=uploads,
        blobs=to if uploads else None,
        state=state,
        todo=plan.decide(change, state, push=push),
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
    said = f"the link {shown(links[0])} leads to this machine, where nobody else can fetch the file"
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
    found = uid_of_path(path) or bench.named_uid(documents.parse(data))
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


def _measure(path: Path) -> Measured:
    """Hash a file; it must not change meanwhile.

    Raises:
        ArgumentError: If it is not a file.
        AssetError: If it cannot be read, or changes.
    """
    if not path.is_file():
        raise ArgumentError(f"there is no file {path}", hint="give the file that is the card's asset")
    return measure(path)


def _place(
    card: Card, path: Path, matched: Mapping[int, Measured], to: str | None, base: str | None
) -> tuple[list[finishing.Placed], tuple[Upload, ...], dict[str, bytes]]:
    """Say where each file of a card goes: to the folder or bucket with its link, or beside the card in git.

    Returns:
        What is written into the card; what goes to the folder or bucket; and the bytes of what goes beside the card, by
        its path from there.
    """
    placed: list[finishing.Placed] = []
    uploads: list[Upload] = []
    beside: dict[str, bytes] = {}
    link_base = None if to is None else blobs.link_base(to, base)
    for at, asset in enumerate(card.assets):
        file = matched.get(at)
        if file is not None:
            finishing.check_digest(asset, file)
            if to is None and not asset.is_local:
                raise PublishError(
                    f"nobody said where {file.path.name} goes",
                    hint="name a folder or a bucket with --blobs, or in 'blobs' of hubtool.toml",
                )
        if file is not None and to is not None:
            if link_base is None:
                raise PublishError(
                    f"what the links to files in {to} begin with cannot be told",
                    hint="say it with --link-base https://..., or in 'link-base' of hubtool.toml",
                )
            link = finishing.link_of(link_base, file, unquote(asset.file_name))
            uploads.append(plan.Upload(file=file, place=f"{to.rstrip('/')}/{blob_name(file.digest)}", link=link))
            placed.append(finishing.Placed(asset=asset, file=file, link=link))
        elif asset.is_local:
            local, content = _beside(path, asset.link, file)
            finishing.check_digest(asset, local)
            placed.append(finishing.Placed(asset=asset, file=local, link=None))
            beside[unquote(asset.link)] = content
    return placed, tuple(uploads), beside


def _beside(card: Path, link: str, given: Measured | None) -> tuple[Measured, bytes]:
    """Read a file that goes beside the card in git."""
    relative = unquote(link)
    root = card.parent.resolve()
    source = given.path if given is not None else card.parent / relative
    parts = relative.split("/")
    if relative.startswith("/") or "\\" in relative or any(part in ("", ".", "..", ".git") for part in parts):
        raise PublishError(f"the asset {link!a} is not beside the card", hint="write a path without '..'")
    if given is None and not (source.is_file() and source.resolve().is_relative_to(root)):
        raise PublishError(f"{source} is not there", hint="put the file there, or correct the card")
    file = _measure(source)
    if file.size > _MOST_BESIDE:
        raise PublishError(
            f"{source} has {file.size:,} bytes, which is too much for git",
            hint=f"put it elsewhere: --asset {source} --blobs DEST",
        )
    return file, source.read_bytes()


def _refuse_secrets(data: bytes, path: Path) -> None:
    found = finishing.secrets(data.decode("utf-8", "replace"))
    if found is not None:
        raise PublishError(
            f"{path}: {found}, and what is published stays in git's history for ever",
            hint="take it out; a file that needs a login cannot be an asset",
        )


def _message(change: Change, uploads: tuple[Upload, ...], report: CheckReport | None) -> str:
    card = model.read(change.data, uid=change.uid)
    details = []
    for asset in card.assets:
        size = f"{asset.size:,} bytes, " if asset.size else ""
        details.append(f"Asset {unquote(asset.file_name)}: {size}sha256 {asset.digest}")
    if report is not None:
        by_state = {
            state: [row.name for row in report.rows if row.state is state] for state in (State.PASSED, State.IMPOSSIBLE)
        }
        told = f"Checked with hubtool {__version__}: passed {', '.join(by_state[State.PASSED])}"
        if by_state[State.IMPOSSIBLE]:
            told += f"; not possible: {', '.join(by_state[State.IMPOSSIBLE])}"
        details.append(told)
    details += [f"Stored as {one.link.partition('#')[0]}" for one in uploads]
    return plan.message(change.verb, change.uid, card.text("summary") or "", tuple(details))


# -- acting ------------------------------------------------------------------------------------------------------------


def publish(
    hub: Hub,
    todo: Plan,
    *,
    push: bool = False,
    trust: bool = False,
    checkout: Path | None = None,
    unproven: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    tell: Callable[[Row], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Publication:
    """Do what was planned: check, put the files, commit the card, push.

    Args:
        hub: Settings, registries and store.
        todo: The plan.
        push: Whether the branch is pushed; as in the plan.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        unproven: Whether a card is published whose network could not be tried here.
        limits: What a program of the check may take.
        tell: Called with each row of the check as soon as it is there.
        say: Called with each step as it is done, one sentence.

    Raises:
        CheckFailedError: If the check fails, or could not try the network.
        HubError: If a file cannot be put, or git refuses; nothing half published is visible then.
    """
    told = say if say is not None else _silent
    report = None
    change = todo.change
    if not todo.todo.merged:
        report = _check(hub, todo, trust=trust, checkout=checkout, limits=limits, tell=tell)
        _judge(report, unproven=unproven)
        change = replace(change, message=_message(change, todo.uploads, report))
    written = _put(hub, todo, told)
    notes = _ask_links(hub, todo)
    done = commit(todo.checkout, change, remote=todo.state.remote, offline=hub.settings.offline, push=push, say=told)
    return replace(done, written=written, report=report, notes=(*done.notes, *todo.notes, *notes))


def _silent(text: str) -> None:
    """Say nothing."""


def _check(
    hub: Hub,
    todo: Plan,
    *,
    trust: bool,
    checkout: Path | None,
    limits: Limits,
    tell: Callable[[Row], None] | None,
) -> CheckReport:
    """Check the very bytes that are going to be committed, at a place like theirs."""
    change = todo.change
    above = change.path.removesuffix(str(change.uid.path))
    with tempfile.TemporaryDirectory(prefix="hubtool-publish-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve() / "registry"
        for path, data in change.files.items():
            target = root / path.removeprefix(above)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return check_card(
            hub,
            root / change.uid.path,
            assets=[one.file.path for one in todo.uploads],
            trust=trust,
            checkout=checkout,
            limits=limits,
            tell=tell,
        )


def _judge(report: CheckReport, *, unproven: bool) -> None:
    failed = [row.name for row in report.rows if row.state is State.FAILED]
    if failed:
        raise CheckFailedError(
            f"the check failed: {', '.join(failed)}", report=report, hint="nothing was published; mend these"
        )
    untried = [row for row in report.rows if row.state is State.IMPOSSIBLE and row.name in (COVERAGE, FORWARD, USAGE)]
    if untried and not unproven:
        raise CheckFailedError(
            f"the network could not be tried here: {untried[0].name}: {untried[0].reason}",
            report=report,
            hint="publish where it can be tried; or with --unproven, and the commit says that it was not",
        )


def _put(hub: Hub, todo: Plan, say: Callable[[str], None]) -> tuple[tuple[str, bool], ...]:
    if todo.blobs is None:
        return ()
    written = []
    place = blobs.open_blobs(todo.blobs, offline=hub.settings.offline)
    if not place.is_folder:
        _try_links(hub, todo, place)
    for one in todo.uploads:
        new = blobs.put(place, one.file)
        written.append((one.link, new))
        say(f"{'put' if new else 'found'} {one.file.path.name} ({one.file.size:,} bytes) at {one.place}")
    return tuple(written)


def _try_links(hub: Hub, todo: Plan, place: Destination) -> None:
    """See, before anything large is uploaded, that what is in a bucket can be fetched without a login.

    Raises:
        PublishError: If it cannot.
    """
    from hubtool.transfer.http import HttpTransport  # noqa: PLC0415 - it brings requests, which few commands need

    first = todo.uploads[0]
    base = first.link.partition("#")[0].removesuffix(blob_name(first.file.digest))
    name = f"readable-{os.urandom(8).hex()}.txt"
    place.write({name: b"hubtool asks whether everybody can read what is here.\n"})
    try:
        with contextlib.closing(HttpTransport(hub.policy)) as transport:
            transport.probe(hub.policy.check(f"{base}{name}")).raise_for_status()
    except FetchError as error:
        raise PublishError(
            f"nobody could fetch from {todo.blobs}: a small file was put there, and its link does not give it: "
            f"{error.message}",
            hint="nothing was published; check --link-base, and that everybody may read what is in the bucket",
        ) from error
    finally:
        # Some keys may write and not delete; the file is small.
        with contextlib.suppress(MirrorError):
            place.remove([name])


def _ask_links(hub: Hub, todo: Plan) -> tuple[str, ...]:
    """See that the links give what was put there, before a card names them."""
    if not todo.uploads:
        return ()
    if hub.settings.offline:
        return ("whether the links answer was not asked: the network may not be used (offline)",)
    from hubtool.transfer.http import HttpTransport  # noqa: PLC0415 - it brings requests, which few commands need

    with contextlib.closing(HttpTransport(hub.policy)) as transport:
        for one in todo.uploads:
            hint = f"check --link-base, and that everybody may read what is in {todo.blobs}; then run the same again"
            try:
                seen = transport.probe(hub.policy.check(one.link))
                seen.raise_for_status()
            except FetchError as error:
                raise PublishError(
                    f"{one.file.path.name} is stored, but its link does not give it: {error.message}", hint=hint
                ) from error
            if seen.size not in (None, one.file.size):
                raise PublishError(
                    f"{one.file.path.name} is stored, but its link gives {seen.size:,} bytes, not {one.file.size:,}",
                    hint=hint,
                )
    return ()


def commit(
    checkout: Checkout,
    change: Change,
    *,
    remote: Remote | None,
    offline: bool,
    push: bool,
    say: Callable[[str], None] = _silent,
) -> Publication:
    """Make the commit of a change on its branch, and push it; what is there already is not made again.

    Raises:
        PublishError: If git refuses, or somebody else's work is in the way.
    """
    _refuse_secrets(change.message.encode("utf-8"), Path("the commit's message"))
    with checkout.lock():
        state = checkout.look(change.branch, change.path, remote=remote, offline=offline)
        todo = plan.decide(change, state, push=push)
        made = todo.commit
        if made is None:
            made = checkout.make_commit(state.head.commit, change.branch, change.files, change.message)
            say(f"committed {change.path} as {made[:12]} on the branch {change.branch}")
        pushed = todo.at_remote and state.remote is not None
        if todo.push and state.remote is not None:
            made = _push(checkout, change, state, made, offline=offline)
            pushed = True
            say(f"pushed {change.branch} to {state.remote.shown}")
    step, review = plan.next_steps(change, state, pushed=pushed)
    return Publication(
        uid=change.uid,
        branch=change.branch,
        path=change.path,
        commit=made,
        made=todo.commit is None,
        pushed=pushed,
        already=todo.merged,
        next_step="" if todo.merged else step,
        review=None if todo.merged else review,
        notes=todo.notes,
    )


def _push(checkout: Checkout, change: Change, state: Found, made: str, *, offline: bool) -> str:
    """Push a commit; return the commit that the remote has, which is another run's if that was faster."""
    if state.remote is None:
        return made
    done = checkout.push(state.remote, made, change.branch)
    if done.code == 0:
        return made
    # Perhaps somebody pushed the same card in between, or a run that was killed had done it all but for the answer.
    after = checkout.look(change.branch, change.path, remote=state.remote, offline=offline)
    if after.theirs is not None or after.head.data == change.data:
        found = plan.decide(change, after, push=False)
        if found.at_remote and found.commit is not None:
            return found.commit
    raise PublishError(
        f"{state.remote.shown} does not take {change.branch}: {done.why}",
        hint=f"the commit is on the branch {change.branch} here; mend that, and run the same again",
    )
