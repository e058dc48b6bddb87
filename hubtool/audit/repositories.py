"""Look at a repository: does it exist, does it have the revisions that cards name, and under which licence?

The result is a mapping that can be saved as JSON::

    fault     the kind of finding, if the repository could not be asked; with
    message   what happened
    moved     where it redirects to, if it does
    commits   for each revision the commit, or null where the repository does not have it
    licences  for each revision the licence file: its name, its digest, and its SPDX identifier or null
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hubtool.audit import licences
from hubtool.errors import FetchError, ForbiddenLinkError, UnknownHostError
from hubtool.git import hardened
from hubtool.links import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hubtool.audit.probe import Seen
    from hubtool.transfer.http import HttpTransport

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_GONE = frozenset({401, 403, 404, 410})
_GIT_SECONDS = 300.0
_MAX_FETCH_BYTES = 1 << 30
_QUERY = "/info/refs?service=git-upload-pack"


def probe_repository(
    transport: HttpTransport, url: str, revisions: Iterable[str], *, check: Callable[[], None] = lambda: None
) -> Seen:
    """Look at a repository.

    Args:
        transport: Asks the server first, because git's error messages are not made for programs.
        url: Its URL, already checked.
        revisions: The commits, branches and tags; "" is the default branch.
        check: Called now and then; raises to stop.

    Raises:
        FetchError: If another attempt may help; its ``wait`` is the delay in seconds.
    """
    seen: Seen = {}
    if url.startswith("file://"):
        if not Path(urlsplit(url).path).exists():
            return {"fault": "repository-gone", "message": "there is no such folder"}
    else:
        fault, place = _ask(transport, url)
        if fault:
            return fault
        if place != url:
            if _name(place) != _name(url):
                seen["moved"] = place
            url = place
    with tempfile.TemporaryDirectory(prefix="hubtool-audit-") as folder:
        try:
            return {**seen, **_CommitLookup(Path(folder), url, check).look(sorted(set(revisions)))}
        except FetchError as error:
            raise FetchError(f"{shown(url)}: {error.message}", passing=True) from error


def _name(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").lower()


def _ask(transport: HttpTransport, url: str) -> tuple[Seen, str]:
    """Make git's first request; return what is wrong (or nothing) and where the repository is."""
    try:
        found = transport.probe(transport.policy.check(url + _QUERY), method="GET")
    except ForbiddenLinkError as error:
        return {"fault": "link-forbidden", "message": error.message}, url
    except UnknownHostError as error:
        return {"fault": "repository-gone", "message": error.message}, url
    except FetchError as error:
        if error.passing:
            raise
        return {"fault": "repository-unreachable", "message": error.message}, url
    if found.status in _GONE:
        return {"fault": "repository-gone", "message": f"the server answered {found.status}"}, url
    if found.error is not None:
        message = f"the server answered {found.status}"
        if found.status >= 500 or found.status == 429:
            raise FetchError(f"{shown(url)}: {message}", passing=True, wait=found.error.wait, status=found.status)
        return {"fault": "repository-unreachable", "message": message}, url
    place = found.link.url
    return {}, place.removesuffix(_QUERY) if place.endswith(_QUERY) else url


class _CommitLookup:
    """A bare repository in a temporary folder, into which commits come without their files."""

    def __init__(self, folder: Path, url: str, check: Callable[[], None]) -> None:
        self._folder = folder
        self._check = check
        self._url = url
        self._licences: dict[str, tuple[str, str | None]] = {}

    def look(self, revisions: list[str]) -> Seen:
        """Find the revisions, and the licence of each."""
        refs = self._refs()
        commits = {name: name if _COMMIT.match(name) else _find(refs, name) for name in revisions}
        self._git("init", "--quiet", "--bare", "--template=", ".", near=True)
        for name, value in (("url", self._url), ("promisor", "true"), ("partialclonefilter", "blob:none")):
            self._git("config", f"remote.origin.{name}", value, near=True)
        there = self._bring(sorted({commit for commit in commits.values() if commit is not None}), refs)
        found = {name: commit if commit in there else None for name, commit in commits.items()}
        return {
            "commits": found,
            "licences": {name: self._licence(commit) for name, commit in found.items() if commit is not None},
        }

    def _refs(self) -> dict[str, str]:
        listing = self._git("ls-remote", "--", self._url).decode("utf-8", "replace")
        pairs = (line.partition("\t") for line in listing.splitlines())
        return {name: commit for commit, _, name in pairs if _COMMIT.match(commit)}

    def _bring(self, commits: list[str], refs: dict[str, str]) -> set[str]:
        """Fetch commits, each with the files at its top; return those that are there."""
        if not commits:
            return set()
        # Only the top folder and its files: the licence is there.
        near = ("--filter=tree:2", "--depth=1")
        try:
            self._fetch(*near, *commits)
        except FetchError:
            there = {commit for commit in commits if self._try(*near, commit)}
        else:
            return set(commits)
        missing = [commit for commit in commits if commit not in there]
        if missing and refs:
            # Some servers give a commit only as part of a branch: then all branches are fetched, without any files.
            self._fetch("--filter=tree:0", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
            there |= {commit for commit in missing if self._has(commit)}
        return there

    def _fetch(self, *arguments: str) -> None:
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-commit-graph")
        filters = tuple(one for one in arguments if one.startswith("--"))
        self._git("fetch", *options, *filters, "origin", *(one for one in arguments if not one.startswith("--")))

    def _try(self, *arguments: str) -> bool:
        try:
            self._fetch(*arguments)
        except FetchError:
            return False
        return True

    def _has(self, commit: str) -> bool:
        try:
            self._git("cat-file", "-e", f"{commit}^{{commit}}", near=True)
        except FetchError:
            return False
        return True

    def _licence(self, commit: str) -> dict[str, object] | None:
        files = {}
        for record in hardened.records(self._git("ls-tree", "-z", commit)):
            kind, _, name = record.partition("\t")
            if " blob " in kind:
                files[name.lower()] = (name, kind.rpartition(" ")[2])
        chosen = next((files[name] for name in licences.FILES if name in files), None)
        if chosen is None:
            return None
        name, oid = chosen
        if oid not in self._licences:
            data = self._git("cat-file", "blob", oid)
            self._licences[oid] = (
                hashlib.sha256(data).hexdigest(),
                licences.recognise(data.decode("utf-8", "replace")),
            )
        digest, spdx = self._licences[oid]
        return {"file": name[:200], "sha256": digest, "spdx": spdx}

    def _git(self, *arguments: str, near: bool = False) -> bytes:
        return hardened.run(
            arguments,
            folder=self._folder,
            url=None if near else self._url,
            seconds=_GIT_SECONDS,
            max_bytes=_MAX_FETCH_BYTES,
            check=self._check,
        )


def _find(refs: dict[str, str], name: str) -> str | None:
    """Return the commit of a branch or tag; an annotated tag's is listed with ``^{}``."""
    if not name:
        return refs.get("HEAD")
    places = (f"refs/heads/{name}", f"refs/tags/{name}^{{}}", f"refs/tags/{name}")
    return next((refs[place] for place in places if place in refs), None)
