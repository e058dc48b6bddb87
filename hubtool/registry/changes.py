"""What a sync of a registry found of the cards that were known before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a sync found of the cards that were known before; each is a sorted list of UIDs.

    Attributes:
        added: Cards that were not known.
        texts: Cards of which only the text changed, or the status in another way than below.
        accepted: Cards that load or run something else now, which the user accepted.
        refused: Cards that load or run something else now; the ones that were known before stay in use.
        withdrawn: Cards that were withdrawn.
        gone: Cards that the registry no longer has.
        back: Cards that were withdrawn or gone, and are there again.
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
