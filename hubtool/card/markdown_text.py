"""Markdown text for cards that programs write."""

from __future__ import annotations

import re


def escape(text: str) -> str:
    """Return a text in which the characters that Markdown treats as markup are escaped."""
    return re.sub(r"([\[\]<>*_`\\])", r"\\\1", text)


def table(name: str, value: str, rows: list[tuple[str, str]]) -> str:
    """Return a Markdown table of two columns.

    Args:
        name: The heading of the first column.
        value: The heading of the second column.
        rows: The text of both cells of each row; it is escaped here.
    """
    body = [f"| {escape(one).replace('|', '/')} | {escape(other).replace('|', '/')} |" for one, other in rows]
    return "\n".join([f"| {name} | {value} |", "| --- | --- |", *body])
