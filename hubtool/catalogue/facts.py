"""What a model's page says, as plain values: the facts of its cards, and nothing that no card states."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from bisect import bisect_right
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from hubtool.card import facts_in_words, known_answer, metrics, overview, vocabulary
from hubtool.card.caller_arguments import caller_arguments
from hubtool.card.repo_link import parse_repo_link, place_of
from hubtool.catalogue import finding, plots
from hubtool.checkpoint.reading import read_header
from hubtool.errors import ArgumentError, CheckpointError, RecipeError
from hubtool.mirror import layout
from hubtool.pipelines import use as uses
from hubtool.registry import words
from hubtool.registry.found import task_of
from hubtool.resolution import trust
from hubtool.resolution.choice import choose_graph

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hubtool.card.model import Asset, Card
    from hubtool.registry.entry import CardEntry
    from hubtool.uid import Uid

#: With a digest, `.html` and the signs of a temporary name, a name is then within the 255 bytes of file systems.
_MAX_NAME_BYTES = 150
_NO_NAME = re.compile(r"[^\w.+-]")
_LINK = re.compile(r"https?://[^\s<>\"'\\]+\Z")
#: What `verified` is where no known answer was found to be equal.
UNVERIFIED = "none"
#: The facts of a version that are told once, above the versions, where all of them agree.
FACTS = (
    *("summary", "datasets", "backbone", "licence", "author", "preprocessing", "outputs", "labels", "recipe", "code"),
    *("commit", "answer", "complete", "missing"),
)
#: The tables of a version that are told once likewise.
TABLES = ("results", "inputs")
_IN_WORDS = ("preprocessing", "outputs", "labels")
_MOST_PLOTS = 4
_MOST_TENSORS = 2000  # of a file, on a page
_SIZES = (10**6, 10**7, 10**8)  # where the classes of sizes begin, in numbers of all parameters
_UNKNOWN_SIZE = "5"


def page_of(uid: Uid) -> str:
    """Return the path of a model's page; all versions of the model have the same.

    Args:
        uid: The UID of one of its cards.
    """
    publisher, backend, name = words.model_key(uid).split("/")
    # The backend is no folder: that could have the name of a page.
    return f"models/{file_part(publisher)}/{file_part(f'{backend}.{name}' if backend else name)}.html"


def file_part(text: str) -> str:
    """Return a part of a file's name that two texts never share, on systems that do not tell case either.

    A text that differs from another in case or in the form of its letters only, or that is too long, ends in a digest
    behind a sign that no UID has.

    Args:
        text: A part of a UID, or a name like one.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    if plain == text and "~" not in text and 0 < len(os.fsencode(text)) <= _MAX_NAME_BYTES:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    kept = _NO_NAME.sub("", plain).encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    return f"{kept}~{digest}"


def link_to(path: str) -> str:
    """Return the path of a page as a link has it."""
    return quote(path)


def of_model(cards: Sequence[tuple[Card, CardEntry, Path | None]], blobs: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the facts of a model.

    Args:
        cards: Its versions with their entries and the folders of their registries, the newest first; those that were
            withdrawn last.
        blobs: Folders with assets by their digests: stores and mirrors.
    """
    card, entry, _ = cards[0]
    architecture = entry.find_architecture()
    versions = [_version(*one, blobs) for one in cards]
    for at, one in enumerate(versions):  # of cards whose names differ in case only, two may have one version
        if any(one["anchor"] == before["anchor"] for before in versions[:at]):
            one["anchor"] += f"-{at}"
    shared = [key for key in (*FACTS, *TABLES) if all(one[key] == versions[0][key] for one in versions)]
    tasks = [one for _, other, _ in cards for one in words.tasks(other)]
    sets = [
        known or written for _, other, _ in cards for written, known in vocabulary.datasets(other.datasets) if written
    ]
    verified = next((one["verified"] for one in versions if one["verified"] != UNVERIFIED), UNVERIFIED)
    return {
        "name": entry.uid.name,
        "title": card.title or entry.uid.name,
        "href": link_to(page_of(entry.uid)),
        "task": task_of(entry),
        "summary": entry.summary,
        "en": architecture.english if architecture else "",
        "zh": architecture.chinese if architecture else "",
        "architecture": architecture,
        "datasets": list(dict.fromkeys(sets)),
        "verified": verified,
        "updated": card.text("update-time") or "",
        "parameters": versions[0]["elements"] or 0,
        "body": card.body,
        "versions": versions,
        "shared": shared,
        "mindspores": sorted({one for version in versions for one in version["equal"]}, key=words.newness),
        "plots": _plots(versions),
        "facets": {
            "task": list(dict.fromkeys(tasks)),
            "dataset": list(dict.fromkeys(sets)),
            "version": list(dict.fromkeys(other.mindspore for _, other, _ in cards if other.mindspore)),
            "licence": list(dict.fromkeys(other.licence for _, other, _ in cards if other.licence)),
            "verified": [verified],
            "size": [_size_class(versions[0]["elements"])],
            "publisher": [entry.uid.publisher],
        },
        "cards": [finding.of_entry(other) for _, other, _ in cards],
    }


def _size_class(elements: int | None) -> str:
    """Return the number of the class of sizes that a network is in; its name is a text of the catalogue."""
    return _UNKNOWN_SIZE if elements is None else str(bisect_right(_SIZES, elements) + 1)


def _version(card: Card, entry: CardEntry, root: Path | None, blobs: Sequence[Path]) -> dict[str, Any]:
    """Return what a page says about one version."""
    recipe = card.recipe
    answer = recipe.known_answer if recipe is not None else None
    told = overview.of_card(card)
    code = _code(card)
    return {
        "uid": str(entry.uid),
        "version": entry.uid.version,
        "anchor": f"v{entry.uid.version}",
        "status": card.status,
        "score": told.results,
        "results": _results(card, told.datasets),
        "evaluation": "" if told.results else card.text("evaluation") or "",
        "mindspore": entry.mindspore,
        "licence": entry.licence,
        "author": entry.author,
        "datasets": entry.datasets,
        "backbone": entry.backbone,
        "model": entry.model,
        "updated": told.updated,
        "summary": entry.summary,
        "elements": told.elements,
        "inputs": _inputs(card),
        **{key: facts_in_words.line(card.values.get(key, "")) for key in _IN_WORDS},
        "complete": f"{len(facts_in_words.KEYS) - len(told.missing)} / {len(facts_in_words.KEYS)}",
        "missing": told.missing,
        "run": _run(card, entry.uid),
        "recipe": f"{recipe.provider} {recipe.entry}" if recipe is not None else "",
        "answer": known_answer.told_of(answer).partition("; equal on")[0] if answer is not None else "",
        "equal": told.equal_on,
        "verified": told.source or UNVERIFIED,
        "files": [_file(card, asset, root, blobs) for asset in card.assets],
        "code": code,
        "commit": code.get("commit", ""),
        **_use(card, entry.uid),
    }


def _results(card: Card, datasets: Sequence[str]) -> list[dict[str, str]]:
    """Return the results that a card states; `on` is what it was measured on, or else what it was trained on."""
    return [
        {
            "metric": one.metric.name,
            "value": one.metric.value,
            "unit": one.metric.unit,
            "data_set": one.data_set,
            "split": one.split,
            "source": one.source,
            "link": linked(one.source),
            "on": one.data_set or ", ".join(datasets),
        }
        for one in metrics.results(card.values)
    ]


def _plots(versions: Sequence[dict[str, Any]]) -> list[plots.Plot]:
    """Return a plot of each result that differs between the versions of a model."""
    found: dict[tuple[str, str, str], dict[str, tuple[float, str]]] = {}
    for one in reversed(versions):
        for row in one["results"] if one["status"] is None else ():
            if not plots.can_show(float(row["value"])):
                continue
            key = (row["metric"], row["on"], row["split"])
            found.setdefault(key, {}).setdefault(one["version"], (float(row["value"]), f"{row['value']}{row['unit']}"))
    return [
        plots.over_versions(", ".join(filter(None, key)), [(version, *value) for version, value in results.items()])
        for key, results in found.items()
        if len({value for value, _ in results.values()}) > 1
    ][:_MOST_PLOTS]


def _file(card: Card, asset: Asset, root: Path | None, blobs: Sequence[Path]) -> dict[str, Any]:
    """Return what a page says about a file: what its card states, and what can be read where a copy is at hand."""
    path = _copy(card, asset, root, blobs)
    tensors, more = [], 0
    if path is not None and asset.is_weights:
        try:
            header = read_header(path)
        except (CheckpointError, OSError):
            pass  # `hubtool inspect` says what is wrong with it
        else:
            tensors = [(one.name, one.dtype, " × ".join(map(str, one.shape))) for one in header.tensors[:_MOST_TENSORS]]
            more = len(header.tensors) - len(tensors)
    return {
        "name": asset.file_name,
        "format": asset.format,
        "link": linked(asset.link),
        "shown": asset.link,
        "digest": asset.digest.hex if asset.digest else "",
        "size": asset.size or (path.stat().st_size if path is not None else None),
        "tensors": tensors,
        "more": more,
    }


def _copy(card: Card, asset: Asset, root: Path | None, blobs: Sequence[Path]) -> Path | None:
    """Return a copy of an asset: beside the card, within its registry, or by its whole digest."""
    if asset.is_local and root is not None and card.path is not None:
        path = card.path.parent / unquote(asset.link)
        return path if path.is_file() and path.resolve().is_relative_to(root.resolve()) else None
    if asset.digest is None or asset.digest.is_short:
        return None
    places = (folder / layout.blob_name(asset.digest.hex) for folder in blobs)
    return next((path for path in places if path.is_file()), None)


def _inputs(card: Card) -> list[dict[str, str]]:
    """Return the inputs of the network: their shapes and types, and what they mean where the card says it."""
    meanings = card.values.get("inputs")
    said = [one for one in meanings if isinstance(one, dict)] if isinstance(meanings, list) else []
    named = {str(one.get("name")): one for one in said}
    rows = []
    for name, shape, dtype in card.recipe.inputs if card.recipe is not None else ():
        meaning = {key: value for key, value in named.get(name, {}).items() if key != "name"}
        rows.append(
            {
                "name": name,
                "shape": " × ".join(map(str, shape)),
                "dtype": dtype,
                "meaning": facts_in_words.line(meaning) if meaning else "",
            }
        )
    return rows


def _run(card: Card, uid: Uid) -> str:
    """Return the command that runs the model, if the card says enough for that; otherwise an empty text."""
    try:
        use = uses.read(card, str(uid))
    except RecipeError:
        return ""
    return f"hubtool run {uid} {'--text TEXT' if use.task in uses.TEXTS else 'PICTURE'}"


def _use(card: Card, uid: Uid) -> dict[str, Any]:
    """Return how a card is loaded: the arguments of `load`, what the caller gives, and which code needs consent."""
    graph, recipe = choose_graph(card), card.recipe
    arguments, given, decision = [json.dumps(str(uid), ensure_ascii=False)], [], None
    if graph is None and recipe is not None:
        try:
            given = [(one.name, str(one)) for one in caller_arguments(recipe.arguments)]
            if recipe.provider == "package":
                decision = trust.decide_call(recipe, trust.TrustList())
            elif recipe.provider == "repository" and (place := place_of(card)) is not None:
                decision = trust.decide(place.url, trust.TrustList())  # of a user who agreed to nothing yet
                trust.parse_entry(decision.repository)  # else no consent helps
        except (ArgumentError, RecipeError):
            given, decision = [], None  # `hubtool resolve` says why it does not load
    arguments += [f"{name}={name}" for name, _ in given]
    arguments += ["trust=True"] if decision is not None and decision.entry is not None else []
    return {
        "result": "path" if graph is not None and not graph.is_mindir else "network",
        "arguments": ", ".join(arguments),
        "given": given,
        "consent": decision,
    }


def _code(card: Card) -> dict[str, str]:
    """Return where the code of a card is: repository, commit or branch, and folder."""
    link = card.repo_link
    if not link:
        return {}
    try:
        place = parse_repo_link(link)
    except ArgumentError:
        return {"shown": link, "link": "", "repository": "", "commit": "", "folder": ""}
    return {
        "shown": link,
        "link": linked(link),
        "repository": place.url,
        "commit": card.text("repo-revision") or place.revision or "",
        "folder": place.folder,
    }


def linked(text: str) -> str:
    """Return a text if it can be the target of a link, else an empty one: no other scheme than HTTP is followed."""
    return text if _LINK.match(text) else ""
