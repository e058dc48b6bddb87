"""HT3xx: the assets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.card.rules.base import Context, Finding, rule
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


@rule("HT301", Severity.ERROR)
def missing_digest(context: Context) -> Iterator[Finding]:
    """Every asset states its SHA-256.

    Without a digest nobody can tell a good file from a broken or a forged one, and hubtool does not load it. Compute
    it with `sha256sum FILE` and write it as `asset-sha256`.
    """
    for violation in context.violations:
        if violation.keyword == "required" and violation.key == "asset-sha256":
            yield Finding(
                offset=context.locate(violation.pointer),
                pointer=violation.pointer,
                message="the asset has no digest: 'asset-sha256' is missing",
                hint="add the output of 'sha256sum FILE'",
            )


@rule("HT302", Severity.ERROR)
def malformed_digest(context: Context) -> Iterator[Finding]:
    """A digest has 64 hexadecimal digits, a short one at least 8.

    Anything else is not the SHA-256 of any file.
    """
    for violation in context.violations:
        if violation.pointer.endswith("/asset-sha256"):
            yield Finding(
                offset=context.locate(violation.pointer),
                pointer=violation.pointer,
                message=f"the digest {str(violation.value)[:80]!r} is not 8 to 64 hexadecimal digits",
                hint="add the output of 'sha256sum FILE'",
            )


# A path has no scheme and no place outside its folder; whether it stays within the registry is seen when it is opened.
_LINK = re.compile(r"https?://[^/\s<>]+(/[^\s<>]*)?\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@rule("HT303", Severity.ERROR)
def malformed_link(context: Context) -> Iterator[Finding]:
    """A link is an https URL, or a path relative to the card.

    A path is for files in the registry itself: it has `/` between its parts, and no part is `..`. Angle brackets
    around a link are allowed.
    """
    assets = context.values.get("asset")
    for index, asset in enumerate(assets if isinstance(assets, list) else ()):
        link = asset.get("asset-link") if isinstance(asset, dict) else None
        if link is None:
            continue
        problem = _problem(link)
        if problem:
            pointer = f"/asset/{index}/asset-link"
            yield Finding(
                offset=context.locate(pointer),
                pointer=pointer,
                message=f"the link {str(link)[:200]!r} {problem}",
                hint="write an https URL, or a path relative to the card",
            )


def _problem(link: object) -> str | None:
    if not isinstance(link, str) or not link.strip():
        return "is not text"
    text = link[1:-1] if link.startswith("<") and link.endswith(">") else link
    if _LINK.match(text):
        return None
    if _SCHEME.match(text):
        return "is neither an https URL nor a path"
    if re.search(r"[\s<>\\\0-\x1f]", text):
        return "has characters that a link cannot have"
    if text.startswith("/") or ".." in text.split("/"):
        return "leads out of the card's folder"
    return None
