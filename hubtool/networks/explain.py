"""What loading a card would do: what it would download, which code it would run, and whether it is allowed to.

Nothing is fetched or run for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hubtool.git.code import CodeStore
from hubtool.git.code_files import code_files
from hubtool.networks import checkout as checkouts
from hubtool.networks import static_scan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hubtool.git.code import Code
    from hubtool.hub import Hub
    from hubtool.networks.static_scan import Access
    from hubtool.resolution.resolver import Resolution, ResolvedAsset
    from hubtool.resolution.trust import TrustDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeToRun:
    """The code that builds a network.

    Attributes:
        repository: The repository's URL.
        revision: The commit, branch or tag on the card; None for the default branch.
        commit: The commit of that revision, or None if it is only known after fetching.
        folder: The folder within the repository.
        entry: The entry point: a module and a callable, or a script.
        argv: The arguments of a script.
        arguments: The arguments of a callable.
        stored: The folder with the code, or None if it would be fetched.
        files: The Python files of the folder; None if the code is not stored.
        touches: What they touch beyond building a network, from a static scan.
        checkout: How the code of a checkout compares with the card's, in one sentence; None without a checkout.
    """

    repository: str
    revision: str | None
    commit: str | None
    folder: str
    entry: str
    argv: tuple[str, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict)
    stored: Path | None = None
    files: tuple[str, ...] | None = None
    touches: tuple[Access, ...] = ()
    checkout: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the ``code`` member of ``hubtool resolve --explain --json``."""
        return {
            "repository": self.repository,
            "revision": self.revision,
            "commit": self.commit,
            "folder": self.folder,
            "entry": self.entry,
            "argv": list(self.argv),
            "arguments": dict(self.arguments),
            "stored": None if self.stored is None else str(self.stored),
            "files": None if self.files is None else list(self.files),
            "checkout": self.checkout,
            "touches": [
                {"kind": one.kind, "what": one.what, "path": one.path, "line": one.line} for one in self.touches
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What loading a card would do.

    Attributes:
        downloads: The files that would be fetched.
        code: The code of a repository that would run, or None.
        package: The requirement of the installed distribution whose code would run, or None.
        graph: The MindIR whose operators would run, or None.
        entry: The callable of that distribution, or None.
        arguments: Its arguments.
        decision: Whether the code can run; None if no code needs consent.
        refused: Why the code never runs (what it would do cannot be read), or None.
        borrowed: Where the recipe comes from if it is not the card's own, in one sentence; None if it is.
    """

    downloads: tuple[ResolvedAsset, ...]
    code: CodeToRun | None
    package: str | None
    entry: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    graph: ResolvedAsset | None = None
    decision: TrustDecision | None
    refused: str | None = None
    borrowed: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the ``explanation`` member of ``hubtool resolve --explain --json``."""
        decision = self.decision
        return {
            "downloads": [
                {
                    "link": one.asset.link,
                    "size": one.asset.size,
                    "digest": one.asset.digest.hex if one.asset.digest else None,
                }
                for one in self.downloads
            ],
            "code": None if self.code is None else self.code.as_json(),
            "package": self.package,
            "entry": self.entry,
            "arguments": dict(self.arguments),
            "graph": None if self.graph is None else self.graph.asset.link,
            "refused": self.refused,
            **({"borrowed": self.borrowed} if self.borrowed else {}),
            "trust": None
            if decision is None
            else {
                "repository": decision.repository,
                "entry": decision.entry,
                "agreed": decision.agreed,
                "allowed": decision.allowed,
                "why": decision.why,
                "hint": decision.hint,
            },
        }


def explain(hub: Hub, resolution: Resolution, *, checkout: Path | None = None, code: Code | None = None) -> Explanation:
    """Return what loading a card would do.

    Args:
        hub: Settings and store.
        resolution: The resolver's answer for the card.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        code: The stored code, if it was looked up already.

    Raises:
        ArgumentError: If the card's repo-link does not name a repository.
    """
    recipe, facts = resolution.recipe, resolution.facts
    if facts.place_error is not None:
        raise facts.place_error
    weights = resolution.weights
    downloads = (weights,) if weights is not None and weights.stored is None and not weights.asset.is_local else ()
    needs_code = recipe is not None and (weights is None or weights.asset.is_weights)
    package = None
    if recipe is not None and needs_code and recipe.provider == "package":
        package = ", ".join(recipe.requires) or recipe.entry.partition(".")[0]
    refused = next(
        (problem.reason for problem in resolution.problems if problem.stage == "code" and resolution.decision is None),
        None,
    )
    return Explanation(
        downloads=downloads,
        code=_code(hub, resolution, checkout, code),
        package=package,
        entry=None if package is None or recipe is None else recipe.entry,
        arguments={} if package is None or recipe is None else recipe.arguments,
        graph=None if weights is None or not weights.asset.is_mindir else weights,
        decision=resolution.decision,
        refused=refused,
        borrowed=None if resolution.loan is None else resolution.loan.why,
    )


def _code(hub: Hub, resolution: Resolution, checkout: Path | None, code: Code | None) -> CodeToRun | None:
    recipe, place = resolution.recipe, resolution.facts.place
    if recipe is None or place is None:
        return None
    store = CodeStore(hub.store, hub.policy, offline=True)
    note = None
    if checkout is not None:
        folder: Path | None = checkouts.root_of(place, checkout)
        note = checkouts.compare(store, place, checkout)
    else:
        code = store.find(place) if code is None else code
        folder = None if code is None else code.path
    files = None if folder is None else tuple(name for name in code_files(folder) if name.endswith(".py"))
    return CodeToRun(
        repository=place.url,
        revision=place.revision,
        commit=store.commit(place) if code is None else code.commit,
        checkout=note,
        folder=place.folder,
        entry=recipe.entry,
        argv=recipe.argv,
        arguments=recipe.arguments,
        stored=folder,
        files=files,
        touches=() if folder is None or files is None else static_scan.scan(folder, files),
    )
