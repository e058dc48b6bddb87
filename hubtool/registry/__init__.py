"""Registries: sets of cards, and where they come from.

Several registries are asked in order; the first that has a card decides.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import CardNotFoundError, SettingsError
from hubtool.registry.folder import FolderRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.uid import Uid


@dataclass(frozen=True, slots=True)
class Registries:
    """Registries in the order in which they are asked."""

    members: tuple[FolderRegistry, ...]

    @classmethod
    def of_folders(cls, folders: tuple[Path, ...]) -> Registries:
        """Open registry folders.

        Raises:
            SettingsError: If one of them is not a folder.
        """
        for folder in folders:
            if not folder.is_dir():
                raise SettingsError(
                    f"the registry {folder} is not a folder",
                    hint="see 'hubtool settings' for where the path comes from",
                )
        return cls(tuple(FolderRegistry(folder) for folder in folders))

    def read(self, uid: Uid) -> tuple[Card, FolderRegistry]:
        """Read a card from the first registry that has it; return it with that registry.

        Raises:
            CardNotFoundError: If none has it; the error holds close matches.
            CardError: If the card cannot be read.
        """
        for member in self.members:
            card = member.read(uid)
            if card is not None:
                return card, member
        matches = self.close_matches(uid)
        where = ", ".join(str(member.root) for member in self.members)
        raise CardNotFoundError(
            f"no card has the UID {uid} (looked in {where})",
            matches=matches,
            hint=f"did you mean {' or '.join(matches)}?" if matches else None,
        )

    def uids(self) -> Iterator[Uid]:
        """Yield every UID once, in the order of the registries."""
        seen = set()
        for member in self.members:
            for uid in member.uids():
                if uid not in seen:
                    seen.add(uid)
                    yield uid

    def close_matches(self, uid: Uid, count: int = 3) -> tuple[str, ...]:
        """Return the UIDs that are closest to one that does not exist, best first."""
        asked = str(uid).lower()
        by_lower = {str(known).lower(): str(known) for known in self.uids()}
        found = difflib.get_close_matches(asked, by_lower, n=count, cutoff=0.6)
        # The same model under another version or publisher is close, however different the rest is.
        same_name = [text for lower, text in by_lower.items() if lower.rpartition("/")[2] == uid.name.lower()]
        best = [*(by_lower[lower] for lower in found), *same_name]
        return tuple(dict.fromkeys(best))[:count]
