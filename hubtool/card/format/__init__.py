"""The standard layout of a card: the order of its entries, how values are quoted, and where blank lines stand.

Formatting is pure, and changes nothing that a card says: the values of the front matter, as the schema reads them, and
the blocks of the body, as a Markdown parser reads them, are compared before and after. A part that would be read
differently stays as it was written. A comment stays with the entry that it is above, beside or in. Imported cards are
written in this layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import foreign
from hubtool.card import front_matter as front_matters
from hubtool.card.finding import Finding
from hubtool.card.format.body import MARKDOWN_SPACE, format_body
from hubtool.card.format.front_matter import format_front_matter

if TYPE_CHECKING:
    from hubtool.card.document import Document

_COMMENT = re.compile(r"(<!--.*?(?:-->|\Z))", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A card in the standard layout.

    Attributes:
        data: The card's bytes; the given bytes if it cannot be formatted.
        problem: Why it cannot be formatted, as ``line:column: message``, or None.
    """

    data: bytes
    problem: str | None = None


def format_card(data: bytes) -> Formatted:
    """Format a card; this returns for any bytes, and formatting the result again changes nothing."""
    document = documents.parse(data.replace(b"\r\n", b"\n"))
    lone = document.text.find("\r")
    if document.front_matter is None:
        fault = document.faults[0]
    elif lone >= 0:
        # YAML and Markdown take it for a line end, other programs do not: there is no one right answer.
        message = "there is a carriage return that does not belong to a line end; delete it"
        fault = Finding(code="HT110", offset=lone, message=message)
    else:
        front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
        whose = foreign.hub_of(front_matter)
        if whose is not None:
            message = f"this is a {whose} model card; {foreign.HINT}"
            fault = Finding(code="HT115", offset=document.front_matter_offset, message=message)
        elif front_matter.is_whole:
            text = _head(document) + format_front_matter(front_matter) + "---\n" + _body_with_gap(document.body)
            return Formatted(data=text.encode("utf-8"))
        else:
            fault = front_matter.faults[0]
    line, column = document.line_column(fault.offset)
    return Formatted(data=data, problem=f"{line}:{column}: {fault.message}")


def _head(document: Document) -> str:
    """Return the text above the front matter: comments, the title, and the opening line ``---``."""
    above = document.head[: document.head.rstrip().rfind("---")].strip("\n")
    if not above.strip():
        return "---\n"
    lines = [line.rstrip(MARKDOWN_SPACE) for line in above.split("\n")]
    if document.title is not None and document.title_offset < len(document.head):
        at = document.head[: document.title_offset].count("\n") - _leading_blanks(document.head)
        lines[at] = f"# {document.title}"  # an empty title keeps its space, too
    text = "\n".join(lines)
    # Blank lines within comments are kept.
    parts = _COMMENT.split(text)
    text = "".join(part if part.startswith("<!--") else re.sub(r"\n{3,}", "\n\n", part) for part in parts)
    return f"{text}\n\n---\n"


def _leading_blanks(text: str) -> int:
    return len(text) - len(text.lstrip("\n"))


def _body_with_gap(body: str) -> str:
    text = format_body(body)
    return f"\n{text}" if text else ""
