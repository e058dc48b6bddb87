"""The fixes of ``hubtool validate --fix``: the edits that rules propose, applied and written back."""

from __future__ import annotations

import codecs
from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card.files import read_card_file
from hubtool.card.rewrite import unified_diff, write_back
from hubtool.card.validate import check as checks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from hubtool.card.finding import Edit, Fix
    from hubtool.uid import Uid

# A fix may make readable what needs another fix: a translated card takes three rounds.
_MAX_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCard:
    """One card after its fixes.

    Attributes:
        path: The card.
        fixed: The number of findings that were fixed, by code.
        problem: Why the card could not be written, or None.
        diff: The changes as a unified diff of the card's bytes; empty unless it was asked for.
    """

    path: str
    fixed: Mapping[str, int]
    problem: str | None = None
    diff: bytes = b""


def fix_bytes(
    data: bytes, *, uid: Uid | None, hosts: frozenset[str], wanted: Collection[str] | None
) -> tuple[bytes, Counter[str]]:
    """Fix a card.

    Only the front matter is changed, and only where a finding is. The card that is returned has nothing left to fix.

    Args:
        data: The card's bytes; any bytes.
        uid: The UID that its path gives, or None.
        hosts: The hosts that assets may come from.
        wanted: The codes of the findings to fix, or None for all.

    Returns:
        The bytes of the fixed card, and the number of findings that were fixed, by code.
    """
    fixed: Counter[str] = Counter()
    for _ in range(_MAX_ROUNDS):
        document, fixes = checks.fixes(data, uid=uid, hosts=hosts, wanted=wanted)
        if not fixes:
            break
        text, applied = apply(document.text, fixes)
        changed = (codecs.BOM_UTF8 if document.bom else b"") + text.encode("utf-8")
        if _has_entries(data) and not _has_entries(changed):
            break  # a fixed line can break YAML elsewhere, such as by a second anchor of one name
        data = changed
        fixed.update(applied)
    return data, fixed


def _has_entries(data: bytes) -> bool:
    front_matter = documents.parse(data).front_matter
    return front_matter is not None and bool(front_matters.read(front_matter, 0).entries)


def apply(text: str, fixes: Iterable[tuple[str, Fix]]) -> tuple[str, Counter[str]]:
    """Apply fixes to a text, and count them by code; of fixes that overlap or touch, only the first is applied."""
    chosen: list[Edit] = []  # in order, and apart
    applied: Counter[str] = Counter()
    for code, fix in sorted(fixes, key=lambda pair: (pair[1].edits[0].start, pair[0])):
        if all(_is_free(edit, chosen) for edit in fix.edits):
            for edit in fix.edits:
                insort(chosen, edit, key=_start)
            applied[code] += 1
    parts: list[str] = []
    at = 0
    for edit in chosen:
        parts += text[at : edit.start], edit.text
        at = edit.end
    return "".join([*parts, text[at:]]), applied


def _start(edit: Edit) -> int:
    return edit.start


def _is_free(edit: Edit, chosen: list[Edit]) -> bool:
    place = bisect_right(chosen, edit.start, key=_start)
    return (place == 0 or chosen[place - 1].end < edit.start) and (
        place == len(chosen) or edit.end < chosen[place].start
    )


def fix_file(
    path: Path,
    *,
    root: Path | None,
    uid: Uid | None,
    hosts: frozenset[str],
    wanted: Collection[str] | None,
    write: bool,
    show: bool = False,
) -> FixedCard | None:
    """Fix a card in a file; return None if there is nothing to fix.

    The file is replaced as a whole, or left as it is, and keeps its mode. Of a symbolic link the target is fixed, if it
    is below the folder that was given.

    Args:
        path: The card.
        root: The folder that was given, or None if the card itself was.
        uid: The UID that its path gives, or None.
        hosts: The hosts that assets may come from.
        wanted: The codes of the findings to fix, or None for all.
        write: Whether to write the file.
        show: Whether to return a diff.
    """
    try:
        status, data = read_card_file(str(path))
    except OSError:
        return None  # the check reports it
    after, fixed = fix_bytes(data, uid=uid, hosts=hosts, wanted=wanted)
    if after == data:
        return None
    problem = write_back(path, after, status, root=root) if write else None
    shown = unified_diff(data, after, path.as_posix()) if show else b""
    return FixedCard(path=str(path), fixed=fixed, problem=problem, diff=shown)
