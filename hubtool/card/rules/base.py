"""What a rule is. Nothing here needs a parser, so that a run over unchanged cards does not wait for one."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hubtool.card.document import Fix
    from hubtool.card.rules.context import Context
    from hubtool.diagnostics import Severity
    from hubtool.uid import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where a card breaks a rule.

    Attributes:
        offset: Where, in characters from the start of the text.
        end: Where it ends; None if only its start is known.
        message: What is wrong.
        hint: What to do, or None.
        pointer: The JSON pointer of the front-matter node, or empty.
        fix: What mends it, if there is one right answer.
    """

    offset: int
    message: str
    hint: str | None = None
    pointer: str = ""
    end: int | None = None
    fix: Fix | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in a card, found while the card was at hand."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is kept of a card for the rules that look at all cards, and at the files around a card.

    Attributes:
        path: The card's path.
        uid: The UID that its path gives, or None.
        assets: Link, digest (or empty), size (or None) and place of each asset.
        relative: The links that are paths relative to the card, with their places; those of assets have a pointer.
        ignored: The codes, or beginnings of codes, that the card itself says to ignore.
        status: What became of the card: ``deprecated`` or ``withdrawn``, or empty.
        successor: The UID that it names as its successor, with its place; or None.
    """

    path: str
    uid: Uid | None
    assets: tuple[tuple[str, str, int | None, Place], ...] = ()
    relative: tuple[tuple[str, Place], ...] = ()
    ignored: tuple[str, ...] = field(default=())
    status: str = ""
    successor: tuple[str, Place] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One place where a rule for many cards is broken: in which card, and where in it."""

    path: str
    place: Place
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its code, how bad breaking it is, and the function that finds where it is broken.

    A rule has either ``check``, for one card, or ``check_all``, for all cards of a run together.
    """

    code: str
    severity: Severity
    name: str
    page: str
    check: Callable[[Context], Iterable[Finding]] | None = None
    check_all: Callable[[Sequence[Facts]], Iterable[Remark]] | None = None
    fixes: bool = False

    @property
    def title(self) -> str:
        """The rule in one line."""
        return self.page.partition("\n")[0]


RULES: dict[str, Rule] = {}


def rule(
    code: str, severity: Severity, *, fixes: bool = False
) -> Callable[[Callable[[Context], Iterable[Finding]]], Callable[[Context], Iterable[Finding]]]:
    """Register a function as a rule for one card; ``fixes`` says that some of its findings can be mended."""

    def register(check: Callable[[Context], Iterable[Finding]]) -> Callable[[Context], Iterable[Finding]]:
        _add(code, severity, check, fixes=fixes, check_one=check)
        return check

    return register


def rule_for_all(
    code: str, severity: Severity
) -> Callable[[Callable[[Sequence[Facts]], Iterable[Remark]]], Callable[[Sequence[Facts]], Iterable[Remark]]]:
    """Register a function as a rule for all cards of a run together."""

    def register(
        check: Callable[[Sequence[Facts]], Iterable[Remark]],
    ) -> Callable[[Sequence[Facts]], Iterable[Remark]]:
        _add(code, severity, check, fixes=False, check_all=check)
        return check

    return register


def _add(
    code: str,
    severity: Severity,
    function: Callable[..., object],
    *,
    fixes: bool,
    check_one: Callable[[Context], Iterable[Finding]] | None = None,
    check_all: Callable[[Sequence[Facts]], Iterable[Remark]] | None = None,
) -> None:
    if code in RULES:
        message = f"two rules have the code {code}"
        raise ValueError(message)
    RULES[code] = Rule(
        code=code,
        severity=severity,
        name=function.__name__.replace("_", "-"),
        page=inspect.cleandoc(function.__doc__ or ""),
        check=check_one,
        check_all=check_all,
        fixes=fixes,
    )


def shown(value: object, length: int = 80) -> str:
    """Return a value as a message shows it: in quotes, without control characters, not longer than asked."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return repr(text if len(text) <= length else f"{text[: length - 3]}...")
