"""What a comparison of cards or lockfiles finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.diff.tensors import TensorDiff


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A front-matter field that differs: its dotted key, and both values; None where one side lacks it."""

    key: str
    old: object
    new: object

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {"key": self.key, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetChange:
    """A difference between assets.

    Attributes:
        kind: ``added``, ``removed``, ``changed`` (other bytes), ``moved`` (the same bytes at another link) or
            ``restated`` (the same link and bytes, with another format or size stated).
        old: Link, format, digest and size before; None if it is new.
        new: The same after; None if it is gone.
        tensors: The differences within two checkpoints; None if they were not compared.
    """

    kind: str
    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    tensors: TensorDiff | None = None

    @property
    def link(self) -> str:
        """The link, that of now if there is one."""
        return str((self.new or self.old or {}).get("link", ""))

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "change": self.kind,
            "old": self.old,
            "new": self.new,
            "tensors": None if self.tensors is None else self.tensors.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """The differences in the code of networks.

    Attributes:
        old: Repository, commit (or branch), folder and tree digest before; None if there was none.
        new: The same after.
        added: Files that are new.
        removed: Files that are gone.
        changed: Files with other bytes.
        modules: Modules that only the new code imports: what each can touch (empty if not known), the file, the line.
        touches: Accesses that only the new code has: kind, name, file, line.
        compared: Whether files could be compared.
    """

    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, str, int]] = field(default_factory=dict)
    touches: tuple[tuple[str, str, str, int], ...] = ()
    compared: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "old": self.old,
            "new": self.new,
            "compared": self.compared,
            "files": {"added": list(self.added), "removed": list(self.removed), "changed": list(self.changed)},
            "new_modules": [
                {"module": name, "touches": kind or None, "path": path, "line": line}
                for name, (kind, path, line) in self.modules.items()
            ],
            "new_touches": [
                {"touches": kind, "what": what, "path": path, "line": line} for kind, what, path, line in self.touches
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDiff:
    """The differences between two cards.

    Attributes:
        old: The name of the first card.
        new: The name of the second card.
        fields: The front-matter fields that differ, except assets.
        title: Both titles, if they differ.
        body: The numbers of added and removed lines of the text.
        assets: The assets that differ.
        code: What differs in the code, or None.
        pinned: The differences between the lockfile entries, one sentence each.
        notes: What could not be compared, and why.
    """

    old: str
    new: str
    fields: tuple[FieldChange, ...] = ()
    title: tuple[str, str] | None = None
    body: tuple[int, int] = (0, 0)
    assets: tuple[AssetChange, ...] = ()
    code: CodeChange | None = None
    pinned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.fields or self.title or any(self.body) or self.assets or self.code or self.pinned)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "old": self.old,
            "new": self.new,
            "same": self.same,
            "fields": [one.as_json() for one in self.fields],
            "title": None if self.title is None else {"old": self.title[0], "new": self.title[1]},
            "body": {"lines_added": self.body[0], "lines_removed": self.body[1]},
            "assets": [one.as_json() for one in self.assets],
            "code": None if self.code is None else self.code.as_json(),
            "pinned": list(self.pinned),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The differences between two sides.

    Attributes:
        cards: The pairs of cards that differ; for two cards, the one pair.
        added: UIDs that only the second lockfile has.
        removed: UIDs that only the first one has.
    """

    cards: tuple[CardDiff, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.added and not self.removed and all(card.same for card in self.cards)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {
            "same": self.same,
            "added": list(self.added),
            "removed": list(self.removed),
            "cards": [card.as_json() for card in self.cards],
        }
