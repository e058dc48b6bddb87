"""Diagnostics: what is wrong with a card, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How bad it is: an error must be fixed, a warning should be."""

    ERROR = "error"
    WARNING = "warning"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem of one card.

    Attributes:
        code: The stable code of the rule, ``HT`` and three digits.
        severity: Error or warning.
        path: The card's path as the user gave it.
        line: The line where it is, from 1.
        column: The column where it starts, from 1, in characters.
        end_line: The line where it ends; the same line if only a place is known.
        end_column: The column behind its last character; the same column if only a place is known.
        pointer: The JSON pointer of the front-matter node, such as ``/asset/0/asset-sha256``; empty for the whole card.
        message: What is wrong.
        hint: What to do, or None.
        source: The text of the line, without what is beyond 200 characters.
        fixable: Whether ``hubtool validate --fix`` fixes it.
    """

    code: str
    severity: Severity
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str
    pointer: str = ""
    hint: str | None = None
    source: str = ""
    fixable: bool = False

    def as_json(self) -> dict[str, str | int | None]:
        """Return the members that ``hubtool validate --format json`` prints."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "pointer": self.pointer,
            "message": self.message,
            "hint": self.hint,
        }
