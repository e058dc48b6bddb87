"""Importing a whole source: read it, plan what is to be written, write it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import files
from hubtool.card import document as documents
from hubtool.card import empty_folder, vocabulary
from hubtool.errors import ArgumentError, CardError
from maintain.importing import facts, references, source, text
from maintain.importing.source import Refused, SourceCard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maintain.importing.facts import Note

# What becomes of a card: `kept` was written or changed by hand, `refused` could not be read.
STATES = ("written", "updated", "unchanged", "kept", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one card of the source.

    Attributes:
        uid: Its UID; of a refused one, its path below the folder of the cards.
        state: One of :data:`STATES`.
        reason: Why it was kept or refused, or None.
        notes: What was normalised, and what is not known.
    """

    uid: str
    state: str
    reason: str | None = None
    notes: tuple[Note, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the members that ``python -m maintain import --json`` prints for a card."""
        return {
            "uid": self.uid,
            "state": self.state,
            "reason": self.reason,
            "normalised": [{"key": note.key, "what": note.message} for note in self.notes if note.known],
            "unknown": [{"key": note.key, "what": note.message} for note in self.notes if not note.known],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes:
        cards: Every card of the source, in order of their paths.
        left: The UIDs of cards that an earlier import wrote and that the source no longer has; they are still there.
    """

    cards: tuple[Imported, ...]
    left: tuple[str, ...]

    def count(self, state: str) -> int:
        """Return how many cards have a state."""
        return sum(card.state == state for card in self.cards)

    def as_json(self) -> dict[str, object]:
        """Return what ``python -m maintain import --json`` prints."""
        notes = [note for card in self.cards for note in card.notes]
        return {
            "cards": [card.as_json() for card in self.cards],
            "left": list(self.left),
            "summary": {
                **{state: self.count(state) for state in STATES},
                "normalised": dict(sorted(Counter(note.key for note in notes if note.known).items())),
                "unknown": dict(sorted(Counter(note.key for note in notes if not note.known).items())),
            },
        }


def import_cards(origin: Path, into: Path, *, dry_run: bool = False) -> ImportReport:
    """Import the cards of a source into a registry folder.

    A card there that no import wrote, or that was changed since, is kept as it is. What others added to a card
    (``network``, ``asset-size``) stays in it. A second run on the same source changes nothing.

    Args:
        origin: A checkout of the public hub, or a folder of its cards.
        into: The registry folder; it is made if it is not there.
        dry_run: Whether only to say what would be done.

    Raises:
        ArgumentError: If the source is not a folder, or has no card.
        StoreError: If a card cannot be written.
    """
    folder = source.cards_folder(origin)
    read = [source.read(relative, _bytes(path)) for relative, path in source.files(folder)]
    if not read:
        why, hint = empty_folder.explain(origin)
        raise ArgumentError(why, hint=hint)
    cited = {card.uid: references.items(card.body, card.title or "") for card in read if isinstance(card, SourceCard)}
    papers = references.known(item for items in cited.values() for item in items)
    ids = _user_ids(read)
    cards = []
    for card in read:
        if isinstance(card, Refused):
            cards.append(Imported(uid=str(card.path), state="refused", reason=card.reason))
            continue
        found, unread = references.resolve(cited[card.uid], papers)
        known = facts.of_source(card, found, unread, user_id=ids.get(card.uid.publisher))
        cards.append(_place(known, into, dry_run=dry_run))
    return ImportReport(cards=tuple(cards), left=tuple(_left(into, {card.uid for card in cards})))


def _user_ids(read: list[SourceCard | Refused]) -> dict[str, str]:
    """Return for each publisher's folder how most cards in it spell this name."""
    spellings: dict[str, Counter[str]] = {}
    for card in read:
        stated = card.values.get("user-id") if isinstance(card, SourceCard) else None
        if not isinstance(card, SourceCard) or not isinstance(stated, str):
            continue
        if vocabulary.fold(stated) == vocabulary.fold(card.uid.publisher):
            spellings.setdefault(card.uid.publisher, Counter())[stated] += 1
    return {publisher: min(counts, key=lambda text: (-counts[text], text)) for publisher, counts in spellings.items()}


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(documents.MAX_BYTES + 1)
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error


def _place(known: facts.PageFacts, into: Path, *, dry_run: bool) -> Imported:
    path = into / known.uid.path
    uid = str(known.uid)
    if "model-name" not in known.values:
        return Imported(uid=uid, state="refused", reason="the source states no model-name", notes=known.notes)
    old = _bytes(path) if path.is_file() else None
    existing = None if old is None else text.look(old)
    if existing is not None and not existing.imported:
        why = "it was changed since an import wrote it" if existing.marked else "it was written by hand"
        return Imported(uid=uid, state="kept", reason=why)
    new = text.write(known, existing)
    if old == new:
        return Imported(uid=uid, state="unchanged", notes=known.notes)
    if not dry_run:
        _write(path, new)
    return Imported(uid=uid, state="written" if old is None else "updated", notes=known.notes)


def _write(path: Path, data: bytes) -> None:
    try:
        files.write_atomically(path, data, durable=False, parents=True)
    except OSError as error:
        raise files.store_error(error, path) from error


def _left(into: Path, seen: set[str]) -> Iterator[str]:
    for relative, path in source.files(into) if into.is_dir() else ():
        uid = str(relative.with_suffix(""))
        if uid not in seen and text.look(_bytes(path)).marked:
            yield uid
