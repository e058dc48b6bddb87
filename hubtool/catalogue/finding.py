"""What the catalogue's own search needs: the facts by which `hubtool search` finds cards, for a script. Pure.

The script (``assets/catalogue.js``) reads words and ranks cards as :mod:`hubtool.registry.reading` and
:mod:`hubtool.registry.index` do, over the same columns; `docs/search.md` has the rules.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hubtool.card import architectures
from hubtool.registry import reading, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubtool.registry.entry import CardEntry

# Columns that many cards have in common: the shard has each text once, and cards have its number.
_SHARED = ("name", "architecture", "general", "dataset", "task", "other")
_VERSION = "@"


def of_entry(entry: CardEntry) -> dict[str, Any]:
    """Return what one card is found by.

    Args:
        entry: The facts of the card.
    """
    found = words.columns(entry)
    version = f" {' '.join(words.tokens(entry.uid.version))} "
    # The versions of a model differ in their numbers only, so that most have one text.
    other = f" {found.other} ".replace(version, f" {_VERSION} ").replace(version, f" {_VERSION} ").strip()
    return {
        "uid": str(entry.uid),
        "exact": " ".join(found.exact.split()[1:]),  # the first is the UID itself
        "version": version.strip(),
        "token": found.version,
        "newness": words.newness(entry.uid.version),
        "status": entry.status,
        **{column: getattr(found, column) for column in _SHARED if column != "other"},
        "other": other,
    }


def shard(models: Sequence[Mapping[str, Any]], texts: Mapping[str, Any]) -> str:
    """Return the script with all facts, which a page loads before the script that searches them.

    Args:
        models: The models in the order of the list, as :func:`hubtool.catalogue.facts.of_model` gives them.
        texts: The words of the interface that the script shows.
    """
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        return numbers.setdefault(text, len(numbers))

    rows = []
    for model in models:
        cards = [
            [
                *(card[key] for key in ("uid", "exact", "version", "token", "newness", "status")),
                *(number(card[column]) for column in _SHARED),
            ]
            for card in model["cards"]
        ]
        newest = model["versions"][0]
        status = newest["status"].kind if newest["status"] is not None else ""
        shown = [
            *(model["href"], number(model["en"] or model["summary"]), number(model["zh"] or model["summary"])),
            *(", ".join(newest["score"][:3]), newest["licence"], model["verified"], status, model["task"]),
        ]
        row = {key: model[key] for key in ("facets", "name", "updated", "parameters")}
        versions = [[one["version"], one["anchor"]] for one in model["versions"]]
        rows.append({**row, "cards": cards, "shown": shown, "versions": versions})
    facts = {
        "models": rows,
        "strings": list(numbers),
        "points": dict(reading.POINTS),
        "lexicon": reading.lexicon(),
        "ignored": sorted(architectures.ignored_words()),
        "taskWords": reading.words_of_tasks(),
        "known": _other_words(reading.lexicon_words()),
        "tasks": {one.name: [one.english, one.chinese] for one in architectures.tasks().values()},
        "texts": texts,
    }
    return f"var hubtoolFacts = {json.dumps(facts, ensure_ascii=False, separators=(',', ':'))};\n"


def _other_words(known: Iterable[str]) -> list[str]:
    """Return the words that typing errors are corrected to, without those that the shard has elsewhere."""
    return sorted(set(known) - set(reading.lexicon()) - set(reading.words_of_tasks()))
