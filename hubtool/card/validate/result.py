"""The result of checking one card, and its form in the cache: JSON of its fields."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from hubtool.card.finding import CardSummary, Place, RelativeLink, StatedAsset, StatedNetwork, Successor
from hubtool.diagnostics import Diagnostic, Severity
from hubtool.uid import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class CardResult:
    """What the check of one card gave.

    Attributes:
        diagnostics: Its problems, by place.
        summary: What the rules for all cards need of it; None if it cannot be read.
    """

    diagnostics: tuple[Diagnostic, ...]
    summary: CardSummary | None


def encode(result: CardResult) -> bytes:
    """Return a result as JSON."""
    return json.dumps(result, default=_fields, separators=(",", ":")).encode("ascii")


def _fields(value: Any) -> dict[str, object]:  # noqa: ANN401 - any dataclass
    return {field.name: getattr(value, field.name) for field in fields(value)}


def decode(data: bytes, *, path: str, shown: str) -> CardResult:
    """Return the result that :func:`encode` wrote.

    Args:
        data: The JSON.
        path: The card's path now.
        shown: The path that diagnostics show.
    """
    found = json.loads(data)
    diagnostics = (
        Diagnostic(**{**one, "path": shown, "severity": Severity(one["severity"])}) for one in found["diagnostics"]
    )
    summary = found["summary"]
    if summary is not None:
        uid, successor, network = summary["uid"], summary["successor"], summary["network"]
        summary = CardSummary(
            path=path,
            uid=None if uid is None else Uid(**uid),
            assets=tuple(
                StatedAsset(link, digest, size, Place(*place)) for link, digest, size, place in summary["assets"]
            ),
            relative=tuple(RelativeLink(target, Place(*place)) for target, place in summary["relative"]),
            ignored=tuple(summary["ignored"]),
            status=summary["status"],
            successor=None if successor is None else Successor(successor[0], Place(*successor[1])),
            network=None if network is None else _network(*network),
        )
    return CardResult(diagnostics=tuple(diagnostics), summary=summary)


def _network(code: str, recipe: str, elements: int | None, data_set: str, place: list[Any]) -> StatedNetwork:
    return StatedNetwork(code, recipe, elements, data_set, Place(*place))
