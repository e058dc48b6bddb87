"""A problem of a card in its two forms, and the summary of a card that outlives its text.

A :class:`Finding` has offsets in the text of one card. A :class:`hubtool.diagnostics.Diagnostic` has lines and columns
and is what users see. Nothing here needs a parser, so a run over unchanged cards loads none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hubtool.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from hubtool.uid import Uid


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a text: the characters from ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """The solution of a problem: edits that are made together or not at all.

    Attributes:
        edits: The edits, in order and apart from each other, in characters from the start of the text.
        title: What they do, such as ``write 'Apache-2.0'``.
    """

    edits: tuple[Edit, ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where a card breaks a rule.

    Attributes:
        offset: Where, in characters from the start of the text (the byte order mark not counted).
        message: What is wrong.
        hint: What to do, or None.
        pointer: The JSON pointer of the front-matter node, or empty.
        end: Where it ends, in characters; None if only its start is known.
        fix: The fix, if there is one right answer.
        code: The code of the rule, if the parser found the problem; empty if the rule itself found it.
    """

    offset: int
    message: str
    hint: str | None = None
    pointer: str = ""
    end: int | None = None
    fix: Fix | None = None
    code: str = ""


class Place(NamedTuple):
    """A range in a card; lines and columns count from 1, columns in characters."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1
    pointer: str = ""


class StatedAsset(NamedTuple):
    """An asset as its card states it: the digest may be empty or short, and the size None."""

    link: str
    digest: str
    size: int | None
    place: Place


class RelativeLink(NamedTuple):
    """A link that is a path relative to its card."""

    target: str
    place: Place


class Successor(NamedTuple):
    """The UID that a card names as its successor."""

    uid: str
    place: Place


class StatedNetwork(NamedTuple):
    """What a card says of its network: two cards with the same ``code`` and ``recipe`` have one network.

    ``code`` is the folder of the repo-link without its revision, ``recipe`` the entry point and its arguments as JSON;
    ``elements`` is None where the card does not say how large the network is.
    """

    code: str
    recipe: str
    elements: int | None
    data_set: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSummary:
    """What is kept of a card for the rules that look at all cards, and at the files beside a card.

    Attributes:
        path: The card's path.
        uid: The UID that its path gives, or None.
        assets: The assets.
        relative: The links that are paths relative to the card; those of assets have a pointer.
        ignored: The codes, or beginnings of codes, that the card itself suppresses.
        status: ``deprecated``, ``withdrawn``, or empty.
        successor: The successor that it names, or None.
        network: What its recipe says of its network, or None.
    """

    path: str
    uid: Uid | None
    assets: tuple[StatedAsset, ...] = ()
    relative: tuple[RelativeLink, ...] = ()
    ignored: tuple[str, ...] = ()
    status: str = ""
    successor: Successor | None = None
    network: StatedNetwork | None = None

    def at(self, place: Place, message: str, *, hint: str | None = None) -> Diagnostic:
        """Return a problem at a place of this card; code and severity are those of the rule, and set by its caller."""
        return Diagnostic(
            **place._asdict(), path=self.path, message=message, hint=hint, code="", severity=Severity.ERROR
        )
