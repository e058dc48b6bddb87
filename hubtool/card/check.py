"""Checking cards: paths in, diagnostics out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card.rules import RULES, Context
from hubtool.diagnostics import Diagnostic, Position, Severity
from hubtool.errors import ArgumentError, InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Texts about a registry that stand in it and are not cards.
_NOT_CARDS = frozenset({"readme.md", "contributing.md", "changelog.md"})
_BACKENDS = frozenset({"ascend", "gpu", "cpu"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        cards: How many cards were checked.
        diagnostics: All problems, by path and place.
    """

    cards: int
    diagnostics: tuple[Diagnostic, ...]

    def count(self, severity: Severity) -> int:
        """Return how many problems of one severity there are."""
        return sum(diagnostic.severity is severity for diagnostic in self.diagnostics)

    def as_json(self) -> dict[str, object]:
        """Return what ``hubtool validate --format json`` prints."""
        return {
            "cards": self.cards,
            "diagnostics": [diagnostic.as_json() for diagnostic in self.diagnostics],
            "summary": {"errors": self.count(Severity.ERROR), "warnings": self.count(Severity.WARNING)},
        }


def find_cards(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the cards that paths name: a file itself, and of a folder every ``*.md`` below it, in order of their names.

    Hidden folders, links to folders, and the texts README.md, CONTRIBUTING.md and CHANGELOG.md are passed over.

    Raises:
        ArgumentError: If a path does not exist.
    """
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise ArgumentError(f"{path} does not exist", hint="give the path of a card, or of a folder of cards")
            yield path
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if name.endswith(".md") and not name.startswith(".") and name.lower() not in _NOT_CARDS:
                    yield Path(folder, name)


def uid_of_path(path: Path) -> Uid | None:
    """Return the UID that the last parts of a card's path give, or None."""
    parts = path.absolute().parts
    if len(parts) < 4:
        return None
    length = 4 if len(parts) > 4 and parts[-3].lower() in _BACKENDS else 3
    try:
        return Uid.of_path(PurePosixPath(*parts[-length:]))
    except InvalidNameError:
        return None


def check_paths(paths: Iterable[Path]) -> Report:
    """Check all cards that paths name.

    Raises:
        ArgumentError: If a path does not exist.
    """
    cards = 0
    diagnostics: list[Diagnostic] = []
    for path in find_cards(paths):
        cards += 1
        diagnostics.extend(check_file(path))
    return Report(cards=cards, diagnostics=tuple(diagnostics))


def check_file(path: Path) -> list[Diagnostic]:
    """Check one card; a file that cannot be read is a diagnostic too."""
    try:
        with path.open("rb") as stream:
            # One byte more than a card may have is enough to know that it is none.
            data = stream.read(documents.MAX_BYTES + 1)
    except OSError as error:
        diagnostic = Diagnostic(
            code="HT101",
            severity=Severity.ERROR,
            path=str(path),
            position=Position(),
            message=f"the file cannot be read: {error.strerror or error}",
            hint="check the file's permissions",
        )
        return [diagnostic]
    return check_bytes(data, path=str(path), uid=uid_of_path(path))


def check_bytes(data: bytes, *, path: str, uid: Uid | None = None) -> list[Diagnostic]:
    """Check the bytes of one card; whatever they are, this returns every problem, sorted by place."""
    document = documents.parse(data)
    front_matter = None
    if document.front_matter is not None:
        front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    context = Context(document=document, front_matter=front_matter, uid=uid)
    diagnostics = [
        Diagnostic(
            code=rule.code,
            severity=rule.severity,
            path=path,
            position=document.position(finding.offset),
            pointer=finding.pointer,
            message=finding.message,
            hint=finding.hint,
        )
        for rule in RULES.values()
        for finding in rule.check(context)
    ]
    diagnostics.sort(key=lambda diagnostic: (diagnostic.position.line, diagnostic.position.column, diagnostic.code))
    return diagnostics
