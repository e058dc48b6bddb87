"""Builds the catalogue: beside its folder, which is then swapped as a whole."""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hubtool import parallel, wording
from hubtool.card import architectures
from hubtool.catalogue import facts, finding
from hubtool.errors import ArgumentError, HubError
from hubtool.publish import page
from hubtool.registry import words
from hubtool.registry.entry import CardEntry
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
_OLD = f"{_PART}-old"
_MADE_BY = "hubtool catalogue build"
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
        ArgumentError: If the folder holds anything else, cannot be replaced, or cannot be made.
        OSError: If it cannot be written.
    """
    shown = folder
    try:
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        _restore(folder)
        _check(folder)
        _remove_left(folder)
        part = folder.with_name(f"{_beginning(folder)}{secrets.token_hex(4)}{_PART}")
        part.mkdir(0o700 if folder.exists() else 0o777)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise ArgumentError(
            f"the catalogue cannot be built in {shown}: {getattr(error, 'strerror', None) or error}",
            hint="give a folder in a folder that you can write; the new catalogue is built beside it",
        ) from error
    try:
        report = _write(registries, part, folder)
        _check(folder)
        if folder.exists():
            part.chmod(stat.S_IMODE(folder.stat().st_mode))
        _swap(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return report


def _check(folder: Path) -> None:
    """Raise an error unless a folder may be replaced."""
    if not os.path.lexists(folder):
        return
    hint = "give a new or an empty folder, or one that 'hubtool catalogue build' made"
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder", hint="give the folder that the catalogue goes into")
    if _is_mount(folder):
        raise ArgumentError(
            f"{folder} is a mount point, which cannot be replaced as a whole",
            hint="give a folder in it, such as DIR/site",
        )
    if Path.cwd().is_relative_to(folder):
        raise ArgumentError(
            f"{folder} holds the working folder, and is replaced as a whole", hint="change to another folder first"
        )
    files = _files_of(folder)
    if files is None and any(folder.iterdir()):
        raise ArgumentError(f"{folder} is not empty, and holds no catalogue", hint=hint)
    ours = {name for file in files or () for name in (file, *map(str, PurePosixPath(file).parents))}
    inside = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    if others := sorted(name for name, path in inside.items() if name not in ours or path.is_symlink()):
        raise ArgumentError(
            f"{folder} holds what hubtool did not make: {', '.join(others[:5])}", hint=f"move that elsewhere, or {hint}"
        )


def _is_mount(folder: Path) -> bool:
    if os.path.ismount(folder):
        return True
    escaped = re.sub(r"[\\ \t\n]", lambda sign: f"\\{ord(sign[0]):03o}", str(folder))
    try:  # a folder that is mounted within its own file system, as containers do, is listed here only
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    return any(line.split(" ")[4] == escaped for line in lines)


def _files_of(folder: Path) -> list[str] | None:
    """Return the files that a catalogue was built with; None if the folder is no catalogue."""
    try:
        value = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("made-by") != _MADE_BY or not isinstance(value.get("files"), list):
        return None
    return [str(name) for name in value["files"]]


def _beginning(folder: Path) -> str:
    """Return what the names of a folder's parts begin with; a long name would leave no room for the rest."""
    return f".{facts.file_part(folder.name)}."


def _left(folder: Path, ending: str) -> Iterator[Path]:
    """Yield the parts that builds left beside a folder: known by their names, and by holding nothing else."""
    name = re.compile(f"{re.escape(_beginning(folder))}[0-9a-f]{{8}}{re.escape(ending)}")
    for path in sorted(folder.parent.iterdir()):
        if name.fullmatch(path.name) and not path.is_symlink() and path.is_dir():
            with suppress(OSError):
                if {one.name for one in path.iterdir()} <= _OURS:
                    yield path


def _restore(folder: Path) -> None:
    """Put the old catalogue back if a build was killed between its two renames."""
    for old in _left(folder, _OLD):
        if not os.path.lexists(folder):
            old.rename(folder)


def _remove_left(folder: Path) -> None:
    """Remove what killed builds left beside the folder."""
    for path in _left(folder, _PART):
        with suppress(OSError):  # it may be the part of a build that runs now
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                shutil.rmtree(path)
    if folder.exists():  # then the build has made its second rename
        for path in _left(folder, _OLD):
            shutil.rmtree(path, ignore_errors=True)


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
    groups: dict[str, list[Uid]] = {}
    for uid in registries.uids():
        groups.setdefault(words.model_key(uid), []).append(uid)

    def work(uids: list[Uid]) -> tuple[dict[str, Any] | None, list[str]]:
        return _model(registries, uids, part)

    keys = sorted(groups)
    done = list(parallel.run(work, [groups[key] for key in keys], jobs=parallel.cores()))
    models = [model for model, _ in done if model is not None]
    shutil.copytree(_HERE / "assets", part / "assets")
    shown = {key: text for key, text in _texts().items() if key.startswith(("js_", "verified_", "size_"))}
    (part / "assets" / "facts.js").write_text(_shown(finding.shard(models, shown)), encoding="utf-8")
    cards = sum(len(one["cards"]) for one in models)
    for language in LANGUAGES:
        _page(part, "index.html", language, "index.html", models=models, cards=cards)
    names = sorted([MARKER, *(path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file())])
    marker = {"made-by": _MADE_BY, "hubtool": __version__, "files": names}
    (part / MARKER).write_text(json.dumps(marker, indent=0) + "\n", encoding="utf-8")
    return CatalogueReport(
        folder=folder,
        models=len(models),
        cards=cards,
        files=len(names),
        size=sum((part / name).stat().st_size for name in names),
        left_out=tuple(why for _, problems in done for why in problems),
    )


def _model(registries: Registries, uids: Sequence[Uid], part: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Write the pages of a model; return what the list says about it, and which cards could not be read."""
    cards: list[tuple[Card, CardEntry]] = []
    problems = []
    for uid in uids:
        try:
            card, registry = registries.read(uid)
            cards.append((card, CardEntry.of_card(card, uid, registry.digest(uid) or "")))
        except (HubError, OSError) as error:  # noqa: PERF203 - most cards can be read
            problems.append(f"{uid}: {error.message if isinstance(error, HubError) else error}")
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
    environment.filters["size"] = wording.size
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Return a value with signs that are not printable as spaces: some turn the direction of the text around them."""
    if type(value) is not str or value.isprintable():  # text that is marked as HTML is another type
        return value
    return "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in value)
