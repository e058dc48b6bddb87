"""Expected output, as the README and the pages write it."""

from __future__ import annotations

import re


def pattern(expected: str) -> re.Pattern[str]:
    """Return what an expected output matches: ``...`` is anything within a line, a line ``...`` any lines."""
    lines = (
        "(?:.*\n)*?" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", ".*") + "\n"
        for line in expected.strip("\n").splitlines()
    )
    return re.compile("".join(lines) + r"\Z")
