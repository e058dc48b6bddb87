"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The kinds of findings, and what each says. The order is that of reports.
KINDS: Mapping[str, str] = {
    "card-unreadable": "the card cannot be read",
    "asset-missing": "an asset that stands beside its card is not there, or is another file",
    "link-forbidden": "the link, or where it redirects to, may not be followed",
    "link-gone": "nothing is at the link any more, or nobody knows its host",
    "link-moved": "the link redirects for good: correct the card",
    "link-refused": "the server does not give the file to us",
    "link-unreachable": "the server could not be asked, or did not answer",
    "size-drifted": "the file has another size than the card says, or than it had",
    "bytes-changed": "the server says that the file is another one than it was; --deep tells",
    "digest-drifted": "the bytes have another digest than the card says, or than they had",
    "digests-disagree": "cards state different digests for one link",
    "repository-gone": "the repository is gone, or is no longer public",
    "repository-moved": "the repository redirects elsewhere",
    "repository-unreachable": "the repository could not be asked",
    "revision-gone": "the repository no longer has the commit, branch or tag",
    "licence-changed": "the licence file is another one than it was",
    "licence-differs": "the licence file is of another licence than the card states",
}

#: The kinds of notes: what is worth knowing, and no fault.
NOTES: Mapping[str, str] = {
    "duplicate": "the same bytes stand at several links",
    "licence-unknown": "the repository has no licence file at its top, or one whose licence is not recognised",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """Something worth knowing.

    Attributes:
        kind: One of :data:`NOTES`; of a finding, one of :data:`KINDS`.
        target: What it is about: a link, a repository, a digest, a card.
        uids: The cards that it concerns.
        message: What is the matter.
    """

    kind: str
    target: str
    uids: tuple[str, ...]
    message: str

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {"kind": self.kind, "target": self.target, "uids": list(self.uids), "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding(AuditNote):
    """Something that is wrong.

    Attributes:
        expected: What the card says, or what was there before; empty where that is no value.
        actual: What is there.
    """

    expected: str = ""
    actual: str = ""

    def as_json(self) -> dict[str, object]:
        """Return it as JSON members."""
        values = {"expected": self.expected, "actual": self.actual}
        return {
            "kind": self.kind,
            "target": self.target,
            "uids": list(self.uids),
            "message": self.message,
            **{name: value for name, value in values.items() if value},
        }
