"""What discovery found, as data: one file of recipes for all cards, and the front matter of each. Pure."""

from __future__ import annotations

import importlib.metadata
import json
import re
from typing import TYPE_CHECKING, Any, Final

from hubtool.card import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maintain.discovery.run import Target

# The place of the code on the machine that ran it is left out.
_PATH: Final = re.compile(r"(?<![\w.{])/(?:[\w.+-]+/){2,}")
_INPUT: Final = ("name", "shape", "dtype")


def collect(
    targets: Iterable[Target], outcomes: Mapping[str, Mapping[str, Any]], *, version: str, revisions: Mapping[str, str]
) -> dict[str, Any]:
    """Return the recipes of cards as data in which each network stands once.

    Args:
        targets: The cards.
        outcomes: What came of each UID.
        version: The version of MindSpore that built them.
        revisions: The commits of ``repository revision``, such as ``models r1.9``.

    Returns:
        ``networks``: a list of front-matter entries; ``cards``: of each UID its place in that list, or the reason why
        it has none; ``revisions``: of each UID with a network its commit.
    """
    networks: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    cards: dict[str, int | str] = {}
    commits: dict[str, str] = {}
    for target in targets:
        outcome = outcomes.get(target.uid)
        if outcome is None:
            continue
        if outcome["recipe"] is None:
            cards[target.uid] = _PATH.sub("", outcome["reason"])
            continue
        entry = entry_of(outcome, version=version)
        key = json.dumps(entry, sort_keys=True)
        if key not in places:
            places[key] = len(networks)
            networks.append(entry)
        cards[target.uid] = places[key]
        commit = revisions.get(f"{target.repository} {target.revision}")
        if commit and outcome["recipe"]["provider"] == "repository":
            commits[target.uid] = commit
    return {"networks": networks, "cards": cards, "revisions": commits}


def mindspore_version() -> str:
    """Return the version of MindSpore that is installed."""
    return importlib.metadata.version("mindspore")


def entry_of(outcome: Mapping[str, Any], *, version: str) -> dict[str, Any]:
    """Return the ``network:`` entry of a card for an outcome that has a recipe."""
    recipe = outcome["recipe"]
    entry: dict[str, Any] = {name: recipe[name] for name in yaml_text.ORDER_OF_RECIPE if name in recipe}
    if "inputs" in entry:
        entry["inputs"] = [{name: item[name] for name in _INPUT} for item in entry["inputs"]]
    if recipe["provider"] == "builtin":
        return entry  # the checkpoint says how large it is
    entry["parameters"] = outcome["parameters"]
    entry["elements"] = outcome["elements"]
    entry["parameters-sha256"] = outcome["digest"]
    verdict = "ran forward" if outcome.get("forward") == "ran" else "built"
    entry["verdict"] = f"{verdict} on MindSpore {version} (CPU), {outcome.get('date', 'undated')}"
    return entry
