"""Builds the catalogue: beside its folder, which is then swapped as a whole."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import parallel
from hubtool.card import architectures
from hubtool.catalogue import facts, finding
from hubtool.errors import ArgumentError, CardError
from hubtool.publish import page
from hubtool.registry import words
from hubtool.registry.entry import CardEntry
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from hubtool.card.model import Card
    from hubtool.registry import Registries
    from hubtool.uid import Uid

#: The file by which a folder is known as a catalogue.
MARKER = "catalogue.json"
#: The languages of the interface, each with the folder of its pages.
LANGUAGES = {"en": "", "zh": "zh/"}
_OURS = frozenset({MARKER, "index.html", "zh", "models", "assets"})
_HERE = Path(__file__).resolve().parent
_PART = ".catalogue-part"
_LEFT_BEHIND_SECONDS = 3600
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux
_CURRENT_FOLDER = -100  # AT_FDCWD


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueReport:
    """What a build made.

    Attributes:
        folder: The folder of the catalogue.
        models: How many models are in it.
        cards: How many cards.
        files: How many files.
        size: Their size in bytes.
        left_out: The cards that could not be read, each with the reason.
    """

    folder: Path
    models: int
    cards: int
    files: int
    size: int
    left_out: tuple[str, ...]


def build(registries: Registries, folder: Path) -> CatalogueReport:
    """Build the catalogue of all cards of some registries.

    The folder holds the old catalogue, whole, until the new one takes its place.

    Args:
        registries: The registries; of two cards with one UID, that of the earlier registry is used.
        folder: Where it goes: a new folder, an empty one, or one with a catalogue.

    Raises:
        ArgumentError: If the folder holds anything else.
        OSError: If it cannot be written.
    """
    folder = folder.resolve()
    _check(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(folder)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{_PART}")
    try:
        report = _write(registries, part, folder)
        _check(folder)
        _swap(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return report


def _check(folder: Path) -> None:
    """Raise an error unless a folder may be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder", hint="give the folder that the catalogue goes into")
    inside = {path.name for path in folder.iterdir()}
    hint = "give a new or an empty folder, or one that 'hubtool catalogue build' made"
    if inside and not _is_marked(folder):
        raise ArgumentError(f"{folder} is not empty, and holds no catalogue", hint=hint)
    if others := sorted(inside - _OURS):
        raise ArgumentError(f"{folder} holds what hubtool did not make: {', '.join(others[:5])}", hint=hint)


def _is_marked(folder: Path) -> bool:
    try:
        value = json.loads((folder / MARKER).read_bytes()[:10_000])
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("made-by") == "hubtool catalogue build"


def _remove_left(folder: Path) -> None:
    """Remove what killed builds left beside the folder."""
    for path in folder.parent.glob(f".{folder.name}.*{_PART}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_SECONDS and _is_marked(path):
                shutil.rmtree(path)


def _swap(part: Path, folder: Path) -> None:
    """Put a folder in the place of another; in one step where the system can."""
    if not folder.exists() or not any(folder.iterdir()):
        if os.name == "nt" and folder.exists():
            folder.rmdir()
        part.rename(folder)
        return
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            rename = ctypes.CDLL(None, use_errno=True).renameat2
            if rename(_CURRENT_FOLDER, os.fsencode(part), _CURRENT_FOLDER, os.fsencode(folder), _EXCHANGE) == 0:
                return  # the old one is now where the new one was, and goes from there
    old = part.with_name(f"{part.name}-old")
    folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(registries: Registries, part: Path, folder: Path) -> CatalogueReport:
    part.mkdir()
    marker = {"made-by": "hubtool catalogue build", "hubtool": __version__}
    (part / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
    groups: dict[str, list[Uid]] = {}
    for uid in registries.uids():
        groups.setdefault(words.model_key(uid), []).append(uid)

    def work(uids: list[Uid]) -> tuple[dict[str, Any] | None, list[str]]:
        return _model(registries, uids, part)

    keys = sorted(groups)
    done = list(parallel.run(work, [groups[key] for key in keys], jobs=parallel.cores()))
    models = [model for model, _ in done if model is not None]
    shutil.copytree(_HERE / "assets", part / "assets")
    shown = {key: text for key, text in _texts().items() if key.startswith(("js_", "verified_"))}
    (part / "assets" / "facts.js").write_text(finding.shard(models, shown), encoding="utf-8")
    cards = sum(len(one["cards"]) for one in models)
    for language in LANGUAGES:
        _page(part, "index.html", language, "index.html", models=models, cards=cards)
    files = [path for path in part.rglob("*") if path.is_file()]
    return CatalogueReport(
        folder=folder,
        models=len(models),
        cards=cards,
        files=len(files),
        size=sum(path.stat().st_size for path in files),
        left_out=tuple(why for _, problems in done for why in problems),
    )


def _model(registries: Registries, uids: Sequence[Uid], part: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Write the pages of a model; return what the list says about it, and which cards could not be read."""
    cards: list[tuple[Card, CardEntry]] = []
    problems = []
    for uid in uids:
        try:
            card, registry = registries.read(uid)
        except CardError as error:
            problems.append(f"{uid}: {error.message}")
            continue
        cards.append((card, CardEntry.of_card(card, uid, registry.digest(uid) or "")))
    if not cards:
        return None, problems
    cards.sort(key=lambda one: (one[1].status == "withdrawn", -words.newness(one[1].uid.version), str(one[1].uid)))
    model = facts.of_model(cards)
    body = _shown(page.body(model.pop("body"), None, None))  # Markdown can spell any sign
    name = facts.page_of(cards[0][1].uid)
    for language in LANGUAGES:
        _page(part, "model.html", language, name, model=model, body=body)
    # The list needs less, and less has to come from the workers.
    model["versions"] = [{key: one[key] for key in _LISTED} for one in model["versions"]]
    model["architecture"] = model["architecture"].name if model["architecture"] else ""
    return model, problems


_LISTED = ("uid", "version", "anchor", "score", "evaluation", "status", "licence", "verified", "equal", "mindspore")


def _page(part: Path, template: str, language: str, name: str, **values: Any) -> None:  # noqa: ANN401 - a template's values
    """Write one page from its template."""
    inside = LANGUAGES[language]
    path = part / inside / name
    path.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * name.count("/")
    other = next(one for one in LANGUAGES if one != language)
    at = list(LANGUAGES).index(language)
    text = (
        _environment()
        .get_template(template)
        .render(
            t={key: both[at] for key, both in _texts().items()},
            lang=language,
            other_lang=other,
            index=f"{up}index.html",
            assets=f"{up}{'../' if inside else ''}assets",
            translated=f"{up}{'../' if inside else ''}{LANGUAGES[other]}{facts.link_to(name)}",
            known_tasks=architectures.tasks(),
            at=at,
            **values,
        )
    )
    path.write_text(text, encoding="utf-8")


@cache
def _texts() -> dict[str, list[str]]:
    """Return the words of the interface, each in English and in Chinese."""
    texts: dict[str, list[str]] = json.loads((_HERE / "texts.json").read_text(encoding="utf-8"))
    return texts


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - of an extra

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["size"] = _size
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Return a value with signs that are not printable as spaces: some turn the direction of the text around them."""
    if type(value) is not str or value.isprintable():  # text that is marked as HTML is another type
        return value
    return "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in value)


def _size(count: int) -> str:
    """Return a size in bytes for people."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
