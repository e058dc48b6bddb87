"""HT4xx: the body."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from typing import TYPE_CHECKING

from hubtool.card import usage, vocabulary
from hubtool.card.finding import Finding
from hubtool.card.rules.base import rule, shown
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.markdown import CodeBlock
    from hubtool.card.rules.context import Context

_INTRODUCTION = frozenset(map(vocabulary.fold, ("Introduction", "简介", "介绍", "模型简介", "概述")))
# Longer code does not just load a model, and Python's parser takes memory of a thousand times its length.
_MAX_CODE_CHARACTERS = 16 << 10
_QUOTED = re.compile(r"(?P<quote>[\"'])(?P<text>[^\"'\s/\\]{1,128}(?:/[^\"'\s/\\]{1,128}){2,3})(?P=quote)")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+\Z")


def _usage(context: Context) -> Iterator[CodeBlock]:
    return usage.blocks(context.document.text, context.outline)


@rule("HT401", Severity.WARNING)
def no_usage_block(context: Context) -> Iterator[Finding]:
    """The section Usage has a block of Python code.

    Most readers look for it: code that loads the model, ready to copy. Write a fenced block that starts with three
    backticks and `python`, and loads the card by its UID. A missing section is HT406.
    """
    if context.front_matter is None:
        return
    headings = [heading for heading in context.outline.headings if vocabulary.fold(heading.text[:80]) in usage.HEADINGS]
    if headings and next(_usage(context), None) is None:
        yield Finding(
            offset=headings[0].offset,
            end=headings[0].end,
            message="the section has no block of Python code",
            hint="add a block that starts with ```python and loads the card by its UID",
        )


@rule("HT402", Severity.ERROR)
def usage_not_python(context: Context) -> Iterator[Finding]:
    """The usage block is valid Python.

    Readers copy it. hubtool parses the block, and never runs it; blocks with prompts (`>>>`) are skipped. The message
    is that of Python's parser.
    """
    for block in _usage(context):
        code = context.document.text[block.start : block.end]
        if len(code) > _MAX_CODE_CHARACTERS or code.lstrip().startswith(">>>"):
            continue
        dedented = textwrap.dedent(code) if block.indent else code
        problem = _syntax_problem(dedented)
        if problem is not None:
            line, message = problem
            start = block.start
            for _ in range(min(line, code.count("\n") or 1) - 1):
                start = code.find("\n", start - block.start) + block.start + 1
            end = context.document.text.find("\n", start)
            yield Finding(
                offset=start,
                end=end if end >= 0 else None,
                message=f"the usage block is not valid Python: {message}",
                hint="readers copy it: make it run",
            )


def _syntax_problem(code: str) -> tuple[int, str] | None:
    with warnings.catch_warnings():
        # The parser warns about '\d' in a string, which is not an error.
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except SyntaxError as error:
            return error.lineno or 1, error.msg
        except (ValueError, RecursionError, MemoryError):
            return 1, "it is nested too deeply, or holds characters that code cannot hold"
    return None


@rule("HT403", Severity.ERROR)
def usage_of_other_card(context: Context) -> Iterator[Finding]:
    """The usage block loads this card, not another one.

    A UID that is left over from a copied card loads another model without any warning. A translation (`_cn`) loads the
    card that it translates.
    """
    if context.uid is None:
        return
    own = {str(context.uid).casefold(), str(context.uid).casefold().removesuffix("_cn")}
    for block in _usage(context):
        code = context.document.text[block.start : block.end]
        if "load" not in code:
            continue
        for match in _QUOTED.finditer(code):
            parts = match["text"].split("/")
            if _VERSION.match(parts[-2]) and match["text"].removesuffix(".md").casefold() not in own:
                yield Finding(
                    offset=block.start + match.start("text"),
                    end=block.start + match.end("text"),
                    message=f"the usage block loads {shown(match['text'])}, not this card",
                    hint=f"write '{str(context.uid).removesuffix('_cn')}'",
                )


@rule("HT405", Severity.WARNING)
def heading_jump(context: Context) -> Iterator[Finding]:
    """Heading levels go down one at a time.

    A `####` directly below a `##` leaves a gap in the table of contents and for screen readers. The first heading of
    the body has level 1 or 2.
    """
    if context.front_matter is None:
        return
    level = 1
    for heading in context.outline.headings:
        if heading.level > level + 1:
            yield Finding(
                offset=heading.offset,
                end=heading.end,
                message=f"the heading is of level {heading.level}, below one of level {level}",
                hint=f"write {'#' * (level + 1)!r}",
            )
        level = heading.level


@rule("HT406", Severity.WARNING)
def missing_section(context: Context) -> Iterator[Finding]:
    """The body has the sections Introduction and Usage.

    They say what the model is and how to load it; pages and lists look for these headings (in Chinese 简介 and 用法).
    Add them.
    """
    if context.front_matter is None:
        return
    found = {vocabulary.fold(heading.text[:80]) for heading in context.outline.headings}
    for name, names in (("Introduction", _INTRODUCTION), ("Usage", usage.HEADINGS)):
        if not found & names:
            yield Finding(
                offset=context.document.body_offset,
                message=f"the section '{name}' is missing",
                hint=f"add a heading '## {name}'",
            )
