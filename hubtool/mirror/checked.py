"""Reading a verified file once more, on its way into a mirror."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hubtool import files
from hubtool.errors import DigestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.store.records import Stored

_BLOCK_BYTES = 1 << 20


def read_checked(file: Stored) -> Iterator[bytes]:
    """Yield a file in blocks, the last one only if the digest of all is right: an error ends a copy or an upload.

    Raises:
        DigestError: If the file changed since it was verified.
        StoreError: If it cannot be read.
    """
    hasher = hashlib.sha256()
    last = b""
    try:
        with file.path.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK_BYTES):
                hasher.update(block)
                if last:
                    yield last
                last = block
    except OSError as error:
        raise files.store_error(error, file.path) from error
    if hasher.hexdigest() != file.digest:
        raise DigestError(
            f"{file.path} changed after it was verified: its SHA-256 is {hasher.hexdigest()}",
            expected=file.digest,
            actual=hasher.hexdigest(),
            hint="run `hubtool cache verify`",
        )
    yield last
