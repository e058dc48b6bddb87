"""Approval of a project's settings file, as direnv does it: by its path and the digest of its content.

The approvals are kept in ``approved.json`` beside the user's settings file. A file that changes is approved no more.
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
    """Return where the approvals are kept, given where the user's settings file is."""
    return user_file.with_name("approved.json")


def place(path: Path) -> str:
    """Return what an approval names a settings file by: its name in its real folder.

    Of a link, the link's own place and not where it leads: relative paths in the file are relative to the link, so a
    clone that links to an approved file could otherwise supply the home and the stores that the file names.
    """
    return str(path.parent.resolve() / path.name)


def doubt(path: Path, digest: str, approvals: Path) -> str | None:
    """Return why a project's settings file is not to be obeyed, or None if it is.

    Args:
        path: The settings file.
        digest: The SHA-256 of its content, in hex.
        approvals: Where the approvals are kept.
    """
    if not ownership.is_own(path.stat()):
        return "the file belongs to another user"
    known = read(approvals).get(place(path))
    if known is None:
        return "the file is not approved"
    return None if known == digest else "the file changed since it was approved"


def read(approvals: Path) -> dict[str, str]:
    """Read the approvals: for each approved path, the digest of its content.

    Raises:
        SettingsError: If they cannot be read, or another user can write them; then nothing is approved.
    """
    ownership.check_private(approvals, "the list of approvals")
    try:
        raw = json.loads(regular.read_bytes(approvals, _MAX_FILE_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"the approvals {approvals} cannot be read: {error}", hint="mend or delete it") from error
    if not isinstance(raw, dict) or not all(isinstance(digest, str) for digest in raw.values()):
        raise SettingsError(f"the approvals {approvals} are not as hubtool writes them", hint="mend or delete it")
    return raw


def write(approvals: Path, known: dict[str, str]) -> None:
    """Write the approvals, all or nothing.

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
