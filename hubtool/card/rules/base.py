"""What a rule is. Nothing here needs a parser, so that a run over unchanged cards does not wait for one."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hubtool.card.finding import CardSummary, Finding
    from hubtool.card.rules.context import Context
    from hubtool.diagnostics import Diagnostic, Severity

    _Check = Callable[[Context], Iterable[Finding]]
    _CheckAll = Callable[[Sequence[CardSummary]], Iterable[Diagnostic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its code, its severity, and the function that finds where it is broken.

    A rule has either ``check``, for one card, or ``check_all``, for all cards of a run together.
    """

    code: str
    severity: Severity
    name: str
    page: str
    check: _Check | None = None
    check_all: _CheckAll | None = None
    fixes: bool = False

    @property
    def title(self) -> str:
        """The rule in one line."""
        return self.page.partition("\n")[0]


RULES: dict[str, Rule] = {}


def rule(code: str, severity: Severity, *, fixes: bool = False) -> Callable[[_Check], _Check]:
    """Register a function as a rule for one card; ``fixes`` says that some of its findings have a fix."""

    def register(check: _Check) -> _Check:
        _add(Rule(code=code, severity=severity, **_names(check), check=check, fixes=fixes))
        return check

    return register


def rule_for_all(code: str, severity: Severity) -> Callable[[_CheckAll], _CheckAll]:
    """Register a function as a rule for all cards of a run together."""

    def register(check: _CheckAll) -> _CheckAll:
        _add(Rule(code=code, severity=severity, **_names(check), check_all=check))
        return check

    return register


def _names(function: Callable[..., object]) -> dict[str, Any]:
    return {"name": function.__name__.replace("_", "-"), "page": inspect.cleandoc(function.__doc__ or "")}


def _add(rule: Rule) -> None:
    if rule.code in RULES:
        raise ValueError(f"two rules have the code {rule.code}")
    RULES[rule.code] = rule


def shown(value: object, length: int = 80) -> str:
    """Return a value as a message shows it: in quotes, without control characters, not longer than asked."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return repr(text if len(text) <= length else f"{text[: length - 3]}...")
