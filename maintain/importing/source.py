"""A public hub's card as it stands there: every fact that can be read, whatever form it is written in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import yaml

from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card import schema, vocabulary
from hubtool.card.model import strip_brackets
from hubtool.card.values import plain_values
from hubtool.errors import ArgumentError, InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hubtool.card.front_matter import FrontMatter

# Where a checkout of the public hub has its cards.
SUBFOLDER = PurePosixPath("mshub_res/assets")
_TRANSLATED = re.compile(r"^(?:-[ \t]*)?(?P<key>[^：:\n]+?)[ \t]*[：:][ \t]*(?P<value>.*?)[ \t]*$")
_ASSET_KEYS = ("file-format", "asset-link", "asset-sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAsset:
    """One asset as the source states it; what it does not state is None."""

    format: str | None
    link: str | None
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCard:
    """One card as the source states it.

    Attributes:
        uid: Its UID.
        title: Its title, or None.
        body: The Markdown below the front matter.
        values: The front matter but for ``asset``: text, booleans and lists.
        assets: The assets, in order.
        translation: Whether it is the Chinese translation of another card.
        recovered: The keys whose entries are not YAML, or not YAML that means what was meant, and were read all the
            same.
    """

    uid: Uid
    title: str | None
    body: str
    values: Mapping[str, object]
    assets: tuple[SourceAsset, ...]
    translation: bool
    recovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file of the source that cannot be imported, and why."""

    path: PurePosixPath
    reason: str


@dataclass(slots=True)
class _Reading:
    values: dict[str, object] = field(default_factory=dict)
    assets: list[dict[str, str]] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)


def cards_folder(source: Path) -> Path:
    """Return the folder below which a source has its cards.

    Raises:
        ArgumentError: If it is not a folder, or has no cards.
    """
    if not source.is_dir():
        raise ArgumentError(f"{source} is not a folder", hint="give a checkout of a hub, or a folder of its cards")
    folder = source / SUBFOLDER
    return folder if folder.is_dir() else source


def files(folder: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """Yield the Markdown files below a folder, with their paths relative to it, in order of these."""
    found = (path for path in folder.rglob("*.md") if path.is_file() and path.name.lower() != "readme.md")
    relative = ((PurePosixPath(path.relative_to(folder).as_posix()), path) for path in found)
    return iter(sorted((name, path) for name, path in relative if not any(p.startswith(".") for p in name.parts)))


def read(relative: PurePosixPath, data: bytes) -> SourceCard | Refused:
    """Read one card of the source.

    Args:
        relative: Its path below the folder of the cards.
        data: Its bytes.
    """
    try:
        uid = Uid.of_path(relative)
    except InvalidNameError as error:
        return Refused(path=relative, reason=error.message)
    document = documents.parse(data)
    if document.front_matter is None:
        return Refused(path=relative, reason=document.faults[0].message)
    front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    reading = _of_yaml(front_matter)
    translation = not reading.values
    if translation:
        reading = _of_translation(document.front_matter)
    if not reading.values:
        return Refused(path=relative, reason="no entry of its front matter can be read")
    return SourceCard(
        uid=uid,
        title=document.title,
        body=document.body,
        values=reading.values,
        assets=tuple(map(_asset, reading.assets)),
        translation=translation,
        recovered=tuple(reading.recovered),
    )


def _of_yaml(front_matter: FrontMatter) -> _Reading:
    reading = _Reading()
    values = plain_values(front_matter)
    for key, value in values.items():
        known = vocabulary.key(key) or key
        if known == "asset":
            entry = front_matter.entry(key)
            if entry is not None and isinstance(entry.value, yaml.SequenceNode):
                for item in entry.value.value:
                    reading.assets.extend(_split(item, reading.recovered))
        elif value is not None:
            reading.values.setdefault(known, value)
    # What a YAML parser refuses ('evaluation: -', or a value with ': ' in it) is the text of its line.
    for key in sorted(front_matter.unread):
        match = re.search(rf"^{re.escape(key)}[ \t]*:[ \t]*(?P<value>\S.*?)[ \t\r]*$", front_matter.text, re.MULTILINE)
        if match and schema.description(key) is not None:
            reading.values.setdefault(key, match["value"])
            reading.recovered.append(key)
    return reading


def _split(item: yaml.Node, recovered: list[str]) -> Iterator[dict[str, str]]:
    """Yield the assets of one item: each key that comes again begins another asset, of the same format."""
    if not isinstance(item, yaml.MappingNode):
        return
    current: dict[str, str] = {}
    for key_node, value_node in item.value:
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(value_node, yaml.ScalarNode):
            continue
        key = vocabulary.key(key_node.value) or key_node.value
        if key in current:
            recovered.append("asset")
            yield current
            current = {name: text for name, text in current.items() if name == "file-format"}
        current[key] = value_node.value
    if current:
        yield current


def _of_translation(text: str) -> _Reading:
    """Read the front matter of a Chinese card: keys in Chinese, and full-width colons, so that it is not YAML."""
    reading = _Reading()
    for line in text.splitlines():
        match = _TRANSLATED.match(line.strip())
        key = vocabulary.key(match["key"]) or match["key"] if match else ""
        if match is None or key == "asset" or not match["value"]:
            continue
        if key in _ASSET_KEYS:
            if not reading.assets or key in reading.assets[-1]:
                reading.assets.append({})
            reading.assets[-1][key] = match["value"]
        elif schema.description(key) is not None:
            reading.values.setdefault(key, _typed(key, match["value"]))
    reading.recovered.extend(reading.values)
    return reading


def _typed(key: str, text: str) -> object:
    if key in ("fine-tunable", "mindspore-lite") and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if key == "input-shape" and re.fullmatch(r"\[[0-9, ]+\]", text):
        return [int(number) for number in re.findall(r"[0-9]+", text)]
    return text


def _asset(item: dict[str, str]) -> SourceAsset:
    link, form, digest = item.get("asset-link"), item.get("file-format"), item.get("asset-sha256")
    return SourceAsset(
        format=form.strip().lstrip(".").lower() if form else None,
        link=strip_brackets(link) if link else None,
        digest=digest.strip() if digest else None,
    )
