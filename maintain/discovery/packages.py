"""Recipes of cards whose code is an installed distribution: the constructor by the card's model name."""

from __future__ import annotations

import importlib.metadata
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hubtool.card.model import Recipe
from hubtool.checkpoint import coverage
from hubtool.errors import HubError
from hubtool.networks import package
from hubtool.networks.capture import shapes_of
from hubtool.networks.provider import BuildRequest
from maintain.discovery.outcome import DiscoveryOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from maintain.discovery.heuristics import NetworkFacts

#: The sizes of one input without the batch, where the recipe's example may be any other: images, and lines of text.
_IMAGE: Final = (1, 3, 224, 224)
_INPUTS: Final = {
    "mindcv": (("x", _IMAGE, "float32"),),
    "mindyolo": (("x", (1, 3, 640, 640), "float32"),),
    "mindocr": (("x", (1, 3, 640, 640), "float32"),),
}
_LINE: Final = (("x", (1, 3, 32, 100), "float32"),)


def attempt(distribution: str, folder: str, facts: NetworkFacts, configurations: Path | None) -> DiscoveryOutcome:
    """Find the recipe of a card in an installed package, and build its network.

    Args:
        distribution: The package, one of :data:`hubtool.card.package_calls.PACKAGES`.
        folder: The folder of the card's repo-link: that of its configuration.
        facts: What the card says.
        configurations: A folder with the tree of the package's repository, for those whose networks are configured
            by files that the package does not carry; None if there is none.
    """
    start = time.monotonic()
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return DiscoveryOutcome(reason=f"the package {distribution} is not installed")
    try:
        recipe = _recipe(distribution, folder, facts, configurations)
        if recipe is None:
            return DiscoveryOutcome(reason=f"{distribution} {version} has no network called {facts.model_name}")
        recipe = replace(recipe, requires=(f"{distribution}>={_minor(version)}",))
        recipe, network = _built(recipe)
    except HubError as error:
        return DiscoveryOutcome(reason=error.message)
    shapes = shapes_of(network)
    if not shapes:
        return DiscoveryOutcome(reason=f"the network {facts.model_name} has no parameters")
    return DiscoveryOutcome(
        recipe=recipe,
        network=type(network).__name__,
        parameters=len(shapes),
        elements=sum(parameter.size for parameter in network.parameters_dict().values()),
        digest=coverage.digest_parameters(shapes),
        seconds=round(time.monotonic() - start, 2),
    )


def _built(recipe: Recipe) -> tuple[Recipe, Any]:
    """Build a network as loading does, without first values; if its code reads them, with them, as the recipe says.

    Raises:
        HubError: If it cannot be built.
    """
    from mindspore.nn.utils import no_init_parameters  # noqa: PLC0415

    def build(one: Recipe) -> Any:  # noqa: ANN401 - a Cell
        return package.PackageProvider().build(one, shapes={}, asked=BuildRequest(), compute_type="float32").network

    try:
        with no_init_parameters():
            return recipe, build(recipe)
    except HubError:
        recipe = replace(recipe, initialise=True)
        return recipe, build(recipe)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _recipe(distribution: str, folder: str, facts: NetworkFacts, configurations: Path | None) -> Recipe | None:
    if distribution == "mindcv":
        name = _nearest(facts.model_name, package.members("mindcv", "mindcv.models").list_models())
        arguments: dict[str, Any] = {"model_name": name}
        return _made("mindcv.models:create_model", arguments, _INPUTS["mindcv"]) if name else None
    if distribution == "mindocr":
        arguments = {"name_or_config": facts.model_name, "pretrained": False}
        if facts.model_name.startswith("dbnet"):
            arguments["pretrained_backbone"] = False
        is_line = "/rec/" in folder
        return _made("mindocr.models:build_model", arguments, _LINE if is_line else _INPUTS["mindocr"])
    if distribution == "mindyolo" and configurations is not None:
        found = _configuration(configurations / folder, facts.model_name)
        if found is None:
            return None
        settings = resolved(found, configurations)
        network = settings["network"]
        arguments = {"model_name": network["model_name"], "model_cfg": network, "num_classes": settings["data"]["nc"]}
        if "sync_bn" in settings:
            arguments["sync_bn"] = False  # statistics shared by processes: there is one
        return _made("mindyolo.models:create_model", arguments, _INPUTS["mindyolo"])
    return None


def _made(entry: str, arguments: dict[str, Any], inputs: tuple[tuple[str, tuple[int, ...], str], ...]) -> Recipe:
    return Recipe(provider="package", entry=entry, arguments=arguments, inputs=inputs)


def plain(name: str) -> str:
    """Return a name without what its writings differ in: capitals, underlines and the like."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _nearest(name: str, known: list[str]) -> str | None:
    return {plain(item): item for item in known}.get(plain(name))


def _configuration(folder: Path, model_name: str) -> Path | None:
    """Return the configuration file of a model: by its whole name, or by the part of it that the file is named for."""
    files = {plain(path.stem): path for path in sorted(folder.glob("*.yaml"))}
    wanted = plain(model_name)
    return files.get(wanted) or next(
        (files[name] for name in sorted(files, key=len, reverse=True) if wanted.startswith(name)), None
    )


def resolved(path: Path, root: Path) -> dict[str, Any]:
    """Read a configuration with those that it is based on.

    Args:
        path: The configuration.
        root: The tree that it stands in; nothing outside of it is read.
    """
    import yaml  # noqa: PLC0415

    if not path.resolve().is_relative_to(root.resolve()):
        return {}
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    bases = values.pop("__BASE__", [])
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        merged = _merge(merged, resolved(path.parent / base, root))
    return _merge(merged, values)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
