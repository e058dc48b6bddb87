"""Deprecating and withdrawing a card that is published: three entries of its front matter, and nothing else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hubtool.card import model
from hubtool.card import status as statuses
from hubtool.card.files import read_card_file
from hubtool.card.rewrite import replace_file
from hubtool.errors import ArgumentError, CardError, PublishError
from hubtool.git.checkout import Checkout, branch_of
from hubtool.publish.change import RegistryChange, commit, message, secrets
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hubtool.card.status import Status
    from hubtool.hub import Hub
    from hubtool.publish.change import Publication

VERBS = {statuses.DEPRECATED: ("deprecate", "Deprecate"), statuses.WITHDRAWN: ("withdraw", "Withdraw")}
"""Of each status, the beginning of the branch's name, and of the commit's message."""


def make_status(uid: Uid, kind: str, reason: str, successor: str | None) -> Status:
    """Return the status that a card gets.

    Args:
        uid: The card.
        kind: ``deprecated`` or ``withdrawn``.
        reason: Why, in one sentence.
        successor: The UID of the card to use instead, or None.

    Raises:
        ArgumentError: If there is no reason, or the successor is the card itself.
        InvalidNameError: If the successor is no UID.
    """
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in reason).split())
    if not text:
        raise ArgumentError("the reason is empty", hint="say in one sentence why, with --reason")
    if len(text) > 4000:
        raise ArgumentError("the reason is too long", hint="say it in one sentence; the card's text has room for more")
    if (found := secrets(text)) is not None:
        raise ArgumentError(f"the reason {found.removeprefix('line 1 ')}", hint="take it out")
    other = None if successor is None else Uid.parse(successor)
    if other == uid:
        raise ArgumentError(f"{uid} cannot supersede itself", hint="name the card to use instead")
    return statuses.Status(kind=kind, reason=text, successor=None if other is None else str(other))


def change_status(
    hub: Hub,
    uid: Uid,
    status: Status,
    *,
    registry: Path | None = None,
    remote: str | None = None,
    push: bool = False,
    say: Callable[[str], None],
) -> Publication:
    """Give a card a status, as one commit on a branch of its own in its registry's git checkout.

    Args:
        hub: Settings and registries.
        uid: The card.
        status: The status.
        registry: The registry's git checkout, or a folder in it; by default the first registry of the settings that is
            in one.
        remote: The git remote; by default ``origin``, or the only one.
        push: Whether the branch is pushed.
        say: Called with each step as it is done.

    Raises:
        PublishError: If the registry does not have the card or its successor, or git refuses.
        CardError: If the card cannot be written into.
    """
    checkout = _checkout(hub, registry)
    checkout.check_identity()
    found = checkout.remote(remote)
    kind, verb = VERBS[status.kind]
    branch = branch_of(kind, uid)
    with checkout.lock():
        state, path = checkout.look_for(branch, uid, remote=found, offline=hub.settings.offline)
        if state.head.data is None:
            raise PublishError(
                f"{state.base} of {checkout.top} has no card {uid} (looked for {path})",
                hint="a card has to be published before its status can change",
            )
        _check_successor(checkout, state.head.commit, path, uid, status)
    data = statuses.with_status(state.head.data, status, name=str(uid))
    details = () if status.successor is None else (f"Superseded by {status.successor}",)
    change = RegistryChange(
        uid=uid,
        verb=verb,
        branch=branch,
        path=path,
        files={path: data},
        message=message(verb, uid, status.reason, details),
    )
    return commit(checkout, change, remote=found, offline=hub.settings.offline, push=push, say=say)


def change_status_in_place(hub: Hub, uid: Uid, status: Status, *, registry: Path | None = None) -> tuple[Path, bool]:
    """Give a card a status in its file; the file is replaced as a whole, or left as it is.

    Args:
        hub: Settings and registries.
        uid: The card.
        status: The status.
        registry: The registry's folder; by default, the registry of the settings that has the card.

    Returns:
        The file, and whether it changed.

    Raises:
        CardNotFoundError: If there is no such card.
        CardError: If it cannot be read or written.
    """
    path = (registry / uid.path) if registry is not None else hub.find(str(uid)).card.path
    if path is None or not path.is_file():
        raise CardError(f"there is no card at {path}", hint="name the registry's folder with --registry")
    try:
        before, data = read_card_file(str(path))
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    after = statuses.with_status(data, status, name=str(path))
    if after == data:
        return path, False
    problem = replace_file(path.resolve(), after, before)
    if problem is not None:
        raise CardError(f"{path}: {problem}")
    return path, True


def _checkout(hub: Hub, registry: Path | None) -> Checkout:
    if registry is not None:
        return Checkout.open(registry)
    for folder in hub.settings.registry:
        with contextlib.suppress(PublishError):
            return Checkout.open(folder)
    raise PublishError(
        "no registry of the settings is in a git checkout",
        hint="name the registry's git checkout with --registry, or change the card's file with --in-place",
    )


def _check_successor(checkout: Checkout, head: str, path: str, uid: Uid, status: Status) -> None:
    """See that the registry has the successor, and that it may be used."""
    if status.successor is None:
        return
    wanted = Uid.parse(status.successor)
    data = checkout.read(head, path.removesuffix(str(uid.path)) + str(wanted.path))
    if data is None:
        raise PublishError(
            f"the registry has no card {wanted} that could be used instead",
            hint="publish it first, and have it merged; or correct the UID",
        )
    found = model.read(data, uid=wanted).status
    if found is not None and found.is_withdrawn:
        raise PublishError(f"{wanted} is withdrawn itself", hint="name the card that replaced it")
