"""The parts of a Markdown text that rules check: headings, fenced code, lone ``---`` lines, links.

Links come from markdown-it-py's tokens, so that only what CommonMark takes for a link is one. The outline of an
ordinary text is found by walking from mark to mark with regular expressions, ten times faster than a parser; a text
with signs that such a walk reads wrongly (HTML blocks, underlined headings, code in list items) is parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

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
# The longest real card has a few hundred marks. Further marks are ignored.
_MAX_MARKS = 20_000
# The longest real card has 78 KB. Links after this many characters, and in longer paragraphs, are ignored.
_MAX_PARSED_CHARS = 128 << 10
_MAX_PARAGRAPH_CHARS = 8 << 10
_LINE_END = re.compile(r"\r\n?|\n")
# Signs of what the walk from mark to mark may read wrongly: HTML blocks (but comments of one line), underlined
# headings, and fences or headings within a list item or a quotation.
_NEEDS_PARSER = re.compile(
    r"^ {0,3}(?:<(?!!--[^\n]*-->[ \t]*\r?$)[A-Za-z/!?]|=+[ \t]*\r?$|-{1,2}[ \t]*\r?$)"
    r"|^ {0,3}(?![-*+>#|\s]|[0-9]{1,9}[.)][ \t])[^\n]*\n {0,3}-{3,}[ \t]*\r?$"
    r"|^[ \t]*(?:[-*+>]|[0-9]{1,9}[.)])[^\n]*?(?:`{3}|~{3}|(?<=[ \t>])\#{1,6}[ \t])",
    re.MULTILINE,
)
_ABSOLUTE = r"(?:[A-Za-z][A-Za-z0-9+.-]+:|\#)"
# Where a target may begin that is not a URL: some matches are wrong, but none is missed.
_MAY_BE_RELATIVE = re.compile(
    rf"\]\(\s*(?!\s|<?{_ABSOLUTE})|\]:\s*(?!\s|<?{_ABSOLUTE})|\b(?:src|href)\s*=\s*(?!\s|[\"']?{_ABSOLUTE})",
    re.IGNORECASE,
)
# The HTML elements that name files, and the attribute that does.
_FILE_ATTRIBUTES = {"img": "src", "video": "src", "audio": "src", "source": "src", "a": "href"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading ``## text``; ``offset`` is where its line starts, ``end`` where it ends."""

    level: int
    text: str
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class CodeBlock:
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
    """The parts of a Markdown text, in order; offsets are in the scanned text.

    Attributes:
        headings: The headings that are not within lists or quotations.
        code: The fenced code blocks.
        rules: Where lines are that are nothing but ``---``.
        comments: Start and end of the HTML comments that start a line.
    """

    headings: tuple[Heading, ...]
    code: tuple[CodeBlock, ...]
    rules: tuple[int, ...]
    comments: tuple[tuple[int, int], ...]


def outline(text: str, start: int = 0) -> Outline:
    """Find headings, code blocks, lone ``---`` lines and comments in a text from an offset on."""
    if len(text) - start <= _MAX_PARSED_CHARS and _NEEDS_PARSER.search(text, start):
        return _parsed_outline(text, start)
    headings: list[Heading] = []
    code: list[CodeBlock] = []
    rules: list[int] = []
    comments: list[tuple[int, int]] = []
    closed = True
    at = start
    for _ in range(_MAX_MARKS):
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
                closed = False  # nor is any later one, so the search stops
            else:
                comments.append((match.start("comment"), end + len(_COMMENT_END)))
                at = end + len(_COMMENT_END)
    return Outline(tuple(headings), tuple(code), tuple(rules), tuple(comments))


def _code(text: str, match: re.Match[str], indent: int) -> CodeBlock:
    fence = match["fence"]
    words = match["info"].split()
    language = words[0].strip("{}.").lower() if words else ""
    start = min(match.end() + 1, len(text))
    for closer in _CLOSERS[fence[0]].finditer(text, start):
        if len(closer[1]) >= len(fence):
            return CodeBlock(language, match.start(), start, closer.start(), indent)
    return CodeBlock(language, match.start(), start, len(text), indent)


def _heading_text(rest: str) -> str:
    text = rest.strip()
    # A closing row of '#' after a space is not part of the text.
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else text


def title_text(line: str) -> str | None:
    """Return the text of a first-level heading, or None if a line is not one."""
    return _heading_text(line[1:]) if line.startswith("#") and line[1:2] in (" ", "\t") else None


def may_have_relative_links(text: str, start: int) -> bool:
    """Whether a text may have links that are not URLs from an offset on; a quick check that misses none."""
    return _MAY_BE_RELATIVE.search(text, start) is not None


def links(text: str, start: int) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, target) of each link and image from an offset on, as CommonMark has them.

    A reference definition is a link if a link refers to it; it is yielded once, at its own place. GFM's footnotes are
    none.
    """
    source = _source(text, start)
    parser = _parser()
    tokens, env = _parse(source)
    lines = _Lines(source, start)
    references = env.get("references", {})
    used: set[str] = set()
    row: list[int] = [0, 0]
    for token in tokens:
        row = token.map or row
        if token.type == "html_block":
            for offset, target in _html_links(token.content):
                yield lines.starts[row[0]] + offset, lines.starts[row[0]] + offset + len(target), target
        elif token.type == "inline" and len(token.content) <= _MAX_PARAGRAPH_CHARS and _has_link(token.content):
            children: list[Token] = []
            parser.inline.parse(token.content, parser, env, children)
            for at, target, label in _inline_links(token.content, children):
                place = lines.place(row, token.content, at, target)
                if label is not None:
                    key = _normalised(label)
                    if key in used or key not in references or label.lstrip().startswith("^"):
                        continue
                    used.add(key)
                    place = lines.definition(references[key]["map"], target)
                yield place, place + len(target), target


def html_spans(text: str, start: int) -> list[tuple[int, int]]:
    """Return (start, end) of the HTML of a text from an offset on: comments and tags, and blocks of them, no code."""
    source = _source(text, start)
    parser = _parser()
    tokens, env = _parse(source)
    lines = _Lines(source, start)
    # Text beyond the parsed part counts as HTML: hardly any card is that long.
    found = [(start + len(source), len(text))]
    row: list[int] = [0, 0]
    for token in tokens:
        row = token.map or row
        if token.type == "html_block":
            found.append((lines.starts[row[0]], (*lines.starts, len(text))[row[1]]))
        elif token.type == "inline" and "<" in token.content and len(token.content) <= _MAX_PARAGRAPH_CHARS:
            children: list[Token] = []
            parser.inline.parse(token.content, parser, env, children)
            for child in children:
                if child.type == "html_inline":
                    place = lines.place(row, token.content, child.meta["span"][0], child.content)
                    found.append((place, place + len(child.content)))
    return found


def _has_link(content: str) -> bool:
    return "](" in content or ("[" in content and "]" in content) or "<" in content


class _Lines:
    """The lines of a text as the parser counts them, and the offset of each in the document."""

    def __init__(self, source: str, offset: int) -> None:
        self.starts = [offset, *(offset + match.end() for match in _LINE_END.finditer(source))]
        self._texts = _LINE_END.split(source)

    def place(self, row: list[int], content: str, at: int, target: str) -> int:
        """Return the offset in the document of a character of a block's text.

        Args:
            row: The first line of the block, and the line after its last.
            content: The text of the block, from which the parser stripped the indentation of lines.
            at: The offset of the character in that text.
            target: What begins there, where the line was rewritten so much that the text is not found.
        """
        number = row[0] + content.count("\n", 0, at)
        if number >= len(self._texts):
            return self.starts[-1]
        first = content.rfind("\n", 0, at) + 1
        last = content.find("\n", first)
        written = self._texts[number]
        found = written.find(content[first : last if last >= 0 else len(content)])
        if found >= 0:
            return self.starts[number] + found + at - first
        return self.starts[number] + max(written.find(target), 0)

    def definition(self, rows: list[int], target: str) -> int:
        """Return the offset of the target of a reference definition."""
        for number in range(rows[0], min(rows[1], len(self._texts))):
            written = self._texts[number]
            found = written.find(target, written.find("]:") + 1 if number == rows[0] else 0)
            if found >= 0:
                return self.starts[number] + found
        return self.starts[min(rows[0], len(self.starts) - 1)]


def _inline_links(content: str, children: list[Token]) -> Iterator[tuple[int, str, str | None]]:
    """Yield (place in the paragraph, target, label of its reference definition or None) of each link and image."""
    for token in children:
        span = token.meta.get("span")
        if span is None:
            continue
        first, last, label_end = span
        if token.type == "html_inline":
            yield from ((first + offset, target, None) for offset, target in _html_links(content[first:last]))
            continue
        target = str(token.attrs.get("src" if token.type == "image" else "href", ""))
        if content[last - 1] == ")":
            found = content.find(target, label_end + 2, last)
            yield (found if found >= 0 else label_end + 2), target, None
        else:
            label = content[label_end + 2 : last - 1]
            yield first, target, label or content[first + (token.type == "image") + 1 : label_end]


def _normalised(label: str) -> str:
    from markdown_it.common.utils import normalizeReference  # noqa: PLC0415 - most cards have no such links

    return normalizeReference(label)


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        value = dict(reversed(attrs)).get(_FILE_ATTRIBUTES.get(tag, ""))
        if value:
            self.found.append((*self.getpos(), self.get_starttag_text() or "", value))


def _html_links(content: str) -> Iterator[tuple[int, str]]:
    """Yield (offset in the text, target) of each file that HTML refers to."""
    reader = _Html()
    reader.feed(content)
    if not reader.found:
        return
    starts = [0, *(match.end() for match in re.finditer("\n", content))]
    for line, column, tag, target in reader.found:
        yield starts[line - 1] + column + max(tag.find(target), 0), target


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - most cards need no parser
    from markdown_it.rules_inline import html_inline, image, link  # noqa: PLC0415 - as above

    class Parser(MarkdownIt):
        """Keep targets as they are written: nothing is rendered."""

        def normalizeLink(self, url: str) -> str:  # noqa: N802 - the parser's name
            return url

        def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - the parser's name
            return True

    # Paragraphs are parsed one by one, and only those that may have links.
    parser = Parser("commonmark").enable("table")
    parser.core.ruler.disable("inline")
    for name, rule in (("link", link), ("image", image), ("html_inline", html_inline)):
        parser.inline.ruler.at(name, _placed(rule, "link_open" if name == "link" else name))
    return parser


@lru_cache(maxsize=1)
def _parse(source: str) -> tuple[list[Token], dict[str, Any]]:
    """Return the blocks of a text, and its reference definitions; several rules look at one card in turn."""
    env: dict[str, Any] = {}
    return _parser().parse(source, env), env


def _source(text: str, start: int) -> str:
    source = text[start : start + _MAX_PARSED_CHARS]
    return source if len(text) - start <= _MAX_PARSED_CHARS else source[: source.rfind("\n") + 1]


def _placed(rule: Callable[[StateInline, bool], bool], kind: str) -> Callable[[StateInline, bool], bool]:
    """Return a rule of the parser that also records start and end of its token, and the end of a link's label."""

    def run(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - a rule's signature
        start, count = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        token = None if silent else next((one for one in state.tokens[count:] if one.type == kind), None)
        if token is not None:
            end = start
            if kind != "html_inline":
                end = _label_end(state, start + (kind == "image"))
            token.meta["span"] = (start, state.pos, end)
        return True

    return run


def _label_end(state: StateInline, start: int) -> int:
    """Return where the ``]`` of a link's label is; the state is left as it is."""
    pos, end = state.pos, state.posMax
    state.posMax = len(state.src)
    found: int = state.md.helpers.parseLinkLabel(state, start)
    state.pos, state.posMax = pos, end
    return found


def _parsed_outline(text: str, start: int) -> Outline:
    source = text[start:]
    tokens, _ = _parse(source)
    starts = [start, *(start + match.end() for match in _LINE_END.finditer(source))]

    def line(number: int) -> tuple[int, int]:
        first = starts[number] if number < len(starts) else len(text)
        last = text.find("\n", first)
        return first, len(text) if last < 0 else last

    headings: list[Heading] = []
    code: list[CodeBlock] = []
    rules: list[int] = []
    comments: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if token.map is None:
            continue
        first, end = line(token.map[0])
        if token.type == "heading_open" and not token.level:
            headings.append(Heading(int(token.tag[1]), tokens[index + 1].content, first, line(token.map[1] - 1)[1]))
            underline = line(token.map[1] - 1)
            if token.markup == "-" and text[slice(*underline)].strip() == "---":
                rules.append(text.find("-", underline[0]))
        elif token.type == "hr" and not token.level and text[first:end].strip() == "---":
            rules.append(text.find("-", first))
        elif token.type == "fence":
            words = token.info.split()
            language = words[0].strip("{}.").lower() if words else ""
            indent = len(text[first:end]) - len(text[first:end].lstrip(" \t>"))
            count = token.content.count("\n") + (not token.content.endswith("\n") and bool(token.content))
            content = line(token.map[0] + 1)[0]
            code.append(CodeBlock(language, first, content, line(token.map[0] + 1 + count)[0], indent))
        elif token.type == "html_block" and token.content.lstrip().startswith("<!--"):
            comments.append((first, line(token.map[1] - 1)[1]))
    return Outline(tuple(headings), tuple(code), tuple(rules), tuple(comments))
