"""What a search found, for commands and for Python programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool import wording
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.registry.entry import CardEntry

_WIDTH = 120


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FoundModel:
    """A model that a search found: the facts of its best card, and its versions.

    Attributes:
        entry: The facts that the card states.
        versions: The UIDs of all versions of the model, the newest first.
    """

    entry: CardEntry
    versions: tuple[str, ...]

    @property
    def uid(self) -> str:
        """The UID of the card."""
        return str(self.entry.uid)

    @property
    def task(self) -> str:
        """What the model does."""
        return task_of(self.entry)

    @property
    def architecture(self) -> str:
        """The architecture, as its paper writes it; empty if it is not known."""
        found = self.entry.find_architecture()
        return found.name if found is not None else ""

    @property
    def summary(self) -> str:
        """The model in one sentence."""
        return self.entry.summary

    @property
    def result(self) -> str:
        """The first result of its evaluation, such as ``top1acc 76.97``; empty if the card states none."""
        return self.entry.result

    @property
    def elements(self) -> int | None:
        """How many numbers all parameters have together; None if that is not known."""
        return self.entry.elements

    @property
    def verified(self) -> str:
        """The source of the known answer that its network was found equal to, or empty."""
        return self.entry.verified

    def __repr__(self) -> str:
        text = wording.printable(f"{self.uid}  {self.task}  {self.summary}")
        return f"<{text if len(text) <= _WIDTH else f'{text[: _WIDTH - 3]}...'}>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Found:
    """What a search found: a sequence of models, the best first.

    Attributes:
        models: The models.
        count: How many there are; more than ``models`` has where a limit cut.
        dropped: The words that were left out, because no card has them together with the others.
        corrected: The words that were read as others, each with what it was read as.
        near: UIDs with names like the words, if nothing was found.
        remarks: What a filter left out, and what an order goes by.
    """

    models: tuple[FoundModel, ...] = ()
    count: int = 0
    dropped: tuple[str, ...] = ()
    corrected: tuple[tuple[str, str], ...] = ()
    near: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[FoundModel]:
        return iter(self.models)

    def __getitem__(self, place: int) -> FoundModel:
        return self.models[place]

    def notes(self) -> list[str]:
        """Return in sentences what was read otherwise, what was left out, and what is near."""
        notes = [f"{typed!r} was read as {read!r}" for typed, read in self.corrected]
        if self.dropped:
            words = ", ".join(repr(word) for word in self.dropped)
            notes.append(f"no card has all words; left out: {words}" if self.models else f"no card has {words}")
        notes += self.remarks
        if not self.models and not self.remarks:
            if self.near:
                notes.append(f"hint: did you mean {' or '.join(self.near)}?")
            else:
                notes.append(
                    "hint: search for a task (object detection), an architecture (ResNet) or a data set (CIFAR-10), or "
                    "see all with 'hubtool list'"
                )
        return notes

    def __repr__(self) -> str:
        lines = [repr(model) for model in self.models]
        if self.count > len(self.models):
            lines.append(f"({len(self.models)} of {self.count:,} models)")
        return "\n".join([*lines, *map(wording.printable, self.notes())])


def grouped(found: Sequence[CardEntry], *, versions: bool = False) -> list[FoundModel]:
    """Put the versions of models together, whose entries follow each other with the newest first.

    Args:
        found: The entries.
        versions: Whether each version stays by itself.
    """
    from hubtool.registry.words import model_key  # noqa: PLC0415 - words reads entries too

    groups: dict[str, list[CardEntry]] = {}
    for entry in found:
        groups.setdefault(str(entry.uid) if versions else model_key(entry.uid), []).append(entry)
    return [FoundModel(entry=group[0], versions=tuple(str(one.uid) for one in group)) for group in groups.values()]


def task_of(entry: CardEntry) -> str:
    """Return what a model does: its likely pipeline task, or what the card says where there is none."""
    found = entry.find_tasks()
    return found[0] if found else entry.task


def versions_in_words(versions: Sequence[str]) -> str:
    """Return how many versions there are, and which: ``7 versions: 1.3 ... 1.10``; empty for one.

    Args:
        versions: UIDs, the newest first.
    """
    numbers = [*dict.fromkeys(Uid.parse(uid).version for uid in versions)]  # some names stand twice, spelt differently
    if len(numbers) < 2:
        return ""
    return f"{len(numbers)} versions: {numbers[-1]}{',' if len(numbers) == 2 else ' ...'} {numbers[0]}"
