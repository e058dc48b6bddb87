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


def printable(text: str) -> str:
    r"""Return a text as one line for people; what is not printable, which could steer a terminal, is spelled out.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def short_number(number: int) -> str:
    """Return a count of many for people, with three digits.

    >>> short_number(25_612_201), short_number(61_706), short_number(999)
    ('25.6 M', '61.7 k', '999')
    """
    for unit, step in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= step:
            return f"{number / step:.3g} {unit}" if number < 999.5 * step else f"{round(number / step):,} {unit}"
    return str(number)
