"""How the problems of cards are printed: for people, for programs, for GitHub, as SARIF.

Each reporter takes diagnostics one by one and writes as it goes, so that a run over any number of cards needs little
memory.
"""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from hubtool.cli import output
from hubtool.cli.render import count, dumps
from hubtool.diagnostics import Severity
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hubtool.card.validate.run import ValidateCounts
    from hubtool.diagnostics import Diagnostic

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


class Reporter(Protocol):
    """Turns diagnostics into text, piece by piece; ``counts`` are right once the diagnostics are drained."""

    def __call__(self, diagnostics: Iterable[Diagnostic], counts: ValidateCounts) -> Iterator[str]:
        """Yield the pieces of the report."""


def text(*, colour: bool) -> Reporter:
    """Return the reporter for people: each problem with its line, the place underlined, and what to do."""
    codes = ("\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m")
    coloured = colour and not os.environ.get("NO_COLOR")
    red, yellow, cyan, bold, plain = map(output.control, codes) if coloured else [""] * len(codes)

    def report(diagnostics: Iterable[Diagnostic], counts: ValidateCounts) -> Iterator[str]:
        fixable = 0
        for found in diagnostics:
            tint = red if found.severity is Severity.ERROR else yellow
            message = _printable(found.message)
            piece = (
                f"{bold}{found.path}:{found.line}:{found.column}{plain}: "
                f"{tint}{found.severity.value} {found.code}{plain}: {message}\n"
            )
            if found.source.strip():
                line, mark = _underlined(found)
                number = str(found.line)
                gap = " " * len(number)
                piece += f"  {cyan}{number} |{plain} {line}\n  {gap} {cyan}|{plain} {tint}{mark}{plain}\n"
            if found.hint:
                piece += f"  {cyan}hint{plain}: {_printable(found.hint)}\n"
            fixable += found.fixable
            yield piece
        yield f"{count(counts.cards, 'card')}: {count(counts.errors, 'error')}, {count(counts.warnings, 'warning')}\n"
        if fixable:
            yield f"'--fix' fixes {fixable:,} of them, '--diff' shows how\n"

    return report


def _printable(line: str) -> str:
    # Nothing in a card may steer the terminal.
    return (
        line
        if line.isprintable()
        else "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
    )


def _underlined(found: Diagnostic) -> tuple[str, str]:
    """Return the source line, and the line of signs that marks the place below it."""
    source = found.source
    start = found.column - 1
    end = found.end_column - 1 if found.end_line == found.line else len(source)
    if not source.isprintable():
        source = _printable(source.replace("\t", " "))
    end = min(max(end, start + 1), max(len(source), start + 1))
    if source.isascii():
        return source, " " * start + "^" * (end - start)
    return source, " " * _width(source[:start]) + "^" * max(_width(source[start:end]), 1)


def _width(line: str) -> int:
    """Return how many columns a text takes on a terminal: Chinese signs take two, combining ones none."""
    if line.isascii():
        return len(line)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line
    )


def as_json(diagnostics: Iterable[Diagnostic], counts: ValidateCounts) -> Iterator[str]:
    """Report as one JSON object, with one problem to a line."""
    yield '{"diagnostics": ['
    separator = "\n"
    for found in diagnostics:
        yield f"{separator}  {dumps(found.as_json())}"
        separator = ",\n"
    summary = json.dumps({"errors": counts.errors, "warnings": counts.warnings})
    yield f'\n],\n"cards": {counts.cards},\n"summary": {summary}}}\n'


def github(diagnostics: Iterable[Diagnostic], counts: ValidateCounts) -> Iterator[str]:
    """Report as commands of GitHub's workflows, which show each problem at its line of a pull request."""
    for found in diagnostics:
        where = f"file={_property(_relative(found.path))},line={found.line},col={found.column}"
        if found.end_line == found.line and found.end_column > found.column:
            where += f",endColumn={found.end_column}"
        message = found.message if found.hint is None else f"{found.message} (hint: {found.hint})"
        yield f"::{found.severity.value} {where},title={found.code}::{_data(message)}\n"
    yield f"{count(counts.cards, 'card')}: {count(counts.errors, 'error')}, {count(counts.warnings, 'warning')}\n"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def _relative(path: str) -> str:
    """Return a path as the working folder sees it, if it is below it, with '/' between its parts."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - Path.absolute() keeps '..'
    here = str(Path.cwd())
    inside = absolute.startswith(here.rstrip(os.sep) + os.sep)
    return (os.path.relpath(absolute, here) if inside else absolute).replace(os.sep, "/")


def sarif(diagnostics: Iterable[Diagnostic], counts: ValidateCounts) -> Iterator[str]:  # noqa: ARG001 - a reporter's signature
    """Report as SARIF 2.1.0, the format that code scanning services read."""
    from hubtool.card import rules as all_rules

    known = all_rules.load()
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.page},
            "help": {"text": rule.page, "markdown": rule.page},
            "defaultConfiguration": {"level": rule.severity.value},
        }
        for rule in known.values()
    ]
    index = {code: number for number, code in enumerate(known)}
    driver = {"name": "hubtool", "version": __version__, "rules": rules}
    yield f'{{"$schema": {json.dumps(SARIF_SCHEMA)}, "version": "2.1.0", "runs": [{{\n'
    yield f'"tool": {dumps({"driver": driver})},\n'
    yield '"columnKind": "unicodeCodePoints",\n"results": ['
    separator = "\n"
    for found in diagnostics:
        region = {"startLine": found.line, "startColumn": found.column}
        if (found.end_line, found.end_column) > (found.line, found.column):
            region |= {"endLine": found.end_line, "endColumn": found.end_column}
        message = found.message if found.hint is None else f"{found.message}\nhint: {found.hint}"
        location = {"artifactLocation": {"uri": _uri(found.path)}, "region": region}
        result = {
            "ruleId": found.code,
            "ruleIndex": index[found.code],
            "level": found.severity.value,
            "message": {"text": message},
            "locations": [{"physicalLocation": location}],
        }
        yield f"{separator}{dumps(result)}"
        separator = ",\n"
    yield "\n]}]}\n"


def _uri(path: str) -> str:
    relative = _relative(path)
    return f"file://{quote(relative)}" if relative.startswith("/") else quote(relative)


REPORTERS: dict[str, Callable[[bool], Reporter]] = {
    "text": lambda colour: text(colour=colour),
    "json": lambda _: as_json,
    "github": lambda _: github,
    "sarif": lambda _: sarif,
}
