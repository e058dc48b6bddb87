"""HT5xx: what of a single card concerns the registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card.model import strip_brackets
from hubtool.card.repo_link import check_revision, is_commit, parse_repo_link
from hubtool.card.rules.base import rule, shown
from hubtool.diagnostics import Severity
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.finding import Finding
    from hubtool.card.rules.context import Context

_REPOSITORY = re.compile(r"(?:[a-z][a-z0-9]*-)?repo-link\Z")


@rule("HT504", Severity.WARNING)
def no_repository(context: Context) -> Iterator[Finding]:
    """A card links to the code of its network.

    Without `repo-link`, readers can neither see nor rebuild the network of the checkpoint. `hubtool load` then builds
    it only if the recipe names an architecture of hubtool or an installed package. A model of several parts has a link
    for each, such as `vit-repo-link`. Add it.
    """
    if context.front_matter is None or not context.values:
        return
    unread = context.front_matter.unread
    if not any(_REPOSITORY.match(key) for key in (*context.values, *unread)):
        yield context.at("", "the card names no repository: 'repo-link' is missing", hint="add a line 'repo-link: ...'")


@rule("HT506", Severity.ERROR)
def unusable_repository(context: Context) -> Iterator[Finding]:
    """The repo-link of a recipe with `provider: repository` names a folder of a repository by a plain address.

    `https://HOST/OWNER/NAME/tree/REVISION/FOLDER`, on GitLab `https://HOST/GROUP/SUBGROUP/NAME/-/tree/...`. The parts
    have letters, digits, `.`, `_`, `+` and `-`: what a server could decode or resolve into the address of another owner
    is refused, and so are pull requests and expressions in the place of a branch, a tag or a commit. Correct the link.
    """
    recipe, link = context.values.get("network"), context.text("repo-link")
    if not isinstance(recipe, dict) or recipe.get("provider") != "repository" or link is None:
        return
    try:
        parse_repo_link(strip_brackets(link))
    except ArgumentError as error:
        yield context.at("/repo-link", error.message, hint=error.hint or "correct the link")


@rule("HT507", Severity.ERROR)
def unusable_revision(context: Context) -> Iterator[Finding]:
    """The repo-revision is a full commit id, or the plain name of a branch or tag.

    Loading accepts nothing else: no abbreviated id, no pull request (`refs/pull/7/head`), no expression (`HEAD~1`,
    `main@{1}`, `a..b`). Write the output of `git rev-parse REVISION`.
    """
    revision = context.text("repo-revision")
    if revision is None:
        return
    try:
        check_revision(revision)
    except ArgumentError as error:
        yield context.at("/repo-revision", error.message, hint=error.hint or "write the full commit id")


@rule("HT508", Severity.WARNING)
def revision_that_moves(context: Context) -> Iterator[Finding]:
    """The repo-revision is a commit id.

    A branch names another commit after each push, and a tag can be moved. The network is then built by other code than
    the author tested. hubtool remembers the commit that it saw first. Write the output of `git rev-parse BRANCH`.
    """
    revision = context.text("repo-revision")
    if revision is None or is_commit(revision):
        return
    try:
        check_revision(revision)
    except ArgumentError:
        return  # HT507 reports it
    yield context.at(
        "/repo-revision",
        f"{shown(revision)} is the name of a branch or tag, and what it names can change",
        hint="write the full commit id",
    )
