"""The error message for a folder without cards: a check of nothing must not look like a successful check."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import foreign
from hubtool.card import front_matter as front_matters
from hubtool.errors import InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYOUT = "cards are <publisher>/<version>/<name>.md"
# In a large folder, further files hardly tell more.
_MAX_LISTED_FILES = 5_000


def explain(folder: Path) -> tuple[str, str]:
    """Return what is wrong with a folder that has no card, and what to do."""
    found = _markdown(folder)
    readmes = [path for path in found if path.name.lower() == "readme.md"]
    where = f"no card in {folder}"
    for path in readmes:
        whose = hub_of_file(path)
        if whose is not None:
            inside = path.relative_to(folder).as_posix()
            return (
                f"{where} ({inside} is a {whose} model card)",
                f"hubtool's {LAYOUT}; `hubtool new` writes one",
            )
    if readmes:
        where += f" ({readmes[0].relative_to(folder).as_posix()} is not a card)"
    inner = subfolder(path.relative_to(folder).as_posix() for path in found)
    if inner:
        return where, f"the cards are in {folder / inner}: give that folder"
    above = folder.absolute().parent
    if any(_is_uid(f"{folder.absolute().name}/{path.relative_to(folder).as_posix()}") for path in found):
        return where, f"this is the folder of one publisher: give {above}"
    return where, f"look at the path: {LAYOUT}"


def hub_of_file(path: Path) -> str | None:
    """Return the hub that a README.md is a model card of, ``Hugging Face`` or ``ModelScope``, or None."""
    try:
        with path.open("rb") as stream:
            document = documents.parse(stream.read(documents.MAX_BYTES + 1))
    except OSError:
        return None
    if document.front_matter is None:
        return None
    return foreign.hub_of(front_matters.read(document.front_matter, document.front_matter_offset))


def subfolder(files: Iterable[str]) -> str:
    """Return the folder below which files would be cards; empty if it is the top, or there is none."""
    for name in files:
        parts = PurePosixPath(name).parts
        if len(parts) > 3 and _is_uid("/".join(parts[-3:])):
            return "/".join(parts[:-3])
    return ""


def _is_uid(name: str) -> bool:
    try:
        return Uid.of_path(PurePosixPath(name)).backend is None
    except InvalidNameError:
        return False


def _markdown(folder: Path) -> list[Path]:
    found: list[Path] = []
    listed = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        listed += len(folders) + len(files)
        found += [Path(place, name) for name in sorted(files) if name.endswith(".md")]
        if listed > _MAX_LISTED_FILES:
            break
    return found
