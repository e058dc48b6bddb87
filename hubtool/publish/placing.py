"""Writing a new file so that it is there as a whole or not at all, and never in place of another."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Iterator


def place_new(path: Path, data: bytes) -> None:
    """Write a new file.

    Raises:
        CardError: If there is one already, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(path, data) as temporary:
            try:
                # A link is made only if the name is free, which a rename does not ask.
                os.link(temporary, path)
            except FileExistsError:
                raise
            except OSError:
                with path.open("xb") as stream:  # a file system without links
                    stream.write(data)
                return
            _settle(path.parent)
    except FileExistsError as error:
        raise CardError(
            f"{path} is there already", hint="a new version is a new UID; to change the card, edit it"
        ) from error
    except OSError as error:
        raise CardError(f"{path} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _temporary(path: Path, data: bytes) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _settle(folder: Path) -> None:
    """Have the folder itself on the disk, where the platform knows that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
