"""Trust: whether code of a repository can run here. The decisions are pure.

Code of a repository runs only if its repository is on the trust list and the user agreed to it once. The list has
defaults, the organisations that publish the models of the public hub, but the user has agreed to none of them. Adding
a repository by name also agrees to it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hubtool import files, ownership, regular, settings
from hubtool.card import package_calls
from hubtool.errors import ArgumentError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from hubtool.card.model import Recipe
    from hubtool.card.repo_link import RepositoryPlace

#: The organisations behind the repo-links of the public hub's 2,915 cards.
DEFAULTS = (
    "gitee.com/mindspore",
    "gitee.com/mindspore-lab",
    "github.com/mindspore-ai",
    "github.com/mindspore-lab",
)
# Every part after the host is a plain name, so that no server can decode or resolve it into another one. GitLab has
# groups within groups: an entry may be as deep as a repository.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._+-]*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_ENTRY = re.compile(rf"{_HOST}(?:/{_NAME})+\Z|/(?:[A-Za-z]:/)?[\w.+ @-]+(?:/[\w.+ @-]+)*/?\Z")
_MAX_FILE_BYTES = 1 << 20
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """The trusted repositories, and those that the user agreed to.

    Attributes:
        added: Entries that the user added: ``host/owner``, ``host/owner/name``, or an absolute local folder.
        removed: Default entries that the user removed.
        agreed: Entries whose code the user agreed to run.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[str, ...]:
        """All entries in force, the defaults first."""
        return (*(entry for entry in DEFAULTS if entry not in self.removed), *self.added)

    def add(self, entry: str) -> TrustList:
        """Return the list with an entry added and agreed to.

        Raises:
            ArgumentError: If it is not an entry.
        """
        entry = parse_entry(entry)
        removed = tuple(item for item in self.removed if item != entry)
        added = self.added if entry in self.added or entry in DEFAULTS else (*self.added, entry)
        return replace(self, added=added, removed=removed).agree(entry)

    def remove(self, entry: str) -> TrustList:
        """Return the list without an entry and without the agreement to it.

        Raises:
            ArgumentError: If it is not on the list.
        """
        entry = parse_entry(entry)
        if entry not in self.entries:
            raise ArgumentError(f"{entry} is not on the trust list", hint="'hubtool trust list' shows what is")
        removed = (*self.removed, entry) if entry in DEFAULTS else self.removed
        return TrustList(
            added=tuple(item for item in self.added if item != entry),
            removed=removed,
            agreed=tuple(item for item in self.agreed if item != entry),
        )

    def agree(self, entry: str) -> TrustList:
        """Return the list with the agreement to an entry."""
        return self if entry in self.agreed else replace(self, agreed=(*self.agreed, entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a user agreed to when asked: exactly this code, with these arguments.

    Attributes:
        recipe: The recipe that was shown: the entry point and its arguments; None for a card without one.
        place: The repository, commit and folder that were shown; None where no code of a repository runs.
        tree: The tree digest of the files that were shown; None where there are none, or for a checkout.
        entry: The entry of the trust list that was named: of a repository, of a call, or of a graph's digest.
    """

    recipe: Recipe | None
    place: RepositoryPlace | None = None
    tree: str | None = None
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustDecision:
    """Whether code of one repository can run.

    Attributes:
        repository: The repository, without scheme.
        entry: The entry of the trust list that covers it, or None.
        agreed: Whether the user agreed, once or for this run.
        why: The decision in one sentence.
    """

    repository: str
    entry: str | None
    agreed: bool
    why: str

    @property
    def allowed(self) -> bool:
        """Whether the code can run."""
        return self.entry is not None and self.agreed

    @property
    def hint(self) -> str | None:
        """What to do so that the code can run, or None if it can."""
        if self.entry is None and not _is_plain(self.repository):
            return "correct the repo-link of the card"
        if self.entry is None:
            return f"if you trust it: hubtool trust add {self.repository}"
        if not self.agreed:
            return (
                f"to agree for good: hubtool trust add {self.entry}; for one run: --trust; in a script: "
                "hubtool.load(..., trust=True), or HUBTOOL_TRUST=1 in its environment"
            )
        return None


def decide(url: str, trust: TrustList, *, agreed_now: bool = False) -> TrustDecision:
    """Decide whether code of a repository can run.

    Args:
        url: The repository's URL.
        trust: The lists.
        agreed_now: Whether the user agrees for this run (``--trust``, ``HUBTOOL_TRUST=1``).
    """
    repository = repository_name(url)
    if not _is_plain(repository):
        return TrustDecision(
            repository=ascii(repository[:200])[1:-1],
            entry=None,
            agreed=False,
            why=f"{url[:200]!a} is not the plain address of a repository: its code does not run",
        )
    entry = next((item for item in trust.entries if _covers(item, repository)), None)
    if entry is None:
        return TrustDecision(
            repository=repository,
            entry=None,
            agreed=False,
            why=f"{repository} is not on the trust list: its code does not run",
        )
    origin = "by default" if entry in DEFAULTS else "because you added it"
    if entry in trust.agreed:
        why, agreed = f"{entry} is trusted {origin}, and you agreed that its code runs", True
    elif agreed_now:
        why, agreed = f"{entry} is trusted {origin}, and you agree for this run", True
    else:
        why, agreed = (
            (
                f"loading runs code of {repository}, and you have not agreed to that yet ({entry} is on the trust list "
                f"{origin}, which alone runs nothing)"
            ),
            False,
        )
    return TrustDecision(repository=repository, entry=entry, agreed=agreed, why=why)


def decide_named(name: str, what: str, trust: TrustList, *, agreed_now: bool = False) -> TrustDecision:
    """Decide whether other code can run: a call of a package, or operators of a graph.

    Args:
        name: The name to agree to: an entry of the trust list, such as ``package/mindcv/DIGEST``.
        what: What would run, as the start of a sentence.
        trust: The lists.
        agreed_now: Whether the user agrees for this run (``--trust``, ``HUBTOOL_TRUST=1``).
    """
    agreed = any(_covers(item, name) for item in trust.agreed)
    if agreed:
        why = f"{what}; you agreed to it"
    elif agreed_now:
        why = f"{what}; you agree for this run"
    else:
        why = f"{what}; it runs only if you agree to it"
    return TrustDecision(repository=name, entry=name, agreed=agreed or agreed_now, why=why)


def decide_call(
    recipe: Recipe, trust: TrustList, *, overridden: Collection[str] = (), agreed_now: bool = False
) -> TrustDecision | None:
    """Decide whether the call of an installed package can run; None if it needs no consent, or names no package.

    Args:
        recipe: A recipe of the provider ``package``.
        trust: The lists.
        overridden: Names of arguments that the user's own call replaces.
        agreed_now: Whether the user agrees for this run (``--trust``, ``HUBTOOL_TRUST=1``).

    Raises:
        RecipeError: If it has too many arguments, or they are nested too deeply.
    """
    package = package_calls.package_of(recipe)
    why = None if package is None else package_calls.outside(recipe, overridden=overridden)
    if why is None:
        return None
    return decide_named(
        package_calls.identity(recipe), f"the card calls {package}, and {why}", trust, agreed_now=agreed_now
    )


def decide_graph(
    digest: str, operators: Collection[str], trust: TrustList, *, agreed_now: bool = False
) -> TrustDecision | None:
    """Decide whether the operators of a MindIR can run; None if all of them only compute.

    Args:
        digest: The whole digest of the file, which the agreement names.
        operators: Its operators that can run code from elsewhere, as ``checkpoint.operators.foreign`` finds them.
        trust: The lists.
        agreed_now: Whether the user agrees for this run (``--trust``, ``HUBTOOL_TRUST=1``).
    """
    if not operators:
        return None
    what = f"the graph has operators that can run code from elsewhere: {'; '.join(operators)}"
    return decide_named(f"mindir/{digest}", what, trust, agreed_now=agreed_now)


def repository_name(url: str) -> str:
    """Return a repository's URL without scheme and ``.git``: ``gitee.com/mindspore/models``, or a local path."""
    name = re.sub(r"^[a-z]+://", "", url, flags=re.IGNORECASE).removesuffix("/").removesuffix(".git")
    host, slash, rest = name.partition("/")
    return f"{host.lower()}{slash}{rest}"


def _is_plain(repository: str) -> bool:
    return bool(_ENTRY.match(repository)) and not any(".." in part for part in repository.split("/"))


def parse_entry(text: str) -> str:
    """Parse an entry of the trust list; a URL stands for its repository.

    Raises:
        ArgumentError: If it names neither an organisation nor a repository.
    """
    entry = repository_name(text.strip())
    if not _is_plain(entry) or "." in entry.split("/"):
        raise ArgumentError(
            f"{text[:200]!a} names neither an organisation nor a repository",
            hint="write host/owner or host/owner/name, such as gitee.com/mindspore",
        )
    return entry


def _covers(entry: str, repository: str) -> bool:
    return repository == entry or repository.startswith(f"{entry}/")


def agreed_by(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment agrees for this run (``HUBTOOL_TRUST=1``)."""
    value = (os.environ if environ is None else environ).get("HUBTOOL_TRUST", "")
    return value.strip().lower() in _TRUE


def trust_file() -> Path:
    """Return where the user's lists are kept: beside the user's settings file."""
    return settings.user_file().with_name("trust.json")


def read(path: Path | None = None) -> TrustList:
    """Read the user's lists.

    Raises:
        SettingsError: If the file exists and cannot be read, or other users can write it; then nothing is trusted.
    """
    path = trust_file() if path is None else path
    ownership.check_private(path, "the trust list")
    try:
        raw = json.loads(regular.read_bytes(path, _MAX_FILE_BYTES))
    except FileNotFoundError:
        return TrustList()
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"the trust list {path} cannot be read: {error}", hint="correct or delete it") from error
    lists: list[tuple[str, ...]] = []
    for name in ("added", "removed", "agreed"):
        items = raw.get(name, []) if isinstance(raw, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise SettingsError(f"the trust list {path} is not one: {name!r} is wrong", hint="correct or delete it")
        lists.append(tuple(items))
    added, removed, agreed = lists
    for item in added:
        if not _is_plain(item):
            raise SettingsError(
                f"the trust list {path}: {item[:200]!a} names neither an organisation nor a repository",
                hint="remove it",
            )
    return TrustList(added=added, removed=removed, agreed=agreed)


def write(trust: TrustList, path: Path | None = None) -> None:
    """Write the user's lists atomically.

    Raises:
        SettingsError: If they cannot be written.
    """
    path = trust_file() if path is None else path
    text = json.dumps({"added": trust.added, "removed": trust.removed, "agreed": trust.agreed}, indent=2)
    try:
        files.write_atomically(
            path, (text + "\n").encode(), mode=0o600, parents=True
        )  # `read` refuses what a group can write
    except OSError as error:
        raise SettingsError(f"the trust list {path} cannot be written: {error.strerror}") from error
