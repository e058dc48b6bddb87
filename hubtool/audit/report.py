"""The report of an audit: JSON for programs, Markdown for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from hubtool.audit.finding import KINDS, NOTES
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.audit.finding import AuditFinding, AuditNote
    from hubtool.audit.plan import AuditPlan

VERSION = 1
_SHOWN = 10  # UIDs of one finding in Markdown


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found.

    Attributes:
        registries: The registries.
        begun: When it began, in seconds since 1970.
        seconds: How long it took.
        deep: Whether all bytes were hashed.
        plan: The links and repositories of the cards.
        looked: The number of targets looked at in this run; an earlier run looked at the others.
        findings: What is wrong, by kind and target.
        notes: What is worth knowing but not wrong.
    """

    registries: tuple[str, ...]
    begun: float
    seconds: float
    deep: bool
    plan: AuditPlan
    looked: int
    findings: tuple[AuditFinding, ...]
    notes: tuple[AuditNote, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def counts(self) -> dict[str, int]:
        """Return how many findings of each kind there are."""
        found = Counter(one.kind for one in self.findings)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def as_json(self) -> dict[str, object]:
        """Return the report as ``audit-report.schema.json`` describes it."""
        return {
            "version": VERSION,
            "hubtool": __version__,
            "begun": _time(self.begun),
            "seconds": round(self.seconds, 3),
            "registries": list(self.registries),
            "deep": self.deep,
            "clean": self.clean,
            "counts": {
                "cards": self.plan.cards,
                "links": len(self.plan.links),
                "repositories": len(self.plan.repositories),
                "revisions": sum(len(one.revisions) for one in self.plan.repositories),
                "local_assets": self.plan.local,
                "looked_at": self.looked,
                "findings": self.counts(),
            },
            "findings": [one.as_json() for one in self.findings],
            "notes": [one.as_json() for one in self.notes],
        }

    def as_markdown(self) -> str:
        """Return the report as a page of Markdown."""
        return "\n".join(self._lines()) + "\n"

    def summary(self) -> str:
        """Return the report in one line."""
        found = ", ".join(f"{count:,} {kind}" for kind, count in self.counts().items())
        plan = self.plan
        return (
            f"{_many(plan.cards, 'card')}, {_many(len(plan.links), 'link')}, "
            f"{_many(len(plan.repositories), 'repository')}: "
            + (f"{_many(len(self.findings), 'finding')} ({found})" if found else "nothing is wrong")
        )

    def _lines(self) -> Iterator[str]:
        yield f"# Audit of {', '.join(self.registries)}"
        yield ""
        how = "all bytes hashed" if self.deep else "bytes not fetched"
        yield f"{_time(self.begun)}, hubtool {__version__}, {self.seconds:.0f} s, {how}."
        yield ""
        yield f"{self.summary()}."
        for kind, what in (*KINDS.items(), *NOTES.items()):
            listed: Sequence[AuditNote] = [one for one in (*self.findings, *self.notes) if one.kind == kind]
            if not listed:
                continue
            yield ""
            yield f"## {kind} ({len(listed):,})"
            yield ""
            yield f"{what[:1].upper()}{what[1:]}."
            yield ""
            for one in listed:
                more = f" and {len(one.uids) - _SHOWN:,} more" if len(one.uids) > _SHOWN else ""
                uids = ", ".join(one.uids[:_SHOWN]) + more
                yield f"- {_escaped(one.target)}: {_escaped(one.message)} ({_escaped(uids)})"


def _many(count: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="seconds")


def _escaped(text: str) -> str:
    """Return a text as Markdown that shows it as it is: it comes from cards and servers."""
    plain = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|~!" else sign for sign in plain)
