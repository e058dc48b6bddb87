"""A card as a document: Markdown bytes taken apart into title, front matter and body, and put together again.

Two layouts are read. The public hub's own has the title first::

    # title

    ---

    key: value

    ---

    body

The other has the front matter first, and the title as the first heading of the body. Taking apart and putting together
are inverses, byte for byte: byte order mark, CRLF, blank lines and trailing space all survive.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from hubtool.card import files, markdown
from hubtool.card.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = files.MAX_BYTES
MAX_BODY_CHARACTERS = 256 << 10
"""The most characters below the front matter. The largest of 5,800 real cards has 77,000."""
MAX_BODY_SIGNS = 30_000
"""The most line ends and Markdown characters: a parser takes up to 20 microseconds for each. Real cards have up to
11,900, mainly dashes in tables."""
MAX_BODY_BRACKETS = 2_000
"""The most opening square brackets: a parser takes up to 150 microseconds for each. Real cards have up to 193."""
_SIGNS = re.compile(r"[\n!#$%&*+\-:<=>@\[\\\]^_`{|}~]")
_BRACKET = re.compile(r"\[")
_FENCE = re.compile(r"---[ \t]*\r?\Z")
_SHORT_CHARACTERS = 16 << 10
_LINE_FEED = re.compile("\n")
_COMMENT_START = "<!--"
_COMMENT_END = "-->"
_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A card taken apart.

    ``text`` is ``head + front_matter + fence + body``: ``head`` ends with the line that opens the front matter, and
    ``fence`` is the line that closes it. Without front matter everything is ``body``.

    Attributes:
        bom: Whether the file starts with a byte order mark.
        text: The whole text, without the byte order mark.
        head: What stands before the front matter, the opening ``---`` line included.
        front_matter: The YAML text between the two ``---`` lines, or None.
        fence: The closing ``---`` line with its line ending.
        body: What stands after it.
        title: The text of the title, or None.
        title_offset: Where the title line starts, in characters.
        faults: What is wrong with the document itself.
    """

    bom: bool
    text: str
    head: str
    front_matter: str | None
    fence: str
    body: str
    title: str | None
    title_offset: int
    faults: tuple[Finding, ...] = ()
    _line_starts: list[int] = field(default_factory=list, repr=False, compare=False)

    @property
    def front_matter_offset(self) -> int:
        """Where the front matter starts, in characters."""
        return len(self.head)

    @property
    def body_offset(self) -> int:
        """Where the body starts, in characters."""
        return len(self.head) + len(self.front_matter or "") + len(self.fence)

    def to_bytes(self) -> bytes:
        """Return the bytes of the card; for bytes that are not a card, the part that could be read."""
        text = f"{self.head}{self.front_matter or ''}{self.fence}{self.body}"
        return (codecs.BOM_UTF8 if self.bom else b"") + text.encode("utf-8")

    def line_column(self, offset: int) -> tuple[int, int]:
        """Return the line and column of an offset, from 1; an offset past the end gives the end."""
        place = min(max(offset, 0), len(self.text))
        if len(self.text) <= _SHORT_CHARACTERS:
            # For a short text, counting is faster than a table of all lines.
            return self.text.count("\n", 0, place) + 1, place - self.text.rfind("\n", 0, place)
        if not self._line_starts:
            self._line_starts.append(0)
            self._line_starts.extend(match.end() for match in _LINE_FEED.finditer(self.text))
        line = bisect_right(self._line_starts, place)
        return line, place - self._line_starts[line - 1] + 1

    def source(self, offset: int, length: int = 200) -> str:
        """Return the line at an offset, cut after ``length`` characters."""
        start = self.text.rfind("\n", 0, max(offset, 0)) + 1
        end = self.text.find("\n", start)
        return self.text[start : min(end if end >= 0 else len(self.text), start + length)].rstrip("\r")


def parse(data: bytes) -> Document:
    """Take a card apart; this returns for any bytes, and problems are in ``faults``."""
    if len(data) > MAX_BYTES:
        return _broken(
            "HT101",
            f"the file has {len(data):,} bytes; a card has at most {MAX_BYTES:,}",
            "a card is a short text; link to large files as assets",
        )
    bom = data.startswith(codecs.BOM_UTF8)
    start = len(codecs.BOM_UTF8) if bom else 0
    try:
        text = data[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[start : start + error.start].decode("utf-8")
        guess = "UTF-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "another encoding"
        fault = Finding(
            code="HT102",
            offset=len(good),
            message=f"the file is not UTF-8 text: byte {start + error.start} is 0x{data[start + error.start]:02x}",
            hint=f"it may be {guess} or not text at all; save it as UTF-8",
        )
        return _all_body(good, fault, bom=bom)
    nul = text.find("\0")
    if nul >= 0:
        fault = Finding(
            code="HT102",
            offset=nul,
            message="the file has a NUL character: it is not text",
            hint="a card is UTF-8 text",
        )
        return _all_body(text, fault, bom=bom)
    if not text.strip():
        return _broken("HT103", "the file is empty", "start from the card of a similar model", bom=bom, body=text)
    document = _split(text, bom=bom)
    excess = _excess(document)
    return document if excess is None else _all_body(text, excess, bom=bom)


def _excess(document: Document) -> Finding | None:
    """Return a finding where the body exceeds what a Markdown parser reads in a second, or None."""
    body = document.body
    if len(body) <= MAX_BODY_BRACKETS:
        return None
    at, what = MAX_BODY_CHARACTERS, f"{MAX_BODY_CHARACTERS:,} characters"
    if len(body) <= at:
        at, what = _nth(_SIGNS, body, MAX_BODY_SIGNS), f"{MAX_BODY_SIGNS:,} line ends and signs of Markdown"
    if at < 0:
        at, what = _nth(_BRACKET, body, MAX_BODY_BRACKETS), f"{MAX_BODY_BRACKETS:,} opening square brackets"
    if at < 0:
        return None
    return Finding(
        code="HT101",
        offset=document.body_offset + at,
        message=f"here the text below the front matter passes {what}, the most that a card may have",
        hint="a card is a short text; move long tables, lists and logs to a file of their own and link to it",
    )


def _nth(pattern: re.Pattern[str], text: str, count: int) -> int:
    """Return where the match after the first ``count`` begins, or -1 if there is none."""
    found = next(islice(pattern.finditer(text), count, None), None)
    return -1 if found is None else found.start()


def _broken(code: str, message: str, hint: str, *, bom: bool = False, body: str = "") -> Document:
    return _all_body(body, Finding(code=code, offset=0, message=message, hint=hint), bom=bom)


def _all_body(text: str, fault: Finding, *, bom: bool, title: str | None = None, title_offset: int = 0) -> Document:
    """Return a document without front matter, and why it has none."""
    return Document(
        bom=bom,
        text=text,
        head="",
        front_matter=None,
        fence="",
        body=text,
        title=title,
        title_offset=title_offset,
        faults=(fault,),
    )


def _lines(text: str, start: int = 0) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, line without its line feed) of each line from an offset on."""
    while start < len(text):
        feed = text.find("\n", start)
        end = len(text) if feed < 0 else feed + 1
        yield start, end, text[start : end - 1 if feed >= 0 else end]
        start = end


def _split(text: str, *, bom: bool) -> Document:
    title: str | None = None
    title_offset = 0
    opened: int | None = None
    in_comment = False
    for start, end, line in _lines(text):
        if in_comment or line.startswith(_COMMENT_START):
            in_comment = _COMMENT_END not in line
        elif not line.strip():
            continue
        elif _FENCE.match(line):
            opened = end
            break
        elif title is None and (found := markdown.title_text(line)) is not None:
            title, title_offset = found, start
        else:
            break
    if opened is None:
        fault = Finding(
            code="HT104",
            offset=0,
            message="the card has no front matter",
            hint="put it between two lines '---' below the title",
        )
        return _all_body(text, fault, bom=bom, title=title, title_offset=title_offset)
    if closing := _CLOSING.search(text, opened):
        end = min(closing.end() + 1, len(text))
        body = text[end:]
        if title is None:
            title, title_offset = _title_of_body(body, end)
        return Document(
            bom=bom,
            text=text,
            head=text[:opened],
            front_matter=text[opened : closing.start()],
            fence=text[closing.start() : end],
            body=body,
            title=title,
            title_offset=title_offset,
        )
    fault = Finding(
        code="HT105",
        offset=max(text.rfind("---", 0, opened), 0),
        message="the front matter is not closed: there is no second line '---'",
        hint="add a line '---' after its last entry",
    )
    return _all_body(text, fault, bom=bom, title=title, title_offset=title_offset)


def _title_of_body(body: str, offset: int) -> tuple[str | None, int]:
    for heading in markdown.outline(body).headings:
        if heading.level == 1:
            return heading.text, offset + heading.offset
    return None, offset
