"""Writing changed cards back, and showing what changes."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
import tempfile
from typing import TYPE_CHECKING, Any, Final

from hubtool.card import yaml_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONTEXT_LINES = 3
_TOP: Final = re.compile(r"[^\s#-][^:]*:")
_RECIPE_KEYS: Final = ("network", "repo-revision")
_LAST_KEYS: Final = (*yaml_text.ORDER_OF_FACTS, "network", *yaml_text.ORDER_END)
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")


def write_back(path: Path, data: bytes, status: os.stat_result, *, root: Path | None) -> str | None:
    """Replace the file of a card, or the target of a symbolic link within a folder; return what went wrong, or None.

    Args:
        path: The card.
        data: The new bytes.
        status: The status that it had when its bytes were read.
        root: The folder that was given, or None if the card itself was.
    """
    target = path.resolve()
    if root is not None and not target.is_relative_to(root.resolve()):
        return "it is a link that leads out of the folder; name the file itself"
    return replace_file(target, data, status)


def replace_file(target: Path, data: bytes, status: os.stat_result) -> str | None:
    """Replace a file's bytes, all or nothing, and keep its mode; return what went wrong, or None.

    Args:
        target: The file itself, not a link to it.
        data: The new bytes.
        status: The status that it had when its bytes were read: one that was changed since is left alone.
    """
    temporary: str | None = None
    try:
        if not os.access(target, os.W_OK):
            return "it may not be written"
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".tmp")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, stat.S_IMODE(status.st_mode))  # noqa: PTH101 - the name came as text
        now = target.stat()
        if (now.st_size, now.st_mtime_ns, now.st_ino) != (status.st_size, status.st_mtime_ns, status.st_ino):
            return "it was changed in the meantime; run it again"
        os.replace(temporary, target)  # noqa: PTH105 - as above
        temporary = None
    except OSError as error:
        return f"it cannot be written: {error.strerror or error}"
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - as above
    return None


def unified_diff(before: bytes, after: bytes, name: str) -> bytes:
    """Return a unified diff of a card's bytes."""
    old, new = _LINES.findall(before), _LINES.findall(after)
    # Comparing long texts is slow, and their ends are mostly the same: only the lines that are shown are compared.
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    cut = max(same - _CONTEXT_LINES, 0)
    bare = name.lstrip("/").encode(errors="backslashreplace")
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        old[: len(old) - cut],
        new[: len(new) - cut],
        b"a/" + bare,
        b"b/" + bare,
        n=_CONTEXT_LINES,
        lineterm=b"\n",
    )
    return b"".join(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)


def with_recipe(text: str, recipe: Mapping[str, Any], revision: str | None) -> str:
    """Return a card's text with a recipe and a ``repo-revision``, in place of those that it had.

    They are put before ``license``, or at the end of the front matter; every other line stays as it is.

    Raises:
        ValueError: If the text has no front matter between two lines of ``---``.
    """
    lines = text.splitlines(keepends=True)
    before, kept, after = _without(lines, _RECIPE_KEYS)
    kept = _inserted(kept, yaml_text.dump_recipe(_plain(recipe)), ("license",), _newline(lines))
    if revision is not None:
        entry = f"repo-revision: {yaml_text.scalar(revision)}"
        kept = _inserted(kept, entry, _LAST_KEYS, _newline(lines))
    return "".join([*before, *kept, *after])


def with_facts(text: str, facts: Mapping[str, Any]) -> str:
    """Return a card's text with the facts about using its network, in place of those that it had of the same keys.

    They are put before ``network``, in their order; every other line stays as it is.

    Args:
        text: The card.
        facts: Values of :data:`hubtool.card.yaml_text.ORDER_OF_FACTS`, or ``summary``, by their keys; None takes one
            out.

    Raises:
        ValueError: If the text has no front matter between two lines of ``---``.
    """
    lines = text.splitlines(keepends=True)
    before, kept, after = _without(lines, tuple(facts))
    order = (*yaml_text.ORDER_OF_FACTS, "network", *yaml_text.ORDER_END)
    for key in order:
        value = facts.get(key)
        if value is None:
            continue
        entry = (
            f"{key}: {yaml_text.scalar(value)}" if isinstance(value, str) else yaml_text.dump_fact(key, _plain(value))
        )
        kept = _inserted(kept, entry, order[order.index(key) + 1 :], _newline(lines))
    return "".join([*before, *kept, *after])


def without_recipe(text: str) -> str:
    """Return a card's text without a recipe and a ``repo-revision``; every other line stays as it is.

    Raises:
        ValueError: If the text has no front matter between two lines of ``---``.
    """
    lines = text.splitlines(keepends=True)
    before, kept, after = _without(lines, _RECIPE_KEYS)
    return "".join([*before, *kept, *after])


def _newline(lines: list[str]) -> str:
    return "\r\n" if lines[0].endswith("\r\n") else "\n"


def _inserted(kept: list[str], entry: str, before: tuple[str, ...], newline: str) -> list[str]:
    """Return the lines of entries with one more, before the first of some keys, or at the end."""
    where = next(
        (index for index, line in enumerate(kept) if line.startswith(tuple(f"{key}:" for key in before))), len(kept)
    )
    while where == len(kept) and where and not kept[where - 1].strip():
        where -= 1
    return [*kept[:where], *(line + newline for line in entry.splitlines()), *kept[where:]]


def _without(lines: list[str], keys: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """Return the lines before the front matter's entries, these entries without some, and the lines after."""
    rules = [index for index, line in enumerate(lines) if line.rstrip() == "---"]
    if len(rules) < 2:
        raise ValueError("the card has no front matter between two lines of '---'")
    kept: list[str] = []
    blank: list[str] = []  # behind an entry that is dropped: they stay if it was the last
    dropping = False
    for line in lines[rules[0] + 1 : rules[1]]:
        if _TOP.match(line):
            dropping, blank = line.partition(":")[0].strip() in keys, []
        if not dropping:
            kept.append(line)
        elif not line.strip():
            blank.append(line)
    return lines[: rules[0] + 1], [*kept, *blank], lines[rules[1] :]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any plain value
    """Return a value with plain containers only, as PyYAML's safe dumper wants it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
