"""HT1xx: the document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card import foreign, placeholder, suppression, vocabulary
from hubtool.card.finding import Edit, Finding, Fix
from hubtool.card.rules.base import RULES, rule, shown
from hubtool.card.rules.context import faults
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.rules.context import Context


@rule("HT101", Severity.ERROR)
def unreadable_file(context: Context) -> Sequence[Finding]:
    """A card is a readable file of at most 1 MiB, and its text is no longer than a parser reads in a second.

    The text below the front matter has at most 262,144 characters, 30,000 line ends and signs of Markdown, and 2,000
    opening square brackets. The longest of the public hub's 2,915 cards has 78 KB, 11,900 and 193. Larger files are not
    cards, and are not read further.
    Put large files beside the card, or on a server, and name them as assets. A file without read permission, a folder
    named like a card, and a link that leads nowhere are reported here too.
    """
    return faults(context, "HT101")


@rule("HT102", Severity.ERROR)
def not_utf8(context: Context) -> Sequence[Finding]:
    """A card is UTF-8 text.

    Programs guess other encodings, and guess wrong. Save the file as UTF-8; a byte order mark is allowed.
    """
    return faults(context, "HT102")


@rule("HT103", Severity.ERROR)
def empty(context: Context) -> Sequence[Finding]:
    """A card is not empty.

    An empty file is usually left over from a failed download or merge. Start from the card of a similar
    model, or delete the file.
    """
    return faults(context, "HT103")


@rule("HT104", Severity.ERROR)
def no_front_matter(context: Context) -> Sequence[Finding]:
    """A card has front matter.

    It is enclosed by two lines `---`, after the title or at the start, and holds the facts that tools read.
    """
    return faults(context, "HT104")


@rule("HT105", Severity.ERROR)
def unclosed_front_matter(context: Context) -> Sequence[Finding]:
    """The front matter is closed by a second line `---`.

    Without it the end of the front matter is unknown. Add the line after the last entry.
    """
    return faults(context, "HT105")


@rule("HT106", Severity.ERROR)
def no_title(context: Context) -> Iterator[Finding]:
    """A card has a title.

    Lists and pages show it as the heading. Add a line `# name` at the start of the card.
    """
    if context.front_matter is not None and not context.document.title:
        yield Finding(
            offset=context.document.title_offset, message="the card has no title", hint="start it with a line '# name'"
        )


@rule("HT107", Severity.WARNING)
def title_unlike_name(context: Context) -> Iterator[Finding]:
    """The title is the model's name.

    It may be the `model-name`, or the name in the card's UID, or the beginning of either (`bert` for
    `bert_base_squad`); case and punctuation do not count. A reader who finds another name in a list than on the page
    assumes two models. Write the same name in both places.
    """
    title, name = context.document.title, context.text("model-name")
    if not title or not name:
        return
    folded = vocabulary.fold(title)
    names = [vocabulary.fold(name), *([vocabulary.fold(context.uid.name)] if context.uid else [])]
    if not folded or any(_begins(folded, other) for other in names):
        return
    start = context.document.title_offset
    end = context.document.text.find("\n", start)
    yield Finding(
        offset=start,
        end=len(context.document.text.rstrip()) if end < 0 else end,
        message=f"the title is {shown(title)}, but the model's name is {shown(name)}",
        hint="write the same name in both places",
    )


def _begins(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return bool(short) and (long.startswith(short) if len(short) > 2 else long == short)


_TAB_LINE = re.compile(r"^[^\t\n]*\t[^\n]*", re.MULTILINE)
_TAB_BEHIND_KEY = re.compile(r"[ ]*(?:-[ \t]+)?[^\s:'\"#]+:(?P<space>[ \t]+)(?=\S)")


@rule("HT108", Severity.WARNING, fixes=True)
def tab(context: Context) -> Iterator[Finding]:
    """Front matter has no tabs.

    YAML forbids them where lines are indented, and some readers forbid them everywhere. Use spaces. `--fix`
    replaces tabs after a colon or a dash; change tabs in quotes or within a text yourself.
    """
    if "\t" not in (context.document.front_matter or ""):
        return
    start = context.document.front_matter_offset
    for match in _TAB_LINE.finditer(context.document.front_matter or ""):
        line = match[0].rstrip()
        tab_at = line.find("\t")
        if tab_at < 0:
            continue  # it is at the end of the line: HT111
        fix = None
        key = _TAB_BEHIND_KEY.match(line)
        if key and key.start("space") <= tab_at < key.end("space"):
            edit = Edit(start + match.start() + key.start("space"), start + match.start() + key.end("space"), " ")
            fix = Fix(edits=(edit,), title="write a space")
        yield Finding(
            offset=start + match.start() + tab_at,
            end=start + match.start() + tab_at + 1,
            message="there is a tab in the front matter",
            hint="use spaces",
            fix=fix,
        )


@rule("HT109", Severity.WARNING)
def third_fence(context: Context) -> Iterator[Finding]:
    """The body has no line that is only `---`.

    hubtool reads it as a line of the body. Other tools, such as those of the public hub, take every such line for the
    start or the end of the front matter and refuse the card, or lose the text after it. Directly below a paragraph it
    also turns the paragraph into a heading. Write `***` for a rule across the page. Lines in code blocks do not count.
    """
    if context.document.front_matter is not None:
        for offset in context.outline.rules:
            yield Finding(
                offset=offset,
                end=offset + 3,
                message="a third line '---' stands in the body",
                hint="write '***' for a rule across the page",
            )


# Control characters but tab, line feed and carriage return; spaces of no width, and marks that turn the direction of
# writing; the byte order mark within a text; the line separators that are no line ends to most programs.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]"
)


@rule("HT110", Severity.WARNING)
def invisible_character(context: Context) -> Iterator[Finding]:
    """A card has no control characters and no invisible ones.

    A key with a zero-width space looks right and is another key. A mark that reverses the writing direction makes a
    text look different from its content. A byte order mark within a text is left over from joining files.
    Delete them. The joiners that Indic and Arabic scripts and emoji need are allowed.
    """
    for match in _INVISIBLE.finditer(context.document.text):
        yield Finding(
            offset=match.start(),
            end=match.end(),
            message=f"there is an invisible character, U+{ord(match[0]):04X}",
            hint="delete it",
        )


_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=\r?$)", re.MULTILINE)


@rule("HT111", Severity.WARNING, fixes=True)
def trailing_junk(context: Context) -> Iterator[Finding]:
    """A line of the front matter does not end with spaces or tabs.

    They are invisible, and editors remove them automatically, so that a change of one line shows up as a change of
    many. `--fix` removes them, except in block text (`|` and `>`), where they may matter, and in the body, where two
    spaces are a line break.
    """
    text = context.document.front_matter or ""
    offset = context.document.front_matter_offset
    if not any(end in text for end in (" \n", "\t\n", " \r\n", "\t\r\n")) and text[-1:] not in (" ", "\t"):
        return
    blocks: list[tuple[int, int]] | None = None
    block = 0
    for match in _TRAILING.finditer(text):
        if blocks is None:
            blocks = _blocks(context)
        start, end = offset + match.start(), offset + match.end()
        while block < len(blocks) and blocks[block][1] <= start:
            block += 1
        if block < len(blocks) and blocks[block][0] <= start:
            continue
        yield Finding(
            offset=start,
            end=end,
            message="the line ends with white space",
            hint="delete it",
            fix=Fix(edits=(Edit(start, end, ""),), title="delete it"),
        )


def _blocks(context: Context) -> list[tuple[int, int]]:
    """Return where values stand that are quoted or block text of several lines."""
    found: list[tuple[int, int]] = []
    front_matter = context.front_matter
    for entry in front_matter.entries if front_matter else ():
        # A value over several lines that is not block text is a list, a mapping, or folded text: the first two are
        # looked into no further than whether a block sign may be in them.
        start = entry.offset + entry.value.start_mark.index
        end = entry.offset + entry.value.end_mark.index
        written = context.document.text[start:end]
        if "\n" in written and re.search(r"[|>'\"]", written):
            found.append((start, end))
    return sorted(found)


_CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: [^\n]*)?$", re.MULTILINE)


@rule("HT112", Severity.ERROR)
def conflict_marker(context: Context) -> Iterator[Finding]:
    """A card has no marks of an unfinished merge.

    Lines that start with `<<<<<<<` and `>>>>>>>` enclose two versions of a text. Keep one, and delete the marks.
    """
    text = context.document.text
    if "<<<<<<<" in text or ">>>>>>>" in text:
        for match in _CONFLICT.finditer(text):
            yield Finding(
                offset=match.start(),
                end=match.end(),
                message="here is a mark of an unfinished merge",
                hint="keep one of the two versions, and delete the marks",
            )


@rule("HT113", Severity.WARNING)
def unknown_suppression(context: Context) -> Iterator[Finding]:
    """A comment that suppresses findings names codes that exist.

    `<!-- hubtool: ignore HT209, HT4 -->` suppresses these codes, and codes that begin with them, in the whole card;
    `<!-- hubtool: ignore-next HT404 -->` in the next line of the body. A code that no rule has suppresses nothing.
    """
    for comment in suppression.comments(context.document.text, context.document.body_offset):
        for code, start in comment.codes:
            if not any(known.startswith(code) for known in RULES):
                yield Finding(
                    offset=start,
                    end=start + len(code),
                    message=f"no rule has the code {shown(code)}",
                    hint="'hubtool rule' lists the rules",
                )
        if not comment.codes:
            yield Finding(
                offset=comment.start,
                end=comment.end,
                message="the comment names no codes to ignore",
                hint="write '<!-- hubtool: ignore HT404 -->'",
            )


@rule("HT114", Severity.ERROR)
def placeholder_left(context: Context) -> Iterator[Finding]:
    """Nothing is left to fill in.

    `hubtool new` writes `FILL IN`, and what to write, wherever only the author knows the answer. Replace the mark, or
    remove the line if it does not apply.
    """
    text = context.document.text
    if placeholder.MARK not in text:
        return
    for match in placeholder.PATTERN.finditer(text):
        yield Finding(
            offset=match.start(),
            end=match.end(),
            message=f"this is still to be written: {shown(match[0])}",
            hint="replace the mark, or remove the line if it does not apply",
        )


@rule("HT115", Severity.ERROR)
def card_of_another_hub(context: Context) -> Iterator[Finding]:
    """A card is written for hubtool.

    The README.md of a repository on Hugging Face or ModelScope is a model card with other keys (`pipeline_tag`,
    `library_name`, `tasks`, `frameworks`). It states neither the files of a MindSpore model nor how to build its
    network. `hubtool new` writes a card from the files; copy the text over. For such a card, only problems of the
    document are reported.
    """
    if context.foreign is not None:
        yield Finding(
            offset=context.document.front_matter_offset,
            message=f"this is a {context.foreign} model card",
            hint=foreign.HINT,
        )
