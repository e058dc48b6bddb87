"""`hubtool preview` in real processes: a parser of HTML looks at the page, in which nothing of a card runs."""

from __future__ import annotations

import base64
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from hubtool.publish import page
from tests.support import ROOT
from tests.support.cards import write_local
from tests.support.checkpoints import SMALL, ckpt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

TOYNER = ROOT / "registry" / "hubtool" / "2.10" / "tinybert_bilstmcrf_toyner.md"
UID = "hubtool/2.10/tiny"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "dl", "dt", "dd", "a", "pre", "code"),
    *("em", "strong", "table", "thead", "tbody", "tr", "th", "td", "img", "br", "mark", "ul", "ol", "li", "blockquote"),
    "hr",
}


class Seen(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, tag: str, name: str) -> list[str]:
        return [str(attributes.get(name)) for found, attributes in self.tags if found == tag]


def card(cli: Cli, body: str) -> Path:
    path = write_local(cli.registry, UID, ckpt(SMALL))
    head, _, _ = path.read_text(encoding="utf-8").partition("## Introduction")
    path.write_text(head + body, encoding="utf-8")
    return path


def previewed(cli: Cli, body: str) -> Seen:
    target = cli.folder / "page.html"
    done = cli("preview", card(cli, body), "--html", target)
    assert done.code == 0, done.err
    seen = Seen(target.read_text(encoding="utf-8"))
    assert {tag for tag, _ in seen.tags} <= ALLOWED
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    return seen


def test_the_page_has_what_the_card_says(cli: Cli) -> None:
    target = cli.folder / "page.html"
    assert cli("preview", TOYNER, "--html", target).code == 0
    seen = Seen(target.read_text(encoding="utf-8"))
    for text in ("tinybert_bilstmcrf_toyner", "nlp-named_entity_recognition", "Apache-2.0", "王小明在北京大学读书"):
        assert text in seen.text
    assert "hubtool: ignore" not in seen.text  # a comment
    assert str(ROOT) not in target.read_text(encoding="utf-8")
    assert ("table", {}) in seen.tags
    assert any("default-src 'none'" in value for value in seen.attributes("meta", "content"))


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "text <script>alert(1)</script> text",
        '<img src=x onerror="alert(1)">',
        "<svg onload=alert(1)>",
        "<iframe src='https://example.org'></iframe>",
        "<style>body { display: none }</style>",
        "<!-- --><script>alert(1)</script>",
        "<!-- <script>alert(1)</script>",
        "[a](javascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x)",
        "<javascript:alert(1)>",
        '![a" onerror="alert(1)](x.png)',
        '![a](x.png" onerror="alert(1))',
        '```"><script>alert(1)</script>\ncode\n```',
        "## <b onclick=alert(1)>Heading</b>",
        "| a |\n| --- |\n| <script>alert(1)</script> |",
        "FILL IN (<script>alert(1)</script>)",
    ],
)
def test_nothing_of_a_card_runs(cli: Cli, attack: str) -> None:
    seen = previewed(cli, f"## Introduction\n\nBefore.\n\n{attack}\n\nAfter.\n")
    assert len(seen.attributes("style", "x")) == 1
    for link in (*seen.attributes("a", "href"), *seen.attributes("img", "src")):
        assert not link.lower().startswith(("javascript:", "vbscript:", "data:text"))


def test_front_matter_is_escaped_too(cli: Cli) -> None:
    path = card(cli, "## Introduction\n")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("summary: A model", "summary: <script>alert(1)</script>"), encoding="utf-8")
    target = cli.folder / "page.html"
    assert cli("preview", path, "--html", target).code == 0
    seen = Seen(target.read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in seen.tags}
    assert "<script>alert(1)</script>" in seen.text


def test_images_come_from_beside_the_card_only(cli: Cli) -> None:
    folder = cli.registry / "hubtool" / "2.10" / "tiny"
    folder.mkdir(parents=True)
    (folder / "good.png").write_bytes(PNG)
    (folder / "page.png").write_bytes(b"<svg onload='alert(1)'></svg>")
    (cli.folder / "secret.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(cli.folder / "secret.png")
    up = "../" * 12
    sources = [
        *("tiny/good.png", "tiny/page.png", "tiny/link.png", "tiny/absent.png", f"{up}{cli.folder}/secret.png"),
        *(str(cli.folder / "secret.png"), f"file://{cli.folder}/secret.png", "https://example.org/x.png", "tiny/"),
    ]
    seen = previewed(cli, "".join(f"![image {number}](<{source}>)\n\n" for number, source in enumerate(sources)))
    assert [(tag, attributes["alt"]) for tag, attributes in seen.tags if tag == "img"] == [("img", "image 0")]
    assert seen.attributes("img", "src") == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]
    assert "https://example.org/x.png" in seen.attributes("a", "href")
    # One is taken in, and a 'file:' link is no link to the Markdown parser.
    assert seen.text.count("[image: image ") == len(sources) - 2


def test_large_images_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(PNG + bytes(page.MAX_IMAGE_BYTES))
    assert "<img" not in page.body("![a](large.png)", tmp_path, tmp_path)


def test_marks_are_marked(cli: Cli) -> None:
    seen = previewed(cli, "## Introduction\n\nFILL IN (what it does)\n")
    assert "mark" in {tag for tag, _ in seen.tags}


def test_in_the_terminal_it_is_laid_out(cli: Cli) -> None:
    done = cli("preview", TOYNER)
    assert done.code == 0
    assert "## Usage" not in done.out
    assert "network.set_train(False)" in done.out
    assert "\x1b" not in done.out
    steered = cli("preview", card(cli, "## Introduction\n\n\x1b[31mred\x1b[0m\n"))
    assert "\x1b" not in steered.out
    assert "red" in steered.out


def test_a_page_that_cannot_be_written(cli: Cli) -> None:
    done = cli("preview", TOYNER, "--html", cli.folder / "absent" / "page.html")
    assert done.code == 1
    assert "cannot be written" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script here")
def test_it_is_opened_in_the_browser(cli: Cli) -> None:
    browser = cli.folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {cli.folder}/opened\n', encoding="utf-8")
    browser.chmod(0o755)
    target = cli.folder / "page.html"
    done = cli("preview", TOYNER, "--html", target, "--open", BROWSER=str(browser))
    assert done.code == 0, done.err
    assert (cli.folder / "opened").read_text(encoding="utf-8") == target.as_uri()
