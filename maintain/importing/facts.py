"""The facts of a source's card, normalised; and what was changed about them, and what is not known. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING

from hubtool.card import metrics, vocabulary
from hubtool.card.model import strip_brackets
from hubtool.digest import Digest
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.metrics import Metric
    from hubtool.uid import Uid
    from maintain.importing.references import Reference
    from maintain.importing.source import SourceAsset, SourceCard

_FORMATS = frozenset({"ckpt", "safetensors", "mindir", "air", "onnx", "mslite", "txt", "json"})
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*([a-z]+[0-9]*)?\Z")
_LINK = re.compile(r"https?://[^\s<>]+\Z")
_VERSIONS = ("model-version", "mindspore-version")
_TEXTS = ("model-name", "backbone-name", "author", "user-id", "accuracy", "mAP")
_BACKENDS = ("train-backend", "infer-backend")
_USES = {"推理": "inference", "训练": "training"}
# What a source's summary may say of the kind of a model beyond its task: found there -> said by us.
_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "text-to-video": "text to video",
        "image-to-video": "image to video",
        "text-to-image": "text to image",
        "text-to-3d": "text to 3D",
        "image-to-3d": "image to 3D",
        "single image to 3d": "image to 3D",
        "3d mesh": "3D meshes",
        "multi-view": "several views",
        "vision-language": "vision and language",
        "video synthesis": "video",
        "video generati": "video",
        "image generation": "images",
        "image reconstruction": "image reconstruction",
        "diffusion": "diffusion",
        "stable diffusion": "diffusion",
        "autoregressive": "autoregressive",
        "super-resolution": "super-resolution",
        "derain": "deraining",
        "ssd model": "SSD",
        "1-bit": "1-bit weights",
        "low bit": "low-bit weights",
        "neural architecture search": "found by neural architecture search",
        "adversarial pruning": "adversarial pruning",
        "distillation": "knowledge distillation",
        "masked image modeling": "masked image modelling",
        "rgb-d": "RGB-D images",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What was done about one fact.

    Attributes:
        key: The key of the front matter, or ``references``.
        known: True if it was normalised; False if it is not known, and left out or left as it is.
        message: What was changed into what, or what is not known.
    """

    key: str
    known: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAsset:
    """One asset: its format, its link, and its digest, perhaps short."""

    format: str
    link: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """All that is known of one model.

    Attributes:
        uid: The UID.
        values: The front matter but for assets, licence and summary: normalised, in no order.
        assets: The assets with a digest.
        unverified: The links of those without one.
        metrics: The metrics that are stated.
        kinds: What else the source says of the kind of the model, in our words.
        licence: The SPDX expression.
        references: The papers it cites.
        translation: Whether the card is in Chinese.
        notes: What was normalised, and what is not known.
    """

    uid: Uid
    values: Mapping[str, object]
    assets: tuple[FactAsset, ...]
    unverified: tuple[str, ...]
    metrics: tuple[Metric, ...]
    kinds: tuple[str, ...]
    licence: str
    references: tuple[Reference, ...]
    translation: bool
    notes: tuple[Note, ...]


class _Notes:
    def __init__(self) -> None:
        self.all: list[Note] = []

    def changed(self, key: str, before: object, after: object) -> None:
        if str(before) != str(after):
            self.all.append(Note(key=key, known=True, message=f"{before!s} -> {after!s}"))

    def said(self, key: str, message: str) -> None:
        self.all.append(Note(key=key, known=True, message=message))

    def unknown(self, key: str, message: str) -> None:
        self.all.append(Note(key=key, known=False, message=message))


def of_source(
    card: SourceCard, references: tuple[Reference, ...], unread: tuple[str, ...], *, user_id: str | None = None
) -> PageFacts:
    """Return the facts of a card.

    Args:
        card: The card as the source has it.
        user_id: How the cards of its publisher spell the publisher's name.
        references: The papers it cites.
        unread: Its references whose paper cannot be told.
    """
    notes = _Notes()
    for key in dict.fromkeys(card.recovered):
        notes.said(key, "the entry is not YAML as written; its text was read")
    values: dict[str, object] = {}
    stated = dict(card.values)
    _plain(stated, values, notes)
    stated_id = values.get("user-id")
    if user_id is not None and stated_id is not None and stated_id != user_id:
        values["user-id"] = user_id
        notes.changed("user-id", stated_id, user_id)
    _vocabulary(stated, values, notes)
    _links(stated, values, notes)
    measured = _metrics(stated, values, notes)
    licence = _licence(stated, notes)
    summary = str(stated.pop("summary", ""))
    for key in stated:
        notes.unknown(key, "the key is not known, and the entry was left out")
    assets, unverified = _assets(card.assets, notes)
    for text in unread:
        notes.unknown("references", f"which paper is meant cannot be told: {text[:200]}")
    if not references and not unread:
        notes.unknown("references", "the source cites no paper")
    return PageFacts(
        uid=card.uid,
        values=values,
        assets=assets,
        unverified=unverified,
        metrics=measured,
        kinds=tuple(dict.fromkeys(ours for theirs, ours in _KINDS.items() if theirs in summary.lower())),
        licence=licence,
        references=references,
        translation=card.translation,
        notes=tuple(notes.all),
    )


def _plain(stated: dict[str, object], values: dict[str, object], notes: _Notes) -> None:
    for key in _TEXTS:
        text = _text(stated.pop(key, ""))
        if text:
            values[key] = text
        elif key not in ("accuracy", "mAP"):
            notes.unknown(key, "the source does not state it")
    for key in _VERSIONS:
        text = _text(stated.pop(key, ""))
        if _VERSION.match(text):
            values[key] = text
            notes.said(key, f"{text} -> '{text}', as text")
        else:
            notes.unknown(key, f"{text!r} is not a version")
    for key in ("fine-tunable", "mindspore-lite"):
        flag = stated.pop(key, None)
        if isinstance(flag, bool):
            values[key] = flag
        elif flag is not None or key == "fine-tunable":
            notes.unknown(key, "the source states neither true nor false")
    shape = stated.pop("input-shape", None)
    if isinstance(shape, list):
        values["input-shape"] = shape
    for key in _BACKENDS:
        text = _text(stated.pop(key, ""))
        if text:
            values[key] = text.lower()
            notes.changed(key, text, text.lower())
    use = _text(stated.pop("used-for", ""))
    if use:
        values["used-for"] = _USES.get(use, use)
        notes.changed("used-for", use, values["used-for"])
    _date(_text(stated.pop("update-time", "")), values, notes)


def _date(text: str, values: dict[str, object], notes: _Notes) -> None:
    match = re.fullmatch(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", text)
    try:
        day = date(int(match[1]), int(match[2]), int(match[3])).isoformat() if match else None
    except ValueError:
        day = None
    if day is None:
        notes.unknown("update-time", f"{text!r} is not a date")
        return
    values["update-time"] = day
    notes.changed("update-time", text, day)


def _vocabulary(stated: dict[str, object], values: dict[str, object], notes: _Notes) -> None:
    task = _text(stated.pop("module-type", ""))
    values["module-type"] = vocabulary.task(task) or task
    notes.changed("module-type", task, values["module-type"])
    if vocabulary.task(task) is None:
        notes.unknown("module-type", f"{task!r} is not a task of the vocabulary; it stays as it is")
    name = _text(stated.pop("train-dataset", ""))
    if vocabulary.says_nothing(name):
        notes.unknown("train-dataset", f"the source says {name!r}" if name else "the source does not state it")
        return
    known = vocabulary.dataset(name) or _two(name)
    values["train-dataset"] = known or name
    notes.changed("train-dataset", name, known or name)
    if known is None:
        notes.unknown("train-dataset", f"{name!r} is not a data set of the vocabulary; it stays as it is")


def _two(name: str) -> str | None:
    """Return two data sets whose names stand in one word, as they are to be written (``vot2013vot2014``)."""
    folded = vocabulary.fold(name)
    find = vocabulary.load("datasets").find
    for at in range(4, len(folded) - 3):
        one, other = find(folded[:at]), find(folded[at:])
        if one is not None and other is not None:
            return f"{one}_{other}"
    return None


def _links(stated: dict[str, object], values: dict[str, object], notes: _Notes) -> None:
    keys = [key for key in stated if key == "repo-link" or key.endswith("-repo-link")]
    for key in keys:
        text = _text(stated.pop(key))
        link = strip_brackets(text)
        if _LINK.match(link):
            values[key] = link
            if link != text:
                notes.said(key, "brackets around the link dropped")
        else:
            notes.unknown(key, f"{text!r} is not a link" if text else "the source leaves it empty")
    if not keys:
        notes.unknown("repo-link", "the source does not state it")


def _metrics(stated: dict[str, object], values: dict[str, object], notes: _Notes) -> tuple[Metric, ...]:
    text = _text(stated.pop("evaluation", ""))
    if vocabulary.says_nothing(text):
        if text:
            notes.unknown("evaluation", f"the source says {text!r}")
        elif not {"accuracy", "mAP"} & values.keys():
            notes.unknown("evaluation", "the source states no metrics")
        return ()
    read = metrics.parse(text)
    if read.metrics:
        values["evaluation"] = " | ".join(map(metrics.spelled, read.metrics))
        notes.changed("evaluation", text, values["evaluation"])
    for part in read.unread:
        notes.unknown("evaluation", f"{part!r} is not a metric")
    return read.metrics


def _licence(stated: dict[str, object], notes: _Notes) -> str:
    text = _text(stated.pop("license", ""))
    known = vocabulary.licence(text)
    if known is None:
        notes.unknown("license", f"{text!r} is not a licence that is known" if text else "the source states none")
        return text
    notes.changed("license", text, known)
    return known


def _assets(stated: tuple[SourceAsset, ...], notes: _Notes) -> tuple[tuple[FactAsset, ...], tuple[str, ...]]:
    assets: list[FactAsset] = []
    unverified: list[str] = []
    for asset in stated:
        if asset.link is None or not _LINK.match(asset.link):
            notes.unknown("asset", f"an asset has no link that can be read ({asset.link!r}); it was left out")
            continue
        name = asset.link.rpartition("/")[2]
        form = asset.format if asset.format in _FORMATS else None
        if form is None:
            notes.unknown("asset", f"the format of {name} is not known; the asset was left out")
            continue
        try:
            digest = Digest.parse(asset.digest or "")
        except ArgumentError:
            notes.unknown(
                "asset", f"{name} has no digest: its bytes cannot be told from others; its link is in the text"
            )
            unverified.append(asset.link)
            continue
        if digest.is_short:
            notes.unknown("asset", f"of the digest of {name} only {len(digest.hex)} digits are stated; it stays short")
        assets.append(FactAsset(format=form, link=asset.link, digest=digest.hex))
    if not stated:
        notes.unknown("asset", "the source names no asset")
    return tuple(assets), tuple(unverified)


def _text(value: object) -> str:
    """Return a value as text in one line, without control characters."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
