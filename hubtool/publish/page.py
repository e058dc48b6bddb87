"""A card as a page: one HTML file that needs no other, and in which nothing of the card runs.

Raw HTML of the card is shown as text, without its comments. Images from beside the card are embedded; others become
links. The page's content security policy forbids fetching and scripts.
"""

from __future__ import annotations

import base64
import html
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence
    from pathlib import Path

    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

    from hubtool.card.model import Card

MAX_IMAGE_BYTES = 8 << 20
MAX_IMAGES_BYTES = 32 << 20
# The first bytes of an image. SVG is left out: it is a document, which may have scripts and links.
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF", "image/webp"),
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>\Z", re.IGNORECASE)
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --fill: #f4f4f6; --link: #0b62c4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --soft: #a6a9b0; --line: #3a3d42; --fill: #202226; --link: #79b8ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 54rem; color: var(--ink);
  font: 16px/1.6 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
h1, h2, h3, h4 { line-height: 1.25; margin: 2em 0 .6em; }
h1 { font-size: 1.9rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; padding-bottom: .3em; border-bottom: 1px solid var(--line); }
a { color: var(--link); overflow-wrap: anywhere; }
.summary { font-size: 1.1rem; color: var(--soft); margin: .6rem 0 1.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.4rem; margin: 0; padding: 1rem 1.2rem;
  background: var(--fill); border-radius: 8px; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: .88em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
code { background: var(--fill); padding: .1em .3em; border-radius: 4px; }
pre { background: var(--fill); padding: 1rem 1.2rem; border-radius: 8px; overflow-x: auto; }
pre code { padding: 0; background: none; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .4em .8em; text-align: left; }
th { background: var(--fill); }
blockquote { margin: 1em 0; padding-left: 1em; border-left: 3px solid var(--line); color: var(--soft); }
img { max-width: 100%; }
mark { background: #ffe08a; color: #3d2f00; padding: 0 .2em; border-radius: 3px; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
"""


def page(card: Card, facts: Sequence[tuple[str, str]], *, root: Path | None) -> str:
    """Return a card as an HTML page.

    Args:
        card: The card.
        facts: Names and values to show above its text.
        root: The folder that local images must be in, or None for none.
    """
    title = card.title or str(card.uid or card.path or "card")
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_linked(value)}</dd>" for name, value in facts)
    summary = card.text("summary")
    return (
        f'<!DOCTYPE html>\n<html lang="{_language(card)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_text(title)}</h1>\n"
        + (f'<p class="summary">{_marked(_text(summary))}</p>\n' if summary else "")
        + f"<dl>{rows}</dl>\n{body(card.body, card.path.parent if card.path else None, root)}</body>\n</html>\n"
    )


def body(text: str, folder: Path | None, root: Path | None) -> str:
    """Return a card's body as HTML.

    Args:
        text: The Markdown.
        folder: The folder of the card.
        root: The folder that local images must be in, or None for none.
    """
    images = _Images(folder, root)
    return _marked(str(_markdown().render(text, {"images": images})))


def _language(card: Card) -> str:
    chinese = sum("\u4e00" <= sign <= "\u9fff" for sign in card.body[:4000])
    return "zh" if chinese > 200 else "en"


def _text(text: str) -> str:
    return html.escape("".join(sign if sign.isprintable() else " " for sign in text))


def _linked(value: str) -> str:
    """Return a value, as a link if it is one."""
    text = _text(value)
    return f'<a href="{text}" rel="noreferrer">{text}</a>' if re.fullmatch(r"https?://[^\s<>\"']+", value) else text


def _marked(text: str) -> str:
    from hubtool.card import placeholder  # noqa: PLC0415 - for drafts

    # Only text is marked, never a part of a tag.
    parts = re.split(r"(<[^>]*>)", text)
    return "".join(
        part if part.startswith("<") else placeholder.PATTERN.sub(lambda match: f"<mark>{match[0]}</mark>", part)
        for part in parts
    )


def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - pages only

    parser = MarkdownIt("commonmark").enable("table")
    # Recognised as HTML, so that comments can be left out, and then shown as text.
    parser.add_render_rule("html_block", _raw)
    parser.add_render_rule("html_inline", _raw)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link)
    return parser


def _raw(self: RendererHTML, tokens: Sequence[Token], index: int, *_: Any) -> str:  # noqa: ANN401, ARG001 - a rule
    token = tokens[index]
    if _BREAK.match(token.content.strip()):
        return "<br>"
    text = html.escape(_COMMENT.sub("", token.content).strip())
    return f"<p>{text}</p>\n" if text and token.type == "html_block" else text


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:  # noqa: ANN401 - a rule
    token = tokens[index]
    said = self.renderInlineAsText(token.children or [], options, env)
    source = str(token.attrs.get("src", ""))
    data = env["images"].data(source)
    if data is not None:
        return f'<img src="{data}" alt="{_text(said)}">'
    if re.match(r"https?://", source, re.IGNORECASE):
        return f'<a href="{_text(source)}" rel="noreferrer">[image: {_text(said or source)}]</a>'
    return f"[image: {_text(said or source)}]"


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, *_: Any) -> str:  # noqa: ANN401 - a rule
    token = tokens[index]
    try:
        allowed = urlsplit(str(token.attrs.get("href", ""))).scheme.lower() in ("http", "https", "mailto", "")
    except ValueError:
        allowed = False
    if not allowed:
        token.attrs["href"] = "#"
    token.attrSet("rel", "noreferrer")
    return str(self.renderToken([token], 0, options, {}))


class _Images:
    """Embeds the images that stand beside a card."""

    def __init__(self, folder: Path | None, root: Path | None) -> None:
        self._folder = folder
        self._root = root
        self._room = MAX_IMAGES_BYTES

    def data(self, source: str) -> str | None:
        """Return an image as a data URL, or None if it may not be embedded."""
        if self._folder is None or self._root is None or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//|/|\\", source):
            return None
        name = unquote(re.split(r"[?#]", source, maxsplit=1)[0])
        if not name or "\0" in name:
            return None
        try:
            path = (self._folder / name).resolve()
            if not path.is_relative_to(self._root.resolve()) or not path.is_file():
                return None
            with path.open("rb") as stream:
                data = stream.read(MAX_IMAGE_BYTES + 1)
        except (OSError, ValueError):
            return None
        kind = next((kind for sign, kind in _IMAGES if data.startswith(sign)), None)
        if kind is None or len(data) > min(MAX_IMAGE_BYTES, self._room):
            return None
        if kind == "image/webp" and data[8:12] != b"WEBP":
            return None
        self._room -= len(data)
        return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
