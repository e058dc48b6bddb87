"""The outline of a Markdown text is what a parser finds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from hubtool.card import document, markdown, suppression
from hubtool.card.validate.run import check_paths
from tests.support import corpus
from tests.support.cards import write_card

if TYPE_CHECKING:
    from pathlib import Path

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


def targets(text: str) -> list[str]:
    return sorted(target for _, _, target in markdown.links(text, 0))


def test_links() -> None:
    text = (
        "[a](one.md) ![b](<two words.png> 't') [c]: x\n[c]: three.md\n<img src=\"four.png\"/> <a href='five'>\n"
        "```\n[no](six.md)\n```\n[d](https://x.example) [e] [f][E]\n"
        '\n> | h |\n> |---|\n> | x [y](seven.md "seven.md") |\n'
        "\n[e]: eight.md\n[g]: nine.md\n"
    )
    # '[c]: ...' within a paragraph is text; '[g]' is a definition that nothing refers to.
    assert targets(text) == [
        "eight.md", "five", "four.png", "https://x.example", "one.md", "seven.md", "two words.png",
    ]  # fmt: skip
    for start, end, target in markdown.links(text, 0):
        assert text[start:end] == target


@pytest.mark.parametrize(
    "text",
    [
        "`![](a.png)` and `` `[x](b.md)` ``\n",
        "`a span\nof two lines ![](a.png)`\n",
        "    ![](a.png)\n",
        "- item\n\n      [x](a.md)\n",
        "~~~\n[x](a.md)\n~~~\n",
        "> ```\n> [x](a.md)\n> ```\n",
        "1. one\n   ```\n   [x](a.md)\n   ```\n",
        "\\[x](a.md) and \\[x\\](a.md) and [x\\](a.md)\n",
        "a <!-- [x](a.md) --> b\n",
        "<!--\n\n[x](a.md) <img src='a.png'>\n\n-->\n",
        "<pre>\n[x](a.md)\n</pre>\n",
        "<div>\n[x](a.md)\n</div>\n",
        "<script>\nx = \"<img src='a.png'>\"\n</script>\n",
        "A claim.[^1]\n\n[^1]: note\n",
        "A claim.[^note]\n\n[^note]: <note.md>\n",
        "[x]: a.md\n",
        "`[x]: a.md`\n\n`[x]`\n\n[x]: a.md\n",
        "[x] (a.md)\n",
        "[x][y]\n",
        "<img data-src='a.png' alt='src=b.png'>\n",
        "`<img src='a.png'>` and \\<img src='b.png'>\n",
        "![a [x](b.md) c](https://x.example/a.png)\n",
    ],
)
def test_what_is_no_link(text: str) -> None:
    assert [target for target in targets(text) if "://" not in target] == []


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("[a `]` b](one.md)\n", "one.md"),
        ("[a](\n  one.md)\n", "one.md"),
        ("[a](one(2).md)\n", "one(2).md"),
        ("- item\n  [a](one.md)\n", "one.md"),
        ("> quoted `one.md`\n> [a](one.md)\n", "one.md"),
        ("## heading [a](one.md) ##\n", "one.md"),
        ("[![b](https://x.example/b.png)](one.md)\n", "one.md"),
        ("\\![a](one.md)\n", "one.md"),
        ("[a][B c]\n\n[b  C]:\n  one.md\n", "one.md"),
        ("<p>\n<img alt='x'\n src=one.md>\n</p>\n", "one.md"),
        ("| a |\n|---|\n| [a](one.md) |\n", "one.md"),
    ],
)
def test_where_a_link_is(text: str, target: str) -> None:
    assert markdown.may_have_relative_links(text, 0)
    found = [(start, end) for start, end, one in markdown.links(text, 0) if one == target]
    assert found == [(text.rfind(target), text.rfind(target) + len(target))]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_links_behind_front_matter(line_end: str) -> None:
    text = line_end.join(["key: '[x](no.md)'", "---", "", "`[x](no.md)` [a](one.md)", ""])
    start = text.index("---") + 3 + len(line_end)
    (found,) = markdown.links(text, start)
    assert found == (text.index("one.md"), text.index("one.md") + 6, "one.md")


@pytest.mark.parametrize("unit", ["![", "[", "[a](b ", "[a](b) ", "|a", "_a_", "<a ", "[a]: b\n", "#\n", "> ", "- a\n"])
def test_a_hostile_text_is_read_soon(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    list(markdown.links(text, 0))
    markdown.outline(text)
    assert time.process_time() - began < 8  # a second or less on an idle machine


@pytest.mark.parametrize(
    "text",
    [
        "<pre>\n# no\n</pre>\n\n# yes\n",
        "<div>\n# no\n\n# yes\n</div>\n",
        "- ```\n  # no\n  ```\n- # no\n\n# yes\n",
        "> # no\n\n- a\n  # no\n\n# yes\n",
        "<details>\n\n```python\nx\n```\n\n</details>\n\n# yes\n",
    ],
)
def test_the_outline_where_html_and_lists_are(text: str) -> None:
    assert outlined(text) == parsed(text)


def test_underlined_headings() -> None:
    text = "Usage\n-----\n\n```python\nx\n```\n\nIntroduction\n===\n\ntext\n---\n"
    found = markdown.outline(text)
    assert [(one.level, one.text) for one in found.headings] == [(2, "Usage"), (1, "Introduction"), (2, "text")]
    assert text[found.headings[0].offset : found.headings[0].end] == "Usage\n-----"
    assert [text[rule : rule + 3] for rule in found.rules] == ["---"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("<!-- hubtool: ignore HT404 -->\n", ["HT404"]),
        ("text <!-- hubtool: ignore HT404 --> text\n", ["HT404"]),
        ("- item\n\n  <!-- hubtool: ignore HT404 -->\n", ["HT404"]),
        ("<div>\n<!-- hubtool: ignore HT404 -->\n</div>\n", ["HT404"]),
        ("`<!-- hubtool: ignore HT404 -->`\n", []),
        ("```\n<!-- hubtool: ignore HT404 -->\n```\n", []),
        ("    <!-- hubtool: ignore HT404 -->\n", []),
        ("\\<!-- hubtool: ignore HT404 -->\n", []),
    ],
)
def test_suppressing_comments(text: str, codes: list[str]) -> None:
    assert [code for comment in suppression.comments(text) for code, _ in comment.codes] == codes
    head = "<!-- hubtool: ignore HT1 -->\n\n---\n"
    found = [code for comment in suppression.comments(head + text, len(head)) for code, _ in comment.codes]
    assert found == ["HT1", *codes]


def test_validate_reads_links_as_a_parser_does(tmp_path: Path) -> None:
    path = write_card(tmp_path / "registry", "lab/1.9/net", link="https://gitee.com/net.ckpt", content=b"x")
    body = (
        "\n## Writing cards\n\nImages are written as `![](...)`, links as `[text](page.md)`.\n\n"
        "    ![](in-an-indented-block.png)\n\nEscaped: \\[x](escaped.md)\n\n<!-- [x](in-a-comment.md) -->\n\n"
        "A claim.[^1]\n\n[^1]: note\n"
    )
    path.write_text(path.read_text() + body)
    assert not [one for one in check_paths([path]).diagnostics if one.code == "HT404"]
    path.write_text(path.read_text() + "\n`a.md` and [a](a.md)\n")
    (one,) = (one for one in check_paths([path]).diagnostics if one.code == "HT404")
    assert one.source == "`a.md` and [a](a.md)"
    assert one.source[one.column - 1 :] == "a.md)"


def test_a_link_behind_a_hundred_urls_is_seen(tmp_path: Path) -> None:
    path = write_card(tmp_path / "registry", "lab/1.9/net", link="https://gitee.com/net.ckpt", content=b"x")
    path.write_text(path.read_text() + "\n" + "[u](https://gitee.com/u) " * 120 + "[a](a.md)\n")
    assert [one.code for one in check_paths([path]).diagnostics if one.code == "HT404"] == ["HT404"]
