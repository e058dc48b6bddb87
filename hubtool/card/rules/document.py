"""HT1xx: the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.card.rules.base import Context, Finding, faults, rule
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


@rule("HT101", Severity.ERROR)
def oversized(context: Context) -> Iterator[Finding]:
    """A card is at most 4 MiB.

    Larger files are not cards, and are not read any further. Put large files beside the card, or on a server, and
    name them as assets.
    """
    yield from faults(context, "HT101")


@rule("HT102", Severity.ERROR)
def not_utf8(context: Context) -> Iterator[Finding]:
    """A card is UTF-8 text.

    Any other encoding is read wrongly by somebody. Save the file as UTF-8; a byte order mark is allowed.
    """
    yield from faults(context, "HT102")


@rule("HT103", Severity.ERROR)
def empty(context: Context) -> Iterator[Finding]:
    """A card is not empty.

    Start from the card of a similar model.
    """
    yield from faults(context, "HT103")


@rule("HT104", Severity.ERROR)
def no_front_matter(context: Context) -> Iterator[Finding]:
    """A card has front matter.

    It stands between two lines `---`, after the title or at the very start, and holds the facts that tools read.
    """
    yield from faults(context, "HT104")


@rule("HT105", Severity.ERROR)
def unclosed_front_matter(context: Context) -> Iterator[Finding]:
    """The front matter is closed by a second line `---`.

    Without it nobody can say where the facts end and the text starts. Add the line after the last entry.
    """
    yield from faults(context, "HT105")


@rule("HT106", Severity.ERROR)
def no_title(context: Context) -> Iterator[Finding]:
    """A card has a title.

    Lists and pages are headed by it. Add a line `# name` at the start of the card.
    """
    if context.front_matter is not None and not context.document.title:
        yield Finding(
            offset=context.document.title_offset, message="the card has no title", hint="start it with a line '# name'"
        )
