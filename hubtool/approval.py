"""Approval of a project's settings file, as direnv does it: by its path and the digest of its content.

The approvals are in ``approved.json`` beside the user's settings file. A file that changes loses its approval.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from hubtool import ownership, regular
from hubtool.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FILE_BYTES: Final = 1 << 20


def file(user_file: Path) -> Path:
    """Return the file with the approvals, given the user's settings file."""
    return user_file.with_name("approved.json")


def place(path: Path) -> str:
    """Return the path that an approval names: the file in its real folder.

    For a symbolic link, that is the link itself and not its target. Relative paths in the file are relative to the
    link, so a clone with a link to an approved file could otherwise supply its home and stores.
    """
    return str(path.parent.resolve() / path.name)


def doubt(path: Path, digest: str, approvals: Path) -> str | None:
    """Return why a project's settings file is not trusted, or None if it is.

    Args:
        path: The settings file.
        digest: The SHA-256 of its content, in hex.
        approvals: The file with the approvals.
    """
    if not ownership.is_own(path.stat()):
        return "the file belongs to another user"
    known = read(approvals).get(place(path))
    if known is None:
        return "the file is not approved"
    return None if known == digest else "the file changed since it was approved"


def read(approvals: Path) -> dict[str, str]:
    """Return the digest of each approved file, by its path.

    Raises:
        SettingsError: If they cannot be read, or another user can write them; then nothing is approved.
    """
    ownership.check_private(approvals, "the list of approvals")
    try:
        raw = json.loads(regular.read_bytes(approvals, _MAX_FILE_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"the approvals {approvals} cannot be read: {error}", hint="correct or delete it"
        ) from error
    if not isinstance(raw, dict) or not all(isinstance(digest, str) for digest in raw.values()):
        raise SettingsError(f"the approvals {approvals} are not as hubtool writes them", hint="correct or delete it")
    return raw


def write(approvals: Path, known: dict[str, str]) -> None:
    """Write the approvals atomically.

    Raises:
        SettingsError: If they cannot be written.
    """
    from hubtool import files  # noqa: PLC0415 - reading settings writes nothing

    try:
        files.write_atomically(
            approvals, (json.dumps(known, indent=2, sort_keys=True) + "\n").encode(), mode=0o600, parents=True
        )
    except OSError as error:
        raise SettingsError(f"the approvals {approvals} cannot be written: {error.strerror}") from error
