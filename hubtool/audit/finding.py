"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The kinds of findings, and what each says. The order is that of reports.
KINDS: Mapping[str, str] = {
    "card-unreadable": "the card cannot be read",
    "asset-missing": "an asset beside its card is missing, or is a different file",
    "link-forbidden": "the link, or a redirect, leads to a host or scheme that is not allowed",
    "link-gone": "the link leads nowhere: its file or its host no longer exists",
    "link-moved": "the link redirects for good: correct the card",
    "link-refused": "the server does not give the file to us",
    "link-unreachable": "the server could not be asked, or did not answer",
    "size-drifted": "the size of the file is not the one on the card, or not the earlier one",
    "bytes-changed": "the server says that the file changed; check it with --deep",
    "digest-drifted": "the digest of the bytes is not the one on the card, or not the earlier one",
    "digests-disagree": "cards state different digests for one link",
    "repository-gone": "the repository is gone, or is no longer public",
    "repository-moved": "the repository redirects elsewhere",
    "repository-unreachable": "the repository could not be asked",
    "revision-gone": "the repository no longer has the commit, branch or tag",
    "licence-changed": "the licence file changed",
    "licence-differs": "the licence file is not of the licence on the card",
}

#: The kinds of notes: worth knowing, but not wrong.
NOTES: Mapping[str, str] = {
    "duplicate": "the same bytes are at several links",
    "licence-unknown": "the repository has no licence file in its top folder, or one that is not recognised",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """Something worth knowing.

    Attributes:
        kind: One of :data:`NOTES`; of a finding, one of :data:`KINDS`.
        target: What it is about: a link, a repository, a digest, a card.
        uids: The cards that it concerns.
        message: The note in one sentence.
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
        expected: The value on the card, or the earlier one; empty where there is none.
        actual: The value found.
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
