"""Checking what concerns several cards, or the files around a card, from the facts that are kept of each card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.card.rules import cross_card  # noqa: F401 - registers the rules for all cards
from hubtool.card.rules.base import RULES
from hubtool.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.rules import Facts, Remark, Rule


def check_all(cards: Sequence[Facts]) -> Iterator[Diagnostic]:
    """Check what concerns several cards, or the files around a card: with the facts of all cards of a run."""
    ignored = {card.path: card.ignored for card in cards if card.ignored}
    for _, rule in sorted(RULES.items()):
        for remark in rule.check_all(cards) if rule.check_all else ():
            if not is_ignored(rule.code, ignored.get(remark.path, ())):
                yield _of_remark(rule, remark)


def is_ignored(code: str, ignored: tuple[str, ...]) -> bool:
    """Whether a code is one of those, or begins with one of those, that are ignored."""
    return bool(ignored) and code.startswith(ignored)


def _of_remark(rule: Rule, remark: Remark) -> Diagnostic:
    place = remark.place
    return Diagnostic(
        code=rule.code,
        severity=rule.severity,
        path=remark.path,
        line=place.line,
        column=place.column,
        end_line=place.end_line,
        end_column=place.end_column,
        pointer=place.pointer,
        message=remark.message,
        hint=remark.hint,
    )


def unreadable(path: str, problem: str, hint: str) -> Diagnostic:
    """Return the diagnostic of a card that cannot be read at all."""
    return Diagnostic(
        code="HT101",
        severity=Severity.ERROR,
        path=path,
        line=1,
        column=1,
        end_line=1,
        end_column=1,
        message=f"the file cannot be read: {problem}",
        hint=hint,
    )
