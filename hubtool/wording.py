"""Small pieces of text that several messages need."""

from __future__ import annotations


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with what it counts, such as ``1 file`` or ``2,906 cards``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
