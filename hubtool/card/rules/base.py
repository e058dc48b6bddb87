"""What a rule is, and what it is given."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hubtool.card import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hubtool.card.document import Document, Fault
    from hubtool.card.front_matter import FrontMatter
    from hubtool.card.schema import Violation
    from hubtool.diagnostics import Severity
    from hubtool.uid import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where a card breaks a rule; ``offset`` counts characters from the start of the text."""

    offset: int
    message: str
    hint: str | None = None
    pointer: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """One card as rules see it.

    Attributes:
        document: The card taken apart.
        front_matter: Its front matter as nodes, or None if it has none.
        uid: The UID that its path gives, or None.
    """

    document: Document
    front_matter: FrontMatter | None
    uid: Uid | None

    @cached_property
    def values(self) -> dict[str, object]:
        """The front matter as plain values; empty if there is none."""
        return {} if self.front_matter is None else schema.values(self.front_matter)

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Every place where the values break the schema."""
        return () if self.front_matter is None else tuple(schema.violations(self.values))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What was met while the card was taken apart."""
        return (*self.document.faults, *(self.front_matter.faults if self.front_matter else ()))

    def locate(self, pointer: str, *, key: bool = False) -> int:
        """Return the offset of the front-matter node at a JSON pointer, or of its key."""
        return 0 if self.front_matter is None else self.front_matter.locate(pointer, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its code, how bad breaking it is, and the function that finds where it is broken."""

    code: str
    severity: Severity
    check: Callable[[Context], Iterable[Finding]]

    @property
    def title(self) -> str:
        """The rule in one line."""
        return self.page.partition("\n")[0]

    @property
    def page(self) -> str:
        """What, why, and how to mend, as Markdown."""
        return inspect.getdoc(self.check) or ""


RULES: dict[str, Rule] = {}


def rule(code: str, severity: Severity) -> Callable[[Callable[[Context], Iterable[Finding]]], Rule]:
    """Register a function as a rule."""

    def register(check: Callable[[Context], Iterable[Finding]]) -> Rule:
        if code in RULES:
            message = f"two rules have the code {code}"
            raise ValueError(message)
        RULES[code] = Rule(code=code, severity=severity, check=check)
        return RULES[code]

    return register


def faults(context: Context, code: str) -> Iterator[Finding]:
    """Yield what was met while the card was taken apart, of one code."""
    for fault in context.faults:
        if fault.code == code:
            yield Finding(offset=fault.offset, message=fault.message, hint=fault.hint, pointer=fault.pointer)
