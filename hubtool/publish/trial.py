"""Running the usage block of a card, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import placeholder, usage
from hubtool.card.repo_link import parse_repo_link
from hubtool.errors import AssetError, CardError, NetworkError, RequirementError
from hubtool.publish import bench as benches
from hubtool.publish.check import GIVE_FILE, card_file, ending, match_files, put_given, read_once
from hubtool.requirements import INSTALL_MINDSPORE
from hubtool.resolve import machine, resolver
from hubtool.resolve import trust as trusts
from hubtool.sandbox.confine import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hubtool.hub import Hub
    from hubtool.sandbox.confine import Ended, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a usage block ended.

    Attributes:
        ended: How its program ended.
        adapted: What was changed so that it runs here, and how a checkout compares, one sentence each.
    """

    ended: Ended
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
    limits: Limits = DEFAULT_LIMITS,
    trust: bool = False,
    checkout: Path | None = None,
    show: Callable[[str], None] | None = None,
    shut_in: bool = True,
) -> Trial:
    """Run the usage block of a card, shut in; its assets are fetched first if they are not stored.

    Args:
        hub: Settings, registries and store.
        name: The path of a card, or a UID.
        assets: Files that will be published as assets of the card; nothing of them goes into the user's store.
        limits: What it may take; for a large checkpoint, more is added.
        trust: Whether the user agrees, for this once, that the code of a trusted repository runs.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        show: Called with what it prints, as it comes.
        shut_in: Whether to use namespaces at all.

    Raises:
        InvalidNameError: If the name is malformed.
        CardNotFoundError: If there is no such card.
        CardError: If the card cannot be read, or has no usage block.
        ArgumentError: If one of ``assets`` is none of the card's assets.
        AssetError: If an asset cannot be had, or is not published yet.
        NetworkError: If the code of its repository may not run.
        RequirementError: If MindSpore is not installed.
    """
    path, source = card_file(hub, name)
    try:
        found, document = read_once(hub, name, path, source)
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
    if card.recipe is not None and card.recipe.provider == "repository" and card.repo_link is not None:
        url = parse_repo_link(card.repo_link).url
        decision = trusts.decide(url, trusts.read(), agreed_now=trust or trusts.agreed_by())
        if not decision.allowed:
            raise NetworkError(decision.why, hint=decision.hint)
        if checkout is None:
            benches.bring_code(hub, found)
    elif card.recipe is not None and card.recipe.provider == "package":
        called = trusts.decide_call(card.recipe, trusts.read(), agreed_now=trust or trusts.agreed_by())
        if called is not None and not called.allowed:
            raise NetworkError(called.why, hint=called.hint)
    told = () if checkout is None else (benches.compare_checkout(hub, found, checkout),)
    main = resolver.choose_weights(card) or resolver.choose_graph(card)
    given = match_files(card, assets)
    for at, asset in enumerate(card.assets):
        if at not in given and placeholder.is_unpublished(asset.link):
            raise AssetError(placeholder.not_published(asset.file_name), hint=GIVE_FILE)
    size = 0
    adapted = usage.for_device(code, "Ascend" if "Ascend" in here.devices else "CPU")
    with benches.open_bench(hub, found, document, trust=trust, checkout=checkout) as bench:
        for at, asset in enumerate(card.assets):
            if at in given:
                brought = put_given(bench, asset, given[at]).size
            elif asset.digest is not None:
                brought = hub.bring(found, asset).size
            else:
                continue
            size = brought if asset is main else size
        ended = bench.run_usage(adapted, str(path), benches.with_room(limits, weights=size), show=show, shut_in=shut_in)
    return Trial(ended=ended, adapted=(*told, *adapted.adapted))
