"""Running the usage block of a card, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.assets import fetch_asset
from hubtool.card import placeholder, usage
from hubtool.errors import AssetError, CardError, RequirementError
from hubtool.publish.check_rows import ending
from hubtool.requirements import INSTALL_MINDSPORE
from hubtool.resolution import machine
from hubtool.resolution.choice import choose_graph, choose_weights
from hubtool.sandbox.limits import DEFAULT_LIMITS
from hubtool.verification import workspace as workspaces
from hubtool.verification.asset_file import GIVE_FILE, match_files, put_asset
from hubtool.verification.card_file import card_file, read_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hubtool.hub import Hub
    from hubtool.sandbox.limits import ProgramLimits
    from hubtool.sandbox.run import ProgramResult


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRun:
    """How a usage block ended.

    Attributes:
        ended: How its program ended.
        adapted: What was changed so that it runs here, and how a checkout compares, one sentence each.
    """

    ended: ProgramResult
    adapted: tuple[str, ...]

    @property
    def code(self) -> int:
        """The exit code: the block's own, and as shells have it, 128 and the signal for one that was killed."""
        return self.ended.code if self.ended.code >= 0 else 128 - self.ended.code

    @property
    def problem(self) -> str:
        """Why it failed, or empty."""
        return ending(self.ended) if self.code else ""


def try_usage(
    hub: Hub,
    name: str,
    *,
    assets: Sequence[Path] = (),
    limits: ProgramLimits = DEFAULT_LIMITS,
    trust: bool = False,
    checkout: Path | None = None,
    show: Callable[[str], None] | None = None,
) -> UsageRun:
    """Run the usage block of a card in the sandbox; fetch its assets first if they are not stored.

    Args:
        hub: Settings, registries and store.
        name: The path of a card, or a UID.
        assets: Files that will be published as assets of the card; nothing of them goes into the user's store.
        limits: What it may take; for a large checkpoint, more is added.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        show: Called with what it prints, as it comes.

    Raises:
        InvalidNameError: If the name is malformed.
        CardNotFoundError: If there is no such card.
        CardError: If the card cannot be read, or has no usage block.
        ArgumentError: If one of ``assets`` is none of the card's assets.
        AssetError: If an asset cannot be had, or is not published yet.
        NetworkError: If the code of its repository may not run.
        RequirementError: If MindSpore is not installed.
    """
    path, local = card_file(hub, name)
    try:
        found, document = read_once(hub, name, path, local=local)
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    code = usage.of_document(document)
    if code is None:
        raise CardError(
            f"the card {name} has no usage block", hint="write a block of Python code in a section '## Usage'"
        )
    here = machine.probe()
    if here.mindspore is None:
        raise RequirementError("MindSpore is not installed", hint=INSTALL_MINDSPORE)
    card = found.card
    resolution = hub.resolve(found, trust=trust, loading=True)
    if choose_graph(card) is None:  # what a graph runs is decided in the sandbox, where the block loads it
        resolution.refuse("code", "consent")
    if resolution.facts.place is not None and checkout is None:
        workspaces.bring_code(hub, found)
    told = () if checkout is None else (workspaces.compare_checkout(hub, found, checkout),)
    main = choose_weights(card) or choose_graph(card)
    given = match_files(card, assets)
    for at, asset in enumerate(card.assets):
        if at not in given and placeholder.is_unpublished(asset.link):
            raise AssetError(placeholder.not_published(asset.file_name), hint=GIVE_FILE)
    size = 0
    adapted = usage.for_device(code, "Ascend" if "Ascend" in here.devices else "CPU")
    with workspaces.open_workspace(hub, found, document, trust=trust, checkout=checkout) as workspace:
        for at, asset in enumerate(card.assets):
            if at in given:
                brought = put_asset(workspace, asset, given[at]).size
            elif asset.digest is not None:
                brought = fetch_asset(hub, found, asset).size
            else:
                continue
            size = brought if asset is main else size
        ended = workspace.run_usage(adapted, str(path), workspaces.with_room(limits, weights=size), show=show)
    return UsageRun(ended=ended, adapted=(*told, *adapted.adapted))
