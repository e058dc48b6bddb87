"""Putting the files of a card where they can be fetched: a folder or a bucket, under their own digests, once."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from hubtool.errors import ArgumentError, DigestError, MirrorError, PublishError
from hubtool.links import is_loopback, shown
from hubtool.mirror.layout import blob_name
from hubtool.mirror.open import open_destination
from hubtool.store.records import Stored
from hubtool.transfer.aws import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.mirror.destination import Destination
    from hubtool.verification.asset_file import AssetFile


def open_blobs(text: str, *, offline: bool = False) -> Destination:
    """Open the folder or bucket that files are put to.

    Raises:
        ArgumentError: If the text means neither.
        OfflineError: If it is a bucket, and ``offline`` is set.
        MirrorError: If it cannot be opened.
    """
    return open_destination(text, offline=offline)


def link_base(place: str, given: str | None, environ: Mapping[str, str] | None = None) -> str | None:
    """Return what links to files in a place begin with; None where that cannot be told.

    Args:
        place: The folder or bucket.
        given: What the user says, or None.
        environ: The environment's variables, which say where a bucket is.

    Raises:
        ArgumentError: If what is given cannot be the beginning of a link.
        MirrorError: If the settings of the object store cannot be read.
    """
    if given is not None:
        return _checked(given)
    try:
        parts = urlsplit(place)
    except ValueError:
        raise ArgumentError(f"{shown(place)!a} is not a URL", hint="give a folder, or s3://bucket/prefix") from None
    if parts.scheme.lower() != "s3":
        return None
    found = configuration(os.environ if environ is None else environ)
    prefix = quote(parts.path.strip("/"))
    if "endpoint" in found:
        base = f"{found['endpoint'].rstrip('/')}/{parts.netloc}"
    else:
        base = f"https://{parts.netloc}.s3.{found['region']}.amazonaws.com"
    return _checked(f"{base}/{prefix}")


def _checked(base: str) -> str:
    hint = "write it as https://host/folder, without a login and without a query"
    try:
        parts = urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        raise ArgumentError(f"{shown(base)!a} is not the beginning of a link", hint=hint) from None
    plain = parts.scheme == "http" and is_loopback(host)
    if (parts.scheme != "https" and not plain) or not host or parts.username or parts.password:
        raise ArgumentError(f"{shown(base)!a} is not the beginning of a link", hint=hint)
    if parts.query or parts.fragment or re.search(r"[\s<>\"'\\]", base):
        raise ArgumentError(f"{shown(base)!a} is not the beginning of a link", hint=hint)
    return base.rstrip("/")


def put(place: Destination, file: AssetFile) -> bool:
    """Put a file in, under its digest; return whether it was not there yet.

    It is hashed while it is read, and visible only when all of it is there. What is there already is read and hashed,
    and never overwritten.

    Raises:
        MirrorError: If the place cannot be read or written, or holds something else under this digest.
        PublishError: If the file changed since it was hashed.
    """
    name = blob_name(file.digest)
    try:
        if place.size(name) is not None or not place.add(Stored(path=file.path, digest=file.digest, size=file.size)):
            verify(place, file)
            return False
    except DigestError as error:
        raise PublishError(
            f"{file.path} was changed while it was published: its SHA-256 is {error.actual} now, and was {file.digest}",
            hint="nothing was published; wait until the file is written, and try again",
        ) from error
    size = place.size(name)
    if size != file.size:
        raise MirrorError(
            f"{place.name}/{name} has {size or 0:,} bytes after {file.size:,} were put there",
            hint="look at the folder or bucket; run the command again",
        )
    return True


def verify(place: Destination, file: AssetFile) -> None:
    """Check that the stored blob matches its digest.

    Raises:
        MirrorError: If it does not match, or cannot be read.
    """
    digester, size = hashlib.sha256(), 0
    with place.blob(file.digest) as blocks:
        for block in blocks:
            digester.update(block)
            size += len(block)
    if digester.hexdigest() != file.digest:
        raise MirrorError(
            f"{place.name}/{blob_name(file.digest)} is there, and is another file: it has {size:,} bytes and the "
            f"SHA-256 {digester.hexdigest()}",
            hint="hubtool never overwrites a blob; find out where the wrong file came from, and remove it",
        )
