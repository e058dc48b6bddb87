"""Checking one card: bytes in, diagnostics and a summary out. Pure."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card import markdown, suppression
from hubtool.card.finding import CardSummary, Place, RelativeLink, StatedAsset, StatedNetwork, Successor
from hubtool.card.model import strip_brackets
from hubtool.card.rules import load
from hubtool.card.rules.context import Context
from hubtool.card.validate.result import CardResult
from hubtool.diagnostics import Diagnostic
from hubtool.settings import DEFAULT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from hubtool.card.document import Document
    from hubtool.card.finding import Finding, Fix
    from hubtool.card.rules import Rule
    from hubtool.card.suppression import Suppressions
    from hubtool.uid import Uid

MAX_FINDINGS = 100
"""The most findings of one rule in one card: without a bound, hostile cards make millions."""
# The rules for cards of other hubs: their front matter has other keys, and HT115 says so.
_DOCUMENT_RULES = "HT1"

_REVISION: Final = re.compile(r"/(?:tree|blob)/[^/]+/")

_CARD_RULES = [rule for rule in load().values() if rule.check is not None]


def check_bytes(data: bytes, *, path: str, uid: Uid | None = None) -> list[Diagnostic]:
    """Return every problem of one card, sorted by place; the bytes may be anything.

    Rules that look at several cards, or at the files beside a card, are not asked.
    """
    return list(check(data, path=path, uid=uid).diagnostics)


def check(
    data: bytes, *, path: str, uid: Uid | None = None, hosts: frozenset[str] = frozenset(DEFAULT_HOSTS)
) -> CardResult:
    """Check the bytes of one card.

    Args:
        data: The bytes; any bytes.
        path: The card's path, for the diagnostics.
        uid: The UID that the path gives, or None.
        hosts: The hosts that assets may come from.
    """
    context, suppressed = _read(data, uid, hosts)
    document = context.document
    rules = [rule for rule in _CARD_RULES if not context.foreign or rule.code.startswith(_DOCUMENT_RULES)]
    diagnostics = [
        Diagnostic(
            **_place(document, finding)._asdict(),
            path=path,
            message=finding.message,
            hint=finding.hint,
            code=rule.code,
            severity=rule.severity,
            source=document.source(finding.offset),
            fixable=finding.fix is not None,
        )
        for rule, finding in _findings(rules, context, suppressed, most=MAX_FINDINGS)
    ]
    diagnostics.sort(key=lambda found: (found.line, found.column, found.code))
    return CardResult(diagnostics=tuple(diagnostics), summary=_summary(context, path, suppressed))


def fixes(
    data: bytes, *, uid: Uid | None, hosts: frozenset[str], wanted: Collection[str] | None
) -> tuple[Document, list[tuple[str, Fix]]]:
    """Return a card taken apart, and the fixes of its findings, each with the code of its rule.

    Args:
        data: The bytes; any bytes.
        uid: The UID that the path gives, or None.
        hosts: The hosts that assets may come from.
        wanted: The codes of the findings to fix, or None for all.
    """
    context, suppressed = _read(data, uid, hosts)
    if context.foreign:
        return context.document, []
    rules = [rule for rule in _CARD_RULES if rule.fixes and (wanted is None or rule.code in wanted)]
    found = [(rule.code, one.fix) for rule, one in _findings(rules, context, suppressed) if one.fix is not None]
    return context.document, found


def _read(data: bytes, uid: Uid | None, hosts: frozenset[str]) -> tuple[Context, Suppressions]:
    document = documents.parse(data)
    front_matter = None
    if document.front_matter is not None:
        front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    context = Context(document=document, front_matter=front_matter, uid=uid, hosts=hosts)
    return context, suppression.read(document.text, document.body_offset)


def _findings(
    rules: Iterable[Rule], context: Context, suppressed: Suppressions, *, most: int | None = None
) -> Iterator[tuple[Rule, Finding]]:
    """Yield what rules find in a card and the card does not suppress: of each rule no more than ``most``."""
    for rule in rules:
        if rule.check is None or rule.code.startswith(suppressed.whole):
            continue
        for finding in islice(rule.check(context), most):
            if not suppressed.cover(rule.code, finding.offset):
                yield rule, finding


def _place(document: Document, finding: Finding) -> Place:
    return _range(document, finding.offset, finding.end, finding.pointer)


def _range(document: Document, start: int, end: int | None, pointer: str = "") -> Place:
    line, column = document.line_column(start)
    end_line, end_column = document.line_column(end) if end is not None and end > start else (line, column)
    return Place(line, column, end_line, end_column, pointer)


def _summary(context: Context, path: str, suppressed: Suppressions) -> CardSummary:
    assets = tuple(_assets(context))
    relative = [RelativeLink(asset.link, asset.place) for asset in assets if _is_relative(asset.link)]
    successor = context.text("superseded-by")
    return CardSummary(
        path=path,
        uid=context.uid,
        assets=assets,
        relative=(*relative, *_relative_links(context.document, suppressed)),
        ignored=suppressed.whole,
        status=context.text("status") or "",
        successor=None
        if successor is None
        else Successor(successor, _place(context.document, context.at("/superseded-by", ""))),
        network=_network(context),
    )


def _network(context: Context) -> StatedNetwork | None:
    recipe = context.values.get("network")
    if not isinstance(recipe, dict) or any(place.startswith("/network") for place in context.violated):
        return None
    code = _REVISION.sub("/", context.text("repo-link") or "")
    said = {key: recipe[key] for key in ("provider", "entry", "arguments", "argv", "capture") if key in recipe}
    elements = recipe.get("elements")
    return StatedNetwork(
        code,
        json.dumps(said, sort_keys=True, default=str),
        elements if isinstance(elements, int) else None,
        context.text("train-dataset") or "",
        _place(context.document, context.at("/network", "")),
    )


def _assets(context: Context) -> Iterator[StatedAsset]:
    for pointer, asset in islice(context.assets, MAX_FINDINGS):
        link, digest, size = asset.get("asset-link"), asset.get("asset-sha256"), asset.get("asset-size")
        node = f"{pointer}/asset-link"
        if not isinstance(link, str) or node in context.violated:
            continue
        is_digest = isinstance(digest, str) and f"{pointer}/asset-sha256" not in context.violated
        yield StatedAsset(
            strip_brackets(link),
            str(digest).lower() if is_digest else "",
            size if isinstance(size, int) else None,
            _place(context.document, context.at(node, "")),
        )


def _relative_links(document: Document, suppressed: Suppressions) -> Iterator[RelativeLink]:
    if document.front_matter is None or not markdown.may_have_relative_links(document.text, document.body_offset):
        return
    found = markdown.links(document.text, document.body_offset)
    for start, end, target in islice((one for one in found if _is_relative(one[2])), MAX_FINDINGS):
        bare = target.partition("#")[0].partition("?")[0]
        if bare and not suppressed.cover("HT404", start):
            yield RelativeLink(bare, _range(document, start, end))


def _is_relative(link: str) -> bool:
    head = link.partition("/")[0]
    return not link.startswith(("#", "//", "?")) and ":" not in head
