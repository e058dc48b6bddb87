"""Settings, state and registries that are no regular files: an error at once, and no waiting for a writer."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool import approval, regular, settings
from hubtool.cli import app
from hubtool.digest import digest_file
from hubtool.errors import HubError
from hubtool.lockfile import lockfile
from hubtool.mirror.folder import FolderDestination
from hubtool.registry import folder
from hubtool.resolution import trust
from hubtool.transfer import aws

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")

READERS: dict[str, Callable[[Path], object]] = {
    "a lock": lockfile.read,
    "the trust list": trust.read,
    "the approvals": approval.read,
    "settings": settings._file,
    "profiles of AWS": lambda path: aws._section(path, ("default",)),
    "a card": lambda path: folder.read_card(path, None),
    "a mirror": lambda path: FolderDestination(path.parent).read(path.name, 100),
    "a file to be hashed": digest_file,
}


def soon(call: Callable[[], object]) -> Exception | None:
    """Return what a call raises; fail if it waits."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - it is handed on
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for a writer"
    return raised[0] if raised else None


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_refused_without_waiting(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    error = soon(lambda: READERS[name](path))
    assert isinstance(error, (HubError, OSError)), repr(error)
    assert "not a regular file" in str(error)


@pytest.mark.parametrize(
    "arguments", [("lock", "a/1.0/b"), ("lock", "--check"), ("sync",), ("resolve", "--frozen", "a/1.0/b")]
)
def test_commands_refuse_a_pipe_as_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUBTOOL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HUBTOOL_OFFLINE", "1")
    os.mkfifo("hub.lock")
    codes: list[int] = []
    assert soon(lambda: codes.append(app.run(list(arguments)))) is None
    assert codes == [1]
    assert "hub.lock cannot be read: it is not a regular file" in capsys.readouterr().err


def test_a_regular_file_and_links_to_it_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    (tmp_path / "link").symlink_to(path)
    assert regular.read_bytes(path) == regular.read_bytes(tmp_path / "link") == b"abc"
    assert regular.read_bytes(path, 2) == b"ab"
    with pytest.raises(OSError, match="not a regular file"):
        regular.read_bytes(Path("/dev/zero"))
    with pytest.raises(OSError, match="not a regular file"):
        regular.read_bytes(tmp_path)
