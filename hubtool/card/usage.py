"""The usage block: the Python code in a card that loads its model. Pure; nothing is run here."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from hubtool.card import markdown, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.document import Document
    from hubtool.card.markdown import CodeBlock, Outline

HEADINGS = frozenset(map(vocabulary.fold, ("Usage", "用法", "使用", "使用方法", "使用说明")))
_PYTHON = frozenset({"python", "py", "python3", "pycon"})
# Further sections on usage are ignored.
_MAX_SECTIONS = 20
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")
_UID = re.compile(r"[^\s/\\]{1,128}(?:/[^\s/\\]{1,128}){2,3}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The code of a card's usage blocks, one below the other.

    Attributes:
        code: The code; each line has the number that it has in the card, those between are blank.
        line: The line of the card at which it begins, from 1.
        adapted: The changes that make it run here, one sentence each.
    """

    code: str
    line: int
    adapted: tuple[str, ...] = ()


def blocks(text: str, outline: Outline) -> Iterator[CodeBlock]:
    """Yield the Python blocks in the sections on usage."""
    sections: list[tuple[int, int]] = []
    headings = outline.headings
    for index, heading in enumerate(headings):
        if len(sections) < _MAX_SECTIONS and vocabulary.fold(heading.text[:80]) in HEADINGS:
            # A section ends where the next heading of its level or a higher one starts.
            later = (other.offset for other in headings[index + 1 :] if other.level <= heading.level)
            sections.append((heading.offset, next(later, len(text))))
    for block in outline.code:
        if block.language in _PYTHON and any(start <= block.offset < end for start, end in sections):
            yield block


def of_document(document: Document) -> Usage | None:
    """Return the usage of a card, or None if it has no usage block."""
    text = document.text
    lines: list[str] = []
    first = 0
    for block in blocks(text, markdown.outline(text, document.body_offset)):
        line = text.count("\n", 0, block.start) + 1
        first = first or line
        code = textwrap.dedent(text[block.start : block.end].replace("\r\n", "\n"))
        lines += [""] * (line - 1 - len(lines))
        lines += _without_prompts(code).split("\n")
        if lines and not lines[-1]:
            lines.pop()
    return Usage(code="\n".join(lines) + "\n", line=first) if first else None


def _without_prompts(code: str) -> str:
    """Return code that was written with prompts as a program, without the printed output."""
    if not code.lstrip().startswith(">>>"):
        return code
    return "\n".join(line[4:] if _PROMPT.match(line) else "" for line in code.split("\n"))


def for_device(usage: Usage, device: str) -> Usage:
    """Return usage with another device in place of the one in the code.

    The device is the text given as ``device_target=``, or to ``set_device``; other ways to name a device stay as they
    are.
    """
    found: list[ast.Constant] = []
    for node in _walk(usage.code):
        if isinstance(node, ast.Call):
            found += [word.value for word in node.keywords if word.arg == "device_target" and _is_text(word.value)]
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "set_device" and node.args and _is_text(node.args[0]):
                found.append(node.args[0])
        elif isinstance(node, ast.Assign) and _is_text(node.value) and "device_target" in _names(node):
            found.append(node.value)
    others = [node for node in found if node.value != device]
    if not others:
        return usage
    lines = usage.code.encode("utf-8").split(b"\n")
    for node in sorted(others, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        if node.end_lineno == node.lineno and node.end_col_offset is not None:
            line = lines[node.lineno - 1]  # columns count bytes
            lines[node.lineno - 1] = line[: node.col_offset] + repr(device).encode() + line[node.end_col_offset :]
    written = sorted({str(node.value) for node in others})
    note = f"the device is {device}, where the card says {', '.join(written)}"
    return Usage(code=b"\n".join(lines).decode("utf-8"), line=usage.line, adapted=(*usage.adapted, note))


def uids(usage: Usage) -> tuple[str, ...]:
    """Return the texts in usage that look like UIDs, each once, in order."""
    texts = (str(node.value) for node in _walk(usage.code) if isinstance(node, ast.expr) and _is_text(node))
    return tuple(dict.fromkeys(text for text in texts if _UID.match(text)))


def _walk(code: str) -> Iterator[ast.AST]:
    try:
        with warnings.catch_warnings():
            # The parser warns about '\d' in a string, which is not an error.
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # running it gives the error
    yield from ast.walk(tree)


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
