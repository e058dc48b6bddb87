"""Checking one card: bytes in, diagnostics and facts out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card import markdown, suppression
from hubtool.card.model import strip_brackets
from hubtool.card.rules import Facts, Finding, Place, load
from hubtool.card.rules.context import Context
from hubtool.card.rules.together import is_ignored
from hubtool.diagnostics import Diagnostic
from hubtool.settings import DEFAULT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hubtool.card.document import Document, Fix
    from hubtool.card.rules import Rule
    from hubtool.uid import Uid

# No one reads more findings of one rule in one card; without a bound, hostile cards make millions.
MOST_FINDINGS = 100
# What can be said of a card of another hub, whose keys have other meanings; HT115 says that it is one.
_DOCUMENT = "HT1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the check of one card gave.

    Attributes:
        diagnostics: Its problems, by place.
        facts: What is kept for the rules that look at all cards.
    """

    diagnostics: tuple[Diagnostic, ...]
    facts: Facts


_CARD_RULES = [rule for rule in load().values() if rule.check is not None]


def check_bytes(data: bytes, *, path: str, uid: Uid | None = None) -> list[Diagnostic]:
    """Check the bytes of one card; whatever they are, this returns every problem, sorted by place.

    Rules that look at several cards, or at the files around a card, have no part in it.
    """
    return list(check(data, path=path, uid=uid).diagnostics)


def check(
    data: bytes, *, path: str, uid: Uid | None = None, hosts: frozenset[str] = frozenset(DEFAULT_HOSTS)
) -> Checked:
    """Check the bytes of one card.

    Args:
        data: The bytes; any bytes.
        path: The card's path, for the diagnostics.
        uid: The UID that the path gives, or None.
        hosts: The hosts that assets may come from.
    """
    context = _context(data, uid, hosts)
    document = context.document
    ignored, by_line = _suppressed(document)
    diagnostics: list[Diagnostic] = []
    for rule in _CARD_RULES:
        if rule.check is None or (ignored and rule.code.startswith(ignored)):
            continue
        if context.foreign and not rule.code.startswith(_DOCUMENT):
            continue
        for finding in islice(rule.check(context), MOST_FINDINGS):
            if by_line and any(
                start <= finding.offset <= end and rule.code.startswith(codes) for start, end, codes in by_line
            ):
                continue
            diagnostics.append(_diagnostic(rule, finding, document, path))
    diagnostics.sort(key=lambda diagnostic: (diagnostic.line, diagnostic.column, diagnostic.code))
    facts = _facts(context, path, ignored, by_line)
    return Checked(diagnostics=tuple(diagnostics), facts=facts)


def fixes(
    data: bytes, *, uid: Uid | None, hosts: frozenset[str], wanted: Collection[str] | None
) -> tuple[Document, list[tuple[str, Fix]]]:
    """Return a card taken apart, and what mends it: each fix with the code of the rule whose finding it mends.

    Args:
        data: The bytes; any bytes.
        uid: The UID that the path gives, or None.
        hosts: The hosts that assets may come from.
        wanted: The codes of the findings to mend, or None for all.
    """
    context = _context(data, uid, hosts)
    ignored, by_line = _suppressed(context.document)
    found: list[tuple[str, Fix]] = []
    for rule in _CARD_RULES:
        if rule.check is None or not rule.fixes or (wanted is not None and rule.code not in wanted):
            continue
        if (ignored and rule.code.startswith(ignored)) or context.foreign:
            continue
        for finding in rule.check(context):
            if finding.fix is None:
                continue
            if by_line and any(
                start <= finding.offset <= end and rule.code.startswith(codes) for start, end, codes in by_line
            ):
                continue
            found.append((rule.code, finding.fix))
    return context.document, found


def _context(data: bytes, uid: Uid | None, hosts: frozenset[str]) -> Context:
    document = documents.parse(data)
    front_matter = None
    if document.front_matter is not None:
        front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    return Context(document=document, front_matter=front_matter, uid=uid, hosts=hosts)


def _suppressed(document: Document) -> tuple[tuple[str, ...], list[tuple[int, int, tuple[str, ...]]]]:
    """Return the codes that the card itself ignores as a whole, and those that it ignores from place to place."""
    whole: list[str] = []
    by_line: list[tuple[int, int, tuple[str, ...]]] = []
    text = document.text
    for comment in suppression.comments(text, document.body_offset):
        codes = tuple(code for code, _ in comment.codes)
        if comment.next_line:
            start, end = suppression.next_line(text, comment.end)
            by_line.append((start, end, codes))
        else:
            whole.extend(codes)
    return tuple(whole), by_line


def _place(document: Document, start: int, end: int | None, pointer: str = "") -> Place:
    line, column = document.line_column(start)
    end_line, end_column = document.line_column(end) if end is not None and end > start else (line, column)
    return Place(line=line, column=column, end_line=end_line, end_column=end_column, pointer=pointer)


def _diagnostic(rule: Rule, finding: Finding, document: Document, path: str) -> Diagnostic:
    line, column = document.line_column(finding.offset)
    end_line, end_column = line, column
    if finding.end is not None and finding.end > finding.offset:
        end_line, end_column = document.line_column(finding.end)
    return Diagnostic(
        code=rule.code,
        severity=rule.severity,
        path=path,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        pointer=finding.pointer,
        message=finding.message,
        hint=finding.hint,
        source=document.source(finding.offset),
        fixable=finding.fix is not None,
    )


def _facts(
    context: Context, path: str, ignored: tuple[str, ...], by_line: Sequence[tuple[int, int, tuple[str, ...]]]
) -> Facts:
    document = context.document
    assets: list[tuple[str, str, int | None, Place]] = []
    relative: list[tuple[str, Place]] = []
    for pointer, asset in islice(context.assets, MOST_FINDINGS):
        link, digest, size = asset.get("asset-link"), asset.get("asset-sha256"), asset.get("asset-size")
        if not isinstance(link, str) or f"{pointer}/asset-link" in context.violated:
            continue
        link = strip_brackets(link)
        good = isinstance(digest, str) and f"{pointer}/asset-sha256" not in context.violated
        node = f"{pointer}/asset-link"
        finding = context.at(node, "")
        place = _place(document, finding.offset, finding.end, node)
        assets.append((link, str(digest).lower() if good else "", size if isinstance(size, int) else None, place))
        if _is_relative(link):
            relative.append((link, place))
    if document.front_matter is not None and markdown.may_have_relative_links(document.text, document.body_offset):
        found = markdown.links(document.text, document.body_offset)
        for start, end, target in islice((one for one in found if _is_relative(one[2])), MOST_FINDINGS):
            bare = target.partition("#")[0].partition("?")[0]
            if bare and not any(
                first <= start <= last and is_ignored("HT404", codes) for first, last, codes in by_line
            ):
                relative.append((bare, _place(document, start, end)))
    successor = context.text("superseded-by")
    finding = context.at("/superseded-by", "")
    return Facts(
        path=path,
        uid=context.uid,
        assets=tuple(assets),
        relative=tuple(relative),
        ignored=ignored,
        status=context.text("status") or "",
        successor=None
        if successor is None
        else (successor, _place(document, finding.offset, finding.end, "/superseded-by")),
    )


def _is_relative(link: str) -> bool:
    head = link.partition("/")[0]
    return not link.startswith(("#", "//", "?")) and ":" not in head
