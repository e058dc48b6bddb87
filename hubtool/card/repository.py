"""The place in a repository that a card's repo-link names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from hubtool.card.model import Card

_PART = re.compile(r"[\w.+ @-]+\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_HINT = "such a link is https://HOST/OWNER/NAME/tree/REVISION/FOLDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryPlace:
    """A folder of a git repository at a revision.

    Attributes:
        url: The repository's URL, without ``.git``.
        revision: A branch, tag or commit, or None for the repository's own default.
        folder: The folder within it, with ``/`` between its parts; empty for the top.
    """

    url: str
    revision: str | None
    folder: str

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a whole commit id, which can never mean anything else."""
        return self.revision is not None and bool(_COMMIT.match(self.revision))

    def at(self, revision: str) -> RepositoryPlace:
        """Return the same folder at another revision."""
        return RepositoryPlace(url=self.url, revision=revision, folder=self.folder)


def parse_repo_link(link: str) -> RepositoryPlace:
    """Read a repo-link.

    The forms of Gitee and GitHub (``/tree/REVISION/FOLDER``) and of GitLab (``/-/tree/...``) are read. A revision has
    no ``/`` in it: a link does not say where the name of a branch ends.

    Raises:
        ArgumentError: If the link does not name a repository, or a part could be taken for an option or leads out.
    """
    shown = ascii(link[:200])
    try:
        url = urlsplit(link)
    except ValueError as error:
        raise ArgumentError(f"{shown} is not a link: {error}", hint=_HINT) from error
    if url.scheme == "file":
        head, _, tail = unquote(url.path).partition("/tree/")
        parts = ["tree", *tail.split("/")] if tail else []
        repository = f"file://{head.rstrip('/')}"
    elif url.scheme in ("https", "http") and url.hostname:
        every = [part for part in unquote(url.path).split("/") if part]
        if len(every) < 2:
            raise ArgumentError(f"{shown} does not name a repository", hint=_HINT)
        repository = f"{url.scheme}://{url.netloc}/{every[0]}/{every[1].removesuffix('.git')}"
        parts = [part for part in every[2:] if part != "-"]
    else:
        raise ArgumentError(f"{shown} is neither an https nor a file link", hint=_HINT)
    if "@" in url.netloc:
        raise ArgumentError("the repo-link holds a user name or password", hint="take it out")
    parts = [part for part in parts if part]
    if parts and (parts[0] not in ("tree", "blob", "src") or len(parts) < 2):
        raise ArgumentError(f"{shown} does not name a folder of a repository", hint=_HINT)
    for part in parts:
        if part in (".", "..", ".git") or part.startswith("-") or not _PART.match(part):
            raise ArgumentError(f"{shown}: {part!a} cannot be part of a path in a repository", hint=_HINT)
    return RepositoryPlace(url=repository, revision=parts[1] if parts else None, folder="/".join(parts[2:]))


def place_of(card: Card) -> RepositoryPlace | None:
    """Return the place that a card's repo-link names, at its repo-revision where it states one; None without a link.

    Raises:
        ArgumentError: If the link does not name a repository.
    """
    if card.repo_link is None:
        return None
    place = parse_repo_link(card.repo_link)
    revision = card.text("repo-revision")
    return place if revision is None else place.at(revision)
