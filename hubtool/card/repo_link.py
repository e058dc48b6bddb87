"""The place in a repository that a card's repo-link names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from hubtool.card.model import Card

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
# One part of a repository's address, such as an owner: characters that every forge allows and that no server decodes
# or resolves into another address.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
# One part of the path of a folder or of a local repository.
_PART = re.compile(r"[\w.+ @-]+\Z")
_REVISION = re.compile(r"\w[\w.+/@-]*\Z")
# Prefixes of server-side references that are neither branches nor tags, such as pull requests.
_OTHER_REFS = ("refs/", "pull/", "pull-requests/", "merge-requests/", "changes/", "remotes/", "heads/", "tags/")
# Forges whose repositories are always OWNER/NAME. GitLab also has groups within groups.
_FLAT_FORGES = frozenset({"github.com", "gitee.com", "bitbucket.org", "codeberg.org"})
MAX_REVISION = 200
_HINT = "such a link is https://HOST/OWNER/NAME/tree/REVISION/FOLDER"
_REVISION_HINT = "give the full commit id (40 or 64 hexadecimal digits), or the plain name of a branch or a tag"


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
        """Whether the revision is a full commit id, which is never ambiguous."""
        return self.revision is not None and is_commit(self.revision)

    def at(self, revision: str) -> RepositoryPlace:
        """Return the same folder at another revision."""
        return RepositoryPlace(url=self.url, revision=revision, folder=self.folder)


def parse_repo_link(link: str) -> RepositoryPlace:
    """Read a repo-link.

    The forms of Gitee and GitHub (``/tree/REVISION/FOLDER``) and of GitLab (``GROUP/SUBGROUP/NAME/-/tree/...``) are
    read. A revision has no ``/`` in it: a link does not say where the name of a branch ends. The path is split before
    it is decoded, and decoded once; a part that is encoded twice is refused.

    Raises:
        ArgumentError: If the link does not name a repository, or a part could be taken for an option or leads out.
    """
    shown = ascii(link[:200])
    try:
        url = urlsplit(link)
        _ = url.port
    except ValueError as error:
        raise ArgumentError(f"{shown} is not a link: {error}", hint=_HINT) from error
    if "@" in url.netloc:
        raise ArgumentError("the repo-link holds a user name or password", hint="remove it")
    every = [unquote(part) for part in url.path.removesuffix("/").split("/")][1:]
    if any(sign in link for sign in "?#\\") or any("/" in part for part in every):
        raise ArgumentError(f"{shown} holds '?', '#', a backslash or an encoded '/'", hint=_HINT)
    if url.scheme == "file" and link[:8].lower() == "file:///":
        at = every.index("tree") if "tree" in every else len(every)
        repository, parts = "file:///" + "/".join(every[:at]), every[at:]
    elif url.scheme in ("https", "http") and url.hostname:
        names, parts = _split(every, url.hostname)
        if len(names) < 2:
            raise ArgumentError(f"{shown} does not name a repository", hint=_HINT)
        repository = f"{url.scheme}://{url.netloc}/{'/'.join(names)}".removesuffix(".git")
    else:
        raise ArgumentError(f"{shown} is neither an https nor a file link", hint=_HINT)
    if parts and (parts[0] not in ("tree", "blob", "src") or len(parts) < 2):
        raise ArgumentError(f"{shown} does not name a folder of a repository", hint=_HINT)
    check_repository_url(repository)
    if repository.endswith(".git"):
        raise ArgumentError(f"{shown} does not name a repository", hint=_HINT)
    for part in parts:
        if part in (".", "..") or part.lower() == ".git" or part.startswith("-") or not _PART.match(part):
            raise ArgumentError(f"{shown}: {part!a} cannot be part of a path in a repository", hint=_HINT)
    # /tree/HEAD is the forges' own way to write "the default branch".
    revision = parts[1] if parts and parts[1] != "HEAD" else None
    if revision is not None:
        check_revision(revision)
    return RepositoryPlace(url=repository, revision=revision, folder="/".join(parts[2:]))


def _split(every: list[str], host: str) -> tuple[list[str], list[str]]:
    """Split the parts of a path into the repository and the place in it."""
    if "-" in every and host.lower() not in _FLAT_FORGES:
        at = every.index("-")
        return every[:at], every[at + 1 :]
    if host.lower() in _FLAT_FORGES or every[2:3] == ["src"]:
        return every[:2], every[2:]
    at = next((at for at, part in enumerate(every) if at >= 2 and part in ("tree", "blob")), len(every))
    return every[:at], every[at:]


def check_repository_url(url: str) -> None:
    """Refuse the URL of a repository unless every part of it is plain, so that no server can take it for another one.

    A server may decode ``%2e%2e``, resolve ``..``, or join empty parts, and then serve the repository of another owner.

    Raises:
        ArgumentError: If it is not ``https://HOST/OWNER/NAME`` (or deeper), or ``file:///PATH``.
    """
    scheme, _, rest = url.partition("://")
    host, *names = rest.split("/")
    if scheme == "file":
        if names and re.fullmatch(r"[A-Za-z]:", names[0]):  # a drive of Windows
            names = names[1:]
        good = not host and all(_PART.match(name) and name not in (".", "..") for name in names)
    else:
        good = (
            scheme in ("https", "http")
            and bool(_HOST.match(host))
            and len(names) >= 2
            and all(_NAME.match(name) and ".." not in name for name in names)
        )
    if not good or not names:
        raise ArgumentError(
            f"{url[:200]!a} is not the plain address of a repository",
            hint="OWNER and NAME have letters, digits, '.', '_', '+' and '-' only, and begin with a letter or digit",
        )


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit id, which is never ambiguous."""
    return bool(_COMMIT.match(revision))


def check_revision(revision: str) -> None:
    """Refuse a revision that is neither a full commit id nor the plain name of a branch or tag.

    Raises:
        ArgumentError: If it is something else, such as a pull request or an expression.
    """
    problem = _revision_problem(revision)
    if problem:
        raise ArgumentError(f"{revision[:MAX_REVISION]!a} is not a revision: {problem}", hint=_REVISION_HINT)


def _revision_problem(revision: str) -> str:
    if revision.startswith(_OTHER_REFS):
        return "it names a reference by its path, and only branches and tags are used, by their plain names"
    if re.fullmatch(r"[A-Z_]*HEAD|@", revision):
        return "it names no branch, and changes with what is checked out"
    if re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", revision):
        return "" if _COMMIT.match(revision) else "a commit id is written in lower case"
    if re.fullmatch(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{7,39}", revision):
        return "it looks like an abbreviated commit id, which more commits can begin with"
    if len(revision) > MAX_REVISION or not _REVISION.match(revision):
        return "it has characters that branch and tag names cannot have here"
    if ".." in revision or "@{" in revision or "//" in revision or revision.endswith(("/", ".")):
        return "git allows no such name"
    if any(part.startswith((".", "-")) or part.endswith(".lock") for part in revision.split("/")):
        return "git allows no such name"
    return ""


def place_of(card: Card) -> RepositoryPlace | None:
    """Return the place that a card's repo-link names, at its repo-revision where it states one; None without a link.

    Raises:
        ArgumentError: If the link does not name a repository, or ``repo-revision`` is not a revision.
    """
    if card.repo_link is None:
        return None
    place = parse_repo_link(card.repo_link)
    revision = card.text("repo-revision")
    if revision is None:
        return place
    check_revision(revision)
    return place.at(revision)
