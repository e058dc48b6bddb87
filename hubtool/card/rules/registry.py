"""HT5xx: what of a single card concerns the registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card.rules.base import Finding, rule
from hubtool.diagnostics import Severity

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
