"""One change of a registry: a commit on its own branch, for review. What is left to do, and doing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import model
from hubtool.errors import CardError, PublishError
from hubtool.git.remotes import review_link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hubtool.git.checkout import Checkout, CheckoutState
    from hubtool.git.remotes import Remote
    from hubtool.publish.check_rows import CheckReport
    from hubtool.uid import Uid

# What no published card may hold: logins, signed links, keys.
_SECRETS = (
    (re.compile(r"[a-z][a-z0-9+.-]*://[^\s/@:]*:[^\s/@]+@", re.IGNORECASE), "a URL with a password"),
    (
        re.compile(
            r"https?://\S*[?&](x-amz-signature|x-amz-credential|signature|sig|token|access_token|secret)=",
            re.IGNORECASE,
        ),
        "a URL that is signed, or holds a token",
    ),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), "an AWS access key"),
    (re.compile(r"\b(ghp|gho|ghs|ghr|github_pat|glpat)[-_][A-Za-z0-9_-]{20,}"), "an access token"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChange:
    """One commit that is to be made, on a branch of its own.

    Attributes:
        uid: The card.
        verb: What it does: ``Publish``, ``Deprecate`` or ``Withdraw``.
        branch: The branch.
        path: The card's path within the checkout.
        files: The bytes of each file, by its path within the checkout; the card's among them.
        message: The commit's message.
    """

    uid: Uid
    verb: str
    branch: str
    path: str
    files: Mapping[str, bytes]
    message: str

    @property
    def data(self) -> bytes:
        """The card's bytes."""
        return self.files[self.path]


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
        review: The page to open for that, or None where it is not known.
        notes: Notes for the user, one sentence each.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSteps:
    """What is left to be done of a change.

    Attributes:
        merged: Whether the default branch has it already.
        commit: The commit that has it, here or at the remote; None if it has to be made.
        push: Whether that commit has to be pushed.
        at_remote: Whether the remote has it, on its branch or merged.
        notes: Notes for the user, one sentence each.
    """

    merged: bool
    commit: str | None
    push: bool
    at_remote: bool
    notes: tuple[str, ...]


def decide(change: RegistryChange, state: CheckoutState, *, push: bool) -> ChangeSteps:
    """Decide what is left to be done of a change.

    Args:
        change: The change.
        state: What the checkout and its remote have.
        push: Whether it is to be pushed.

    Raises:
        PublishError: If the registry, or another branch, has something else where the change belongs; or if it is
            to be pushed and the remote cannot be asked.
    """
    notes = []
    if push and state.remote is None:
        raise PublishError("there is no remote to push to", hint="add one with 'git remote add origin URL'")
    if state.unreachable:
        name = state.remote.shown if state.remote else ""
        if push:
            raise PublishError(
                f"{name} cannot be reached: {state.unreachable}",
                hint="fix the connection and run the command again; without --push, the commit is made here only",
            )
        notes.append(
            f"{name} could not be asked ({state.unreachable}): the commit is based on the local copy of {state.base}"
        )
    if state.head.data == change.data:
        return ChangeSteps(merged=True, commit=state.head.commit, push=False, at_remote=True, notes=tuple(notes))
    if change.verb == "Publish" and state.head.data is not None:
        raise _taken(change, state.head.data, f"the registry ({state.base})")
    if state.theirs is not None:
        if state.theirs.data != change.data:
            raise _other(change, state.theirs.data, f"{change.branch} at {state.remote.shown if state.remote else ''}")
        return ChangeSteps(merged=False, commit=state.theirs.commit, push=False, at_remote=True, notes=tuple(notes))
    if state.ours is not None:
        if state.ours.data != change.data:
            raise _other(change, state.ours.data, f"the branch {change.branch} here")
        return ChangeSteps(merged=False, commit=state.ours.commit, push=push, at_remote=False, notes=tuple(notes))
    return ChangeSteps(merged=False, commit=None, push=push, at_remote=False, notes=tuple(notes))


def _taken(change: RegistryChange, there: bytes, where: str) -> PublishError:
    if _same_assets(change, there):
        return PublishError(
            f"{where} has {change.uid} already, with the same assets and another text",
            hint="a published card is corrected by editing it in its registry, as any other file",
        )
    return PublishError(
        f"{where} has {change.uid} already, with other assets", hint="a new version is a new UID: 'hubtool new --from'"
    )


def _other(change: RegistryChange, there: bytes | None, where: str) -> PublishError:
    hint = f"if it is yours and no longer needed, delete it: git branch -D {change.branch}"
    if " at " in where:
        hint = "ask the person who pushed it; if it is yours and no longer needed, delete it there"
    if there is None:
        return PublishError(f"{where} is there already, and does not have the card {change.uid}", hint=hint)
    what = "another text" if _same_assets(change, there) else "other assets"
    if change.verb == "Publish" and what == "other assets":
        hint = f"a new version is a new UID; {hint}"
    return PublishError(f"{where} has {change.uid} already, with {what}", hint=hint)


def _same_assets(change: RegistryChange, there: bytes) -> bool:
    try:
        ours, theirs = (model.read(data, uid=change.uid) for data in (change.data, there))
    except CardError:
        return False
    return [asset.digest for asset in ours.assets] == [asset.digest for asset in theirs.assets]


def next_steps(change: RegistryChange, state: CheckoutState, *, pushed: bool) -> tuple[str, str | None]:
    """Return what to do for the review, in one sentence, and the page to open for it if it is known."""
    remote = state.remote
    if remote is None:
        return f"merge the branch {change.branch} into {state.base}", None
    link = review_link(remote.url, change.branch, state.base)
    what = f"ask for a review of {change.branch}, to be merged into {state.base} of {remote.shown}"
    if not pushed:
        what = f"push it: git push {remote.name} {change.branch}; then {what}"
    return what, link


def message(verb: str, uid: Uid, why: str, details: tuple[str, ...]) -> str:
    """Return the message of a commit: what it does, why, and what of.

    Args:
        verb: What it does.
        uid: The card.
        why: Why, in a sentence or two.
        details: One line each.
    """
    parts = [f"{verb} {uid}", _plain(why), "\n".join(map(_plain, details))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def secrets(text: str) -> str | None:
    """Return what a text holds that must not be published, or None."""
    for pattern, what in _SECRETS:
        found = pattern.search(text)
        if found is not None:
            line = text.count("\n", 0, found.start()) + 1
            return f"line {line} holds {what}"
    return None


def refuse_secrets(text: str, where: Path | str) -> None:
    """Refuse a text that holds what must not be published.

    Raises:
        PublishError: If it holds a login, a signed link or a key.
    """
    found = secrets(text)
    if found is not None:
        raise PublishError(
            f"{where}: {found}, and what is published stays in git's history for ever",
            hint="take it out; a file that needs a login cannot be an asset",
        )


def commit(
    checkout: Checkout,
    change: RegistryChange,
    *,
    remote: Remote | None,
    offline: bool,
    push: bool,
    say: Callable[[str], None],
) -> Publication:
    """Make the commit of a change on its branch, and push it; what is there already is not made again.

    Args:
        checkout: The registry's git checkout.
        change: The change.
        remote: The git remote, or None if there is none.
        offline: Whether the network may not be used.
        push: Whether the branch is pushed.
        say: Called with each step as it is done, one sentence.

    Raises:
        PublishError: If git refuses, or the registry or another branch has something else there.
    """
    refuse_secrets(change.message, "the commit's message")
    with checkout.lock():
        state = checkout.look(change.branch, change.path, remote=remote, offline=offline)
        todo = decide(change, state, push=push)
        made = todo.commit
        if made is None:
            made = checkout.make_commit(state.head.commit, change.branch, change.files, change.message)
            say(f"committed {change.path} as {made[:12]} on the branch {change.branch}")
        pushed = todo.at_remote and state.remote is not None
        if todo.push and state.remote is not None:
            made = _push(checkout, change, state, made, offline=offline)
            pushed = True
            say(f"pushed {change.branch} to {state.remote.shown}")
    step, review = next_steps(change, state, pushed=pushed)
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


def _push(checkout: Checkout, change: RegistryChange, state: CheckoutState, made: str, *, offline: bool) -> str:
    """Push a commit; return the commit that the remote has, which is another run's if that was faster."""
    if state.remote is None:
        return made
    done = checkout.push(state.remote, made, change.branch)
    if done.code == 0:
        return made
    # Another run may have pushed the same card in between, or a killed run may have pushed it before this one.
    after = checkout.look(change.branch, change.path, remote=state.remote, offline=offline)
    if after.theirs is not None or after.head.data == change.data:
        found = decide(change, after, push=False)
        if found.at_remote and found.commit is not None:
            return found.commit
    raise PublishError(
        f"{state.remote.shown} does not take {change.branch}: {done.why}",
        hint=f"the commit is on the branch {change.branch} here; fix this and run the command again",
    )
