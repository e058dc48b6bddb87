"""The status of a published card: deprecated or withdrawn. Pure.

Three entries say it: ``status``, ``superseded-by`` and ``status-reason``. They are written and taken out without a
change to any other byte, so that a card with a status still tells which card it was: what a lockfile pinned before
(:func:`without_status`) is found in it again.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card.values import plain_values
from hubtool.errors import CardError

if TYPE_CHECKING:
    from hubtool.card.document import Document
    from hubtool.card.front_matter import FrontMatter

KEYS = ("status", "superseded-by", "status-reason")
"""The keys of the entries, in the order in which they are written."""

DEPRECATED, WITHDRAWN = "deprecated", "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of a published card.

    Attributes:
        kind: ``deprecated`` or ``withdrawn``.
        reason: Why; empty where the card does not say.
        successor: The UID of the card to use instead, or None.
    """

    kind: str
    reason: str = ""
    successor: str | None = None

    @property
    def is_withdrawn(self) -> bool:
        """Whether the card must no longer be used."""
        return self.kind == WITHDRAWN

    def describe(self, name: str) -> str:
        """Return the status as a sentence.

        Args:
            name: The UID of the card, or its path.
        """
        text = f"{name} is {self.kind}"
        text += f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"{text}; use {self.successor} instead" if self.successor else text

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {"status": self.kind, "reason": self.reason, "superseded-by": self.successor}


def with_status(data: bytes, status: Status, *, name: str) -> bytes:
    """Return a card's bytes with a status, which replaces an earlier one; all other bytes stay.

    Args:
        data: The card.
        status: The status.
        name: How messages call the card.

    Raises:
        CardError: If the card cannot be read well enough to write it into.
    """
    bare = without_status(data)
    document, front_matter = _parts(bare)
    if document.front_matter is None or front_matter is None or not front_matter.is_whole or not front_matter.entries:
        raise CardError(
            f"{name} cannot be given a status: its front matter cannot be read", hint="see 'hubtool validate'"
        )
    from hubtool.card import yaml_text  # noqa: PLC0415 - only writing needs it

    end = "\r\n" if "\r\n" in document.front_matter else "\n"
    pairs = (("status", status.kind), ("superseded-by", status.successor), ("status-reason", status.reason))
    lines = "".join(f"{key}: {yaml_text.scalar(value)}{end}" for key, value in pairs if value)
    text = document.front_matter
    # Below the last line with text, above the blank lines that end the front matter.
    at = len(text.rstrip(" \t\r\n"))
    at = text.find("\n", at) + 1 or len(text)
    lines = lines if text[:at].endswith("\n") else end + lines
    after = _put(document, text[:at] + lines + text[at:])
    wanted = {key: value for key, value in pairs if value}
    if without_status(after) != bare or _values(after) != {**_values(bare), **wanted}:
        raise CardError(
            f"{name} cannot be given a status: its front matter is written in a way that a line cannot be added to",
            hint="run 'hubtool fmt' on it, or write the three entries by hand",
        )
    return after


def without_status(data: bytes) -> bytes:
    """Return a card's bytes without the entries of its status; the same bytes if it has none, or cannot be read."""
    document, front_matter = _parts(data)
    if document.front_matter is None or front_matter is None:
        return data
    text = document.front_matter
    for entry in reversed(front_matter.entries):
        if entry.key not in KEYS:
            continue
        start = entry.offset - front_matter.offset + entry.key_node.start_mark.index
        end = entry.offset - front_matter.offset + max(entry.value.end_mark.index, entry.key_node.end_mark.index)
        # The parser includes the blank and comment lines after a value.
        end = start + len(text[start:end].rstrip())
        if start and text[start - 1] != "\n":
            return data
        feed = text.find("\n", end)
        text = text[:start] + ("" if feed < 0 else text[feed + 1 :])
    return _put(document, text)


def _parts(data: bytes) -> tuple[Document, FrontMatter | None]:
    document = documents.parse(data)
    if document.front_matter is None:
        return document, None
    return document, front_matters.read(document.front_matter, document.front_matter_offset)


def _put(document: Document, front_matter: str) -> bytes:
    text = f"{document.head}{front_matter}{document.fence}{document.body}"
    return (codecs.BOM_UTF8 if document.bom else b"") + text.encode("utf-8")


def _values(data: bytes) -> dict[str, object]:
    front_matter = _parts(data)[1]
    return {} if front_matter is None else plain_values(front_matter)
