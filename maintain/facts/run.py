"""Filling the cards of a registry with facts, and the page that says what is known."""

from __future__ import annotations

import fnmatch
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import files
from hubtool.card import rewrite
from hubtool.card.markdown_text import table as markdown_table
from hubtool.errors import CardError
from hubtool.registry.folder import FolderRegistry, read_card
from maintain.facts import gathering, preprocessing
from maintain.importing import text as imported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.card.model import Card
    from hubtool.sandbox.limits import ProgramLimits
    from maintain.facts.gathering import CardFacts

# Keys that this room writes; a card that no import wrote keeps its own.
_WRITTEN = ("task", "architecture", "inputs", "preprocessing", "outputs", "labels")
_MOST_REASONS = 12
_INTRODUCTION = """\
`python -m maintain facts --write` writes this page together with the cards. It counts what the cards of others
say about using their networks, and from where. Nothing is guessed: what is not known for sure stays unknown, and
the reasons are counted below."""
_HOW = """\
How pictures are prepared is recorded: the repository's evaluation script runs in a sandbox, with stand-ins for
MindSpore that note each operation on the data, with the configuration of the card's recipe. Where the recipe names
none, all configurations of the folder that evaluate on the card's data set at the size of the network's input have to
agree. One operation that is not understood, and nothing is said. Where the code was not run, what a card has stays.
What the numbers of an output are is read from the known answer: probabilities lie between 0 and 1 and add up to 1;
values beyond 1, or of both signs, are scores. Labels are named where the network has as many classes as the list. A
network with one class more has them where the script evaluates on pictures in one folder for each class, which are
numbered in their order from 0, and no operation changes the numbers: the last class has no label then.
"""
_UNKNOWN = "## Why fields are not known"


@dataclass(kw_only=True)
class Filled:
    """What is known of the cards of a registry.

    Attributes:
        cards: The facts of each card, by its UID.
        changed: How many cards have other text now.
    """

    cards: dict[str, CardFacts] = field(default_factory=dict)
    changed: int = 0


def fill(
    registry: Path,
    *,
    checkouts: Sequence[str],
    pattern: str,
    report: Path,
    limits: ProgramLimits,
    parallel: int,
    write: bool,
    minutes: float = 600.0,
) -> Filled:
    """Gather the facts of the cards that an import wrote; write them, if that is asked.

    Args:
        registry: The folder of the registry.
        checkouts: Folders of repositories' trees.
        pattern: Which UIDs.
        report: Where records of runs are kept.
        limits: What one run may take.
        parallel: How many run at a time.
        write: Whether the cards are written.
        minutes: When no further run is begun.
    """
    cards = [card for card in _cards(registry, pattern) if card.path is not None]
    classifiers = [card for card in cards if gathering.is_classifier(card)]
    prepared = (
        preprocessing.of_cards(
            classifiers, checkouts=checkouts, limits=limits, parallel=parallel, report=report, minutes=minutes
        )
        if checkouts
        else {}
    )
    filled = Filled()
    for card in cards:
        facts = gathering.gather(card, prepared.get(str(card.uid)))
        filled.cards[str(card.uid)] = facts
        path = Path(str(card.path))
        before = path.read_bytes()
        new = {key: facts.values.get(key) for key in _WRITTEN}
        if not imported.look(before).imported:  # what people wrote there stays
            new = {key: value for key, value in new.items() if value is not None and key not in card.values}
        after = imported.renewed(_with(before, new))
        if after != before:
            filled.changed += 1
            if write:
                files.write_atomically(path, after, durable=False)
    return filled


def _with(data: bytes, facts: dict[str, object]) -> bytes:
    return rewrite.with_facts(data.decode(), facts).encode()


def _cards(registry: Path, pattern: str) -> list[Card]:
    """Return the cards of others, in order of their UIDs."""
    found = []
    for uid in sorted(FolderRegistry(registry).uids(), key=str):
        if not fnmatch.fnmatchcase(str(uid), pattern):
            continue
        path = registry / uid.path
        try:
            card = read_card(path, uid)
        except CardError:
            continue  # `hubtool validate` reports it
        if uid.publisher != "hubtool":  # its own models have facts of their own
            found.append(card)
    return found


def table(filled: Filled) -> str:
    """Return how many cards have each field, and from where, as a table in Markdown."""
    return markdown_table("field", "cards", _rows(filled))


def _rows(filled: Filled) -> list[tuple[str, str]]:
    total = len(filled.cards)
    rows = []
    for key in gathering.FIELDS:
        sources = Counter(facts.sources[key] for facts in filled.cards.values() if key in facts.sources)
        count = sum(sources.values())
        share = f" ({100 * count / total:.0f} %)" if total else ""
        told = "; ".join(f"{number:,} from {source}" for source, number in sources.most_common())
        rows.append((key, f"{count:,}{share}{': ' if told else ''}{told}"))
    return rows


def page(filled: Filled) -> str:
    """Return the page ``docs/facts.md``."""
    total = len(filled.cards)
    had = sum(len(facts.sources) for facts in filled.cards.values())
    whole = sum(len(facts.sources) == len(gathering.FIELDS) for facts in filled.cards.values())
    score = 100 * had / (total * len(gathering.FIELDS)) if total else 0.0
    least = sorted(gathering.FIELDS, key=lambda key: sum(key in facts.sources for facts in filled.cards.values()))
    counted = (
        f"Of {total:,} cards, {whole:,} have all {len(gathering.FIELDS)} fields; together they have {score:.1f} % of "
        f"all fields. Missing most are {', '.join(least[:3])}."
    )
    fields = markdown_table("field", "cards that have it, and from where", _rows(filled))
    lines = ["# Facts on the cards", "", _INTRODUCTION, "", counted, "", fields, "", _HOW, _UNKNOWN]
    for key in gathering.FIELDS:
        reasons = Counter(facts.unknown[key] for facts in filled.cards.values() if key in facts.unknown)
        if not reasons:
            continue
        shown = [(reason, f"{count:,}") for reason, count in reasons.most_common(_MOST_REASONS)]
        if rest := sum(reasons.values()) - sum(count for _, count in reasons.most_common(_MOST_REASONS)):
            shown.append(("other reasons", f"{rest:,}"))
        lines += ["", f"### {key}", "", markdown_table("reason", "cards", shown)]
    return "\n".join([*lines, ""])
