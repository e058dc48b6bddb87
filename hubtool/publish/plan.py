"""What is to be done to publish a card, or to change one that is published. Pure: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import model
from hubtool.errors import CardError, PublishError
from hubtool.git.remotes import review_link
from hubtool.publish import finishing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.git.checkout import State
    from hubtool.publish.finishing import Measured
    from hubtool.uid import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file that goes to the folder or bucket.

    Attributes:
        file: The file.
        place: The name that messages and links give to where it goes, with its name there.
        link: Its link.
    """

    file: Measured
    place: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
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
class Todo:
    """What is left to be done of a change.

    Attributes:
        merged: Whether the default branch has it already.
        commit: The commit that has it, here or at the remote; None if it has to be made.
        push: Whether that commit has to be pushed.
        at_remote: Whether the remote has it, on its branch or merged.
        notes: What people should know, one sentence each.
    """

    merged: bool
    commit: str | None
    push: bool
    at_remote: bool
    notes: tuple[str, ...]


def decide(change: Change, state: State, *, push: bool) -> Todo:
    """Say what is left to be done of a change.

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
                hint="mend that, and run the same again; without --push, the commit is made here only",
            )
        notes.append(
            f"{name} could not be asked ({state.unreachable}): the commit stands on {state.base} as it is known here"
        )
    if state.head.data == change.data:
        return Todo(merged=True, commit=state.head.commit, push=False, at_remote=True, notes=tuple(notes))
    if change.verb == "Publish" and state.head.data is not None:
        raise _taken(change, state.head.data, f"the registry ({state.base})")
    if state.theirs is not None:
        if state.theirs.data != change.data:
            raise _other(change, state.theirs.data, f"{change.branch} at {state.remote.shown if state.remote else ''}")
        return Todo(merged=False, commit=state.theirs.commit, push=False, at_remote=True, notes=tuple(notes))
    if state.ours is not None:
        if state.ours.data != change.data:
            raise _other(change, state.ours.data, f"the branch {change.branch} here")
        return Todo(merged=False, commit=state.ours.commit, push=push, at_remote=False, notes=tuple(notes))
    return Todo(merged=False, commit=None, push=push, at_remote=False, notes=tuple(notes))


def _taken(change: Change, there: bytes, where: str) -> PublishError:
    if _same_assets(change, there):
        return PublishError(
            f"{where} has {change.uid} already, with the same assets and another text",
            hint="a published card is corrected by editing it in its registry, as any other file",
        )
    return PublishError(
        f"{where} has {change.uid} already, with other assets", hint="a new version is a new UID: 'hubtool new --from'"
    )


def _other(change: Change, there: bytes | None, where: str) -> PublishError:
    hint = f"if it is yours and not needed any more, delete it: git branch -D {change.branch}"
    if " at " in where:
        hint = "talk to whoever pushed it; if it is yours and not needed any more, delete it there"
    if there is None:
        return PublishError(f"{where} is there already, and does not have the card {change.uid}", hint=hint)
    what = "another text" if _same_assets(change, there) else "other assets"
    if change.verb == "Publish" and what == "other assets":
        hint = f"a new version is a new UID; {hint}"
    return PublishError(f"{where} has {change.uid} already, with {what}", hint=hint)


def _same_assets(change: Change, there: bytes) -> bool:
    try:
        return finishing.same_assets(model.read(change.data, uid=change.uid), model.read(there, uid=change.uid))
    except CardError:
        return False


def next_steps(change: Change, state: State, *, pushed: bool) -> tuple[str, str | None]:
    """Return what is to be done for the review, in one sentence, and the page to open for it where that is known."""
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
