"""The layout of the text below the front matter: blank lines between blocks, and the form of headings."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MARKDOWN_SPACE = " \t\n"
"""What Markdown takes for white space. Other characters that Python strips, such as U+001F, are text."""
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only a card with a body needs it

    return MarkdownIt("commonmark").enable("table")


def format_body(body: str) -> str:
    """Return a body with one blank line between its blocks, and headings as ``## text``; its blocks stay the same.

    What a Markdown parser reads is compared before and after. The text within blocks is never touched.
    """
    if not body.strip(MARKDOWN_SPACE):
        return ""
    first = _BLANK_LINES.match(body)
    body = body[first.end() if first else 0 :]
    env: dict[str, Any] = {}
    before = _markdown().parse(body, env)
    spaced = _spaced(body, before)
    # What is not closed, such as a comment, goes on to the end: then not even that may change.
    for candidate in (spaced, body.rstrip(MARKDOWN_SPACE) + "\n"):
        other: dict[str, Any] = {}
        if candidate == body or (
            _shape(_markdown().parse(candidate, other)) == _shape(before) and _references(other) == _references(env)
        ):
            return candidate
    return body


def _references(env: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    return {name: (found["href"], found["title"]) for name, found in env.get("references", {}).items()}


def _shape(tokens: Iterable[Token]) -> list[tuple[object, ...]]:
    """Return what tokens say, without the lines that they stand in."""
    return [
        (
            *(token.type, token.tag, token.nesting, token.level, token.markup, token.info, token.hidden, token.attrs),
            token.content,
            _shape(token.children) if token.children else None,
        )
        for token in tokens
    ]


def _spaced(body: str, tokens: Sequence[Token]) -> str:
    lines = body.split("\n")
    out: list[str] = []
    at = 0
    html = False  # whether the block above is HTML, such as a comment, which may belong to the line right below it
    for index, token in enumerate(tokens):
        if token.level or token.nesting < 0 or token.map is None:
            continue
        start, end = token.map
        is_html = token.type == "html_block"
        gap = lines[at:start]
        touching = not any(not line.strip(MARKDOWN_SPACE) for line in gap) and at > 0
        block = lines[start:end]
        at = end
        if token.type == "heading_open" and token.markup.startswith("#"):
            block = [f"{token.markup} {tokens[index + 1].content}".rstrip(MARKDOWN_SPACE)]
        elif not is_html:
            while block and not block[-1].strip(MARKDOWN_SPACE) and token.type not in ("fence", "code_block"):
                block.pop()
        out += _gap(gap, out, touching=touching and html)
        out += block
        html = is_html
    rest = [line for line in lines[at:] if line.strip(MARKDOWN_SPACE)]
    if rest:
        out += _gap(lines[at:], out, touching=False)
    while out and not out[-1].strip(MARKDOWN_SPACE):
        out.pop()
    return "\n".join(out) + "\n" if out else ""


def _gap(gap: Sequence[str], out: Sequence[str], *, touching: bool) -> list[str]:
    """Return what stands between two blocks: a blank line, and definitions of links with blank lines around them."""
    found: list[str] = [] if touching or not out else [""]
    for line in gap:
        if line.strip(MARKDOWN_SPACE):
            found.append(line.rstrip(MARKDOWN_SPACE))
        elif found and found[-1]:
            found.append("")
    if any(found) and found[-1] and not touching:
        found.append("")
    return found
