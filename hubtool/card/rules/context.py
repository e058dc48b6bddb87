"""One card as the rules see it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from hubtool.card import foreign, markdown, schema
from hubtool.card.finding import Edit, Finding, Fix
from hubtool.card.model import strip_brackets
from hubtool.card.values import plain_values
from hubtool.settings import DEFAULT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.card.document import Document
    from hubtool.card.front_matter import FrontMatter, Scalar
    from hubtool.card.schema import Violation
    from hubtool.uid import Uid


_URL = re.compile(r"(?P<scheme>https?)://(?:[^/@\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:\s]+)(?P<port>:[0-9]+)?")


class Url(NamedTuple):
    """The link of an asset that is a URL: its JSON pointer, its text, and its parts."""

    pointer: str
    link: str
    scheme: str
    host: str
    port: str


def url_of(pointer: str, link: str) -> Url | None:
    """Return the parts of a link that is a URL, or None."""
    match = _URL.match(strip_brackets(link))
    return match and Url(pointer, link, match["scheme"], match["host"].lower(), match["port"] or "")


@dataclass(frozen=True, kw_only=True)
class Context:
    """One card as rules see it.

    Attributes:
        document: The card taken apart.
        front_matter: Its front matter as nodes, or None if it has none.
        uid: The UID that its path gives, or None.
        hosts: The hosts that assets may come from.
    """

    document: Document
    front_matter: FrontMatter | None
    uid: Uid | None
    hosts: frozenset[str] = frozenset(DEFAULT_HOSTS)

    @cached_property
    def values(self) -> dict[str, object]:
        """The front matter as plain values; empty if there is none."""
        return {} if self.front_matter is None else plain_values(self.front_matter)

    @cached_property
    def foreign(self) -> str | None:
        """The hub that this card is written for, ``Hugging Face`` or ``ModelScope``; None if it is hubtool."""
        return None if self.front_matter is None else foreign.hub_of(self.front_matter)

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Every place where the values break the schema."""
        return () if self.front_matter is None else tuple(schema.violations(self.values))

    @cached_property
    def violated(self) -> frozenset[str]:
        """The pointers of the values that break the schema."""
        return frozenset(violation.pointer for violation in self.violations)

    @cached_property
    def outline(self) -> markdown.Outline:
        """Headings, code blocks and comments outside the front matter; offsets are in the text of the card."""
        return markdown.outline(self.document.text, self.document.body_offset)

    @cached_property
    def faults(self) -> tuple[Finding, ...]:
        """The problems that the parsers found."""
        return (*self.document.faults, *(self.front_matter.faults if self.front_matter else ()))

    @cached_property
    def assets(self) -> tuple[tuple[str, dict[str, object]], ...]:
        """The assets, each with its JSON pointer."""
        assets = self.values.get("asset")
        return tuple(
            (f"/asset/{index}", asset)
            for index, asset in enumerate(assets if isinstance(assets, list) else ())
            if isinstance(asset, dict)
        )

    @cached_property
    def urls(self) -> tuple[Url, ...]:
        """The links of the assets that are URLs."""
        found: list[Url] = []
        for pointer, asset in self.assets:
            link = asset.get("asset-link")
            if isinstance(link, str) and (url := url_of(f"{pointer}/asset-link", link)):
                found.append(url)
        return tuple(found)

    def text(self, key: str) -> str | None:
        """Return the text of a front-matter key if it satisfies the schema, or None."""
        value = self.values.get(key)
        return value if isinstance(value, str) and value and f"/{key}" not in self.violated else None

    def scalar(self, pointer: str) -> Scalar | None:
        """Return the scalar at a JSON pointer, or None."""
        return None if self.front_matter is None else self.front_matter.scalar(pointer)

    def at(
        self, pointer: str, message: str, *, hint: str | None = None, fix: Fix | None = None, key: bool = False
    ) -> Finding:
        """Return a finding at a front-matter node.

        Args:
            pointer: The JSON pointer of the node.
            message: What is wrong.
            hint: What to do, or None.
            fix: The fix, or None.
            key: Whether the finding is at the key of the node.
        """
        start, end = (0, 0) if self.front_matter is None else self.front_matter.span(pointer, key=key)
        text = self.document.text
        while end > start and text[end - 1] in " \t\r\n":
            end -= 1
        return Finding(offset=start, end=end, pointer=pointer, message=message, hint=hint, fix=fix)

    def rewrite(self, pointer: str, text: str) -> Fix | None:
        """Return the fix that writes another text for a value, in the same style of quotes.

        Return None for block text, and for text that would need other quotes.
        """
        scalar = self.scalar(pointer)
        if scalar is None:
            return None
        written = self.document.text[scalar.start : scalar.end]
        plain = not scalar.style
        # What is written must be the value itself: no block text, no escapes, no folded lines, no anchors or tags.
        if written != (scalar.text if plain else f"{scalar.style}{scalar.text}{scalar.style}"):
            return None
        if any(sign in text for sign in ("'\"\\\n" if not plain else "\n")) or (plain and not _is_plain(text)):
            return None
        inner = 0 if plain else 1
        return Fix(edits=(Edit(scalar.start + inner, scalar.end - inner, text),), title=f"write {text!r}")

    def remove(self, key: str) -> Fix | None:
        """Return the fix that removes a top-level entry of one line; a comment after it stays."""
        entry = None if self.front_matter is None else self.front_matter.entry(key)
        if entry is None or not (scalar := self.scalar(f"/{schema.escape(key)}")):
            return None
        text = self.document.text
        start = entry.offset + entry.key_node.start_mark.index
        end = max(scalar.end, entry.offset + entry.key_node.end_mark.index) if scalar.end > scalar.start else 0
        if not end or "\n" in text[start:end] or text[start - 1 : start] != "\n":
            return None
        line_end = text.find("\n", end)
        rest = text[end:line_end]
        if rest.strip():
            end += len(rest) - len(rest.lstrip())
        else:
            end = line_end + 1
        return Fix(edits=(Edit(start, end, ""),), title=f"remove '{key}'")


def _is_plain(text: str) -> bool:
    """Whether a text can be written in YAML without quotes and is read as itself."""
    return (
        bool(text)
        and text == text.strip()
        and text[0] not in "-?:,[]{}#&*!|>'\"%@`"
        and ": " not in text
        and " #" not in text
        and not text.endswith(":")
    )


def faults(context: Context, code: str) -> Sequence[Finding]:
    """Return what the parsers found, of one code."""
    return [fault for fault in context.faults if fault.code == code]
