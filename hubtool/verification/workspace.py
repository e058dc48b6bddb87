"""A workspace to prove one card in: a registry with only this card, a store with its assets, and programs to run.

It is a temporary folder. It reads the user's registries and store, and never changes them; what has to be fetched goes
into the user's store, as with any other command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hubtool import settings
from hubtool.card import usage
from hubtool.card.repo_link import place_of
from hubtool.errors import ArgumentError, InvalidNameError
from hubtool.git.code import CodeStore
from hubtool.networks import checkout as checkouts
from hubtool.resolution import machine
from hubtool.sandbox.run import environment, run_isolated
from hubtool.store.store import Store
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hubtool.card.document import Document
    from hubtool.card.repo_link import RepositoryPlace
    from hubtool.card.usage import Usage
    from hubtool.hub import Hub
    from hubtool.resolution.finding import FoundCard
    from hubtool.sandbox.limits import ProgramLimits
from hubtool.sandbox.run import ProgramResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofWorkspace:
    """Where a card is proved.

    Attributes:
        root: The temporary folder.
        uid: The UID that the card has here.
        card: The card here.
        environ: The environment of the programs that prove it.
    """

    root: Path
    uid: Uid | None
    card: Path
    environ: Mapping[str, str]

    @property
    def scratch(self) -> Path:
        """The only folder that the programs may write."""
        return self.root / "scratch"

    @property
    def store(self) -> Store:
        """The store of the workspace, which the programs read."""
        return Store(self.root / "store")

    def use_for(self, link: str, digest: str) -> None:
        """Let the programs take a file, by its whole digest, for what a link gives."""
        Store(self.scratch / "hub").came_from(link, digest)

    def run_usage(
        self, code: Usage, name: str, limits: ProgramLimits, *, show: Callable[[str], None] | None = None
    ) -> ProgramResult:
        """Run a usage block.

        Args:
            code: The code.
            name: What tracebacks call its file: the card's path.
            limits: What it may take.
            show: Called with what it prints, as it comes.
        """
        spec = self.root / "usage.json"
        writable = [str(self.scratch)]
        spec.write_text(json.dumps({"code": code.code, "name": name, "writable": writable}), encoding="utf-8")
        command = [sys.executable, "-m", "hubtool.sandbox.usage_main", str(spec)]
        return run_isolated(command, scratch=self.scratch, environ=self.environ, limits=limits, show=show)

    def run_program(self, module: str, *arguments: str, limits: ProgramLimits) -> ProgramResult:
        """Run one of hubtool's own programs, which answers in JSON lines.

        Args:
            module: Its module.
            arguments: What it is run with.
            limits: What it may take.
        """
        command = [sys.executable, "-m", module, *arguments]
        return run_isolated(command, scratch=self.scratch, environ=self.environ, limits=limits)


@contextlib.contextmanager
def open_workspace(
    hub: Hub,
    found: FoundCard,
    document: Document,
    *,
    trust: bool = False,
    checkout: Path | None = None,
    code: Path | None = None,
) -> Iterator[ProofWorkspace]:
    """Make a workspace for a card; it is deleted afterwards.

    Args:
        hub: Settings, registries and store.
        found: The card.
        document: The card taken apart.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        code: The folder with the code of the card's model, where that was settled before.

    Raises:
        ArgumentError: If the checkout lacks the folder that the card names.
    """
    with tempfile.TemporaryDirectory(prefix="hubtool-workspace-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        uid = found.card.uid or named_uid(document)
        card = root / "registry" / (uid.path if uid else "card.md")
        card.parent.mkdir(parents=True)
        card.write_bytes(document.to_bytes())
        _copy_local(found, card)
        scratch = root / "scratch"
        (scratch / "hub").mkdir(parents=True)
        current = hub.settings
        stores = (root / "store", current.home, *current.stores)
        config = settings.user_file().parent.parent
        more = {
            "HUBTOOL_HOME": str(scratch / "hub"),
            "HUBTOOL_STORES": os.pathsep.join(str(path.absolute()) for path in stores),
            "HUBTOOL_REGISTRY": os.pathsep.join(
                str(path.absolute()) for path in (root / "registry", *current.registry)
            ),
            "HUBTOOL_ALLOWED_HOSTS": ",".join(current.allowed_hosts),
            "HUBTOOL_OFFLINE": "1",
            "XDG_CONFIG_HOME": str(config),
            "PYTHONPATH": _python_path(),
        }
        # A usage block may import MindSpore before hubtool can prepare it.
        machine.prepare(more)
        more |= {name: os.environ[name] for name in ("GLOG_v", machine.INSTRUCTIONS) if name in os.environ}
        if trust:
            more["HUBTOOL_TRUST"] = "1"
        place = code_place(found) if checkout is not None or code is not None else None
        if checkout is not None and place is not None:
            code = checkouts.root_of(place, checkout)
        if code is not None and place is not None:
            # A copy, so that the code cannot change while it is proved. The workspace takes it for the card's commit.
            CodeStore(Store(scratch / "hub"), hub.policy, offline=True).put(place, code)
        else:
            # Code that was fetched, before or while the workspace is open, is read from where it is.
            (scratch / "hub" / "code").symlink_to((current.home / "code").absolute(), target_is_directory=True)
        yield ProofWorkspace(root=root, uid=uid, card=card, environ=environment(scratch, more))


def bring_code(hub: Hub, found: FoundCard) -> str:
    """Fetch the code that a card's network is built with, if it is a repository's; return its commit, or nothing.

    Nothing of it is run.

    Raises:
        AssetError: If it cannot be had.
        ArgumentError: If the repo-link names no repository.
    """
    place = code_place(found)
    if place is None:
        return ""
    return CodeStore(hub.store, hub.policy, offline=hub.settings.offline).fetch(place).commit


def code_place(found: FoundCard) -> RepositoryPlace | None:
    """Return where the code of a card's network is, or None if it needs none of a repository.

    Raises:
        ArgumentError: If the repo-link names no repository, or ``repo-revision`` is not a revision.
    """
    recipe = found.card.recipe
    return place_of(found.card) if recipe is not None and recipe.provider == "repository" else None


def compare_checkout(hub: Hub, found: FoundCard, checkout: Path) -> str:
    """Return in one sentence how the code of a checkout compares with the code that a card names.

    Raises:
        ArgumentError: If the card needs no code of a repository, or the checkout lacks the folder that it names.
    """
    place = code_place(found)
    if place is None:
        raise ArgumentError(
            "the card's network needs no code of a repository, so a checkout is of no use", hint="leave --checkout out"
        )
    return checkouts.compare(CodeStore(hub.store, hub.policy, offline=True), place, checkout)


def with_room(limits: ProgramLimits, *, weights: int) -> ProgramLimits:
    """Return limits with room for a checkpoint: it is rewritten once, and read."""
    return replace(limits, memory=limits.memory + 2 * weights, disk=limits.disk + 2 * weights)


def named_uid(document: Document) -> Uid | None:
    """Return the UID that a card without a place in a registry names in its usage block, if it is one."""
    code = usage.of_document(document)
    found = usage.uids(code) if code else ()
    if len(found) == 1:
        with contextlib.suppress(InvalidNameError):
            return Uid.parse(found[0])
    return None


def _copy_local(found: FoundCard, card: Path) -> None:
    """Copy the files that stand beside a card, and that it names."""
    base = found.card.path.parent if found.card.path else found.root
    if base is None or found.root is None:
        return
    for asset in found.card.assets:
        source = base / unquote(asset.link)
        if asset.is_local and source.is_file() and source.resolve().is_relative_to(found.root.resolve()):
            to = card.parent / unquote(asset.link)
            if to.resolve().is_relative_to(card.parent.resolve()):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, to)


def _python_path() -> str:
    """Return PYTHONPATH for the programs: the one of this process, and the folder of hubtool."""
    given = [Path(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join(str(path.absolute()) for path in (*given, Path(__file__).parents[2]))
