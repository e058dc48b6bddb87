"""The papers that a card of the source cites: their titles and links. Pure.

Cards cite in many ways: a Markdown link, a title in quotes or bold, GB/T 7714 (``Title[J].``), APA, BibTeX, or the
title alone. Only what can be told apart from authors and venue is taken; the rest is counted, for the report.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from hubtool.card import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST = 240
# So many letters and digits make a title that stands within a longer text certain.
_CERTAIN = 16
_NO_TITLE = re.compile(
    r"\bet al\b|^(arxiv|proceedings|computer vision and pattern|submitted on)\b|\]\(|\b(university|conference on)\b",
    re.IGNORECASE,
)
_SECTION = re.compile(
    r"^(?P<level>#+)[ \t]+(?:[0-9.]+[ \t]*)?(?P<name>citations?|references?|参考论文|参考文献|引用)[ \t]*#*[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<code>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_BIBTEX = re.compile(r"@\w+\s*\{(?P<entry>.*?)\n\}", re.DOTALL)
_FIELD = re.compile(
    r"\b(?P<name>title|eprint|url)\s*=\s*[{\"]+(?P<value>.*?)[}\"]+\s*(?:,|$)", re.IGNORECASE | re.DOTALL
)
_MARKER = re.compile(r"^[ \t]*(?:\[[0-9]+\]\.?|[0-9]{1,2}\.|[-*])(?=[ \t])[ \t]*")
_LINK = re.compile(r"\[(?P<title>(?:[^\[\]]|\[[^\[\]]*\])+)\]\(+<?(?P<link>https?://[^\s<>)]+)>?\)+")
_BARE = re.compile(r"<?(?P<link>https?://[^\s<>()\"，,]+)>?")
_ARXIV = re.compile(
    r"(?:arxiv[ :.]*(?:preprint )?(?:arxiv)?[ :]*|abs/)(?P<id>[0-9]{4}\.[0-9]{4,5})(?:v[0-9]+)?", re.IGNORECASE
)
_QUOTED = (re.compile(r"“([^”]{6,240})”"), re.compile(r'"([^"]{6,240})["\']'), re.compile(r"\*\*([^*]{6,240})\*\*"))
_KIND = re.compile(r"\s*\[(?:J|C|M|D|A|OL|J/OL|C/OL)\]")
_APA = re.compile(r"\((?:19|20)[0-9]{2}[a-z]?\)\.\s+(?P<title>[^.]{6,240})\.")
_GENERIC = frozenset({"paper", "论文", "pdf", "arxiv", "code", "link", "论文链接", "here", "paperlink"})
_ARTICLES = frozenset({"arxiv.org", "openaccess.thecvf.com", "openreview.net", "aclanthology.org", "www.aclweb.org"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One paper.

    Attributes:
        title: Its title.
        link: Where it can be read, or None.
    """

    title: str
    link: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a list of references.

    Attributes:
        text: What stands there.
        title: The title as far as it can be told from the item alone, or None.
        link: The link, or None.
    """

    text: str
    title: str | None
    link: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """The papers that the cards of a source name with certainty: title and link stand apart from all else.

    Attributes:
        titles: From each title, folded, to how most cards spell it.
        links: From each title, folded, to the link that most cards give.
        by_link: From each link to the title that most cards give for it.
    """

    titles: Mapping[str, str]
    links: Mapping[str, str]
    by_link: Mapping[str, str]


def items(body: str, name: str = "") -> tuple[Item, ...]:
    """Return the references of a card.

    Without a section for them, links to papers anywhere in the body are taken, if they are titles.

    Args:
        body: The body of the card.
        name: The name of the model; a link with this text is one to its paper.
    """
    text = _COMMENT.sub("", body.replace("\r\n", "\n"))
    sections = list(_SECTION.finditer(text))
    found = [item for match in sections for one in _items(_section(text, match)) for item in _read(one)]
    if sections:
        return tuple(found)
    for match in _LINK.finditer(_CODE.sub("", text)):
        title = _clean(match["title"])
        if title is None or _host(match["link"]) not in _ARTICLES:
            continue
        if len(title.split()) > 3 or vocabulary.fold(title) == vocabulary.fold(name):
            found.append(Item(text=match[0], title=title, link=_link(match["link"])))
    return tuple(found)


def known(all_items: Iterable[Item]) -> Known:
    """Collect what the references of all cards say with certainty; many cards name a paper without its link."""
    spellings: dict[str, Counter[str]] = {}
    links: dict[str, Counter[str]] = {}
    by_link: dict[str, Counter[str]] = {}
    for item in all_items:
        if item.title is None:
            continue
        key = vocabulary.fold(item.title)
        spellings.setdefault(key, Counter())[item.title] += 1
        if item.link is not None:
            links.setdefault(key, Counter())[item.link] += 1
            by_link.setdefault(item.link, Counter())[item.title] += 1
    return Known(
        titles={key: _most(spellings[key]) for key in links},
        links={key: _most(counts) for key, counts in links.items()},
        by_link={link: _most(counts) for link, counts in by_link.items()},
    )


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda text: (-counts[text], text))


def resolve(cited: Iterable[Item], papers: Known) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
    """Return the papers that items name, each once, and the texts of those items whose paper cannot be told."""
    found: dict[str, Reference] = {}
    unread = []
    for item in cited:
        references = _resolve(item, papers)
        if not references:
            unread.append(item.text)
        for reference in references:
            found.setdefault(vocabulary.fold(reference.title), reference)
    return tuple(found.values()), tuple(unread)


@lru_cache(maxsize=4096)  # versions of one model cite in the same words
def _resolve(item: Item, papers: Known) -> tuple[Reference, ...]:
    key = vocabulary.fold(item.title or "")
    if key in papers.links:
        return (Reference(title=papers.titles[key], link=item.link or papers.links[key]),)
    whole = vocabulary.fold(item.text)
    within = [title for title in papers.links if len(title) >= _CERTAIN and title in whole]
    # Of titles that are part of each other, the longest is meant.
    within = [title for title in within if not any(title != other and title in other for other in within)]
    if within and (not key or any(key.startswith(title) or len(title) >= 0.6 * len(key) for title in within)):
        return tuple(Reference(title=papers.titles[title], link=papers.links[title]) for title in within)
    if item.title:
        return (Reference(title=item.title, link=item.link),)
    if item.link is not None and item.link in papers.by_link:
        return (Reference(title=papers.by_link[item.link], link=item.link),)
    return ()


def _section(text: str, match: re.Match[str]) -> str:
    below = text[match.end() :]
    depth = len(match["level"])
    end = re.search(rf"^#{{1,{depth}}}[ \t]", below, re.MULTILINE)
    return below[: end.start()] if end else below


def _items(section: str) -> list[str]:
    items: list[str] = []
    for block in _CODE.finditer(section):
        items.extend(f"@{match['entry']}" for match in _BIBTEX.finditer(block["code"]))
    fresh = True
    for line in _CODE.sub("", section).split("\n"):
        marker = _MARKER.match(line)
        text = (line[marker.end() :] if marker else line).strip()
        if not text or text.startswith("#"):
            fresh = True
        elif fresh or marker:
            items.append(text)
            fresh = False
        else:
            items[-1] += f" {text}"
    return [item for item in items if any(sign.isalpha() for sign in item)]


def _read(text: str) -> list[Item]:
    if text.startswith("@"):
        return [_of_bibtex(text)]
    link = _first_link(text)
    found = []
    for match in _LINK.finditer(text):
        title = _clean(match["title"])
        if title and title.casefold() not in _GENERIC:
            found.append(Item(text=match[0], title=title, link=_link(match["link"])))
    if found:
        return found
    return [Item(text=text, title=_title(_BARE.sub("", _LINK.sub("", text)).strip()), link=link)]


def _of_bibtex(text: str) -> Item:
    fields = {match["name"].lower(): " ".join(match["value"].split()) for match in _FIELD.finditer(text)}
    title = _clean(fields.get("title", "").replace("{", "").replace("}", ""))
    eprint, url = fields.get("eprint", ""), fields.get("url", "")
    link = _link(url) if url.startswith("http") else _first_link(text)
    if re.fullmatch(r"[0-9]{4}\.[0-9]{4,5}(v[0-9]+)?", eprint):
        link = f"https://arxiv.org/abs/{eprint}"
    return Item(text=text, title=title, link=link)


def _first_link(item: str) -> str | None:
    match = _BARE.search(item)
    if match:
        return _link(match["link"].rstrip(").;"))
    match = _ARXIV.search(item)
    return f"https://arxiv.org/abs/{match['id']}" if match else None


def _host(link: str) -> str | None:
    try:
        return urlsplit(link).hostname
    except ValueError:
        return None


def _link(link: str) -> str:
    if _host(link) is None:
        return link
    parts = urlsplit(link)
    if parts.hostname == "link.zhihu.com":  # a page that only forwards
        target = parse_qs(parts.query).get("target", [""])[0]
        if target.startswith(("http://", "https://")):
            return _link(target)
    # arXiv's page of a paper names all its versions; cards link to this or that file of it.
    if parts.hostname == "arxiv.org" and (
        match := re.fullmatch(r"/(?:abs|pdf)/([0-9]{4}\.[0-9]{4,5})(?:v[0-9]+)?(?:\.pdf)?", parts.path)
    ):
        return f"https://arxiv.org/abs/{match[1]}"
    return f"https://{link[7:]}" if link.startswith("http://") else link


def _title(text: str) -> str | None:
    for pattern in _QUOTED:
        match = pattern.search(text)
        if match and (title := _clean(match[1])) and " " in title:
            return title
    match = _KIND.search(text)
    if match:
        return _clean(re.split(r"\s*[.;]\s+", text[: match.start()])[-1])
    match = _APA.search(text)
    if match:
        return _clean(match["title"])
    match = re.match(r"\*(?P<title>[^*]{6,240})\*", text)
    if match:
        return _clean(match["title"])
    # 'Authors. Title. Venue', or the title alone.
    parts = [part.strip() for part in re.split(r"(?<![A-Z])[.;](?:\s+|(?=[A-Z][a-z])|$)", text) if part.strip()]
    rest = [part for part in parts if not _names(part)]
    if not rest or (len(rest) == len(parts) and len(parts) > 2):
        return None
    title = _clean(rest[0])
    words = len((title or "").split())
    return title if title and 3 <= words <= 30 and title.count(",") <= 2 else None


def _names(text: str) -> bool:
    """Whether a text is a list of authors."""
    if re.search(r"\bet al\b|&", text):
        return True
    names = [name for name in re.split(r",|\band\b|，", text) if name.strip()]
    if len(names) < 2:
        words = text.split()
        return len(words) <= 3 and all(word[:1].isupper() for word in words) and ":" not in text
    return all(len(name.split()) <= 4 and name.strip()[:1].isupper() for name in names)


def _clean(text: str) -> str | None:
    title = _KIND.sub("", re.sub(r"</?[a-z]+>|\*+", "", text))
    title = " ".join("".join(sign if sign.isprintable() else " " for sign in title).split()).strip(" \"'“”.,;:，。：`_")
    readable = 6 <= len(title) <= _LONGEST and any(sign.isalpha() for sign in title)
    return title if readable and not _NO_TITLE.search(title) else None
