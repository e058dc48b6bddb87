"""What the outputs of a network mean: labels with their probabilities, and entities in a text."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hubtool import wording
from hubtool.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BAR: Final = 24
_FEW: Final = 20
_ROUNDING: Final = 1e-2  # by which probabilities in float16 may lie outside 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A class that a network knows.

    Attributes:
        label: Its name.
        score: Its probability, from 0 to 1.
    """

    label: str
    score: float

    def __repr__(self) -> str:
        return wording.printable(f"{self.label} {self.score:.1%}")

    def as_json(self) -> dict[str, object]:
        """Return it as the members that JSON outputs have."""
        return {"label": self.label, "score": self.score}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A part of a text that a network names.

    Attributes:
        entity: What it is, such as ``PER``.
        text: The part of the text.
        start: Where it begins in the text, in characters from 0.
        end: Where it ends, exclusive.
        score: The mean probability of its characters' labels, from 0 to 1; None where the network gives labels alone.
    """

    entity: str
    text: str
    start: int
    end: int
    score: float | None = None

    def __repr__(self) -> str:
        return wording.printable(f"{self.entity} {self.text} ({self.start}-{self.end})")

    def as_json(self) -> dict[str, object]:
        """Return it as the members that JSON outputs have."""
        score = {} if self.score is None else {"score": self.score}
        return {"entity": self.entity, "text": self.text, "start": self.start, "end": self.end, **score}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Result:
    """What a pipeline says of one input: a sequence of labels, the likeliest first, or of entities in their order.

    Attributes:
        source: The input: a path, or the text.
        found: The labels or the entities.
    """

    source: str
    found: tuple[Label, ...] | tuple[Entity, ...]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.found)

    def __getitem__(self, place: int) -> Any:
        return self.found[place]

    def as_json(self) -> dict[str, object]:
        """Return it as the members that JSON outputs have."""
        return {"input": self.source, "found": [one.as_json() for one in self.found]}

    def lines(self, *, bars: bool = True) -> list[str]:
        """Return what was found for people, one a line.

        Args:
            bars: Whether each probability has a bar.
        """
        if not self.found:
            return ["nothing found"]
        rows = [
            (wording.printable(one.label), f"{one.score:6.1%}", "█" * round(one.score * _BAR) if bars else "")
            if isinstance(one, Label)
            else (
                wording.printable(one.entity),
                wording.printable(one.text),
                f"characters {one.start} to {one.end}{_share(one)}",
            )
            for one in self.found
        ]
        widths = [max(_width(row[column]) for row in rows) for column in (0, 1)]
        return ["  ".join((_padded(row[0], widths[0]), _padded(row[1], widths[1]), row[2])).rstrip() for row in rows]

    def __repr__(self) -> str:
        lines = self.lines()
        more = [f"and {len(lines) - _FEW:,} more"] if len(lines) > _FEW else []
        return "\n".join([*lines[:_FEW], *more])

    def _repr_html_(self) -> str:
        """Return what was found as a table, as notebooks show it."""
        cells = []
        for one in self.found:
            if isinstance(one, Label):
                bar = f"<meter min='0' max='1' value='{one.score:.4f}'></meter>"
                cells.append(f"<tr><td>{html.escape(one.label)}</td><td>{one.score:.1%}</td><td>{bar}</td></tr>")
            else:
                place = f"{one.start}-{one.end}{_share(one)}"
                row = (one.entity, one.text, place)
                cells.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>")
        return f"<table><caption>{html.escape(self.source[:200])}</caption>{''.join(cells)}</table>"


def _share(entity: Entity) -> str:
    return "" if entity.score is None else f"  {entity.score:.1%}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def labels_of(values: Any, kind: str, labels: Sequence[str], top: int) -> tuple[Label, ...]:
    """Return the likeliest labels.

    Args:
        values: One number for each label, in an array whose other axes have the length 1.
        kind: What the numbers are.
        labels: The names of the labels.
        top: How many.

    Raises:
        NetworkError: If there are not as many numbers as labels, or they are not finite.
    """
    import numpy as np

    numbers = np.asarray(values, np.float64)
    if numbers.size != len(labels) or numbers.shape[-1:] != (len(labels),):
        raise NetworkError(
            f"the network gives an output of the shape {tuple(numbers.shape)}, and the card states {len(labels):,} "
            "labels",
            hint="the labels are not those of this network: correct 'labels' or 'outputs' on the card",
        )
    shares = probabilities(numbers.reshape(-1), kind)
    order = np.argsort(-shares, kind="stable")[:top]
    return tuple(Label(label=labels[place], score=float(shares[place])) for place in order)


def probabilities(numbers: Any, kind: str) -> Any:
    """Return probabilities over the last axis.

    Args:
        numbers: What the network gives.
        kind: ``scores``, ``probabilities`` or ``log-probabilities``.

    Raises:
        NetworkError: If a number is not finite.
    """
    import numpy as np

    if not np.isfinite(numbers).all():
        raise NetworkError(
            "the network's output holds numbers that are not finite", hint="is the input of the right kind?"
        )
    if kind != "scores":
        shares = numbers if kind == "probabilities" else np.exp(np.minimum(numbers, 1))
        if shares.min() < -_ROUNDING or shares.max() > 1 + _ROUNDING:
            raise NetworkError(
                f"the card says that the network gives {kind}, and its numbers are none",
                hint="correct 'outputs' on the card: scores are any numbers",
            )
        return np.clip(shares, 0, 1)
    raised = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def entities_of(values: Any, kind: str, labels: Sequence[str], text: str) -> tuple[Entity, ...]:
    """Return the entities in a text.

    Args:
        values: Numbers of labels, of the shape (1, tokens); or of another kind of the shape (1, tokens, labels).
        kind: What they are.
        labels: The names of the labels.
        text: The text, each character of which is a token behind the first.

    Raises:
        NetworkError: If the output has another shape, not as many labels, or numbers that are not finite.
    """
    import numpy as np

    from hubtool.errors import ArgumentError
    from hubtool.networks.builtin.text import entities

    array, shares = np.asarray(values), None
    if kind != "class-indices":
        if array.ndim != 3 or array.shape[2] != len(labels):
            raise NetworkError(
                f"the network gives an output of the shape {array.shape}, and the card states {len(labels):,} labels",
                hint="the labels are not those of this network: correct 'labels' or 'outputs' on the card",
            )
        shares = probabilities(array.astype(np.float64), kind).max(axis=2)
        array = array.argmax(axis=2)
    if array.ndim != 2:
        raise NetworkError(
            f"the network gives an output of the shape {array.shape}, and the card says that it has a label for each "
            "token",
            hint="correct 'outputs' on the card",
        )
    try:
        found = entities(text, [int(tag) for tag in array[0]], labels)
    except ArgumentError as error:
        raise NetworkError(error.message, hint="correct 'labels' on the card") from error
    return tuple(
        Entity(
            text=part,
            entity=kind,
            start=start,
            end=end,
            # The first token stands before the text.
            score=None if shares is None else float(shares[0, start + 1 : end + 1].mean()),
        )
        for part, kind, start, end in found
    )
