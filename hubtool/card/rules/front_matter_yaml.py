"""HT2xx: the YAML of the front matter, and how other readers take it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hubtool.card import vocabulary
from hubtool.card.finding import Edit, Finding, Fix
from hubtool.card.rules import yaml_fix
from hubtool.card.rules.base import rule, shown
from hubtool.card.rules.context import faults
from hubtool.card.rules.front_matter_values import VERSION_KEYS
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.rules.context import Context


@rule("HT201", Severity.ERROR, fixes=True)
def not_yaml(context: Context) -> Sequence[Finding]:
    """The front matter is YAML.

    An entry that a YAML parser cannot read is lost to every tool, and most tools then lose the whole card. The usual
    causes are a tab at the start of a line (use spaces), the value `-` (remove the entry), a value with `: ` in it (put
    it in quotes), and a full-width colon (write `: `).

    `--fix` does the last three where the entry can be read afterwards. An entry `evaluation: -` is removed, not put in
    quotes: it states nothing, and `'-'` would be a metric of that name. Known Chinese keys are translated.
    """
    fixes: dict[Finding, Fix | None] = {}
    for entry in context.front_matter.broken if context.front_matter else ():
        fixes |= dict.fromkeys(entry.faults, yaml_fix.propose(entry.text, entry.offset))
    return [replace(fault, fix=fixes.get(fault)) for fault in faults(context, "HT201")]


@rule("HT202", Severity.ERROR)
def duplicate_key(context: Context) -> Sequence[Finding]:
    """A key occurs once.

    YAML parsers disagree on which of two values counts. Keep one.
    """
    return faults(context, "HT202")


@rule("HT203", Severity.ERROR)
def too_deep(context: Context) -> Sequence[Finding]:
    """Front matter is nested at most 32 deep.

    Deeper nesting is a mistake or an attack on the parser. So is an alias that contains itself.
    """
    return faults(context, "HT203")


@rule("HT204", Severity.ERROR)
def too_large(context: Context) -> Sequence[Finding]:
    """Front matter has at most 256 KiB, and at most 20,000 values with aliases expanded.

    More is a mistake or an attack ("YAML bomb"). Write values out instead of using aliases, and move long text to the
    body.
    """
    return faults(context, "HT204")


@rule("HT208", Severity.ERROR, fixes=True)
def version_read_as_number(context: Context) -> Iterator[Finding]:
    """A version that YAML readers would change is in quotes.

    hubtool reads versions as text. Other readers, such as the public hub's tools, read `mindspore-version: 1.10` as the
    number 1.1, and look for the model of another version. Write `'1.10'`, as `--fix` does. Versions that do not change,
    such as `1.9`, need no quotes.
    """
    for key in VERSION_KEYS:
        text = context.text(key)
        read = _as_number(text) if text else None
        if read is None or read == text:
            continue
        scalar = context.scalar(f"/{key}")
        if scalar is not None and not scalar.style:
            yield context.at(
                f"/{key}",
                f"'{key}' is {scalar.text}, which YAML readers take for the number {read}",
                hint=f"write '{scalar.text}', with the quotes",
                fix=Fix(
                    edits=(Edit(scalar.start, scalar.end, f"'{scalar.text}'"),), title=f"put {scalar.text} in quotes"
                ),
            )


_OCTAL = re.compile(r"0[0-7]+\Z")
_FLOAT = re.compile(r"[0-9]+\.[0-9]*\Z")


def _as_number(text: str) -> str | None:
    """Return what is left of a text that YAML 1.1 reads as a number, or None if it stays text."""
    if len(text) > 18:
        return None
    if _OCTAL.match(text):
        return str(int(text, 8))
    return str(float(text)) if _FLOAT.match(text) else None


# Entries of free text, in which a '#' may be meant. Behind an identifier, a number or a date, a comment is one.
_FREE_TEXT = (
    "summary", "author", "evaluation", "train-dataset", "model-name", "backbone-name", "license", "used-for",
    "status-reason", "module-type", "user-id",
)  # fmt: skip
_COMMENT_BEHIND = re.compile(r"[ \t]+#[^\n]*")
_COMMENT_BEHIND_KEY = re.compile(r"[ \t]*:[ \t]+#[^\n]*")


@rule("HT219", Severity.WARNING)
def comment_behind_text(context: Context) -> Iterator[Finding]:
    """A text is not cut off by a comment.

    A `#` after a space begins a comment in YAML, so `summary: Runs on A # B` means `Runs on A`. Put the text in quotes
    if the `#` belongs to it: `summary: 'Runs on A # B'`. Write an intended comment on a line of its own. Comments
    after numbers, dates and digests, and after a known licence, task or data set, are accepted.
    """
    front_matter = context.front_matter
    text = context.document.text
    if front_matter is None or (" #" not in front_matter.text and "\t#" not in front_matter.text):
        return
    for key in _FREE_TEXT:
        entry = front_matter.entry(key)
        scalar = context.scalar(f"/{key}")
        if entry is None or scalar is None or scalar.style:
            continue
        if scalar.text:
            comment = _COMMENT_BEHIND.match(text, scalar.end)
        else:
            comment = _COMMENT_BEHIND_KEY.match(text, entry.offset + entry.key_node.end_mark.index)
        if comment is None or _is_whole(key, scalar.text):
            continue
        said = f"is cut off to {shown(scalar.text)}" if scalar.text else "is empty"
        start = text.index("#", comment.start())
        yield Finding(
            offset=start,
            end=start + len(comment[0].rstrip()) - (start - comment.start()),
            pointer=f"/{key}",
            message=f"{key!r} {said}: YAML takes {shown(comment[0][comment[0].index('#') :].rstrip())} for a comment",
            hint="put the whole text in quotes; or write the comment on a line of its own",
        )


def _is_whole(key: str, value: str) -> bool:
    """Whether a value is known as it is, so that what stands behind it is no part of it."""
    known = {"license": vocabulary.licence, "module-type": vocabulary.task, "train-dataset": vocabulary.dataset}
    return key in known and known[key](value) is not None
