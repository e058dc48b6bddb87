"""What a sync of a registry changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a sync changed; each attribute is a sorted list of UIDs.

    Attributes:
        added: New cards.
        texts: Cards of which only the text changed, or the status in a way not listed below.
        accepted: Cards that now load or run something else, which the user accepted.
        refused: Cards that would load or run something else; the earlier cards stay in use.
        withdrawn: Cards that were withdrawn.
        gone: Cards that the registry no longer has.
        back: Cards that were withdrawn or gone and are back.
    """

    added: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    back: tuple[str, ...] = ()

    def as_json(self) -> dict[str, list[str]]:
        """Return the members that ``hubtool registry sync --json`` prints."""
        return {key: list(getattr(self, key)) for key in self.__slots__}
