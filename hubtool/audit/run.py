"""Run an audit: gather what the cards say, look at each target once, judge, report."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from hubtool import resources
from hubtool.assets import local_asset
from hubtool.audit import judge, probe, repositories
from hubtool.audit import plan as plans
from hubtool.audit.finding import KINDS, NOTES, AuditFinding
from hubtool.audit.plan import CardFacts, LinkTarget
from hubtool.audit.report import AuditReport
from hubtool.audit.schedule import Schedule
from hubtool.audit.state import AuditRecord, AuditState
from hubtool.card import vocabulary
from hubtool.card.repo_link import place_of
from hubtool.errors import ArgumentError, AssetError, FetchError, HubError, OfflineError
from hubtool.git import hardened
from hubtool.links import shown
from hubtool.resolution.finding import FoundCard
from hubtool.transfer.http import HttpTransport
from hubtool.transfer.limits import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hubtool.audit.plan import AuditPlan, Target
    from hubtool.audit.probe import Seen
    from hubtool.hub import Hub
    from hubtool.registry import Registry
    from hubtool.uid import Uid

JOBS = 8
PER_HOST = 4
RATE = 20.0
ATTEMPTS = 3


class AuditWatcher(Protocol):
    """Receives the progress of an audit; called by several threads, one at a time."""

    def planned(self, plan: AuditPlan, todo: int, *, resumed: bool) -> None:
        """Receive the plan, the number of targets to look at, and whether an interrupted run is resumed."""
        ...

    def looked(self, target: Target, fault: str | None) -> None:
        """Receive a target that was looked at, and the kind of fault, or None."""
        ...

    def waiting(self, host: str, message: str, wait: float) -> None:
        """Receive that no request goes to a host for ``wait`` seconds, and why."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Options of an audit.

    Attributes:
        registry: The name of the only registry to audit; None for all.
        patterns: Only cards whose UIDs match one of these.
        jobs: The most targets at once.
        per_host: The most targets of one host at once.
        rate: The most targets of one host that start per second; 0 for no limit.
        since: Skip targets that were looked at after this time (seconds since 1970).
        deep: Whether all bytes are fetched and hashed.
        restart: Whether to start over instead of resuming an interrupted run.
        accept: Whether the next audits compare with what is there now.
        retries: How often and when to try again; ``patience`` limits what ``Retry-After`` can ask for.
    """

    registry: str | None = None
    patterns: tuple[str, ...] = ()
    jobs: int = JOBS
    per_host: int = PER_HOST
    rate: float = RATE
    since: float | None = None
    deep: bool = False
    restart: bool = False
    accept: bool = False
    retries: RetryPolicy = RetryPolicy(attempts=ATTEMPTS)  # noqa: RUF009 - it is frozen


def audit(hub: Hub, options: AuditOptions | None = None, *, watch: AuditWatcher | None = None) -> AuditReport:
    """Check that the links and repositories of registries still hold what their cards say.

    The results are saved in the home folder, and the next run resumes an interrupted one.

    Args:
        hub: The registries; a lockfile in its settings is ignored.
        options: The options.
        watch: Receives the progress.

    Raises:
        OfflineError: If hubtool must not use the network.
        ArgumentError: If there is no such registry.
        StoreError: If the state cannot be saved, or another audit of the same registries is running.
    """
    options = options or AuditOptions()
    if hub.settings.offline:
        raise OfflineError(
            "an audit asks servers, and the network may not be used",
            hint="run it where HUBTOOL_OFFLINE is not set",
        )
    members = choose(hub, options.registry)
    begun = time.time()
    plan = plans.make(
        gather(hub.with_lock(None), members, options.patterns),
        check=lambda link: hub.policy.check(link).url,
        check_repository=lambda url: _check_repository(hub, url),
    )
    with AuditState(path=state_path(hub.settings.home, members)) as state:
        state.begin(restart=options.restart)
        todo = [target for target in plan.targets if not _is_known(state, target, options)]
        if watch is not None:
            watch.planned(plan, len(todo), resumed=state.resumed)
        with closing(HttpTransport(hub.policy, connections=options.per_host)) as transport:
            _AuditRun(state, transport, options, watch).work(todo)
        if options.accept:
            _accept(state, plan)
        records = {target.key: state.known[target.key] for target in plan.targets}
        # With patterns, the other targets belong to cards that were not asked for.
        state.finish(records if not options.patterns else state.known)
    judged = [note for target in plan.targets for note in judge.judge(target, records[target.key])]
    return AuditReport(
        registries=tuple(_name(member) for member in members),
        begun=begun,
        seconds=time.time() - begun,
        deep=options.deep,
        plan=plan,
        looked=len(todo),
        findings=tuple(
            sorted(
                (note for note in (*plan.findings, *judged) if isinstance(note, AuditFinding)),
                key=lambda one: (list(KINDS).index(one.kind), one.target),
            )
        ),
        notes=tuple(
            sorted(
                (note for note in (*plan.notes, *judged) if not isinstance(note, AuditFinding)),
                key=lambda one: (list(NOTES).index(one.kind), one.target),
            )
        ),
    )


def choose(hub: Hub, name: str | None) -> tuple[Registry, ...]:
    """Return the registries to audit.

    Raises:
        ArgumentError: If there is none of this name.
    """
    members = hub.registries.members
    if name is None:
        return members
    found = tuple(member for member in members if name in (member.name, _name(member)))
    if not found:
        raise ArgumentError(
            f"there is no registry {name!r}", hint=f"there are {', '.join(_name(member) for member in members)}"
        )
    return found


def _name(member: Registry) -> str:
    return "packaged" if member.name == str(resources.registry_folder()) else member.name


def state_path(home: Path, members: Sequence[Registry]) -> Path:
    """Return the file with the state of the audits of these registries."""
    key = hashlib.sha256("\0".join(member.key for member in members).encode()).hexdigest()[:16]
    return home / "audit" / f"{key}.jsonl"


# -- what the cards say --------------------------------------------------------------------------------------------


def gather(hub: Hub, members: Sequence[Registry], patterns: Sequence[str]) -> Iterator[CardFacts]:
    """Yield what each card says; for a UID in several registries, the card of the first one."""
    seen: set[Uid] = set()
    for member in members:
        for uid in member.uids():
            if uid in seen or (patterns and not any(fnmatchcase(str(uid), pattern) for pattern in patterns)):
                continue
            seen.add(uid)
            yield _facts(hub, member, uid)


def _facts(hub: Hub, member: Registry, uid: Uid) -> CardFacts:
    try:
        card = member.read(uid)
    except HubError as error:
        return CardFacts(uid=str(uid), problems=(("card-unreadable", str(uid), error.message),))
    if card is None:
        return CardFacts(uid=str(uid), problems=(("card-unreadable", str(uid), "it was removed while it was read"),))
    problems = []
    found = FoundCard(card=card, root=member.root, registry=member.name)
    for asset in card.assets:
        if asset.is_local:
            try:
                local_asset(hub, found, asset)
            except AssetError as error:
                problems.append(("asset-missing", f"{uid}: {asset.link}", error.message))
    place = None
    try:
        place = place_of(card)
    except ArgumentError as error:
        problems.append(("link-forbidden", f"{uid}: repo-link", error.message))
    stated = card.text("license") or ""
    return CardFacts(
        uid=str(uid),
        assets=card.assets,
        place=place,
        licence=vocabulary.load("licences").find(stated) or stated,
        problems=tuple(problems),
    )


def _check_repository(hub: Hub, url: str) -> None:
    hardened.check_url(url)
    if not url.startswith("file://"):
        hub.policy.check(url)


# -- looking -------------------------------------------------------------------------------------------------------


def _is_known(state: AuditState, target: Target, options: AuditOptions) -> bool:
    """Return whether a target was looked at recently and closely enough."""
    record = state.known.get(target.key)
    if record is None or (options.deep and isinstance(target, LinkTarget) and not record.deep):
        return False
    if not isinstance(target, LinkTarget) and not _has_all(record, target.revisions):
        return False
    return target.key in state.fresh or (options.since is not None and record.at >= options.since)


def _has_all(record: AuditRecord, revisions: Sequence[tuple[str, object]]) -> bool:
    """Return whether all revisions of a repository were looked for: cards may name others now."""
    commits = record.seen.get("commits")
    return "fault" in record.seen or (isinstance(commits, dict) and all(name in commits for name, _ in revisions))


def _accept(state: AuditState, plan: AuditPlan) -> None:
    for target in plan.targets:
        record = state.known[target.key]
        state.add(replace(record, base=judge.base(target, record.seen, record, accept=True)))


class _EndedError(HubError):
    """The run was interrupted."""


class _AuditRun:
    """Threads that look at targets and save the results."""

    def __init__(
        self, state: AuditState, transport: HttpTransport, options: AuditOptions, watch: AuditWatcher | None
    ) -> None:
        self._state = state
        self._transport = transport
        self._options = options
        self._watch = watch
        self._telling = threading.Lock()
        self._ended = threading.Event()
        self._failures: list[BaseException] = []

    def work(self, todo: Sequence[Target]) -> None:
        """Look at all targets; an interrupt ends the threads, and saved results stay.

        Raises:
            StoreError: If the state cannot be saved.
        """
        schedule: Schedule[tuple[Target, int]] = Schedule(
            ((target.host, (target, 1)) for target in todo), per_host=self._options.per_host, rate=self._options.rate
        )
        running = []
        try:
            for _ in range(min(self._options.jobs, len(todo))):
                finished = threading.Event()
                arguments = (schedule, finished)
                threading.Thread(target=self._thread, args=arguments, name="hubtool-audit", daemon=True).start()
                running.append(finished)
            # Not Thread.join: after an interrupt it takes a running thread for a finished one.
            for finished in running:
                while not finished.wait(1.0):
                    pass
        except BaseException:
            self._ended.set()
            schedule.end()
            self._transport.abort()
            deadline = time.monotonic() + 5.0
            for finished in running:
                finished.wait(max(0.0, deadline - time.monotonic()))
            raise
        if self._failures:
            raise self._failures[0]

    def _thread(self, schedule: Schedule[tuple[Target, int]], finished: threading.Event) -> None:
        try:
            while (taken := schedule.take()) is not None:
                host, (target, attempt) = taken
                wait = self._one(target, attempt)
                if wait is None:
                    schedule.done(host)
                else:
                    schedule.again(host, (target, attempt + 1), wait)
        except _EndedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again, in the caller's thread
            self._failures.append(error)
            schedule.end()
        finally:
            finished.set()

    def _one(self, target: Target, attempt: int) -> float | None:
        """Look at a target; return None if that is settled, else the seconds until the next try."""
        retries = self._options.retries
        try:
            seen = self._look(target)
        except FetchError as error:
            self._check()
            message = error.message
            wait = max(retries.pause(attempt), error.wait or 0.0)
            if attempt < retries.attempts and wait <= max(retries.patience_seconds, retries.longest_seconds):
                self._tell(lambda watch: watch.waiting(target.host, message, wait))
                return wait
            kind = "link-unreachable" if isinstance(target, LinkTarget) else "repository-unreachable"
            asks = (
                f"; the server asks to wait {error.wait:.0f} seconds (Retry-After)"
                if wait > retries.patience_seconds
                else ""
            )
            attempts = f"{attempt} attempt{'' if attempt == 1 else 's'}"
            seen = {"fault": kind, "message": f"{_without(message, target)} ({attempts}){asks}"}
        self._check()
        before = self._state.known.get(target.key)
        deep = self._options.deep and isinstance(target, LinkTarget)
        base = judge.base(target, seen, before)
        self._state.add(AuditRecord(key=target.key, at=time.time(), deep=deep, seen=seen, base=base))
        fault = seen.get("fault")
        self._tell(lambda watch: watch.looked(target, str(fault) if fault else None))
        return None

    def _look(self, target: Target) -> Seen:
        if isinstance(target, LinkTarget):
            return probe.probe_link(self._transport, target.link, deep=self._options.deep, pace=self._check)
        return repositories.probe_repository(
            self._transport, target.url, [name for name, _ in target.revisions], check=self._check
        )

    def _check(self) -> None:
        if self._ended.is_set():
            raise _EndedError("the audit was ended")

    def _tell(self, what: Callable[[AuditWatcher], None]) -> None:
        if self._watch is not None:
            with self._telling:
                what(self._watch)


def _without(message: str, target: Target) -> str:
    """Return a message without the link at its beginning, which the report shows anyway."""
    link = target.link if isinstance(target, LinkTarget) else target.url
    return message.removeprefix(f"{shown(link)}: ")
