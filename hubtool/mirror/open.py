"""From a text to the destination that it means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hubtool import settings
from hubtool.errors import ArgumentError, OfflineError
from hubtool.links import scheme_of

if TYPE_CHECKING:
    from hubtool.mirror.destination import Destination

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_HINT = "give a folder, or s3://bucket/prefix"


def open_destination(text: str, *, offline: bool = False) -> Destination:
    """Open a folder, or ``s3://bucket/prefix``.

    Args:
        text: The folder or the URL.
        offline: Whether the network may not be used; a folder does not count as network.

    Raises:
        ArgumentError: If the text is neither.
        OfflineError: If it is an object store, and the network may not be used.
        MirrorError: If the settings of the object store cannot be read, or its client is not installed.
    """
    if re.match(r"[a-z0-9+.-]+://", text, re.IGNORECASE):
        try:
            parts = urlsplit(text)
        except ValueError:
            raise ArgumentError(f"{text[:200]!a} is not a URL", hint=_HINT) from None
        prefix = parts.path.strip("/")
        if parts.scheme != "s3" or not _BUCKET.match(parts.netloc) or parts.query or parts.fragment:
            raise ArgumentError(f"{text[:200]!a} is not a destination", hint=_HINT)
        if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
            raise ArgumentError(f"{text[:200]!a}: the prefix has empty parts or dots", hint="write s3://bucket/prefix")
        if offline:
            raise OfflineError(
                f"{text} is an object store, and the network may not be used",
                hint="run the same where HUBTOOL_OFFLINE is not set",
            )
        from hubtool.mirror.objects import ObjectDestination  # noqa: PLC0415 (only one of the two is needed)

        return ObjectDestination(parts.netloc, prefix)
    from hubtool.mirror.folder import FolderDestination  # noqa: PLC0415 (as above)

    if scheme_of(text):
        raise ArgumentError(f"{text[:200]!a} is not a destination", hint=_HINT)
    if not text or "\0" in text:
        raise ArgumentError(f"{text[:200]!a} is not a folder", hint=_HINT)
    return FolderDestination(settings.expand_user(text))
