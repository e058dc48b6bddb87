"""The outline of a Markdown text is what a parser finds."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from hubtool.card import document, markdown
from tests.support import corpus

PARSER = MarkdownIt("commonmark")


def parsed(text: str) -> tuple[list[tuple[int, str]], list[str]]:
    """Return the headings at the top level, and the contents of all fenced code blocks, as a parser finds them."""
    tokens = PARSER.parse(text)
    headings = [
        (int(token.tag[1]), tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.markup.startswith("#")
    ]
    return headings, [token.content.strip() for token in tokens if token.type == "fence"]


def outlined(text: str) -> tuple[list[tuple[int, str]], list[str]]:
    found = markdown.outline(text)
    code = ["\n".join(line.strip() for line in text[one.start : one.end].strip().splitlines()) for one in found.code]
    return [(heading.level, heading.text) for heading in found.headings], code


def test_the_corpus() -> None:
    other = []
    for path in corpus():
        text = document.parse(path.read_bytes()).body.replace("\r\n", "\n")
        headings, code = parsed(text)
        code = ["\n".join(line.strip() for line in one.splitlines()) for one in code]
        if outlined(text) != (headings, code):
            other.append(path.name)
    # Headings in list items and in HTML blocks, fences in HTML comments: a handful of cards of thousands.
    assert len(other) <= 15, other


@pytest.mark.parametrize(
    "text",
    [
        "# a\n## b ##\n####### no\n#no\n   ### c\n    # code\n",
        "```python\n# no\n```\n# yes\n",
        "~~~\n```\n# no\n~~~\n# yes\n",
        "````\n```\n# no\n````\n# yes\n",
        "``` `no` ```\n# yes\n",
        "```\nnever closed\n# no\n",
        "- item\n\n  ```python\n  x = 1\n  ```\n\n# yes\n",
        "<!--\n# no\n-->\n\n# yes\n",
        "#\n##\n",
    ],
)
def test_cases(text: str) -> None:
    assert outlined(text) == parsed(text)


def test_places() -> None:
    text = "front\n## a\n\n```python title\nx\n```\n\n---\n\n<!-- c -->\n"
    found = markdown.outline(text)
    (heading,) = found.headings
    (code,) = found.code
    assert text[heading.offset : heading.end] == "## a"
    assert text[code.start : code.end] == "x\n"
    assert code.language == "python"
    assert [text[rule : rule + 3] for rule in found.rules] == ["---"]
    assert [text[start:end] for start, end in found.comments] == ["<!-- c -->"]
    assert markdown.outline(text, len(text)) == markdown.Outline((), (), (), ())


def test_links() -> None:
    text = (
        "[a](one.md) ![b](<two words.png> 't') [c]: x\n[c]: three.md\n<img src=\"four.png\"/> <a href='five'>\n"
        "```\n[no](six.md)\n```\n[d](https://x.example)\n"
    )
    found = markdown.links(text, 0, markdown.outline(text).code)
    assert sorted(target for _, _, target in found) == [
        "five", "four.png", "https://x.example", "one.md", "three.md", "two words.png",
    ]  # fmt: skip
    for start, end, target in markdown.links(text, 0, ()):
        assert text[start:end] == target
