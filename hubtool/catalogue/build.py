"""Builds the catalogue: reads the cards of each model, and writes the pages."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import parallel, wording
from hubtool.card import architectures
from hubtool.catalogue import facts, finding, groups, site_folder
from hubtool.errors import HubError
from hubtool.publish import page
from hubtool.registry import words
from hubtool.registry.entry import CardEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment

    from hubtool.card.model import Card
    from hubtool.registry import Registries
    from hubtool.uid import Uid

#: The languages of the interface, each with the folder of its pages.
LANGUAGES = {"en": "", "zh": "zh/"}
_MODELS_PER_PAGE = 250
_HERE = Path(__file__).resolve().parent


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


def build(registries: Registries, folder: Path, blobs: Sequence[Path] = ()) -> CatalogueReport:
    """Build the catalogue of all cards of some registries.

    The folder holds the old catalogue, whole, until the new one takes its place.

    Args:
        registries: The registries; of two cards with one UID, that of the earlier registry is used.
        folder: Where it goes: a new folder, an empty one, or one with a catalogue.
        blobs: Folders with assets by their digests, stores and mirrors: the tensors of checkpoints are read there.

    Raises:
        ArgumentError: If the folder holds anything else, cannot be replaced, or cannot be made.
        OSError: If it cannot be written.
    """
    with site_folder.replacing(folder) as part:
        return _write(registries, part, folder.resolve(), blobs)


def _write(registries: Registries, part: Path, folder: Path, blobs: Sequence[Path]) -> CatalogueReport:
    uids_of: dict[str, list[Uid]] = {}
    for uid in registries.uids():
        uids_of.setdefault(words.model_key(uid), []).append(uid)

    def work(uids: list[Uid]) -> tuple[dict[str, Any] | None, list[str]]:
        return _model(registries, uids, part, blobs)

    keys = sorted(uids_of)
    done = list(parallel.run(work, [uids_of[key] for key in keys], jobs=parallel.cores()))
    models = [model for model, _ in done if model is not None]
    shutil.copytree(_HERE / "assets", part / "assets")
    shown = {key: text for key, text in _texts().items() if key.startswith(("js_", "verified_", "size_", "status_"))}
    (part / "assets" / "facts.js").write_text(_shown(finding.shard(models, shown)), encoding="utf-8")
    cards = sum(len(one["cards"]) for one in models)
    for language in LANGUAGES:
        _lists(part, language, models, cards)
        for group in groups.of_models(models, {"task": architectures.tasks(), "architecture": _architectures()}):
            about = (_architectures() if group.kind == "architecture" else architectures.tasks())[group.name]
            _page(part, "group.html", language, groups.page_of(group.kind, group.name), group=group, about=about)
    names = site_folder.mark(part)
    return CatalogueReport(
        folder=folder,
        models=len(models),
        cards=cards,
        files=len(names),
        size=sum((part / name).stat().st_size for name in names),
        left_out=(
            *(why for _, problems in done for why in problems),
            *(f"{path}: {why}" for path, why in registries.unnamed()),
        ),
    )


def _architectures() -> Mapping[str, architectures.Architecture]:
    return architectures.architectures()


def _lists(part: Path, language: str, models: Sequence[dict[str, Any]], cards: int) -> None:
    """Write the list of all models: the page that opens first, and those behind it where there are many models."""
    pages = [models[at : at + _MODELS_PER_PAGE] for at in range(0, len(models), _MODELS_PER_PAGE)] or [()]
    names = ["index.html", *(f"list/{number}.html" for number in range(2, len(pages) + 1))]
    for at, (name, some) in enumerate(zip(names, pages, strict=True)):
        after = names[at + 1] if at + 1 < len(names) else ""
        _page(
            part, "index.html", language, name, models=some, count=len(models), cards=cards, first=not at, after=after
        )


def _model(
    registries: Registries, uids: Sequence[Uid], part: Path, blobs: Sequence[Path]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Write the pages of a model; return what the list says about it, and which cards could not be read."""
    cards: list[tuple[Card, CardEntry, Path | None]] = []
    problems = []
    for uid in uids:
        try:
            card, registry = registries.read(uid)
            cards.append((card, CardEntry.of_card(card, uid, registry.digest(uid) or ""), registry.root))
        except (HubError, OSError) as error:  # noqa: PERF203 - most cards can be read
            problems.append(f"{uid}: {error.message if isinstance(error, HubError) else error}")
    if not cards:
        return None, problems
    cards.sort(key=lambda one: (one[1].status == "withdrawn", -words.newness(one[1].uid.version), str(one[1].uid)))
    model = facts.of_model(cards, blobs)
    body = _shown(page.body(model.pop("body"), None, None))  # Markdown can spell any sign
    name = facts.page_of(cards[0][1].uid)
    for language in LANGUAGES:
        _page(part, "model.html", language, name, model=model, body=body, facts=facts.FACTS, tables=facts.TABLES)
    # The list needs less, and less has to come from the workers.
    model["versions"] = [{key: one[key] for key in _LISTED} for one in model["versions"]]
    model["architecture"] = model["architecture"].name if model["architecture"] else ""
    return model, problems


_LISTED = ("uid", "version", "anchor", "score", "results", "model", "status", "licence", "verified")


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
            up=up,
            assets=f"{up}{'../' if inside else ''}assets",
            page_of=lambda kind, name: up + facts.link_to(groups.page_of(kind, name)),
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
    environment.filters["size"] = wording.size
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Return a value with signs that are not printable as spaces: some turn the direction of the text around them."""
    if type(value) is not str or value.isprintable():  # text that is marked as HTML is another type
        return value
    return "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in value)
