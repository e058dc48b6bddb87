"""Formatting the files of cards: each is replaced as a whole, or left as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.card.files import find_cards, read_card_file
from hubtool.card.format import format_card
from hubtool.card.rewrite import unified_diff, write_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedFile:
    """One card after formatting.

    Attributes:
        path: The card.
        changed: Whether its bytes differ from the standard layout.
        problem: Why it cannot be formatted or written, or None.
        diff: The changes as a unified diff of the card's bytes; empty unless it was asked for.
    """

    path: str
    changed: bool = False
    problem: str | None = None
    diff: bytes = b""


def format_paths(paths: Iterable[Path], *, write: bool, show: bool = False) -> Iterator[FormattedFile]:
    """Format the cards that paths name, and yield the outcome of each.

    Args:
        paths: Cards, and folders of cards.
        write: Whether to write the files.
        show: Whether to return a diff.

    Raises:
        ArgumentError: If a path does not exist.
    """
    for found in find_cards(paths):
        yield _format(Path(found.path), Path(found.root) if found.root else None, write=write, show=show)


def _format(path: Path, root: Path | None, *, write: bool, show: bool) -> FormattedFile:
    try:
        status, data = read_card_file(str(path))
    except OSError as error:
        return FormattedFile(path=str(path), problem=f"it cannot be read: {error.strerror or error}")
    done = format_card(data)
    if done.problem is not None or done.data == data:
        return FormattedFile(path=str(path), problem=done.problem)
    problem = write_back(path, done.data, status, root=root) if write else None
    shown = unified_diff(data, done.data, path.as_posix()) if show else b""
    return FormattedFile(path=str(path), changed=True, problem=problem, diff=shown)
