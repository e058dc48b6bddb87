"""The selection of findings: by code, and by the folder of a card."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import settings
from hubtool.card import rules
from hubtool.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The codes, or beginnings of codes such as ``HT2``, to report.

    Attributes:
        select: Codes to report; empty for all.
        ignore: Codes not to report, even if they are selected.
        folders: Absolute folders, and the codes not to report for cards below them.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    folders: tuple[tuple[Path, tuple[str, ...]], ...] = ()
    _known: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def codes(self, folder: str) -> frozenset[str] | None:
        """Return the codes to report for the cards in a folder, or None for all codes."""
        if not self.select and not self.ignore and not self.folders:
            return None
        found = self._known.get(folder)
        if found is None:
            ignore = list(self.ignore)
            # Links are followed, as they are for the folders of the settings.
            absolute = os.path.realpath(folder)
            for below, codes in self.folders:
                if absolute == str(below) or absolute.startswith(f"{below}{os.sep}"):
                    ignore.extend(codes)
            found = frozenset(
                code
                for code in rules.load()
                if (not self.select or code.startswith(self.select)) and not (ignore and code.startswith(tuple(ignore)))
            )
            self._known[folder] = found
        return found


def check_codes(codes: Iterable[str], origin: str) -> tuple[str, ...]:
    """Return codes and beginnings of codes in upper case.

    Raises:
        ArgumentError: If no rule has one of them; the message names its origin.
    """
    found = tuple(code.strip().upper() for code in codes if code.strip())
    for code in found:
        if not any(known.startswith(code) for known in rules.load()):
            raise ArgumentError(f"{origin}: no rule has the code {code[:40]!r}", hint="'hubtool rule' lists the rules")
    return found


def for_folders(targets: Iterable[Path], *, all_of: bool) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    """Return the codes that the settings ignore, by folder: for each target, those of the nearest ``hubtool.toml``.

    Args:
        targets: The cards, and folders of cards, that are checked.
        all_of: Whether the codes were selected elsewhere; then only the settings for single folders count.

    Raises:
        SettingsError: If a settings file cannot be used.
        ArgumentError: If one names a code that no rule has.
    """
    found: dict[tuple[Path, tuple[str, ...]], None] = {}
    for target in targets:
        folder = Path(os.path.realpath(target if os.path.isdir(target) else os.path.dirname(target)))
        current = settings.load(cwd=folder)
        origin = current.origins["validate"]
        if not all_of:
            select = check_codes(current.validate.select, origin)
            codes = list(check_codes(current.validate.ignore, origin))
            if select:
                codes.extend(code for code in rules.load() if not code.startswith(select))
            if codes:
                found[folder, tuple(codes)] = None
        for below, ignored in current.validate.folders:
            found[below, check_codes(ignored, origin)] = None
    return tuple(found)
