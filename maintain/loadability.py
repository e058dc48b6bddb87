"""The page that says which cards become networks, and what stands behind each: from the cards and the reasons."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hubtool.card.known_answer import SOURCES
from hubtool.registry.words import newness
from maintain.discovery.run import reason_class

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from hubtool.card.model import Card, Recipe

_ROOT: Final = Path(__file__).resolve().parents[1]
#: Of each card without a recipe the reason, by UID.
REASONS: Final = _ROOT / "maintain" / "reasons.json"
#: Of each card whose network was not found equal to any code of its authors the reason, by UID.
UNVERIFIED: Final = _ROOT / "maintain" / "unverified.json"
#: The page.
PAGE: Final = _ROOT / "docs" / "loadability.md"
_UNKNOWN: Final = "nobody has looked at it yet"


@dataclass(slots=True)
class _Row:
    """The cards of one version.

    Attributes:
        cards: How many there are.
        states: How many have a recipe that was built, that ran, and whose network is equal to a known answer.
        sources: How many known answers there are of each source.
    """

    cards: int = 0
    states: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)

    def add(self, recipe: Recipe | None, verdict: str) -> None:
        self.cards += 1
        if recipe is None:
            return
        self.states["built"] += 1
        self.states["ran"] += recipe.known_answer is not None or verdict.startswith(("ran", "equal"))
        if recipe.known_answer is not None:
            self.sources[str(recipe.known_answer.get("source"))] += 1

    def cells(self) -> list[str]:
        counts = [self.cards, self.states["built"], self.states["ran"], *(self.sources[name] for name in SOURCES)]
        return [f"{count:,}" for count in (*counts, self.cards - self.states["built"])]


def read_reasons() -> dict[str, str]:
    """Return of each card without a recipe the reason, by UID."""
    found: dict[str, str] = json.loads(REASONS.read_text(encoding="utf-8"))
    return found


def read_unverified() -> dict[str, str]:
    """Return of each card without a known answer the reason, by UID."""
    found: dict[str, str] = json.loads(UNVERIFIED.read_text(encoding="utf-8"))
    return found


def write_unverified(path: Path, reasons: Mapping[str, str], *, asked: Collection[str]) -> None:
    """Write of each card without a known answer the reason; what the file says of cards that were not asked stays.

    Args:
        path: The file.
        reasons: The reasons by UID.
        asked: The cards that were asked: what the file said of them is replaced.
    """
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    reasons = {**{uid: reason for uid, reason in before.items() if uid not in asked}, **reasons}
    path.write_text(json.dumps(dict(sorted(reasons.items())), indent=1) + "\n", encoding="utf-8")


def page(cards: Iterable[Card], reasons: Mapping[str, str], unverified: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        cards: All cards of the registry.
        reasons: Of each card without a recipe the reason, by UID.
        unverified: Of cards with a recipe and without a known answer the reason, by UID.
    """
    rows: dict[str, _Row] = {}
    total = _Row()
    ways: Counter[str] = Counter()
    missing: dict[str, list[str]] = {}
    silent: dict[str, list[str]] = {}
    for card in cards:
        uid = str(card.uid)
        recipe = card.recipe
        network = card.values.get("network")
        verdict = str(network.get("verdict", "")) if isinstance(network, dict) else ""
        for row in (rows.setdefault(uid.rpartition("/")[0], _Row()), total):
            row.add(recipe, verdict)
        if recipe is not None:
            ways[_way(recipe)] += 1
            if recipe.known_answer is None:
                silent.setdefault(unverified.get(uid, _UNKNOWN), []).append(uid)
        else:
            reason = reasons.get(uid, _UNKNOWN)
            missing.setdefault(reason_class(reason), []).append(f"{uid}: {reason}")
    titles = ["registry and version", "cards", "with a recipe", "ran", *SOURCES, "without a recipe"]
    lines = [
        "# Which cards become networks",
        "",
        "Written by `python -m maintain loadability` from the cards. A card *with a recipe* has built a",
        "`mindspore.nn.Cell` with parameters; *ran* means that this network ran forward. The next columns count the",
        "[known answers](known-answers.md) that the networks were found equal to, by what stands behind them:",
        "",
        *(f"- `{name}`: {told}" for name, told in SOURCES.items()),
        "",
        f"| {' | '.join(titles)} |",
        "|---|" + "---:|" * (len(titles) - 1),
        *(f"| {' | '.join([name, *rows[name].cells()])} |" for name in sorted(rows)),
        f"| {' | '.join(['all', *total.cells()])} |",
        "",
        "## How they are built",
        "",
        "| way | cards |",
        "|---|---:|",
        *(f"| {way} | {count:,} |" for way, count in ways.most_common()),
        "",
        "## Why the others are not",
        "",
    ]
    for reason, listed in sorted(missing.items(), key=lambda item: (-len(item[1]), item[0])):
        lines += [f"### {reason} ({len(listed)})", "", *(f"- {card}" for card in sorted(listed)), ""]
    count = sum(map(len, silent.values()))
    lines += [f"## Why {count:,} networks have no known answer", "", "| cards | why | which |", "|---:|---|---|"]
    for reason, uids in sorted(silent.items(), key=lambda item: (-len(item[1]), item[0])):
        lines.append(f"| {len(uids)} | {_cell(reason)} | {', '.join(_grouped(uids))} |")
    return "\n".join(lines).rstrip() + "\n"


def _grouped(uids: Iterable[str]) -> list[str]:
    """Return cards by publisher and name, each with its versions."""
    versions: dict[str, list[str]] = {}
    for uid in uids:
        place, _, name = uid.rpartition("/")
        publisher, _, version = place.rpartition("/")
        versions.setdefault(f"{publisher}/{name}", []).append(version)
    return [f"{name} ({', '.join(sorted(found, key=newness))})" for name, found in sorted(versions.items())]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _way(recipe: Recipe) -> str:
    if recipe.provider == "builtin":
        return "built in"
    if "mindspore_hub_conf" in recipe.entry:
        return "hub configuration"
    return f"{recipe.provider}, {'script' if recipe.entry.endswith('.py') else 'callable'}"
