"""Small pieces of text that several messages need."""

from __future__ import annotations


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with what it counts, such as ``1 file`` or ``2,906 cards``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(number: int) -> str:
    """Return a number of bytes for people, such as ``404.1 MiB``."""
    if number < 1024:
        return "1 byte" if number == 1 else f"{number} bytes"
    units = ("KiB", "MiB", "GiB", "TiB")
    power = min((number.bit_length() - 1) // 10, len(units))
    return f"{number / 1024**power:.1f} {units[power - 1]}"
