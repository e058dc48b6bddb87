"""Mending cards: the edits that rules propose, applied, and written back so that nothing is ever half done."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import os
import re
import stat
import tempfile
from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import files as card_files
from hubtool.card import front_matter as front_matters
from hubtool.card.validate import check as checks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from hubtool.card.document import Edit, Fix
    from hubtool.uid import Uid

# What one mending makes readable may need the next: a translated card takes three rounds.
_MOST_ROUNDS = 10
_CONTEXT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one card.

    Attributes:
        path: The card.
        mended: How many findings were mended, by code.
        problem: Why it could not be written, or None.
        diff: What was changed, as a unified diff in the card's own bytes; empty unless it was asked for.
    """

    path: str
    mended: Mapping[str, int]
    problem: str | None = None
    diff: bytes = b""


def fix_bytes(
    data: bytes, *, uid: Uid | None, hosts: frozenset[str], wanted: Collection[str] | None
) -> tuple[bytes, Counter[str]]:
    """Mend a card.

    Only the front matter is ever changed, and of it only what a finding names. What is returned needs no mending.

    Args:
        data: The card's bytes; any bytes.
        uid: The UID that its path gives, or None.
        hosts: The hosts that assets may come from.
        wanted: The codes of the findings to mend, or None for all.

    Returns:
        The bytes of the mended card, and how many findings were mended, by code.
    """
    mended: Counter[str] = Counter()
    for _ in range(_MOST_ROUNDS):
        document, fixes = checks.fixes(data, uid=uid, hosts=hosts, wanted=wanted)
        if not fixes:
            break
        text, applied = apply(document.text, fixes)
        changed = (codecs.BOM_UTF8 if document.bom else b"") + text.encode("utf-8")
        if _has_entries(data) and not _has_entries(changed):
            break  # a mended line can break YAML elsewhere, such as by a second anchor of one name
        data = changed
        mended.update(applied)
    return data, mended


def _has_entries(data: bytes) -> bool:
    front_matter = documents.parse(data).front_matter
    return front_matter is not None and bool(front_matters.read(front_matter, 0).entries)


def apply(text: str, fixes: Iterable[tuple[str, Fix]]) -> tuple[str, Counter[str]]:
    """Apply fixes to a text; of those that overlap or touch, the first. Return it with what was mended, by code."""
    chosen: list[Edit] = []  # in order, and apart
    applied: Counter[str] = Counter()
    for code, fix in sorted(fixes, key=lambda pair: (pair[1].edits[0].start, pair[0])):
        if all(_is_free(edit, chosen) for edit in fix.edits):
            for edit in fix.edits:
                insort(chosen, edit, key=_start)
            applied[code] += 1
    parts: list[str] = []
    at = 0
    for edit in chosen:
        parts += text[at : edit.start], edit.text
        at = edit.end
    return "".join([*parts, text[at:]]), applied


def _start(edit: Edit) -> int:
    return edit.start


def _is_free(edit: Edit, chosen: list[Edit]) -> bool:
    place = bisect_right(chosen, edit.start, key=_start)
    return (place == 0 or chosen[place - 1].end < edit.start) and (
        place == len(chosen) or edit.end < chosen[place].start
    )


def fix_file(
    path: Path,
    *,
    root: Path | None,
    uid: Uid | None,
    hosts: frozenset[str],
    wanted: Collection[str] | None,
    write: bool,
    show: bool = False,
) -> Outcome | None:
    """Mend a card in a file; return what became of it, or None if there is nothing to mend.

    The file is replaced as a whole, or left as it is. It keeps its mode. Of a symbolic link the file that it leads to
    is mended, if that is below the folder that was asked for.

    Args:
        path: The card.
        root: The folder that was asked for, or None if the card itself was.
        uid: The UID that its path gives, or None.
        hosts: The hosts that assets may come from.
        wanted: The codes of the findings to mend, or None for all.
        write: Whether to write the file.
        show: Whether to return what changes as a diff.
    """
    try:
        status, data = card_files.read_card_file(str(path))
    except OSError:
        return None  # the check reports it
    after, mended = fix_bytes(data, uid=uid, hosts=hosts, wanted=wanted)
    if after == data:
        return None
    problem = None
    if write:
        target = path.resolve()
        if root is not None and not target.is_relative_to(root.resolve()):
            problem = "it is a link that leads out of the folder; mend the file itself"
        else:
            problem = replace_file(target, after, status)
    shown = diff(data, after, path.as_posix()) if show else b""
    return Outcome(path=str(path), mended=mended, problem=problem, diff=shown)


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


def diff(before: bytes, after: bytes, name: str) -> bytes:
    """Return what changed in a card as a unified diff, in the card's own bytes."""
    old, new = _LINES.findall(before), _LINES.findall(after)
    # Comparing long texts takes long, and the bodies are the same: only what is shown of them is compared.
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    cut = max(same - _CONTEXT, 0)
    bare = name.lstrip("/").encode(errors="backslashreplace")
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        old[: len(old) - cut],
        new[: len(new) - cut],
        b"a/" + bare,
        b"b/" + bare,
        n=_CONTEXT,
        lineterm=b"\n",
    )
    return b"".join(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)


_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
