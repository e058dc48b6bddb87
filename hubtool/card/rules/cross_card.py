"""The rules for all cards of a run together: HT5xx, and those of HT3xx and HT4xx that look at several files.

They need the summaries of cards only, and no parser.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import TYPE_CHECKING

from hubtool.card.finding import Place
from hubtool.card.rules.base import RULES, rule_for_all, shown
from hubtool.card.rules.files import is_beside, missing_files, other_files
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.finding import CardSummary
    from hubtool.diagnostics import Diagnostic


def check_all(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """Yield the problems of several cards, or of the files beside a card, that the cards do not suppress."""
    ignored = {card.path: card.ignored for card in cards if card.ignored}
    for code, rule in sorted(RULES.items()):
        for found in rule.check_all(cards) if rule.check_all else ():
            if not code.startswith(ignored.get(found.path, ())):
                yield dataclasses.replace(found, code=code, severity=rule.severity)


@rule_for_all("HT311", Severity.WARNING)
def link_with_two_digests(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """One link has one digest, in all cards.

    A link names one file. If two cards, or two assets of a card, state different digests for it, one of them fails to
    load. A short digest does not contradict the full one. Compute the digest again.
    """
    first: dict[str, tuple[str, str, int]] = {}
    for card in cards:
        for link, digest, _, place in card.assets:
            if not digest:
                continue
            other = first.setdefault(link, (digest, card.path, place.line))
            if not (digest.startswith(other[0]) or other[0].startswith(digest)):
                yield card.at(
                    place,
                    f"the link has the digest {digest[:12]}... here, and {other[0][:12]}... in {other[1]}:{other[2]}",
                    hint="compute the digest again with 'sha256sum FILE'",
                )


@rule_for_all("HT312", Severity.ERROR)
def digest_with_two_sizes(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """One digest has one size, in all cards.

    Files with the same SHA-256 are identical. If two assets state different sizes for one digest, a size or a digest is
    wrong. Correct it.
    """
    first: dict[str, tuple[int, str, int]] = {}
    for card in cards:
        for _, digest, size, place in card.assets:
            if size is None or len(digest) < 64:
                continue
            other = first.setdefault(digest, (size, card.path, place.line))
            if other[0] != size:
                yield card.at(
                    place,
                    f"the asset has {size:,} bytes here, and {other[0]:,} in {other[1]}:{other[2]}, "
                    "with the same digest",
                    hint="correct the size, or the digest",
                )


@rule_for_all("HT314", Severity.ERROR)
def missing_asset(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """An asset that is a path relative to the card exists.

    hubtool reads such a file from the registry, and does not fetch it. Add the file, or correct the path; the path must
    stay in the registry.
    """
    yield from missing_files(cards, assets=True)


@rule_for_all("HT318", Severity.ERROR)
def other_asset(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """An asset beside the card is the file that the card describes.

    A clone without git-lfs has a pointer of about 130 bytes in its place: run `git lfs pull`. If git converts line
    endings, a text file has another digest: write `FILE -text` into `.gitattributes`, or set `core.autocrlf` to false,
    and check the file out again. Validation compares sizes; digests are compared when the file is loaded.
    """
    yield from other_files(cards)


@rule_for_all("HT404", Severity.WARNING)
def missing_file(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A link or an image that is a path relative to the card leads to a file of the registry.

    Paths that were copied from the README of a repository lead nowhere from the card. Write the whole URL, or put the
    file beside the card. A path that leaves the registry, or starts with `/`, is reported too. Files that are assets
    are HT314.
    """
    yield from missing_files(cards, assets=False)


@rule_for_all("HT501", Severity.ERROR)
def two_cards_for_one_uid(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A UID has one card.

    Two files have one UID if they are in two folders that are checked together, or if their names are the same letters
    in two encodings (Unicode's composed and decomposed forms). Only the first can be found. Rename or delete one.
    """
    first: dict[str, str] = {}
    for card in cards:
        if card.uid is not None:
            other = first.setdefault(unicodedata.normalize("NFC", str(card.uid)), card.path)
            if other != card.path:
                yield card.at(
                    Place(),
                    f"the UID {card.uid} has another card: {other}",
                    hint="rename or delete one of them",
                )


@rule_for_all("HT502", Severity.WARNING)
def uid_differs_in_case_only(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """Two UIDs differ in more than case.

    On file systems that ignore case, as on Windows and macOS, one card overwrites the other. Rename one.
    """
    first: dict[str, tuple[str, str]] = {}
    for card in cards:
        if card.uid is None:
            continue
        text = unicodedata.normalize("NFC", str(card.uid))
        other, path = first.setdefault(text.casefold(), (text, card.path))
        if other != text:
            yield card.at(
                Place(),
                f"the UID {text} differs in case only from {other} ({path})",
                hint="rename one of the two",
            )


@rule_for_all("HT505", Severity.ERROR)
def successor_that_is_not_there(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """The successor of a card exists, and is not withdrawn itself.

    Readers must find the card that they are told to use. hubtool looks for it among the cards that are checked
    together, and in the registry of the card's path. Correct the UID, or publish the successor first. In place of a
    withdrawn successor, name the card that replaced it.
    """
    status = {str(card.uid): card.status for card in cards if card.uid is not None}
    for card in cards:
        if card.successor is None or card.uid is None:
            continue
        uid, place = card.successor
        if uid == str(card.uid):
            continue  # HT218 reports it
        if status.get(uid) == "withdrawn":
            yield card.at(
                place,
                f"the successor {shown(uid)} is withdrawn itself",
                hint="name the card that replaced it, or none",
            )
        elif uid not in status and not is_beside(card.path, card.uid, uid):
            yield card.at(
                place,
                f"the registry has no card {shown(uid)}",
                hint="correct the UID, or publish that card first",
            )


@rule_for_all("HT503", Severity.WARNING)
def translation_without_card(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A translation (`NAME_cn.md`) is beside the card that it translates (`NAME.md`).

    Tools show the translation as that card in another language. Without that card, nothing refers to the translation,
    and the UID in its usage block does not exist. Add the card, or rename the translation.
    """
    names = {str(card.uid) for card in cards}
    for card in cards:
        original = str(card.uid).removesuffix("_cn")
        if card.uid is not None and original != str(card.uid) and original not in names:
            yield card.at(
                Place(),
                f"this is a translation, but there is no card {original}",
                hint=f"add {original.rpartition('/')[2]}.md, or rename the translation",
            )
