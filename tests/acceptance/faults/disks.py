"""Every fault of a disk against every path of the client that writes, and what must hold after each."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest import mock

from hubtool.digest import Digest, digest_file
from hubtool.errors import HubError
from hubtool.hub import Hub
from hubtool.mirror.layout import blobs
from hubtool.mirror.open import open_destination
from hubtool.mirror.sync import sync
from hubtool.mirror.verify import verify
from hubtool.store.partial_file import MIN_RESUMABLE_BYTES
from hubtool.store.store import Store
from hubtool.transfer.events import FetchEvent, FetchRequest
from tests.acceptance.faults.bench import (
    CONTENT,
    Outcome,
    break_off,
    check_left,
    descriptors,
    get,
    impatient,
    parallel,
    parts_of,
    warm_up,
)
from tests.support.cards import write_card
from tests.support.disks import bound_by_permissions, failing, fill, remount, small_disk
from tests.support.server import nothing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.support.server import Server

DISK = 6 << 20
"""Bytes of the disk: enough for the file and all that stands around it."""

FAULTS = {
    **{f"full {tenth}": f"full when {tenth}/10 of the bytes have come" for tenth in range(1, 10)},
    "full 0": "full before the first byte",
    "read-only": "read-only",
    "permission": "after half of the bytes, nothing may be written to any folder any more",
    "link": "after half of the bytes, the part is replaced by a link",
    "link-before": "the part of the run before is replaced by a link",
    "name-taken": "the file cannot be renamed: a folder has its name",
    "rename": "the file cannot be renamed, or named: an I/O error",
    "flush": "the file cannot be flushed: an I/O error",
    "write": "the file cannot be written: an I/O error",
}
FAULTS = {fault: FAULTS[fault] for fault in ("full 0", *FAULTS)}

PATHS = {
    "fresh": "a first run",
    "resumed": "a second run, after one that was broken off in the middle; the bytes are those that are left",
    "parallel": "several connections for one file",
    "folder": "a mirror is made in a folder on that disk; it has another asset already",
}
SYNCED = ("folder",)

CAUSES = {
    "full": "disk is full",
    "read-only": "Read-only file system",
    "permission": "Permission denied",
    "link": "replaced by another one",
    "name-taken": "directory",
}


def applicable(fault: str, path: str) -> bool:
    """Whether this fault can be met on this path."""
    return fault != "link-before" or path == "resumed"


@dataclass
class _Disk:
    """The disk of a case, and what is done to it.

    Attributes:
        root: Where it is mounted.
        store: The store on it that is written to.
        digest: The digest of the file that is to come.
        place: Where that will be.
        victim: A file elsewhere, which a link leads to.
        changed: The folders that lost their permissions.
    """

    root: Path
    store: Store
    digest: str
    place: Path
    victim: Path
    changed: list[Path] = field(default_factory=list)

    def spoil(self, fault: str) -> None:
        """Let the fault happen."""
        if fault.startswith("full"):
            fill(self.root / "other")
        elif fault == "read-only":
            remount(self.root, "ro")
        elif fault == "permission":
            self.changed = [path for path in self.root.rglob("*") if path.is_dir()]
            for path in [*self.changed, self.root]:
                path.chmod(0o555)
        elif fault.startswith("link"):
            for part in self.store.state.glob("temporary/*.part"):
                part.unlink()
                part.symlink_to(self.victim)
        elif fault == "name-taken":
            (self.place / "inside").mkdir(parents=True)

    def mend(self, fault: str) -> None:
        """Take the fault away."""
        if fault.startswith("full"):
            (self.root / "other").unlink()
        elif fault == "read-only":
            remount(self.root, "rw")
        elif fault == "permission":
            for path in [*self.changed, self.root]:
                with suppress(FileNotFoundError):
                    path.chmod(0o777)
        elif fault == "name-taken":
            (self.place / "inside").rmdir()
            self.place.rmdir()

    @contextmanager
    def meet(self, fault: str, server: Server, count: int) -> Iterator[None]:
        """Let the fault happen when its share of so many bytes has been sent, and take it away afterwards."""
        name, _, tenth = fault.partition(" ")
        begun = server.sent
        half = {"permission": 5, "link": 5, "name-taken": 5}
        after = begun + count * (int(tenth) if tenth else half.get(name, 0)) // 10
        once = threading.Lock()

        def meanwhile(sent: int) -> None:
            if sent >= after and once.acquire(blocking=False):
                if sent > begun and len(server.default.content) >= MIN_RESUMABLE_BYTES:
                    self._await_part()
                self.spoil(fault)

        broken: AbstractContextManager[None] = nullcontext()
        if name == "permission":
            broken = bound_by_permissions()
        elif name == "rename":
            broken = failing(("replace", "rename", "link"), errno.EIO, lambda _, to, **__: "/blobs/" in str(to))
        elif name == "flush":
            broken = failing(("fsync",), errno.EIO)
        elif name == "write":
            broken = failing(("write", "pwrite"), errno.EIO)
        if after == begun:
            meanwhile(begun)
        server.meanwhile = meanwhile
        with broken:
            yield
        server.meanwhile = nothing
        assert once.locked(), "it never happened"
        self.mend(fault)

    def _await_part(self) -> None:
        """Wait until the client has written something and noted what it is of, as it does at once if it may run."""
        deadline = time.monotonic() + 0.4  # then it has had enough of waiting, too
        while not self.kept() and time.monotonic() < deadline:
            time.sleep(0.001)

    def check(self) -> None:
        """Check that nothing wrong is visible, and that what a link led to is what it was."""
        for path in self.root.glob("*/blobs/sha256/*/*"):
            assert path.is_dir() or digest_file(path) == path.name
        assert self.victim.read_bytes() == b"precious"

    def kept(self) -> bool:
        """Whether there is a part, with the note that a later run needs to go on with it."""
        there = parts_of(self.store)
        names = {path.name for path in there if path.is_file() and not path.is_symlink() and path.stat().st_size}
        return any(f"{name}.json" in names for name in names)


def run(fault: str, path: str, folder: Path) -> Outcome:
    """Meet a fault of the disk on a path, check what must hold, and return how it ended."""
    victim = folder / "victim"
    victim.write_bytes(b"precious")
    with ExitStack() as stack:
        root = stack.enter_context(small_disk(folder / "disk", DISK))
        server = stack.enter_context(serving(CONTENT))
        server.default.pause, server.default.block = 0.001, len(CONTENT) // 64
        digest = hashlib.sha256(CONTENT).hexdigest()
        meet = _sync if path in SYNCED else _fetch
        home = root / "home"
        disk = _Disk(root, Store(home, patience=10.0), digest, _place(home, digest), victim)
        return meet(fault, path, folder, disk, server)


def _place(root: Path, digest: str) -> Path:
    return root / "blobs" / "sha256" / digest[:2] / digest


def _fetch(fault: str, path: str, folder: Path, disk: _Disk, server: Server) -> Outcome:
    wanted = FetchRequest(link=f"{server.url}/a?token=SECRET", digest=Digest(disk.digest))
    warm_up(wanted, folder)
    before = descriptors()
    if path == "resumed":
        break_off(disk.store, server, wanted, path)
    asked, left = len(server.requests), len(server.default.content) // (2 if path == "resumed" else 1)
    error: HubError | None = None
    events: list[FetchEvent] = []
    with parallel(server) if path == "parallel" else nullcontext(), disk.meet(fault, server, left):
        try:
            get(disk.store, wanted, (), events.append)
        except HubError as failed:
            error = failed
        disk.check()
    assert disk.place.is_file() == (error is None)
    # Whoever is told that a part was kept can rely on it.
    assert disk.kept() or not any(event.kind == "kept" for event in events)
    outcome = Outcome(error, disk.kept(), len(server.requests) - asked)
    check_left(disk.store, before)
    if error is not None:
        _check_error(fault, error, disk)
    asked = len(server.requests)
    get(disk.store, wanted, ())
    if error is None:
        assert len(server.requests) == asked
    else:  # of what was kept, nothing is asked for again
        assert all((request.start > 0) == outcome.kept for request in server.requests[asked:])
    disk.check()
    assert parts_of(disk.store) == []
    return outcome


def _sync(fault: str, _: str, folder: Path, disk: _Disk, server: Server) -> Outcome:
    registry, root = folder / "registry", disk.root / "mirror"
    environ = {
        "HUBTOOL_REGISTRY": str(registry),
        "HUBTOOL_HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder),
    }
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, environ))
        stack.enter_context(mock.patch.object(Hub, "fetcher", impatient))
        other = stack.enter_context(serving(b"another asset"))
        write_card(registry, "tests/1.9/other", link=f"{other.url}/a", content=other.default.content)
        place = open_destination(str(root))
        assert sync(Hub.open(), place).complete
        write_card(registry, "tests/1.9/one", link=f"{server.url}/a?token=SECRET", content=server.default.content)
        disk.store, disk.place = place.staging(folder / "home"), _place(root, disk.digest)
        before = descriptors()
        error: HubError | None = None
        with disk.meet(fault, server, len(server.default.content)):
            try:
                report = sync(Hub.open(), place)
            except HubError as failed:
                error = failed
            else:
                if report.failures:
                    (failure,) = report.failures
                    assert (failure.uid, failure.digest) == ("tests/1.9/one", disk.digest)
                    error = HubError(failure.reason, hint="as the reason says")
            disk.check()
        assert disk.place.is_file() == (error is None)
        outcome = Outcome(error, disk.kept(), len(server.requests))
        if error is not None:
            _check_error(fault, error, disk)
        check_left(disk.store, before)
        # What was there is there; and once the disk is right, the next run brings what is left, and nothing else.
        assert hashlib.sha256(other.default.content).hexdigest() in blobs(place)
        asked = len(server.requests)
        again = sync(Hub.open(), place)
        assert again.complete
        assert all((request.start > 0) == outcome.kept for request in server.requests[asked:])
        assert verify(place, deep=True).right
        disk.check()
        assert parts_of(disk.store) == []
        assert len(other.requests) == 1
        return outcome


def _check_error(fault: str, error: HubError, disk: _Disk) -> None:
    text = f"{error.message} {error.hint}"
    assert error.hint
    assert "SECRET" not in text
    assert CAUSES.get(fault.split(" ", maxsplit=1)[0], os.strerror(errno.EIO)) in text
    assert str(disk.root) in text
