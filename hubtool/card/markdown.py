"""The few things of Markdown that rules look at: headings, fenced code, lone ``---`` lines, links.

This is no Markdown parser. It walks from mark to mark with regular expressions that take time linear in the text,
fifty times faster than a parser; a test holds it to what markdown-it-py finds in the bodies of thousands of cards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = re.compile(
    r"^(?P<indent>[ \t>]*)(?:[-*+][ \t]+|[0-9]{1,9}[.)][ \t]+)?"
    r"(?:(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>[^\n]*)"
    r"|(?P<marks>\#{1,6})(?=[ \t\r\n]|\Z)(?P<text>[^\n]*)"
    r"|(?P<rule>---[ \t]*\r?$)"
    r"|(?P<comment><!--))",
    re.MULTILINE,
)
_CLOSERS = {
    "`": re.compile(r"^[ \t>]*(`{3,})[ \t]*\r?$", re.MULTILINE),
    "~": re.compile(r"^[ \t>]*(~{3,})[ \t]*\r?$", re.MULTILINE),
}
_COMMENT_END = "-->"
# The longest real card has a few hundred marks. What comes after this many is not looked at.
_MOST_MARKS = 20_000
# The target of an inline link or image, of a reference definition, and of the HTML elements that name files.
_LINKS = (
    ("](", re.compile(r"\]\([ \t]*(?:<(?P<angle>[^<>\n]{1,2000})>|(?P<plain>[^\s<>()\"]{1,2000}))")),
    (
        "]:",
        re.compile(
            r"^ {0,3}\[[^\[\]\n]{1,200}\]:[ \t]*(?:<(?P<angle>[^<>\n]{1,2000})>|(?P<plain>\S{1,2000}))", re.MULTILINE
        ),
    ),
    (
        "src=",
        re.compile(r"<(?:img|video|audio|source)\b[^<>]{0,500}?\bsrc=[\"'](?P<plain>[^\"'\n]{1,2000})(?P<angle>)"),
    ),
    ("href=", re.compile(r"<a\b[^<>]{0,500}?\bhref=[\"'](?P<plain>[^\"'\n]{1,2000})(?P<angle>)")),
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading ``## text``; ``offset`` is where its line starts, ``end`` where it ends."""

    level: int
    text: str
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced code block; ``language`` is the first word behind the opening fence, in lower case.

    ``start`` and ``end`` are where its content starts and ends, ``offset`` where the opening line starts.
    """

    language: str
    offset: int
    start: int
    end: int
    indent: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What a Markdown text holds, each in the order of the text; offsets are in the text that was scanned.

    Attributes:
        headings: The headings that start with ``#``.
        code: The fenced code blocks.
        rules: Where lines are that are nothing but ``---``.
        comments: Start and end of the HTML comments that start a line.
    """

    headings: tuple[Heading, ...]
    code: tuple[Code, ...]
    rules: tuple[int, ...]
    comments: tuple[tuple[int, int], ...]


def outline(text: str, start: int = 0) -> Outline:
    """Find headings, code blocks, lone ``---`` lines and comments in a text from an offset on."""
    headings: list[Heading] = []
    code: list[Code] = []
    rules: list[int] = []
    comments: list[tuple[int, int]] = []
    closed = True
    at = start
    for _ in range(_MOST_MARKS):
        match = _MARK.search(text, at)
        if match is None:
            break
        at = match.end()
        kind = match.lastgroup
        indent = len(match["indent"].expandtabs(4))
        if match["fence"]:
            block = _code(text, match, indent)
            code.append(block)
            closer = text.find("\n", block.end)
            at = len(text) if closer < 0 else closer
        elif match["marks"]:
            if indent <= 3 and ">" not in match["indent"] and match.start("marks") == match.end("indent"):
                headings.append(Heading(len(match["marks"]), _heading_text(match["text"]), match.start(), match.end()))
        elif kind == "rule":
            if indent <= 3 and ">" not in match["indent"] and match.start("rule") == match.end("indent"):
                rules.append(match.start("rule"))
        elif closed:
            end = text.find(_COMMENT_END, at)
            if end < 0:
                closed = False  # nor is any later one, so that none is looked for again
            else:
                comments.append((match.start("comment"), end + len(_COMMENT_END)))
                at = end + len(_COMMENT_END)
    return Outline(tuple(headings), tuple(code), tuple(rules), tuple(comments))


def _code(text: str, match: re.Match[str], indent: int) -> Code:
    fence = match["fence"]
    words = match["info"].split()
    language = words[0].strip("{}.").lower() if words else ""
    start = min(match.end() + 1, len(text))
    for closer in _CLOSERS[fence[0]].finditer(text, start):
        if len(closer[1]) >= len(fence):
            return Code(language, match.start(), start, closer.start(), indent)
    return Code(language, match.start(), start, len(text), indent)


def _heading_text(rest: str) -> str:
    text = rest.strip()
    # A closing row of '#' is not part of the text if it stands apart.
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else text


def title_text(line: str) -> str | None:
    """Return the text of a first-level heading, or None if a line is not one."""
    return _heading_text(line[1:]) if line.startswith("#") and line[1:2] in (" ", "\t") else None


def links(text: str, start: int, code: tuple[Code, ...]) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, target) of each link and image from an offset on, but not within fenced code."""
    for sign, pattern in _LINKS:
        if text.find(sign, start) < 0:
            continue
        block = 0
        for match in pattern.finditer(text, start):
            group = "angle" if match["angle"] else "plain"
            place = match.start(group)
            while block < len(code) and code[block].end <= place:
                block += 1
            if block < len(code) and code[block].start <= place:
                continue
            yield place, match.end(group), match[group]
