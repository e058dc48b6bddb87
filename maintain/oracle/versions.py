"""Write into cards on which other versions of MindSpore their known answers were found equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubtool.verification.record import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hubtool.card.model import Card


def versions_of(lines: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return the versions of MindSpore on which each card was equal, by UID.

    Args:
        lines: The lines of reports of ``hubtool verify``.
    """
    found: dict[str, set[str]] = {}
    for line in lines:
        if line["verdict"] == "equal" and line["mindspore"] and not line["weights"]:
            found.setdefault(line["uid"], set()).add(line["mindspore"])
    return found


def apply(found: Mapping[str, Iterable[str]], cards: Mapping[str, Card]) -> int:
    """Add versions to the known answers of cards; return how many cards were changed."""
    count = 0
    for uid, versions in found.items():
        card = cards.get(uid)
        if card is None or card.path is None or card.recipe is None or card.recipe.known_answer is None:
            continue
        answer = dict(card.recipe.known_answer)
        stated = answer.get("equal-on", [])
        known = {str(version) for version in stated} if isinstance(stated, list) else set()
        if not known.issuperset(versions):
            answer["equal-on"] = sorted(known.union(versions), key=_order)
            write(card.path, {"known-answer": answer})
            count += 1
    return count


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
