"""Placeholders in an unfinished card: for text that its author must write, and for links to unpublished files."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MARK = "FILL IN"
"""The start of a placeholder, which ``hubtool new`` writes."""

UNPUBLISHED_HOST = "unpublished.invalid"
"""The host of links to files that are not published yet; '.invalid' is a domain that never exists (RFC 2606)."""

PLACEHOLDER_RULE = "HT114"
UNPUBLISHED_RULE = "HT315"

PATTERN = re.compile(rf"\b{MARK}\b(?: \([^()\n]{{0,200}}\))?")


def mark(what: str) -> str:
    """Return the placeholder for a text, such as ``FILL IN (who made the model)``."""
    return f"{MARK} ({what})"


def unpublished(file_name: str) -> str:
    """Return the link of a file that is not published yet."""
    return f"https://{UNPUBLISHED_HOST}/{file_name}"


def not_published(file_name: str) -> str:
    """Return a message that a file is not published yet, and which rule finds its link."""
    return f"{file_name} is not published yet ({UNPUBLISHED_RULE})"


def is_unpublished(link: str) -> bool:
    """Whether a link belongs to a file that is not published yet."""
    if UNPUBLISHED_HOST not in link:
        return False
    try:
        return urlsplit(link.strip().strip("<>")).hostname == UNPUBLISHED_HOST
    except ValueError:
        return False
