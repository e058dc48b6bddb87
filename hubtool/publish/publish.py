"""Publishing a card: its files first, then its card, as one commit for review.

The order makes it safe to be killed at any moment: a file is visible under its digest when it is complete, the branch
appears when the commit is right, and the remote has the branch when all of it was pushed. The next run finds what was
done, and continues from there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.errors import FetchError, MirrorError, PublishError
from hubtool.mirror.layout import blob_name
from hubtool.publish import blobs
from hubtool.publish.change import commit
from hubtool.publish.check import check_card
from hubtool.publish.check_rows import COVERAGE, FORWARD, USAGE, RowState
from hubtool.publish.plan import commit_message
from hubtool.sandbox.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.hub import Hub
    from hubtool.mirror.destination import Destination
    from hubtool.publish.change import Publication
    from hubtool.publish.check_rows import CheckReport, CheckRow
    from hubtool.publish.plan import PublishPlan
    from hubtool.sandbox.limits import ProgramLimits


class CheckFailedError(PublishError):
    """A card that failed its check.

    Attributes:
        report: What the check found.
    """

    def __init__(self, message: str, *, report: CheckReport, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


def publish(
    hub: Hub,
    todo: PublishPlan,
    *,
    push: bool = False,
    trust: bool = False,
    checkout: Path | None = None,
    unproven: bool = False,
    limits: ProgramLimits = DEFAULT_LIMITS,
    tell: Callable[[CheckRow], None] | None = None,
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
        change = replace(change, message=commit_message(change, todo.uploads, report))
    written = _put(hub, todo, told)
    notes = _ask_links(hub, todo)
    done = commit(todo.checkout, change, remote=todo.state.remote, offline=hub.settings.offline, push=push, say=told)
    return replace(done, written=written, report=report, notes=(*done.notes, *todo.notes, *notes))


def _silent(text: str) -> None:
    """Print nothing."""


def _check(
    hub: Hub,
    todo: PublishPlan,
    *,
    trust: bool,
    checkout: Path | None,
    limits: ProgramLimits,
    tell: Callable[[CheckRow], None] | None,
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
    failed = [row.name for row in report.rows if row.state is RowState.FAILED]
    if failed:
        raise CheckFailedError(
            f"the check failed: {', '.join(failed)}", report=report, hint="nothing was published; fix these first"
        )
    untried = [
        row for row in report.rows if row.state is RowState.IMPOSSIBLE and row.name in (COVERAGE, FORWARD, USAGE)
    ]
    if untried and not unproven:
        raise CheckFailedError(
            f"the network could not be tried here: {untried[0].name}: {untried[0].reason}",
            report=report,
            hint="publish from a machine that can run the network, or add --unproven (the commit then says that it was "
            "not run)",
        )


def _put(hub: Hub, todo: PublishPlan, say: Callable[[str], None]) -> tuple[tuple[str, bool], ...]:
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


def _try_links(hub: Hub, todo: PublishPlan, place: Destination) -> None:
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
            f"files in {todo.blobs} cannot be fetched: a small file was put there, and its link does not give it: "
            f"{error.message}",
            hint="nothing was published; check --link-base, and that everybody may read what is in the bucket",
        ) from error
    finally:
        # Some keys may write and not delete; the file is small.
        with contextlib.suppress(MirrorError):
            place.remove([name])


def _ask_links(hub: Hub, todo: PublishPlan) -> tuple[str, ...]:
    """See that the links give what was put there, before a card names them."""
    if not todo.uploads:
        return ()
    if hub.settings.offline:
        return ("whether the links answer was not asked: the network may not be used (offline)",)
    from hubtool.transfer.http import HttpTransport  # noqa: PLC0415 - it brings requests, which few commands need

    with contextlib.closing(HttpTransport(hub.policy)) as transport:
        for one in todo.uploads:
            hint = f"check --link-base, and that everybody may read what is in {todo.blobs}; then run the command again"
            try:
                seen = transport.probe(hub.policy.check(one.link))
                seen.raise_for_status()
            except FetchError as error:
                raise PublishError(
                    f"{one.file.path.name} was uploaded, but cannot be fetched by its link: {error.message}", hint=hint
                ) from error
            if seen.size not in (None, one.file.size):
                raise PublishError(
                    f"{one.file.path.name} is stored, but its link gives {seen.size:,} bytes, not {one.file.size:,}",
                    hint=hint,
                )
    return ()
