"""The saved state of audits, so that an interrupted run resumes and the next run can compare.

A file of JSON lines: one for each target, written as soon as it was looked at, and one where a run begins or ends. A
line that a kill cut off is skipped. At the start of a run the file is rewritten with one line per target.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from hubtool import files, regular
from hubtool.errors import StoreError
from hubtool.locking import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """What was seen of one target.

    Attributes:
        key: The target.
        at: The time, in seconds since 1970.
        deep: Whether its bytes were hashed.
        seen: The result of the look; see :mod:`hubtool.audit.probe` and :mod:`hubtool.audit.repositories`.
        base: What it is compared with: the first result, or the one when its bytes were last right.
    """

    key: str
    at: float
    deep: bool
    seen: Mapping[str, object]
    base: Mapping[str, object]

    def line(self) -> str:
        """Return it as a line of the file."""
        value = {"key": self.key, "at": self.at, "deep": self.deep, "seen": self.seen, "base": self.base}
        return json.dumps(value, ensure_ascii=False) + "\n"


def _record(value: Mapping[str, object]) -> AuditRecord | None:
    key, at, seen, base = (value.get(name) for name in ("key", "at", "seen", "base"))
    if not isinstance(key, str) or not isinstance(at, (int, float)):
        return None
    if not isinstance(seen, dict) or not isinstance(base, dict):
        return None
    return AuditRecord(key=key, at=float(at), deep=value.get("deep") is True, seen=seen, base=base)


@dataclass(slots=True)
class AuditState:
    """The saved state of the audits of one set of registries; as a context manager, one process holds it at a time.

    Attributes:
        path: The file.
        known: The last record of each target.
        fresh: The targets looked at in this run, including the part before an interruption.
        resumed: Whether this run resumes one that was interrupted.
    """

    path: Path
    known: dict[str, AuditRecord] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    resumed: bool = False
    _stream: IO[str] | None = None
    _lock: FileLock | None = None
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> AuditState:  # noqa: PYI034 - Self is not in Python 3.10
        """Lock the file and read it.

        Raises:
            StoreError: If another process holds it, or it cannot be read.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))
            if not lock.acquire(0):
                raise StoreError(
                    "another audit of these registries is running", hint="wait until it ends, or stop that process"
                )
            self._lock = lock
            self._read()
        except OSError as error:
            self.__exit__()
            raise files.store_error(error, self.path) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Release the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _read(self) -> None:
        try:
            text = regular.read_bytes(self.path).decode(errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(value, dict):
                continue
            if "begin" in value or "end" in value:
                self.resumed = "begin" in value
                self.fresh.clear()
            elif (record := _record(value)) is not None:
                self.known[record.key] = record
                if self.resumed:
                    self.fresh.add(record.key)

    def begin(self, *, restart: bool) -> None:
        """Begin a run, or resume the interrupted one.

        Args:
            restart: Whether to start over instead of resuming.

        Raises:
            StoreError: If the file cannot be written.
        """
        if restart:
            self.fresh.clear()
            self.resumed = False
        old = [record for key, record in self.known.items() if key not in self.fresh]
        new = [record for key, record in self.known.items() if key in self.fresh]
        self._write(old, "begin", new)
        try:
            self._stream = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise files.store_error(error, self.path) from error

    def add(self, record: AuditRecord) -> None:
        """Save a record to the file; threads may call it.

        Raises:
            StoreError: If it cannot be written.
        """
        with self._writing:
            self.known[record.key] = record
            self.fresh.add(record.key)
            if self._stream is None:
                return
            try:
                self._stream.write(record.line())
                self._stream.flush()
            except OSError as error:
                raise files.store_error(error, self.path) from error

    def finish(self, keep: Iterable[str]) -> None:
        """End the run, and forget targets that no card names.

        Raises:
            StoreError: If the file cannot be written.
        """
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        wanted = set(keep)
        self.known = {key: record for key, record in self.known.items() if key in wanted}
        self._write(self.known.values(), "end", ())

    def _write(self, before: Iterable[AuditRecord], mark: str, after: Iterable[AuditRecord]) -> None:
        text = "".join(
            (*(one.line() for one in before), json.dumps({mark: True}) + "\n", *(one.line() for one in after))
        )
        try:
            files.write_atomically(self.path, text.encode("utf-8"))
        except OSError as error:
            raise files.store_error(error, self.path) from error
