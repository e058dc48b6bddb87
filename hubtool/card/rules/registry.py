"""HT5xx: what of a single card concerns the registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card.model import strip_brackets
from hubtool.card.repository import parse_repo_link
from hubtool.card.rules.base import Finding, rule
from hubtool.diagnostics import Severity
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.rules.context import Context

_REPOSITORY = re.compile(r"(?:[a-z][a-z0-9]*-)?repo-link\Z")


@rule("HT504", Severity.WARNING)
def no_repository(context: Context) -> Iterator[Finding]:
    """A card links to the code of its network.

    Without `repo-link` nobody can see, nor rebuild, what the checkpoint was made with; `hubtool load` builds such a
    card only if its recipe names an architecture of hubtool or an installed package. A model of several parts has a
    link for each, such as `vit-repo-link`. Add it.
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
