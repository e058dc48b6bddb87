"""The files and cards that a card refers to: used by HT314, HT318, HT404 and HT505."""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hubtool import mismatch
from hubtool.card.rules.base import shown
from hubtool.digest import Digest, digest_file
from hubtool.errors import InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.finding import CardSummary
    from hubtool.diagnostics import Diagnostic

# Without a stated size, only small files are hashed, such as git-lfs pointers and texts. Loading checks all digests.
_MAX_HASHED_BYTES = 1 << 20


def missing_files(cards: Sequence[CardSummary], *, assets: bool) -> Iterator[Diagnostic]:
    """Yield problems for relative links without a file: either those of assets, or all others."""
    for card in cards:
        for target, place in card.relative:
            if place.pointer.endswith("/asset-link") != assets:
                continue
            problem = _problem(card.path, card.uid, target)
            if problem:
                what = "the asset" if assets else "the link"
                yield card.at(
                    place,
                    f"{what} {shown(target, 200)} {problem}",
                    hint="put the file there, or correct the path" if assets else "write the whole URL",
                )


def other_files(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """Yield problems for assets beside cards whose size or content differs from the card."""
    for card in cards:
        for link, digest, size, place in card.assets:
            if ":" in link.partition("/")[0] or _problem(card.path, card.uid, link):
                continue  # a URL; or HT314 reports it
            path = Path(card.path).parent / unquote(link)
            try:
                status = path.stat()
                if not stat.S_ISREG(status.st_mode) or (size is not None and status.st_size == size):
                    continue
                if size is None and status.st_size > _MAX_HASHED_BYTES:
                    continue
                if size is None and digest and digest_file(path).startswith(digest):
                    continue
            except OSError:
                continue
            found = mismatch.explain(path, Digest(digest) if digest else None, size)
            if found is not None:
                message = f"the asset {shown(link, 200)} is {found.what}"
                yield card.at(place, message, hint=found.hint)


def is_beside(path: str, uid: Uid, other: str) -> bool:
    """Whether the registry that contains a card also has the card of another UID."""
    try:
        wanted = Uid.parse(other)
    except InvalidNameError:
        return True  # HT218 reports it
    root = Path(path).absolute().parents[str(uid).count("/")]
    return os.path.lexists(root / wanted.path)


def _problem(path: str, uid: Uid | None, target: str) -> str | None:
    relative = unquote(target)
    if "\0" in relative or len(relative) > 1024:
        return "is not a path"
    if relative.startswith(("/", "\\")):
        return "starts at a root that a registry does not have"
    normal = posixpath.normpath(relative)
    # The registry's root is one step up for each part of the UID except the name; without a UID it is unknown.
    if uid is not None and normal.split("/").count("..") > str(uid).count("/"):
        return "leads out of the registry"
    return None if os.path.lexists(Path(path).parent / normal) else "leads to no file"
