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
_TOP: Final = re.compile(r"[^\s#-][^:]*:")
_INPUT: Final = ("name", "shape", "dtype")
_KEYS: Final = ("network", "repo-revision")


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
    entry["parameters"] = outcome["parameters"]
    entry["elements"] = outcome["elements"]
    entry["parameters-sha256"] = outcome["digest"]
    verdict = "ran forward" if outcome.get("forward") == "ran" else "built"
    entry["verdict"] = f"{verdict} on MindSpore {version} (CPU), {outcome.get('date', 'undated')}"
    return entry


def write(text: str, entry: Mapping[str, Any], revision: str | None) -> str:
    """Return a card's text with an entry in its front matter, in place of the one that it had.

    The entry is put before ``license``, or at the end of the front matter; every other line stays as it is.

    Raises:
        ValueError: If the text has no front matter between two lines of ``---``.
    """
    lines = text.splitlines(keepends=True)
    rules = [index for index, line in enumerate(lines) if line.rstrip() == "---"]
    if len(rules) < 2:
        raise ValueError("the card has no front matter between two lines of '---'")
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    kept: list[str] = []
    dropping = False
    for line in lines[rules[0] + 1 : rules[1]]:
        if _TOP.match(line):
            dropping = line.partition(":")[0].strip() in _KEYS
        if not dropping:
            kept.append(line)
    block = yaml_text.dump_recipe(_quoted(entry))
    if revision is not None:
        block = f"repo-revision: {yaml_text.scalar(revision)}\n{block}"
    new = [line + newline for line in block.splitlines()]
    where = next((index for index, line in enumerate(kept) if line.startswith("license:")), len(kept))
    while where == len(kept) and where and not kept[where - 1].strip():
        where -= 1
    return "".join([*lines[: rules[0] + 1], *kept[:where], *new, *kept[where:], *lines[rules[1] :]])


def _quoted(value: Any) -> Any:  # noqa: ANN401 - any plain value
    """Return a value with plain containers only, as PyYAML's safe dumper wants it."""
    if isinstance(value, dict):
        return {str(key): _quoted(item) for key, item in value.items()}
    return [_quoted(item) for item in value] if isinstance(value, (list, tuple)) else value
