"""The resolver: from a card to the frozen answer of what it takes to load it. Pure: values in, values out."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import placeholder
from hubtool.card.model import BUILTIN_ENTRIES
from hubtool.errors import ArgumentError
from hubtool.requirements import INSTALL_MINDSPORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hubtool.card.model import Asset, Card, Recipe
    from hubtool.checkpoint.coverage import Fit
    from hubtool.registry import Other
    from hubtool.resolve.machine import Machine

DEVICES = ("auto", "CPU", "GPU", "Ascend")
# What hubtool's own networks were written for and are tested with; NumPy 2 breaks MindSpore 2.10's PyNative mode.
BUILTIN_REQUIRES: Mapping[str, str] = {"mindspore": ">=2.10,<3", "numpy": "<2"}
_OLDEST = (2, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedAsset:
    """One asset of a card, and where its bytes are.

    Attributes:
        asset: What the card says.
        stored: The file with the verified bytes, or None if it has to be fetched.
        weights: Whether this is the file that is loaded: the checkpoint or, on a card without one, the graph.
    """

    asset: Asset
    stored: Path | None
    weights: bool

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool resolve --json`` prints."""
        return {
            "format": self.asset.format,
            "link": self.asset.link,
            "digest": self.asset.digest.hex if self.asset.digest else None,
            "size": self.asset.size,
            "stored": str(self.stored) if self.stored else None,
            "weights": self.weights,
            **({"weak": self.asset.weakness} if self.asset.weakness else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The answer of the resolver for one card.

    Attributes:
        uid: The UID, or the path of a card outside a registry.
        card: The card.
        assets: Its assets.
        recipe: How its network is built, or None if nobody knows.
        requires: What must be installed, as distribution names and version ranges.
        device: The device target that is chosen: ``CPU``, ``GPU`` or ``Ascend``.
        reasons: Why it cannot be loaded, what the user still has to agree to included; empty if it can.
        registry: The registry that the card is of, or None.
        others: Later registries that have the UID too, with other bytes: they are not used.
        pinned: Whether the card is held to a lock.
        consent: What the user still has to agree to, in one sentence with the way to do it; None if there is nothing.
        fit: How the stored checkpoint compares with the parameters that were recorded; None where one is not known.
    """

    uid: str
    card: Card
    assets: tuple[ResolvedAsset, ...]
    recipe: Recipe | None
    requires: Mapping[str, str]
    device: str
    reasons: tuple[str, ...]
    registry: str | None = None
    others: tuple[Other, ...] = ()
    pinned: bool = False
    consent: str | None = None
    fit: Fit | None = None

    @property
    def loadable(self) -> bool:
        """Whether nothing known stands between this card and a loaded network, the user's consent included."""
        return not self.reasons

    @property
    def ready(self) -> bool:
        """Whether it can be loaded as soon as the user agrees that its code runs."""
        return all(reason == self.consent for reason in self.reasons)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the card although it does not keep it from being loaded."""
        return tuple(asset.asset.weakness for asset in self.assets if asset.asset.weakness)

    @property
    def weights(self) -> ResolvedAsset | None:
        """The file that is loaded: the checkpoint, else the graph; None if the card has neither."""
        return next((asset for asset in self.assets if asset.weights), None)

    @property
    def handed_over(self) -> bool:
        """Whether the file is a graph that MindSpore does not run: loading it gives its path."""
        weights = self.weights
        return weights is not None and weights.asset.runner is not None and not weights.asset.is_mindir

    @property
    def python(self) -> tuple[str, ...]:
        """The Python lines that load the network; with what the checkpoint needs, and the consent that is missing."""
        arguments = [json.dumps(self.uid, ensure_ascii=False)]
        arguments += [] if self.card.uid else ['source="local"']
        if self.fit is not None:
            arguments += [f"{name}={value!r}" for name, value in self.fit.arguments.items()]
        arguments += ["trust=True"] if self.consent else []
        call = f"hubtool.load({', '.join(arguments)})"
        if self.handed_over:
            return ("import hubtool", "", f"path = {call}")
        lines = ["import mindspore", "import hubtool", ""]
        lines.append(f'mindspore.set_device("{self.device}")')
        lines.append(f"network = {call}")
        lines.append("network.set_train(False)")
        return tuple(lines)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool resolve --json`` prints."""
        network: dict[str, object] | None = None
        if self.recipe is not None:
            network = {
                "provider": self.recipe.provider,
                "entry": self.recipe.entry,
                "arguments": dict(self.recipe.arguments),
                "ignore": list(self.recipe.ignore),
                "python": list(self.python),
            }
        return {
            "uid": self.uid,
            "card": {
                "path": str(self.card.path) if self.card.path else None,
                "title": self.card.title,
                "summary": self.card.text("summary"),
                "mindspore-version": self.card.mindspore_version,
                "repo-link": self.card.repo_link,
                "faults": list(self.card.faults),
                "registry": self.registry,
                "others": [other.as_json() for other in self.others],
                "pinned": self.pinned,
                "status": self.card.status.as_json() if self.card.status else None,
            },
            "assets": [asset.as_json() for asset in self.assets],
            "network": network,
            "requires": dict(self.requires),
            "device": self.device,
            "consent": self.consent,
            "fit": self.fit.as_json() if self.fit else None,
            "loadable": self.loadable,
            "reasons": list(self.reasons),
        }


def resolve(
    card: Card,
    *,
    locate: Callable[[Asset], Path | None],
    forbidden: Callable[[str], str | None],
    machine: Machine,
    offline: bool,
    device: str = "auto",
    registry: str | None = None,
    others: tuple[Other, ...] = (),
    pinned: bool = False,
    more_reasons: tuple[str, ...] = (),
    consent: str | None = None,
    compare: Callable[[Path, Recipe], Fit | None] = lambda path, recipe: None,  # noqa: ARG005 - a default that knows nothing
) -> Resolution:
    """Say what it takes to load a card, and whether that is possible here.

    Args:
        card: The card.
        locate: Gives the verified file of an asset, or None if it is not stored.
        forbidden: Gives the reason why a link may not be followed, or None if it may.
        machine: What this machine has.
        offline: Whether the network may not be used.
        device: One of :data:`DEVICES`; ``auto`` is Ascend where there is one, else CPU.
        registry: The registry that the card is of.
        others: Later registries that have its UID too, with other bytes.
        pinned: Whether the card is held to a lock.
        more_reasons: Reasons why it cannot be loaded that are found elsewhere, such as in a lock.
        consent: What the user still has to agree to.
        compare: Compares a stored checkpoint with the parameters that a recipe recorded.

    Raises:
        ArgumentError: If the device is not one of these.
    """
    device = parse_device(device)
    weights = choose_weights(card) or choose_graph(card)
    assets = tuple(ResolvedAsset(asset=asset, stored=locate(asset), weights=asset is weights) for asset in card.assets)
    # `auto` does not choose a GPU: MindSpore 2.10 has no build for one, so that a device node alone says nothing.
    chosen = ("Ascend" if "Ascend" in machine.devices else "CPU") if device == "auto" else device
    reasons = [
        *(status_reasons(card, pinned=pinned)),
        *(recipe_reasons(card) if weights is None or weights.is_weights else ()),
        *(reason for asset in assets if asset.weights for reason in _asset_reasons(asset, forbidden, offline=offline)),
        *(_machine_reasons(machine, chosen) if weights is None or _is_for_mindspore(weights) else ()),
        *more_reasons,
        *([] if consent is None else [consent]),
    ]
    if weights is None:
        reasons.insert(0, _no_weights(card))
    return Resolution(
        uid=str(card.uid or card.path),
        card=card,
        assets=assets,
        recipe=card.recipe,
        requires=requires(card.recipe),
        device=chosen,
        reasons=tuple(reasons),
        registry=registry,
        others=others,
        pinned=pinned,
        consent=consent,
        fit=next(
            (
                compare(asset.stored, card.recipe)
                for asset in assets
                if asset.weights and asset.stored and asset.asset.is_weights and card.recipe
            ),
            None,
        ),
    )


def requires(recipe: Recipe | None) -> Mapping[str, str]:
    """Return what a recipe's network needs, as distribution names and version ranges; nothing if there is no recipe."""
    if recipe is None:
        return {}
    more = (re.match(r"([\w.-]+)(.*)", text) for text in recipe.requires)
    return {**BUILTIN_REQUIRES, **{match[1]: match[2].strip() for match in more if match}}


def parse_device(device: str) -> str:
    """Return a device target in MindSpore's own spelling.

    Raises:
        ArgumentError: If there is no such device target.
    """
    for known in DEVICES:
        if device.lower() == known.lower():
            return known
    raise ArgumentError(f"there is no device {device!r}", hint=f"the devices are {', '.join(DEVICES)}")


def choose_weights(card: Card) -> Asset | None:
    """Return the asset that holds the weights: the first checkpoint with a digest, else the first checkpoint."""
    checkpoints = [asset for asset in card.assets if asset.is_weights]
    return next((asset for asset in checkpoints if asset.digest), checkpoints[0] if checkpoints else None)


def choose_graph(card: Card) -> Asset | None:
    """Return the asset that holds a whole network: a MindIR if there is one, else the first other graph.

    None where the card has a checkpoint: then that is loaded.
    """
    if choose_weights(card) is not None:
        return None
    graphs = [asset for asset in card.assets if asset.runner is not None]
    return next((asset for asset in graphs if asset.is_mindir), graphs[0] if graphs else None)


def _is_for_mindspore(asset: Asset) -> bool:
    return asset.is_weights or asset.is_mindir


def _no_weights(card: Card) -> str:
    if not card.assets:
        return card.blame("the card names no assets: there is no checkpoint to load")
    formats = ", ".join(dict.fromkeys(asset.format or "?" for asset in card.assets))
    return card.blame(f"the card names no checkpoint: its assets are {formats}")


def status_reasons(card: Card, *, pinned: bool) -> list[str]:
    """Return why the status of a card keeps it from being loaded; nothing if it does not.

    Args:
        card: The card.
        pinned: Whether a lock pins it: its user decided to depend on it, and keeps it.
    """
    status = card.status
    if status is None or not status.is_withdrawn or pinned:
        return []
    return [status.describe(str(card.uid or card.path))]


def recipe_reasons(card: Card) -> list[str]:
    """Return why the recipe of a card cannot be one that builds its network; nothing if it may be."""
    recipe = card.recipe
    if recipe is None:
        return [card.blame("the card has no recipe (a 'network:' entry), so how its network is built is not known")]
    if recipe.provider == "repository":
        return (
            [] if card.repo_link else ["its network is built with code of a repository, and the card has no repo-link"]
        )
    if recipe.provider == "package":
        return []
    if recipe.provider != "builtin":
        return [f"there is no network provider {recipe.provider!r}: there are builtin, package and repository"]
    if recipe.entry not in BUILTIN_ENTRIES:
        near = difflib.get_close_matches(recipe.entry, BUILTIN_ENTRIES, n=1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(BUILTIN_ENTRIES)}"
        return [f"hubtool has no built-in network {recipe.entry!r}: {known}"]
    return []


def _asset_reasons(asset: ResolvedAsset, forbidden: Callable[[str], str | None], *, offline: bool) -> list[str]:
    name = asset.asset.file_name
    if asset.asset.digest is None:
        return [f"{name} has no SHA-256 digest on the card, so nobody can tell whether its bytes are right"]
    if asset.stored is not None:
        return []
    if asset.asset.is_local:
        return [f"{asset.asset.link} is not beside the card, or not with the digest that the card states"]
    if placeholder.is_unpublished(asset.asset.link):
        return [placeholder.not_published(name)]
    why = forbidden(asset.asset.link)
    if why is not None:
        return [why]
    if offline:
        return [f"{name} is not stored, and the network may not be used (offline)"]
    return []


def _machine_reasons(machine: Machine, device: str) -> list[str]:
    reasons = []
    if device not in machine.devices:
        reasons.append(f"there is no {device} on this machine; there is {', '.join(machine.devices)}")
    if machine.mindspore is None:
        reasons.append(f"MindSpore is not installed: {INSTALL_MINDSPORE}")
    elif (match := re.match(r"([0-9]+)\.([0-9]+)", machine.mindspore)) and (int(match[1]), int(match[2])) < _OLDEST:
        reasons.append(
            f"MindSpore {machine.mindspore} is installed, but {BUILTIN_REQUIRES['mindspore']} is needed: "
            f"{INSTALL_MINDSPORE}"
        )
    return reasons
