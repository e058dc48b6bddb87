"""Comments in a card that suppress findings.

``<!-- hubtool: ignore HT209, HT4 -->`` suppresses codes, or all codes that begin so, in the whole card, and
``<!-- hubtool: ignore-next HT404 -->`` in the next line that is not blank. A comment counts wherever it stands outside
the front matter, as YAML has no HTML comments, and outside code, where Markdown has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGN = "hubtool:"
_COMMENT = re.compile(r"<!--[ \t]{0,8}hubtool:[ \t]{0,8}(?P<kind>ignore-next|ignore)(?P<codes>[^\n<>]{0,400}?)-->")
_CODE = re.compile(r"[^\s,]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One such comment.

    Attributes:
        start: Where it starts, in characters.
        end: Where it ends.
        next_line: Whether it is for the next line only.
        codes: The codes it names, each with where it stands.
    """

    start: int
    end: int
    next_line: bool
    codes: tuple[tuple[str, int], ...]


def comments(text: str, body: int = 0) -> Iterator[Comment]:
    """Yield the comments of a text that suppress findings.

    Args:
        text: The text of a card.
        body: Where its body begins. The text before it is not Markdown.
    """
    if _SIGN not in text:
        return
    html: list[tuple[int, int]] | None = None
    for match in _COMMENT.finditer(text):
        if match.start() >= body:
            html = markdown.html_spans(text, body) if html is None else html
            if not any(start <= match.start() < end for start, end in html):
                continue
        first = match.start("codes")
        codes = tuple((code[0], first + code.start()) for code in _CODE.finditer(match["codes"]))
        yield Comment(start=match.start(), end=match.end(), next_line=match["kind"] == "ignore-next", codes=codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressions:
    """What a card suppresses: codes, or beginnings of codes.

    Attributes:
        whole: Those of the whole card.
        lines: Those of single lines: start and end of the line in characters, and the codes.
    """

    whole: tuple[str, ...]
    lines: tuple[tuple[int, int, tuple[str, ...]], ...]

    def cover(self, code: str, offset: int) -> bool:
        """Whether findings of a code are suppressed at an offset."""
        return code.startswith(self.whole) or any(
            start <= offset <= end and code.startswith(codes) for start, end, codes in self.lines
        )


def read(text: str, body: int) -> Suppressions:
    """Return what a card suppresses.

    Args:
        text: The text of the card.
        body: Where its body begins.
    """
    whole: list[str] = []
    lines: list[tuple[int, int, tuple[str, ...]]] = []
    for comment in comments(text, body):
        codes = tuple(code for code, _ in comment.codes)
        if comment.next_line:
            lines.append((*next_line(text, comment.end), codes))
        else:
            whole.extend(codes)
    return Suppressions(whole=tuple(whole), lines=tuple(lines))


def next_line(text: str, offset: int) -> tuple[int, int]:
    """Return where the next line that is not blank starts and ends, from an offset on."""
    start = text.find("\n", offset) + 1
    if not start:
        return len(text), len(text)
    rest = re.compile(r"\s*").match(text, start)
    first = text.rfind("\n", start - 1, rest.end() if rest else start) + 1
    end = text.find("\n", max(first, rest.end() if rest else first))
    return first, len(text) if end < 0 else end
