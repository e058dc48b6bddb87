"""Files that decide what runs or what is trusted: used only if no other user of the machine can write them."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from hubtool import regular
from hubtool.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to this user or to root; True on systems without owners."""
    return not hasattr(os, "geteuid") or status.st_uid in (os.geteuid(), 0)


def read_own(path: Path, max_bytes: int = -1) -> bytes | None:
    """Return the bytes of a file that this user (or root) wrote, or at most ``max_bytes`` of them.

    None if there is no such file, or it belongs to another user.
    """
    try:
        with regular.open_file(path) as stream:
            return stream.read(max_bytes) if is_own(os.fstat(stream.fileno())) else None
    except OSError:
        return None


def read_own_json(path: Path, max_bytes: int = -1) -> Any:  # noqa: ANN401 - whatever the file says
    """Return the content of a JSON file of this user (or root); None if it is missing, damaged or of another user."""
    try:
        return json.loads(read_own(path, max_bytes) or b"")
    except (ValueError, RecursionError):
        return None


def check_private(path: Path, what: str) -> None:
    """Refuse a file that another user owns or can write or replace; a missing file is accepted.

    Args:
        path: The file. For a symbolic link, its target is checked.
        what: What the file is, as in "the trust list".

    Raises:
        SettingsError: If it is a pipe or a device, another user owns it, its mode lets others write, or its folder lets
            others replace it.
    """
    if not hasattr(os, "geteuid"):
        return
    for place, noun in ((path, what), (path.parent, f"the folder of {what}"), (path.resolve().parent, "its folder")):
        try:
            status = place.stat()
        except FileNotFoundError:
            return  # nothing is trusted
        except (OSError, RuntimeError) as error:
            raise SettingsError(f"{what} {path} cannot be read: {error}", hint="check its permissions") from error
        if place is path and not stat.S_ISREG(status.st_mode):
            raise SettingsError(
                f"{what} {path} is not a regular file, so it is not used", hint="look at it, and move it away"
            )
        if not is_own(status):
            raise SettingsError(
                f"{noun}, {place}, belongs to another user (number {status.st_uid}), so it is not used",
                hint=f"check what is in it; then: chown {os.geteuid()} {place}",
            )
        # In a folder with the sticky bit, such as /tmp, others can add files but cannot replace this user's files.
        others = stat.S_IWOTH if stat.S_ISDIR(status.st_mode) else stat.S_IWOTH | stat.S_IWGRP
        if others & stat.S_IWGRP and _is_private_group(status.st_gid):
            others = stat.S_IWOTH
        sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if status.st_mode & others and not sticky:
            raise SettingsError(
                f"other users can write {noun}, {place}, so it is not used",
                hint=f"check what is in it; then: chmod go-w {place}",
            )


def _is_private_group(number: int) -> bool:
    """Return whether a group is a user's private group, as many systems make it, with no other member."""
    import grp  # noqa: PLC0415 - of POSIX systems only
    import pwd  # noqa: PLC0415 - as above

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return user.pw_uid != 0 and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
