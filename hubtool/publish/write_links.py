"""The card as it is published: what its files are and where they will be, written into it. Pure.

Only the entries of the assets are touched, and of them only link, digest and size; every other byte stays.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import yaml

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card import model, yaml_text
from hubtool.card.values import plain_values
from hubtool.errors import CardError
from hubtool.mirror.layout import blob_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubtool.card.document import Document
    from hubtool.card.front_matter import FrontMatter
    from hubtool.card.model import Asset
    from hubtool.verification.asset_file import AssetFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAsset:
    """One asset with its file, and the link that it gets; None where the link stays as it is."""

    asset: Asset
    file: AssetFile
    link: str | None


def link_of(base: str, file: AssetFile, name: str) -> str:
    """Return the link of a blob: its name in the bucket below a base, and behind ``#`` the name of the file.

    What stands behind ``#`` is not sent to the server; it names the file for readers and ``hubtool.fetch``.
    """
    return f"{base.rstrip('/')}/{blob_name(file.digest)}#{quote(name)}"


def write_links(data: bytes, placed: Sequence[PlacedAsset], *, name: str) -> bytes:
    """Return a card with the links, digests and sizes of its files.

    Args:
        data: The card's bytes.
        placed: The assets that have a file; of others nothing is written.
        name: How messages call the card.

    Raises:
        CardError: If its front matter cannot be read, or not be written into.
    """
    document = documents.parse(data)
    if document.front_matter is None:
        raise CardError(f"{name} has no front matter that can be read", hint=f"see 'hubtool validate {name}'")
    front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    if not front_matter.is_whole:
        raise CardError(f"{name}: {front_matter.faults[0].message}", hint=f"see 'hubtool validate {name}'")
    values = plain_values(front_matter)
    places = _places(values)
    edits: list[tuple[int, int, str]] = []
    wanted = {}
    for one in placed:
        entries = {"asset-sha256": one.file.digest, "asset-size": str(one.file.size)}
        if one.link is not None:
            entries = {"asset-link": one.link, **entries}
        at = places[next(at for at, asset in enumerate(_assets(document, front_matter)) if asset == one.asset)]
        edits += _edits(document, front_matter, at, entries, name)
        wanted[at] = entries
    text = document.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    after = (codecs.BOM_UTF8 if document.bom else b"") + text.encode("utf-8")
    _verify(after, values, wanted, name)
    return after


def _places(values: Mapping[str, object]) -> list[int]:
    """Return the place in the list ``asset`` of each asset that the typed card has."""
    listed = values.get("asset")
    return [
        at
        for at, item in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and isinstance(item.get("asset-link"), str) and item["asset-link"]
    ]


def _assets(document: Document, front_matter: FrontMatter) -> tuple[Asset, ...]:
    return model.of_parts(document, front_matter, uid=None, path=None).assets


def _edits(
    document: Document, front_matter: FrontMatter, at: int, entries: Mapping[str, str], name: str
) -> list[tuple[int, int, str]]:
    """Return what is to be written into one asset: (start, end, text) in characters of the document."""
    entry = front_matter.entry("asset")
    node = entry.value.value[at] if entry is not None and isinstance(entry.value, yaml.SequenceNode) else None
    if entry is None or not isinstance(node, yaml.MappingNode):
        raise CardError(f"{name}: the assets are not a list of mappings", hint=f"see 'hubtool validate {name}'")
    edits = []
    missing = ""
    for key, text in entries.items():
        value = text if key == "asset-size" else yaml_text.scalar(text)
        pair = next(((one, other) for one, other in node.value if one.value == key), None)
        if pair is None:
            missing += f", {key}: {value}" if node.flow_style else f"\n{' ' * _column(node)}{key}: {value}"
        elif isinstance(pair[1], yaml.ScalarNode) and pair[1].style not in ("|", ">"):
            start, end = entry.offset + pair[1].start_mark.index, entry.offset + pair[1].end_mark.index
            if start == end:  # an empty value has no place of its own: behind the colon
                start = end = document.text.index(":", entry.offset + pair[0].end_mark.index) + 1
                value = f" {value}"
            edits.append((start, end, value))
        else:
            raise CardError(f"{name}: {key} is not one line of text", hint="run 'hubtool fmt' on it, or write it again")
    if missing:
        link = next(other for one, other in node.value if one.value == "asset-link")
        end = entry.offset + link.end_mark.index
        feed = document.text.find("\n", end)
        if not node.flow_style and feed >= 0:
            crlf = document.text[feed - 1] == "\r"
            end = feed - crlf
            missing = missing.replace("\n", "\r\n") if crlf else missing
        edits.append((end, end, missing))
    return edits


def _column(node: yaml.MappingNode) -> int:
    return int(node.value[0][0].start_mark.column)


def _verify(after: bytes, before: Mapping[str, object], wanted: Mapping[int, Mapping[str, str]], name: str) -> None:
    """Check that the card has the new entries, and is otherwise unchanged."""
    document = documents.parse(after)
    values = (
        {}
        if document.front_matter is None
        else plain_values(front_matters.read(document.front_matter, document.front_matter_offset))
    )
    listed = before.get("asset")
    expected = dict(before)
    if isinstance(listed, list):
        expected["asset"] = [_with(item, wanted.get(at, {})) for at, item in enumerate(listed)]
    if values != expected:
        raise CardError(
            f"{name} cannot be completed: its assets are written in a way that cannot be changed safely",
            hint="run 'hubtool fmt' on it",
        )


def _with(item: object, entries: Mapping[str, str]) -> object:
    new = {key: int(text) if key == "asset-size" else text for key, text in entries.items()}
    return {**item, **new} if isinstance(item, dict) else item
