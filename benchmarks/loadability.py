"""How many cards become networks: ``python benchmarks/loadability.py --models CHECKOUT``.

Runs discovery over every card of the registry (what the report already holds is not looked at again), and writes
``docs/loadability.md``. ``--recipes FILE`` also writes the recipes, which ``python -m maintain write FILE`` puts into
the cards, and of each other card its reason. CHECKOUT is a folder; {repository} and {revision} in it are those of a
card's repo-link.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # maintain/ is in the checkout only
DOCS = ROOT / "docs"


def main() -> None:
    """Run, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True, help="the folder with the repositories' trees")
    parser.add_argument("--report", type=Path, default=Path("discovery.json"), help="where outcomes are kept")
    parser.add_argument("--recipes", type=Path, help="a JSON file to write the recipes to")
    parser.add_argument("--revisions", type=Path, help="a JSON file with the commit of each 'repository revision'")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=80.0)
    parser.add_argument("--smoke", action="store_true", help="run one forward pass of each network")
    parser.add_argument("--only-known", action="store_true", help="write from the report, without running anything")
    options = parser.parse_args()

    import importlib.metadata

    from hubtool.errors import CardError
    from hubtool.hub import Hub
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.discovery import recipes, run

    hub = Hub.open()
    targets, unread = [], {}
    for uid in hub.registries.uids():
        try:
            card, _ = hub.registries.read(uid)
        except CardError:
            unread[str(uid)] = "the card cannot be read: its front matter is not 'key: value'"
            continue
        if card.recipe is None or card.recipe.provider != "builtin":
            targets.append(run.target(card))
    outcomes = run.discover(
        targets,
        checkout=options.models,
        report=options.report,
        limits=ProgramLimits(seconds=options.seconds),
        parallel=options.jobs,
        smoke=options.smoke,
        only_known=options.only_known,
    )
    revisions = json.loads(options.revisions.read_text(encoding="utf-8")) if options.revisions else {}
    version = importlib.metadata.version("mindspore")
    data = recipes.collect(targets, outcomes, version=version, revisions=revisions)
    data["cards"].update(unread)
    data["mindspore"] = version
    if options.recipes:
        options.recipes.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (DOCS / "loadability.md").write_text(table(data, outcomes), encoding="utf-8")
    print(f"{sum(isinstance(place, int) for place in data['cards'].values())} of {len(data['cards'])} cards built")


def table(data: dict[str, Any], outcomes: dict[str, dict[str, Any]]) -> str:
    """Return the document."""
    from maintain.discovery.run import reason_class

    total: Counter[str] = Counter()
    built: Counter[str] = Counter()
    ran: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for uid, place in data["cards"].items():
        version = uid.rpartition("/")[0]
        total[version] += 1
        if isinstance(place, int):
            entry = data["networks"][place]
            built[version] += 1
            ran[version] += outcomes.get(uid, {}).get("forward") == "ran"
            way = "script" if entry["entry"].endswith(".py") else "callable"
            ways["hub configuration" if "mindspore_hub_conf" in entry["entry"] else f"{entry['provider']}, {way}"] += 1
        else:
            reasons[reason_class(place)].append(f"{uid}: {place}")
    lines = [
        "# Which cards become networks",
        "",
        "Written by `benchmarks/loadability.py` from what `python -m maintain discover` found on",
        f"MindSpore {data['mindspore']} (CPU).",
        "*Built* means that the recipe in the card built a `mindspore.nn.Cell` with parameters; *ran* that",
        "it also ran one forward pass on its recorded input shapes. A card that was not tried counts as not run.",
        "",
        "| registry and version | cards | built | ran |",
        "|---|---:|---:|---:|",
    ]
    lines += [f"| {name} | {total[name]} | {built[name]} | {ran[name]} |" for name in sorted(total)]
    lines.append(
        f"| all | {total.total()} | {built.total()} ({built.total() / max(1, total.total()):.1%}) | {ran.total()} |"
    )
    lines += ["", "## How they are built", "", "| way | cards |", "|---|---:|"]
    lines += [f"| {way} | {count} |" for way, count in ways.most_common()]
    lines += ["", "## Why the others are not", ""]
    for reason, cards in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        lines += [f"### {reason} ({len(cards)})", ""]
        lines += [f"- {card}" for card in sorted(cards)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    main()
